"""Fit the members of a recommender, weigh them on links that were hidden from them, and judge them on others."""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk import (
    calibration,
    ease,
    item_knn,
    label_match,
    popularity,
    ranking,
    splits,
    stacking,
    text_knn,
    vector_knn,
)
from crosswalk.errors import UserError
from crosswalk.neighbours import places
from crosswalk.recommend_config import ALWAYS, uses
from crosswalk.recommender import BATCH, Fitting, Queries
from crosswalk.threads import in_batches

log = logging.getLogger(__name__)

ROLES = {
    "known": (splits.KNOWN_VALIDATION, splits.KNOWN_TEST),
    "new": (splits.NEW_VALIDATION, splits.NEW_TEST),
}
WANTED = 10  # suggestions by which models are judged
DEPTH = 100  # how deep lists are read for the reciprocal rank
NEEDS_SUBJECTS = ("item_knn", "ease", "as_published")  # these have nothing to say of a work without subjects
SILENT = 1e-6  # greatest score of what popularity says in another's stead
LEAST_HITS = 20  # hidden links among the candidates, below which nothing is learned about whom to trust


class Works(NamedTuple):
    """What is known of n works, whether a model sees it or not.

    ids, texts: n strings; links: csr (n, S), all of them; features: csr (n, F); labels: S strings; vectors: (n, d) or
    None; broader: csr (S, S) or None; paths: csr (n, P) or None.
    """

    ids: list
    texts: list
    links: object
    features: object
    labels: list
    vectors: np.ndarray | None = None
    broader: object | None = None
    paths: object | None = None

    def fitting(self, links):
        """What models learn from if they see `links` alone."""
        return Fitting(links, self.features, self.labels, self.vectors, self.broader, self.paths)

    def queries(self, rows, links, *, new=False):
        """Some of the works as questions: rows int (b,); links csr (n, S), those that the models see; new: whether the
        works are to be taken for such that nothing was fitted on."""
        return Queries(
            links=links[rows],
            features=self.features[rows],
            rows=np.full(len(rows), -1, np.int64) if new else np.asarray(rows, np.int64),
            texts=[self.texts[row] for row in rows],
            vectors=None if self.vectors is None else self.vectors[rows],
            paths=None if self.paths is None else self.paths[rows],
        )


class Judged(NamedTuple):
    """One scenario's verdict: evaluation, reliability, weights as DataFrames; stack and curve (calibration) to keep."""

    evaluation: pd.DataFrame
    reliability: pd.DataFrame
    weights: pd.DataFrame
    stack: stacking.Stack | None
    curve: calibration.Knots


def fit_members(fitting, entry, *, texts, trained, seed):
    """Fit what is quick to fit, and put it beside what was trained before.

    fitting: Fitting; entry: the recommender's checked config; texts: n strings, of its works; trained: dict of name to
    model, of `tree`, `network`, `factorisation` and `as_published` if they are used; seed: integer.
    Returns models, a dict of name to model in the order of the config, and left_out, a dict of name to the reason why a
    member takes no part.
    """
    kinds = {
        "popularity": lambda: popularity.fit(fitting),
        "item_knn": lambda: item_knn.fit(fitting, **entry["item_knn"]),
        "ease": lambda: _ease(fitting, entry["ease"], seed),
        "text_knn": lambda: text_knn.fit(fitting, k=entry["text_knn"]["neighbours"], power=entry["text_knn"]["power"]),
        "vector_knn": lambda: vector_knn.fit(
            fitting, k=entry["vector_knn"]["neighbours"], power=entry["vector_knn"]["power"]
        ),
        "label_match": lambda: label_match.fit(fitting, texts=texts),
    }
    models, left_out = {}, {}
    names = [name for name in dict.fromkeys([*entry["members"], *ALWAYS]) if uses(entry, name)]
    for name in [*names, *(["as_published"] if "as_published" in trained else [])]:
        if name in trained:
            models[name] = trained[name]
            continue
        if name not in kinds:
            raise ValueError(f"{name} is used, but was not trained")
        try:
            models[name] = kinds[name]()
        except ease.TooManySubjects as error:
            log.warning("%s", error)
            left_out[name] = str(error)
    return models, left_out


def answers(entry, models, *, new):
    """The names of the models that can say something of known works, or of new ones, which have no subject yet."""
    silent = (*NEEDS_SUBJECTS, *(["factorisation"] if entry.get("method") == "ials" else [])) if new else ()
    return [name for name in models if name not in silent]


def scenarios(roles):
    """Those of "known" and "new" of which links are hidden. roles: uint8 (links,)."""
    return [scenario for scenario, (validation, _) in ROLES.items() if (roles == validation).any()]


def stacked(entry, models, *, new):
    """Those of `answers` that the stack weighs."""
    return [name for name in answers(entry, models, new=new) if name in entry["members"]]


def suggesting(entry, models, *, new):
    """Who suggests for known or for new works: "stack", the one model of the config, or popularity in its stead."""
    if entry["model"] == "stack" and stacked(entry, models, new=new):
        return "stack"
    return entry["model"] if entry["model"] in answers(entry, models, new=new) else "popularity"


def judge(works, roles, models, entry, *, scenario, seed, threads=1):
    """Learn whom to trust from the links hidden for validation, and judge everybody by those hidden for the test.

    works: Works; roles: uint8 (links,) from splits.split; models: from `fit_members`, fitted on the visible links;
    entry: the recommender's checked config; scenario: "known" or "new"; seed: integer; threads: of which the result
    does not depend. Returns Judged.
    Raises UserError if the members find too few of the hidden links for anything to be learned.
    """
    new, links = scenario == "new", splits.visible(works.links, roles)
    rows, hidden = splits.hidden(works.links, roles, ROLES[scenario][0])
    test_rows, test_hidden = splits.hidden(works.links, roles, ROLES[scenario][1])
    context, asked = {"frequency": _frequency(links)}, {"new": new, "threads": threads}
    names, members = answers(entry, models, new=new), stacked(entry, models, new=new)
    chosen, stack = suggesting(entry, models, new=new), None
    if chosen == "stack":
        found = _candidates(works, rows, links, models, members, **asked, told=f"{scenario} works to learn from")
        hits = ranking.among(found.works, found.subjects, hidden)
        _refuse_too_little(hits, hidden, scenario)
        tagged = np.diff(links.indptr)[rows]
        stack, logits = stacking.fit(found, hits, members=members, tagged=tagged, seed=seed, **context)
        weights = stack.worth(found, hits, tagged=tagged, seed=seed, **context)
        curve = _curve(found, logits, hits)
        del found
    else:
        members, weights = [chosen], np.ones(1)
        found = _candidates(works, rows, links, models, members, **asked, told=f"{scenario} works to calibrate by")
        curve = _curve(found, found.scores[:, 0], ranking.among(found.works, found.subjects, hidden))
    lists = _lists(works, test_rows, links, models, names, stack=stack, **asked, told=f"{scenario} works to judge by")
    report, reliability = _verdict(lists, test_hidden, works, test_rows, links, chosen, curve, scenario, seed)
    table = pd.DataFrame({"scenario": scenario, "member": members, "weight": weights})
    return Judged(report, reliability, table, stack, curve)


def rank(models, queries, *, stack, frequency, k, chosen="stack", same=None):
    """The best k subjects of each query, by the stack or by one model.

    Returns ranked int32 (b, k), -1 padded, and scores float32 (b, k), NaN there.
    """
    if stack is None:
        scores = _or_popularity(models[chosen].score(queries), models, chosen, queries)
        ranked = ranking.top(scores, queries.links, k, same=same)
        return ranked, _taken(scores, ranked)
    scores = [models[name].score(queries) for name in stack.members]
    return _by_stack(scores, queries, stack, frequency, k, same)


def _or_popularity(scores, models, name, queries):
    """The scores of one model, float32 (b, S); of works to which it has nothing to say, those of popularity.

    These are made so small that they stay below what it says of others.
    """
    silent = ~scores.any(axis=1)
    if not silent.any() or name == "popularity":
        return scores
    plain = models["popularity"].score(queries)[silent]
    scores = scores.copy()
    scores[silent] = plain / max(float(plain.max()), 1) * SILENT
    return scores


def _ease(fitting, settings, seed):
    limit = int(settings["max_gb"] * 1e9)
    if settings["penalty"] == "auto":
        return ease.fit(fitting, max_bytes=limit, seed=seed)
    return ease.fit(fitting, penalties=settings["penalty"], max_bytes=limit, seed=seed)


def _refuse_too_little(hits, hidden, scenario):
    """Raise UserError unless hits bool (c,), of the candidates, tell enough of whom to trust."""
    if hits.sum() < LEAST_HITS or hidden.shape[0] < stacking.NETS:
        raise UserError(
            f"the members find {int(hits.sum())} of the {hidden.nnz:,} links hidden from {hidden.shape[0]} {scenario} "
            f"works for validation; {LEAST_HITS} links and {stacking.NETS} works are needed to weigh them. Take more "
            f"works, raise split.{scenario}, or name one `model` instead of the stack."
        )
    if hits.all():
        raise UserError(
            f"all that could be suggested to {scenario} works is right, as works bear nearly every subject: nothing is "
            "learned about whom to trust. Take works with fewer subjects, or name one `model` instead of the stack."
        )


def _frequency(links):
    return np.bincount(links.indices, minlength=links.shape[1])


def _candidates(works, rows, links, models, members, *, new, threads, told):
    def found(some):
        queries = works.queries(some, links, new=new)
        scores = [models[name].score(queries) for name in members]
        return stacking.candidates(scores, queries.links), len(some)

    return stacking.joined(list(in_batches(found, rows, size=BATCH, threads=threads, told=told)))


def _curve(found, scores, hits):
    """The calibration of a score, by the best candidates of each work: those that would be suggested."""
    order, place = _placed(found, scores)
    best = order[place < WANTED]
    return calibration.fit(scores[best], hits[best])


def _placed(found, scores, same=None):
    """Candidates in order, works as they come and each work's best first, and their places in the lists, from 0.

    same: int (S,), subjects of one number mean the same: only the best of them has a place.
    """
    order = np.lexsort((found.subjects, -scores, found.works))
    if same is not None:
        meant = found.works[order].astype(np.int64) * (int(same.max(initial=0)) + 1) + same[found.subjects[order]]
        order = order[np.sort(np.unique(meant, return_index=True)[1])]
    return order, places(found.works[order])


def _by_stack(scores, queries, stack, frequency, k, same=None):
    found = stacking.candidates(scores, queries.links, same=same)
    logits = stack.score(found, frequency=frequency, tagged=np.diff(queries.links.indptr))
    order, place = _placed(found, logits, same)
    works = found.works[order]
    ranked = np.full((len(queries), k), -1, np.int32)
    values = np.full((len(queries), k), np.nan, np.float32)
    kept = place < k
    ranked[works[kept], place[kept]] = found.subjects[order][kept]
    values[works[kept], place[kept]] = logits[order][kept]
    return ranked, values


def _taken(scores, ranked):
    taken = np.take_along_axis(scores, np.maximum(ranked, 0), axis=1).astype(np.float32)
    return np.where(ranked < 0, np.float32(np.nan), taken)


def _lists(works, rows, links, models, names, *, new, stack, threads, told):
    """Of each model, the best DEPTH subjects of the works and their scores: dict of name to (ranked, scores)."""
    depth, frequency = min(DEPTH, works.links.shape[1]), _frequency(links)

    def listed(some):
        queries, scores, found = works.queries(some, links, new=new), {}, {}
        for name in names:
            scores[name] = models[name].score(queries)
            own = _or_popularity(scores[name], models, name, queries)
            ranked = ranking.top(own, queries.links, depth)
            found[name] = ranked, _taken(own, ranked)
        if stack is not None:
            own = [scores[name] for name in stack.members]
            found["stack"] = _by_stack(own, queries, stack, frequency, depth)
        return found

    parts = list(in_batches(listed, rows, size=BATCH, threads=threads, told=told))
    return {
        name: tuple(np.concatenate(both) for both in zip(*(part[name] for part in parts), strict=True))
        for name in parts[0]
    }


def _verdict(lists, hidden, works, rows, links, chosen, curve, scenario, seed):
    """The evaluation of every list, over all works and over those without a twin, and the reliability of the chosen."""
    subjects = hidden.shape[1]
    rare = ranking.tail(links)
    apart = ~splits.twins(works.texts)[rows]
    merits = {name: ranking.judge(_deep(ranked), hidden) for name, (ranked, _) in lists.items()}
    promised = _promised(*lists[chosen], hidden, curve)
    table = []
    for who, mask in (("all", None), ("without twins", apart)):
        for name, (ranked, _) in lists.items():
            row = {"scenario": scenario, "works": who, "model": name}
            row |= {"n": int(len(rows) if mask is None else mask.sum())}
            row |= _without(ranking.summary(merits[name], seed=seed, mask=mask), "works")
            row |= _without(ranking.tail_recall(_deep(ranked), hidden, rare, seed=seed, mask=mask), "tail_links")
            row["coverage"] = ranking.coverage(ranked if mask is None else ranked[mask], subjects)
            apart_by = ranking.difference(merits[chosen], merits[name], seed=seed, mask=mask)
            row |= {
                f"difference{end}": apart_by[f"recall_at_{WANTED}{end}"] if name != chosen else np.nan
                for end in ("", "_low", "_high")
            }
            if name == chosen and (mask is None or mask.any()):
                own = slice(None) if mask is None else mask[promised.works]
                error = calibration.assess(promised.scores[own], promised.hits[own], promised.works[own], seed=seed)
                row |= {key: error[key] for key in ("ece", "ece_low", "ece_high", "brier")}
            table.append(row)
    reliability = calibration.reliability(promised.scores, promised.hits)
    reliability.insert(0, "scenario", scenario)
    return pd.DataFrame(table), reliability


def _deep(ranked):
    """Lists of at least WANTED columns."""
    missing = WANTED - ranked.shape[1]
    return ranked if missing <= 0 else np.pad(ranked, ((0, 0), (0, missing)), constant_values=-1)


def _promised(ranked, scores, hidden, curve):
    """The probabilities of the first WANTED suggestions, and whether they came true."""
    first = calibration.candidates(scores[:, :WANTED], ranked[:, :WANTED], hidden)
    return first._replace(scores=calibration.calibrate(curve, first.scores).astype(np.float64))


def _without(values, key):
    return {name: value for name, value in values.items() if name != key}
