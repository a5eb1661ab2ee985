"""Suggestions for works at hand: by one set of weights if a work bears subjects, by another if it bears none yet."""

from dataclasses import replace

import numpy as np

from crosswalk import calibration
from crosswalk.reasons import Reasons
from crosswalk.recommend_study import NEEDS_SUBJECTS, rank
from crosswalk.suggestions import Suggestions


class Advisor:
    """What is needed to answer any work.

    fitting: Fitting of what all models were fitted on; models: dict of name to model; stacks: dict of "known" and "new"
    to Stack, or None where one model suggests alone; curves: the same to Knots; chosen: name of that model; subjects:
    table of S subjects; terms: the F strings of the features; ids: of the works fitted on; top: suggestions for a work.
    """

    def __init__(self, fitting, models, *, stacks, curves, chosen, subjects, terms, ids, top):
        self.models, self.stacks, self.curves, self.chosen, self.top = models, stacks, curves, chosen, top
        self.frequency = np.bincount(fitting.links.indices, minlength=fitting.links.shape[1])
        self.table = Suggestions(subjects)
        some = {name: models.get(name) for name in ("text_knn", "item_knn")}
        self.reasons = Reasons(fitting, terms=terms, ids=ids, **some)

    def answer(self, queries, *, near=None):
        """The best `top` subjects of each of b queries; near: what `neighbours` of text_knn returned, if that is known.

        Returns ranked int32 (b, top), -1 padded, scores and probabilities float32 (b, top).
        """
        shape = len(queries), self.top
        ranked, scores = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
        chances = np.zeros(shape, np.float32)
        bears = np.diff(queries.links.indptr) > 0
        for scenario, own in (("known", np.flatnonzero(bears)), ("new", np.flatnonzero(~bears))):
            if len(own):
                kept = scenario if scenario in self.curves else next(iter(self.curves))
                stack, curve = self.stacks[kept], self.curves[kept]
                part, models = _some(queries, own), self.models
                if near is not None:
                    models = models | {"text_knn": _Asked(models["text_knn"], *(found[own] for found in near))}
                ranked[own], scores[own] = rank(
                    models, part, stack=stack, frequency=self.frequency, k=self.top, chosen=self._alone(scenario),
                    same=self.table.same,
                )  # fmt: skip
                chances[own] = calibration.calibrate(curve, np.nan_to_num(scores[own]))
        return ranked, scores, chances

    def rows(self, ids, queries):
        """The suggestions for b queries with their reasons: DataFrame with the columns of `suggestions.SCHEMA`."""
        knn = self.models.get("text_knn")
        near = knn.neighbours(queries) if knn is not None else None  # once, for the scores and for the reasons
        ranked, scores, chances = self.answer(queries, near=near)
        reasons = self.reasons.table(queries, ranked, near=near)
        return self.table.rows(ids, ranked, np.nan_to_num(scores), chances, borne=queries.links, reasons=reasons)

    def _alone(self, scenario):
        """Who suggests where there is no stack: popularity where the chosen one knows nothing, or was left out."""
        knows = self.chosen in self.models and not (scenario == "new" and self.chosen in NEEDS_SUBJECTS)
        return self.chosen if knows else "popularity"


class _Asked:
    """text-kNN whose neighbours are known."""

    def __init__(self, model, rows, similarities):
        self.model, self.near = model, (rows, similarities)

    def score(self, queries):
        return self.model.vote(*self.near)


def _some(queries, own):
    return replace(
        queries,
        links=queries.links[own],
        features=queries.features[own],
        rows=queries.rows[own],
        texts=[queries.texts[i] for i in own],
        vectors=None if queries.vectors is None else queries.vectors[own],
        paths=None if queries.paths is None else queries.paths[own],
    )
