"""Other people's packages that we are measured beside, in a virtual environment of their own.

`make bench-peers` makes it in the folder that $CROSSWALK_PEERS names, by default crosswalk-peers among the temporary
files. The modules beside this one are scripts that its Python runs: arrays in, arrays out.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("CROSSWALK_PEERS") or Path(tempfile.gettempdir()) / "crosswalk-peers")
PYTHON = FOLDER / "bin" / "python"


def absent(package):
    """Why the peers' environment cannot serve, one sentence; None if it can."""
    if PYTHON.is_file() and not subprocess.run([PYTHON, "-c", _FIND.format(package)], check=False).returncode:
        return None
    return f"Skipped: {FOLDER} has no {package}. `make bench-peers` installs it there, or set CROSSWALK_PEERS."


def ask(script, **arrays):
    """Run one of the scripts here on named arrays; returns those that it saves, a dict."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, **arrays)
        subprocess.run([PYTHON, HERE / script, given, made], check=True)
        with np.load(made, allow_pickle=False) as answer:
            return dict(answer)


_FIND = "import importlib.util as u, sys; sys.exit(u.find_spec('{}') is None)"
