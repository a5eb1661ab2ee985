"""What the judging of a recommender leaves: the statement for people, the record, and what suggesting needs again."""

import numpy as np

from crosswalk import calibration, stacking

SHOWN = "recall_at_10"


def keep(judged):
    """Stack and calibration of each scenario as arrays for safetensors. judged: dict of scenario to Judged."""
    arrays = calibration.tensors({scenario: one.curve for scenario, one in judged.items()})
    for scenario, one in judged.items():
        if one.stack is not None:
            arrays |= {f"{scenario}.{name}": value for name, value in one.stack.tensors().items()}
    return arrays


def kept(arrays):
    """What `keep` made arrays of: stacks, dict of scenario to Stack or None, and curves, dict of scenario to Knots."""
    curves = calibration.from_tensors({name: value for name, value in arrays.items() if "." not in name})
    stacks = {}
    for scenario in curves:
        start = f"{scenario}."
        own = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
        stacks[scenario] = stacking.Stack.from_tensors(own) if own else None
    return stacks, curves


def diagnostics(works, roles, models, left_out, evaluation, entry):
    """The facts of a recommender, for the page and for records.

    works: Works; roles: uint8 (links,); models, left_out: from `fit_members`; evaluation: DataFrame; entry: config.
    Returns a dict that JSON can hold, with a `statement` in plain words.
    """
    names = ("fitted", "known_validation", "known_test", "new_validation", "new_test")
    hidden = dict(zip(names, np.bincount(roles, minlength=len(names)).tolist(), strict=True))
    return {
        "works": len(works.ids),
        "tagged": int((np.diff(works.links.indptr) > 0).sum()),
        "subjects": len(works.labels),
        "links": int(works.links.nnz),
        "hidden": hidden,
        "members": list(models),
        "left_out": left_out,
        "model": entry["model"],
        "statement": statement(evaluation, entry["model"], left_out),
    }


def statement(evaluation, model, left_out):
    """How good the suggestions are, in plain words.

    evaluation: DataFrame of `judge`, of one scenario or of both; model: the one that suggests; left_out: dict.
    """
    said = []
    told = {"known": "a hidden subject of a work", "new": "the subjects of a work that has none yet"}
    for scenario, what in told.items():
        own = evaluation[(evaluation["scenario"] == scenario) & (evaluation["works"] == "all")].set_index("model")
        if not len(own):
            continue
        name = model if model in own.index else "popularity"
        found = own.loc[name]
        plain = own.loc["popularity", SHOWN]
        said.append(
            f"{found[SHOWN]:.0%} of {what} stand among ten suggestions [{found[f'{SHOWN}_low']:.0%}, "
            f"{found[f'{SHOWN}_high']:.0%}]; the ten most frequent subjects hold {plain:.0%}"
            if scenario == "new"
            else f"{what} stands among ten suggestions in {found[SHOWN]:.0%} of cases [{found[f'{SHOWN}_low']:.0%}, "
            f"{found[f'{SHOWN}_high']:.0%}], among the ten most frequent subjects in {plain:.0%}"
        )
    said = [line[0].upper() + line[1:] + "." for line in said]
    said += [f"Without {name}: {reason}" for name, reason in left_out.items()]
    return " ".join(said)


def records(table):
    """The rows of a DataFrame as dicts that JSON can hold: NaN becomes None."""
    return table.astype(object).where(table.notna(), None).to_dict("records")
