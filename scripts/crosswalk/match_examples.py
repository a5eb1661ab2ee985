"""Which matches the report tells in full, and what it says of each: both texts, why they match, who came next."""

import numpy as np
import pandas as pd

from crosswalk.sections import known

STRONGEST, MIDDLING, WEAKEST, ALONE = 5, 3, 2, 3
NEXT = 5  # candidates that came next
PREFIX = "share_"
FIELDS = ("score", "cosine", "margin", "choice", "mutual", "chance", "terms", "topic", "level", "reason")


def examples(matches: pd.DataFrame, candidates: pd.DataFrame, topics: dict, blocks, texts: dict) -> list[dict]:
    """The examples of a matching: strong, middling and weak ones, and rows without a partner.

    matches, candidates: as in the files of these names; topics: number -> keywords; blocks: names in the order of the
    page; texts: side -> Series of texts by id. Returns dicts, numbered from 1, the same for any order of the rows.
    """
    matches = matches.reindex(columns=list(dict.fromkeys([*matches.columns, *FIELDS])))
    matches = matches.assign(mutual=matches["mutual"].eq(True), b_id=matches["b_id"].fillna(""))
    matches = matches.sort_values("a_id", kind="stable", ignore_index=True)
    shares = [c.removeprefix(PREFIX) for c in matches.columns if c.startswith(PREFIX)]
    shares.sort(key=lambda block: (blocks.index(block) if block in blocks else len(blocks), block))
    chosen = _chosen(matches)
    near = candidates[candidates["a_id"].isin([row["a_id"] for _, row in chosen])]
    near = dict(list(near.sort_values("rank", kind="stable").groupby("a_id")))
    told = []
    for kind, row in chosen:
        topic = int(row["topic"]) if known(row["topic"]) else 0
        told.append(
            row
            | {
                "number": len(told) + 1,
                "kind": kind,
                "a": {"id": row["a_id"], "text": texts["a"].get(row["a_id"], "")},
                "b": {"id": row["b_id"], "text": texts["b"].get(row["b_id"], "")} if row["b_id"] else None,
                "shares": _shares(row, shares, blocks),
                "reason": row["reason"] if known(row["reason"]) else "",
                "terms": row["terms"] if known(row["terms"]) else "",
                "topic": {"number": topic, "keywords": topics.get(topic, "")} if topic else None,
                "others": _others(near.get(row["a_id"]), row["b_id"], texts["b"]),
            }
        )
    return told


def _chosen(matches):
    """Pairs of the kind of an example and its row: at most one strong example for a b, none twice."""
    matched = matches[matches["b_id"] != ""]
    ranked = matched.sort_values(["margin", "score"], ascending=False, kind="stable", na_position="last")
    mutual = ranked[ranked["mutual"]]
    strongest = (mutual if len(mutual) else ranked).drop_duplicates("b_id").head(STRONGEST)
    rest = ranked.drop(index=strongest.index)
    weakest = rest.tail(WEAKEST)
    between = rest.drop(index=weakest.index)
    start = max((len(between) - MIDDLING) // 2, 0)
    chosen = {"strongest": strongest, "middling": between.iloc[start : start + MIDDLING], "weakest": weakest}
    chosen["unmatched"] = _alone(matches[matches["b_id"] == ""])
    return [(kind, row) for kind, own in chosen.items() for row in own.to_dict("records")]


def _alone(unmatched):
    """Rows without a partner: of the commonest reasons one each, then more of the commonest."""
    reason = unmatched["reason"].fillna("")
    turn = unmatched.groupby(reason).cumcount()
    order = pd.DataFrame({"turn": turn, "count": reason.groupby(reason).transform("size"), "reason": reason})
    order = order.sort_values(["turn", "count", "reason"], ascending=[True, False, True], kind="stable")
    return unmatched.loc[order.index[:ALONE]]


def _shares(row, names, blocks):
    """What each block adds to the score: the value and the width of its part of a bar, in percent of all that add."""
    values = [row[PREFIX + name] if known(row[PREFIX + name]) else 0.0 for name in names]
    added = float(np.maximum(values, 0).sum()) if values else 0.0
    return [
        {
            "block": name,
            "value": value,
            "width": 100 * max(value, 0.0) / added if added else 0.0,
            "colour": (blocks.index(name) if name in blocks else len(blocks)) % 8,
        }
        for name, value in zip(names, values, strict=True)
    ]


def _others(near, partner, texts):
    """The candidates that came next, with their texts."""
    if near is None:
        return []
    rows = near[near["b_id"] != partner].head(NEXT).to_dict("records")
    return [row | {"text": texts.get(row["b_id"], "")} for row in rows]
