"""Weights are those of the closed form in double precision; memory is bounded; the penalty is chosen on held links."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from crosswalk import ease
from crosswalk.errors import UserError
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(11)
LINKS = csr_array((RNG.random((300, 37)) < 0.2).astype(np.float32))


def fitting(links):
    return Fitting(links=links, features=csr_array((links.shape[0], 0), dtype=np.float32), labels=[])


def queries(links):
    b = links.shape[0]
    return Queries(links=links, features=csr_array((b, 0)), rows=np.full(b, -1), texts=[""] * b)


def closed_form(links, penalty):
    dense = links.toarray().astype(np.float64)
    inverse = np.linalg.inv(dense.T @ dense + penalty * np.eye(dense.shape[1]))
    weights = np.eye(len(inverse)) - inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("block", [5, 37, 256])
@pytest.mark.parametrize("penalty", [0.5, 30])
def test_weights_are_those_of_double_precision_with_zero_diagonal(block, penalty, monkeypatch):
    monkeypatch.setattr(ease, "BLOCK", block)
    model = ease.fit(fitting(LINKS), penalties=penalty)
    assert model.weights.dtype == np.float32 and not model.weights.diagonal().any() and model.penalty == penalty
    np.testing.assert_allclose(model.weights, closed_form(LINKS, penalty), atol=2e-6)
    np.testing.assert_allclose(model.score(queries(LINKS)), LINKS @ closed_form(LINKS, penalty), atol=2e-5)


def test_weights_are_not_symmetric_so_their_direction_matters():
    # 1 always comes with 0, 0 mostly without 1: bearing 1 says much of 0, bearing 0 little of 1
    links = csr_array(np.array([[1, 1], [1, 0], [1, 0], [1, 0], [1, 0]], np.float32))
    weights = ease.fit(fitting(links), penalties=1.0).weights
    assert weights[1, 0] == pytest.approx(1 / 2) and weights[0, 1] == pytest.approx(1 / 6)


def test_works_without_subjects_get_nothing():
    assert not ease.fit(fitting(LINKS), penalties=3).score(queries(csr_array((2, 37), dtype=np.float32))).any()


def test_order_of_works_and_threads_change_no_byte():
    first = ease.fit(fitting(LINKS), penalties=3).weights
    with threadpool_limits(2):
        again = ease.fit(fitting(LINKS[RNG.permutation(300)]), penalties=3).weights
    assert first.tobytes() == again.tobytes()


def test_more_subjects_than_memory_are_refused_with_the_numbers_and_a_cure():
    wide = csr_array((3, 100_000), dtype=np.float32)
    with pytest.raises(ease.TooManySubjects, match=r"100,000 subjects needs 3\d\.\d GiB.*2\.0 GiB.*Raise min_works"):
        ease.fit(fitting(wide))
    assert issubclass(ease.TooManySubjects, UserError)
    ease.fit(fitting(LINKS), penalties=1, max_bytes=ease.needed(37))
    with pytest.raises(ease.TooManySubjects):
        ease.fit(fitting(LINKS), penalties=1, max_bytes=ease.needed(37) - 1)


def test_nothing_but_the_one_matrix_is_made():
    import tracemalloc

    links = csr_array((RNG.random((200, 3000)) < 0.01).astype(np.float32))
    tracemalloc.start()
    ease.solve(links, 10.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 4 * 3000**2 <= peak <= ease.needed(3000) + 2e6


def test_the_penalty_chosen_is_the_one_that_finds_hidden_subjects():
    # pairs that always stand together, in works full of subjects at random: too great a penalty drowns the pairs
    rng = np.random.default_rng(2)
    pair = rng.integers(30, size=400)
    dense = (rng.random((400, 60)) < 0.05).astype(np.float32)
    dense[np.arange(400), pair * 2] = dense[np.arange(400), pair * 2 + 1] = 1
    links = csr_array(dense)
    assert ease.choose(links, [5.0, 1e6], seed=0) == 5.0
    assert ease.fit(fitting(links), penalties=[1e6, 5.0]).penalty == 5.0


def test_the_choice_sees_no_hidden_link_and_is_the_same_for_a_seed(monkeypatch):
    given = []
    solve = ease.solve
    monkeypatch.setattr(ease, "solve", lambda links, penalty: given.append(links.nnz) or solve(links, penalty))
    assert ease.choose(LINKS, [1.0, 10.0], seed=4) == ease.choose(LINKS, [1.0, 10.0], seed=4)
    able = np.count_nonzero(np.diff(LINKS.indptr) > 1)
    assert given == [LINKS.nnz - able // 2] * 4


def test_nothing_to_choose_by_takes_the_greatest_penalty():
    assert ease.fit(fitting(csr_array(np.eye(4, dtype=np.float32)))).penalty == max(ease.PENALTIES)


@pytest.mark.parametrize("penalties", [[], [0.0], [1.0, -3.0]])
def test_penalties_that_are_none_are_refused(penalties):
    with pytest.raises(ValueError, match="above 0"):
        ease.fit(fitting(LINKS), penalties=penalties)


def test_a_penalty_too_small_for_single_precision_is_named():
    with pytest.raises(ValueError, match="too small"):
        ease.solve(csr_array(np.ones((4000, 40), np.float32)), 1e-6)
