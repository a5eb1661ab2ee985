"""Figures of a recommender: how good each model is, whether probabilities hold, training, sweeps, and maps.

Nothing here draws a text that was read: the names of a map's dense places are laid out here and written by the page,
which escapes them. Known and new works differ by colour and shape, models and points of a sweep by their names.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from crosswalk import svg

SCENARIOS = ("known", "new")
MARKS = {"known": ("o", svg.SERIES[0]), "new": ("s", svg.SERIES[1])}
WIDTH, HEIGHT = 5.4, 4.6  # inches of a map
FLUNG = 0.002  # share of the points beyond each limit of a map, which are drawn at its edge
LINES = 6  # points of a sweep whose training is drawn
TYPE = 9.0  # points of the names on a map, as page.css has them
LINE, LETTER, WIDE = 1.25, 0.62, 1.1  # heights and widths of a letter, in sizes of type
LONGEST = 30  # letters of a name on a map
FEW = 300  # points below which there is room for larger dots
SIZES = (1.6, 2.6, 3.8, 5.4)  # of a dot, by how many works bear the subject


class Map(NamedTuple):
    """A map without its names: SVG, and names with places in the units of its viewBox, for the page to write."""

    svg: str
    names: list


def recall(table, *, names) -> str:
    """Recall@10 of each model with its interval, for known and for new works.

    table: DataFrame with scenario, label, recall_at_10, recall_at_10_low, recall_at_10_high; names: scenario -> what
    its works are called. Models stand in the order of their best recall. Returns SVG.
    """
    best = table.groupby("label", sort=False)["recall_at_10"].max().sort_values(kind="stable")
    place = {label: i for i, label in enumerate(best.index)}
    with svg.style():
        figure, axes = svg.canvas(0.95 + 0.33 * len(place))
        shown = [name for name in SCENARIOS if (table["scenario"] == name).any()]
        for name in shown:
            own = table[table["scenario"] == name]
            shift = 0.0 if len(shown) == 1 else 0.15 if name == "known" else -0.15
            y = own["label"].map(place).to_numpy(float) + shift
            mark, colour = MARKS[name]
            axes.hlines(
                y, *(100 * own[f"recall_at_10_{end}"] for end in ("low", "high")), color=colour, lw=2.2, alpha=0.45
            )
            axes.plot(100 * own["recall_at_10"], y, mark, ms=5, color=colour, mew=0, label=names[name])
        axes.set_yticks(list(place.values()), list(place))
        axes.set_ylim(-0.6, len(place) - 0.4)
        axes.set_xlim(0, None)
        axes.set_xlabel("hidden subjects found among ten suggestions, %")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        return svg.write(figure, "recall")


def reliability(table, *, names) -> str:
    """How often suggestions of each probability are right, with intervals.

    table: DataFrame with scenario, probability, observed, low, high, all from 0 to 1; names: scenario -> what its works
    are called. Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(4.2)
        axes.plot([0, 100], [0, 100], color=svg.INK, lw=0.8, ls=(0, (4, 3)))
        for name in SCENARIOS:
            own = table[table["scenario"] == name].sort_values("probability")
            if own.empty:
                continue
            mark, colour = MARKS[name]
            x, y = 100 * own["probability"], 100 * own["observed"]
            axes.vlines(x, 100 * own["low"], 100 * own["high"], color=colour, lw=2.2, alpha=0.45)
            axes.plot(x, y, marker=mark, ms=5, mew=0, color=colour, lw=1, label=names[name])
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="probability given, %", ylabel="of these right, %")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        return svg.write(figure, "reliability")


def training(history, columns: Sequence[tuple[str, str]], *, names) -> str:
    """Values by epoch, a panel for each column, a line for each point of the sweep.

    history: DataFrame with point, epoch and the columns; columns: pairs of a column and its words; names: point -> what
    it is called, in the order of the legend. Returns SVG.
    """
    with svg.style():
        rows = 0.2 * len(names) if len(names) > 1 else 0
        figure = Figure(figsize=(5.4, 0.5 + rows + 2.1 * len(columns)), layout="constrained")
        stack = figure.subplots(len(columns), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (column, words) in zip(stack, columns, strict=True):
            for i, (point, name) in enumerate(names.items()):
                own = history[(history["point"] == point) & history[column].notna()].sort_values("epoch")
                few = {"marker": ".", "ms": 4} if len(own) < 30 else {}
                label = name if axes is stack[0] else None
                axes.plot(own["epoch"], own[column], lw=1.4, label=label, **few, **svg.line(i))
            values = history[column].dropna()
            if len(values) and values.min() > 0 and values.max() > 20 * values.min():
                axes.set_yscale("log")
            axes.set_ylabel(words)
        stack[-1].set_xlabel("epoch")
        stack[-1].xaxis.get_major_locator().set_params(integer=True)
        if len(names) > 1:
            figure.legend(loc="outside upper left", ncols=1, frameon=False, fontsize=9)
        return svg.write(figure, "training")


def sweep(table, settings: Sequence[tuple[str, str]]) -> str:
    """Recall@10 of each point of a sweep, a panel for each setting; lines join points that share all other settings.

    table: DataFrame with the settings, recall_at_10, low, high; settings: pairs of a column and its words. Returns SVG.
    """
    with svg.style():
        figure = Figure(figsize=(5.4, 0.3 + 2.5 * len(settings)), layout="constrained")
        stack = figure.subplots(len(settings), 1, sharey=True, squeeze=False)[:, 0]
        for axes, (column, words) in zip(stack, settings, strict=True):
            others = [c for c, _ in settings if c != column]
            _against(axes, table, column, others)
            axes.set(xlabel=words, ylabel="recall@10, %")
            if others and len(axes.lines) <= LINES:
                title = ", ".join(w for c, w in settings if c != column)
                axes.legend(
                    title=title, bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False, fontsize=8, title_fontsize=8
                )
        return svg.write(figure, "sweep")


def _against(axes, table, column, others):
    """Draw recall@10 against one setting, a line for each combination of the others."""
    values = sorted(set(table[column]), key=lambda v: (len(v), v) if isinstance(v, str) else v)
    lines = list(table.groupby(others, sort=True)) if others else [((), table)]
    for i, (key, own) in enumerate(lines):
        shift = 0.3 * (i + 0.5) / len(lines) - 0.15 if len(lines) > 1 else 0
        own = own.assign(place=own[column].map({v: j + shift for j, v in enumerate(values)})).sort_values("place")
        style = svg.line(i)
        axes.vlines(own["place"], 100 * own["low"], 100 * own["high"], color=style["color"], lw=2.2, alpha=0.4)
        label = ", ".join(str(v) for v in key)
        axes.plot(own["place"], 100 * own["recall_at_10"], marker="o", ms=4.5, mew=0, lw=1, label=label, **style)
    axes.set_xticks(range(len(values)), [str(v).replace(" + ", " +\n") for v in values])
    axes.set_xlim(-0.5, len(values) - 0.5)


def named_map(points, names, *, weights=None) -> Map:
    """Rows in a plane whose directions mean nothing, and where the names of dense places are to stand.

    points: (n, 2); names: (label, x, y), the most important first; weights: (n,), the larger the dot. Names that find
    no room are left out. Returns Map, its names as dicts of label, x and y.
    """
    points = np.asarray(points, dtype=float).reshape(-1, 2)
    low, high = np.quantile(points, [FLUNG, 1 - FLUNG], axis=0)
    size = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=float)
    steps = np.digitize(size, np.quantile(size, [0.5, 0.9, 0.99])) if weights is not None else np.zeros(len(size), int)
    with svg.style():
        figure, axes = svg.canvas(HEIGHT, width=WIDTH, layout=None)
        figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.98)
        margin = 0.06 * np.where(high > low, high - low, 2.0)
        axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
        inside = np.clip(points, low - 0.8 * margin, high + 0.8 * margin)
        many = len(points) > svg.POINTS_AS_VECTORS
        for step in np.unique(steps):
            width = SIZES[step] if weights is not None else SIZES[0] if many else SIZES[2]
            width, own = width + (len(points) < FEW), steps == step
            # As an image, the size of a dot is that of its area.
            style = {"size": width**2, "alpha": 0.35} if many else {"size": width, "alpha": 0.55}
            svg.dots(axes, *inside[own].T, total=len(points), color=svg.SERIES[0], **style)
        places = np.clip([[x, y] for _, x, y in names], low, high) if len(names) else np.empty((0, 2))
        # From data to the units of the viewBox, in which y runs down.
        units = axes.transData.transform(places) * 72 / figure.dpi if len(places) else places
        drawn = svg.write(figure, "places")
    labels = [shortened(label) for label, _, _ in names]
    return Map(drawn, laid_out(labels, [(x, 72 * HEIGHT - y) for x, y in units]))


def shortened(label) -> str:
    """A label that a map has room for: without control characters, cut at LONGEST."""
    label = " ".join("".join(c if c.isprintable() else " " for c in str(label)).split())
    return label if len(label) <= LONGEST else label[: LONGEST - 1].rstrip() + "…"


def laid_out(labels: Sequence[str], places) -> list[dict]:
    """Places of labels on a map so that none overlaps another, the first first; dicts of label, x, y (its middle).

    labels: n strings; places: (n, 2) in units of the viewBox. A label may move up or down by two lines; one that still
    finds no room is left out.
    """
    taken, found = [], []
    for label, (x, y) in zip(labels, places, strict=True):
        half = TYPE * sum(WIDE if unicodedata.east_asian_width(c) in "WF" else LETTER for c in label) / 2
        x = min(max(x, half + 1), 72 * WIDTH - half - 1)
        for lines in (0, 1, -1, 2, -2):
            middle = y + lines * TYPE * LINE
            box = (x - half, x + half, middle - TYPE * LINE / 2, middle + TYPE * LINE / 2)
            apart = all(box[0] > b[1] or box[1] < b[0] or box[2] > b[3] or box[3] < b[2] for b in taken)
            if apart and box[2] >= 0 and box[3] <= 72 * HEIGHT:
                taken.append(box)
                found.append({"label": label, "x": round(x, 1), "y": round(middle, 1)})
                break
    return found
