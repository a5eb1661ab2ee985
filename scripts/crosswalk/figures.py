"""The report's figures in one style: inline SVG that takes its colours from the page, and PNG for matrices.

Nothing here holds a text that was read: figures are drawn from numbers and the names of collections and encoders. The
palette is Okabe and Ito's (2008), which colour-blind readers can tell apart; lines also differ by dash, clusters by
number, and matrices are drawn in cividis (Nunez et al., 2018), whose lightness grows with the value.
"""

import base64
import io
import re
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from PIL import Image

POINTS_AS_VECTORS = 2000  # more points than this become one embedded PNG
LEVELS = 64  # shades of a matrix; more cannot be told apart and cost bytes
CELLS = (240, 768)  # rows and columns of a matrix picture; of larger ones, evenly spaced rows and columns

INK, GRID, PAPER = "#010101", "#020202", "#030303"  # replaced by the page's own colours, see page.css
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4b4b4b", "#7a6000")
_VARIABLES = {INK: "--ink", GRID: "--line", PAPER: "--paper"} | {c: f"--c{i}" for i, c in enumerate(SERIES)}
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (3, 1, 1, 1, 1, 1)))
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "crosswalk",
    "text.parse_math": False,
    "font.size": 10,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "grid.color": GRID,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


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
    with _style():
        figure, axes = _figure(3.0)
        share = 100 * inertia["inertia"] / max(inertia["inertia"].iloc[0], 1e-12)
        axes.plot(inertia["k"], share, color=SERIES[0], lw=1.6, marker=".", ms=4)
        used = inertia["k"] == clusters
        axes.plot(inertia["k"][used], share[used], "o", ms=8, mfc=PAPER, mec=SERIES[1], mew=2)
        axes.set(xlabel="clusters k", ylabel="inertia, % of one cluster's")
        axes.set_ylim(0, 104)
        return _svg(figure, "elbow")


def cluster_map(x, y, cluster, *, explained):
    """Rows on their first two principal components, coloured by cluster and numbered at its middle.

    x, y: (n,); cluster: int (n,) from 1; explained: shares of variance of the two components. Returns SVG.
    """
    with _style():
        figure, axes = _figure(4.4)
        for number in np.unique(cluster):
            own = cluster == number
            style = {"color": SERIES[(number - 1) % len(SERIES)], "square": (number - 1) // len(SERIES) % 2 == 1}
            _points(axes, x[own], y[own], total=len(x), **style)
        for number in np.unique(cluster):
            middle = np.median(x[cluster == number]), np.median(y[cluster == number])
            axes.annotate(
                str(number), middle, ha="center", va="center", fontsize=8, weight="bold",
                bbox={"boxstyle": "circle,pad=0.2", "fc": PAPER, "ec": INK, "lw": 0.7},
            )  # fmt: skip
        for name, share in zip("xy", explained, strict=False):
            label = f"component {'xy'.index(name) + 1} ({100 * share:.0f} % of the variance)"
            axes.set(**{f"{name}label": label})
        return _svg(figure, "map")


def differences(panels, *, chance):
    """Histograms of standardised differences of means, one panel for each space, on one scale.

    panels: list of (name, values (d,)); chance: differences within +-chance are what no difference at all would give
    19 times in 20. Returns SVG.
    """
    with _style():
        figure = Figure(figsize=(5.4, 0.7 + 0.52 * len(panels)), layout="constrained")
        stack = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        reach = max(2 * chance, *(float(np.abs(values).max()) for _, values in panels)) * 1.05
        edges = np.linspace(-reach, reach, 42)
        for axes, (name, values) in zip(stack, panels, strict=True):
            axes.axvspan(-chance, chance, color=GRID, lw=0)
            axes.hist(values, bins=edges, color=SERIES[0], histtype="stepfilled")
            axes.set_yticks([])
            axes.grid(False)
            axes.spines["left"].set_visible(False)
            axes.set_ylabel(name, rotation=0, ha="right", va="center")
        stack[-1].set_xlabel("difference of means, in standard deviations of the dimension")
        return _svg(figure, "differences")


def losses(histories):
    """Training loss against epoch, a panel for each encoder, a line for each number of units and seed.

    histories: list of (encoder, dim, seed, DataFrame with epoch, loss). Returns SVG.
    """
    encoders = list(dict.fromkeys(h[0] for h in histories))
    dims = sorted({h[1] for h in histories})
    with _style():
        figure = Figure(figsize=(5.4, 0.4 + 2.3 * len(encoders)), layout="constrained")
        stack = figure.subplots(len(encoders), 1, sharex=True, squeeze=False)[:, 0]
        for axes, encoder in zip(stack, encoders, strict=True):
            own, ends = [h for h in histories if h[0] == encoder], {}
            for _, dim, _, history in own:
                axes.plot(history["epoch"], history["loss"], lw=1.3, **_line(dims.index(dim)))
                ends.setdefault(dim, (history["epoch"].iloc[-1], history["loss"].iloc[-1]))
            values = np.concatenate([h[3]["loss"] for h in own])
            if values.min() > 0 and values.max() > 20 * values.min():
                axes.set_yscale("log")
            _end_labels(figure, axes, ends)
            axes.set(ylabel="loss", title=f"{encoder}, number of units at the line's end")
            axes.title.set(fontsize=9, ha="left", x=0)
        stack[-1].set_xlabel("epoch")
        return _svg(figure, "losses")


def held_out(x, y, *, names):
    """Scores of every item on both sides of a relation, with the line of least squares.

    x, y: (n,); names: of the two collections. Returns SVG.
    """
    with _style():
        figure, axes = _figure(
            3.2, width=4.2, layout=None
        )  # one for each relation, and a layout takes most of the time
        figure.subplots_adjust(left=0.13, right=0.98, bottom=0.15, top=0.97)
        _points(axes, x, y, total=len(x), color=SERIES[0], size=2.6, alpha=0.55)
        if len(x) > 1 and np.std(x) > 0:
            slope, start = np.polyfit(x, y, 1)
            ends = np.array([np.min(x), np.max(x)])
            axes.plot(ends, start + slope * ends, color=INK, lw=1.6)
        axes.set(xlabel=f"score of {names[0]}", ylabel=f"score of {names[1]}")
        return _svg(figure, "scores")


def critical_weights(curves, *, kept):
    """Encoder weights of single units, sorted from high to low.

    curves: list of (name, weights (d,)); kept: how many by absolute value count as critical; the rest is drawn faint.
    Returns SVG.
    """
    with _style():
        figure, axes = _figure(3.0)
        ends = {}
        for i, (name, weights) in enumerate(curves):
            values = np.sort(np.asarray(weights, dtype=np.float64))[::-1]
            rank = np.arange(1, len(values) + 1)
            critical = np.argsort(np.argsort(-np.abs(values), kind="stable"), kind="stable") < kept
            style = _line(i)
            if not critical.all():
                axes.plot(rank, values, lw=0.8, alpha=0.35, **style)
            axes.plot(rank, np.where(critical, values, np.nan), lw=1.6, **style)
            ends[name] = rank[-1], values[-1]
        _end_labels(figure, axes, ends)
        axes.set(xlabel="dimensions of the embedding, sorted by weight", ylabel="encoder weight")
        return _svg(figure, "weights")


def encoders(table):
    """Median held-out correlation of each encoder beside that of principal components of equal number.

    table: DataFrame with name, median_r, pca_median_r (nan where there is none). Returns SVG.
    """
    with _style():
        figure, axes = _figure(0.9 + 0.24 * len(table))
        place = np.arange(len(table))[::-1]
        axes.hlines(place, table["median_r"], table["pca_median_r"], color=INK, lw=0.8)
        axes.plot(table["pca_median_r"], place, "s", ms=6, mfc=PAPER, mec=INK, mew=1.2, label="PCA of equal width")
        axes.plot(table["median_r"], place, "o", ms=6, color=SERIES[0], label="encoder")
        axes.set_yticks(place, table["name"])
        axes.set_ylim(-0.7, len(table) - 0.3)
        axes.set_xlim(left=min(0, *table[["median_r", "pca_median_r"]].min().fillna(0)) - 0.01)
        axes.set_xlabel("median correlation on held-out items")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        return _svg(figure, "encoders")


def _style():
    return matplotlib.rc_context(_STYLE)


def _figure(height, width=5.4, layout="constrained"):
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots()


def _line(i):
    return {"color": SERIES[i % len(SERIES)], "ls": _DASHES[i % len(_DASHES)]}


def _points(axes, x, y, *, total, color, square=False, size=3.4, alpha=0.8):
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if total > POINTS_AS_VECTORS:
        axes.scatter(x, y, s=size, color=color, alpha=alpha, lw=0, marker="s" if square else "o", rasterized=True)
        return
    # One path for all points, each a line of no length with a cap: a tenth of the bytes of a marker for each.
    stops = np.repeat(np.column_stack([x, y]), 2, axis=0)
    path = Path(stops, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    cap = "projecting" if square else "round"
    path.should_simplify = False  # which would take lines of no length for none at all
    lw = size * (0.85 if square else 1)
    patch = PathPatch(path, fill=False, color=color, lw=lw, alpha=alpha, capstyle=cap, transform=axes.transData)
    axes.add_artist(patch)  # `add_patch` would walk through every point for the limits
    axes.update_datalim([(x.min(), y.min()), (x.max(), y.max())])
    axes.autoscale_view()


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


def _svg(figure, name):
    """SVG to stand inside a page: no prologue, no dates, no addresses, colours as CSS variables."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", dpi=144, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for waste in (r"<metadata>.*?</metadata>", r"<defs>\s*<style.*?</style>\s*</defs>", r"<!--.*?-->"):
        text = re.sub(waste, "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    head = f'<svg class="{name}" viewBox="{box[0][9:-1]}" width="{float(box[1]):.0f}" height="{float(box[2]):.0f}" '
    text = head + 'aria-hidden="true">' + text[text.index(">") + 1 :]
    text = re.sub(r'<g id="[^"]*"', "<g", text).replace("xlink:href", "href")
    text = re.sub(r' transform="rotate\(-?0 [^"]*"', "", text)
    text = re.sub(r"; font-family: [^;\"]*", "", text)
    text = re.sub(r'\bd="([^"]*)"', lambda m: f'd="{_shorten(m[1])}"', text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(f": {colour}", f": var({variable})")
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def _shorten(path):
    path = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), path)
    path = re.sub(r"\s*\n\s*", " ", path).strip()
    path = re.sub(r"M (\S+) (\S+) L \1 \2(?= |$)", r"M\1 \2h0", path)
    return re.sub(r" ?([MLQCz]) ?", r"\1", path)
