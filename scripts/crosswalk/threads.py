"""Work on rows in batches by several threads, with results in the order of the rows, and the same bytes for any number.

The batches stand side by side, and what computes one of them keeps to one thread: sums then run in one order, and small
products gain more from company than from being cut up. numpy, scipy, torch and compiled loops let other threads run.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

AHEAD = 2  # batches of each thread that are computed or wait to be taken, so that memory does not grow with the rows


def in_batches(function, rows, *, size, threads=1, told=""):
    """Yield function(part of rows) for one part of `size` rows after the other, with a progress bar.

    function: safe to be called by several threads at once; rows: anything with a length and slices; threads: at least
    1; told: of the progress bar. What a call raises is raised here, and no further call begins.
    """
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    waiting, before = deque(), torch.get_num_threads()
    bar = tqdm(total=len(parts), desc=told, unit="batch", disable=None, delay=5)
    torch.set_num_threads(1)  # here as well: threads to come begin with what their maker says
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with bar, threadpool_limits(1):
            for part in parts:
                waiting.append(pool.submit(function, part))
                if len(waiting) == AHEAD * threads:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
