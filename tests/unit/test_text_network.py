"""The network learns subjects from words and from vectors, the same for the same seed, and reads no subject."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from crosswalk import batches, softmax, text_network
from crosswalk.recommender import Fitting, Queries

N, F, S = 400, 30, 12


def works(seed=0):
    """Works whose first word says subject word % S, and whose vector says subject number % 4 beside it."""
    rng = np.random.default_rng(seed)
    word, turn = rng.integers(F, size=N), rng.integers(4, size=N)
    features = csr_array((np.ones(N, np.float32), (np.arange(N), word)), shape=(N, F))
    vectors = np.eye(4, 6, dtype=np.float32)[turn] + rng.normal(scale=0.05, size=(N, 6)).astype(np.float32)
    dense = np.zeros((N, S), np.float32)
    dense[np.arange(N), word % 8] = 1
    dense[np.arange(N), 8 + turn] = 1
    return Fitting(links=csr_array(dense), features=features, labels=[""] * S, vectors=vectors), word % 8, 8 + turn


def asked(fitting, *, vectors=True):
    return Queries(
        links=csr_array(fitting.links.shape, dtype=np.float32),
        features=fitting.features,
        rows=np.full(N, -1),
        texts=[""] * N,
        vectors=fitting.vectors if vectors else None,
    )


def test_words_and_vectors_are_both_learned_from():
    fitting, by_word, by_vector = works()
    scores = text_network.fit(fitting, dim=32, seed=1).score(asked(fitting))
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-4)
    best = np.argsort(-scores, axis=1)[:, :2]
    assert np.mean([a in own and b in own for a, b, own in zip(by_word, by_vector, best, strict=True)]) > 0.95


def test_what_it_was_not_given_it_does_not_ask_for():
    fitting, by_word, _ = works()
    blind = Fitting(links=fitting.links, features=fitting.features, labels=fitting.labels)
    scores = text_network.fit(blind, dim=32).score(asked(fitting, vectors=False))
    assert np.mean(scores[:, :8].argmax(1) == by_word) > 0.95


def test_a_work_without_any_known_word_is_left_to_others():
    fitting, _, _ = works()
    blind = Fitting(links=fitting.links, features=fitting.features, labels=fitting.labels)
    queries = asked(fitting, vectors=False)
    bare = Queries(queries.links, csr_array((N, F), dtype=np.float32), queries.rows, queries.texts)
    assert not text_network.fit(blind, dim=8, epochs=1).score(bare).any()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    fitting, _, _ = works()
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        text_network.fit(fitting, dim=8, epochs=2, seed=seed).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_saved_network_answers_alike(tmp_path):
    fitting, _, _ = works()
    model = text_network.fit(fitting, dim=8, epochs=2)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        model.score(asked(fitting)), text_network.load(tmp_path / "model").score(asked(fitting))
    )


def test_many_subjects_are_learned_from_a_draw_of_them(monkeypatch):
    fitting, by_word, by_vector = works()
    monkeypatch.setattr(text_network, "sampler_of", lambda links, size: softmax.Sampler(links.sum(0), N, size=6))
    scores = text_network.fit(fitting, dim=32).score(asked(fitting))
    assert np.mean(scores[:, :8].argmax(1) == by_word) > 0.9
    assert np.mean(8 + scores[:, 8:].argmax(1) == by_vector) > 0.9


def test_nothing_to_learn_from_is_said():
    fitting, _, _ = works()
    with pytest.raises(ValueError, match="nothing to learn from"):
        text_network.fit(Fitting(csr_array((N, S), dtype=np.float32), fitting.features, [""] * S, fitting.vectors))
    with pytest.raises(ValueError, match="above 0"):
        text_network.fit(fitting, epochs=0)


def test_the_gradient_of_works_that_count_unequally_is_that_of_the_plain_loss():
    rng = np.random.default_rng(2)
    dense = csr_array((rng.random((5, 9)) < 0.4) | (np.arange(9) == 3))
    wanted = softmax.targets(batches.take(dense.astype(np.float32), np.arange(5)))
    lengths = np.diff(dense.indptr)
    mass = torch.from_numpy(np.repeat(lengths, lengths) / 5).float()
    wanted = wanted._replace(weights=wanted.weights * mass)
    own = [torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in ((5, 4), (9, 4), (9,))]
    softmax.cross_entropy(*own, wanted).backward()
    plain = [value.detach().clone().requires_grad_() for value in own]
    shares = torch.log_softmax(plain[0] @ plain[1].T + plain[2], 1)
    loss = -(shares[wanted.rows, wanted.columns] * wanted.weights.double()).sum() / 5
    loss.backward()
    for one, other in zip(own, plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7)
