"""How the report puts one relation into words: what it states, what makes less of it, what was folded into it."""

import re

from crosswalk.relations import kind_of
from crosswalk.sections import known

FALL = 0.25  # share of r that goes with the items that quote, from which quotation is warned of
UNITS = re.compile(r"(-?[0-9]+)-(-?[0-9]+)")


def statement(row, phrase, names, verb):
    """The relation in words, names in braces; the figures that end the sentence stand beside it on the page."""
    if phrase is None:
        return row["sentence"].rpartition("; r = ")[0] or row["sentence"]
    x, y = (name.replace("_", " ") for name in names)
    like = {
        side: f"nearer to {{“{str(phrase[f'{side}_phrase']).translate({123: None, 125: None})}”}}"
        for side in "xy"
        if known(phrase[f"{side}_phrase"])
    }
    start = x[:1].upper() + x[1:]
    if row["confirmed"] != 1:
        if len(like) == 2:
            return f"{start} {like['x']} and {y} {like['y']}: not known to go together"
        if "x" in like:
            return f"{start} {like['x']}: nothing in {y} is known to go with it"
        return f"{y[:1].upper()}{y[1:]} {like['y']}: nothing in {x} is known to go with it"
    if len(like) == 2:  # tested for either sign
        sign = phrase.get("sign")
        if known(sign) and sign < 0:
            like["y"] = like["y"].replace("nearer to", "farther from", 1)
        return f"{start} {like['x']} {verb} {y} {like['y']}" + ("" if known(sign) else " or farther from it")
    halves = {side: like.get(side) or _about(row[f"{side}_high"], row[f"{side}_low"]) for side in "xy"}
    return f"{start} {halves['x']} {verb} {y} {halves['y']}"


def _about(high, low):
    if high:
        return f"about {{{high}}}" + (f" (rather than {{{low}}})" if low else "")
    return f"not about {{{low}}}" if low else "of an unnamed kind"


def cautions(row, names):
    """What else may account for a relation; without the columns of cautions, nothing is said."""
    told = {"quoted": None, "explained": None, "returns": None, "doubts": []}
    if known(row.get("leak")):
        gone = row["r"] - row["r_unquoted"]
        warned = row["leak"] > 0 and known(gone) and gone >= FALL * row["r"]
        told["quoted"] = {"leak": row["leak"], "r": row["r_unquoted"], "warned": warned}
        told["doubts"] += ["rests on quotation"] if warned else []
    if known(row.get("explained_by")) and row["explained_by"]:
        side, _, column = row["explained_by"].partition(".")
        name = names["xy".index(side)].replace("_", " ") if side in ("x", "y") else ""
        told["explained"] = {"column": column, "of": name, "r": row["r_given"], "warned": row["confounded"] == 1}
        told["doubts"] += [f"{column} of {name} explains part of it"] if row["confounded"] == 1 else []
    seeds = {name: row.get(f"seed_stability_{side}") for side, name in zip("xy", names, strict=True)}
    told["returns"] = [(name.replace("_", " "), value) for name, value in seeds.items() if known(value)]
    return told


def views(also, names):
    """What was folded into a relation: a count of each kind, and the units by encoding."""
    counts, units = {"axis": 0, "concept": 0, "pair": 0, "focus": 0}, {}
    for entry in filter(None, also.split("; ")):
        family, _, pair = entry.rpartition(" ")
        kind = kind_of(family)
        counts[kind] += 1
        if kind in ("pair", "concept"):
            units.setdefault((kind, family.removeprefix("concepts-")), []).append(_unit(pair, names))
    said = [
        f"{counts[kind]} {one if counts[kind] == 1 else many}"
        for kind, one, many in (("axis", "axis", "axes"), ("concept", "concept", "concepts"))
        if counts[kind]
    ]
    pairs = sum(kind == "pair" for kind, _ in units)
    if counts["pair"]:
        whole = f"{counts['pair']} pair{'s' if counts['pair'] > 1 else ''} of units"
        said.append(f"{whole} in {pairs} encoding{'s' if pairs > 1 else ''}")
    listed = [(name if kind == "pair" else f"concepts of {name}", own) for (kind, name), own in sorted(units.items())]
    return {"said": ", ".join([*said[:-2], " and ".join(said[-2:])]), "by_encoding": listed}


def _unit(pair, names):
    """Units as people read them: "1-2" of a pair stays; of a concept's "3--1" the side that has none is left out."""
    found = UNITS.fullmatch(pair)
    sides = [(name, int(unit)) for name, unit in zip(names, found.groups(), strict=True)] if found else []
    if not sides or all(unit >= 0 for _, unit in sides):
        return pair
    return " and ".join(f"{unit} of {name.replace('_', ' ')}" for name, unit in sides if unit >= 0)
