"""What of the planted is found, what is claimed besides, and whether intervals hold: worlds with eight links."""

import numpy as np
import pandas as pd

from claims import VERDICTS, claims
from crosswalk import published, training
from crosswalk.items import average_by_group
from search import search
from worlds import world

STRENGTHS = (0.6, 0.4, 0.3)
ITEMS, REPLIES, WITHIN = 1000, 5, 0.6
FRESH = 20_000  # so many that what they say of an r is no less sure than its interval needs
SETTINGS = {"axes": 12, "units": 16, "pairs": 40, "permutations": 99, "bootstrap": 499}
PUBLISHED_DIMS, PUBLISHED_EPOCHS = (8, 16), 30


def linked_world(strength, seed, *, fresh=0, noise=1.0):
    """Eight links, half of them negative, and more items of the same kind that no search sees."""
    return world(
        seed=seed, n=ITEMS + fresh, replies=REPLIES, links=(strength, -strength) * 4, within=WITHIN, noise=noise
    )


def first_items(w, n=ITEMS):
    """The truth of the first items, as `claims` wants it."""
    return _Truth(w.x_truth[:n], w.y_truth[:n], w.kinds, w.strengths)


class _Truth:
    def __init__(self, x_truth, y_truth, kinds, strengths):
        self.x_truth, self.y_truth, self.kinds, self.strengths = x_truth, y_truth, kinds, strengths


def recover(*, strength, seed, noise=1.0, **changed):
    """Search one world. Returns its claims, a list of dicts, and how many links were found."""
    w = linked_world(strength, seed, fresh=FRESH, noise=noise)
    table, x_scores, y_scores = search(w, first=ITEMS, seed=seed, **{**SETTINGS, **changed})
    judged = claims(first_items(w), x_scores, y_scores)
    columns = ["family", "r", "r_low", "r_high", "p", "q", "strict", "fresh"]
    rows = table[columns].assign(verdict=judged.verdict, planted=judged.planted)
    return {"strength": strength, "seed": seed, "found": judged.found, "claims": rows.to_dict("records")}


def recover_as_published(*, strength, seed):
    """The notebook's way on the same items: the pairs that it reads, and the strongest, which it meant to read."""
    w = linked_world(strength, seed)
    position = {item: i for i, item in enumerate(w.items)}
    groups = np.array([position[group] for group in w.groups])
    result = {"strength": strength, "seed": seed}
    for read in ("read", "strongest"):
        result[read] = {"x": [], "y": [], "sign": []}
    for dim in PUBLISHED_DIMS:
        codes = {}
        for side, rows in (("x", w.x), ("y", w.y)):
            model = training.train(rows, encoder="dense", dim=dim, seed=seed, epochs=PUBLISHED_EPOCHS)
            codes[side] = training.encode(model, rows)
        order = published.pairs(published.correlation_matrix(codes["x"], codes["y"], groups), dim)
        order = [pair for pair in order if np.isfinite(pair.r)]
        means = average_by_group(codes["y"], w.groups, w.items)
        chosen = {"read": order[: published.SHOWN], "strongest": order[-published.SHOWN :]}
        for read, pairs in chosen.items():
            for pair in pairs:
                result[read]["x"].append(codes["x"][:, pair.x_unit])
                result[read]["y"].append(means[:, pair.y_unit])
                result[read]["sign"].append(np.sign(pair.r))
    for read in ("read", "strongest"):
        own = result[read]
        judged = claims(w, np.column_stack(own["x"]).astype(float), np.column_stack(own["y"]), np.array(own["sign"]))
        result[read] = {"found": judged.found, "claims": [{"verdict": verdict} for verdict in judged.verdict]}
    return result


def summary(results, method):
    """One row for each strength: links found, claims by verdict, false share, readability."""
    rows = []
    for strength in dict.fromkeys(result["strength"] for result in results):
        own = [result for result in results if result["strength"] == strength]
        verdicts = pd.Series([claim["verdict"] for result in own for claim in result["claims"]], dtype=object)
        count = {verdict: int((verdicts == verdict).sum()) for verdict in VERDICTS if verdict in ("one link", "blend")}
        count |= {verdict: int((verdicts == verdict).sum()) for verdict in ("wrong sign", "false")}
        shares = [_false(result["claims"]) for result in own]
        rows.append(
            {
                "method": method, "strength": strength, "seeds": len(own),
                "found": np.median([result["found"] for result in own]),
                "least": min(result["found"] for result in own),
                "claims": len(verdicts), **count,
                "false_share": (count["wrong sign"] + count["false"]) / max(len(verdicts), 1),
                "median_false_share": np.median(shares),
                "one_link": count["one link"] / max(len(verdicts), 1),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def coverage(results):
    """How often the interval of a claim holds what the claim's r is on fresh items, by search and strictness."""
    rows = []
    for result in results:
        rows += [{"strength": result["strength"], **claim} for claim in result["claims"]]
    table = pd.DataFrame(rows)
    table["covered"] = (table["r_low"] <= table["fresh"]) & (table["fresh"] <= table["r_high"])
    table["below"] = table["fresh"] < table["r_low"]
    table["above"] = table["fresh"] > table["r_high"]
    table["flattery"] = table["r"] - table["fresh"]
    parts = {"all confirmed": table, "strict": table[table["strict"]], "about a link": table[table["planted"] >= 0.1]}
    parts |= {f"{family}": own for family, own in table.groupby("family")}
    return pd.DataFrame(
        [
            {"claims of": part, "n": len(own), **own[["covered", "below", "above", "flattery"]].mean().to_dict()}
            for part, own in parts.items()
        ]
    )


def _false(claims):
    return np.mean([claim["verdict"] in ("false", "wrong sign") for claim in claims]) if claims else 0.0
