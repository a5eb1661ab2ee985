"""The style of every figure: inline SVG that takes its colours from the page, in stable bytes.

The palette is Okabe and Ito's (2008), which colour-blind readers can tell apart. Nothing here holds a text that was
read.
"""

import io
import re

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

POINTS_AS_VECTORS = 2000  # more points than this become one embedded PNG

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


def style():
    """The context in which a figure is drawn."""
    return matplotlib.rc_context(_STYLE)


def canvas(height, width=5.4, layout="constrained"):
    """A figure of so many inches, and its axes. A layout takes most of the time; None does without."""
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots()


def line(i):
    """Colour and dashes of line i."""
    return {"color": SERIES[i % len(SERIES)], "ls": _DASHES[i % len(_DASHES)]}


def dots(axes, x, y, *, total, color, square=False, size=3.4, alpha=0.8):
    """Draw points: round or square, as vectors, or as one image where the figure has more than POINTS_AS_VECTORS.

    x, y: (n,) in data; total: points in the whole figure; size: in points of type.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if total > POINTS_AS_VECTORS:
        axes.scatter(x, y, s=size, color=color, alpha=alpha, lw=0, marker="s" if square else "o", rasterized=True)
        return
    # One path for all points, each a line of no length with a cap: a tenth of the bytes of a marker for each.
    cap, lw = ("projecting", 0.85 * size) if square else ("round", size)
    strokes(axes, *[np.column_stack([x, y])] * 2, color=color, lw=lw, alpha=alpha, capstyle=cap)
    axes.update_datalim([(x.min(), y.min()), (x.max(), y.max())])
    axes.autoscale_view()


def crosses(figure, axes, x, y, *, color, size=4.0, lw=0.9, alpha=0.8):
    """Draw points as upright crosses, as vectors; the limits of the axes must be set and the figure without a layout.

    x, y: (n,) in data; size: of an arm's full length, in points of type.
    """
    middle = axes.transData.transform(np.column_stack([x, y])) / figure.dpi  # in inches, which no other dpi moves
    arms = np.array([[size, 0.0], [0.0, size]]) / 144
    starts, ends = (np.concatenate([middle + way * arm for arm in arms]) for way in (-1, 1))
    strokes(axes, starts, ends, color=color, lw=lw, alpha=alpha, transform=figure.dpi_scale_trans)


def strokes(axes, starts, ends, *, color, lw, alpha=1.0, capstyle="butt", transform=None):
    """Draw straight lines as one path, without moving the limits. starts, ends: (n, 2)."""
    path = Path(np.stack([starts, ends], axis=1).reshape(-1, 2), np.tile([Path.MOVETO, Path.LINETO], len(starts)))
    path.should_simplify = False  # which would take lines of no length for none at all
    style = {"color": color, "lw": lw, "alpha": alpha, "capstyle": capstyle}
    # `add_patch` would walk through every point for the limits.
    axes.add_artist(PathPatch(path, fill=False, transform=transform or axes.transData, **style))


def number(axes, value, place):
    """Write a number in a ring at a place of the data."""
    axes.annotate(
        str(value), place, ha="center", va="center", fontsize=8, weight="bold",
        bbox={"boxstyle": "circle,pad=0.2", "fc": PAPER, "ec": INK, "lw": 0.7},
    )  # fmt: skip


def write(figure, name):
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
    path = re.sub(r"M (\S+) (\S+) L (\S+) \2(?= |$)", r"M\1 \2H\3", path)
    path = re.sub(r"M (\S+) (\S+) L \1 (\S+)(?= |$)", r"M\1 \2V\3", path)
    return re.sub(r" ?([MLQCHVz]) ?", r"\1", path)
