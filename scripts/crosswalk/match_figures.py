"""Figures of a matching: the two clouds with lines between partners, and the rows coloured by their topics.

Rows beyond `SAMPLE` a side are drawn by lot, since more dots on one spot tell nothing more and cost bytes. The sides
differ by colour and shape; topics by colour and a number at their middle, since no sixteen colours can be told apart by
everybody.
"""

from collections.abc import Sequence

import numpy as np

from crosswalk import svg

SAMPLE = 1500  # rows drawn of each side
LINES = 150  # partners joined by a line
PURE = 1 / 3  # of the rows of which a topic is most, those that say where its number stands
TOPICS = 16  # topics with a colour of their own
# Of middling lightness, so that dots and their mixtures stand out from white paper and from dark.
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc6aa5", "#a67c00", "#46a4d8", "#7a4fb5", "#8a4b2a"),
    *("#c62f3f", "#5a9e1c", "#00999e", "#e07fb8", "#5f6fd0", "#d08a3c", "#57714f", "#a3559c"),
)
OTHERS = "#8a8a8a"  # of topics beyond those
SHADES = 9  # levels of red, green and blue that mixed colours are rounded to; one path for each colour that occurs
SIDES = (svg.SERIES[0], svg.SERIES[4])  # blue and amber, which differ in lightness too
HEIGHT, WIDTH = 4.0, 5.4
RING = 0.25  # inches between the middles of two numbers, so that neither hides the other


def sample(count: int, *, most: int, always: Sequence[int] = ()) -> np.ndarray:
    """Numbers of at most `most` of `count` rows, drawn by lot but the same each time, in order; `always` are among."""
    always = np.unique(np.asarray(always, dtype=np.int64))
    others = np.setdiff1d(np.arange(count), always)
    drawn = np.random.default_rng(0).permutation(others)[: max(most - len(always), 0)]
    return np.sort(np.concatenate([always, drawn]))


def clouds(a, b, *, names: Sequence[str], pairs=()) -> str:
    """Two sides in one plane, with a thin line between partners.

    a: (n, 2), b: (m, 2); names: of the collections; pairs: (l, 2) row numbers of partners. Returns SVG.
    """
    a, b, pairs = (np.asarray(v, dtype=t).reshape(-1, 2) for v, t in ((a, float), (b, float), (pairs, int)))
    with svg.style():
        figure, axes = _plane(np.concatenate([a, b]), top=0.9)
        if len(a):
            svg.dots(axes, *a.T, total=0, color=SIDES[0], size=3.2, alpha=0.75)
        if len(b):
            svg.crosses(figure, axes, *b.T, color=SIDES[1], lw=0.95)
        svg.strokes(axes, a[pairs[:, 0]], b[pairs[:, 1]], color=svg.INK, lw=0.7, alpha=0.45)
        marks = [("o", {"mew": 0}), ("+", {"mew": 1.4})]
        for name, (mark, style), colour in zip(names, marks, SIDES, strict=True):
            axes.plot([], [], mark, ms=6.5, color=colour, label=name.replace("_", " "), **style)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, borderaxespad=0.2, handletextpad=0.2
        )
        return svg.write(figure, "clouds")


def topic_map(points, mixtures, *, colours: Sequence[str], numbers: Sequence[int], around) -> str:
    """Rows of one side, each in the mixture of its topics' colours; a topic's number stands where it is purest.

    points: (n, 2); mixtures: (n, k), rows sum to 1; colours: of the k topics; numbers: of the topics, 0 for one without
    a ring; around: (r, 2) points whose limits are those of the figure. Returns SVG.
    """
    points, mixtures = np.asarray(points, dtype=float).reshape(-1, 2), np.asarray(mixtures, dtype=float)
    mixed = mix(mixtures, colours)
    with svg.style():
        figure, axes = _plane(np.asarray(around, dtype=float), top=0.98)
        for colour in sorted(set(mixed)):
            own = np.array([c == colour for c in mixed])
            svg.dots(axes, *points[own].T, total=0, color=colour, size=3.4, alpha=0.9)
        middles = _middles(points, mixtures, [i for i, n in enumerate(numbers) if n])
        if middles:
            inches = axes.transData.transform(list(middles.values())) / figure.dpi
            places = axes.transData.inverted().transform(_apart(inches) * figure.dpi)
            for topic, place in zip(middles, places, strict=True):
                svg.number(axes, numbers[topic], place)
        return svg.write(figure, "topics")


def topic_colours(shares) -> list[str]:
    """A colour for each topic: COLOURS for those with the greatest shares, in their order, one grey for the rest.

    shares: (k,) how much of the collections each topic is.
    """
    shares = np.asarray(shares, dtype=float)
    kept = np.sort(np.argsort(-shares, kind="stable")[:TOPICS])
    colours = [OTHERS] * len(shares)
    for i, topic in enumerate(kept):
        colours[topic] = COLOURS[i]
    return colours


def mix(mixtures, colours: Sequence[str]) -> list[str]:
    """The colour of each row: those of its topics mixed as light mixes, by their shares.

    mixtures: (n, k) shares; colours: k of the form #rrggbb. Returns n such colours.
    """
    light = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours]) ** 2.2
    values = (np.asarray(mixtures, dtype=float) @ light) ** (1 / 2.2)
    levels = np.round(np.round(values * (SHADES - 1)) / (SHADES - 1) * 255).astype(int)
    return ["#{:02x}{:02x}{:02x}".format(*level) for level in levels]


def _plane(points, *, top):
    """A figure without a layout whose limits hold all points, so that places on it are known before it is drawn."""
    figure, axes = svg.canvas(HEIGHT, width=WIDTH, layout=None)
    figure.subplots_adjust(left=0.11, right=0.98, bottom=0.12, top=top)
    for set_limits, values in ((axes.set_xlim, points[:, 0]), (axes.set_ylim, points[:, 1])):
        low, high = (values.min(), values.max()) if len(values) else (-1.0, 1.0)
        margin = 0.04 * (high - low) or 1.0
        set_limits(low - margin, high + margin)
    axes.set(xlabel="component 1", ylabel="component 2")
    return figure, axes


def _middles(points, mixtures, topics):
    """The middle of the purest of the rows of which a topic is most, for each topic that has such rows."""
    middles = {}
    for topic in topics:
        own = np.flatnonzero(mixtures.argmax(axis=1) == topic) if len(mixtures) else []
        if len(own):
            purest = own[np.argsort(-mixtures[own, topic], kind="stable")]
            middles[topic] = np.median(points[purest[: max(int(PURE * len(own)), 1)]], axis=0)
    return middles


def _apart(places):
    """Places moved until none is nearer to another than RING, or two hundred rounds are over."""
    places = np.array(places, dtype=float)
    for _ in range(200):
        ways = places[:, None] - places[None]
        far = np.linalg.norm(ways, axis=2)
        near = (far < RING) & ~np.eye(len(places), dtype=bool)
        if not near.any():
            break
        way = ways / np.maximum(far, 1e-9)[..., None]
        same = near & (far < 1e-9)  # parted up and down in the order of their numbers
        way[same] = np.column_stack([np.zeros(same.sum()), np.sign(np.subtract(*np.nonzero(same)))])
        places = places + 0.5 * (np.where(near, RING - far, 0)[..., None] * way).sum(axis=1)
    return places
