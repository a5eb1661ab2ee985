"""A recommender's config is checked whole before anything runs."""

import copy

import pytest

from crosswalk.config import check_config, load_schema
from crosswalk.errors import UserError
from crosswalk.limits import embedded, encoded
from crosswalk.recommend_config import folder, points, reads_vectors

SCHEMA = "workflow/schemas/config.schema.yaml"


@pytest.fixture(scope="module")
def schema():
    return load_schema(SCHEMA)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "works.jsonl").write_text("{}\n")
    (tmp_path / "links.csv").write_text("work,subject\n")
    return {
        "collections": {
            "works": {
                "source": {"path": "works.jsonl"},
                "id": "id",
                "text": {"columns": ["title"]},
                "keep": ["shelf"],
            }
        },
        "recommend": {"subjects": {"works": "works", "tags": {"path": "subjects[].concepts[]", "id": "id"}}},
    }


def checked(config, schema, tmp_path):
    config = copy.deepcopy(config)
    check_config(config, schema, root=tmp_path)
    return config


def faults(config, schema, tmp_path):
    with pytest.raises(UserError) as error:
        checked(config, schema, tmp_path)
    return str(error.value)


def test_defaults_are_filled_in_and_nothing_is_embedded_or_encoded_for_it(config, schema, tmp_path):
    config = checked(config, schema, tmp_path)
    assert config["recommend"]["subjects"]["model"] == "stack"
    assert embedded(config) == encoded(config) == []


def test_a_prior_that_reads_embeddings_has_the_works_embedded(config, schema, tmp_path):
    config["recommend"]["subjects"]["factorisation"] = {"prior": ["text", "vectors"]}
    config = checked(config, schema, tmp_path)
    assert reads_vectors(config["recommend"]["subjects"])
    assert embedded(config) == ["works"]


def test_works_that_something_else_uses_are_embedded(config, schema, tmp_path):
    config["collections"]["jobs"] = config["collections"]["works"]
    config["match"] = {"both": {"a": "works", "b": "jobs"}}
    assert embedded(checked(config, schema, tmp_path)) == ["works", "jobs"]


def test_a_sweep_has_every_point_once_and_each_a_folder_of_its_own(config, schema, tmp_path):
    config["recommend"]["subjects"]["factorisation"] = {
        "dim": [8, 16],
        "epochs": 3,
        "batch_size": 64,
        "prior": [[], ["text"], ["text", "hierarchy"]],  # there is no hierarchy: the last is the one before
    }
    own = points(checked(config, schema, tmp_path)["recommend"]["subjects"])
    assert [(point["dim"], point["prior"]) for point in own] == [(8, ()), (8, ("text",)), (16, ()), (16, ("text",))]
    assert len({folder(point) for point in own}) == 4
    assert folder(own[0]) == "dim-8/epochs-3/batch-64/prior-none"


def test_hierarchy_counts_where_works_have_a_path(config, schema, tmp_path):
    config["recommend"]["subjects"]["path"] = {"column": "shelf", "separator": "."}
    own = points(checked(config, schema, tmp_path)["recommend"]["subjects"])
    assert own[0]["prior"] == ("text", "hierarchy", "labels")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("works", "work", "no collection 'work'; did you mean 'works'?"),
        ("tags", {"id": "id"}, "says not where the subjects are; give path"),
        ("tags", {"path": "s[]", "id": "id", "work": "w"}, "goes with recommend.subjects.tags.source"),
        ("tags", {"path": "s[]", "id": "id", "delimiter": ";"}, "cuts a column of text"),
        ("tags", {"source": {"path": "links.csv"}, "id": "subject"}, "tags.work: name the column of the table"),
        ("tags", {"source": {"path": "lnks.csv"}, "id": "s", "work": "w"}, "no file lnks.csv"),
        ("tags", {"source": {}, "id": "s", "work": "w"}, "give one of path and docs"),
        (
            "tags",
            {"source": {"path": "links.csv"}, "path": "s", "id": "s", "work": "w"},
            "tags.path: goes with subjects",
        ),
        ("broader", {"separator": "--", "path": "links.csv"}, "not both"),
        ("broader", {"path": "links.csv"}, "give separator, or all of path, subject and broader"),
        ("path", {"column": "shelve", "separator": "."}, "add it to collections.works.keep; did you mean 'shelf'?"),
        ("model", "tree", None),
        ("new", {"may": "may.jsonl"}, "recommend.subjects.new.may: no file may.jsonl"),
        ("members", ["tree", "forest"], "forest"),
        ("top", 0, "top"),
        ("split", {"known": 0, "new": 0}, "recommend.subjects.split: known and new are both 0"),
        ("factorisation", {"prior": ["text", ["labels"]]}, "mixes names and lists"),
        ("factorisation", {"prior": ["texts"]}, "texts"),
        ("factorisation", {"method": "ials", "prior": ["text"]}, "has no effect with method: ials"),
    ],
)
def test_each_fault_is_named_with_its_place_and_cure(config, schema, tmp_path, key, value, told):
    config["recommend"]["subjects"][key] = value
    if told is None:
        checked(config, schema, tmp_path)
    else:
        assert told in faults(config, schema, tmp_path)


def test_a_model_that_is_not_fitted_cannot_suggest(config, schema, tmp_path):
    config["recommend"]["subjects"] |= {"model": "tree", "members": ["ease"]}
    assert "'tree' is not among recommend.subjects.members" in faults(config, schema, tmp_path)


def test_links_of_a_table_need_works_with_ids(config, schema, tmp_path):
    del config["collections"]["works"]["id"]
    config["recommend"]["subjects"]["tags"] = {"source": {"path": "links.csv"}, "work": "work", "id": "subject"}
    assert "set collections.works.id" in faults(config, schema, tmp_path)
