"""Works that cannot be recommended for: each fault has its own clear error that names key, file or line, and the cure.

What is odd and no fault is counted, and what people wrote comes through as they wrote it.
"""

import copy
import json
import logging
import runpy
import sys
import unicodedata
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pandas as pd
import pytest

from crosswalk import sampling, stacking, suggestions
from crosswalk.config import check_config, load_schema
from crosswalk.errors import UserError
from crosswalk.files import read_json, write_json
from recommend_project import config, linked, listed, recommender
from taggings import links, rows, world, write_csv, write_jsonl

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "workflow/schemas/config.schema.yaml")
MEMBERS = ["popularity", "item_knn", "ease", "text_knn", "label_match"]  # those that no rule of their own trains
MADE = {"themes": 5, "each": 4, "bears": 4}
THAI, FACE, COMBINED = "ภาพวาดสีน้ำ", "ปลา 👩🏽‍🚀🎨", "Cafe\u0301 Ångstro\u0308m"


class Files(dict):
    """Named files of a rule, as Snakemake gives them to a script."""

    __getattr__ = dict.get

    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)


class Study:
    """Works in a folder, and the rules of a recommender run on them one by one."""

    def __init__(self, folder):
        self.folder, self.made = folder, world(120, untagged=0.1, **MADE)
        write_jsonl(folder / "works.jsonl", self.made)
        write_csv(folder / "listed.csv", rows(self.made, "column"))
        write_csv(folder / "links.csv", links(self.made))
        write_jsonl(folder / "new.jsonl", world(6, start=500, **MADE).without_subjects())
        self.config, self.part = config(s=recommender(members=MEMBERS)), "held_out"

    @property
    def entry(self):
        return self.config["recommend"]["s"]

    def path(self, *parts):
        return self.folder.joinpath("out", *parts)

    def change(self, **settings):
        self.entry.update(settings)

    def check(self):
        """Check the config; what is drawn and read afterwards is as it says."""
        checked = copy.deepcopy(self.config)
        check_config(checked, SCHEMA, root=self.folder)
        sources = [own["source"] for own in checked["collections"].values()]
        sources += [own["tags"]["source"] for own in checked["recommend"].values() if own["tags"]["source"]]
        for source in sources:
            source["path"] = str(self.folder / source["path"])
        return checked

    def draw(self):
        """Check the config and draw the works."""
        checked = self.check()
        self.own = checked["recommend"]["s"]
        self.works = checked["collections"][self.own["works"]]
        self.path().mkdir(exist_ok=True)
        tally = sampling.sample(
            self.works["source"]["path"], self.works, name="works", seed=7, out=self.path("rows.parquet")
        )
        return tally

    def script(self, name, inputs, outputs, **params):
        given = Files({key: str(self.path(file)) for key, file in inputs.items()})
        given |= {key: params.pop(key) for key in ("source", "new") if key in params} | {"broader": []}
        rule = SimpleNamespace(rule=name, log=[str(self.folder / "log")], input=Files(given), threads=1)
        rule.output = Files({key: str(self.path(file)) for key, file in outputs.items()})
        rule.params, rule.wildcards = SimpleNamespace(seed=7, path={}, **params), SimpleNamespace()
        rule.wildcards.recommender, rule.wildcards.part, rule.wildcards.file = "s", self.part, "new"
        runpy.run_path(str(ROOT / f"scripts/{name}.py"), init_globals={"snakemake": rule})

    built = MappingProxyType(
        {
            "links": "links",
            "borne": "borne",
            "subjects": "subjects.parquet",
            "works": "works.parquet",
            "counts": "counts.json",
        }
    )

    def read(self):
        """Everything up to the links; returns the counts."""
        self.draw()
        settings = {key: self.own[key] for key in ("tags", "broader", "min_works", "min_subjects")}
        source = [(self.own["tags"]["source"] or self.works["source"])["path"]]
        works = {key: self.works[key] for key in ("id", "text", "where", "keep", "source")}
        given = {"source": source, "settings": settings, "works": works, "fetched": False}
        self.script("interactions", {"rows": "rows.parquet"}, self.built, **given)
        return read_json(self.path("counts.json"))

    def hide(self):
        self.read()
        inputs = {key: self.built[key] for key in ("links", "subjects", "works")}
        self.script("hide_links", inputs, {"split": "split"}, settings={"split": self.own["split"]})

    def judge(self):
        """Everything up to the verdict."""
        self.hide()
        seen = {"rows": "rows.parquet", "links": "links", "split": "split", "subjects": "subjects.parquet"}
        for self.part in ("held_out", "final"):
            made = {key: f"{self.part}-{key}" for key in ("matrix", "model", "vocabulary")}
            self.script("terms", seen, made, settings={"features": self.own["features"]})
        names = ("evaluation", "evaluation_json", "reliability", "weights", "stack", "diagnostics")
        self.settings = self.own | {"method": self.own["factorisation"]["method"]}
        terms = {"terms": "held_out-matrix"}
        self.script("judge", seen | terms, {name: name for name in names}, settings=self.settings)
        self.seen = seen | {
            "terms": "final-matrix",
            "vocabulary": "final-vocabulary",
            "stack": "stack",
            "borne": "borne",
        }

    def suggest(self):
        """Everything up to the suggestions, as a table."""
        self.judge()
        out = {"suggestions": "suggestions.csv", "parquet": "suggestions.parquet"}
        self.script("suggest_missing", self.seen, out, settings=self.settings, top=self.own["top"])
        return pd.read_parquet(self.path("suggestions.parquet"))

    def answer(self, path):
        """The suggestions for a file of new works, after `judge`."""
        out = {"suggestions": "new.csv", "parquet": "new.parquet", "counts": "new.json"}
        works = {key: self.works[key] for key in ("id", "text", "where", "keep", "source")}
        given = {"settings": self.settings, "tags": self.own["tags"], "works": works, "top": self.own["top"]}
        self.script("suggest_new", self.seen | {"model": "final-model"}, out, new=[str(path)], **given)
        return pd.read_parquet(self.path("new.parquet"))

    def refuses(self, call, *words):
        with pytest.raises(UserError) as error:
            call()
        for word in words:
            assert str(word) in str(error.value), word
        return str(error.value)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(stacking, "LEAST_STEPS", 9)
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    yield Study(tmp_path)
    for handler in root.handlers[:]:
        handler.close()
    root.handlers[:], sys.excepthook = before, hook
    root.setLevel(level)
    logging.captureWarnings(False)


def replaced(path, old, new, *, count=-1):
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, count), encoding="utf-8")


def test_a_study_without_faults_passes(study):
    found = study.suggest()
    assert found["work_id"].nunique() == 120 and study.answer(study.folder / "new.jsonl")["work_id"].nunique() == 6


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"path": "subjects[].concept[]"}, ["recommend.s.tags.path", 'key "concept"', "did you mean", "concepts"]),
        ({"path": "subject[].concepts[]"}, ['"subject"', "subjects"]),
        ({"id": "ident"}, ["recommend.s.tags.id", 'key "ident"', "id, label, type"]),
        ({"label": "lable"}, ["recommend.s.tags.label", 'key "lable"', "did you mean 'label'?"]),
        ({"path": "subjects[]..concepts[]"}, ["recommend.s.tags.path", "is no path", "subjects[].concepts[]"]),
        ({"path": "subjects.concepts[]"}, ["works.jsonl:1", "wrong type", "recommend.s.tags", "[] stands behind"]),
        ({"path": "subjects[].concepts"}, ["works.jsonl:2", "wrong type", "[] stands behind"]),
        ({"path": "title", "id": "id"}, ["works.jsonl:1", "wrong type"]),
        ({"path": "subjects[].concepts[]", "id": None, "label": None}, ["wrong type", "id is null where"]),
    ],
)
def test_a_mapping_that_leads_nowhere(study, tags, words):
    study.change(tags=study.entry["tags"] | tags)
    study.refuses(study.read, *words)


def test_a_column_of_the_table_that_is_not_there(study):
    for part, column in (("work", "wrok"), ("id", "subj"), ("label", "name")):
        study.config = config(s=linked(members=MEMBERS))
        study.entry["tags"] = study.entry["tags"] | {part: column}
        study.refuses(study.read, f'"{column}"', "links.csv")


def test_a_table_about_other_works(study):
    study.config = config(s=linked(members=MEMBERS))
    write_csv(study.folder / "links.csv", [{"work": f"v-{i}", "subject": "s1", "label": "x"} for i in range(9)])
    study.refuses(study.read, "recommend.s.tags.work", '"v-0"', '"w-00000"', "Correct the column")


def test_works_whose_ids_changed_since_they_were_drawn(study):
    study.draw()
    write_jsonl(study.folder / "works.jsonl", world(20, start=900, **MADE))
    drawn = study.path("rows.parquet").read_bytes()
    study.draw = lambda: study.path("rows.parquet").write_bytes(drawn)
    study.refuses(study.read, "no row of the source is about a work of the collection", "Run again")


@pytest.mark.parametrize("shape", ["nested", "column"])
def test_no_work_has_a_subject(study, shape):
    bare = study.made.without_subjects()
    if shape == "nested":
        write_jsonl(study.folder / "works.jsonl", bare)
    else:
        study.config = config(s=listed(members=MEMBERS))
        write_csv(study.folder / "listed.csv", rows(bare, "column"))
    study.refuses(study.read, "recommend.s.tags", "no work of the collection has a subject")


def test_no_subject_is_frequent_enough(study):
    study.change(min_works=99)
    study.refuses(study.read, "recommend.s", "min_works", "Lower the two, or take more works")


@pytest.mark.parametrize(
    ("works", "split", "key"),
    [
        (2, {}, "recommend.s.split.known"),
        (6, {"known": 0.2, "new": 0.9}, "recommend.s.split.known"),
        (60, {"from": 5}, "split.from"),
    ],
)
def test_too_few_works_to_hide_links_of(study, works, split, key):
    write_jsonl(study.folder / "works.jsonl", world(works, **MADE))
    study.change(split={"known": 0.3, "new": 0.2} | split, min_works=1)
    study.refuses(study.hide, key, "take more works")


def test_too_few_works_to_learn_whom_to_trust(study):
    write_jsonl(study.folder / "works.jsonl", world(30, **MADE))
    study.change(split={"known": 0.2, "new": 0.1})
    told = study.refuses(study.judge, "are needed to weigh them", "split.known", "name one `model`")
    assert "\n" not in told
    assert not study.path("evaluation").exists() and not study.path("stack").exists()
    study.change(model="text_knn")
    assert study.suggest()["work_id"].nunique() == 30


def malformed(study, count, *, line='{"id": "w-0'):
    also = [line] * count
    write_jsonl(study.folder / "works.jsonl", study.made, also=also)


def test_few_malformed_lines_are_counted(study):
    malformed(study, 1)
    counts = study.read()
    assert counts["works"] == 120 and counts["rows"] == 121 and sum(counts["left_out"].values()) == 1


def test_many_malformed_lines_stop_the_run_unless_they_are_allowed(study):
    malformed(study, 12)
    study.refuses(study.read, "works.jsonl:121", "source.max_bad_lines")
    study.config["collections"]["works"]["source"]["max_bad_lines"] = 0.2
    left_out = study.read()["left_out"]
    assert list(left_out.values()) == [12] and next(iter(left_out)).startswith("malformed line")


@pytest.mark.parametrize(
    "subjects",
    ['"maps"', "7", '{"concepts": []}', '[{"concepts": "maps"}]', '[["s1"]]', '[{"concepts": [{"id": []}]}]'],
)
def test_subjects_of_the_wrong_type_are_counted_and_stop_the_run_if_many(study, subjects):
    row = f'{{"id": "x-0", "description": "a text of words", "subjects": {subjects}}}'
    write_jsonl(study.folder / "works.jsonl", study.made, also=[row])
    assert study.read()["left_out"] == {"subjects of the wrong type": 1}
    more = [row.replace("x-0", f"x-{i}") for i in range(9)]
    write_jsonl(study.folder / "works.jsonl", study.made, also=more)
    study.refuses(study.read, "works.jsonl:121", "9 of the 129 rows", "max_bad_lines", "recommend.s.tags")


@pytest.mark.parametrize(
    "subjects", ["null", "[]", '[{"concepts": null}]', '[{"concepts": []}]', "[null]", '[{"concepts": [null]}]']
)
def test_a_work_whose_subjects_are_empty_is_a_work_without(study, subjects):
    row = f'{{"id": "x-0", "description": "{study.made.texts[0]}", "subjects": {subjects}}}'
    write_jsonl(study.folder / "works.jsonl", study.made, also=[row, '{"id": "x-1", "description": "other words"}'])
    before = sum(not own for own in study.made.bears)
    assert study.read()["works_without_subjects"] == before + 2
    found = study.suggest()
    assert {"x-0", "x-1"} <= set(found["work_id"])


def test_one_label_under_two_ids_is_one_subject(study):
    study.made = study.made._replace(synonyms=True)
    write_jsonl(study.folder / "works.jsonl", study.made)
    assert study.read()["ids_folded"] > 0
    found = study.suggest()
    assert not found.duplicated(["work_id", "label"]).any()
    has = {own: {study.made.labels[i] for i in b} for own, b in zip(study.made.ids, study.made.bears, strict=True)}
    assert not any(label in has[own] for own, label in zip(found["work_id"], found["label"], strict=True))


def test_what_people_wrote_comes_through_unchanged(study):
    labels = [THAI, FACE, COMBINED, "NA", "null", '"quoted", and; more', "line\nbreak", *study.made.labels[7:]]
    written = unicodedata.normalize("NFD", labels[2])
    study.made = study.made._replace(labels=labels, texts=[f"{text} {THAI} 🎨" for text in study.made.texts])
    lines = [json.dumps(row, ensure_ascii=False) for row in rows(study.made)]
    other = [line.replace(COMBINED, unicodedata.normalize("NFC", COMBINED)) for line in lines[:20]]
    (study.folder / "works.jsonl").write_text("\n".join([*other, *lines[20:]]) + "\n", encoding="utf-8")
    found = study.suggest()
    subjects = pd.read_parquet(study.path("subjects.parquet"))
    assert len(subjects) == len(labels) and not {THAI, FACE, "NA", "null"} - set(subjects["label"])
    plain = {unicodedata.normalize("NFD", label) for label in subjects["label"]}
    assert written in plain and len(plain) == len(labels)
    assert {THAI, FACE, "NA", "null", '"quoted", and; more', "line\nbreak"} <= set(found["label"])
    as_text = pd.read_csv(study.path("suggestions.csv"), keep_default_na=False)
    assert (
        as_text["label"].tolist() == found["label"].tolist()
        and as_text["work_id"].tolist() == found["work_id"].tolist()
    )
    new = [{"id": "ผลงาน-🎨", "description": study.made.texts[0]}]
    (study.folder / "new.jsonl").write_text(json.dumps(new[0], ensure_ascii=False) + "\n", encoding="utf-8")
    assert set(study.answer(study.folder / "new.jsonl")["work_id"]) == {"ผลงาน-🎨"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['{"id": "n1", "title": "no text"}'], ['"description"']),
        (['{"id": "n1", "description": ""}'], ["no row"]),
        (['{"id": "n1", "description": "a"}', '{"id": "n1", "description": "b"}'], ["n1"]),
        (['{"id": "n1", "description": "a"}', "not json"], ["new.jsonl:2", "max_bad_lines"]),
        (['{"id": "n1", "description": "a", "subjects": "maps"}'], ["wrong type"]),
        ([""], ["new.jsonl"]),
    ],
)
def test_a_file_of_new_works_that_cannot_be_read(study, lines, words):
    study.judge()
    (study.folder / "new.jsonl").write_text("\n".join(lines) + ("\n" if lines != [""] else ""), encoding="utf-8")
    study.refuses(lambda: study.answer(study.folder / "new.jsonl"), "recommend.s.new.new", *words)
    assert not list(study.path().glob("*new.*"))


def test_a_file_of_new_works_that_is_not_there(study):
    study.change(new={"may": "mai.jsonl"})
    study.refuses(study.check, "recommend.s.new.may: no file mai.jsonl")


def test_an_interrupted_write_leaves_no_file(study, monkeypatch):
    study.judge()
    append, times = suggestions.Writer.append, []

    def failing(writer, table):
        times.append(len(table))
        if len(times) == 2:
            raise KeyboardInterrupt
        append(writer, table)

    monkeypatch.setattr(suggestions.Writer, "append", failing)
    monkeypatch.setattr("crosswalk.recommender.BATCH", 50)
    out = {"suggestions": "suggestions.csv", "parquet": "suggestions.parquet"}
    before = {path.name for path in study.path().iterdir()}
    with pytest.raises(KeyboardInterrupt):
        study.script("suggest_missing", study.seen, out, settings=study.settings, top=5)
    assert times == [250, 250] and {path.name for path in study.path().iterdir()} == before


def test_links_that_were_not_written_whole_are_not_there(study, monkeypatch):
    monkeypatch.setattr("crosswalk.files.write_json", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        study.read()
    assert not study.path("counts.json").exists() and not list(study.path().glob(".*tmp"))
    write_json(study.path("counts.json"), {})


def test_faults_of_two_recommenders_are_told_at_once(study):
    study.config["recommend"]["other"] = recommender(model="ease", members=["tree"])
    study.change(works="wroks")
    told = study.refuses(study.check, "recommend.s.works: no collection 'wroks'", "recommend.other.model")
    assert told.count("\n") == 2
