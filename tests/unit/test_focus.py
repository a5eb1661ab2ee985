"""What is asked beforehand is found where a search for everything finds nothing."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from crosswalk.canonical import canonical_axes
from crosswalk.covariates import Nuisance
from crosswalk.focus import focus_axes, hypotheses
from crosswalk.items import folds
from crosswalk.significance import false_discovery_rate, pooled_p_values

FEW = {"permutations": 99, "bootstrap": 99}


def linked_world(seed, *, r=0.0, n=500, factors=20, width=48, block=1):
    """Vectors of either side made of factors, the first of x and the first of y linked, and where those two point."""
    rng = np.random.default_rng(seed)
    blocks = np.arange(n) // block
    a, b = rng.normal(size=(2, n, factors))
    if block > 1:
        a, b = (0.6**0.5 * rng.normal(size=side.shape)[blocks] + 0.4**0.5 * side for side in (a, b))
    b[:, 0] = r * a[:, 0] + np.sqrt(1 - r * r) * b[:, 0]
    loadings = rng.normal(size=(2, factors, width))
    x, y = (side @ own + rng.normal(size=(n, width)) for side, own in zip((a, b), loadings, strict=True))
    return x, y, blocks, loadings[0, 0], loadings[1, 0]


def test_hypotheses_are_what_the_config_asks():
    asked = hypotheses([{"phrase": "slow"}, {"x": "war"}, {"x": "love", "y": "tears"}])
    assert [(test.name, test.x, test.y) for test in asked] == [
        ("focus-1-x", "slow", None),
        ("focus-1-y", None, "slow"),
        ("focus-2-x", "war", None),
        ("focus-3-xy", "love", "tears"),
    ]
    assert hypotheses([]) == []


@pytest.fixture(scope="module")
def found():
    x, y, blocks, in_x, in_y = linked_world(0, r=-0.5)
    stranger = np.random.default_rng(9).normal(size=48)
    return (in_x, in_y), focus_axes(x, y, blocks, [None, in_x, in_x, stranger], [in_y, None, in_y, None], **FEW)


def test_a_phrase_finds_its_link_from_either_side_and_from_both(found):
    (in_x, in_y), told = found
    assert (told.p[:3] == 0.01).all() and told.p[3] > 0.05
    assert (told.low[:3] > 0).all() and ((told.low <= told.r) & (told.r <= told.high)).all()
    for k in range(3):
        assert np.corrcoef(told.x_scores[:, k], told.y_scores[:, k])[0, 1] > 0.15
    # The link is negative: the direction that was found goes against the other side's phrase.
    assert told.y_directions[:, 1] @ in_y < 0 and told.x_directions[:, 0] @ in_x < 0
    np.testing.assert_allclose(told.y_directions[:, 2], -in_y / np.linalg.norm(in_y))
    np.testing.assert_allclose(told.x_directions[:, 2], in_x / np.linalg.norm(in_x))


def test_two_phrases_are_correlated_as_they_are(found):
    (in_x, in_y), told = found
    x, y, *_ = linked_world(0, r=-0.5)
    assert told.r[2] == pytest.approx(-spearmanr(x @ in_x, y @ in_y).statistic)


def test_each_phrase_is_tested_alone(found):
    (in_x, _), told = found
    x, y, blocks, *_ = linked_world(0, r=-0.5)
    alone = focus_axes(x, y, blocks, [in_x], [None], **FEW)
    assert alone.p[0] == told.p[1] and alone.r[0] == pytest.approx(told.r[1])
    nothing = focus_axes(x, y, blocks, [], [], **FEW)
    assert nothing.r.shape == (0,) and nothing.x_scores.shape == (500, 0) and nothing.y_directions.shape == (48, 0)
    with pytest.raises(ValueError, match="no phrase"):
        focus_axes(x, y, blocks, [None], [None])


def test_a_covariate_that_is_taken_out_makes_no_finding():
    x, y, blocks, in_x, in_y = linked_world(1, n=300)
    length = np.random.default_rng(7).normal(size=300)
    x, y = x + 2 * np.outer(length, in_x), y + 2 * np.outer(length, in_y)
    out = Nuisance(length[:, None], folds(blocks, 5, seed=0))
    asked = [in_x, None, in_x], [None, in_y, in_y]
    assert (focus_axes(x, y, blocks, *asked, **FEW).p == 0.01).all()
    assert (focus_axes(out(x), out(y), blocks, *asked, **FEW, nuisance=out).p > 0.05).all()


@pytest.mark.slow
def test_a_phrase_finds_a_weak_link_that_the_search_for_all_axes_misses():
    focused, blind = [], []
    for seed in range(5):
        x, y, blocks, in_x, _ = linked_world(seed, r=0.2, n=1000)
        focused.append(focus_axes(x, y, blocks, [in_x], [None], permutations=199, bootstrap=9, seed=seed).p[0])
        axes = canonical_axes(x, y, blocks, permutations=49, bootstrap=9, seed=seed)
        blind.append(false_discovery_rate(pooled_p_values(axes.r, axes.null)).min())
    assert np.median(focused) <= 0.05, focused
    assert np.median(blind) > 0.05, blind


@pytest.mark.slow
@pytest.mark.parametrize("block", [1, 5])
def test_a_phrase_finds_nothing_where_nothing_is_linked(block):
    p = []
    for seed in range(200):
        x, y, blocks, in_x, in_y = linked_world(300 + seed, n=120, factors=8, width=16, block=block)
        told = focus_axes(x, y, blocks, [in_x, in_x], [None, in_y], permutations=99, bootstrap=9, seed=seed)
        p.append(told.p)
    for level in (0.05, 0.2):
        assert (np.mean(np.array(p) <= level, axis=0) <= 1.4 * level + 1e-9).all(), level
    naive = []
    for seed in range(60):
        x, y, _, in_x, in_y = linked_world(300 + seed, n=120, factors=8, width=16, block=5)
        naive += [*focus_axes(x, y, np.arange(120), [in_x], [in_y], permutations=39, bootstrap=9, seed=seed).p]
    assert np.mean(np.array(naive) <= 0.05) > 0.15  # what would be claimed if blocks were ignored
