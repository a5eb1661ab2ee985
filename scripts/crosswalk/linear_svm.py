"""Many linear classifiers on the same sparse rows by dual coordinate descent (Hsieh et al., 2008), compiled by numba.

All classifiers visit a row together: their weights of a term lie side by side, so that one instruction moves eight of
them. Each sum has a fixed order, hence the same bits whatever the processor or the number of threads.
"""

import numba
import numpy as np


def compiled(function):
    """numba.njit without the lock of Python; what it compiled is kept on disk where a folder for it can be written."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@compiled
def gather(indptr, indices, data, rows, width):
    """Rows of a CSR matrix with only the columns they have.

    indptr, indices, data: of the matrix; rows: int (m,); width: columns of the matrix.
    Returns columns (int32 (v,), ascending), and indptr int64 (m + 1,), indices int32, data float32 of the (m, v) part.
    """
    own = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        own[i + 1] = own[i] + indptr[rows[i] + 1] - indptr[rows[i]]
    number = np.full(width, -1, np.int32)
    for row in rows:
        for at in range(indptr[row], indptr[row + 1]):
            number[indices[at]] = 0
    columns = np.flatnonzero(number == 0).astype(np.int32)
    for i in range(len(columns)):
        number[columns[i]] = i
    places, values = np.empty(own[-1], np.int32), np.empty(own[-1], np.float32)
    for i in range(len(rows)):
        first = indptr[rows[i]]
        for at in range(own[i], own[i + 1]):
            places[at] = number[indices[first + at - own[i]]]
            values[at] = data[first + at - own[i]]
    return columns, own, places, values


@compiled
def train(indptr, indices, data, width, starts, positive, count, seed, cost, tolerance, rounds):
    """Weights of classifiers with squared hinge loss: minimise |w|^2 / 2 + cost * sum max(0, 1 - y w'x)^2.

    indptr, indices, data: CSR rows (m, width); positive[starts[i]:starts[i + 1]]: which of the `count` classifiers say
    yes to row i; seed: of the order of rows; tolerance: of the projected gradient; rounds: over all rows, at most.
    Returns float32 (width + 1, count), last the bias, which is the weight of a term of value 1 that every row has.
    """
    m = len(indptr) - 1
    half, zero, one = np.float32(0.5 / cost), np.float32(0), np.float32(1)
    w, alpha = np.zeros((width + 1, count), np.float32), np.zeros((m, count), np.float32)
    bias, margin, step, y = w[width], np.empty(count, np.float32), np.empty(count, np.float32), np.full(count, -one)
    high, low = np.empty(count, np.float32), np.empty(count, np.float32)
    order = np.arange(m)
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    for _ in range(rounds):
        high[:], low[:] = zero, zero
        for s in range(m):
            # One step of the shuffle of Fisher and Yates, by xorshift64 (Marsaglia, 2003).
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            other = s + ((np.int64(state >> np.uint64(33)) * (m - s)) >> 31)
            i = order[other]
            order[other] = order[s]
            order[s] = i
            margin[:] = bias
            curvature = one + half
            for at in range(indptr[i], indptr[i + 1]):
                x, own = data[at], w[indices[at]]
                curvature += x * x
                for k in range(count):
                    margin[k] += x * own[k]
            inverse, dual = one / curvature, alpha[i]
            for at in range(starts[i], starts[i + 1]):
                y[positive[at]] = one
            for k in range(count):
                old = dual[k]
                gradient = y[k] * margin[k] - one + old * half
                new = max(old - gradient * inverse, zero)
                projected = gradient if old > zero else min(gradient, zero)
                high[k] = max(high[k], projected)
                low[k] = min(low[k], projected)
                dual[k] = new
                step[k] = (new - old) * y[k]
                bias[k] += step[k]
            for at in range(indptr[i], indptr[i + 1]):
                x, own = data[at], w[indices[at]]
                for k in range(count):
                    own[k] += x * step[k]
            for at in range(starts[i], starts[i + 1]):
                y[positive[at]] = -one
        if (high - low).max() <= tolerance:
            break
    return w
