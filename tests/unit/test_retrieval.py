"""A row finds its own item as often as it should: always, by chance, or by half where two are alike."""

import logging
import runpy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from crosswalk import retrieval as module
from crosswalk.errors import UserError
from crosswalk.files import write_parquet, write_vectors
from crosswalk.retrieval import COLUMNS, LEXICAL, chance, compare, retrieval

RNG = np.random.default_rng(5)
IDS = [f"item-{i}" for i in range(40)]
ITEMS = RNG.normal(size=(40, 12))
GROUPS = [IDS[i % 40] for i in range(120)]
ROWS = np.tile(ITEMS, (3, 1)) + 0.8 * RNG.normal(size=(120, 12))
SETTINGS = {"resamples": 200, "seed": 1}


def found(x=ITEMS, y=ROWS, groups=GROUPS, ids=IDS, **settings):
    return retrieval(x, y, groups, ids, **{**SETTINGS, **settings})


def test_rows_that_equal_their_item_always_find_it():
    own = [*range(40), *[7] * 30]  # one item has many rows
    assert found(y=5 * ITEMS[own], groups=[IDS[i] for i in own]) == pytest.approx(
        {"recall_at_1": 1, "low": 1, "high": 1, "recall_at_10": 1, "mrr": 1, "items": 40, "rows": 70}
    )


def test_unrelated_rows_find_their_item_by_chance():
    rng = np.random.default_rng(0)
    merits = found(
        x=rng.normal(size=(40, 12)), y=rng.normal(size=(4000, 12)), groups=[IDS[i % 40] for i in range(4000)]
    )
    for key, expected in chance(40).items():
        assert merits[key] == pytest.approx(expected, abs=0.02)
    assert chance(40)["recall_at_10"] == 0.25


def test_merits_are_those_of_a_full_sort():
    cosines = (ROWS / np.linalg.norm(ROWS, axis=1)[:, None]) @ (ITEMS / np.linalg.norm(ITEMS, axis=1)[:, None]).T
    place = 1 + (cosines > cosines[np.arange(120), np.arange(120) % 40][:, None]).sum(1)
    merits = found()
    assert 0.2 < merits["recall_at_1"] < 0.9
    assert merits["recall_at_1"] == pytest.approx((place == 1).mean())
    assert merits["recall_at_10"] == pytest.approx((place <= 10).mean())
    assert merits["mrr"] == pytest.approx((1 / place).mean())


def test_items_with_one_text_share_the_first_places():
    alike = np.tile(ITEMS[:1], (4, 1))
    merits = found(x=alike, y=alike, groups=IDS[:4], ids=IDS[:4])
    assert merits["recall_at_1"] == pytest.approx(1 / 4)
    assert merits["recall_at_10"] == 1
    assert merits["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_ties_behind_nearer_items_share_their_places():
    x = np.array([[1.0, 0], [1, 0.1], *[[0, 1.0]] * 10])  # for the row below, ten are equal from the third place on
    merits = found(x=x, y=np.array([[1.0, 0.0]]), groups=[IDS[5]], ids=IDS[:12])
    assert merits["recall_at_1"] == 0
    assert merits["recall_at_10"] == pytest.approx(8 / 10)
    assert merits["mrr"] == pytest.approx(sum(1 / place for place in range(3, 13)) / 10)


def test_a_row_without_direction_finds_nothing_but_chance():
    merits = found(y=np.zeros((40, 12)), groups=IDS)
    assert {key: merits[key] for key in chance(40)} == pytest.approx(chance(40))


def test_order_of_rows_and_items_is_of_no_effect():
    rows, items = RNG.permutation(120), RNG.permutation(40)
    shuffled = found(ITEMS[items], ROWS[rows], [GROUPS[i] for i in rows], [IDS[i] for i in items])
    assert shuffled == pytest.approx(found(), abs=1e-12)


def test_parts_give_what_the_whole_gives(monkeypatch):
    whole = found()
    monkeypatch.setattr(module, "CELLS", 40 * 7)
    assert found() == whole


def test_interval_resamples_items_not_rows():
    copies = np.repeat(ROWS[:40], 25, axis=0)
    wide = found(y=copies, groups=np.repeat(IDS, 25), resamples=1000)
    narrow = found(y=ROWS[:40], groups=IDS, resamples=1000)
    assert wide["low"] < wide["recall_at_1"] < wide["high"]
    assert wide["high"] - wide["low"] == pytest.approx(narrow["high"] - narrow["low"], abs=0.05)


def test_row_of_no_item_is_refused():
    with pytest.raises(ValueError, match="'stranger'"):
        found(groups=["stranger", *GROUPS[1:]])
    with pytest.raises(ValueError, match="no row"):
        found(y=np.empty((0, 12)), groups=[])


TEXTS = [f"{word} {other} here" for word in ("red", "green", "blue", "grey") for other in ("bird", "fish", "tree")]


def test_words_and_both_stand_beside_the_embedding():
    rng, ids = np.random.default_rng(2), [str(i) for i in range(12)]
    x, y = rng.normal(size=(12, 5)), rng.normal(size=(24, 5))
    given = {"texts": (TEXTS, TEXTS * 2), "groups": ids * 2, "ids": ids, **SETTINGS}
    table = compare(x, y, name="model", **given)
    assert table.columns.tolist() == COLUMNS
    assert table["embedding"].tolist() == ["model", LEXICAL, "both"]
    assert table["dimensions"].tolist() == [5, 5, 10]
    assert table["recall_at_1"][0] < table["recall_at_1"][2] < table["recall_at_1"][1] == 1
    assert compare(x, y, name=LEXICAL, **given)["embedding"].tolist() == [LEXICAL]


def test_of_very_many_rows_a_draw_of_whole_items_looks(monkeypatch):
    ids, vectors = [str(i) for i in range(12)], np.eye(12)
    given = {"texts": (TEXTS, TEXTS * 2), "groups": ids * 2, "ids": ids, **SETTINGS}
    monkeypatch.setattr(module, "MOST_ROWS", 11)
    table = compare(vectors, np.tile(vectors, (2, 1)), name="model", **given)
    assert table["rows"].tolist() == [10] * 3 and table["items"].tolist() == [12] * 3  # five items, sought among all
    assert table["recall_at_1"].tolist()[:2] == [1, 1]


def test_texts_without_shared_words_are_refused():
    ids = ["a", "b"]
    with pytest.raises(UserError, match="share too few words"):
        compare(np.eye(2), np.eye(2), name="model", texts=(ids, ids), groups=ids, ids=ids, **SETTINGS)


@pytest.mark.parametrize(("provider", "names"), [("local", ["m", LEXICAL, "both"]), ("tfidf", [LEXICAL])])
def test_entry_script_writes_the_table(tmp_path, monkeypatch, provider, names):
    ids, rng = [str(i) for i in range(12)], np.random.default_rng(2)
    given = {}
    for side, count in (("x", 12), ("y", 24)):
        own = [f"{side}{i}" if side == "y" else str(i) for i in range(count)]
        rows = pd.DataFrame({"id": own, "group": ids * (count // 12), "text": TEXTS * (count // 12)})
        given |= {f"{side}_rows": tmp_path / f"{side}.parquet", side: tmp_path / f"{side}.arrow"}
        write_parquet(given[f"{side}_rows"], rows)
        about = {"provider": provider, "model": "m", "dimensions": 5}
        write_vectors(given[side], own, rng.normal(size=(count, 5)), metadata=about)
    monkeypatch.setattr("crosswalk.job.start", lambda _: logging.getLogger("retrieval"))
    output = tmp_path / "retrieval.csv"
    snakemake = SimpleNamespace(
        input=SimpleNamespace(**given), output=[output], params=SimpleNamespace(resamples=100, seed=3)
    )
    written = []
    for _ in range(2):
        runpy.run_path(str(ROOT / "scripts/retrieval.py"), init_globals={"snakemake": snakemake})
        written.append(output.read_bytes())
    assert written[0] == written[1]
    table = pd.read_csv(output)
    assert table.columns.tolist() == COLUMNS and table["embedding"].tolist() == names
