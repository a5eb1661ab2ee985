"""Ranked lists of subjects, and how good they are: what is found of the links that were hidden, work by work.

The works are a sample, so that every mean has an interval from works drawn again (the percentile bootstrap of Efron,
1979), and two models, judged on the same works, are compared by the differences of each work.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array

from crosswalk.neighbours import best
from crosswalk.significance import bounds, resampled

TEN = 10  # suggestions that a cataloguer is shown
HEAD = 0.8  # share of all links that the frequent subjects bear together
RESAMPLES = 1000


def top(scores: np.ndarray, seen: csr_array, k: int, *, same: np.ndarray | None = None) -> np.ndarray:
    """The k subjects of the highest scores in each row, without those that the work bears.

    scores: float (b, S), finite; seen: csr (b, S), nonzero where a work bears a subject; same: int (S,), a number for
    each subject that is shared by those that mean the same (one label under two ids). Of these at most one is in a
    list, the one with the higher score, and none if the work bears another.
    Returns int32 (b, k): best first, equal scores by the lower number; -1 from where no subject is left.
    Raises ValueError if shapes do not fit, k < 1 or a score is not finite.
    """
    b, count = scores.shape
    if seen.shape != scores.shape or k < 1 or (same is not None and len(same) != count):
        raise ValueError(f"the {k} best of {scores.shape} scores do not go with {seen.shape} links or their groups")
    if not np.isfinite(scores).all():
        raise ValueError(f"row {int(np.isfinite(scores).all(axis=1).argmin())}: a score is not finite")
    ranked = np.full((b, k), -1, dtype=np.int32)
    if not b or not count:
        return ranked
    values = np.array(scores)
    values[(seen if same is None else _meaning_the_same(seen, same)).nonzero()] = -np.inf
    if same is not None:
        _keep_best(values, same)
    index, value = best(values, min(k, count))
    ranked[:, : index.shape[1]] = np.where(np.isfinite(value), index, -1)
    return ranked


def found(ranked: np.ndarray, hidden: csr_array) -> np.ndarray:
    """Which suggestions are hidden links of their work.

    ranked: int (b, k) from `top`; hidden: csr (b, S), nonzero at the hidden links. Returns bool (b, k).
    """
    return (ranked >= 0) & among(np.arange(len(ranked))[:, None], ranked, hidden)


def among(works: np.ndarray, subjects: np.ndarray, links: csr_array) -> np.ndarray:
    """Which pairs of a work and a subject, int arrays that go together, are links: csr (b, S), nonzero at these."""
    rows, columns = links.nonzero()
    size = links.shape[1]
    return np.isin(works.astype(np.int64) * size + subjects, rows.astype(np.int64) * size + columns)


def judge(
    ranked: np.ndarray, hidden: csr_array, *, at: Sequence[int] = (1, 5, TEN), precision_at: int = 5, ndcg_at: int = TEN
) -> dict[str, np.ndarray]:
    """What each list is worth. With g(i) = 1 if the i-th suggestion of a work is a hidden link, else 0, and h hidden:

    recall_at_k     sum of g(i), i <= k, / h; with h > k it cannot reach 1
    hit_at_k        1 if any g(i) = 1, i <= k, for the greatest k of `at`
    precision_at_k  sum of g(i), i <= k, / k; with h < k it cannot reach 1, and a list that ends early counts as wrong
    ndcg_at_k       sum of g(i) / log2(1 + i), i <= k, / the same sum if the first min(h, k) were all hidden links:
                    Järvelin and Kekäläinen (2002), with the discount of Burges et al. (2005)
    mrr             1 / i for the first i with g(i) = 1, 0 if the list has none: the reciprocal rank (Voorhees, 1999),
                    as deep as the list has columns, so that only lists of equal depth compare

    ranked: int (b, depth) from `top`, depth at least the greatest k; hidden: csr (b, S), nonzero at hidden links.
    Returns a dict of float32 (b,). Raises ValueError if a work has no hidden link, or the lists are too short.
    """
    right, hides = found(ranked, hidden), np.bincount(hidden.nonzero()[0], minlength=len(ranked))
    if max(*at, precision_at, ndcg_at) > ranked.shape[1] or hidden.shape[0] != len(ranked):
        raise ValueError(f"lists of {ranked.shape} are too short, or not those of {hidden.shape[0]} works")
    if not hides.all():
        raise ValueError(f"work {int(hides.argmin())} has no hidden link, by which nothing can be judged")
    within = right.cumsum(axis=1)
    merits = {f"recall_at_{k}": within[:, k - 1] / hides for k in at}
    merits[f"hit_at_{max(at)}"] = within[:, max(at) - 1] > 0
    merits[f"precision_at_{precision_at}"] = within[:, precision_at - 1] / precision_at
    discount = 1 / np.log2(1 + np.arange(1, ndcg_at + 1))
    gains = (right[:, :ndcg_at] * discount).sum(axis=1)
    merits[f"ndcg_at_{ndcg_at}"] = gains / discount.cumsum()[np.minimum(hides, ndcg_at) - 1]
    merits["mrr"] = right.any(axis=1) / (1 + right.argmax(axis=1))
    return {name: values.astype(np.float32) for name, values in merits.items()}


def summary(
    merits: Mapping[str, np.ndarray], *, seed, resamples: int = RESAMPLES, mask: np.ndarray | None = None
) -> dict[str, float]:
    """Mean of each measure over works, with its interval.

    merits: from `judge`, or any arrays (b,) of one value for each work; mask: bool (b,), the works that count (for
    figures without twins). Returns, for each measure m, m, m_low and m_high (95 % percentile interval), and `works`.
    All are NaN where no work counts. Intervals of all measures rest on the same draws.
    """
    values = np.column_stack([np.asarray(values, dtype=np.float64) for values in merits.values()])
    values = values if mask is None else values[mask]
    if len(values):
        low, high = bounds(resampled(values, resamples=resamples, seed=seed) / len(values))
        mean = values.mean(axis=0)
    else:
        mean = low = high = np.full(len(merits), np.nan)
    report = {}
    for i, name in enumerate(merits):
        report |= {name: float(mean[i]), f"{name}_low": float(low[i]), f"{name}_high": float(high[i])}
    return report | {"works": len(values)}


def difference(
    a: Mapping[str, np.ndarray],
    b: Mapping[str, np.ndarray],
    *,
    seed,
    resamples: int = RESAMPLES,
    mask: np.ndarray | None = None,
) -> dict[str, float]:
    """How much better a does than b on the same works: the paired bootstrap of the difference of means.

    a, b: from `judge`, of the same works in the same order. Returns what `summary` does, of a minus b: an interval
    without 0 tells the two apart. Raises ValueError if measures or works differ.
    """
    if list(a) != list(b) or any(len(a[name]) != len(b[name]) for name in a):
        raise ValueError("two models are compared by the same measures on the same works")
    apart = {name: np.asarray(a[name], np.float64) - np.asarray(b[name], np.float64) for name in a}
    return summary(apart, seed=seed, resamples=resamples, mask=mask)


def coverage(ranked: np.ndarray, subjects: int, *, at: int = TEN) -> float:
    """Share of all subjects that stand among the first `at` suggestions of at least one work; more works, more of it.

    ranked: int (b, depth) from `top`; subjects: S, how many there are.
    """
    shown = ranked[:, :at]
    return len(np.unique(shown[shown >= 0])) / subjects


def tail(links: csr_array, *, head: float = HEAD) -> np.ndarray:
    """Which subjects are rare: those outside the head.

    The head is the least number of subjects, taken from the most frequent on (equally frequent ones by their number),
    that together bear at least the share `head` of all links.
    links: csr (n, S), nonzero at links; those that models learn from, so that what is hidden decides nothing.
    Returns bool (S,).
    """
    works = np.bincount(links.nonzero()[1], minlength=links.shape[1])
    order = np.argsort(-works, kind="stable")
    before = np.cumsum(works[order]) - works[order]
    rare = np.empty(links.shape[1], dtype=bool)
    rare[order] = before >= head * works.sum()
    return rare


def tail_recall(
    ranked: np.ndarray,
    hidden: csr_array,
    rare: np.ndarray,
    *,
    seed,
    at: int = TEN,
    resamples: int = RESAMPLES,
    mask: np.ndarray | None = None,
) -> dict[str, float]:
    """Share of the hidden links to rare subjects that stand among the first `at` suggestions of their work.

    By links, not by works: most works hide no such link. Works are still what is drawn for the interval.
    ranked: int (b, depth) from `top`; hidden: csr (b, S); rare: bool (S,) from `tail`; mask: bool (b,).
    Returns tail_recall_at_k with _low and _high, NaN if no such link is hidden, and tail_links, how many are.
    """
    works, subjects = hidden.nonzero()
    links = np.bincount(works[rare[subjects]], minlength=len(ranked))
    hits = (found(ranked, hidden) & rare[ranked])[:, :at].sum(axis=1)
    both = np.column_stack([hits, links]).astype(np.float64)
    both = both if mask is None else both[mask]
    name, total = f"tail_recall_at_{at}", both.sum(axis=0)
    share = low = high = np.nan
    if total[1]:
        drawn = resampled(both, resamples=resamples, seed=seed)
        drawn = drawn[drawn[:, 1] > 0]  # a draw without such a link has no share
        share, (low, high) = total[0] / total[1], bounds(drawn[:, 0] / drawn[:, 1])
    return {name: float(share), f"{name}_low": float(low), f"{name}_high": float(high), "tail_links": int(total[1])}


def _meaning_the_same(seen, same):
    """The links `seen`, and those to every other subject of the same group."""
    _, group = np.unique(same, return_inverse=True)
    member = csr_array((np.ones(len(group), np.float32), group, np.arange(len(group) + 1)))
    return seen @ member @ member.T


def _keep_best(values, same):
    """Leave of each group the best value of a row, the first of equals; the others become -inf, in place."""
    _, group, sizes = np.unique(same, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    shared = order[sizes[group[order]] > 1]
    if not len(shared):
        return
    starts = np.flatnonzero(np.diff(group[shared], prepend=-1))
    lengths = np.diff(starts, append=len(shared))
    part = values[:, shared]
    highest = part == np.repeat(np.maximum.reduceat(part, starts, axis=1), lengths, axis=1)
    place = highest.cumsum(axis=1, dtype=np.int32)
    place -= np.repeat(place[:, starts] - highest[:, starts], lengths, axis=1)
    values[:, shared] = np.where(highest & (place == 1), part, -np.inf)
