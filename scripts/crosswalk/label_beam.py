"""The likeliest subjects of works in trees of subjects, by beam search, compiled by numba."""

import numpy as np

from crosswalk.linear_svm import compiled


@compiled
def search(indptr, indices, data, width, forest, levels, beam, top, out):
    """Fill out, float32 (b, S), zero at first, with the mean over trees of the chance of the best `top` subjects.

    indptr, indices, data: CSR float32 rows (b, width); an empty row is left at zero. forest: the arrays of `LabelTree`,
    in its order; levels: of classifiers from root to subject.
    A child's chance is that of its parent times exp(-max(0, 1 - margin)^2), as Parabel has it; on each level the best
    `beam` nodes are kept, of equals those of lower number. All rows that are at a node are answered together, since
    its weights are then at hand; no row's answer depends on another.
    """
    roots, first_child, subject = forest[0], forest[1], forest[8]
    nodes, b, zero = len(first_child) - 1, len(indptr) - 1, np.float32(0)
    widest = 0
    for node in range(nodes):
        widest = max(widest, first_child[node + 1] - first_child[node])
    margin, place = np.empty(widest, np.float32), np.full(width, -1, np.int64)
    for root in roots:
        reached, before = np.full((b, 1), root), np.ones((b, 1), np.float32)
        for level in range(levels):
            last, slots = level == levels - 1, reached.shape[1]
            chance = np.zeros((1 if last else b, slots * widest), np.float32)
            held, node = np.zeros(chance.shape, np.int64), np.int64(-1)
            for at in np.argsort(reached.ravel(), kind="mergesort"):
                row, slot = at // slots, at % slots
                if before[row, slot] == zero or indptr[row] == indptr[row + 1]:
                    continue
                if reached[row, slot] != node:
                    _place_terms(forest, node, place, False)
                    node = reached[row, slot]
                    _place_terms(forest, node, place, True)
                own = slice(indptr[row], indptr[row + 1])
                first, count = first_child[node], first_child[node + 1] - first_child[node]
                _chances(forest, place, indices[own], data[own], first, before[row, slot], margin[:count])
                for child in range(count):
                    if last:
                        out[row, subject[first + child - nodes]] += margin[child] / np.float32(len(roots))
                    else:
                        chance[row, slot * widest + child] = margin[child]
                        held[row, slot * widest + child] = first + child
            _place_terms(forest, node, place, False)
            if not last:
                kept = min(beam, chance.shape[1])
                reached, before = np.empty((b, kept), np.int64), np.empty((b, kept), np.float32)
                for row in range(b):
                    best = _best(chance[row], kept)
                    reached[row], before[row] = held[row][best], chance[row][best]
    for row in range(b):
        some = np.flatnonzero(out[row])
        values = out[row][some]
        out[row] = zero
        best = _best(values, top)
        out[row][some[best]] = values[best]


@compiled
def _place_terms(forest, node, place, known):
    """Note where the terms of a node stand, or forget it; place: int64 (F,), -1 elsewhere."""
    term_starts, terms = forest[2], forest[3]
    if node >= 0:
        for term in range(term_starts[node], term_starts[node + 1]):
            place[terms[term]] = term if known else -1


@compiled
def _chances(forest, place, indices, data, first, before, out):
    """Fill out, float32 (children,), with the chances of a node's children for one row: terms `indices`, `data`."""
    entry_starts, children, weights, bias = forest[4], forest[5], forest[6], forest[7]
    one, zero = np.float32(1), np.float32(0)
    out[:] = bias[first : first + len(out)]
    for at in range(len(indices)):
        term = place[indices[at]]
        if term >= 0:
            for entry in range(entry_starts[term], entry_starts[term + 1]):
                out[children[entry]] += weights[entry] * data[at]
    for child in range(len(out)):
        short = max(one - out[child], zero)
        out[child] = before * np.exp(-short * short)


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
