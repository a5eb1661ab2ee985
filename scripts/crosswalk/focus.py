"""Pre-registered axes: what goes with a phrase, each tested alone, with all the power that a search gives away.

An item's score on a phrase is the cosine of its text with it, of y the mean over the item's rows. The other side's
direction is the ridge regression (Hoerl and Kennard, 1970) of that score on its principal components, cross-fitted as a
concept's shift is. Where both sides have a phrase there is nothing to fit: the two scores are correlated as they are,
of either sign. Phrases come from the config and have seen no data; they are corrected among themselves only.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from crosswalk.items import BlockShuffle, folds
from crosswalk.shift_search import ShiftSearch, standardised, unit_columns
from crosswalk.significance import bootstrap_intervals, fold_correlations, own_p_values


@dataclass(frozen=True)
class Hypothesis:
    """What the config asks: name, and the phrase of either side, None where the direction is to be found."""

    name: str
    x: str | None
    y: str | None


@dataclass(frozen=True)
class Focus:
    """What was found for m hypotheses on n items, in the order asked.

    x_scores, y_scores: (n, m), cosines with the phrase, standardised, and on a side without one the projection of each
    item on the direction fitted without it; both rise together; x_directions (d_x, m), y_directions (d_y, m): unit
    columns, of a phrase that goes with less of the other the opposite; r (m,): rank correlation, held out where a side
    was fitted; low, high (m,): its 95 % interval; p (m,): one-sided where a side was fitted, else two-sided;
    stability (m,): share of the folds with the sign; null: (permutations, m) r in the shuffled worlds.
    """

    x_scores: np.ndarray
    y_scores: np.ndarray
    x_directions: np.ndarray
    y_directions: np.ndarray
    r: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    stability: np.ndarray
    null: np.ndarray


def hypotheses(focus):
    """The tests that `relate.<name>.focus` asks for.

    focus: list of dicts with `x`, `y`, both, or `phrase`, which is asked on either side, one test each.
    Returns a list of Hypothesis, named by the number of the entry and where its phrase is: "focus-1-x".
    """
    asked = []
    for number, entry in enumerate(focus, start=1):
        if "phrase" in entry:
            asked += [
                Hypothesis(f"focus-{number}-x", entry["phrase"], None),
                Hypothesis(f"focus-{number}-y", None, entry["phrase"]),
            ]
        else:
            sides = "".join(side for side in "xy" if side in entry)
            asked.append(Hypothesis(f"focus-{number}-{sides}", entry.get("x"), entry.get("y")))
    return asked


def focus_axes(
    x,
    y,
    blocks,
    x_phrases,
    y_phrases,
    *,
    components=None,
    ridge=0.5,
    fold_count=5,
    permutations=1000,
    bootstrap=1000,
    seed=0,
    nuisance=None,
):
    """Test each phrase, or pair of phrases, alone.

    x: (n, d_x), y: (n, d_y): mean of the unit vectors of each item; blocks: n labels of items that depend on one
    another; x_phrases, y_phrases: for each hypothesis the vector of its phrase, or None, not both; components, ridge:
    of the side without a phrase, see `canonical.canonical_axes`; nuisance: None or what was taken out of x and y, see
    `items.nuisance`. Returns Focus. Raises ValueError if a hypothesis has no phrase, a value is not finite or n < 10.
    """
    sides, phrases = [np.asarray(x, np.float64), np.asarray(y, np.float64)], [x_phrases, y_phrases]
    n, m = len(sides[0]), len(x_phrases)
    if n < 10 or len(sides[1]) != n or len(y_phrases) != m:
        raise ValueError("two sides of the same 10 or more items are needed, and a phrase or None of each")
    given = [[vector is not None for vector in side] for side in phrases]
    if not all(a or b for a, b in zip(*given, strict=True)):
        raise ValueError("a hypothesis has no phrase")
    if not all(np.isfinite(side).all() for side in sides):
        raise ValueError("an embedding is not finite")
    fold = folds(blocks, fold_count, seed=seed)
    with threadpool_limits(1):
        tests, place = _tests(sides, phrases, given, fold, components=components, ridge=ridge, nuisance=nuisance)
        shuffle, rng = BlockShuffle(blocks), np.random.default_rng([seed, 1])
        worlds = tqdm(range(permutations), desc="shuffled worlds", disable=None, delay=5, mininterval=1)
        draws = (shuffle(rng) for _ in worlds)
        null = [np.concatenate([np.empty(0), *(test.world(world) for test in tests)]) for world in draws]
        null = np.reshape(null, (permutations, m))
    r = np.concatenate([np.empty(0), *(test.r for test in tests)])
    two_sided = np.array([given[0][i] and given[1][i] for i in place], dtype=bool)
    intervals = [
        bootstrap_intervals(
            test.u,
            test.v,
            test.fold,
            blocks,
            folds=test.fold.max() + 1,
            resamples=bootstrap,
            seed=[seed, 2],
            training=test.training,
        )
        for test in tests
    ]
    order = np.argsort(np.array(place, dtype=np.intp), kind="stable")

    def joined(parts, width):
        return np.concatenate([np.empty((*width, 0)), *parts], axis=-1)[..., order]

    return Focus(
        x_scores=joined([test.scores[0] for test in tests], (n,)),
        y_scores=joined([test.scores[1] for test in tests], (n,)),
        x_directions=joined([test.directions[0] for test in tests], sides[0].shape[1:]),
        y_directions=joined([test.directions[1] for test in tests], sides[1].shape[1:]),
        r=r[order],
        low=joined([low for low, _ in intervals], ()),
        high=joined([high for _, high in intervals], ()),
        p=own_p_values(r, np.where(two_sided, np.abs(null), null))[order],
        stability=joined([test.stability for test in tests], ()),
        null=null[:, order],
    )


def _tests(sides, phrases, given, fold, **settings):
    """The hypotheses with a phrase on x, on y and on both, tested together, and the numbers of those in each."""
    tests, place = [], []
    pairs = list(zip(*given, strict=True))
    for acting in (0, 1):
        if at := [i for i, own in enumerate(pairs) if own[acting] and not own[1 - acting]]:
            tests.append(_OneSided(sides, acting, [phrases[acting][i] for i in at], fold, **settings))
            place += at
    if at := [i for i, own in enumerate(pairs) if all(own)]:
        tests.append(_TwoSided(sides, [[side[i] for i in at] for side in phrases], fold, settings["nuisance"]))
        place += at
    return tests, place


class _OneSided:
    """Phrases on the side `acting` (0: x, 1: y), and the direction of the other that goes with each."""

    def __init__(self, sides, acting, phrases, fold, **settings):
        phrases = unit_columns(np.array(phrases, dtype=np.float64).T)
        cosines = sides[acting] @ phrases
        self.search = ShiftSearch(cosines.T, rankdata(cosines, axis=0).T, sides[1 - acting], fold, **settings)
        projections, within, directions, each, self.training = self.search.scores()
        self.fold, self.world = fold, self.search.world
        self.r, self.stability = self.search.world(np.arange(len(fold))), (each > 0).mean(0)
        self.u, self.v = self.search.ranks.T[self.search.place], within
        turn = -1 if acting else 1
        self.scores = (standardised(cosines), projections)[::turn]
        self.directions = (phrases, directions)[::turn]


class _TwoSided:
    """Phrases on both sides."""

    def __init__(self, sides, phrases, fold, nuisance):
        columns = [unit_columns(np.array(own, dtype=np.float64).T) for own in phrases]
        cosines = [side @ own for side, own in zip(sides, columns, strict=True)]
        ranks = [rankdata(own, axis=0) for own in cosines]
        self.nuisance = nuisance
        self.u, v = ranks if nuisance is None else [nuisance(own) for own in ranks]
        self.fold = np.zeros(len(fold), dtype=np.intp)
        self.v, r = v, self._correlate(v)
        sign = np.where(r < 0, -1.0, 1.0)
        self.r, self.v = np.abs(r), v * sign
        self.stability = (fold_correlations(self.u, self.v, fold, folds=fold.max() + 1) > 0).mean(0)
        self.scores = standardised(cosines[0]), standardised(cosines[1]) * sign
        self.directions = columns[0], columns[1] * sign
        self.training = None  # nothing was fitted

    def world(self, given):
        v = self.v[given]
        return self._correlate(v if self.nuisance is None else self.nuisance(v))

    def _correlate(self, v):
        return fold_correlations(self.u, v, self.fold, folds=1)[0]
