"""Conjugate gradient goes where the normal equations say, and what was planted is found."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from crosswalk import ials
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(2)
LINKS = csr_array((RNG.random((70, 25)) < 0.2).astype(np.float32))


def fitting(links):
    return Fitting(links=links, features=csr_array((links.shape[0], 0), dtype=np.float32), labels=[])


def queries(links):
    b = links.shape[0]
    return Queries(links=links, features=csr_array((b, 0)), rows=np.full(b, -1), texts=[""] * b)


def exact(others, links, alpha, penalty):
    """The optimum of each row by its normal equations, one after the other."""
    gram, dense, found = alpha * others.T @ others, links.toarray(), []
    for row in dense:
        ridge = penalty * (row.sum() + alpha * len(others))
        matrix = gram + (others * row[:, None]).T @ others + ridge * np.eye(others.shape[1])
        found.append(np.linalg.solve(matrix, row @ others))
    return np.array(found)


def planted(works, *, seed=0):
    """Works of two themes out of ten, each with 5 of the 8 subjects of both; and one subject hidden of each work."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((works, 80), np.float32)
    hidden = np.empty(works, np.int64)
    for row, own in enumerate(dense):
        for theme in rng.choice(10, 2, replace=False):
            own[8 * theme + rng.choice(8, 5, replace=False)] = 1
        hidden[row] = rng.choice(np.flatnonzero(own))
        own[hidden[row]] = 0
    return csr_array(dense), hidden


def recall(model, links, hidden):
    scores = np.where(links.toarray() > 0, -np.inf, model.score(queries(links)))
    return (np.argsort(-scores, axis=1)[:, :10] == hidden[:, None]).any(axis=1).mean()


def test_enough_steps_reach_the_optimum_and_few_come_near():
    others = RNG.standard_normal((25, 8)).astype(np.float32)
    best = exact(others, LINKS, 0.1, 0.05)
    start = np.zeros((70, 8), np.float32)
    far = ials.improve(start, others, LINKS, alpha=0.1, penalty=0.05, steps=20)
    np.testing.assert_allclose(far, best, atol=1e-4)
    near = ials.improve(start, others, LINKS, alpha=0.1, penalty=0.05, steps=3)
    assert np.linalg.norm(near - best) < 0.35 * np.linalg.norm(best)


def test_rows_do_not_depend_on_the_chunk(monkeypatch):
    others = RNG.standard_normal((25, 8)).astype(np.float32)
    start = np.zeros((70, 8), np.float32)
    whole = ials.improve(start, others, LINKS, alpha=0.1, penalty=0.05, steps=3)
    monkeypatch.setattr(ials, "CHUNK", 7)
    parts = ials.improve(start, others, LINKS, alpha=0.1, penalty=0.05, steps=3)
    np.testing.assert_allclose(parts, whole, rtol=1e-3, atol=1e-5)


def test_loss_falls_with_every_epoch():
    model = ials.fit(fitting(LINKS), dim=8, iterations=8, alpha=0.1, penalty=0.01)
    assert (np.diff(model.history["loss"]) < 1e-6).all()
    assert model.history["loss"].iloc[-1] < 0.7 * model.history["loss"].iloc[0]


def test_the_objective_is_the_sum_it_is_said_to_be():
    works, subjects = (RNG.standard_normal((count, 4)).astype(np.float32) for count in LINKS.shape)
    dense, scores = LINKS.toarray(), works @ subjects.T
    expected = (dense * (1 - scores) ** 2).sum() + 0.1 * (scores**2).sum()
    expected += 0.05 * ((dense.sum(1) + 0.1 * 25) * (works**2).sum(1)).sum()
    expected += 0.05 * ((dense.sum(0) + 0.1 * 70) * (subjects**2).sum(1)).sum()
    np.testing.assert_allclose(ials.objective(works, subjects, LINKS, alpha=0.1, penalty=0.05), expected, rtol=1e-5)


def test_a_planted_set_is_recovered():
    links, hidden = planted(500)
    assert recall(ials.fit(fitting(links), dim=16), links, hidden) >= 0.95


def test_works_without_subjects_get_nothing():
    model = ials.fit(fitting(LINKS), dim=8, iterations=2)
    assert not model.score(queries(csr_array((3, 25), dtype=np.float32))).any()


def test_a_seed_decides_everything():
    models = [ials.fit(fitting(LINKS), dim=8, iterations=2, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(models[0].subjects, models[1].subjects)
    assert not np.array_equal(models[0].subjects, models[2].subjects)


def test_what_is_saved_answers_alike(tmp_path):
    model = ials.fit(fitting(LINKS), dim=8, iterations=2, alpha=0.1)
    model.save(tmp_path / "model.safetensors")
    found = ials.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(found.score(queries(LINKS)), model.score(queries(LINKS)))


@pytest.mark.parametrize("wrong", [{"dim": 0}, {"iterations": 0}, {"alpha": 0.0}, {"penalty": -1.0}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="above 0"):
        ials.fit(fitting(LINKS), **wrong)
