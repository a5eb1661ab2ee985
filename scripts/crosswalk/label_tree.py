import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csr_array
from tqdm import tqdm

from crosswalk import files, label_clusters

log = logging.getLogger(__name__)

TREES = 3
LEAF = 100  # subjects that a leaf has at most; Parabel
WIDTH = 4  # halvings between two levels: 2 ** WIDTH branches
COST = 1.0
TOLERANCE = 0.1
ROUNDS = 20
THRESHOLD = 0.1  # of weights that are kept; Parabel
BEAM = 20
TOP = 100


class LabelTree:
    def __init__(self, *, subjects, levels, tensors, beam=BEAM, top=TOP):
        self.subjects, self.levels, self.beam, self.top, self.tensors = subjects, levels, beam, top, tensors

    def score(self, queries):
        from crosswalk.label_beam import search

        rows, out = queries.features, np.zeros((len(queries), self.subjects), np.float32)
        if not rows.has_sorted_indices:
            rows = rows.sorted_indices()
        t = self.tensors
        if len(t["subject"]):
            search(rows.indptr, rows.indices, rows.data, t["roots"], self.levels, t["first_child"], t["term_starts"], t["terms"],
                   t["entry_starts"], t["children"], t["weights"], t["bias"], t["subject"], self.beam, self.top, out)
        return out

import time
TIMES=[]
def _node(features, placed, bounds, seed, cost, tolerance, rounds, threshold):
    from crosswalk.linear_svm import gather, train
    K = len(bounds) - 1
    child = np.repeat(np.arange(K), np.diff(placed.indptr[bounds]))
    pairs = np.unique(placed.indices[placed.indptr[bounds[0]]:placed.indptr[bounds[-1]]].astype(np.int64) * K + child)
    works, positive = np.divmod(pairs, K)
    rows, first = np.unique(works, return_index=True)
    cols, ip, ix, dt = gather(features.indptr, features.indices, features.data, rows, features.shape[1])
    a=time.process_time()
    W = train(ip, ix, dt, len(cols), np.append(first, len(works)), positive, K, seed, cost, tolerance, rounds)
    TIMES.append((len(rows),K,len(ix),time.process_time()-a))
    bias = W[-1]
    W = W[:-1]
    keep = np.abs(W) > threshold
    n = keep.sum(1)
    full = np.flatnonzero(n)
    r, c = np.nonzero(keep)
    return cols[full], n[full], c.astype(np.uint16), W[r, c], bias


def fit(fitting, *, trees=TREES, seed=0, leaf=LEAF, width=WIDTH, cost=COST, tolerance=TOLERANCE, rounds=ROUNDS, threshold=THRESHOLD, beam=BEAM, top=TOP, threads=1):
    features, links = fitting.features, fitting.links
    links = csr_array(links[:]); 
    has = np.diff(features.indptr) > 0
    from scipy.sparse import diags_array
    links = csr_array(diags_array(has.astype(np.float32)) @ links); links.eliminate_zeros()
    profiles = label_clusters.profiles(links, features)
    subjects = np.flatnonzero(np.diff(profiles.indptr))
    profiles = profiles[subjects]
    links = links[:, subjects]
    L = len(subjects)
    depth = max(0, int(np.ceil(np.log2(max(L, 1) / leaf))))
    levels = [*range(0, depth, width), depth] if depth else [0]
    if isinstance(width, (list, tuple)): levels = list(width)
    own_tree = []
    for tree in range(trees):
        rng = np.random.default_rng([seed, tree])
        order, starts = label_clusters.bisect(profiles, depth=depth, rng=rng)
        own_tree.append((order, starts, links[:, order].tocsc()))
    counts = [trees * 2**b for b in levels]
    offset = np.concatenate([[0], np.cumsum(counts)])
    nodes = offset[-1]
    tasks = []
    first_child = []
    for lv, b in enumerate(levels):
        for tree, (order, starts, placed) in enumerate(own_tree):
            edges = starts[:: 2 ** (depth - b)]
            below = np.arange(L + 1) if lv == len(levels) - 1 else starts[:: 2 ** (depth - levels[lv + 1])]
            for a, z in zip(np.searchsorted(below, edges[:-1]), np.searchsorted(below, edges[1:])):
                tasks.append((features, placed, below[a : z + 1], seed * 1000003 + len(tasks), cost, tolerance, rounds, threshold))
    first_child = nodes * 0 + trees + np.concatenate([[0], np.cumsum([len(t[2]) - 1 for t in tasks])])
    # numbers of leaves' children start at nodes
    with ThreadPoolExecutor(threads) as pool:
        found = list(tqdm(pool.map(lambda t: _node(*t), tasks), disable=None, delay=5, total=len(tasks)))
    terms, n, children, weights, bias = (np.concatenate(x) for x in zip(*found))
    t = dict(roots=np.arange(trees), first_child=first_child, term_starts=np.concatenate([[0], np.cumsum([len(f[0]) for f in found])]), terms=terms,
             entry_starts=np.concatenate([[0], np.cumsum(n)]),
             children=children, weights=weights, bias=np.concatenate([np.zeros(trees, np.float32), bias]), subject=np.concatenate([subjects[o] for o, _, _ in own_tree]))
    return LabelTree(subjects=fitting.links.shape[1], levels=len(levels), tensors=t, beam=beam, top=top)
