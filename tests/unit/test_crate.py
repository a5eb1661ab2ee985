"""A folder of results is described for those who know nothing of Crosswalk."""

import json

import pytest

pytest.importorskip("rocrate", reason="rocrate is not installed")

from crosswalk.crate import describe

CITATION = {
    "title": "Crosswalk: how texts relate",
    "license": "MIT",
    "authors": [{"name": "The authors"}, {"family-names": "Doe", "given-names": "Jane"}],
}
RECORD = {
    "config": {"title": "A study"},
    "crosswalk": {"version": "0.1.0", "commit": "c0ffee"},
    "packages": {"numpy": "2.4.6"},
}
FILES = {"provenance.yaml": 10, "relate/a b/relations.csv": 20, "collections/x.parquet": 30, "odd": 1}


def graph(**changes):
    given = {
        "record": RECORD,
        "inputs": [("one x y.csv", "0" * 64)],
        "citation": CITATION,
        "made": "2026-01-02T03:04:05+00:00",
    }
    described = describe(FILES, **given | changes)
    assert described == describe(FILES, **given | changes)
    return {entity["@id"]: entity for entity in json.loads(json.dumps(described))["@graph"]}


def those(entity, key):
    """The ids that a property refers to, one or several."""
    value = entity[key]
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_every_file_is_a_part_of_the_crate_with_its_size_and_type():
    entities = graph()
    root = entities["./"]
    assert root["name"] == "A study" and root["datePublished"] == "2026-01-02T03:04:05+00:00"
    assert set(those(root, "hasPart")) == {path.replace(" ", "%20") for path in FILES}
    table = entities["relate/a%20b/relations.csv"]
    assert (table["@type"], table["contentSize"], table["encodingFormat"]) == ("File", "20", "text/csv")
    assert entities["collections/x.parquet"]["encodingFormat"] == "application/vnd.apache.parquet"
    assert "encodingFormat" not in entities["odd"]


def test_a_run_leads_from_what_was_read_to_what_was_made_by_what():
    entities = graph()
    run = entities["#run"]
    read = [entities[place] for place in those(run, "object")]
    assert {entity["name"] for entity in read} == {"one x y.csv", "provenance.yaml"}
    assert "0" * 64 in [entity.get("sha256") for entity in read]
    assert len(those(run, "result")) == len(FILES) - 1
    workflow = entities[those(run, "instrument")[0]]
    assert (workflow["version"], workflow["identifier"]) == ("0.1.0", "c0ffee")
    assert "https://spdx.org/licenses/MIT" in str(workflow["license"])
    assert entities[those(entities["./"], "license")[0]]["name"] == "Not stated"  # ours is not that of the results
    assert [entities[place]["name"] for place in those(workflow, "author")] == ["The authors", "Jane Doe"]
    assert those(workflow, "softwareRequirements") == ["https://pypi.org/project/numpy/2.4.6/"]
    assert those(entities["./"], "mentions") == ["#run"]


def test_nothing_is_said_of_what_is_not_known():
    record = {**RECORD, "config": {"title": ""}, "crosswalk": {"version": None, "commit": None}}
    entities = graph(record=record, citation={}, inputs=[])
    assert entities["./"]["name"] == "Results of Crosswalk"
    assert not {"version", "identifier", "license", "author"} & set(entities["#crosswalk"])
