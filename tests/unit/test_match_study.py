"""A whole matching through its files: what is compared, what is said of it, and what happens with little."""

import json

import numpy as np
import pandas as pd
import pytest

from crosswalk.errors import UserError
from crosswalk.files import write_csv
from crosswalk.match_study import run
from crosswalk.truth import COLUMNS, from_labels, from_pairs
from matchings import AUTO, PAIRS, SETTINGS, TOPICS, collection, compose, embed, matched, things

NONE = dict.fromkeys(SETTINGS["weights"], 0)


@pytest.fixture(scope="module")
def rows():
    concepts = things(40)
    return {side: collection(concepts, side=place) for place, side in enumerate("ab")}


def settings(**changed):
    return SETTINGS | changed


def truth(rows, sides):
    ids = rows["a"]["id"].tolist()
    return from_pairs(pd.DataFrame({"a": ids, "b": ids}), sides["a"].ids, sides["b"].ids)


def test_sides_are_read_in_the_order_of_their_ids(rows, tmp_path):
    moved = {side: table.sample(frac=1, random_state=1) for side, table in rows.items()}
    sides, study, facts = compose(tmp_path, moved)
    for side, table in moved.items():
        own = sides[side]
        assert own.ids.tolist() == sorted(table["id"])
        assert own.ids[own.back].tolist() == table["id"].tolist()
        assert own.texts == rows[side]["text"].tolist()
        np.testing.assert_allclose(own.vectors, embed(own.texts))
        np.testing.assert_allclose(own.aligned, own.vectors - own.vectors.mean(axis=0), atol=1e-6)
        assert set(own.halves) == {"texts", "vectors", "aligned", "topics"}
        for number in (0, 1):
            np.testing.assert_allclose(own.halves["vectors"][number], embed(own.halves["texts"][number]))
            assert own.halves["topics"][number].shape == (40, 6)
    assert study.pairs is None and facts["method"] == "none"
    np.testing.assert_array_equal(study.again["a"].shape, sides["a"].topics.shape)


def test_a_preamble_is_no_word_that_two_texts_share(rows, tmp_path):
    plain, *_ = compose(tmp_path, rows)
    sides, *_ = compose(tmp_path, rows, preamble="This is a story: ")
    for side in "ab":
        assert sides[side].texts == plain[side].texts and sides[side].halves["texts"] == plain[side].halves["texts"]


def test_paired_topics_are_shared_columns_of_rows_and_halves(rows, tmp_path):
    topics = TOPICS | {"mode": "separate", "number": [8]}
    sides, study, _ = compose(tmp_path, rows, topics=topics, floor=-1)
    assert [pair.a for pair in study.pairs] == list(range(8)) and study.again is None
    assert [pair.b for pair in study.pairs] != list(range(8))
    for side in "ab":
        for part in (sides[side].topics, *sides[side].halves["topics"]):
            assert part.shape[1] == 8
            np.testing.assert_allclose(part.sum(axis=1), 1, atol=1e-6)
    fewer, study, _ = compose(tmp_path, rows, topics=topics, floor=0.76)
    assert 0 < len(study.pairs) < 8
    assert {part.shape[1] for side in fewer.values() for part in (side.topics, *side.halves["topics"])} == {
        len(study.pairs)
    }


def test_no_topic_that_pairs_leaves_the_other_blocks(rows, tmp_path, caplog):
    topics = TOPICS | {"mode": "separate"}
    sides, study, found = matched(tmp_path, rows, topics=topics, floor=1.0)
    assert study.pairs == [] and sides["a"].topics.shape == (40, 0)
    assert "topics tell no row from another" in caplog.text
    assert found.diagnostics["identifiable"] and "topics" not in found.diagnostics["weights"]
    with pytest.raises(UserError, match=r"match.m.recursion: topics .*topics.floor"):
        matched(tmp_path, rows, topics=topics, floor=1.0, settings=settings(recursion=["topics"]))


def test_diagnostics_say_all_and_can_be_written(rows, tmp_path):
    _, _, found = matched(tmp_path, rows)
    d = found.diagnostics
    json.dumps(d, allow_nan=False)
    assert d["rows"] == [40, 40] and d["regime"] == "same model" and d["identifiable"] is True
    assert d["agreement"]["rows"] == 40 and d["agreement"]["p"] < 0.01
    assert d["agreement"]["observed"] > 5 * d["agreement"]["null"]
    assert d["matched"] + sum(d["unmatched"].values()) == 40
    assert f"{d['matched']} of 40 rows" in d["statement"]
    assert d["assignment"]["mode"] == "free" and d["assignment"]["bound"] >= d["assignment"]["total"] > 0
    assert 0 <= d["stability"]["weights"] <= 1 and d["stability"]["order"] == 1
    assert (d["stability"]["seed"] is None) == (not d["weights"].get("topics"))
    assert d["topics"]["number"] == [6] and 0 < d["topics"]["diversity"] <= 1
    assert set(d["weights"]) == {"embedding", "words", "characters", "topics"}


def test_the_truth_measures_every_block_and_what_was_given_out(rows, tmp_path):
    sides, _, _ = compose(tmp_path, rows)
    measures = [truth(rows, sides), from_labels(sides["a"].ids, sides["b"].ids)]
    _, _, found = matched(tmp_path, rows, truths=measures, settings=settings(recursion=["topics"]))
    table = found.evaluation
    scorers = ["embedding", "topics", "words", "characters", "all blocks", "recursion", "assignment"]
    assert table["scorer"].tolist() == 2 * scorers and list(table.columns) == COLUMNS
    first, second = (own.drop(columns="measure").reset_index(drop=True) for _, own in table.groupby("measure"))
    pd.testing.assert_frame_equal(first, second)  # ids as labels are the same truth
    hits = first.set_index("scorer")["hit_at_1"]
    assert hits["all blocks"] > 0.8 and hits["embedding"] > hits["words"] > first["chance"].iloc[0]


def test_the_truth_decides_nothing(rows, tmp_path):
    sides, _, without = matched(tmp_path, rows)
    _, _, with_truth = matched(tmp_path, rows, truths=[truth(rows, sides)])
    assert with_truth.matched.matches.equals(without.matched.matches)
    assert with_truth.diagnostics == without.diagnostics
    assert len(without.evaluation) == 0 and list(without.evaluation.columns) == COLUMNS


def test_without_halves_the_standard_weights_count(rows, tmp_path):
    sides, _, found = matched(tmp_path, rows, split=0)
    assert sides["a"].halves == {} and found.diagnostics["agreement"]["observed"] is None
    assert found.diagnostics["weights"]["embedding"] == 1.0
    assert found.diagnostics["stability"]["weights"] is None
    assert found.blocks["agreement"].isna().all()
    assert found.diagnostics["identifiable"] and found.diagnostics["matched"] == 40
    json.dumps(found.diagnostics, allow_nan=False)


def test_few_halves_judge_no_stability(rows, tmp_path):
    _, _, found = matched(tmp_path, rows, split=15)  # thirty in all: half of them are too few to choose by
    assert found.diagnostics["agreement"]["rows"] == 15
    assert found.diagnostics["stability"]["weights"] is None


def test_given_weights_are_kept_and_their_table_has_a_header(rows, tmp_path):
    given = NONE | {"embedding": 1.5, "words": 0.5}
    _, _, found = matched(tmp_path, rows, settings=settings(weights=given))
    assert found.diagnostics["weights"] == {"embedding": 1.5, "words": 0.5}
    write_csv(tmp_path / "weights.csv", found.weighting.tried)
    assert (tmp_path / "weights.csv").read_text() == "embedding,words,agreement,same,chosen_from\n"
    assert found.blocks["given"].tolist() == ["1.5", "0.5"]
    assert found.diagnostics["stability"]["weights"] is None


QUERIES = [(1.0, PAIRS[8 * i][0], PAIRS[8 * i][1]) for i in range(6)]


def test_queries_alone_make_a_matching(rows, tmp_path):
    _, _, found = matched(tmp_path, rows, queries=QUERIES, settings=settings(weights=NONE))
    assert found.diagnostics["weights"] == {"queries": 1.0}
    assert found.blocks["block"].tolist() == ["queries"]
    assert found.weighting.tried.columns.tolist() == ["agreement", "same", "chosen_from"]
    theme = things(40)[:, 0] // 8  # most things are of one theme, which is what the phrases name
    assert (theme[found.matched.partner] == theme).mean() > 0.6


def test_phrases_of_one_side_and_of_no_weight_do_no_harm(rows, tmp_path):
    queries = [*QUERIES, (1.0, "boat", ""), (0.0, "nurse", "nurse")]
    _, study, found = matched(tmp_path, rows, queries=queries, settings=settings(recursion=["queries"]))
    assert study.queries[6][2] is None and study.queries[6][1].shape == (48,)
    assert found.diagnostics["recursion"] == ["queries"] and found.diagnostics["matched"] == 40


def test_queries_of_weight_zero_are_as_none(rows, tmp_path):
    _, _, without = matched(tmp_path, rows)
    _, _, silent = matched(tmp_path, rows, queries=[(0.0, *query[1:]) for query in QUERIES])
    assert silent.matched.matches.equals(without.matched.matches) and silent.diagnostics == without.diagnostics


def test_independent_spaces_are_said_to_be_not_identifiable(rows, tmp_path):
    sides, study, _ = compose(tmp_path, rows)
    rng = np.random.default_rng(0)
    for side in sides.values():
        side.aligned = rng.normal(size=(40, 8))
        side.halves["aligned"] = [rng.normal(size=(40, 8)) for _ in range(2)]
    only = AUTO | {"weights": NONE | {"embedding": 1.0}}
    found = run(sides, study, [], facts={"method": "none"}, settings=only, seed=0, key="match.m")
    assert found.diagnostics["identifiable"] is False
    assert found.diagnostics["statement"].startswith(("Not identifiable", "Nothing can be matched"))


def test_a_map_that_cannot_be_believed_ends_the_matching(rows, tmp_path):
    sides, study, _ = compose(tmp_path, rows)
    guessed = {"identifiable": False, "agreement": 0.02, "threshold": 0.1}
    facts = {"method": "unsupervised", "identifiable": guessed}
    alone = SETTINGS | {"weights": dict.fromkeys(SETTINGS["weights"], 0) | {"embedding": 1}}
    found = run(sides, study, [], facts=facts, settings=alone, seed=0, key="match.m")
    assert found.diagnostics["identifiable"] is False and found.diagnostics["regime"] == "unsupervised"
    assert "2 % of the rows" in found.diagnostics["statement"] and found.diagnostics["matched"] == 0


def test_without_a_map_what_needs_none_still_counts(rows, tmp_path):
    sides, study, _ = compose(tmp_path, rows)
    guessed = {"identifiable": False, "agreement": 0.02, "threshold": 0.1}
    facts = {"method": "unsupervised", "identifiable": guessed}
    found = run(sides, study, [], facts=facts, settings=SETTINGS, seed=0, key="match.m")
    assert "embedding" not in found.diagnostics["weights"] and found.diagnostics["identifiable"] is True
    assert "embeddings were left out" in found.diagnostics["statement"]


def test_one_row_alone_is_a_users_error(rows, tmp_path):
    with pytest.raises(UserError, match=r"^match.m.a: .*one row"):
        matched(tmp_path, {"a": rows["a"].iloc[:1], "b": rows["b"]})


def test_vectors_and_texts_that_are_all_equal_are_a_users_error(rows, tmp_path):
    sides, study, facts = compose(tmp_path, rows)
    for side in sides.values():
        side.texts = ["one and the same"] * 40
        side.aligned = np.ones((40, 8))
        side.topics = np.full((40, 6), 1 / 6)
        side.halves = {}
    with pytest.raises(UserError, match=r"^match.m: nothing tells one row"):
        run(sides, study, [], facts=facts, settings=SETTINGS, seed=0, key="match.m")
