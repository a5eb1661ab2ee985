"""What each encoder found, beside as many principal components as it has units."""

import numpy as np
import pandas as pd

from crosswalk.significance import false_discovery_rate
from crosswalk.units import AUTO, baseline

ENCODER_COLUMNS = ["encoder", "dim", "seed", "tested", "confirmed", "median_r", "pca_confirmed", "pca_median_r"]
ENCODER_COLUMNS += ["explained_variance_x", "explained_variance_y"]


def compare_encoders(tables, encodings, explained, *, alpha):
    """What each encoder found, beside as many principal components as it has units.

    tables: one table from `significance.candidate_table` for each encoding and each baseline; encodings: names such as
    "topk-32/seed-42"; explained: share of variance each explains, x then y, two for each encoding.
    Each search is corrected by itself here, so that encoders compare whatever else was run.
    Returns a DataFrame with one row for each encoding.
    """
    merits = {}
    for table in tables:
        if len(table):
            confirmed = int((false_discovery_rate(table["p"]) <= alpha).sum())
            merits[table["family"].iloc[0]] = (len(table), confirmed, table["r"].median())
    rows = []
    for i, name in enumerate(encodings):
        kind, seed = name.split("/seed-")
        encoder, dim = kind.rsplit("-", 1)
        tested, confirmed, median = merits.get(name, (0, 0, np.nan))
        _, pca_confirmed, pca_median = merits.get(baseline(encoder, dim), (0, 0, np.nan))
        found = (tested, confirmed, median, pca_confirmed, pca_median)
        rows.append(
            (encoder, dim if dim == AUTO else int(dim), int(seed), *found, explained[2 * i], explained[2 * i + 1])
        )
    return pd.DataFrame(rows, columns=ENCODER_COLUMNS)
