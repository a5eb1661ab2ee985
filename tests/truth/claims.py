"""What a claim says, held against what was planted: from claims to links, and from links to claims."""

from dataclasses import dataclass

import numpy as np

FLOOR = 0.03  # the correlation that the planted factors give a claim, below which it says nothing of the world
ONE = 2 / 3  # share of what a claim says that has to come from one planted pair
LEAST = 0.5  # loading on both factors from which a claim carries a link
VERDICTS = ["one link", "blend", "echo", "confounder", "wrong sign", "false"]


@dataclass(frozen=True)
class Verdicts:
    """What m claims are: verdict (m,), one of VERDICTS; pair (m,): the planted pair they say most about, or -1;
    planted (m,): the correlation that the planted pairs account for; recovered (k,): the claim that carries each link,
    or -1, in the order of the links.
    """

    verdict: np.ndarray
    pair: np.ndarray
    planted: np.ndarray
    recovered: np.ndarray

    def share(self, *verdicts):
        """Share of the claims with one of these verdicts; NaN without a claim."""
        return float(np.isin(self.verdict, verdicts).mean()) if len(self.verdict) else float("nan")

    @property
    def found(self):
        """How many links a claim carries."""
        return int((self.recovered >= 0).sum())

    @property
    def false_share(self):
        """Share of claims that say nothing of the world, or its opposite."""
        return self.share("false", "wrong sign")

    @property
    def readability(self):
        """Share of the claims that are about one planted pair."""
        return self.share("one link", "echo", "confounder")


def claims(w, x_scores, y_scores, sign=1.0):
    """Hold claims against a world.

    w: `worlds.World` or whatever has x_truth, y_truth (n, k), kinds, strengths (k,); x_scores, y_scores: (n, m), the
    claim being that they go together, or go against each other where sign (m,) is -1. Factors of different pairs are
    independent, so a claim's correlation is the sum of what each pair gives: its loading on the factor of x, times
    that on the factor of y, times the pair's own correlation, which is known and not estimated.
    """
    on_x, on_y = _correlations(x_scores, w.x_truth), _correlations(y_scores, w.y_truth)
    on_y = on_y * np.broadcast_to(np.asarray(sign, dtype=np.float64), len(on_y))[:, None]
    given = on_x * on_y * w.strengths
    m, k = given.shape
    planted = given.sum(1)
    verdict, pair = np.full(m, "false", dtype=object), np.full(m, -1)
    if k:
        main = np.abs(given).argmax(1)
        size = np.abs(given).max(1)
        said = np.maximum(size, np.abs(planted)) >= FLOOR
        pair[said] = main[said]
        alone = size >= ONE * np.abs(given).sum(1)
        names = np.where(w.kinds[main] == "link", "one link", w.kinds[main]).astype(object)
        verdict[said] = np.where(alone, names, "blend")[said]
        verdict[said & ((planted <= -FLOOR) | (alone & (given[np.arange(m), main] < 0)))] = "wrong sign"
    return Verdicts(verdict, pair, planted, _recovered(w, on_x, on_y))


def _recovered(w, on_x, on_y):
    """For each link the claim that loads at least LEAST on both of its factors with the right sign, the best."""
    links = np.flatnonzero(w.kinds == "link")
    found = np.full(len(links), -1)
    for place, i in enumerate(links):
        right = np.sign(on_x[:, i] * on_y[:, i]) == np.sign(w.strengths[i])
        loading = np.where(right, np.minimum(np.abs(on_x[:, i]), np.abs(on_y[:, i])), 0)
        if len(loading) and loading.max() >= LEAST:
            found[place] = int(loading.argmax())
    return found


def _correlations(scores, truth):
    """Correlations (m, k) of the columns of scores (n, m) and truth (n, k)."""
    u, v = scores - scores.mean(0), truth - truth.mean(0)
    norm = np.outer(np.sqrt((u * u).sum(0)), np.sqrt((v * v).sum(0)))
    return np.divide(u.T @ v, norm, out=np.zeros(norm.shape), where=norm > 1e-9)
