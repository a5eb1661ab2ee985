"""Relations in words: the sentence that states one, and the table that people read."""

from collections.abc import Sequence

import numpy as np

from crosswalk.fidelity import Area, Fidelity


def sentence(
    *,
    x: str,
    y: str,
    x_high: Sequence[str] = (),
    x_low: Sequence[str] = (),
    y_high: Sequence[str] = (),
    y_low: Sequence[str] = (),
    r: float,
    interval: tuple[float, float] = (float("nan"), float("nan")),
    q: float = float("nan"),
    echo: float = float("nan"),
    beyond: float = float("nan"),
    verb: str = "tend to go with",
    unseen: bool = True,
) -> str:
    """State one relation in words; figures that are NaN are left out.

    x, y: names of the collections; x_high ... y_low: phrases; r, interval, q: the correlation, its 95 % interval and
    its false discovery rate; echo: correlation of y's score with x's trait read off y; beyond: r after x is projected
    out of y; verb: joins the halves; unseen: False when r comes from the very items that the relation was found in.
    With a negative r the ends of y change places, so that the words stay true.
    """
    if r < 0:
        y_high, y_low = y_low, y_high
    x, y = x.replace("_", " "), y.replace("_", " ")
    halves = f"{x[:1].upper()}{x[1:]} {_about(x_high, x_low)} {verb} {y} {_about(y_high, y_low)}"
    figures = f"r = {_figure(r)}"
    if not np.isnan(interval).any():
        figures += f" [{_figure(interval[0])}, {_figure(interval[1])}]"
    figures += f" on {'unseen' if unseen else 'the same'} {x}"
    if not np.isnan(q):
        figures += ", q < .001" if q < 0.001 else f", q = {_figure(q, 3)}"
    if not np.isnan(echo):
        figures += f", echo {_figure(echo)}"
    if not np.isnan(beyond):
        figures += f", beyond the echo {_figure(beyond)}"
    return f"{halves}; {figures}"


def describe_relations(relations, ends, names, *, collections, verb):
    """The table that people read: relations with names, fidelity, a sentence, and the ids of the texts shown.

    relations, ends: as in `relations.Relations`; names: {"x": [Name of each relation], "y": ...}; collections: names
    of x and y; verb: joins the halves of the sentence. Returns a DataFrame, one row for each relation.
    """
    table = relations.copy()
    for key in ("x", "y"):
        table[f"{key}_high"] = [", ".join(name.high) for name in names[key]]
        table[f"{key}_low"] = [", ".join(name.low) for name in names[key]]
        for figure in Fidelity._fields:
            column = f"{key}_fidelity" if figure == "side" else f"{key}_{figure}_fidelity"
            areas = np.array([getattr(name.measured, figure) for name in names[key]], dtype=np.float64)
            for ending, values in zip(("", "_from", "_to"), areas.reshape(-1, len(Area._fields)).T, strict=True):
                table[column + ending] = values
    table["named_by"] = [_author(x.words, y.words) for x, y in zip(names["x"], names["y"], strict=True)]
    table["sentence"] = [
        sentence(
            x=collections[0],
            y=collections[1],
            x_high=_said(names["x"][i].high, names["x"][i].words.high_gist),
            x_low=_said(names["x"][i].low, names["x"][i].words.low_gist),
            y_high=_said(names["y"][i].high, names["y"][i].words.high_gist),
            y_low=_said(names["y"][i].low, names["y"][i].words.low_gist),
            r=row.r,
            interval=(row.r_low, row.r_high),
            q=row.q,
            echo=row.echo,
            beyond=row.beyond,
            verb=verb,
        )
        for i, row in enumerate(relations.itertuples())
    ]
    ids = ends.groupby(["relation", "side", "end"], sort=False)["id"].agg("|".join)
    for key in ("x", "y"):
        for end in ("high", "low"):
            table[f"{key}_{end}_ids"] = [ids[number, key, end] for number in relations["relation"]]
    return table


def _author(x, y):
    return x.by if x.by == y.by else f"x {x.by}, y {y.by}"


def _said(phrases, gist):
    """What a sentence says of an end."""
    return [gist] if gist else phrases


def _about(high, low):
    high, low = ", ".join(high), ", ".join(low)
    if high:
        return f"about {{{high}}}" + (f" (rather than {{{low}}})" if low else "")
    return f"not about {{{low}}}" if low else "of an unnamed kind"


def _figure(value, digits=2):
    """A number between -1 and 1 without its leading zero."""
    return "unknown" if np.isnan(value) else f"{value:.{digits}f}".replace("0.", ".", 1)
