"""Seeded jobs over a few processes, with a progress bar."""

import multiprocessing
import os

# Before numpy is loaded in the processes that are started: each has one core to itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tqdm import tqdm

PROCESSES = 2


def spread(function, jobs, *, title, processes=PROCESSES):
    """Call `function` with each of the jobs (dicts of keywords); returns the results in the order of the jobs."""
    bar = {"total": len(jobs), "desc": title, "disable": None, "delay": 5}
    if processes < 2:
        return list(tqdm((function(**job) for job in jobs), **bar))
    # Not forked: a library that holds threads would stay locked in the child.
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_one_thread) as pool:
        return list(tqdm(pool.imap(_Call(function), jobs), **bar))


class _Call:
    """A function of keywords as one of a dict, so that it can be sent to another process."""

    def __init__(self, function):
        self.function = function

    def __call__(self, job):
        return self.function(**job)


def _one_thread():
    import torch

    torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"
