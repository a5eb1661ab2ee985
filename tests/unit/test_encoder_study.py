"""What each encoder found, beside principal components."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.encoder_study import compare_encoders


def table(p, r, family="axes", p_max=None):
    units = np.arange(len(p))
    return pd.DataFrame(
        {"family": family, "x_unit": units, "y_unit": units, "n": 50, "r": r, "r_low": 0.0, "r_high": 0.5, "p": p,
         "p_max": p if p_max is None else p_max, "stability": 1.0, "list": "plain"}
    )  # fmt: skip


def test_encoders_stand_beside_components_of_equal_width():
    tables = [table([0.001, 0.9], [0.5, 0.1], "topk-8/seed-1"), table([0.001, 0.001], [0.4, 0.6], "pca-8")]
    row = compare_encoders(tables, ["topk-8/seed-1"], [0.3, 0.2], alpha=0.05).iloc[0]
    assert (row["confirmed"], row["pca_confirmed"]) == (1, 2)
    assert row["pca_median_r"] == pytest.approx(0.5) and row["explained_variance_y"] == 0.2
