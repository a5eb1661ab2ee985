"""Batches are answered in order, by threads that change nothing."""

import contextlib
import threading
import time

import numpy as np
import pytest
import torch

from crosswalk.threads import AHEAD, in_batches


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7, 64])
def test_results_come_in_the_order_of_the_rows(threads, count):
    def slow_at_first(part):
        time.sleep(0.02 if part[0] == 0 else 0)
        return part

    found = list(in_batches(slow_at_first, np.arange(count), size=3, threads=threads))
    assert [len(part) for part in found] == [3] * (count // 3) + [count % 3] * (count % 3 > 0)
    assert np.concatenate([np.empty(0, int), *found]).tolist() == list(range(count))


def test_threads_compute_side_by_side():
    both = threading.Barrier(2, timeout=20)
    assert len(list(in_batches(lambda part: both.wait(), range(2), size=1, threads=2))) == 2


def test_no_more_is_computed_than_will_soon_be_taken():
    begun = []
    results = in_batches(lambda part: begun.append(part), range(100), size=1, threads=2)
    next(results)
    time.sleep(0.1)
    assert len(begun) <= AHEAD * 2
    results.close()
    assert len(begun) <= AHEAD * 2


def test_an_error_is_raised_here_and_ends_the_work():
    begun = []

    def fails(part):
        begun.append(part[0])
        if part[0] == 1:
            raise ValueError("the second part")

    with pytest.raises(ValueError, match="the second part"):
        list(in_batches(fails, range(1000), size=1, threads=2))
    assert len(begun) <= 2 + AHEAD * 2


@pytest.mark.parametrize("fails", [False, True])
def test_torch_computes_on_one_thread_meanwhile_and_as_before_afterwards(fails):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen = []

    def look(part):
        seen.append(torch.get_num_threads())
        if fails:
            raise KeyError(part[0])

    with contextlib.suppress(KeyError):
        list(in_batches(look, range(4), size=1, threads=2))
    assert set(seen) == {1} and torch.get_num_threads() == 2
    torch.set_num_threads(before)
