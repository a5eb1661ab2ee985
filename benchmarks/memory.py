"""The peak memory of a process, as the benchmarks report it."""

import re
import resource
import sys
from pathlib import Path


def peak_mb():
    """Peak memory of this process. Linux hands ru_maxrss down to the processes that one starts, but not VmHWM."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
