"""The report's figures of a collection and its encoders, and matrices as PNG; the style is that of `svg`.

Nothing here holds a text that was read: figures are drawn from numbers and the names of collections and encoders. Lines
differ by colour and dash, clusters by number, and matrices are drawn in cividis (Nunez et al., 2018), whose lightness
grows with the value.
"""

import base64
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from crosswalk import svg

LEVELS = 64  # shades of a matrix; more cannot be told apart and cost bytes
MERITS = {"held_out": "unseen variance", "stability": "units that come back", "merit": "product"}
CELLS = (240, 768)  # rows and columns of a matrix picture; of larger ones, evenly spaced rows and columns


@dataclass(frozen=True)
class Picture:
    """A matrix as PNG in a data URI; low and high, the values of its darkest and lightest shade; its shape."""

    uri: str
    low: float
    high: float
    rows: int
    columns: int


def matrix(values, *, limit=None):
    """Draw a matrix, one pixel for each cell, dark for low and light for high.

    values: (n, m); nan is left transparent; limit: shades run from -limit to limit (default: so far that at most one
    value in a hundred is beyond). A matrix larger than CELLS is shown by evenly spaced rows and columns.
    """
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    for axis, most in enumerate(CELLS):
        if values.shape[axis] > most:
            keep = np.linspace(0, values.shape[axis] - 1, most).round().astype(int)
            values = values.take(keep, axis=axis)
    known = np.abs(values[np.isfinite(values)])
    limit = float(limit if limit is not None else (np.quantile(known, 0.99) if known.size else 1.0)) or 1.0
    shade = np.clip((values + limit) / (2 * limit) * LEVELS, 0, LEVELS - 1)
    pixels = np.where(np.isfinite(values), np.nan_to_num(shade), LEVELS).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture.putpalette(_palette())
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True, transparency=LEVELS)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Picture(uri, -limit, limit, *values.shape)


def elbow(inertia, *, clusters):
    """Inertia of k-means against k, as a share of one cluster's; the number of clusters in use is marked.

    inertia: DataFrame with k, inertia. Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(3.0)
        share = 100 * inertia["inertia"] / max(inertia["inertia"].iloc[0], 1e-12)
        axes.plot(inertia["k"], share, color=svg.SERIES[0], lw=1.6, marker=".", ms=4)
        used = inertia["k"] == clusters
        axes.plot(inertia["k"][used], share[used], "o", ms=8, mfc=svg.PAPER, mec=svg.SERIES[1], mew=2)
        axes.set(xlabel="clusters k", ylabel="inertia, % of one cluster's")
        axes.set_ylim(0, 104)
        return svg.write(figure, "elbow")


def cluster_map(x, y, cluster, *, explained):
    """Rows on their first two principal components, coloured by cluster and numbered at its middle.

    x, y: (n,); cluster: int (n,) from 1; explained: shares of variance of the two components. Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(4.4)
        for number in np.unique(cluster):
            own = cluster == number
            turn, colour = divmod(number - 1, len(svg.SERIES))
            svg.dots(axes, x[own], y[own], total=len(x), color=svg.SERIES[colour], square=turn % 2 == 1)
        for number in np.unique(cluster):
            svg.number(axes, number, (np.median(x[cluster == number]), np.median(y[cluster == number])))
        for name, share in zip("xy", explained, strict=False):
            label = f"component {'xy'.index(name) + 1} ({100 * share:.0f} % of the variance)"
            axes.set(**{f"{name}label": label})
        return svg.write(figure, "map")


def differences(panels, *, chance):
    """Histograms of standardised differences of means, one panel for each space, on one scale.

    panels: list of (name, values (d,)); chance: differences within +-chance are what no difference at all would give
    19 times in 20. Returns SVG.
    """
    with svg.style():
        figure = Figure(figsize=(5.4, 0.7 + 0.52 * len(panels)), layout="constrained")
        stack = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        reach = max(2 * chance, *(float(np.abs(values).max()) for _, values in panels)) * 1.05
        edges = np.linspace(-reach, reach, 42)
        for axes, (name, values) in zip(stack, panels, strict=True):
            axes.axvspan(-chance, chance, color=svg.GRID, lw=0)
            axes.hist(values, bins=edges, color=svg.SERIES[0], histtype="stepfilled")
            axes.set_yticks([])
            axes.grid(False)
            axes.spines["left"].set_visible(False)
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
        stack[-1].set_xlabel("difference of means, in standard deviations of the dimension")
        return svg.write(figure, "differences")


def losses(histories):
    """Training loss against epoch, a panel for each encoder, a line for each number of units and seed.

    histories: list of (encoder, dim, seed, DataFrame with epoch, loss). Returns SVG.
    """
    encoders = list(dict.fromkeys(h[0] for h in histories))
    dims = sorted({h[1] for h in histories})
    with svg.style():
        figure = Figure(figsize=(5.4, 0.4 + 2.3 * len(encoders)), layout="constrained")
        stack = figure.subplots(len(encoders), 1, sharex=True, squeeze=False)[:, 0]
        for axes, encoder in zip(stack, encoders, strict=True):
            own, ends = [h for h in histories if h[0] == encoder], {}
            for _, dim, _, history in own:
                axes.plot(history["epoch"], history["loss"], lw=1.3, **svg.line(dims.index(dim)))
                ends.setdefault(dim, (history["epoch"].iloc[-1], history["loss"].iloc[-1]))
            values = np.concatenate([h[3]["loss"] for h in own])
            if values.min() > 0 and values.max() > 20 * values.min():
                axes.set_yscale("log")
            _end_labels(figure, axes, ends)
            axes.set(ylabel="loss", title=f"{encoder}, number of units at the line's end")
            axes.title.set(fontsize=9, ha="left", x=0)
        stack[-1].set_xlabel("epoch")
        return svg.write(figure, "losses")


def choices(tables):
    """What each number of units is worth, a panel for each encoder: the one with the greatest merit is marked.

    tables: name of an encoder -> DataFrame with units, held_out, stability, merit, chosen. Returns SVG.
    """
    with svg.style():
        figure = Figure(figsize=(5.4, 0.7 + 1.9 * len(tables)), layout="constrained")
        stack = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
        for axes, (encoder, table) in zip(stack, tables.items(), strict=True):
            for i, (column, label) in enumerate(MERITS.items()):
                own = label if axes is stack[0] else None
                axes.plot(table["units"], table[column], marker=".", ms=5, lw=1.6, label=own, **svg.line(i))
            best = table[table["chosen"]]
            axes.plot(best["units"], best["merit"], "o", ms=8, mfc=svg.PAPER, mec=svg.INK, mew=1.6)
            axes.set_xscale("log", base=2)
            axes.set_xticks(table["units"], table["units"].astype(str))
            axes.set_ylim(min(0, table["held_out"].min()) - 0.03, 1.03)
            axes.set(ylabel="share", title=encoder)
            axes.title.set(fontsize=9, ha="left", x=0)
        stack[-1].set_xlabel("units")
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        return svg.write(figure, "choices")


def critical_weights(curves, *, kept):
    """Encoder weights of single units, sorted from high to low.

    curves: list of (name, weights (d,)); kept: how many by absolute value count as critical; the rest is drawn faint.
    Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(3.0)
        ends = {}
        for i, (name, weights) in enumerate(curves):
            values = np.sort(np.asarray(weights, dtype=np.float64))[::-1]
            rank = np.arange(1, len(values) + 1)
            critical = np.argsort(np.argsort(-np.abs(values), kind="stable"), kind="stable") < kept
            style = svg.line(i)
            if not critical.all():
                axes.plot(rank, values, lw=0.8, alpha=0.35, **style)
            axes.plot(rank, np.where(critical, values, np.nan), lw=1.6, **style)
            ends[name] = rank[-1], values[-1]
        _end_labels(figure, axes, ends)
        axes.set(xlabel="dimensions of the embedding, sorted by weight", ylabel="encoder weight")
        return svg.write(figure, "weights")


def _end_labels(figure, axes, ends):
    """Write a name beside the end of each line, moved apart where they would overlap."""
    figure.draw_without_rendering()
    order = sorted(ends, key=lambda name: ends[name][1])
    places = axes.transData.transform([ends[name] for name in order])
    heights = places[:, 1] * 72 / figure.dpi
    steps = 10.0 * np.arange(len(order))
    spread = np.maximum.accumulate(heights - steps) + steps  # the least heights that are a step apart
    spread -= (spread - heights).mean()
    for name, up, down in zip(order, spread, heights, strict=True):
        axes.annotate(
            str(name), ends[name], xytext=(5, up - down), textcoords="offset points",
            va="center", fontsize=8, annotation_clip=False,
        )  # fmt: skip


def _palette():
    shades = matplotlib.colormaps["cividis"](np.linspace(0, 1, LEVELS))[:, :3]
    return [*(np.round(shades * 255).astype(int).ravel().tolist()), 255, 255, 255]
