"""Maps from corresponding rows are exact where an exact one exists, and say so where none can be."""

import numpy as np
import pytest
import scipy.spatial
from safetensors.numpy import load, save

from crosswalk.procrustes import (
    Transform,
    choose_map,
    generalised_procrustes,
    procrustes,
    ridge_map,
)


def disparity(x, y):
    """What no rotation, shift and scale takes away, by another implementation."""
    return scipy.spatial.procrustes(x, y)[2]


def rotation(rng, d):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


@pytest.fixture
def pair():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 6)) + 3
    turn = rotation(rng, 6)
    return x, 2.5 * (x @ turn) - 7, turn


def test_rotation_shift_and_scale_are_recovered_exactly(pair):
    x, y, turn = pair
    fit = procrustes(x, y)
    np.testing.assert_allclose(fit.rotation, turn, atol=1e-10)
    assert fit.scale == pytest.approx(2.5)
    np.testing.assert_allclose(fit.apply(x), y, atol=1e-10)


def test_the_map_holds_on_new_rows(pair):
    x, y, _ = pair
    np.testing.assert_allclose(procrustes(x[:20], y[:20]).apply(x[20:]), y[20:], atol=1e-9)


def test_scale_can_be_left_out_and_weights_decide_which_rows_count(pair):
    x, y, _ = pair
    assert procrustes(x, y, scale=False).scale == 1
    broken = y.copy()
    broken[:10] = 100.0 * np.arange(60).reshape(10, 6) % 17
    weights = np.r_[np.zeros(10), np.ones(30)]
    np.testing.assert_allclose(procrustes(x, broken, weights=weights).apply(x[:10]), y[:10], atol=1e-8)


def test_without_reflection_the_map_is_a_proper_rotation():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 4))
    mirrored = x * [1, 1, 1, -1]
    assert np.linalg.det(procrustes(x, mirrored).rotation) == pytest.approx(-1)
    proper = procrustes(x, mirrored, reflection=False)
    assert np.linalg.det(proper.rotation) == pytest.approx(1)


@pytest.mark.parametrize(("d", "e"), [(4, 9), (9, 4)])
def test_widths_may_differ(d, e):
    rng = np.random.default_rng(2)
    narrow = rng.normal(size=(50, 4))
    wide = narrow @ rotation(rng, 9)[:4]
    x, y = (narrow, wide) if d < e else (wide, narrow)
    fit = procrustes(x, y)
    assert fit.rotation.shape == (d, e)
    np.testing.assert_allclose(fit.apply(x), y, atol=1e-9)


def test_a_saved_map_gives_the_same_bytes(pair):
    x, y, _ = pair
    for fit in (procrustes(x, y), ridge_map(x, y, alpha=0.1)):
        again = Transform.load(load(save(fit.tensors())))
        assert again.kind == fit.kind
        assert again.apply(x).tobytes() == fit.apply(x).tobytes()


def test_rows_that_cannot_make_a_map_are_refused(pair):
    x, y, _ = pair
    with pytest.raises(ValueError, match="corresponding rows"):
        procrustes(x[:-1], y)
    with pytest.raises(ValueError, match="rows of x are the same"):
        procrustes(np.full_like(x, 0.1), y)
    with pytest.raises(ValueError, match="not finite"):
        procrustes(x, np.where(y == y.max(), np.nan, y))
    with pytest.raises(ValueError, match="weights"):
        procrustes(x, y, weights=np.zeros(40))
    with pytest.raises(ValueError, match="width 6"):
        procrustes(x, y).apply(x[:, :3])
    with pytest.raises(ValueError, match="alpha"):
        ridge_map(x, y, alpha=0)


def test_a_rotation_is_mapped_by_procrustes_and_a_skewed_space_by_ridge():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 20))
    noise = 0.3 * rng.normal(size=(200, 20))
    fit, tried = choose_map(x, x @ rotation(rng, 20) + noise, seed=1)
    assert fit.kind == "procrustes" and len(tried) == 6
    squeeze = rotation(rng, 20) * np.geomspace(0.02, 5, 20)
    fit, tried = choose_map(x, x @ squeeze @ rotation(rng, 20) + 0.1 * noise, seed=1)
    assert fit.kind == "ridge"
    assert max(row["mrr"] for row in tried if row["kind"] == "ridge") > tried[0]["mrr"]


def test_the_ridge_does_not_depend_on_the_scale_of_x_and_choosing_not_on_the_clock():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(60, 8)), rng.normal(size=(60, 5))
    np.testing.assert_allclose(ridge_map(x, y, alpha=2).apply(x), ridge_map(9 * x, y, alpha=2).apply(9 * x))
    one, two = (choose_map(x, y, seed=7)[0] for _ in range(2))
    assert one.rotation.tobytes() == two.rotation.tobytes()
    with pytest.raises(ValueError, match="at least 10"):
        choose_map(x[:9], y[:9], seed=1)


def views(rng, *, count=4, k=60, d=8, noise=0.2):
    truth = rng.normal(size=(k, d)) * np.linspace(2, 0.5, d)
    sets = [
        rng.uniform(0.1, 9) * (truth + noise * rng.normal(size=(k, d))) @ rotation(rng, d) + 20 * rng.normal(size=d)
        for _ in range(count)
    ]
    return truth, sets


def test_several_sets_meet_in_one_consensus():
    rng = np.random.default_rng(6)
    truth, sets = views(rng)
    found = generalised_procrustes(sets)
    assert disparity(truth, found.consensus) < 0.02
    assert (found.disparity < 0.05).all()
    for rows, transform in zip(sets, found.transforms, strict=True):
        assert disparity(transform.apply(rows), rows) == pytest.approx(0, abs=1e-10)
        assert np.abs(transform.apply(rows) - found.consensus).mean() < 0.3 * found.consensus.std()


def test_the_residual_never_rises_and_stops_at_the_tolerance():
    rng = np.random.default_rng(7)
    sets = [rng.normal(size=(30, d)) for d in (5, 5, 3)]
    sets[1][:10], sets[2][20:] = np.nan, np.nan
    for scale in (True, False):
        found = generalised_procrustes(sets, scale=scale)
        assert (np.diff(found.residual) <= 0).all() and len(found.residual) > 3
        assert found.residual[-2] - found.residual[-1] < 1e-8 or len(found.residual) == 101
        mapped = [t.apply(s) for t, s in zip(found.transforms, sets, strict=True)]
        squares = sum(np.nansum((m - found.consensus) ** 2) for m in mapped)
        size = sum(np.nansum((m - np.nanmean(m, 0)) ** 2) for m in mapped)
        assert squares / size == pytest.approx(found.residual[-1], rel=1e-6)


def test_scales_keep_the_total_variation_so_that_nothing_shrinks_to_a_point():
    rng = np.random.default_rng(8)
    sets = [rng.normal(size=(40, 4)) for _ in range(3)]
    found = generalised_procrustes(sets)
    before = sum(((rows - rows.mean(0)) ** 2).sum() for rows in sets)
    mapped = [t.apply(rows) for t, rows in zip(found.transforms, sets, strict=True)]
    assert sum(((rows - rows.mean(0)) ** 2).sum() for rows in mapped) == pytest.approx(before)


def test_two_sets_give_the_map_of_procrustes():
    rng = np.random.default_rng(9)
    _, (x, y) = views(rng, count=2)
    one, two = generalised_procrustes([x, y]).transforms
    np.testing.assert_allclose(one.rotation @ two.rotation.T, procrustes(x, y).rotation, atol=1e-6)
    one, two = generalised_procrustes([x, y], scale=False).transforms
    back = (one.apply(x) - two.mean_y) @ two.rotation.T + two.mean_x
    np.testing.assert_allclose(back, procrustes(x, y, scale=False).apply(x), atol=1e-6)


def test_missing_rows_are_filled_by_the_others_and_new_rows_land_on_them():
    rng = np.random.default_rng(10)
    _, sets = views(rng, noise=0)
    whole = [rows.copy() for rows in sets]
    sets[0][:15], sets[1][10:30], sets[2][-20:] = np.nan, np.nan, np.nan
    found = generalised_procrustes(sets)
    assert found.residual[-1] < 1e-5
    assert np.isfinite(found.consensus).all()
    for rows, transform in zip(whole, found.transforms, strict=True):
        np.testing.assert_allclose(transform.apply(rows), found.consensus, atol=0.05 * found.consensus.std())


def test_a_row_without_weight_or_that_nobody_has_changes_nothing():
    rng = np.random.default_rng(11)
    _, sets = views(rng, count=3)
    plain = generalised_procrustes([rows[2:] for rows in sets])
    weighted = generalised_procrustes(
        [np.vstack([rows[:1] * 50, np.full_like(rows[:1], np.nan), rows[2:]]) for rows in sets],
        weights=np.r_[0, np.ones(59)],
    )
    np.testing.assert_allclose(weighted.consensus[2:], plain.consensus, atol=1e-8)
    assert np.isnan(weighted.consensus[1]).all()


def test_sets_of_different_width_share_the_widest_space():
    rng = np.random.default_rng(12)
    narrow = rng.normal(size=(50, 4))
    found = generalised_procrustes([narrow, narrow @ rotation(rng, 7)[:4] + 5, narrow @ rotation(rng, 4)])
    assert found.consensus.shape == (50, 7)
    assert found.residual[-1] < 1e-10


def test_sets_without_a_consensus_are_refused():
    rng = np.random.default_rng(13)
    x = rng.normal(size=(10, 3))
    gone, part, early, late = np.full_like(x, np.nan), x.copy(), x.copy(), x.copy()
    part[4, 1], early[5:], late[:5] = np.nan, np.nan, np.nan
    cases = [
        ([x], "at least two"),
        ([x, x[:5]], "same number of rows"),
        ([x, gone], "set 1 has no row"),
        ([x, np.full_like(x, 0.1)], "set 1 is constant"),
        ([x, part], "row 4 of set 1 is missing in part"),
        ([early, late], "shares no row"),
    ]
    for sets, message in cases:
        with pytest.raises(ValueError, match=message):
            generalised_procrustes(sets)
