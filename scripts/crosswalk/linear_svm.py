"""Many linear classifiers on the same sparse rows by dual coordinate descent (Hsieh et al., 2008), compiled by numba.

All classifiers visit a row together: their weights of a term lie side by side, so that one instruction moves several.
Every sum has a fixed order, hence the same bits whatever the number of threads.
"""

import numba
import numpy as np

LANES = 8  # float32 that a processor handles at once; columns are padded to a multiple


def compiled(function):
    """numba.njit without Python's lock; what it compiled is kept on disk where there is a folder for it."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither __pycache__ nor the user's cache can be written
        return numba.njit(nogil=True)(function)


@compiled
def gather(indptr, indices, data, rows, width):
    """Rows of a CSR matrix with only the columns they have.

    indptr, indices, data: of the matrix; rows: int (m,); width: columns of the matrix.
    Returns columns (int32 (v,), ascending), and indptr int64 (m + 1,), indices int32, data float32 of the (m, v) part.
    """
    own = np.zeros(len(rows) + 1, np.int64)
    number = np.full(width, -1, np.int32)
    for i, row in enumerate(rows):
        own[i + 1] = own[i] + indptr[row + 1] - indptr[row]
        for at in range(indptr[row], indptr[row + 1]):
            number[indices[at]] = 0
    columns = np.flatnonzero(number == 0).astype(np.int32)
    for i in range(len(columns)):
        number[columns[i]] = i
    places, values = np.empty(own[-1], np.int32), np.empty(own[-1], np.float32)
    for i, row in enumerate(rows):
        for at in range(own[i], own[i + 1]):
            places[at] = number[indices[indptr[row] + at - own[i]]]
            values[at] = data[indptr[row] + at - own[i]]
    return columns, own, places, values


@compiled
def train(indptr, indices, data, width, starts, positive, count, seed, cost, tolerance, rounds):
    """Weights of classifiers: each minimises (|w|^2 + b^2) / 2 + cost * sum over rows of max(0, 1 - y (w'x + b))^2.

    indptr, indices, data: CSR float32 rows (m, width); positive[starts[i]:starts[i + 1]]: which of the `count`
    classifiers say yes to row i; seed: of the order of rows, new in each round; tolerance: the projected gradients of a
    round may differ so much at its end; rounds: over all rows, at most.
    Returns float32 (width + 1, count), last the bias b.
    """
    m, zero, one, half = len(indptr) - 1, np.float32(0), np.float32(1), np.float32(0.5 / cost)
    lanes = -(-count // LANES) * LANES
    w, alpha = np.zeros((width + 1, lanes), np.float32), np.zeros((m, lanes), np.float32)
    margin, step, y = np.empty(lanes, np.float32), np.empty(lanes, np.float32), np.full(lanes, -one)
    high, low, bias = np.empty(lanes, np.float32), np.empty(lanes, np.float32), w[width]
    order, state = np.arange(m), np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0xD1B54A32D192ED03)
    for _ in range(rounds):
        high[:] = low[:] = zero
        for s in range(m):
            # One step of the shuffle of Fisher and Yates, by xorshift64 (Marsaglia, 2003).
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            other = s + ((np.int64(state >> np.uint64(33)) * (m - s)) >> 31)
            i = order[other]
            order[other], order[s] = order[s], i
            margin[:] = bias
            curvature = one + half
            for at in range(indptr[i], indptr[i + 1]):
                x, own = data[at], w[indices[at]]
                curvature += x * x
                for k in range(lanes):
                    margin[k] += x * own[k]
            inverse, dual = one / curvature, alpha[i]
            y[positive[starts[i] : starts[i + 1]]] = one
            for k in range(lanes):
                old = dual[k]
                gradient = y[k] * margin[k] - one + old * half
                projected = gradient if old > zero else min(gradient, zero)
                high[k], low[k] = max(high[k], projected), min(low[k], projected)
                dual[k] = max(old - gradient * inverse, zero)
                step[k] = (dual[k] - old) * y[k]
                bias[k] += step[k]
            y[positive[starts[i] : starts[i + 1]]] = -one
            for at in range(indptr[i], indptr[i + 1]):
                x, own = data[at], w[indices[at]]
                for k in range(lanes):
                    own[k] += x * step[k]
        if (high - low)[:count].max() <= tolerance:
            break
    return w[:, :count]
