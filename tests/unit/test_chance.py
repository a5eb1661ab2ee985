"""Decoys resemble rows of b in all but what belongs together; what is nearer than they are is nearer than chance."""

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_limits

from crosswalk import chance as module
from crosswalk.blocks import Combined, dense_block, sparse_block, spread
from crosswalk.chance import chance, decoys, null_scores, threshold
from crosswalk.terms import word_rows

VOCABULARY = [x + y + z for x in "bdfgklm" for y in ("a", "e", "io") for z in ("rt", "ns", "ck", "bble", "st", "ms")]


def clouds(seed, n=250, m=250, d=30):
    rng = np.random.default_rng(seed)
    turn, sizes = rng.normal(size=(d, d)), 1 / np.sqrt(np.arange(1, d + 1))
    return [rng.normal(size=(rows, d)) * sizes @ turn for rows in (n, m)]


def texts(seed, n=250):
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(3, len(VOCABULARY) + 3)
    return [[" ".join(rng.choice(VOCABULARY, size=rng.integers(5, 25), p=p / p.sum())) for _ in range(n)] for _ in "ab"]


def words_block(a, b):
    rows = word_rows(a + b)[0][0]
    return sparse_block("words", {"a": rows[: len(a)], "b": rows[len(a) :]})


def noise_of_one_block(seed):
    a, b = clouds(seed)
    return [dense_block("embedding", {"a": a, "b": b})]


def noise_of_blocks_that_say_the_same(seed):
    rng = np.random.default_rng(seed)
    a, b = clouds(seed)
    again = [rows + 0.2 * rng.normal(size=rows.shape) for rows in (a, b)]
    return [dense_block("embedding", {"a": a, "b": b}), dense_block("code", dict(zip("ab", again, strict=True)))]


def noise_of_words(seed):
    return [words_block(*texts(seed))]


def judged(blocks, seed):
    """p-values of the best of each row, the null, the best, and the combined scores."""
    coefficients = [1 / spread(block) for block in blocks]
    null = null_scores(blocks, coefficients, seed=seed)
    scores = Combined(blocks, coefficients)
    found = scores.rows(0, scores.shape[0])
    return chance(found.max(axis=1), null), null, found


def test_dense_decoys_keep_the_covariance_and_the_lengths_of_rows():
    a, b = clouds(0, n=50, m=4000, d=6)
    block = dense_block("embedding", {"a": a, "b": b})
    (made,) = decoys([block], seed=1)
    real, mock = (one.parts["b"].dense.astype(float) for one in (block, made))
    np.testing.assert_allclose(mock.T @ mock / 4000, real.T @ real / 4000, atol=0.02)
    np.testing.assert_allclose(np.linalg.norm(mock, axis=1), np.linalg.norm(real, axis=1), rtol=1e-5)
    assert np.abs((real * mock).sum(axis=1)).mean() < 0.6 and made.parts["a"] is block.parts["a"]


def test_decoys_of_blocks_that_say_the_same_say_the_same():
    a, b = clouds(0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    blocks = [dense_block("embedding", {"a": a, "b": b}), dense_block("code", {"a": a @ turn, "b": b @ turn})]
    made = decoys(blocks, seed=0)
    one, other = (block.parts["b"].dense for block in made)
    np.testing.assert_allclose(one @ turn, other, atol=1e-5)
    assert not np.allclose(one, blocks[0].parts["b"].dense, atol=0.1)


def test_sparse_decoys_keep_the_values_of_each_column_and_the_terms_of_each_row(monkeypatch):
    block = words_block(*texts(0))
    raw = module._raw(block.parts["b"])
    mock = module._shuffle_sparse(raw, np.random.default_rng(0))
    assert (mock != raw).nnz > raw.nnz / 2 and mock.nnz >= 0.975 * raw.nnz
    np.testing.assert_allclose(mock.sum(axis=0), raw.sum(axis=0), rtol=1e-5)
    lengths = np.diff(mock.indptr) - np.diff(raw.indptr)
    assert (lengths <= 0).all() and (lengths == 0).mean() > 0.75
    (made,) = decoys([block], seed=1)
    assert made.parts["b"].terms.shape == raw.shape
    assert np.array_equal(made.parts["b"].dense[:, 0] > 0, raw.getnnz(axis=1) > 0)
    monkeypatch.setattr(module, "ROUNDS", 0)  # left alone, a tenth of the terms would be doubled in some row
    assert module._shuffle_sparse(raw, np.random.default_rng(0)).nnz < 0.95 * raw.nnz


def test_rows_that_sparse_features_were_made_of_are_found_again():
    rows = sparse.random(40, 30, 0.2, format="csr", rng=np.random.default_rng(0))
    rows.data[rows.indptr[4] : rows.indptr[5]] = 0
    rows.eliminate_zeros()
    block = sparse_block("words", {"a": rows[:20], "b": rows})
    np.testing.assert_allclose(module._raw(block.parts["b"]).toarray(), rows.toarray(), rtol=1e-4)


def test_decoys_depend_on_the_seed_alone():
    a, b = clouds(0, d=60)
    blocks, made = [dense_block("embedding", {"a": a, "b": b}), words_block(*texts(0))], []
    for threads in (1, 2):
        with threadpool_limits(threads):
            made.append(null_scores(blocks, [1.0, 1.0], seed=7))
    assert np.array_equal(*made) and made[0].dtype == np.float32 and (np.diff(made[0]) >= 0).all()
    assert not np.array_equal(made[0], null_scores(blocks, [1.0, 1.0], seed=8))


def test_rows_without_features_stay_without():
    a, b = clouds(0, n=20, m=30)
    b = np.vstack([b, b.mean(axis=0)])
    assert (decoys([dense_block("embedding", {"a": a, "b": b})], seed=0)[0].parts["b"].dense[-1] == 0).all()
    constant = dense_block("embedding", {"a": a, "b": np.ones((5, 30))})
    assert (decoys([constant], seed=0)[0].parts["b"].dense == 0).all()


@pytest.mark.parametrize("noise", [noise_of_one_block, noise_of_blocks_that_say_the_same, noise_of_words])
def test_p_values_are_about_uniform_where_nobody_has_a_partner(noise):
    shares = []
    for seed in range(8):
        p, null, found = judged(noise(seed), seed)
        shares.append(
            [
                (p <= 0.05).mean(),
                (p <= 0.5).mean(),
                (found.max(axis=1) >= threshold(found.max(axis=1), null, level=0.05)).mean(),
            ]
        )
    at_5, at_50, matched = np.mean(shares, axis=0)
    assert 0.01 <= at_5 <= 0.09 and 0.35 <= at_50 <= 0.65 and matched <= 0.02


@pytest.mark.parametrize(("n", "m"), [(400, 400), (400, 160), (100, 900)])
def test_partners_are_told_from_the_nearest_of_those_who_have_none(n, m):
    """60 % of a have no partner; b's other rows have none either."""
    emitted, right, partners = 0, 0, 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(n, 60)), rng.normal(size=(m, 60))
        shared = int(0.4 * n)
        b[:shared] = a[:shared] + 0.3 * rng.normal(size=(shared, 60))
        _, null, found = judged([dense_block("embedding", {"a": a, "b": b + 4})], seed)
        kept = found.max(axis=1) >= threshold(found.max(axis=1), null, level=0.05)
        true = (found.argmax(axis=1) == np.arange(n)) & (np.arange(n) < shared)
        emitted, right, partners = emitted + kept.sum(), right + (kept & true).sum(), partners + shared
    assert right / emitted >= 0.9 and right / partners > 0.9


def test_partners_of_a_handful_of_rows_can_be_nearer_than_chance():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(8, 40))
    block = dense_block(
        "embedding", {"a": a, "b": np.vstack([a + 0.2 * rng.normal(size=a.shape), rng.normal(size=(40, 40))])}
    )
    p, null, found = judged([block], 0)
    assert len(null) >= 500 and (found.max(axis=1) >= threshold(found.max(axis=1), null, level=0.05)).all()
    assert p.max() < 0.01


@pytest.mark.parametrize("m", [2, 3])
def test_among_few_rows_nothing_is_nearer_than_chance(m):
    a = np.random.default_rng(m).normal(size=(m, 12))
    _, null, found = judged([dense_block("embedding", {"a": a, "b": a + 0})], 0)
    assert np.isfinite(null).all() and threshold(found.max(axis=1), null, level=0.05) == np.inf


def test_chance_is_the_share_of_best_decoys_at_least_as_near():
    null = np.array([0.1, 0.2, 0.2, 0.4], dtype=np.float32)
    assert chance(np.array([0.5, 0.4, 0.3, 0.2, 0.0]), null).tolist() == [0.2, 0.4, 0.4, 0.8, 1.0]
    assert chance(np.array([0.4 + 1e-7, 0.4 - 1e-7, np.inf]), null).tolist() == [0.4, 0.4, 0.2]


def plain_threshold(best, null, level):
    """Benjamini and Hochberg's step-up procedure, written out."""
    p = [(1 + sum(other >= score for other in null)) / (1 + len(null)) for score in best]
    ordered = sorted(p)
    passing = [rank for rank in range(1, len(p) + 1) if ordered[rank - 1] <= level * rank / len(p)]
    if not passing:
        return float("inf")
    return min(score for score, value in zip(best, p, strict=True) if value <= ordered[max(passing) - 1])


@pytest.mark.parametrize("level", [0.02, 0.05, 0.3])
def test_threshold_is_that_of_benjamini_and_hochberg(level):
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        null = np.sort(rng.integers(0, 1000, 200)).astype(np.float32)
        best = np.concatenate([rng.integers(0, 1000, 30), rng.integers(900, 1900, rng.integers(0, 30))]).astype(float)
        found = threshold(best, null, level=level)
        assert found == plain_threshold(best, null, level)
        seen.add(np.isinf(found))
    assert False in seen


def test_rows_of_a_that_look_among_decoys_are_no_more_than_said(monkeypatch):
    monkeypatch.setattr(module, "SAMPLED", 40)
    monkeypatch.setattr(module, "LEAST", 100)
    a, b = clouds(0)
    assert len(null_scores([dense_block("embedding", {"a": a, "b": b})], [1.0], seed=0)) == 120
    monkeypatch.setattr(module, "DECOYS", 300)
    assert len(null_scores([dense_block("embedding", {"a": a, "b": b})], [1.0], seed=0)) == 40


def test_spread_of_scores_is_that_of_all_but_the_best_and_untold_for_few():
    a, b = clouds(0, n=30, m=40)
    scores = Combined([dense_block("embedding", {"a": a, "b": b})], [1.0])
    others = np.sort(scores.rows(0, 30), axis=1)[:, :-1]
    expected = np.column_stack([scores.rows(0, 30).max(axis=1), others.mean(axis=1), others.std(axis=1)])
    np.testing.assert_allclose(module._tops(scores), expected, rtol=1e-4, atol=1e-6)
    few = Combined([dense_block("embedding", {"a": a, "b": b[:10]})], [1.0])
    assert (module._tops(few)[:, 2] == 0).all()
    made, real = np.array([[3.0, 1, 2], [3, 1, 0]]), np.array([[9.0, 0, 4], [9, 0, 4]])
    assert module._stretched(made, real).tolist() == [4.0, 3.0]


def test_chunks_of_rows_change_no_score(monkeypatch):
    blocks = noise_of_blocks_that_say_the_same(0)
    whole = null_scores(blocks, [1.0, 2.0], seed=0)
    monkeypatch.setattr(module, "PARTS", 1000)
    np.testing.assert_array_equal(null_scores(blocks, [1.0, 2.0], seed=0), whole)
