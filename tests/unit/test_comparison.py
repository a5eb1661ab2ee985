"""Two sides become blocks: what counts, what is left out, who belongs to which group."""

import numpy as np
import pytest

from crosswalk.comparison import Side, blocks_of, centred, level_groups, order_of
from crosswalk.errors import UserError

ALL = {"embedding", "topics", "words", "characters"}


def side(count=30, *, seed=0, width=8, texts=None, **changed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, width))
    texts = texts or [f"boat number{i % 7} at the harbour{i % 5}" for i in range(count)]
    ids = np.array([f"id{i:02}" for i in range(count)], dtype=object)
    topics = rng.dirichlet(np.ones(4), size=count)
    return Side(**{"ids": ids, "texts": texts, "order": np.arange(count), "vectors": vectors, "aligned": vectors,
                   "topics": topics} | changed)  # fmt: skip


def test_rows_stand_in_the_order_of_their_ids():
    ids = np.array(["b", "10", "9", "a"], dtype=object)
    order = order_of(ids)
    assert ids[order].tolist() == ["10", "9", "a", "b"]
    made = side(4, ids=ids[order], order=order)
    assert made.ids[made.back].tolist() == ids.tolist()


def test_only_the_blocks_that_are_wanted_are_made():
    for wanted in ({"embedding"}, {"words", "topics"}, ALL):
        made = blocks_of(side(seed=0), side(seed=1), wanted=wanted)
        assert set(made.blocks) == set(made.spreads) == wanted
        assert made.query_weight == 0
        assert made.held["a"].shape == made.held["b"].shape == (30, len(made.words))


def test_halves_become_parts_of_every_block():
    halves = {"texts": [["boat number1", "boat harbour1"]] * 2, "topics": [np.full((2, 4), 0.25)] * 2,
              "aligned": [np.ones((2, 8))] * 2}  # fmt: skip
    made = blocks_of(side(halves=halves), side(seed=1, halves=halves), wanted=ALL)
    for block in made.blocks.values():
        assert set(block.parts) == {"a", "b", "a1", "a2", "b1", "b2"}
        assert len(block.parts["b2"].dense) == 2


def test_a_block_that_tells_nothing_is_left_out_with_a_warning(caplog):
    same = np.full((30, 4), 0.25)
    made = blocks_of(side(topics=same), side(seed=1, topics=same), wanted={"embedding", "topics"})
    assert set(made.blocks) == {"embedding"}
    assert "topics" in caplog.text


def test_equal_texts_and_vectors_are_a_users_error():
    both = [side(texts=["the same boat"] * 30, vectors=np.ones((30, 8)), aligned=np.ones((30, 8)),
                 topics=np.full((30, 4), 0.25)) for _ in "ab"]  # fmt: skip
    with pytest.raises(UserError, match=r"^match.m: nothing tells one row"):
        blocks_of(*both, wanted=ALL, key="match.m")


def test_one_row_alone_is_a_users_error():
    with pytest.raises(UserError, match=r"^match.m.b: .*one row"):
        blocks_of(side(), side(1), wanted={"embedding"}, key="match.m")


def test_queries_alone_are_enough():
    rng = np.random.default_rng(0)
    queries = [(2.0, rng.normal(size=8), rng.normal(size=8)), (0.0, rng.normal(size=8), None)]
    made = blocks_of(side(), side(seed=1), wanted=set(), queries=queries)
    assert set(made.blocks) == {"queries"} and made.query_weight == 2.0


def test_topics_and_queries_make_groups():
    a, b = side(), side(seed=1)
    rng = np.random.default_rng(0)
    phrase = [rng.normal(size=8) for _ in range(2)]
    a.vectors[3], b.vectors[5] = 9 * phrase[1], 9 * phrase[1]
    queries = [(1.0, phrase[0], phrase[0]), (1.0, phrase[1], phrase[1]), (1.0, phrase[0], None), (0.0, phrase[0], None)]
    (by_query, other_query), (by_topic, other_topic) = level_groups(a, b, ["queries", "topics"], queries=queries)
    assert by_query[3] == other_query[5] == 1
    assert set(by_query) | set(other_query) == {0, 1}
    assert by_topic.shape == other_topic.shape == (30,)
    assert by_topic[a.topics[:, 2].argmax()] == 2


def test_clusters_are_of_both_sides_and_not_the_sides():
    rng = np.random.default_rng(0)
    middles = 5 * rng.normal(size=(4, 8))
    kind = np.arange(40) % 4
    a = side(40, aligned=middles[kind] + rng.normal(size=(40, 8)) + 50)
    b = side(40, aligned=3 * (middles[kind[::-1]] + rng.normal(size=(40, 8))))
    ((one, other),) = level_groups(a, b, ["clusters"], seed=1)
    shared = [set(one[kind == k]) & set(other[kind[::-1] == k]) for k in range(4)]
    assert all(shared) and not set.intersection(*shared)
    again = level_groups(a, b, ["clusters"], seed=1)[0]
    assert (again[0] == one).all() and (again[1] == other).all()


@pytest.mark.parametrize("level", ["queries", "topics", "clusters"])
def test_a_level_of_one_group_is_a_users_error(level):
    same = {"topics": np.empty((30, 0)), "aligned": np.ones((30, 8))}
    with pytest.raises(UserError, match=rf"^match.m.recursion: {level} "):
        level_groups(side(**same), side(**same), [level], queries=[(1.0, np.ones(8), np.ones(8))], key="match.m")


def test_centred_rows_know_neither_constant_nor_unit():
    rows = np.random.default_rng(0).normal(size=(20, 5))
    np.testing.assert_allclose(centred(rows), centred(1e-3 * rows + 1e4), atol=1e-7)
    assert not centred(np.ones((3, 2))).any()
