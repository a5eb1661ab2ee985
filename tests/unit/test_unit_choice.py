"""The number of units that is chosen is that of the traits the texts are made of."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.errors import UserError
from crosswalk.unit_choice import COLUMNS, chosen, compare
from crosswalk.units import AUTO, CANDIDATES, baseline, fewest, most

SETTINGS = {"encoder": "topk", "active": None, "epochs": 40, "seed": 0, "seeds": 1}


def made_of(traits, n=1500, width=64, each=3, seed=0):
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((traits, width))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    weights = np.zeros((n, traits))
    for row in weights:
        row[rng.choice(traits, each, replace=False)] = rng.uniform(0.5, 1.5, each)
    return (weights @ atoms + 0.5 / np.sqrt(width) * rng.standard_normal((n, width))).astype(np.float32)


@pytest.mark.parametrize("traits", [8, 16])
def test_as_many_units_are_chosen_as_there_are_traits(traits):
    x = made_of(traits)
    table = compare(x, np.arange(len(x)), candidates=(8, 16, 32), **SETTINGS)
    assert list(table) == COLUMNS and table["chosen"].sum() == 1
    assert table.loc[table["chosen"], "units"].tolist() == [traits]
    # What is given back alone would have taken more, and stability alone knows nothing of what is given back.
    assert table["held_out"].iloc[-1] >= table.loc[table["chosen"], "held_out"].iloc[0] - 0.05


def test_same_seed_same_choice_and_the_choice_is_read_back(tmp_path):
    x = made_of(8, n=300)
    one, again = (compare(x, np.arange(len(x)), candidates=(4, 8), **SETTINGS) for _ in range(2))
    pd.testing.assert_frame_equal(one, again)
    one.to_csv(tmp_path / "units.csv", index=False)
    assert chosen(tmp_path / "units.csv") == one.loc[one["chosen"], "units"].iloc[0]


def test_numbers_that_rows_are_too_few_for_or_that_leave_too_few_active_are_passed_over():
    x = made_of(8, n=60)
    table = compare(x, np.arange(len(x)), **SETTINGS)  # 40 rows train each fold: enough for 20 units
    assert table["units"].tolist() == [8, 16]
    more = compare(made_of(8, n=200), np.arange(200), **(SETTINGS | {"active": 10, "epochs": 2}), candidates=(8, 16))
    assert more["units"].tolist() == [16]


def test_too_few_texts_for_any_number_are_named_with_a_cure():
    with pytest.raises(UserError, match=r"20 distinct texts of 20 items.*`encode.dims`"):
        compare(made_of(8, n=20), np.arange(20), **SETTINGS)


def test_what_a_config_says_of_numbers_of_units():
    assert baseline("topk", 8) == "pca-8" and baseline("topk", AUTO) == "pca-topk-auto"
    assert most({"encoders": ["topk"], "dims": [AUTO]}) == CANDIDATES[0]
    assert most({"encoders": ["topk"], "dims": [4, 64, AUTO]}) == 64 and most({"encoders": [], "dims": [4]}) == 0
    assert fewest({"dims": [AUTO]}) == CANDIDATES[-1] and fewest({"dims": [16, AUTO]}) == 16
