"""Planted partners are found, what is not planted is not, and nothing that should not matter changes a match."""

import io

import numpy as np
import pandas as pd
import pytest

from crosswalk.blocks import dense_block
from crosswalk.files import write_csv
from crosswalk.match_study import run
from crosswalk.match_tables import tables_from
from crosswalk.matching import match
from crosswalk.truth import from_pairs
from matchings import AUTO, SETTINGS, TOPICS, collection, compose, embed, matched, things

WEIGHTS = {"embedding": 1.0, "words": 0.25, "characters": 0, "topics": 0.5, "code": 0}
GIVEN, GIVEN_AUTO = SETTINGS | {"weights": WEIGHTS}, AUTO | {"weights": WEIGHTS}
MODES = ["free", "one_to_one", "capacity"]


@pytest.fixture(scope="module")
def rows():
    concepts = things(60)
    return {side: collection(concepts, side=place) for place, side in enumerate("ab")}


@pytest.fixture(scope="module")
def sides(rows, tmp_path_factory):
    return compose(tmp_path_factory.mktemp("sides"), rows)


def tables(folder, rows, **options):
    sides, study, found = matched(folder, rows, **options)
    return tables_from(found, sides, rows, study), found


def content(table, folder):
    write_csv(folder / "table.csv", table)
    return (folder / "table.csv").read_bytes()


def partners(sides, settings, **changed):
    both, study, facts = sides
    for name, side in both.items():
        both = both | {name: type(side)(**vars(side) | changed.get(name, {}))}
    return run(both, study, [], facts=facts, settings=settings, seed=0, key="match.m").matched.matches


def modes(settings, mode, **assignment):
    return settings | {"assignment": settings["assignment"] | {"mode": mode} | assignment}


@pytest.mark.parametrize(
    ("mode", "topics", "weights"),
    [
        ("free", "joint", WEIGHTS),
        ("one_to_one", "separate", WEIGHTS),
        pytest.param("free", "separate", SETTINGS["weights"], marks=pytest.mark.slow),
        pytest.param("capacity", "joint", SETTINGS["weights"], marks=pytest.mark.slow),
    ],
)
def test_the_order_of_rows_changes_no_match(rows, tmp_path, mode, topics, weights):
    settings, topics = modes(SETTINGS, mode, unmatched="auto"), TOPICS | {"mode": topics}
    settings |= {"recursion": ["clusters", "topics"], "weights": weights}
    before, _ = tables(tmp_path, rows, topics=topics, settings=settings)
    for moved_side in ("a", "b", "ab"):
        moved = {s: t.sample(frac=1, random_state=3) if s in moved_side else t for s, t in rows.items()}
        after, found = tables(tmp_path, moved, topics=topics, settings=settings)
        assert found.diagnostics["recursion"] == ["clusters", "topics"]
        for name, key in (("matches", ["a_id"]), ("candidates", ["a_id", "rank"]), ("map", ["side", "id"])):
            one, other = (table[name].sort_values(key, ignore_index=True) for table in (before, after))
            assert content(one, tmp_path) == content(other, tmp_path)
        for name in ("weights", "blocks", "topics"):
            assert content(before[name], tmp_path) == content(after[name], tmp_path)


@pytest.mark.parametrize(
    ("block", "weights"),
    [
        ("embedding", WEIGHTS),
        ("words", WEIGHTS),
        ("topics", WEIGHTS),
        pytest.param("topics", SETTINGS["weights"], marks=pytest.mark.slow),
        pytest.param("characters", SETTINGS["weights"], marks=pytest.mark.slow),
    ],
)
def test_a_block_of_weight_zero_is_as_none(rows, tmp_path, block, weights):
    without = {name: weight for name, weight in weights.items() if name != block}
    one, found = tables(tmp_path, rows, settings=SETTINGS | {"weights": without | {block: 0}})
    other, _ = tables(tmp_path, rows, settings=SETTINGS | {"weights": without})
    assert f"share_{block}" not in one["matches"] and block not in found.diagnostics["weights"]
    for name in ("matches", "candidates", "map", "weights", "blocks"):
        assert content(one[name], tmp_path) == content(other[name], tmp_path)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("recursion", [[], ["topics"]])
@pytest.mark.parametrize("unmatched", ["auto", "never"])
def test_doubled_weights_change_no_match(sides, mode, recursion, unmatched):
    once = modes(GIVEN, mode, unmatched=unmatched) | {"recursion": recursion}
    twice = once | {"weights": {name: 2 * weight for name, weight in WEIGHTS.items()}}
    one, other = partners(sides, once), partners(sides, twice)
    assert one["b"].tolist() == other["b"].tolist() and one["reason"].tolist() == other["reason"].tolist()
    np.testing.assert_array_equal(2 * one["score"], other["score"])
    np.testing.assert_array_equal(one["chance"], other["chance"])


@pytest.mark.parametrize("change", [lambda rows: rows + 7, lambda rows: 30 * rows, lambda rows: 0.01 * rows - 2])
@pytest.mark.parametrize("side", ["a", "b"])
def test_a_constant_or_another_unit_of_a_side_changes_no_match(rows, tmp_path, sides, change, side):
    vectors = dict.fromkeys("ab", embed) | {side: lambda texts: change(embed(texts).astype(np.float64))}
    moved = compose(tmp_path, rows, vectors=vectors)
    for mode in MODES:
        settings = modes(GIVEN, mode, unmatched="auto") | {"recursion": ["clusters"]}
        before, after = partners(sides, settings), partners(moved, settings)
        assert before["b"].tolist() == after["b"].tolist()
        np.testing.assert_allclose(before["score"], after["score"], atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "m"), [(60, 25), (25, 60)])
@pytest.mark.parametrize("settings", [GIVEN, GIVEN_AUTO, GIVEN_AUTO | {"recursion": ["topics"]}])
def test_every_row_is_answered_once(rows, tmp_path, mode, n, m, settings):
    some = {"a": rows["a"].iloc[:n], "b": rows["b"].iloc[:m]}
    sides, study, found = matched(tmp_path, some, settings=modes(settings, mode))
    found.diagnostics["identifiable"] = True  # to see the tables of what was matched in any case
    table = tables_from(found, sides, some, study)["matches"]
    assert table["a_id"].tolist() == some["a"]["id"].tolist()
    assert ((table["b_id"] == "") == (table["reason"] != "")).all()
    assert set(table["b_id"]) <= {"", *some["b"]["id"]}
    times = table.loc[table["b_id"] != "", "b_id"].value_counts()
    assert times.max() <= {"free": n, "one_to_one": 1, "capacity": -(-n // m)}[mode] or times.empty
    if settings is GIVEN:
        assert (table["b_id"] != "").sum() == (min(n, m) if mode == "one_to_one" else n)
    assert found.diagnostics["matched"] == (table["b_id"] != "").sum()


def overlapping(n, m, *, seed, width=24, noise=0.3):
    """Row i of both sides is one thing as far as both have it; the others have no partner."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(max(n, m), width)) * np.arange(1, width + 1) ** -0.25
    halves = {side: rows[:count] + noise * rng.normal(size=(count, width)) for side, count in (("a", n), ("b", m))}
    coarse = rng.normal(size=(width, 12))  # a second block that says in part what the first one says
    other = {side: part @ coarse for side, part in halves.items()}
    return [dense_block("embedding", halves), dense_block("topics", other)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("n", "m"), [(120, 300), (300, 120)])
def test_with_partial_overlap_nine_in_ten_of_what_is_given_out_are_right(n, m, mode):
    precision, recall = [], []
    settings = modes(AUTO, mode)["assignment"]
    for seed in range(8):
        found = match(overlapping(n, m, seed=seed), [1.0, 0.25], settings=settings, seed=seed)
        given = found.partner >= 0
        right = given & (found.partner == np.arange(n))
        precision.append(right.sum() / max(given.sum(), 1))
        recall.append(right.sum() / min(n, m))
    assert np.mean(precision) >= 0.9, precision
    assert np.mean(recall) > 0.3, recall


def test_independent_clouds_are_said_to_be_so_or_match_next_to_nothing(sides):
    both, study, facts = sides
    shares = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        changed = {}
        for name, side in both.items():
            moved = {"aligned": rng.normal(size=(60, 12))}
            reading = [moved["aligned"] + 0.5 * rng.normal(size=(60, 12)) for _ in range(2)]
            changed[name] = type(side)(**vars(side) | moved | {"halves": side.halves | {"aligned": reading}})
        only = AUTO | {"weights": {"embedding": "auto"}}
        found = run(changed, study, [], facts=facts, settings=only, seed=seed, key="match.m")
        d = found.diagnostics
        shares.append(d["matched"] / 60 if d["identifiable"] else 0.0)
    assert np.mean(shares) < 0.05 and np.median(shares) == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_texts_that_have_nothing_to_do_with_each_other_match_next_to_nothing(tmp_path, seed):
    # Other things, other words for them, and a model that knows no word of both sides.
    rows = {"a": collection(things(80, seed=seed), side=0), "b": collection(things(80, seed=seed + 10), side=1)}
    letters = str.maketrans("abcdefghijklmnopqrstuvwxyz", "etaoinshrdlucmfwypvbgkqjxz")
    rows["b"]["text"] = [text.translate(letters) for text in rows["b"]["text"]]
    coded = {"a": embed, "b": lambda texts: embed([text.translate(_back(letters)) for text in texts], seed=seed + 1)}
    _, _, found = matched(tmp_path, rows, vectors=coded, settings=AUTO, seed=seed)
    d = found.diagnostics
    assert not d["identifiable"] or d["matched"] <= 8, d["statement"]


def _back(letters):
    return {ord(chr(code)): source for source, code in letters.items()}


@pytest.mark.parametrize("level", ["topics", "clusters"])
def test_rows_of_one_group_go_first(rows, tmp_path, level):
    table, _ = tables(tmp_path, rows, settings=GIVEN | {"recursion": [level]})
    group = table["map"].set_index(["side", "id"])["level_0"]
    own = group["a"].loc[table["matches"]["a_id"]].to_numpy()
    there = set(group["b"])
    given = group["b"].loc[table["matches"]["b_id"]].to_numpy()
    some = np.array([number in there for number in own])
    assert some.mean() > 0.5 and (own == given)[some].all()
    np.testing.assert_array_equal(table["matches"]["level"], (own == given).astype(int))


def test_things_told_in_other_words_are_found_again(rows, tmp_path):
    ids = rows["a"]["id"].tolist()
    truth = from_pairs(pd.DataFrame({"a": ids, "b": ids}), ids, ids)
    table, found = tables(tmp_path, rows, truths=[truth], settings=modes(SETTINGS, "one_to_one"))
    matches = table["matches"]
    assert (matches["a_id"] == matches["b_id"]).mean() > 0.9
    hits = table["evaluation"].set_index("scorer")["hit_at_1"]
    assert hits["all blocks"] > 0.85 and hits["assignment"] > 0.9
    assert hits["all blocks"] >= max(hits[["words", "characters", "topics"]])
    d = found.diagnostics
    assert d["identifiable"] and d["matched"] == 60 and d["unmatched"] == {}
    assert d["agreement"]["p"] <= 0.001 and d["agreement"]["rows"] == 60
    assert d["stability"]["weights"] > 0.8
    assert d["assignment"]["solver"] == "dense"
    assert d["assignment"]["total"] == pytest.approx(d["assignment"]["bound"], rel=1e-6)
    assert d["assignment"]["total"] == pytest.approx(matches["score"].sum(), rel=1e-5)
    assert (matches["margin"] > 0).mean() > 0.9 and matches["mutual"].mean() > 0.7


def test_the_same_seed_gives_the_same_bytes(rows, tmp_path):
    written, settings = [], GIVEN_AUTO | {"recursion": ["clusters"]}
    for _ in range(2):
        table, found = tables(tmp_path, rows, settings=settings)
        out = io.StringIO()
        for name in sorted(table):
            table[name].to_csv(out)
        written.append((out.getvalue(), str(found.diagnostics)))
    assert written[0] == written[1]
