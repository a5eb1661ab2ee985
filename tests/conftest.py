"""Fixtures that every test may use."""

import os
from pathlib import Path

# Before numpy is loaded: on matrices as small as these a second thread of BLAS slows the first down several times.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets; tests that want it skip where it is absent."""
    folder = Path(os.environ.get("CROSSWALK_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CROSSWALK_DATA to a folder that has it")
    return folder
