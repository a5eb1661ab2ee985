"""The likeliest subjects of works in trees of subjects, by beam search; compiled by numba."""


import numpy as np

from crosswalk.linear_svm import compiled


@compiled
def search(
    indptr, indices, data, roots, levels, first_child, term_starts, terms, entry_starts, children, weights, bias,
    subject, beam, top, out,
):  # fmt: skip
    """Fill out, float32 (b, S), with the mean over trees of the chance of the best `top` subjects of b rows.

    indptr, indices, data: CSR rows (b, F), columns ascending. roots: int (trees,), the node each tree starts from;
    levels: of classifiers from root to subject. Children of node i have the numbers first_child[i] to
    first_child[i + 1]; on the last level a number less the number of nodes is a place in `subject`. The terms of node
    i are terms[term_starts[i]:term_starts[i + 1]], ascending, and term t has the weights entry_starts[t] to
    entry_starts[t + 1]: `children` says of which child of the node. bias: for each number that a child can have.
    """
    nodes = len(first_child) - 1
    widest = 0
    for node in range(nodes):
        widest = max(widest, first_child[node + 1] - first_child[node])
    for row in range(len(indptr) - 1):
        start, stop = indptr[row], indptr[row + 1]
        if start == stop:
            continue
        total = np.zeros(out.shape[1], np.float32)
        held, chance = np.empty(beam * widest, np.int64), np.empty(beam * widest, np.float32)
        margins = np.empty(widest, np.float32)
        touched = 0
        for root in roots:
            at_nodes, at_chance = np.array([root], np.int64), np.ones(1, np.float32)
            for level in range(levels):
                found = 0
                for node, before in zip(at_nodes, at_chance):
                    first, count = first_child[node], first_child[node + 1] - first_child[node]
                    margins[:count] = bias[first : first + count]
                    low, end = term_starts[node], term_starts[node + 1]
                    for at in range(start, stop):
                        term, high = indices[at], end
                        while low < high:
                            middle = (low + high) >> 1
                            if terms[middle] < term:
                                low = middle + 1
                            else:
                                high = middle
                        if low == end:
                            break
                        if terms[low] == term:
                            for entry in range(entry_starts[low], entry_starts[low + 1]):
                                margins[children[entry]] += weights[entry] * data[at]
                    for child in range(count):
                        short = max(np.float32(1) - margins[child], np.float32(0))
                        held[found] = first + child
                        chance[found] = before * np.exp(-short * short)
                        found += 1
                if level < levels - 1:
                    best = np.argsort(-chance[:found], kind="mergesort")[:beam]
                    at_nodes, at_chance = held[best], chance[best]
            for i in range(found):
                total[subject[held[i] - nodes]] += chance[i]
        some = np.flatnonzero(total)
        if len(some) > top:
            some = some[np.argsort(-total[some], kind="mergesort")[:top]]
        for one in some:
            out[row, one] = total[one] / len(roots)
