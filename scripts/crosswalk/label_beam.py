"""The likeliest subjects of works in trees of subjects, by beam search, compiled by numba."""

import numpy as np

from crosswalk.linear_svm import compiled


@compiled
def search(indptr, indices, data, forest, levels, beam, top, out):
    """Fill out, float32 (b, S), zero at first, with the mean over trees of the chance of the best `top` subjects.

    indptr, indices, data: CSR float32 rows (b, F), columns ascending; an empty row is left at zero.
    forest: the arrays of `LabelTree`, in its order; levels: of classifiers from root to subject.
    A child's chance is that of its parent times exp(-max(0, 1 - margin)^2), as Parabel has it; on each level the best
    `beam` nodes are kept, of equals those of lower number.
    """
    roots, first_child, term_starts, terms, entry_starts, children, weights, bias, subject = forest
    nodes, widest = len(first_child) - 1, 0
    for node in range(nodes):
        widest = max(widest, first_child[node + 1] - first_child[node])
    held, chance = np.empty(max(beam, 1) * widest, np.int64), np.empty(max(beam, 1) * widest, np.float32)
    margin, one, zero = np.empty(widest, np.float32), np.float32(1), np.float32(0)
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if start == stop:
            continue
        for root in roots:
            reached, before = np.array([root], np.int64), np.ones(1, np.float32)
            for level in range(levels):
                found = 0
                for i in range(len(reached)):
                    node = reached[i]
                    first, count = first_child[node], first_child[node + 1] - first_child[node]
                    margin[:count] = bias[first : first + count]
                    low, end = term_starts[node], term_starts[node + 1]
                    for at in range(start, stop):
                        low = _place(terms, low, end, indices[at])
                        if low == end:
                            break
                        if terms[low] == indices[at]:
                            for entry in range(entry_starts[low], entry_starts[low + 1]):
                                margin[children[entry]] += weights[entry] * data[at]
                    for child in range(count):
                        short = max(one - margin[child], zero)
                        held[found + child] = first + child
                        chance[found + child] = before[i] * np.exp(-short * short)
                    found += count
                if level < levels - 1:
                    best = _best(chance[:found], beam)
                    reached, before = held[best], chance[best]
            for i in range(found):
                out[row, subject[held[i] - nodes]] += chance[i] / np.float32(len(roots))
        some = np.flatnonzero(out[row])
        kept = out[row][some]
        out[row] = zero
        best = _best(kept, top)
        out[row][some[best]] = kept[best]


@compiled
def _place(sorted_values, low, high, value):
    """Where the first entry of sorted_values[low:high] stands that is not less than a value; high if there is none."""
    while low < high:
        middle = (low + high) >> 1
        if sorted_values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _best(values, count):
    """Places of the `count` greatest values, ascending; of equals the first."""
    if len(values) <= count:
        return np.arange(len(values))
    bar = np.partition(values, len(values) - count)[len(values) - count]
    spare = count - (values > bar).sum()
    places, found = np.empty(count, np.int64), 0
    for i in range(len(values)):
        if values[i] > bar or (values[i] == bar and spare > 0):
            spare -= values[i] == bar
            places[found] = i
            found += 1
    return places
