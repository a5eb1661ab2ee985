"""What the report says of what was tested: search by search, what could have been found, and how items were grouped."""

from itertools import groupby

from crosswalk import relate_figures as figures
from crosswalk.components import component_count
from crosswalk.relations import kind_of
from crosswalk.sections import known, short

# What searches look for, in the order in which they are told.
KINDS = {"axis": "axes", "concept": "concepts of ", "pair": "pairs of units of ", "focus": "phrases"}
ORDER = list(figures.LISTS)
GIANT = 0.1  # share of the items in one block from which it is told with a warning, as `grouping` does


def tested_section(s, config):
    """What was tested of a Study: `lists`, what each could have found; `searches`, the rows of the table with a figure
    of all candidates; `left_out`; `overlap`, how far axes come back; `grouping`; `quotations`; `echo`.
    """
    told = {
        "lists": {name: {"tested": int(n), "least_r": None, "power": None} for name, n in _counts(s.tested).items()},
        "kinds": {kind_of(family) for family in s.tested["family"].unique()},
        "searches": [],
        "by_list": [],
        "figure": None,
        "left_out": s.searches.get("left_out", []),
        "overlap": _overlap(s, config),
        "grouping": _grouping(s.grouping, (config["x"], config["y"])),
        "quotations": s.quotations,
        "echo": s.echo,
    }
    if s.power is None or s.power.empty:
        return told
    one_seed = s.power["search"].nunique() == s.power["search"].map(short).nunique()
    for row in s.power.to_dict("records"):
        whole = row["search"] == "all"
        if whole:
            told["lists"][row["list"]] = {"tested": int(row["tested"]), "least_r": row["least_r_list"], "power": row}
        told["searches"].append(row | {"whole": whole, "name": _search(row, one_seed)})
    told["searches"].sort(
        key=lambda row: (
            ORDER.index(row["list"]),
            row["whole"],
            list(KINDS).index(row["kind"]) if row["kind"] in KINDS else -1,
        )
    )
    by_list = groupby(told["searches"], key=lambda row: row["list"])
    told["by_list"] = [(figures.LISTS[name], list(rows)) for name, rows in by_list]
    told["figure"] = _candidates(s.tested, told["by_list"])
    return told


def _counts(tested):
    return tested["list"].value_counts().to_dict() if "list" in tested else {"plain": len(tested)}


def _search(row, one_seed):
    if row["search"] == "all":
        return "together"
    encoding = row["search"].removeprefix("concepts-")
    name = KINDS[row["kind"]]
    return name + (short(encoding) if one_seed else encoding) if name.endswith(" ") else name


def _candidates(tested, by_list):
    """A figure of the held-out r of every candidate, search by search."""
    family = tested["family"].map(lambda name: "focus" if kind_of(name) == "focus" else name)
    panels = []
    for title, rows in by_list:
        panel = []
        for row in rows:
            own = tested[(tested["list"] == row["list"]) & (family == row["search"])]
            if not row["whole"]:
                sure, view = own["confirmed"].to_numpy(bool), own["view_of"].to_numpy() >= 0
                panel.append((row["name"], own["r"].to_numpy(), sure, view, row["least_r_list"]))
        panels.append((title, panel))
    return figures.candidates(panels)


def _overlap(s, config):
    """How far axes of disjoint halves agree, one by one and as a space; None if it was not measured."""
    lists = {name: facts["overlap"] for name, facts in s.overlap.items() if facts.get("overlap")}
    if not lists:
        return None
    single = s.tested[s.tested["family"] == "axes"].groupby("list")["stability"].median()
    components = component_count(s.grouping["items"], config.get("components")) if s.grouping else None
    rows = [
        {"list": name, "axes": len(shares), "share": shares[-1], "single": single.get(name)}
        for name, shares in lists.items()
    ]
    chance = [min(1.0, k / components) for k in range(1, 1 + max(map(len, lists.values())))] if components else None
    return {"rows": rows, "chance": chance, "components": components, "figure": figures.overlap(lists, chance=chance)}


def _grouping(facts, names):
    """How items were grouped, and what else is known of them; None if that was not recorded."""
    if not facts:
        return None
    covariates = [
        {"column": column, "of": names["xy".index(side)].replace("_", " "), **own}
        for key, own in facts["covariates"].items()
        for side, _, column in [key.partition(".")]
    ]
    copies = [
        {"name": name.replace("_", " "), **facts["copies"][side]}
        for side, name in zip("xy", names, strict=True)
        if side in facts.get("copies", {})
    ]
    return {
        **facts,
        "copies": copies,
        "giant": facts["largest_block"] > max(1, GIANT * facts["items"]),
        "level_count": max(facts.get("levels", {}).values(), default=0),
        "listed": [c for c in covariates if c["use"] == "listed"],
        "watched": [c for c in covariates if c["use"] == "watched"],
        "unused": [c for c in covariates if not known(c.get("kind")) and c["use"] == "left out"],
    }
