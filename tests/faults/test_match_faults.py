"""Matchings that cannot be done: each fault has its own clear error that names key, file or ids, and the cure.

What can be known before anything is embedded is told before.
"""

import logging
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from crosswalk import sampling
from crosswalk.config import check_config, load_schema
from crosswalk.errors import UserError
from match_project import ANCHORS, TRUTH, MatchProject, config, matching, rows, same_thing, write_pairs, write_rows

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "workflow/schemas/config.schema.yaml")
ANCHORED = {"method": "anchors", "anchors": ANCHORS}


class Study:
    """Two small collections in a folder, taken as far as a run goes before it embeds anything."""

    def __init__(self, folder):
        self.folder = folder
        self.config = config(m=matching())
        for side, own in self.config["collections"].items():
            write_rows(folder / f"{side}.jsonl", rows(side)[:40])
            own["source"]["path"] = str(folder / f"{side}.jsonl")
        for table in (ANCHORS, TRUTH):
            write_pairs(folder / table["path"], self.known())

    def known(self):
        """Pairs of ids that both collections have."""
        numbers = [{row["id"][2:] for row in rows(side)[:40]} for side in self.config["collections"]]
        return [(f"t-{i}", f"r-{i}") for i in sorted(set.intersection(*numbers))]

    def pairs(self, name, made=None, **table):
        """A table of anchors or of truth for the config, written anew if rows are given."""
        path = self.folder / f"{name}.csv"
        if made is not None:
            write_pairs(path, made)
        return {"path": str(path), "a": "ours", "b": "theirs"} | table

    def prepare(self):
        """Check the config, draw both collections and check them; raises what a run would end with."""
        check_config(self.config, SCHEMA)
        tables = []
        for side, own in self.config["collections"].items():
            tables.append(str(self.folder / f"{side}.parquet"))
            sampling.sample(own["source"]["path"], own, name=side, seed=7, out=tables[-1])
        rule = SimpleNamespace(rule="check_collections", log=[str(self.folder / "log")], config=self.config)
        rule.input, rule.output = SimpleNamespace(rows=tables), [str(self.folder / "checked.json")]
        runpy.run_path(str(ROOT / "scripts/check_collections.py"), init_globals={"snakemake": rule})

    def refuses(self, *words, **matching):
        """The message that a run ends with when the matching has these settings; it must hold the words."""
        self.config["match"]["m"] |= matching
        with pytest.raises(UserError) as error:
            self.prepare()
        for word in words:
            assert str(word) in str(error.value), word
        return str(error.value)


@pytest.fixture
def study(tmp_path):
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    yield Study(tmp_path)
    for handler in root.handlers[:]:
        handler.close()
    root.handlers[:], sys.excepthook = before, hook
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_study_without_faults_passes(study):
    alignment = {"method": "anchors", "anchors": study.pairs("anchors")}
    study.config["match"]["m"] |= {"truth": study.pairs("truth"), "alignment": alignment}
    study.prepare()
    assert (study.folder / "checked.json").exists()


def test_a_side_without_rows(study):
    study.config["collections"]["retold"]["where"] = {"theme": {"equals": "none"}}
    told = study.refuses("collections.retold: no row is left", "equals of theme: 40", "where")
    assert "\n" not in told


def test_a_file_without_rows(study):
    (study.folder / "told.jsonl").write_text("")
    study.refuses("told.jsonl: the file is empty", "source.path")


def test_all_texts_equal(study):
    write_rows(study.folder / "retold.jsonl", [row | {"text": "the same"} for row in rows("retold")])
    study.refuses("collections.retold.text: every row says the same", "text.columns")


@pytest.mark.parametrize(
    ("number", "mode", "texts"), [(81, "joint", 80), (41, "separate", 40), ([99, 200], "joint", 80)]
)
def test_more_topics_than_texts(study, number, mode, texts):
    topics = study.config["match"]["m"]["topics"] | {"number": number, "mode": mode}
    study.refuses("match.m.topics.number", f"{texts} texts", "Lower it", topics=topics)


def test_some_numbers_of_topics_that_are_too_large_are_no_fault(study):
    study.config["match"]["m"]["topics"]["number"] = [6, 200]
    study.prepare()


def test_anchors_that_name_unknown_ids(study):
    made = [("t-x1", "r-000"), ("t-x2", "r-001"), *study.known()]
    alignment = {"method": "anchors", "anchors": study.pairs("anchors", made)}
    study.refuses(
        "match.m.alignment.anchors", f"2 of {len(made)} pairs", "anchors.csv", "'t-x1', 't-x2'", "Take them out",
        alignment=alignment,
    )  # fmt: skip


@pytest.mark.parametrize("twice", ["a", "b", "both"])
def test_anchors_that_name_a_row_twice(study, twice):
    first, second, *others = study.known()
    extra = {"a": (first[0], second[1]), "b": (second[0], first[1]), "both": first}[twice]
    made = [first, extra, *others]
    named = first[1] if twice == "b" else first[0]
    alignment = {"method": "anchors", "anchors": study.pairs("anchors", made)}
    study.refuses("match.m.alignment.anchors", "anchors.csv", repr(named), "more than one pair", alignment=alignment)


def test_a_truth_of_which_no_pair_is_known_is_a_fault_and_one_with_some_is_not(study):
    (own, other), *_ = study.known()
    strange = [("t-x1", other), (own, "r-x1")]  # each with one id that there is
    study.refuses("match.m.truth", "truth.csv", "no pair", "'t-x1'", "`id`", truth=study.pairs("truth", strange))
    study.config["match"]["m"]["truth"] = study.pairs("truth", [*strange, (own, other)])
    study.prepare()


def test_too_few_anchors(study):
    alignment = {"method": "anchors", "anchors": study.pairs("anchors", study.known()[:2])}
    study.refuses("match.m.alignment.anchors", "anchors.csv", "2 pairs", "3 or more", alignment=alignment)


@pytest.mark.parametrize(("key", "column"), [("truth", "a"), ("truth", "b"), ("anchors", "a"), ("anchors", "b")])
def test_a_table_of_pairs_without_the_column(study, key, column):
    table = study.pairs(key, **{column: "oures"})
    settings = {"truth": table} if key == "truth" else {"alignment": {"method": "anchors", "anchors": table}}
    place = "match.m.truth" if key == "truth" else "match.m.alignment.anchors"
    study.refuses(place, f"{key}.csv", 'no column "oures"', "did you mean", **settings)


def test_pairs_to_measure_apart_by_a_column_that_is_none(study):
    study.refuses("match.m.truth", "truth.csv", 'no column "sure"', truth=study.pairs("truth", apart={"sure": 2}))


@pytest.mark.parametrize("key", ["truth", "anchors"])
def test_a_table_of_pairs_that_is_not_there(study, key):
    table = study.pairs(key, path=str(study.folder / f"{key}s.csv"))
    settings = {"truth": table} if key == "truth" else {"alignment": {"method": "anchors", "anchors": table}}
    place = "match.m.truth.path" if key == "truth" else "match.m.alignment.anchors.path"
    study.refuses(place, f"no file {table['path']}", f"did you mean '{key}.csv'?", **settings)


@pytest.mark.parametrize("key", ["truth", "anchors"])
@pytest.mark.parametrize("text", ["", "ours,theirs\n"])
def test_a_table_of_pairs_without_pairs(study, key, text):
    table = study.pairs(key)
    (study.folder / f"{key}.csv").write_text(text)
    settings = {"truth": table} if key == "truth" else {"alignment": {"method": "anchors", "anchors": table}}
    study.refuses("match.m.truth" if key == "truth" else "match.m.alignment.anchors", f"{key}.csv", **settings)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"phrase": ""}, "has no phrase for either side; give phrase, or a and b"),
        ({"phrase": "  "}, "phrase: holds only blanks; write the phrase or remove it"),
        ({"a": "", "b": ""}, "has no phrase for either side; give phrase, or a and b"),
        ({"phrase": "sea", "b": "\t"}, "b: holds only blanks; write the phrase or remove it"),
        ({"weight": 2}, "has no phrase for either side; give phrase, or a and b"),
    ],
)
def test_a_phrase_that_is_empty(study, query, told):
    study.refuses("match.m.queries[1]", told, queries=[{"phrase": "boat"}, query])


def test_capacities_that_cannot_be_met(study):
    write_rows(study.folder / "retold.jsonl", rows("retold")[:30])
    assignment = {"mode": "capacity", "capacity": 1, "unmatched": "never"}
    study.refuses(
        "match.m.assignment.capacity", "30 rows of retold", "40 of told", "Raise it to 2", "unmatched: auto",
        assignment=assignment,
    )  # fmt: skip
    for enough in ({"capacity": 2}, {"capacity": None}, {"unmatched": "auto"}):
        study.config["match"]["m"]["assignment"] = assignment | enough
        study.prepare()


def test_faults_of_two_matchings_are_told_at_once(study):
    study.config["match"]["other"] = matching(topics={"number": 500})
    told = study.refuses(
        "match.m.truth", "match.m.alignment.anchors", "match.other.topics.number",
        truth=study.pairs("truth", a="mine"),
        alignment={"method": "anchors", "anchors": study.pairs("anchors", [("t-x", "r-x")])},
    )  # fmt: skip
    assert told.count("\n") == 3


@pytest.mark.slow
def test_what_cannot_be_matched_stops_before_anything_is_embedded(tmp_path):
    project = MatchProject(
        tmp_path,
        few=matching(truth=TRUTH, topics={"number": 500}),
        known=matching(alignment=ANCHORED, assignment={"mode": "capacity", "capacity": 1, "unmatched": "never"}),
    )
    write_rows(project.folder / "retold.jsonl", rows("retold")[:99])
    write_pairs(project.folder / "anchors.csv", [*same_thing(4), ("t-nobody", "r-000")])
    done = project.snakemake()
    assert done.returncode != 0 and "Traceback" not in done.stdout
    for told in ("match.few.topics.number: 229 texts", "'t-nobody'", "match.known.assignment.capacity: 99 rows"):
        assert told in done.stdout
    assert not list(project.results.glob("embeddings/*")) and not (project.results / "match").exists()
