"""A common cause that is watched is found and named; what causes one side alone, or nothing, is left in peace."""

import numpy as np
import pandas as pd
import pytest

from crosswalk import confounding
from crosswalk.confounding import explained, watched
from crosswalk.covariates import Nuisance
from crosswalk.files import write_parquet

WORLDS = 60
N = 200


def noise(rng, k=1):
    return rng.normal(size=(N, k))


def confounded(rng, *, strength=1.0):
    """Two scores with nothing in common but a cause, which is watched among innocent columns."""
    z = noise(rng)
    u, v = (strength * z[:, 0] + rng.normal(size=N) for _ in range(2))
    return u, v, {"x.innocent": noise(rng), "x.year": z, "y.words": np.eye(4)[rng.integers(0, 4, N)]}


def rate(world, **options):
    """Share of worlds in which anything is flagged."""
    hits = 0
    for seed in range(WORLDS):
        rng = np.random.default_rng(seed)
        u, v, covariates, *blocks = world(rng)
        hits += explained(u, v, covariates, blocks[0] if blocks else np.arange(N), seed=seed, **options).flagged
    return hits / WORLDS


def test_a_common_cause_is_flagged_and_named():
    for seed in range(10):
        found = explained(*confounded(np.random.default_rng(seed)), np.arange(N), seed=seed)
        assert found.flagged and found.by == "x.year"
        assert found.r > 0.3 and abs(found.r_given) < 0.25 and found.share > 0.5
        assert len(found.table) == 3


def test_a_common_cause_vanishes_once_taken_out():
    for seed in range(10):
        u, v, covariates = confounded(np.random.default_rng(seed))
        fold = np.arange(N) % 5
        out = Nuisance(covariates["x.year"], fold)
        found = explained(out(u), out(v), covariates, np.arange(N), fold=fold, nuisance=out, seed=seed)
        assert abs(found.r) < 0.25
        assert found.table.set_index("covariate").loc["x.year", "p"] == 1


def test_a_common_cause_of_opposite_sign_is_flagged_too():
    u, v, covariates = confounded(np.random.default_rng(0))
    found = explained(u, -v, covariates, np.arange(N))
    assert found.flagged and found.r < -0.3 and found.share > 0.5


def test_a_common_cause_among_words_is_flagged():
    rng = np.random.default_rng(0)
    word = rng.integers(0, 4, N)
    u, v = (np.array([1.5, -1, 0, 0])[word] + rng.normal(size=N) for _ in range(2))
    found = explained(u, v, {"x.shelf": np.eye(4)[word], "x.year": noise(rng)}, np.arange(N))
    assert found.flagged and found.by == "x.shelf"


def linked(rng):
    u = rng.normal(size=N)
    return u, 0.4 * u + rng.normal(size=N)


def irrelevant(rng):
    return *linked(rng), {f"x.{i}": noise(rng, 1 + i % 3) for i in range(5)}


def of_one_side(rng):
    """A column that makes half of x's score and nothing else of y's."""
    z = rng.normal(size=N)
    u = z + rng.normal(size=N)
    return u, 0.3 * u + rng.normal(size=N), {"x.year": z[:, None], "x.other": noise(rng)}


def of_both_sides_apart(rng):
    """Each side has a cause of its own, and there is no link."""
    a, b = noise(rng), noise(rng)
    return a[:, 0] + rng.normal(size=N), b[:, 0] + rng.normal(size=N), {"x.a": a, "y.b": b}


def within_blocks(rng):
    """A column that is the same within blocks, beside scores that are alike within them."""
    blocks = np.arange(N) // 20
    u, v, z = (rng.normal(size=10)[blocks] + 0.3 * rng.normal(size=N) for _ in range(3))
    return u, v, {"x.year": z[:, None]}, blocks


@pytest.mark.parametrize("world", [irrelevant, of_one_side, of_both_sides_apart, within_blocks])
def test_the_innocent_are_hardly_ever_flagged(world, monkeypatch):
    monkeypatch.setattr(confounding, "SHUFFLES", 199)
    assert rate(world) <= 0.05


def test_blocks_that_are_ignored_flag_the_innocent(monkeypatch):
    monkeypatch.setattr(confounding, "SHUFFLES", 199)

    def ignoring(rng):
        return within_blocks(rng)[:3]

    assert rate(ignoring) > 0.08


def test_a_cause_of_little_is_not_worth_a_warning():
    rng = np.random.default_rng(0)
    z, link = rng.normal(size=(2, 4000))
    u, v = (link + 0.3 * z + 0.7 * rng.normal(size=4000) for _ in range(2))
    found = explained(u, v, {"x.year": z[:, None]}, np.arange(4000))
    assert found.table["p"].item() < 0.05 and found.share < 0.25 and not found.flagged


def test_means_of_folds_and_items_that_were_not_held_out_count_for_nothing():
    rng = np.random.default_rng(0)
    u, v, covariates = irrelevant(rng)
    fold = np.arange(N) % 5
    held_out = fold < 2
    once = explained(u, v, covariates, np.arange(N), fold=fold, held_out=held_out)
    moved = explained(u + 9.0 * fold, np.where(held_out, v, 99), covariates, np.arange(N), fold=fold, held_out=held_out)
    assert once.r == pytest.approx(moved.r) and once.r_given == pytest.approx(moved.r_given)


def test_a_constant_column_and_none_at_all_explain_nothing():
    u, v = linked(np.random.default_rng(0))
    found = explained(u, v, {"x.same": np.ones((N, 1))}, np.arange(N))
    assert found.share == pytest.approx(0) and not found.flagged
    nothing = explained(u, v, {}, np.arange(N))
    assert nothing.by == "" and np.isnan(nothing.r_given) and not nothing.flagged


def test_what_is_listed_is_not_watched(tmp_path):
    columns = {"x.year": [1.0, 2], "x.shelf=": [0.0, 1], "x.shelf=crime": [1.0, 0], "y.length": [3.0, 4]}
    write_parquet(tmp_path / "items.parquet", pd.DataFrame({"id": ["a", "b"], "block": [0, 1], **columns}))
    found = watched(tmp_path / "items.parquet", listed=["x.year"])
    assert {name: own.shape for name, own in found.items()} == {"x.shelf": (2, 2), "y.length": (2, 1)}
