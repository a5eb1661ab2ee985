"""A config is checked whole, before anything runs."""

import copy
import importlib.util
from pathlib import Path

import pytest

from crosswalk.config import check_config, load_schema, source_paths
from crosswalk.errors import UserError

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "workflow/schemas/config.schema.yaml")


@pytest.fixture
def config(tmp_path):
    for name in ("books.jsonl", "reviews.jsonl"):
        (tmp_path / name).write_text("{}\n")
    return {
        "collections": {
            "books": {"source": {"path": str(tmp_path / "books.jsonl")}, "id": "id", "text": {"columns": ["text"]}},
            "reviews": {
                "source": {"path": str(tmp_path / "reviews.jsonl")},
                "id": "id",
                "text": {"columns": ["text"]},
                "link": {"to": "books", "on": "book"},
            },
        },
        "relate": {"books_reviews": {"x": "books", "y": "reviews"}},
    }


def faults(config):
    with pytest.raises(UserError) as error:
        check_config(config, SCHEMA)
    return str(error.value)


def test_defaults_are_filled_at_every_level(config):
    check_config(config, SCHEMA)
    assert config["seed"] == 42
    assert config["encode"]["dims"] == [8, 16, 32, 64]
    assert config["embedding"]["batch"]["texts"] == 2048
    assert config["collections"]["reviews"]["link"]["take"] is None
    assert config["relate"]["books_reviews"]["method"] == "cross_fitted"


def test_defaults_are_not_shared_between_entries(config):
    check_config(config, SCHEMA)
    config["collections"]["books"]["text"]["strip"].append("x")
    assert config["collections"]["reviews"]["text"]["strip"] == []


def test_all_faults_are_told_at_once_with_the_near_key(config):
    config["encode"] = {"dimz": [8], "learning_rate": "1e-3", "epochs": 0}
    config["embedding"] = {"provider": "opnai"}
    config["collections"]["books"]["text"]["strip"] = ["("]
    config["relate"]["books_reviews"]["y"] = "reveiws"
    config["sed"] = 1
    del config["collections"]["reviews"]["text"]
    told = faults(config)
    assert "encode.dimz: unknown key; did you mean 'dims'?" in told
    assert "YAML reads 1e-3 as text: write 0.001" in told
    assert "encode.epochs: found 0, expected at least 1" in told
    assert "did you mean 'openai'?" in told
    assert "collections.books.text.strip[0]" in told and "not a regular expression" in told
    assert "sed: unknown key; did you mean 'seed'?" in told
    assert told.count("collections.reviews: 'text' is missing") == 1


def test_misspelt_names_of_collections_name_the_right_one(config):
    config["relate"]["books_reviews"]["y"] = "reveiws"
    config["collections"]["reviews"]["link"]["to"] = "book"
    told = faults(config)
    assert "relate.books_reviews.y: no collection 'reveiws'; did you mean 'reviews'?" in told
    assert "collections.reviews.link.to: no collection 'book'; did you mean 'books'?" in told


def test_the_key_on_survives_yaml(config):
    link = config["collections"]["reviews"]["link"]
    link[True] = link.pop("on")
    check_config(config, SCHEMA)
    assert link["on"] == "book"


def test_a_relation_needs_a_link(config):
    del config["collections"]["reviews"]["link"]
    assert "is not linked to 'books'; add collections.reviews.link" in faults(config)


def test_sides_the_other_way_round_are_told(config):
    config["relate"]["books_reviews"] = {"x": "reviews", "y": "books"}
    assert "write x: books, y: reviews" in faults(config)


def test_a_collection_needs_ids_only_where_others_link_to_it(config):
    del config["collections"]["reviews"]["id"]
    check_config(config, SCHEMA)
    assert config["collections"]["reviews"]["id"] is None
    del config["collections"]["books"]["id"]
    told = faults(config)
    assert "collections.reviews.link.to: 'books' has no column with ids" in told and "set collections.books.id" in told


def test_relations_need_one_model_on_both_sides(config):
    config["embedding"] = {"provider": "tfidf", "dimensions": 32}
    config["collections"]["reviews"]["embedding"] = {"provider": "hashing", "dimensions": 32}
    told = faults(config)
    assert "relate.books_reviews: 'books' is embedded by tfidf (tfidf-svd, 32 dimensions)" in told
    assert "change or remove collections.reviews.embedding" in told
    config["collections"]["books"]["embedding"] = {"provider": "hashing", "dimensions": 64}
    assert "collections.books.embedding and collections.reviews.embedding" in faults(config)
    config["collections"]["books"]["embedding"]["dimensions"] = 32
    check_config(config, SCHEMA)
    del config["relate"]
    config["collections"]["books"]["embedding"]["dimensions"] = 64
    check_config(config, SCHEMA)


def test_a_missing_file_is_told_with_where_it_was_looked_for(config, tmp_path):
    config["collections"]["books"]["source"]["path"] = str(tmp_path / "boks.jsonl")
    told = faults(config)
    assert "collections.books.source.path" in told and "did you mean 'books.jsonl'?" in told


def test_relative_paths_are_looked_up_from_the_root(config, tmp_path):
    config["collections"]["books"]["source"]["path"] = "books.jsonl"
    check_config(config, SCHEMA, root=tmp_path)


def test_paths_may_use_environment_variables(monkeypatch):
    monkeypatch.setenv("SOME_FOLDER", "/data")
    assert source_paths({"path": ["$SOME_FOLDER/a.csv", "${SOME_FOLDER}/b.csv"]}) == ["/data/a.csv", "/data/b.csv"]
    monkeypatch.delenv("SOME_FOLDER")
    with pytest.raises(UserError, match="SOME_FOLDER is not set"):
        source_paths({"path": "$SOME_FOLDER/a.csv"})


@pytest.mark.parametrize("source", [{}, {"path": "a.csv", "docs": ["numpy"]}])
def test_a_source_is_exactly_one_of_the_kinds(config, source):
    config["collections"]["books"]["source"] = source
    assert "give one of path, url and docs" in faults(config)


def test_too_few_items_for_the_encoder_are_told_before_anything_runs(config):
    config["collections"]["books"]["sample"] = {"n": 127}
    told = faults(config)
    assert "sample.n: 127 items are too few for 64 units (encode.dims); draw 128 or more" in told
    config["collections"]["books"]["sample"] = {"n": 128}
    check_config(config, SCHEMA)


def test_an_address_is_of_the_web_and_a_local_file_a_path(config):
    config["collections"]["books"]["source"] = {"url": "file:///data/books.csv"}
    assert "collections.books.source.url" in faults(config)
    config["collections"]["books"]["source"] = {"url": "https://store.example/books.csv"}
    check_config(config, SCHEMA)


@pytest.mark.parametrize("text", ["sk-proj-abcdefghijklmnopqrstuv", "https://user:word@host/v1"])
def test_a_secret_in_the_config_is_refused_and_not_repeated(config, text):
    config["embedding"] = {"provider": "openai", "base_url": text}
    told = faults(config)
    assert "embedding.base_url: looks like a secret" in told
    assert text not in told


def test_every_key_has_a_description_and_optional_ones_a_default():
    words = {"additionalProperties", "default", "description", "enum", "exclusiveMaximum", "exclusiveMinimum", "format"}
    words |= {
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
    }
    words |= {"properties", "propertyNames", "required", "title", "type", "uniqueItems", "$schema"}

    def walk(schema, path):
        assert set(schema) <= words, f"{path}: {set(schema) - words}; is a comma not quoted?"
        for name, sub in schema.get("properties", {}).items():
            at = f"{path}.{name}"
            assert sub.get("description") or sub.get("properties") or "additionalProperties" in sub, (
                f"{at}: no description"
            )
            walk(sub, at)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            walk(extra, f"{path}.*")
        elif "properties" in schema:
            assert extra is False, f"{path}: unknown keys would pass silently"

    walk(SCHEMA, "config")


def test_the_shipped_configs_pass(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSSWALK_DATA", str(tmp_path))
    for path in [ROOT / "config/config.yaml", *sorted((ROOT / "config/examples").glob("*.yaml"))]:
        config = copy.deepcopy(load_schema(path))
        for collection in config["collections"].values():  # the data of an example need not be here
            if "path" in collection["source"]:
                collection["source"] = {"docs": ["numpy"]}
        for matching in config.get("match", {}).values():
            for table in (matching.get("truth"), matching.get("alignment", {}).get("anchors")):
                if table:
                    table["path"] = __file__
        check_config(config, SCHEMA)


def test_the_documentation_is_that_of_the_schema():
    spec = importlib.util.spec_from_file_location("document", ROOT / "config/document.py")
    document = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(document)
    assert (ROOT / "config/README.md").read_text(encoding="utf-8") == document.document(SCHEMA), (
        "run `python config/document.py`"
    )


def test_what_a_relation_takes_out_must_be_kept_or_known_of_every_text(config):
    config["collections"]["books"]["keep"] = ["year"]
    covariates = config["relate"]["books_reviews"]["covariates"] = {"x": ["year", "length"], "y": ["language"]}
    check_config(copy.deepcopy(config), SCHEMA)
    covariates["x"], covariates["y"] = ["yeer"], ["year"]
    text = faults(config)
    assert "covariates.x: 'yeer' is not kept (collections.books.keep); did you mean 'year'?" in text
    assert "relate.books_reviews.covariates.y: 'year'" in text and "collections.reviews.keep" in text


@pytest.mark.parametrize("entry, said", [({}, "no phrase"), ({"phrase": "slow", "x": "sea"}, "give it alone")])
def test_a_focus_without_a_phrase_or_with_too_many_is_refused(config, entry, said):
    config["relate"]["books_reviews"]["focus"] = [{"phrase": "slow"}, {"x": "sea", "y": "slow"}, entry]
    text = faults(config)
    assert "relate.books_reviews.focus[2]" in text and said in text and "focus[1]" not in text


def test_the_published_way_is_asked_for_no_phrases_and_takes_nothing_out(config):
    config["relate"]["books_reviews"] |= {
        "method": "as_published",
        "focus": [{"x": "sea"}],
        "covariates": {"x": ["length"]},
    }
    text = faults(config)
    assert (
        "relate.books_reviews.focus: as_published" in text and "relate.books_reviews.covariates: as_published" in text
    )


@pytest.mark.parametrize("remove", ["auto", 0, 20])
def test_what_is_taken_out_of_y_is_a_number_or_auto(config, remove):
    config["relate"]["books_reviews"]["echo"] = {"remove": remove}
    check_config(copy.deepcopy(config), SCHEMA)
    config["relate"]["books_reviews"]["echo"] = {"remove": "all"}
    assert "relate.books_reviews.echo.remove" in faults(config)


def test_an_interpreter_is_no_one_unless_it_is_named(config):
    settings = config["relate"]["books_reviews"]
    check_config(copied := copy.deepcopy(config), SCHEMA)
    assert copied["relate"]["books_reviews"]["interpreter"] == {
        "provider": "none", "model": None, "base_url": None, "budget": None,
    }  # fmt: skip
    settings["interpreter"] = {"provider": "openai"}
    assert "relate.books_reviews.interpreter.model: provider openai needs the name" in faults(copy.deepcopy(config))
    settings["interpreter"] = {"provider": "openai", "model": "toy-model", "base_url": "http://localhost:8000/v1"}
    check_config(copy.deepcopy(config), SCHEMA)
    settings["method"] = "as_published"
    assert "relate.books_reviews.interpreter: as_published knows none" in faults(copy.deepcopy(config))


def test_settings_of_an_interpreter_without_one_are_a_fault(config):
    config["relate"]["books_reviews"]["interpreter"] = {"model": "toy-model"}
    assert "interpreter.model: has no effect with provider 'none'; set provider: openai" in faults(config)
