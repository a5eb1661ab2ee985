"""Canonical axes are found where they are planted and measured on items held out."""

import numpy as np
import pytest

from crosswalk.canonical import canonical_axes
from crosswalk.components import principal_components
from crosswalk.covariates import Nuisance
from crosswalk.items import average_by_group, folds
from worlds import world


@pytest.fixture(scope="module")
def planted():
    w = world(seed=3, n=300, width=40, factors=12, links=(0.8, -0.8), within=0.9, noise=0.5)
    return w, average_by_group(w.y, w.groups, w.items)


def test_planted_links_come_first_with_their_signs(planted):
    w, y = planted
    found = canonical_axes(w.x, y, w.blocks, axes=6, permutations=99, bootstrap=99, seed=1)
    for i, r in enumerate((0.8, -0.8)):
        on_x = [np.corrcoef(found.x_scores[:, a], w.x_truth[:, i])[0, 1] for a in (0, 1)]
        best = int(np.argmax(np.abs(on_x)))
        on_y = np.corrcoef(found.y_scores[:, best], w.y_truth[:, i])[0, 1]
        assert abs(on_x[best]) > 0.8
        assert np.sign(on_x[best] * on_y) == np.sign(r)
    assert (found.r[:2] > 0.5).all() and (found.r[2:] < 0.3).all()
    assert found.r[0] > max(null.max() for null in found.null)
    assert found.low[0] < found.r[0] < found.high[0]


def test_the_held_out_score_of_an_item_does_not_see_its_own_link(planted):
    w, y = planted
    fold = canonical_axes(w.x, y, w.blocks, permutations=0, bootstrap=99, seed=1).fold
    # Break the links of one fold: its scores of x must stay, since only training items decide the axes.
    held = np.flatnonzero(fold == 0)
    broken = y.copy()
    broken[held] = y[np.roll(held, 1)]
    before = canonical_axes(w.x, y, w.blocks, axes=4, permutations=0, bootstrap=99, seed=1)
    after = canonical_axes(w.x, broken, w.blocks, axes=4, permutations=0, bootstrap=99, seed=1)
    same = np.abs(np.corrcoef(before.x_scores[held].T, after.x_scores[held].T)[:4, 4:]).max(1)
    np.testing.assert_allclose(same, 1, atol=1e-6)
    assert np.abs(np.corrcoef(before.x_scores[held, 0], before.y_scores[held, 0])[0, 1]) > 0.5


def test_shuffled_links_leave_nothing_on_items_held_out(planted):
    w, y = planted
    shuffled = y[np.random.default_rng(0).permutation(len(y))]
    found = canonical_axes(w.x, shuffled, w.blocks, axes=6, permutations=0, bootstrap=99, seed=1)
    assert np.abs(found.r.mean()) < 0.08


def test_the_order_of_rows_within_an_item_and_a_shift_of_either_side_change_nothing(planted):
    w, y = planted
    one = canonical_axes(w.x, y, w.blocks, axes=4, permutations=0, bootstrap=99, seed=1)
    two = canonical_axes(w.x + 5, y - 3, w.blocks, axes=4, permutations=0, bootstrap=99, seed=1)
    np.testing.assert_allclose(one.r, two.r, atol=1e-6)


def test_the_same_seed_gives_the_same_bytes(planted):
    w, y = planted
    runs = [canonical_axes(w.x, y, w.blocks, axes=4, permutations=5, bootstrap=99, seed=9) for _ in range(2)]
    assert runs[0].x_scores.tobytes() == runs[1].x_scores.tobytes()
    assert np.concatenate(runs[0].null).tobytes() == np.concatenate(runs[1].null).tobytes()


def test_constant_and_repeated_columns_do_no_harm(planted):
    w, y = planted
    x = np.hstack([w.x, np.ones((len(w.x), 2)), w.x[:, :1]])
    found = canonical_axes(x, y, w.blocks, axes=4, permutations=0, bootstrap=99, seed=1)
    assert np.isfinite(found.r).all() and found.r[0] > 0.5


def test_values_that_are_not_finite_are_refused(planted):
    w, y = planted
    x = w.x.copy()
    x[0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        canonical_axes(x, y, w.blocks)


def test_principal_components_reproduce_what_they_keep():
    x = np.random.default_rng(0).normal(size=(50, 8)) @ np.diag([5, 4, 3, 2, 1, 0.5, 0, 0])
    scores, basis = principal_components(x, 8)
    assert scores.shape == (50, 6)  # two columns have no variance
    np.testing.assert_allclose(scores @ basis.T, x - x.mean(0), atol=1e-9)
    np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-9)
    wide, _ = principal_components(x.T, 4)  # more columns than rows takes the other way
    assert wide.shape == (8, 4)


def test_axes_beyond_those_that_are_rotated_stay_as_they_are(planted):
    w, y = planted
    settings = {"axes": 6, "permutations": 0, "bootstrap": 99, "seed": 1}
    plain = canonical_axes(w.x, y, w.blocks, rotate=1, **settings)  # to turn one axis by itself changes nothing
    some = canonical_axes(w.x, y, w.blocks, rotate=3, **settings)
    every = canonical_axes(w.x, y, w.blocks, rotate=6, **settings)

    def alike(one, other):
        return np.sort(np.abs(one.x_directions.T @ other.x_directions).max(1))

    assert (alike(plain, some)[3:] > 1 - 1e-9).all() and alike(plain, some)[0] < 0.95
    assert (alike(plain, every) < 0.99).sum() > 3


def test_the_axes_of_each_fold_are_those_that_scored_it(planted):
    w, y = planted
    found = canonical_axes(w.x, y, w.blocks, axes=4, permutations=0, bootstrap=99, seed=1)
    assert found.fold_x_directions.shape == (5, w.x.shape[1], 4)
    for f in range(5):
        held = found.fold == f
        scored = w.x[held] @ found.fold_x_directions[f], y[held] @ found.fold_y_directions[f]
        for own, scores in zip(scored, (found.x_scores, found.y_scores), strict=True):
            r = [np.corrcoef(own[:, a], scores[held, a])[0, 1] for a in range(4)]
            np.testing.assert_allclose(r, 1, atol=1e-9)


def test_planted_axes_come_back_in_disjoint_halves_and_axes_of_noise_do_not(planted):
    w, y = planted
    found = canonical_axes(w.x, y, w.blocks, axes=6, permutations=0, bootstrap=99, seed=1)
    assert (found.stability[:2] > 0.6).all() and (found.stability[2:] < 0.5).all()
    assert (found.overlap[:2] > 0.5).all() and (np.diff(found.overlap[1:4]) < 0).all()


def test_a_covariate_behind_both_sides_makes_no_axis_once_it_is_taken_out():
    rng = np.random.default_rng(0)
    n, behind = 300, rng.normal(size=300)
    x, y = rng.normal(size=(n, 20)), rng.normal(size=(n, 20))
    x[:, 0] += 2 * behind
    y[:, 0] += 2 * behind
    out = Nuisance(behind[:, None], folds(np.arange(n), 5, seed=1))
    settings = {"axes": 3, "permutations": 99, "bootstrap": 99, "seed": 1}
    plain = canonical_axes(x, y, np.arange(n), **settings)
    without = canonical_axes(out(x), out(y), np.arange(n), nuisance=out, **settings)
    assert plain.r[0] > max(world.max() for world in plain.null)
    assert np.mean([world.max() >= without.r[0] for world in without.null]) > 0.02 and without.r[0] < 0.2 < plain.r[0]
