"""Subjects from the words of a text by trees of subjects, with one linear classifier at every branch.

Subjects with similar works are put together, half by half, and a work goes down only the branches that suit it; several
trees are averaged: Parabel (Prabhu et al., 2018). Most levels of halves are passed over, for shallower and wider trees,
which lose less on the way: Bonsai (Khandagale et al., 2020). The same seed gives the same bytes on any number of
threads.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csr_array
from tqdm import tqdm

from crosswalk import files, label_clusters

log = logging.getLogger(__name__)

TREES = 3
LEAF = 100  # subjects below a node of the last level, at most; Parabel's
HALVINGS = 8  # between two levels of classifiers, at most: a node has up to 2 ** HALVINGS branches
BLOCK = 64  # classifiers trained together: bounds memory, shares work among threads
COST = 1.0
TOLERANCE = 0.1
ROUNDS = 20
THRESHOLD = 0.1  # weights nearer to 0 are dropped; Parabel's
BEAM = 20
TOP = 100
MOST_CHILDREN = np.iinfo(np.uint16).max
FOREST = ("roots", "first_child", "term_starts", "terms", "entry_starts", "children", "weights", "bias", "subject")


class LabelTree:
    """A fitted model.

    subjects, features: S and F; levels: of classifiers; beam: nodes followed on each level; top: subjects that a query
    is given a score for; forest: dict of arrays by the names in FOREST. Nodes are numbered level
    by level: `roots` int64 (trees,) are the first. Children of node i have the numbers first_child[i] to
    first_child[i + 1], int64; a number beyond the N nodes stands for subject[number - N], int64. Node i knows the terms
    term_starts[i] to term_starts[i + 1] (int64) of `terms` (int32, ascending in a node), and term t has the entries
    entry_starts[t] to entry_starts[t + 1] (int64) of `children` (uint16, which child of the node) and `weights`
    (float32). bias: float32, one for each number.
    """

    def __init__(self, *, subjects, features, levels, forest, beam=BEAM, top=TOP):
        self.subjects, self.features, self.levels, self.forest = subjects, features, levels, forest
        self.beam, self.top = beam, top

    def score(self, queries) -> np.ndarray:
        """Float32 (b, S): for the best `top` subjects the mean over trees of the chance as the classifiers see it.

        0 for all others, and for a work without features. Raises ValueError if the features are not those fitted on.
        """
        from crosswalk.label_beam import search

        if queries.features.shape[1] != self.features:
            raise ValueError(f"the model knows {self.features} terms, not {queries.features.shape[1]}")
        rows, out = _plain(queries.features), np.zeros((len(queries), self.subjects), np.float32)
        forest = tuple(self.forest[name] for name in FOREST)

        search(
            rows.indptr, rows.indices, rows.data, self.features, forest, self.levels, self.beam, self.top, out
        )  # fmt: skip
        return out

    def save(self, path):
        """Write the model to one safetensors file."""
        sizes = np.array([self.subjects, self.features, self.levels, self.beam, self.top], np.int64)
        files.write_tensors(path, self.forest | {"sizes": sizes})

    @classmethod
    def load(cls, path):
        """What `save` wrote."""
        forest = load_file(path)
        names = ("subjects", "features", "levels", "beam", "top")
        own = dict(zip(names, forest.pop("sizes").tolist(), strict=True))
        return cls(forest=forest, **own)


def fit(
    fitting, *, trees=TREES, seed=0, leaf=LEAF, halvings=HALVINGS, cost=COST, tolerance=TOLERANCE, rounds=ROUNDS,
    threshold=THRESHOLD, beam=BEAM, top=TOP, threads=1,
) -> LabelTree:  # fmt: skip
    """Learn trees from the works that have features and a subject. A subject without such works is never suggested.

    seed: integer, 0 or more; leaf, halvings: the shape, see above; cost, tolerance, rounds: see `linear_svm.train`;
    threshold: of the weights kept; threads change nothing but the time. Raises ValueError if an option is too small.
    """
    if min(trees, leaf - 1, halvings, rounds, beam, top, threads) < 1 or cost <= 0 or min(tolerance, threshold) < 0:
        raise ValueError("leaf is at least 2, the other counts at least 1, cost above 0, and no bound below 0")
    if max(leaf, 2**halvings) > MOST_CHILDREN:
        raise ValueError(f"a node can have {MOST_CHILDREN:,} children, not {max(leaf, 2**halvings):,}")
    features, links = _plain(fitting.features), fitting.links
    able = np.flatnonzero((np.diff(features.indptr) > 0) & (np.diff(links.indptr) > 0))
    features, links = features[able], csr_array(links[able])
    subjects = np.flatnonzero(np.bincount(links.indices, minlength=links.shape[1]))
    links = links[:, subjects]
    depth = max(0, int(np.ceil(np.log2(max(len(subjects), 1) / leaf))))
    stands = np.linspace(0, depth, -(-depth // halvings) + 1).astype(int).tolist()
    profiles = label_clusters.profiles(links, features)
    rngs = [np.random.default_rng([seed, tree]) for tree in range(trees if len(subjects) else 0)]
    shapes = [label_clusters.bisect(profiles, depth=depth, rng=rng) for rng in rngs]
    nodes = list(_nodes(shapes, links, stands))
    tasks = [(i, block) for i, (_, edges) in enumerate(nodes) for block in _blocks(len(edges) - 1)]

    def work(task):
        i, block = task
        seeds = np.random.SeedSequence([seed, i]).generate_state(1)
        return i, _train(features, *nodes[i], block, threshold, (int(seeds[0]), float(cost), float(tolerance), rounds))

    parts = [[] for _ in nodes]
    with ThreadPoolExecutor(threads) as pool:
        for i, part in tqdm(pool.map(work, tasks), "label tree", total=len(tasks), disable=None, delay=5):
            parts[i].append(part)
    forest = _assemble(parts, [subjects[order] for order, _ in shapes])
    found = len(able), len(subjects), fitting.links.shape[1], len(shapes), len(nodes), len(forest["weights"])
    log.info("%d works, %d of %d subjects, %d trees, %d nodes, %d weights", *found)
    shape = {"subjects": fitting.links.shape[1], "features": features.shape[1], "levels": len(stands)}
    return LabelTree(**shape, forest=forest, beam=beam, top=top)


def _nodes(shapes, links, stands):
    """For each node, by level and tree: links of works to subjects in the order of the tree, csc; and where in that
    order each of its children begins, and the last ends.

    shapes: of each tree what `bisect` returned; stands: by how many halvings the nodes of each level came about.
    """
    placed = [links[:, order].tocsc() for order, _ in shapes]
    for level, stand in enumerate(stands):
        for own, (order, starts) in zip(placed, shapes, strict=True):
            last = level + 1 == len(stands)
            below = np.arange(len(order) + 1) if last else starts[:: 2 ** (stands[-1] - stands[level + 1])]
            cuts = np.searchsorted(below, starts[:: 2 ** (stands[-1] - stand)])
            for first, stop in pairwise(cuts):
                yield own, below[first : stop + 1]


def _blocks(count):
    """Ranges of at most BLOCK children, of nearly equal length."""
    edges = np.linspace(0, count, -(-count // BLOCK) + 1).astype(int).tolist()
    return [range(start, stop) for start, stop in pairwise(edges)]


def _train(features, placed, edges, block, threshold, options):
    """Classifiers for some children of a node (`block`, a range), by the works that bear a subject below the node.

    placed, edges: from `_nodes`; options: the last arguments of `linear_svm.train`.
    Returns of each weight that is kept term int32, child uint16 and weight float32, by term; and the biases.
    """
    from crosswalk.linear_svm import gather, train

    starts, count = placed.indptr[edges], len(edges) - 1
    works = placed.indices[starts[0] : starts[-1]].astype(np.int64)
    works, child = np.divmod(np.unique(works * count + np.repeat(np.arange(count), np.diff(starts))), count)
    rows, row = np.unique(works, return_inverse=True)
    own = (child >= block.start) & (child < block.stop)
    begins = np.searchsorted(row[own], np.arange(len(rows) + 1))
    columns, *local = gather(features.indptr, features.indices, features.data, rows, features.shape[1])
    weights = train(*local, len(columns), begins, child[own] - block.start, len(block), *options)
    terms, children = np.nonzero(np.abs(weights[:-1]) > threshold)
    return columns[terms], (children + block.start).astype(np.uint16), weights[terms, children], weights[-1]


def _assemble(parts, subjects):
    """The arrays of a LabelTree. parts: for each node what `_train` returned for its blocks; subjects: of each tree."""
    none = np.empty(0, np.int64)
    biases = [np.zeros(len(subjects), np.float32)]  # of the roots, which are nobody's children
    rows = [(none.astype(np.int32), none, none.astype(np.uint16), none.astype(np.float32))]
    for blocks in parts:
        terms, child, weight, bias = (np.concatenate(part) for part in zip(*blocks, strict=True))
        order = np.argsort(terms, kind="stable")
        rows.append((*np.unique(terms, return_counts=True), child[order], weight[order]))
        biases.append(bias)
    terms, sizes, children, weights = (np.concatenate(part) for part in zip(*rows, strict=True))
    return {
        "roots": np.arange(len(subjects)),
        "first_child": np.cumsum([len(bias) for bias in biases]),
        "term_starts": np.cumsum([len(row[0]) for row in rows]),
        "terms": terms,
        "entry_starts": np.append(0, np.cumsum(sizes)),
        "children": children,
        "weights": weights,
        "bias": np.concatenate(biases),
        "subject": np.concatenate([none, *subjects]),
    }


def _plain(rows):
    """CSR rows as the compiled code takes them: float32, columns ascending."""
    rows = csr_array(rows, dtype=np.float32)
    return rows if rows.has_sorted_indices else rows.sorted_indices()
