"""Probabilities come as often as they say, keep the order of scores, and never claim to be certain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

from crosswalk.calibration import (
    COLUMNS,
    GROUP,
    assess,
    calibrate,
    candidates,
    fit,
    from_tensors,
    reliability,
    tensors,
)
from crosswalk.files import write_tensors
from crosswalk.ranking import top


def truth(scores):
    """Chance of a hit: rises with the score, far from its logistic curve."""
    return 0.02 + 0.8 / (1 + np.exp(-3 * (scores - 1)))


def planted(count, *, seed):
    """Scores and outcomes of `count` works with ten candidates each."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=10 * count)
    return scores, rng.random(10 * count) < truth(scores), np.repeat(np.arange(count), 10)


def measured(probabilities, hits, works=None, **options):
    works = np.arange(len(hits)) if works is None else works
    return assess(np.asarray(probabilities, float), np.asarray(hits), works, **{"seed": 0, "resamples": 200, **options})


def test_candidates_are_the_suggestions_that_were_made():
    ranked = np.array([[2, 0, -1], [1, -1, -1]])
    hidden = csr_array(np.array([[1, 0, 0], [0, 1, 0]]))
    made = candidates(np.array([[0.9, 0.3, 0], [0.5, 0, 0]], np.float32), ranked, hidden)
    assert made.scores == pytest.approx([0.9, 0.3, 0.5])
    assert made.hits.tolist() == [False, True, True] and made.works.tolist() == [0, 0, 1]
    with pytest.raises(ValueError, match="for"):
        candidates(np.zeros((2, 4)), ranked, hidden)


def test_a_scorer_that_is_far_off_is_put_right():
    scores, hits, works = planted(3000, seed=1)
    off = 1 / (1 + np.exp(-scores))
    assert measured(off, hits, works)["ece"] > 0.2
    fresh, outcome, own = planted(3000, seed=2)
    probabilities = calibrate(fit(scores, hits), fresh)
    assert measured(probabilities, outcome, own)["ece"] < 0.02
    assert np.abs(probabilities - truth(fresh)).mean() < 0.02
    better, before = (measured(p, outcome, own) for p in (probabilities, 1 / (1 + np.exp(-fresh))))
    assert better["brier"] < before["brier"] and better["log_loss"] < before["log_loss"]


def test_one_hidden_link_and_all_of_them_need_a_curve_each():
    rng, b, count = np.random.default_rng(3), 4000, 40
    liking = rng.normal(size=(b, count))
    borne = rng.random((b, count)) < 1 / (1 + np.exp(3 - 2 * liking))
    borne[borne.sum(axis=1) < 2, :2] = True
    ranked = top(liking.astype(np.float32), csr_array((b, count)), 10)
    scores = np.take_along_axis(liking, ranked, axis=1)
    one = np.zeros_like(borne)
    one[np.arange(b), np.where(borne, rng.random((b, count)), -1).argmax(axis=1)] = True
    new, known = (candidates(scores, ranked, csr_array(hidden * 1)) for hidden in (borne, one))
    curves = {"known": fit(known.scores, known.hits), "new": fit(new.scores, new.hits)}
    for kind, made in (("known", known), ("new", new)):
        assert measured(calibrate(curves[kind], made.scores), made.hits, made.works)["ece"] < 0.01
    assert measured(calibrate(curves["known"], new.scores), new.hits, new.works)["ece"] > 0.2
    # One link is hidden: what a list promises is on average the share of lists that hold it, so never above 1.
    promised = calibrate(curves["known"], scores).sum(axis=1).mean()
    assert promised == pytest.approx(known.hits.sum() / b, abs=0.02) and promised < 1


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 300), values=st.integers(1, 400), group=st.integers(1, 60), share=st.floats(0, 1),
    seed=st.integers(0, 9999),
)  # fmt: skip
def test_a_curve_never_falls_and_never_claims_to_be_certain(n, values, group, share, seed):
    rng = np.random.default_rng(seed)
    scores, hits = rng.integers(values, size=n) / 7, rng.random(n) < share
    knots = fit(scores, hits, group=group)
    assert knots.x.dtype == knots.y.dtype == np.float64 and len(knots.x) == len(knots.y)
    assert (np.diff(knots.x) > 0).all() and (np.diff(knots.y) >= 0).all()
    asked = np.sort(np.append(rng.normal(0, 1e4, 50), scores))
    probabilities = calibrate(knots, asked)
    assert probabilities.dtype == np.float32
    assert (np.diff(probabilities) >= 0).all() and probabilities.min() > 0 and probabilities.max() < 1


def test_without_pools_it_is_isotonic_regression():
    scores, hits, _ = planted(60, seed=5)
    steps = IsotonicRegression(out_of_bounds="clip").fit(scores, hits)
    inside = (steps.predict(scores) > steps.predict(scores).min()) & (
        steps.predict(scores) < steps.predict(scores).max()
    )
    knots = fit(scores, hits, group=1)
    np.testing.assert_allclose(calibrate(knots, scores[inside]), steps.predict(scores[inside]), rtol=1e-6)


def test_what_is_promised_on_the_whole_came_on_the_whole():
    for lumps in (1, 1000):
        scores, hits, _ = planted(400, seed=6)
        scores = np.round(scores * lumps) / lumps
        assert calibrate(fit(scores, hits), scores).astype(float).mean() == pytest.approx(hits.mean(), abs=1e-5)


def test_scores_in_lumps_get_the_share_of_their_level():
    """Four values, of which the second and the third are in the wrong order and come unequally often."""
    scores = np.repeat([0.0, 1.0, 2.0, 3.0], [100, 100, 300, 100])
    hits = np.concatenate([np.arange(n) < right for n, right in ((100, 10), (100, 50), (300, 110), (100, 80))])
    knots = fit(scores, hits)
    assert knots.x.tolist() == [0, 1, 2, 3] and knots.y.tolist() == [0.1, 0.4, 0.4, 0.8]
    assert calibrate(knots, np.array([-5, 0.5, 1.5, 9])).tolist() == pytest.approx([0.1, 0.25, 0.4, 0.8])


def test_few_hits_at_the_top_do_not_make_certain():
    knots = fit(np.arange(200.0), np.arange(200) >= 100)
    assert knots.x.tolist() == [0, 99, 100, 199]
    assert knots.y.tolist() == [1 / 102, 1 / 102, 1 - 1 / 102, 1 - 1 / 102]
    one = fit(np.arange(1000.0), np.arange(1000) == 999)  # the best score alone is a hit
    assert one.y[-1] == 1 / GROUP and one.y[0] == 1 / 952


def test_what_is_left_over_joins_the_last_pool():
    knots = fit(np.arange(120.0), np.arange(120) >= 100, group=50)
    assert knots.x.tolist() == [0, 49, 50, 119]
    assert knots.y.tolist() == [1 / 52, 1 / 52, 20 / 70, 20 / 70]


def test_an_end_with_few_cases_is_never_less_than_what_stands_before_it():
    scores = np.repeat([0.0, 1.0, 2.0], [100, 100, 1])
    knots = fit(scores, np.repeat([0, 1, 0, 1], [99, 91, 10, 1]) > 0, group=1)
    assert (np.diff(knots.y) >= 0).all()
    top_heavy = fit(np.repeat([1.0, 2.0], [100, 1]), np.repeat([0, 1], [5, 96]) > 0, group=1)
    assert top_heavy.y.tolist() == [95 / 100] * 2


def test_nobody_or_everybody_right_is_one_level_off_the_edge():
    for hits, level in ((np.zeros(98, bool), 0.01), (np.ones(98, bool), 0.99)):
        knots = fit(np.arange(98.0), hits)
        assert knots.y.tolist() == pytest.approx([level] * 2)


def test_scores_that_fell_are_not_believed():
    knots = fit(np.arange(400.0), np.arange(400) < 100)
    assert knots.y.tolist() == [0.25] * 2


def test_order_of_candidates_is_of_no_effect():
    scores, hits, works = planted(300, seed=7)
    order = np.random.default_rng(0).permutation(len(scores))
    knots, other = fit(scores, hits), fit(scores[order], hits[order])
    np.testing.assert_allclose(knots.x, other.x)
    assert np.array_equal(knots.y, other.y)
    assert measured(truth(scores), hits, works) == pytest.approx(
        measured(truth(scores)[order], hits[order], works[order])
    )


def test_what_cannot_be_fitted_is_refused():
    for scores, hits in (([], []), ([1.0, np.nan], [0, 1]), ([1.0], [0, 1])):
        with pytest.raises(ValueError, match="as many"):
            fit(np.array(scores), np.array(hits))


def test_curves_are_kept_as_arrays(tmp_path):
    from safetensors.numpy import load_file

    scores, hits, _ = planted(100, seed=8)
    curves = {"known": fit(scores, hits), "new": fit(scores + 1, hits)}
    write_tensors(tmp_path / "calibration.safetensors", tensors(curves))
    read = from_tensors(load_file(tmp_path / "calibration.safetensors"))
    assert list(read) == ["known", "new"]
    for kind, knots in curves.items():
        assert np.array_equal(calibrate(read[kind], scores), calibrate(knots, scores))


def test_reliability_has_known_answers():
    table = reliability(np.array([0.1] * 10 + [0.5, 0.7] * 5), np.array([1] + [0] * 9 + [1] * 5 + [0] * 5), bins=2)
    assert list(table.columns) == COLUMNS
    assert table["n"].tolist() == [10, 10] and table["bin"].tolist() == [1, 2]
    assert table["probability"].tolist() == pytest.approx([0.1, 0.6])
    assert table["observed"].tolist() == pytest.approx([0.1, 0.5])
    # Wilson's interval of 1 and of 5 in 10, worked out by hand.
    assert table["low"].tolist() == pytest.approx([0.0179, 0.2366], abs=1e-4)
    assert table["high"].tolist() == pytest.approx([0.4042, 0.7634], abs=1e-4)


def test_equal_probabilities_are_never_parted():
    table = reliability(np.repeat([0.2, 0.4, 0.9], [70, 5, 25]), np.zeros(100, bool), bins=10)
    assert table["probability"].tolist() == pytest.approx([0.2, 0.4, 0.9])
    assert table["n"].tolist() == [70, 5, 25]
    assert table["low"].tolist() == [0, 0, 0] and (table["high"] > 0.01).all()


def test_bins_are_of_equal_size():
    assert set(reliability(np.random.default_rng(0).random(1003), np.zeros(1003), bins=10)["n"]) <= {100, 101}


def test_the_error_is_the_weighted_gap_of_the_bins():
    probabilities, hits = [0.1] * 10 + [0.6] * 30, [1] + [0] * 9 + [1] * 30
    report = measured(probabilities, hits, bins=4)
    assert report["ece"] == pytest.approx((10 * 0 + 30 * 0.4) / 40)
    assert report["candidates"] == 40
    table = reliability(np.array(probabilities), np.array(hits), bins=4)
    gap = (table["probability"] - table["observed"]).abs()
    assert report["ece"] == pytest.approx((gap * table["n"]).sum() / table["n"].sum())


def test_losses_are_those_of_sklearn():
    scores, hits, _ = planted(50, seed=9)
    report = measured(truth(scores), hits)
    assert report["brier"] == pytest.approx(brier_score_loss(hits, truth(scores)))
    assert report["log_loss"] == pytest.approx(log_loss(hits, truth(scores)))


def test_exact_probabilities_have_the_error_of_chance():
    reports = []
    for seed in range(40):
        scores, hits, works = planted(400, seed=seed)
        reports.append(measured(truth(scores), hits, works, resamples=20))
    floor = np.mean([report["ece_floor"] for report in reports])
    assert np.mean([report["ece"] for report in reports]) == pytest.approx(floor, rel=0.1)
    assert floor < 0.02
    scores, hits, works = planted(20_000, seed=0)
    assert measured(truth(scores), hits, works, resamples=20)["ece"] < 0.004


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Outcomes of a work go together, which an interval by candidate would not see; 0.4 is promised, 0.3 comes."""
    covered = {"ece": 0, "brier": 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        hits = rng.random((120, 5)) < rng.choice([0.1, 0.5], (120, 1))
        report = measured(np.full(600, 0.4), hits.ravel(), np.repeat(np.arange(120), 5), seed=seed)
        for name, value in (("ece", 0.1), ("brier", 0.3 * 0.6**2 + 0.7 * 0.4**2)):
            covered[name] += report[f"{name}_low"] <= value <= report[f"{name}_high"]
    assert all(0.91 <= count / 300 <= 0.98 for count in covered.values())


def test_works_are_drawn_whole():
    hits = np.repeat(np.random.default_rng(1).random(50) < 0.5, 40)
    wide = measured(np.full(2000, 0.2), hits, np.repeat(np.arange(50), 40))
    narrow = measured(np.full(2000, 0.2), hits)
    assert wide["ece_high"] - wide["ece_low"] > 4 * (narrow["ece_high"] - narrow["ece_low"])
    renamed = measured(np.full(2000, 0.2), hits, np.repeat(np.arange(50) * 1000 + 7, 40))
    assert renamed == wide


def test_the_interval_holds_the_figure():
    scores, hits, works = planted(50, seed=3)
    report = measured(truth(scores), hits, works)
    for name in ("ece", "brier", "log_loss"):
        assert report[f"{name}_low"] <= report[name] <= report[f"{name}_high"]
    exact = measured(np.repeat([0.25, 0.5], 40), np.tile([1, 0, 0, 0], 10).tolist() + [1, 0] * 20)
    assert exact["ece"] == exact["ece_low"] == 0 < exact["ece_high"]


def test_certainty_is_refused():
    for wrong in (0.0, 1.0, np.nan, 1.2):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            measured([0.5, wrong], [0, 1])
