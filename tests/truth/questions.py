"""Single questions put to planted worlds: what the table tells beside recovery, calibration and names.

Each function searches one world of its kind and returns a dict of what was seen, True where it is as it should be.
"""

import dataclasses

import numpy as np

import text_search
from claims import claims
from crosswalk.confounding import explained
from crosswalk.covariates import Nuisance
from crosswalk.echo import echo
from crosswalk.ends import mean_shift
from crosswalk.focus import focus_axes
from crosswalk.items import average_by_group, folds
from crosswalk.quotation import quotations
from search import FOLDS, search, tested
from text_world import text_world
from worlds import world

# So many worlds that a relation can be confirmed that stands alone.
SETTINGS = {"axes": 8, "units": 8, "pairs": 20, "permutations": 199, "bootstrap": 99}
ECHOED = 0.5  # echo from which a claim is called an echo here
TEXTS = {"n": 600, "replies": 3}
TEXT_SETTINGS = {"axes": 12, "units": 16, "pairs": 40, "permutations": 99, "bootstrap": 99}


def confounder(*, seed, n=600):
    """A covariate moves both sides; a link of the same size stands beside it."""
    w = world(seed=seed, n=n, links=(0.5,), confounders=(0.6,), within=0.6)
    row = {"seed": seed}
    for listed in (False, True):
        _, x_scores, y_scores = search(w, seed=seed, listed=listed, **SETTINGS)
        # Out of the truth as well: what the covariate does not explain is what the claim may be about.
        truth = _without(w, seed) if listed else w
        found = claims(w if not listed else truth, x_scores, y_scores)
        moved = np.flatnonzero(found.verdict == "confounder")
        key = "listed" if listed else "unlisted"
        row[f"link found, {key}"] = found.found == 1
        if listed:
            row["vanishes when listed"] = not len(moved)
        else:
            row["confirmed when unlisted"] = len(moved) > 0
            watched = {"x.moved": w.covariate[:, None]}
            flags = [
                explained(x_scores[:, i], y_scores[:, i], watched, w.blocks, seed=seed).flagged
                for i in (*moved, *found.recovered[found.recovered >= 0])
            ]
            row["flagged when unlisted"] = all(flags[: len(moved)]) if len(moved) else float("nan")
            row["link not flagged"] = not any(flags[len(moved) :])
    return row


def echoes(*, seed, n=500):
    """Topics that replies repeat, beside a link between different things: numbers instead of texts."""
    w = world(seed=seed, n=n, links=(0.5,), echoes=(0.8, 0.8, -0.8), within=0.6)
    y = average_by_group(w.y, w.groups, w.items)
    _, x_scores, y_scores = search(w, seed=seed, **SETTINGS)
    plain, fold = claims(w, x_scores, y_scores), folds(w.blocks, FOLDS, seed=seed)
    repeated = [
        echo(x_scores[:, i], y_scores[:, i], mean_shift(w.x, x_scores[:, i]), y, fold=fold)[0]
        for i in range(len(plain.verdict))
    ]
    _, x_scores, y_scores = search(w, seed=seed, beyond=True, **SETTINGS)
    beyond = claims(w, x_scores, y_scores)
    topics = np.array(repeated)[plain.verdict == "echo"]
    link = plain.recovered[0]
    return {
        "seed": seed,
        "echoes found": len(np.unique(plain.pair[plain.verdict == "echo"])),
        "echoes flagged": float((topics >= ECHOED).mean()) if len(topics) else float("nan"),
        "link not flagged": link < 0 or repeated[link] < ECHOED,
        "link leads echo-removed list": _leads(w, x_scores, y_scores, beyond, seed),
        "echoes left in it": int((beyond.verdict == "echo").sum()),
    }


def phrase(*, seed, n=1000):
    """A link of .2 that the blind search may miss, asked for by a phrase that means the trait of x."""
    w = world(seed=seed, n=n, links=(0.2,), within=0.6)
    _, x_scores, y_scores = search(w, seed=seed, **SETTINGS)
    y = average_by_group(w.y, w.groups, w.items)
    asked = focus_axes(w.x, y, w.blocks, [w.x_loadings[0]], [None], permutations=199, bootstrap=99, seed=seed)
    return {
        "seed": seed, "blind search finds it": claims(w, x_scores, y_scores).found == 1,
        "phrase finds it": bool(asked.p[0] <= 0.05), "p": float(asked.p[0]), "r": float(asked.r[0]),
    }  # fmt: skip


def phrase_of_nothing(*, seed, n=400):
    """A phrase about a trait that goes with nothing: how often it is confirmed all the same."""
    w = world(seed=seed, n=n, links=(0.0,), within=0.6)
    y = average_by_group(w.y, w.groups, w.items)
    asked = focus_axes(w.x, y, w.blocks, [w.x_loadings[0]], [None], permutations=99, bootstrap=99, seed=seed)
    return {"seed": seed, "confirmed": bool(asked.p[0] <= 0.05)}


def rare(*, seed, n=1000):
    """Four links between traits that one item in sixty has, by the search with and without concepts."""
    w = world(seed=seed, n=n, links=(0.6, -0.6) * 2, rare=1 / 60, within=0.6)
    settings = {**SETTINGS, "units": 16}
    return {"seed": seed} | {
        f"found {name} concepts": claims(w, *search(w, seed=seed, concepts=concepts, **settings)[1:]).found
        for name, concepts in (("with", True), ("without", False))
    }


def blends(*, seed, n=1000):
    """Four links, two of which hang on two factors of x at once: found, and told as one."""
    w = world(seed=seed, n=n, links=(0.6, -0.6) * 2, blends=2, within=0.6)
    _, x_scores, y_scores = search(w, seed=seed, **SETTINGS)
    found = claims(w, x_scores, y_scores)
    return {
        "seed": seed, "found of 2 plain": int((found.recovered[:2] >= 0).sum()),
        "found of 2 blended": int((found.recovered[2:] >= 0).sum()), "claims": len(found.verdict),
        "one link": found.share("one link"), "blend": found.share("blend"), "false": found.false_share,
    }  # fmt: skip


def invariances(*, seed, n=150):
    """Every reply five times over, and columns that never change: neither may change a p-value.

    But for encoders, whose first weights are drawn for as many columns as there are.
    """
    w = world(seed=seed, n=n, width=32, factors=10, links=(0.6,), within=0.6, replies=2)
    settings = {**SETTINGS, "axes": 4, "units": 4, "pairs": 8}
    five = dataclasses.replace(w, y=np.repeat(w.y, 5, axis=0), groups=np.repeat(w.groups, 5))
    padded = world(seed=seed, n=n, width=32, factors=10, links=(0.6,), within=0.6, replies=2, constant=3)
    one, other, constant = (tested(version, seed=seed, **settings)[0] for version in (w, five, padded))
    return {
        "seed": seed,
        "axes: p is the same": _same_p(one, other, "axes"),
        "all searches: p is the same": _same_p(one, other, None),
        "constant columns change nothing": _same_p(one, constant, "axes"),
    }


def tiny(*, seed, n=14):
    """Hardly any items: the search comes to an end, and claims nothing of a world without links."""
    w = world(seed=seed, n=n, width=16, factors=4, replies=2)
    table, _, _ = search(w, seed=seed, axes=3, units=2, pairs=4, permutations=99, bootstrap=99, encoder="pca")
    return {"seed": seed, "nothing claimed": len(table) == 0}


def names(*, seed, kind="tfidf"):
    """Eight links between themes and remarks of texts: found, named by planted words, fidelity."""
    w = text_world(seed=seed, links=(0.7, -0.7) * 4, **TEXTS)
    found = text_search.search_texts(w, kind=kind, seed=seed, **TEXT_SETTINGS)
    scores = found["x_scores"], found["y_scores"]
    named = text_search.names(w, found["numeric"], *scores, embed=found["embed"], seed=seed)
    hits = text_search.named_links(w, found["verdicts"], *named, *scores)
    return {"seed": seed, "kind": kind, "found": found["verdicts"].found, "claims": len(found["table"]),
            "false": found["verdicts"].false_share, "hits": hits}  # fmt: skip


def text_echo(*, seed, kind="tfidf"):
    """Themes that replies repeat, a mood that goes with a trait, and some replies that quote: both lists, and leaks."""
    w = text_world(seed=seed, links=(), mood=0.8, echo=0.6, quotations=0.1, **TEXTS)
    themes = w.works["theme"].to_numpy()
    plain = text_search.search_texts(w, kind=kind, seed=seed, **TEXT_SETTINGS)
    shares = [text_search.theme_share(plain[side], themes) for side in ("x_scores", "y_scores")]
    about = np.minimum(*shares) >= 0.3
    flagged = plain["echo"][about] >= ECHOED
    _, x_scores, y_scores = search(plain["numeric"], seed=seed, beyond=True, **TEXT_SETTINGS)
    owners = np.repeat(np.arange(len(w.works)), TEXTS["replies"])
    quoted = quotations(w.works["text"].tolist(), w.replies["text"].tolist(), owners)["quoted"].to_numpy() > 0
    planted = w.replies["quotes"].to_numpy()
    return {
        "seed": seed, "kind": kind, "theme claims": int(about.sum()),
        "themes lead plain list": bool(len(about)) and bool(about[int(plain["table"]["r"].to_numpy().argmax())]),
        "themes flagged": float(flagged.mean()) if len(flagged) else float("nan"),
        "mood leads echo-removed list": _leads(
            plain["numeric"], x_scores, y_scores, claims(w, x_scores, y_scores), seed
        ),
        "quotations found": float(quoted[planted].mean()), "others taken for one": float(quoted[~planted].mean()),
    }  # fmt: skip


def _leads(w, x_scores, y_scores, judged, seed):
    """Whether the claim that leads the echo-removed list, that of which most is left, is about the first link."""
    if not len(judged.verdict):
        return False
    y, fold = average_by_group(w.y, w.groups, w.items), folds(w.blocks, FOLDS, seed=seed)
    left = [
        echo(x_score, y_score, mean_shift(w.x, x_score), y, fold=fold)[1]
        for x_score, y_score in zip(x_scores.T, y_scores.T, strict=True)
    ]
    first = int(np.argmax(left))
    return bool(judged.pair[first] == 0 and judged.verdict[first] == "one link")


def _without(w, seed):
    nuisance = Nuisance(w.covariate[:, None], folds(w.blocks, FOLDS, seed=seed))
    return dataclasses.replace(w, x_truth=nuisance(w.x_truth), y_truth=nuisance(w.y_truth))


def _same_p(one, other, family):
    if family:
        one, other = (table[table["family"] == family] for table in (one, other))
    return len(one) == len(other) and bool(np.allclose(one["p"], other["p"]))
