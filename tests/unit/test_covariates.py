"""What is known of items becomes columns of numbers, each oddity counted, and leaves no trace once taken out."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.covariates import Nuisance, chosen, covariate_of, item_covariates, refuse_unusable
from crosswalk.errors import UserError
from crosswalk.items import BlockShuffle, Worlds, folds

ENGLISH, GERMAN = "This is the book of the year and it is", "Das ist das Buch des Jahres und es ist"


def of(values, *, owners=None, texts=None, count=None, side="x", name="own", preamble=""):
    rows = pd.DataFrame({"id": range(len(values)), "text": texts or ["t"] * len(values), name: values})
    owners = np.arange(len(values)) if owners is None else owners
    return item_covariates(rows, owners, side=side, count=count or len(values), preamble=preamble)


def test_numbers_are_averaged_over_the_rows_that_have_one():
    found = of(["1", "3", None, "8", "n/a", "9"], owners=[0, 0, 0, 1, 1, 2], count=3, side="y")
    assert found.columns["y.own"].tolist() == [2, 8, 9]
    assert found.facts["y.own"] == {"kind": "number", "columns": ["y.own"], "missing": 2}


def test_a_missing_number_is_the_mean_and_is_marked():
    found = of([str(i % 7) if i % 3 else None for i in range(60)])
    assert list(found.columns) == ["x.own", "x.own="]
    np.testing.assert_array_equal(found.columns["x.own="], [i % 3 == 0 for i in range(60)])
    own = found.columns["x.own"]
    np.testing.assert_allclose(own[::3], own[np.arange(60) % 3 > 0].mean())
    assert found.facts["x.own"]["missing"] == 20


def test_dates_are_numbers():
    found = of(["2001-01-15", "2002-07", "2003-07-01T12:00"])
    assert found.columns["x.own"].tolist() == [2001, 2002.5, 2003.5]


def test_a_skewed_count_is_replaced_by_its_logarithm():
    found = of(["1"] * 99 + ["100000"])
    assert found.facts["x.own"]["kind"] == "logarithm"
    assert found.columns["x.own"].max() == pytest.approx(np.log(100001))


def test_words_are_columns_and_rare_ones_are_pooled():
    values = ["Crime"] * 30 + ["love "] * 30 + [f"rare {i}" for i in range(35)] + [None] * 5
    found = of(values)
    assert list(found.columns) == ["x.own=", "x.own=crime", "x.own=love"]
    assert found.columns["x.own=crime"].sum() == 30 and found.columns["x.own="].sum() == 5


def test_an_item_has_a_share_of_each_word_of_its_rows():
    found = of(['["a","b"]', '["a"]'] * 10 + ['["c"]', '["c"]'] * 10, owners=np.arange(40) // 2, count=20, side="y")
    assert [found.columns[f"y.own={word}"][0] for word in "abc"] == [1, 0.5, 0]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None] * 40, "empty"),
        (["5"] * 40, "hardly differs"),
        ([f"word {i}" for i in range(40)], "no value is shared"),
        (["a"] * 39 + ["b"], "hardly differs"),
        (["a long story that goes on and on and on, well past what a label would say " * 2] * 40, "texts or records"),
        (['[{"name":"a"}]'] * 40, "texts or records"),
        (["[broken"] * 40, "texts or records"),
    ],
)
def test_what_cannot_be_a_covariate_is_left_out_and_said(values, why):
    found = of(values)
    assert not [column for column in found.columns if covariate_of(column) == "x.own"]
    assert why in found.facts["x.own"]["left_out"]


def test_length_and_language_are_those_of_the_text_without_the_preamble():
    found = of(["a"] * 20, texts=["Read: " + text for text in [ENGLISH, GERMAN * 9] * 10], preamble="Read: ")
    assert found.columns["x.length"][0] == pytest.approx(np.log(len(ENGLISH)))
    assert found.columns["x.language=german"].tolist() == [0, 1] * 10
    assert covariate_of("x.language=german") == "x.language"


def test_a_kept_column_goes_before_a_built_in_of_its_name():
    assert of([str(i) for i in range(20)], name="length").columns["x.length"].tolist() == list(range(20))


def test_a_covariate_is_chosen_with_all_its_columns_and_no_other():
    columns = ["x.own=", "x.own=a", "x.owner", "y.own=a"]
    assert chosen(columns, ["x.own"]) == ["x.own=", "x.own=a"]


def test_too_many_columns_for_a_fold_are_refused():
    facts = {"x.own": {"columns": list("abcdef")}}
    about = {"name": "books", "collections": ("books", "reviews"), "folds": 5}
    refuse_unusable(["x.own"], facts, items=120, **about)
    with pytest.raises(UserError, match=r"relate\.books\.covariates: 6 columns"):
        refuse_unusable(["x.own"], facts, items=119, **about)


def test_nothing_of_a_covariate_is_left_in_any_fold():
    rng = np.random.default_rng(0)
    columns = np.column_stack([rng.normal(size=100) * 1e6 + 1e9, rng.integers(0, 2, 100), np.ones(100), np.zeros(100)])
    fold = rng.integers(0, 4, 100)
    values = rng.normal(size=(100, 5)) + columns[:, :1] * 1e-6
    left = Nuisance(columns, fold)(values)
    for f in range(4):
        rows = fold == f
        assert np.abs(np.corrcoef(columns[rows, 0], left[rows].T)[0, 1:]).max() < 1e-6
        assert np.abs(left[rows & (columns[:, 1] == 1)].mean(0)).max() < 1e-9
    np.testing.assert_allclose(Nuisance(columns, fold)(left), left, atol=1e-9)


def test_no_fold_knows_of_another():
    rng = np.random.default_rng(1)
    columns, values, fold = rng.normal(size=(60, 3)), rng.normal(size=(60, 2)), np.arange(60) % 3
    changed = values + (fold == 2)[:, None] * rng.normal(size=(60, 2))
    once, again = (Nuisance(columns, fold)(v) for v in (values, changed))
    np.testing.assert_array_equal(once[fold < 2], again[fold < 2])


def _free(seed, levels):
    """Two sides that depend on the same covariates and on nothing else in common, once these are taken out."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(120, 3))
    z = np.hstack([z, np.eye(levels)[rng.integers(0, levels, 120)]]) if levels else z
    x, y = (z @ rng.normal(size=(z.shape[1], 8)) + rng.normal(size=(120, 8)) for _ in range(2))
    fold = folds(np.arange(120), 3, seed=0)
    out = Nuisance(z, fold)
    return out(x), out(y), fold, out, rng


def test_nothing_is_found_on_items_held_out_where_there_is_nothing():
    """Taken out over all items at once, 24 levels for 120 items give a held-out r of .09."""
    found = [_held_out_r(*_free(seed, 24)[:3]) for seed in range(120)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 120**0.5
    assert np.std(found) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("levels", [0, 24])
def test_null_worlds_stay_null_with_covariates_taken_out(levels):
    """Without taking them out of the shuffled worlds again, 24 levels give 21 of 120."""
    hits = 0
    for seed in range(120):
        x, y, fold, out, rng = _free(seed, levels)
        worlds = Worlds(np.arange(120), out)
        null = [_held_out_r(x, worlds(y, rng), fold) for _ in range(19)]
        hits += _held_out_r(x, y, fold) > max(null)
    assert hits <= 12  # 6 are expected; more than 12 come in one of a hundred such tests


def _held_out_r(x, y, fold):
    """r of the strongest pair of directions of the other folds, in this one, averaged."""
    total = 0
    for f in range(3):
        train = fold != f
        left, _, right = np.linalg.svd(x[train].T @ y[train])
        total += np.corrcoef(x[~train] @ left[:, 0], y[~train] @ right[0])[0, 1]
    return total / 3


def test_worlds_without_covariates_are_plain_shuffles():
    values, blocks = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) // 3
    plain = values[BlockShuffle(blocks)(np.random.default_rng(5))]
    np.testing.assert_array_equal(Worlds(blocks)(values, np.random.default_rng(5)), plain)
