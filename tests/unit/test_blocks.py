"""Blocks are cosines of centred rows, whatever is left out, added or rescaled; levels and floors order as they say."""

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_limits

from crosswalk import blocks
from crosswalk.blocks import (
    Block,
    Combined,
    Levelled,
    dense_block,
    evenly,
    query_block,
    sparse_block,
    spread,
    strongest,
)

RNG = np.random.default_rng(5)
N, M, D = 70, 50, 12
A, B = RNG.normal(size=(N, D)) + 2, RNG.normal(size=(M, D)) - 1
WORDS = {side: sparse.random(n, 40, 0.15, format="csr", rng=RNG) for side, n in (("a", N), ("b", M))}
PHRASES = RNG.normal(size=(3, D))


def scores(block, a="a", b="b"):
    return Combined([block], [1.0], a=a, b=b).rows(0, len(block.parts[a].dense))


def cosines(a, b, mean_a, mean_b):
    """Cosine of explicitly centred rows; 0 for a row at the mean."""
    units = []
    for rows, mean in ((a, mean_a), (b, mean_b)):
        rows = rows - mean
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        units.append(np.where(length > 1e-9, rows / np.where(length > 1e-9, length, 1), 0))
    return units[0] @ units[1].T


def three():
    """A dense block, a sparse one and phrases, with halves."""
    halves = {part: rows + RNG.normal(size=rows.shape) for part, rows in (("a1", A[:9]), ("b2", B[:7]))}
    words = {**WORDS, "a1": WORDS["a"][5:14], "b2": WORDS["b"][20:27]}
    query, _ = query_block({"a": A, "b": B, **halves}, [(1.0, PHRASES[0], PHRASES[1]), (2.0, PHRASES[2], PHRASES[2])])
    return [dense_block("embedding", {"a": A, "b": B, **halves}), sparse_block("words", words), query]


def test_dense_scores_are_cosines_of_rows_less_the_mean_of_their_side():
    half = A[:5] + 0.3
    block = dense_block("embedding", {"a": A, "b": B, "a1": half})
    np.testing.assert_allclose(scores(block), cosines(A, B, A.mean(0), B.mean(0)), atol=1e-6)
    np.testing.assert_allclose(scores(block, a="a1"), cosines(half, B, A.mean(0), B.mean(0)), atol=1e-6)
    assert block.width == D and block.parts["a"].dense.dtype == np.float32


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_shifted_or_rescaled_side_changes_no_score(kind):
    a, b = A.astype(kind), B.astype(kind)
    plain = scores(dense_block("embedding", {"a": a, "b": b}))
    for other in (a + kind(50), a * kind(1e-8), a * kind(1e8), a * kind(30) - kind(7)):
        np.testing.assert_allclose(scores(dense_block("embedding", {"a": other, "b": b})), plain, atol=2e-4)
        np.testing.assert_allclose(scores(dense_block("embedding", {"a": b, "b": other})), plain.T, atol=2e-4)


def test_a_row_at_the_mean_of_its_side_says_nothing():
    a = np.vstack([A, A.mean(axis=0)])
    found = scores(dense_block("embedding", {"a": a, "b": B}))
    assert (found[-1] == 0).all() and np.abs(found[:-1]).max() > 0.5


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30, np.float32(1 / 3)])
def test_a_side_without_differences_gives_zeros_and_no_spread(value):
    for constant in (np.full((N, D), value), np.full((N, D), value, np.float32), np.full((1, D), value)):
        block = dense_block("embedding", {"a": constant, "b": B})
        assert (scores(block) == 0).all() and spread(block) == 0
        assert spread(dense_block("embedding", {"a": B, "b": constant})) == 0


def test_great_numbers_do_not_overflow():
    block = dense_block("embedding", {"a": (A * 1e37).astype(np.float32), "b": B * 1e-37})
    np.testing.assert_allclose(scores(block), cosines(A, B, A.mean(0), B.mean(0)), atol=1e-5)


def test_sparse_scores_are_cosines_of_explicitly_centred_dense_rows():
    halves = WORDS["a"][3:8] * 0.7
    block = sparse_block("words", {**WORDS, "a1": halves})
    a, b = (WORDS[side].toarray() for side in "ab")
    known = a.any(axis=1)[:, None] & b.any(axis=1)
    np.testing.assert_allclose(scores(block), np.where(known, cosines(a, b, a.mean(0), b.mean(0)), 0), atol=2e-6)
    expected = cosines(halves.toarray(), b, a.mean(0), b.mean(0))
    np.testing.assert_allclose(scores(block, a="a1"), np.where(known[3:8], expected, 0), atol=2e-6)
    assert block.width == 40


def test_a_text_without_terms_says_nothing():
    words = {side: sparse.vstack([rows, sparse.csr_matrix((1, 40))]).tocsr() for side, rows in WORDS.items()}
    found = scores(sparse_block("words", words))
    assert (found[-1] == 0).all() and (found[:, -1] == 0).all()


def test_rows_next_to_their_mean_say_nothing_instead_of_noise():
    # a thousand equal texts and one other: cosines of the equal ones would be differences of huge numbers
    equal = sparse.csr_matrix(np.vstack([np.tile([0.6, 0.8, 0], (1000, 1)), [[0, 0, 1.0]]]), dtype=np.float32)
    found = scores(sparse_block("words", {"a": equal, "b": equal}))
    assert np.isfinite(found).all() and np.abs(found).max() <= 1 + 1e-5
    assert (found[:1000] == 0).all() and found[1000, 1000] == pytest.approx(1)


def test_terms_multiplied_as_dense_columns_change_no_score(monkeypatch):
    block = sparse_block("words", WORDS)
    found = []
    for share, count in ((0.0, 512), (2.0, 512), (0.02, 512), (0.0, 3)):
        monkeypatch.setattr(blocks, "COMMON", share)
        monkeypatch.setattr(blocks, "COMMON_TERMS", count)
        combined = Combined([block], [2.0])
        found.append((combined._dense.a.shape[1] - 3, combined.rows(0, N)))
    assert [columns for columns, _ in found][::3] == [40, 3] and found[1][0] == 0 and 0 < found[2][0] < 40
    for _, values in found[1:]:
        np.testing.assert_allclose(values, found[0][1], atol=2e-6)


def test_phrase_of_weight_0_is_as_its_absence():
    phrases = [(1.0, PHRASES[0], PHRASES[0]), (3.0, PHRASES[1], PHRASES[2])]
    parts = {"a": A, "b": B, "a1": A[:4]}
    plain, weight = query_block(parts, phrases)
    more, same = query_block(parts, [phrases[0], (0.0, PHRASES[2], None), phrases[1]])
    assert weight == same == pytest.approx((1 + 9) / 4)
    assert all(np.array_equal(plain.parts[part].dense, more.parts[part].dense) for part in parts)
    with pytest.raises(ValueError, match="weight above 0"):
        query_block(parts, [(0.0, PHRASES[2], None)])


def test_doubled_weights_of_all_phrases_double_the_weight_of_the_block_only():
    parts = {"a": A, "b": B}
    plain, weight = query_block(parts, [(1.0, PHRASES[0], PHRASES[0]), (3.0, PHRASES[1], PHRASES[2])])
    double, twice = query_block(parts, [(2.0, PHRASES[0], PHRASES[0]), (6.0, PHRASES[1], PHRASES[2])])
    assert twice == 2 * weight
    assert all(np.array_equal(plain.parts[part].dense, double.parts[part].dense) for part in parts)


def test_features_of_phrases_are_softened_standard_scores_of_their_cosines():
    block, weight = query_block({"a": A, "b": B}, [(4.0, PHRASES[0], PHRASES[1]), (1.0, PHRASES[2], PHRASES[2])])
    for side, rows, vectors in (("a", A, PHRASES[[0, 2]]), ("b", B, PHRASES[[1, 2]])):
        cosine = rows @ vectors.T / np.linalg.norm(rows, axis=1, keepdims=True)
        standard = (cosine - cosine.mean(0)) / cosine.std(0) * [1, 0.5]
        expected = standard / np.sqrt((standard**2).sum(1, keepdims=True) + 1)
        np.testing.assert_allclose(block.parts[side].dense, expected, atol=1e-5)
    assert weight == pytest.approx(17 / 5)


def test_halves_lie_towards_phrases_as_their_rows_do():
    block, _ = query_block({"a": A, "b": B, "a1": A[3:6]}, [(4.0, PHRASES[0], PHRASES[1])])
    np.testing.assert_allclose(block.parts["a1"].dense, block.parts["a"].dense[3:6], atol=1e-6)


def test_side_without_a_phrase_gives_zeros():
    block, _ = query_block({"a": A, "b": B}, [(1.0, PHRASES[0], None), (1.0, PHRASES[1], PHRASES[1])])
    assert (block.parts["b"].dense[:, 0] == 0).all() and block.parts["a"].dense.all()
    lone, _ = query_block({"a": A, "b": B, "b1": B[:3]}, [(1.0, PHRASES[0], None)])
    assert (lone.parts["b"].dense == 0).all() and (lone.parts["b1"].dense == 0).all() and spread(lone) == 0


def test_a_single_phrase_ranks_by_strength():
    block, _ = query_block({"a": A, "b": B}, [(2.0, PHRASES[0], PHRASES[0])])
    towards = [rows @ PHRASES[0] / np.linalg.norm(rows, axis=1) for rows in (A, B)]
    found = scores(block)
    first, last = np.argmax(towards[0]), np.argmin(towards[0])
    assert np.array_equal(np.argsort(found[first]), np.argsort(towards[1]))
    assert np.array_equal(np.argsort(found[last]), np.argsort(-towards[1]))


def test_strongest_is_the_column_in_which_a_row_stands_out():
    rows = np.array([[9.0, 0.1, 5], [9.1, 0.3, 5], [9.9, 0.1, 5], [9.0, 0.2, 5]])
    assert strongest(rows).tolist() == [2, 1, 0, 1]
    assert strongest(rows * 1e9 + 1e12).tolist() == [2, 1, 0, 1]
    assert strongest(np.full((3, 4), 0.1)).tolist() == [0, 0, 0]
    assert strongest([[1.0, 2.0]]).tolist() == [0]


def test_coefficient_0_is_as_no_block():
    embedding, words, query = three()
    found = Combined([embedding, words, query], [2.0, 0.0, 0.5]).rows(0, N)
    assert np.array_equal(found, Combined([embedding, query], [2.0, 0.5]).rows(0, N))
    with pytest.raises(ValueError, match="every coefficient is 0"):
        Combined([embedding, words], [0, 0.0])


def test_scores_are_the_weighted_sum_of_those_of_the_blocks():
    found = Combined(three(), [2.0, 0.3, 0.5]).rows(0, N)
    expected = sum(c * scores(block) for block, c in zip(three(), (2.0, 0.3, 0.5), strict=True))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32 and found.shape == (N, M)
    halves = Combined(three(), [2.0, 0.3, 0.5], a="a1", b="b2")
    assert halves.shape == (9, 7) and halves.rows(0, 9).shape == (9, 7)


def test_scores_do_not_depend_on_how_rows_are_cut_nor_on_threads():
    many = np.random.default_rng(0).normal(size=(600, D))
    words = sparse.random(600, 40, 0.1, format="csr", rng=np.random.default_rng(1))
    made = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            parts = [dense_block("e", {"a": many, "b": B}), sparse_block("w", {"a": words, "b": WORDS["b"]})]
            query, _ = query_block({"a": many, "b": B}, [(1.0, PHRASES[0], PHRASES[1])])
            combined = Combined([*parts, query], [1.0, 0.7, 0.2])
            made.append(combined.rows(0, 600))
            for step in (97, 256, 300):
                cut = [combined.rows(i, i + step) for i in range(0, 600, step)]
                assert np.array_equal(np.vstack(cut), made[0])
            assert np.array_equal(
                np.vstack([combined.rows(i, i + 1) for i in (0, 255, 256, 599)]), made[0][[0, 255, 256, 599]]
            )
    assert np.array_equal(*made)


def test_parts_of_pairs_sum_to_their_scores(monkeypatch):
    monkeypatch.setattr(blocks, "PAIRS", 7)
    combined = Combined(three(), [2.0, 0.3, -0.5])
    i, j = RNG.integers(0, N, 40), RNG.integers(0, M, 40)
    parts = combined.pairs(i, j)
    assert list(parts) == ["embedding", "words", "queries"]
    np.testing.assert_allclose(sum(parts.values()), combined.rows(0, N)[i, j], atol=1e-5)
    for block, coefficient in zip(three()[1:], (0.3, -0.5), strict=True):
        np.testing.assert_allclose(parts[block.name], coefficient * scores(block)[i, j], atol=1e-5)


def test_levels_go_before_scores_and_the_first_level_before_the_second():
    combined = Combined(three(), [1.0, 0.5, 0.5])
    groups = [(RNG.integers(0, 3, N), RNG.integers(0, 3, M)) for _ in range(2)]
    levelled = Levelled(combined, groups, step=8.0)
    plain, found = combined.rows(0, N), levelled.rows(0, N)
    same = [a[:, None] == b[None, :] for a, b in groups]
    depth = same[0].astype(int) + (same[0] & same[1])
    assert np.array_equal(levelled.depth(*np.indices((N, M)).reshape(2, -1)).reshape(N, M), depth)
    for row in range(N):
        assert np.array_equal(np.lexsort((plain[row], depth[row])), np.argsort(found[row], kind="stable"))
    assert np.array_equal(np.vstack([levelled.rows(i, min(i + 9, N)) for i in range(0, N, 9)]), found)
    assert found.dtype == np.float32 and np.array_equal(combined.rows(0, N), plain)


@pytest.mark.parametrize("floor", [-0.2, 0.1, 0.5, 1e9, np.inf])
def test_pairs_below_the_floor_rank_after_all_others(floor):
    combined = Combined(three(), [1.0, 0.5, 0.5])
    group = RNG.integers(0, 3, N), RNG.integers(0, 3, M)
    for groups in ([], [group]):
        found, free = (Levelled(combined, groups, step=8.0, floor=f).rows(0, N) for f in (floor, None))
        poor = combined.rows(0, N) < np.float32(floor)
        assert np.isfinite(found).all() and found.dtype == np.float32
        assert np.array_equal(found[~poor], free[~poor])
        assert poor.all() or found[poor].max() < found[~poor].min()
        assert (found[poor] < floor).all() and len(np.unique(found[poor])) == 1


def test_spread_is_how_far_the_nearest_stand_out():
    block = dense_block("embedding", {"a": A, "b": B})
    found = np.sort(scores(block), axis=1)
    assert spread(block) == pytest.approx(found[:, -5:].mean() - found.mean(), rel=1e-5)  # a tenth of 50
    many = dense_block("embedding", {"a": A, "b": np.vstack([B, B, B])})
    found = np.sort(scores(many), axis=1)
    assert spread(many) == pytest.approx(found[:, -10:].mean() - found.mean(), rel=1e-5)


def test_spread_is_told_for_collections_of_a_few_rows():
    assert spread(dense_block("embedding", {"a": A[:2], "b": B[:2]})) > 0.1
    assert spread(dense_block("embedding", {"a": A[:5], "b": B[:3]})) > 0.1


def test_spread_does_not_count_rows_of_which_a_block_says_nothing():
    empty = sparse.csr_matrix((500, 40))
    padded = {side: sparse.vstack([rows, empty]).tocsr() for side, rows in WORDS.items()}
    means = sparse_block("words", WORDS).means
    parts = {side: blocks.sparse_features(rows, means, side=side) for side, rows in padded.items()}
    assert spread(Block("words", parts, means)) == pytest.approx(spread(sparse_block("words", WORDS)), rel=1e-5)


def test_spread_looks_at_no_more_rows_than_it_says(monkeypatch):
    monkeypatch.setattr(blocks, "SAMPLED", 11)
    block = dense_block("embedding", {"a": A, "b": B})
    found = np.sort(scores(block)[evenly(N, 11)], axis=1)
    assert spread(block) == pytest.approx(found[:, -5:].mean() - found.mean(), rel=1e-5)


def test_evenly_takes_the_first_and_the_last_and_never_one_twice():
    assert evenly(5, 9).tolist() == [0, 1, 2, 3, 4] and evenly(9, 3).tolist() == [0, 4, 8]
    assert evenly(1, 4).tolist() == [0] and len(evenly(0, 4)) == 0
