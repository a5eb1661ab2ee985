"""Independent components: planted sources come back, and the reconstruction is that of principal components."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from crosswalk.components import principal_components
from crosswalk.independent import independent_components


def mixed(n=2000, sources=5, width=12, seed=0):
    """Skewed sources of unlike strength, mixed; centred."""
    rng = np.random.default_rng(seed)
    planted = rng.exponential(size=(n, sources))
    x = planted @ (rng.standard_normal((sources, width)) * np.arange(1, sources + 1)[:, None])
    return planted, x - x.mean(0)


def likeness(a, b):
    r = np.abs(np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :])
    return r[linear_sum_assignment(-r)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_sources_come_back_from_every_start(seed):
    planted, x = mixed()
    found = independent_components(x, 5, seed=seed)
    assert likeness(planted, x @ found.encode).min() > 0.97
    principal, _ = principal_components(x, 5)
    assert likeness(planted, principal).min() < 0.9  # or the claim would be empty


def test_reconstruction_is_that_of_as_many_principal_components():
    x = mixed(sources=8)[1]
    found = independent_components(x, 4, seed=0)
    scores, basis = principal_components(x, 4)
    np.testing.assert_allclose(x @ found.encode @ found.decode, scores @ basis.T, atol=1e-8)


def test_codes_are_uncorrelated_of_variance_one_skewed_upwards_and_in_order_of_strength():
    x = mixed()[1]
    found = independent_components(-x, 5, seed=0)  # whose sources have their long end below
    codes = -x @ found.encode
    np.testing.assert_allclose(codes.T @ codes / len(x), np.eye(5), atol=1e-8)
    assert ((codes**3).mean(0) > 0).all()
    strength = np.square(found.decode).sum(1)
    assert (np.diff(strength) <= 0).all()


def test_search_moves_away_from_normal():
    contrast = independent_components(mixed()[1], 5, seed=0).contrast
    assert contrast[-1] > 2 * contrast[0]
    assert len(contrast) < 100


def test_no_more_components_than_the_rows_have():
    x = mixed(sources=3)[1]
    assert independent_components(x, 8, seed=0).encode.shape == (12, 3)
    with pytest.raises(ValueError, match="the same"):
        independent_components(np.zeros((20, 4)), 2, seed=0)
