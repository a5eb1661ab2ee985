"""The tables of a matching: their columns, the collections' order, numbers of topics that lead to topics.csv."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.comparison import centred
from crosswalk.match_tables import tables_from
from matchings import SETTINGS, TOPICS, collection, matched, things

BLOCKS = ["embedding", "topics", "words", "characters"]
GIVEN = SETTINGS | {
    "weights": {"embedding": 1.0, "topics": 0.25, "words": 0.5, "characters": 0.25, "code": 0},
    "assignment": SETTINGS["assignment"] | {"unmatched": 2.0},
}


@pytest.fixture(scope="module")
def rows():
    concepts = things(50)
    tables = {"a": collection(concepts[:40], side=0), "b": collection(concepts, side=1)}
    return {side: table.sample(frac=1, random_state=2).reset_index(drop=True) for side, table in tables.items()}


@pytest.fixture(scope="module")
def joint(rows, tmp_path_factory):
    sides, study, found = matched(tmp_path_factory.mktemp("joint"), rows, settings=GIVEN)
    return sides, study, found, tables_from(found, sides, rows, study)


@pytest.fixture(scope="module")
def separate(rows, tmp_path_factory):
    sides, study, found = matched(
        tmp_path_factory.mktemp("separate"), rows, settings=GIVEN | {"recursion": ["topics"]}, floor=0.76,
        topics=TOPICS | {"mode": "separate", "number": [8]},
    )  # fmt: skip
    return sides, study, found, tables_from(found, sides, rows, study)


def test_columns_are_those_that_were_agreed(joint, separate):
    shares = [f"share_{block}" for block in BLOCKS]
    tables = joint[3]
    assert tables["matches"].columns.tolist() == [
        "a_id", "b_id", "score", "cosine", "margin", "choice", "mutual", "chance", *shares, "terms", "topic", "level",
        "reason",
    ]  # fmt: skip
    assert tables["candidates"].columns.tolist() == ["a_id", "rank", "b_id", "score", "cosine", *shares]
    assert set(tables["weights"].columns) == {*BLOCKS, "agreement", "same", "chosen_from"}
    assert tables["blocks"].columns.tolist() == [
        "block", "kind", "weight", "given", "columns", "agreement", "same",
    ]  # fmt: skip
    places = ["side", "id", "x_before", "y_before", "x_after", "y_after", "topic"]
    assert tables["map"].columns.tolist() == places
    assert separate[3]["map"].columns.tolist() == [*places, "level_0"]
    told = ["topic", "side", "keywords", "probabilities", "share_a", "share_b", "coherence"]
    assert tables["topics"].columns.tolist() == told
    assert separate[3]["topics"].columns.tolist() == [*told, "partner", "cosine"]


def test_rows_stand_in_the_order_of_the_collections(rows, joint):
    tables = joint[3]
    assert tables["matches"]["a_id"].tolist() == rows["a"]["id"].tolist()
    assert tables["candidates"]["a_id"].drop_duplicates().tolist() == rows["a"]["id"].tolist()
    assert tables["candidates"].groupby("a_id")["rank"].apply(list).map(lambda own: own == list(range(1, 11))).all()
    for side in "ab":
        own = tables["map"][tables["map"]["side"] == side]
        assert own["id"].tolist() == rows[side]["id"].tolist()


def test_a_match_tells_of_its_own_two_rows(joint):
    sides, _, found, tables = joint
    matches = tables["matches"].set_index("a_id")
    unit = {name: centred(side.aligned) for name, side in sides.items()}
    place = {name: {row: i for i, row in enumerate(side.ids)} for name, side in sides.items()}
    some = matches[matches["b_id"] != ""]
    assert len(some) > 10 and (some["reason"] == "").all() and (some.index == some["b_id"]).mean() > 0.7
    for a_id, row in some.iterrows():
        i, j = place["a"][a_id], place["b"][row["b_id"]]
        assert found.matched.partner[i] == j
        assert row["cosine"] == pytest.approx(unit["a"][i] @ unit["b"][j])
        for word in filter(None, row["terms"].split(", ")):
            assert word in sides["a"].texts[i] and word in sides["b"].texts[j]
    assert (some["terms"] != "").any()
    first = tables["candidates"].query("rank == 1").set_index("a_id")
    np.testing.assert_allclose(first.loc[some.index, "score"], some["score"])


def test_rows_without_a_partner_have_a_reason_and_nothing_else(joint):
    matches = joint[3]["matches"]
    alone = matches[matches["b_id"] == ""]
    assert len(alone) and (alone["reason"] != "").all()
    assert alone[["cosine", "margin"]].isna().all().all()
    assert (alone["terms"] == "").all() and not alone[["topic", "choice"]].any().any() and not alone["mutual"].any()


def test_cosines_in_pieces_are_those_at_once(rows, joint, monkeypatch):
    sides, study, found, tables = joint
    monkeypatch.setattr("crosswalk.match_tables.PAIRS", 7)
    again = tables_from(found, sides, rows, study)
    for name in ("matches", "candidates"):
        pd.testing.assert_frame_equal(tables[name], again[name])


def test_topics_of_both_have_the_number_of_their_column(joint):
    sides, _, _, tables = joint
    assert tables["topics"]["topic"].tolist() == list(range(1, 7)) and set(tables["topics"]["side"]) == {"both"}
    assert_numbers(tables, sides, {name: np.arange(1, 7) for name in "ab"})
    np.testing.assert_allclose(tables["topics"]["share_b"], sides["b"].topics.mean(axis=0), rtol=1e-5)


def test_paired_topics_have_the_numbers_of_their_sides(separate):
    sides, study, _, tables = separate
    numbers = {"a": [pair.a + 1 for pair in study.pairs], "b": [pair.b + 1 for pair in study.pairs]}
    assert 1 < len(study.pairs) < 8
    assert numbers["a"] != list(range(1, len(study.pairs) + 1)) and numbers["b"] != numbers["a"]
    assert_numbers(tables, sides, {name: np.array(own) for name, own in numbers.items()})
    topics = tables["topics"]
    assert topics["topic"].tolist() == [*range(1, 9), *range(1, 9)]
    for name, other in ("ab", "ba"):
        own = topics[topics["side"] == name].set_index("topic")
        assert own["partner"].dropna().to_dict() == dict(zip(numbers[name], numbers[other], strict=True))
        assert own["partner"].isna().equals(own["cosine"].isna()) and own[f"share_{other}"].isna().all()
        np.testing.assert_allclose(own.loc[numbers[name], f"share_{name}"], sides[name].topics.mean(axis=0), rtol=1e-5)


def assert_numbers(tables, sides, numbers):
    """The topic of a match is side a's, that of a row on the map its own side's."""
    for name, side in sides.items():
        own = tables["map"][tables["map"]["side"] == name].set_index("id")["topic"]
        assert own[side.ids].tolist() == numbers[name][side.topics.argmax(axis=1)].tolist()
    matches = tables["matches"].query("topic > 0").set_index("a_id")
    assert len(matches) > 5
    place = {name: {row: i for i, row in enumerate(side.ids)} for name, side in sides.items()}
    for a_id, row in matches.iterrows():
        both = np.minimum(sides["a"].topics[place["a"][a_id]], sides["b"].topics[place["b"][row["b_id"]]])
        assert row["topic"] == numbers["a"][both.argmax()]


def test_without_paired_topics_no_row_has_one(rows, tmp_path):
    sides, study, found = matched(
        tmp_path, rows, settings=GIVEN, floor=1.0, topics=TOPICS | {"mode": "separate", "number": [4]}
    )
    tables = tables_from(found, sides, rows, study)
    assert not tables["matches"]["topic"].any() and not tables["map"]["topic"].any()
    assert tables["topics"]["partner"].isna().all()


def test_levels_are_told_of_rows_and_of_matches(separate):
    _, study, _, tables = separate
    level = tables["map"].set_index(["side", "id"])["level_0"]
    assert level.between(1, len(study.pairs)).all()
    for _, row in tables["matches"].query("b_id != ''").iterrows():
        assert row["level"] == int(level["a", row["a_id"]] == level["b", row["b_id"]])


def test_where_nothing_can_be_told_there_are_headers_only(rows, joint):
    sides, study, found, tables = joint
    silent = found._replace(diagnostics=found.diagnostics | {"identifiable": False})
    empty = tables_from(silent, sides, rows, study)
    for name, table in tables.items():
        assert empty[name].columns.equals(table.columns)
        assert (len(empty[name]) == 0) == (name in ("matches", "candidates", "map") or len(table) == 0)


def test_spaces_of_two_widths_have_a_map_each(rows, joint):
    sides, study, found, _ = joint
    narrow = {name: type(side)(**vars(side)) for name, side in sides.items()}
    narrow["b"].vectors = sides["b"].vectors[:, :20]
    drawn = tables_from(found, narrow, rows, study)["map"]
    assert np.isfinite(drawn[["x_before", "y_before", "x_after", "y_after"]]).all().all()
