"""Points of a sweep side by side: chosen by links hidden for validation, told by links hidden for the test."""

import numpy as np
import pandas as pd

from crosswalk import ranking, splits
from crosswalk.recommend_study import ROLES, WANTED, scenarios
from crosswalk.recommender import BATCH
from crosswalk.threads import in_batches

SWEPT = ("dim", "epochs", "batch_size", "prior")
MEASURE = f"recall_at_{WANTED}"
ENDS = ("", "_low", "_high")
COLUMNS = ["point", *SWEPT, MEASURE, "low", "high", "log_loss", "validation", "chosen"]
COLUMNS += [f"{MEASURE}_new{end}" for end in ENDS]
ABLATION = ["prior", *(f"{MEASURE}_{scenario}{end}" for scenario in ROLES for end in ENDS)]


def merits(works, roles, model, *, scenario, test):
    """What one model alone finds of the links hidden from known or from new works: dict of float32 arrays.

    works: Works; roles: uint8 (links,); scenario: "known" or "new"; test: the links of the test, or of the validation.
    """
    rows, hidden = splits.hidden(works.links, roles, ROLES[scenario][test])
    visible = splits.visible(works.links, roles)

    def listed(some):
        queries = works.queries(some, visible, new=scenario == "new")
        return ranking.top(model.score(queries), queries.links, WANTED)

    lists = list(in_batches(listed, rows, size=BATCH, told=f"{scenario} works"))
    return ranking.judge(np.concatenate(lists), hidden)


def compare(works, roles, models, points, facts, *, seed):
    """Judge the models of all points.

    models: of the points, in any iterable, read one at a time; points: dict of name to dict of dim, epochs, batch_size
    and prior (list of names); facts: of each point, dict with log_loss and gates; seed: integer.
    Returns the sweep, a DataFrame with COLUMNS: recall@10 of known works of the test with its interval, of new works,
    and the mean of both on the works for validation, by which the point is `chosen`.
    """
    rows = []
    for (name, point), model, fact in zip(points.items(), models, facts, strict=True):
        own = scenarios(roles)
        validation = [merits(works, roles, model, scenario=s, test=False)[MEASURE].mean() for s in own]
        told = {s: ranking.summary(merits(works, roles, model, scenario=s, test=True), seed=seed) for s in own}
        row = {"point": name, **point, "prior": "+".join(point["prior"]) or "none"}
        ends = {"known": (MEASURE, "low", "high"), "new": [f"{MEASURE}_new{end}" for end in ENDS]}
        for scenario, found in told.items():
            row |= {key: found[f"{MEASURE}{end}"] for key, end in zip(ends[scenario], ENDS, strict=True)}
        row |= {f"gate_{name}": gate for name, gate in (fact.get("gates") or {}).items()}
        rows.append(row | {"validation": float(np.mean(validation)), "log_loss": fact.get("log_loss")})
    gates = sorted({name for row in rows for name in row if name.startswith("gate_")})
    table = pd.DataFrame(rows, columns=[*(column for column in COLUMNS if column != "chosen"), *gates])
    best = table["validation"].to_numpy(float).argmax() if len(table) else -1
    return table.assign(chosen=np.arange(len(table)) == best)[[*COLUMNS, *gates]]


def ablation(sweep):
    """What each prior is worth: the points that differ from the chosen one in it alone, DataFrame with ABLATION.

    Empty if no other prior was tried.
    """
    if not len(sweep):
        return pd.DataFrame(columns=ABLATION)
    best = sweep[sweep["chosen"]].iloc[0]
    same = (sweep[["dim", "epochs", "batch_size"]] == best[["dim", "epochs", "batch_size"]]).all(axis=1)
    own = sweep[same].rename(
        columns={MEASURE: f"{MEASURE}_known", "low": f"{MEASURE}_known_low", "high": f"{MEASURE}_known_high"}
    )
    gates = [column for column in sweep.columns if column.startswith("gate_")]
    return own[[*ABLATION, *gates]].reset_index(drop=True) if len(own) > 1 else pd.DataFrame(columns=ABLATION)
