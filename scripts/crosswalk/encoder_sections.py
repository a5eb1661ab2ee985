"""What the report says of the encoders behind a study: what each found, kept and finds again; no HTML."""

import numpy as np

from crosswalk import figures, relate_figures
from crosswalk.sections import short

TOP_PAIRS = 3  # pairs of units whose weights are drawn
RESTORED = ("held_out_x", "pca_held_out_x", "held_out_y", "pca_held_out_y")


def encoders_section(s, collections, config, settings):
    """What the template shows of the encoders of a Study; arguments as in `relate_sections.study_section`."""
    named = [f"{e.encoder}-{e.dim}/seed-{e.seed}" for e in s.encoders.itertuples()]
    table = s.encoders.assign(name=named)
    measured = table[table["median_r"].notna()]
    restored = set(RESTORED) <= set(table) and table[list(RESTORED)].notna().any(axis=None)
    return {
        "encoders": table.to_dict("records"),
        "encoders_figure": relate_figures.encoders(measured) if len(measured) else None,
        "restored": restored,
        "restored_figure": relate_figures.restored(table, names=(config["x"], config["y"])) if restored else None,
        "correlations": _correlations(s.correlations),
        "weights": _weights(s, collections, config, settings),
    }


def _correlations(matrices):
    """Each matrix with the blocks within a side masked, on one scale, and its strongest pair."""
    masked = {name: (units, _across(matrix, units)) for name, (units, matrix) in matrices.items()}
    limit = max((float(np.nanmax(np.abs(m), initial=0)) for _, m in masked.values()), default=1.0)
    shown = []
    for name, (units, matrix) in masked.items():
        widths = (units, len(matrix) - units)
        picture = figures.matrix(matrix, limit=limit)
        strongest = _strongest(matrix, units, 1)
        x, y, r = strongest[0] if strongest else (None, None, None)
        shown.append({"name": name, "widths": widths, "picture": picture, "x": x, "y": y, "r": r})
    return shown


def _across(matrix, units):
    """The matrix with nan in the blocks within a side; units: how many of its rows are of x."""
    masked = np.array(matrix, dtype=np.float64)
    masked[:units, :units] = masked[units:, units:] = np.nan
    return masked


def _strongest(matrix, units, count):
    block = np.nan_to_num(_across(matrix, units)[:units, units:])
    best = np.argsort(-np.abs(block).ravel(), kind="stable")[:count]
    return [(*(int(i) for i in np.unravel_index(b, block.shape)), float(block.ravel()[b])) for b in best]


def _weights(s, collections, config, settings):
    """Sorted encoder weights of the units in the top pairs: those of the listed relations, else of the correlations."""
    if not s.correlations:
        return None
    listed = [
        (name, int(row["x_unit"]), int(row["y_unit"]))
        for row in s.relations.to_dict("records")
        for name in s.correlations
        if row["kind"] == "pair" and row["encoder"] in (name, short(name))
    ]
    encoding = listed[0][0] if listed else next(iter(s.correlations))
    pairs = [(x, y) for name, x, y in listed if name == encoding][:TOP_PAIRS]
    units, matrix = s.correlations[encoding]
    pairs = pairs or [(x, y) for x, y, _ in _strongest(matrix, units, TOP_PAIRS)]
    sides = []
    for side, chosen in zip((config["x"], config["y"]), zip(*pairs, strict=True), strict=True):
        weights = next(e.model["encoder.weight"] for e in collections[side].encodings if e.name == encoding)
        kept = min(settings["weights"], weights.shape[1])
        curves = [(f"unit {unit}", weights[unit]) for unit in dict.fromkeys(chosen)]
        sides.append((side, figures.critical_weights(curves, kept=kept), kept, weights.shape[1]))
    return {"encoding": encoding, "pairs": pairs, "sides": sides}
