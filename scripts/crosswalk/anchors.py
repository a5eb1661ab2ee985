"""What corresponds in two collections before they are matched, and the maps that follow from it, by regime."""

import logging
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom
from threadpoolctl import threadpool_limits

from crosswalk.alignment import align, fitter, identifiable
from crosswalk.bridge import FEWEST, bridge, held_out
from crosswalk.errors import UserError
from crosswalk.procrustes import Transform, generalised_procrustes
from crosswalk.topics import keyword_vectors, pair_topics

logger = logging.getLogger(__name__)

STATEMENTS = {
    "none": "both sides have one embedding model; each is centred and compared as it is",
    "words": "the spaces of two models are bridged by {words} words that both sides use and {texts} halves of texts",
    "anchors": "the spaces are brought together by {count} pairs known to correspond",
    "topics": "topics of both sides and their keywords are brought together ({count} topics, three sets)",
    "unsupervised": "the spaces are brought together by their shapes alone",
}


BRIDGED = ("bridge", "texts")  # words, and halves of texts
SURE = 0.001  # p-value from which anchors held out speak for a map


@dataclass(frozen=True)
class Maps:
    """The map of each side into the common space, and what is known of them (plain values)."""

    a: Transform
    b: Transform
    facts: dict

    def tensors(self):
        """Both maps as one dict of arrays; `load_maps` takes it back."""
        return {f"{side}.{key}": value for side in "ab" for key, value in getattr(self, side).tensors().items()}


def load_maps(tensors):
    """The maps of side a and of side b, from a dict that `Maps.tensors` gave."""
    return tuple(
        Transform.load({key[2:]: value for key, value in tensors.items() if key.startswith(f"{side}.")})
        for side in "ab"
    )


def align_sides(vectors, mixtures, phrases, *, orders, words, anchors, method, seed):
    """Find the maps by a method: "none", "words", "anchors", "topics" or "unsupervised".

    vectors: [(n, d), (m, e)]; mixtures: [(n, k), (m, l)] of topics; phrases: for each side a dict of text -> vector;
    orders: of the rows of each side, by which they are fitted; words: {"topics": side or "both" -> keywords, "bridge":
    list, perhaps "texts": list}, which "words" takes from the phrases of both sides; anchors: (k, 2) row numbers or
    None; seed: of everything random.
    Returns Maps, the same bytes for any order of rows and anchors. Raises UserError where the method has too little to
    work with.
    """
    a, b = (np.asarray(rows, np.float64)[order] for rows, order in zip(vectors, orders, strict=True))
    if method == "none":
        return Maps(_identity(a), _identity(b), {"method": method, "statement": STATEMENTS[method]})
    if method == "topics":
        return _by_topics(a, b, [m[o] for m, o in zip(mixtures, orders, strict=True)], phrases, words)
    if method == "words":
        return _by_bridge(phrases, words)
    known = {}
    if method == "anchors":
        places = [np.argsort(order) for order in orders]
        known["anchors"] = np.column_stack([place[column] for place, column in zip(places, anchors.T, strict=True)])
        known["anchors"] = known["anchors"][np.argsort(known["anchors"][:, 0])]
    found = align(a, b, **known, seed=seed)
    facts = {
        "method": method,
        "map": found.method,
        "kind": found.transform.kind,
        "statement": STATEMENTS[method].format(count=f"{len(known.get('anchors', ())):,}"),
        "details": _plain(found.diagnostics),
    }
    prepare = fitter(anchors=known.get("anchors"), method=found.method if known else None, seed=seed)
    verdict = identifiable(a, b, prepare, seed=seed)
    if known and not verdict["identifiable"] and _found_again(found.diagnostics, len(known["anchors"])):
        verdict |= {"identifiable": True, "by": "anchors held out"}
    facts["identifiable"] = _plain(verdict)
    return Maps(found.transform, _identity(b), facts)


def _found_again(diagnostics, count):
    """Whether anchors that did not make the map are taken to their partners more often than chance would have it."""
    merits = (diagnostics.get("anchors_held_out") or {}).values()
    return any(binom.sf(round(m["hit_at_1"] * count) - 1, count, m["chance_at_1"]) < SURE for m in merits)


def _by_bridge(phrases, words):
    """What both models embedded, so that nothing is guessed: only a map that was guessed can be an illusion."""
    kinds = {kind: [text for text in words.get(kind, ()) if all(text in side for side in phrases)] for kind in BRIDGED}
    texts = list(dict.fromkeys(text for own in kinds.values() for text in own))
    if len(texts) < FEWEST:
        raise UserError(
            f"match: both models embedded {len(texts)} texts, too few to bridge them (at least {FEWEST}): the two "
            "sides share too few words. Raise alignment.texts, give alignment.anchors, or embed both sides with one "
            "model."
        )
    x, y = (np.array([side[text] for text in texts]) for side in phrases)
    first, second, correlations = bridge(x, y)
    facts = {
        "method": "words",
        "map": "word bridge",
        "kind": "ridge canonical correlation",
        "statement": STATEMENTS["words"].format(words=f"{len(kinds['bridge']):,}", texts=f"{len(kinds['texts']):,}"),
        "details": _plain(
            {"correlations": correlations[:10], "directions": len(correlations), "held_out": held_out(x, y)}
        ),
    }
    return Maps(first, second, facts)


def _by_topics(a, b, mixtures, phrases, words):
    """Three corresponding sets: where each topic lies in a, in b, and where its keywords lie (Gower, 1975)."""
    if "both" in words["topics"]:
        keywords = keyword_vectors(words["topics"]["both"], _known(phrases[0]))
    else:
        if a.shape[1] != b.shape[1]:
            raise UserError(
                "alignment.method: topics of two models are paired by their keywords, which lie in two spaces here. "
                "Set topics.mode: joint, or alignment.method: words."
            )
        own = [keyword_vectors(words["topics"][side], _known(known)) for side, known in zip("ab", phrases, strict=True)]
        pairs = pair_topics(*own)
        mixtures = [mixture[:, [pair[place] for pair in pairs]] for place, mixture in enumerate(mixtures)]
        keywords = own[0][[pair.a for pair in pairs]]
    if len(keywords) < a.shape[1]:
        logger.warning(
            "%d topics leave the map undetermined in all but as many of %d dimensions: ask for more topics, or let "
            "alignment.method be auto",
            len(keywords), a.shape[1],
        )  # fmt: skip
    centres = [_centres(mixture, rows) for mixture, rows in zip(mixtures, (a, b), strict=True)]
    try:
        found = generalised_procrustes([*centres, keywords])
    except ValueError as error:  # one topic, or topics that all lie in one place
        raise UserError(
            f"alignment.method: the {len(keywords)} topics cannot bring the two spaces together ({error}). "
            "Ask for more topics, or set another method."
        ) from error
    facts = {
        "method": "topics",
        "statement": STATEMENTS["topics"].format(count=len(keywords)),
        "details": {"iterations": len(found.residual), "disparity": _plain(found.disparity)},
    }
    return Maps(*found.transforms[:2], facts)


def _centres(mixture, rows):
    """Where the topics lie among rows: their mean, weighted by the mixture; NaN for a topic that no row is of."""
    mixture = np.asarray(mixture, np.float64)
    weight = mixture.sum(axis=0)[:, None]
    with threadpool_limits(1):
        sums = mixture.T @ rows
    return np.divide(sums, weight, out=np.full_like(sums, np.nan), where=weight > 0)


def _known(phrases):
    return lambda texts: np.array([phrases[text] for text in texts])


def _identity(rows):
    """The map that only takes the mean away."""
    width = rows.shape[1]
    return Transform(rows.mean(axis=0), np.eye(width), 1.0, np.zeros(width))


def _plain(value):
    """Numbers, lists and dicts as JSON has them."""
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict("records"))
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
