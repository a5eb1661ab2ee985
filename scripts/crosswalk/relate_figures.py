"""The report's figures of relations; the style is that of `svg`. They are drawn from numbers and names, never texts."""

import numpy as np
from matplotlib.figure import Figure

from crosswalk import svg

LISTS = {"plain": "what goes with what", "beyond": "beyond the echo", "focus": "phrases"}


def held_out(x, y, *, names):
    """Scores of every item on both sides of a relation, with the line of least squares.

    x, y: (n,); names: of the two collections. Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(3.2, width=4.2, layout=None)  # one for each relation
        figure.subplots_adjust(left=0.13, right=0.98, bottom=0.15, top=0.97)
        svg.dots(axes, x, y, total=len(x), color=svg.SERIES[0], size=2.6, alpha=0.55)
        if len(x) > 1 and np.std(x) > 0:
            slope, start = np.polyfit(x, y, 1)
            ends = np.array([np.min(x), np.max(x)])
            axes.plot(ends, start + slope * ends, color=svg.INK, lw=1.6)
        axes.set(xlabel=f"score of {names[0]}", ylabel=f"score of {names[1]}")
        return svg.write(figure, "scores")


def encoders(table):
    """Median held-out correlation of each encoder beside that of principal components of equal number.

    table: DataFrame with name, median_r, pca_median_r (nan where there is none). Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(0.9 + 0.24 * len(table))
        _beside(axes, table["name"], table["median_r"], table["pca_median_r"])
        axes.set_xlabel("median correlation on held-out items")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        return svg.write(figure, "encoders")


def restored(table, *, names):
    """Share of unseen rows' variance that each encoder gives back, beside principal components, a panel for each side.

    table: DataFrame with name and held_out_x, pca_held_out_x, held_out_y, pca_held_out_y (nan where not measured);
    names: of the two collections. Returns SVG.
    """
    with svg.style():
        figure = Figure(figsize=(5.4, 1.1 + 0.24 * len(table)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, side, name in zip(panels, "xy", names, strict=True):
            _beside(axes, table["name"], 100 * table[f"held_out_{side}"], 100 * table[f"pca_held_out_{side}"])
            axes.set(xlabel="% of unseen variance", title=name.replace("_", " "))
            axes.title.set_fontsize(9)
        limits = [axes.get_xlim() for axes in panels]
        for axes in panels:
            axes.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
        return svg.write(figure, "restored")


def candidates(lists):
    """Held-out r of every candidate, a panel for each list, in it a line for each search.

    lists: of (name, searches), a search being (name, r (m,), confirmed (m,) bool, view (m,) bool, least r that would be
    confirmed alone or nan). Returns SVG.
    """
    with svg.style():
        sizes = [len(searches) for _, searches in lists]
        figure = Figure(figsize=(5.4, 0.6 + sum(0.4 + 0.3 * size for size in sizes)), layout="constrained")
        ratios = [size + 0.3 for size in sizes]
        stack = figure.subplots(len(lists), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        for axes, (title, searches) in zip(stack, lists, strict=True):
            for place, (_, r, confirmed, view, least) in zip(range(len(searches))[::-1], searches, strict=True):
                height, rest = place + 0.24 * _spread(len(r)), ~confirmed & ~view
                axes.plot(r[view], height[view], ".", ms=2.5, color=svg.INK, alpha=0.45)
                axes.plot(r[rest], height[rest], "o", ms=3.8, alpha=0.7, mfc="none", mec=svg.INK, mew=0.7)
                axes.plot(r[confirmed], height[confirmed], "o", ms=4.6, color=svg.SERIES[0], alpha=0.9)
                if np.isfinite(least):
                    axes.plot([least, least], [place - 0.4, place + 0.4], color=svg.SERIES[1], lw=2)
            axes.set_yticks(range(len(searches))[::-1], [name for name, *_ in searches])
            axes.set_ylim(-0.6, len(searches) - 0.4)
            axes.axvline(0, color=svg.INK, lw=0.7)
            axes.set_title(title, loc="left", fontsize=9)
        stack[-1].set_xlabel("correlation on held-out items")
        return svg.write(figure, "candidates")


def overlap(lists, *, chance=None):
    """How much the spaces of the first 1, 2, ... axes of disjoint halves have in common.

    lists: name of a list -> shares (m,); chance: what spaces drawn at random would share, or None. Returns SVG.
    """
    with svg.style():
        figure, axes = svg.canvas(2.6)
        for i, (name, shares) in enumerate(lists.items()):
            axes.plot(range(1, len(shares) + 1), 100 * np.asarray(shares), marker=".", ms=4, lw=1.6,
                      label=LISTS.get(name, name), **svg.line(i))  # fmt: skip
        if chance is not None:
            axes.plot(range(1, len(chance) + 1), 100 * np.asarray(chance), color=svg.INK, lw=0.9, label="at random")
        axes.set(xlabel="first axes", ylabel="% shared by the halves")
        axes.set_ylim(0, 104)
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside upper center", ncols=3, frameon=False)
        return svg.write(figure, "overlap")


def _beside(axes, names, own, components):
    """Dots for encoders, one line each, and hollow squares for principal components."""
    place = np.arange(len(names))[::-1]
    axes.hlines(place, own, components, color=svg.INK, lw=0.8)
    axes.plot(components, place, "s", ms=6, mfc=svg.PAPER, mec=svg.INK, mew=1.2, label="PCA of equal width")
    axes.plot(own, place, "o", ms=6, color=svg.SERIES[0], label="encoder")
    axes.set_yticks(place, names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    values = np.concatenate([own, components, [0.0, 1e-3]])
    low, high = np.nanmin(values), np.nanmax(values)
    axes.set_xlim(low - 0.04 * (high - low), high + 0.06 * (high - low))


def _spread(count):
    """Heights between -1 and 1 that part dots of one line, the same for every drawing."""
    return 2 * ((np.arange(count) * 0.6180339887) % 1) - 1 if count > 1 else np.zeros(count)
