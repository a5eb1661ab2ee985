"""The config of a matching is checked whole, before anything runs."""

from pathlib import Path

import pytest

from crosswalk.config import check_config, load_schema
from crosswalk.errors import UserError
from crosswalk.match_config import query_phrases

SCHEMA = load_schema(Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml")
TWO = [{"phrase": "where it is"}, {"phrase": "what it pays"}]


@pytest.fixture
def config(tmp_path):
    (tmp_path / "pairs.csv").write_text("a,b\n")
    source = {"source": {"docs": ["numpy"]}, "text": {"columns": ["text"]}}
    return {
        "collections": {"resumes": {**source, "keep": ["sector"]}, "jobs": dict(source)},
        "match": {"resumes_jobs": {"a": "resumes", "b": "jobs"}},
    }


def faults(config):
    with pytest.raises(UserError) as error:
        check_config(config, SCHEMA)
    return str(error.value)


def set_(config, **keys):
    config["match"]["resumes_jobs"] |= keys
    return config


def test_two_names_are_enough(config):
    check_config(config, SCHEMA)
    entry = config["match"]["resumes_jobs"]
    assert (entry["weights"]["words"], entry["assignment"]["mode"], entry["split_half"]) == ("auto", "free", 500)


def test_a_study_without_matching_has_none(config):
    del config["match"]
    check_config(config, SCHEMA)
    assert config["match"] == {}


def test_collections_are_known_and_two(config):
    assert "match.resumes_jobs.b: no collection 'job'; did you mean 'jobs'?" in faults(set_(config, b="job"))
    assert "match.resumes_jobs.b: 'resumes' is side a, too" in faults(set_(config, b="resumes"))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "weights",
            {"words": "atuo"},
            "weights.words: found 'atuo', expected a number or 'auto'; did you mean 'auto'?",
        ),
        ("weights", {"words": "0.5"}, "weights.words: found '0.5', expected a number or 'auto' (remove the quotes)"),
        ("weights", {"words": "1e-3"}, "(YAML reads 1e-3 as text: write 0.001)"),
        ("weights", {"words": True}, "weights.words: found True, expected a number or 'auto'"),
        ("weights", {"words": -1}, "weights.words: found -1, expected at least 0"),
        (
            "assignment",
            {"unmatched": "nevr"},
            "assignment.unmatched: found 'nevr', expected 'auto' or 'never' or a number; did you mean 'never'?",
        ),
    ],
)
def test_a_wrong_word_is_told_with_the_right_ones(config, key, value, told):
    assert told in faults(set_(config, **{key: value}))


def test_a_word_that_stands_for_a_number_passes_and_so_does_a_number(config):
    check_config(set_(config, weights={"words": 0.5}, assignment={"unmatched": "never"}), SCHEMA)
    check_config(set_(config, weights={"words": "auto"}, assignment={"unmatched": -0.5}), SCHEMA)


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ({"phrase": "x"}, ("x", "x")),
        ({"phrase": "x", "b": "y"}, ("x", "y")),
        ({"phrase": "x", "a": ""}, ("", "x")),
        ({"a": "x"}, ("x", "")),
        ({"b": "y"}, ("", "y")),
    ],
)
def test_a_query_has_a_phrase_of_its_own_or_a_common_one(config, query, phrases):
    assert query_phrases(query) == phrases
    check_config(set_(config, queries=[query]), SCHEMA)


@pytest.mark.parametrize(
    "query", [{}, {"weight": 2}, {"phrase": ""}, {"a": "", "b": ""}, {"a": "", "b": "", "phrase": "x"}]
)
def test_a_query_without_any_phrase_is_told(config, query):
    told = faults(set_(config, queries=[*TWO, query]))
    assert "match.resumes_jobs.queries[2]: has no phrase for either side; give phrase, or a and b" in told
    assert "queries[0]" not in told


@pytest.mark.parametrize("query", [{"phrase": " \n"}, {"a": " \n", "b": "x"}, {"phrase": "x", "b": " \n"}])
def test_a_phrase_of_blanks_is_told(config, query):
    key = next(key for key, value in query.items() if value == " \n")
    told = faults(set_(config, queries=[query]))
    assert f"match.resumes_jobs.queries[0].{key}: holds only blanks" in told and told.count("queries[0]") == 1


def test_something_must_be_compared(config):
    off = dict.fromkeys(("embedding", "words", "characters", "topics", "code"), 0)
    assert "match.resumes_jobs.weights: all are 0" in faults(
        set_(config, weights=off, queries=[{"phrase": "x", "weight": 0}])
    )
    check_config(set_(config, queries=TWO[:1]), SCHEMA)
    check_config(set_(config, queries=[], weights=off | {"words": 1}), SCHEMA)
    check_config(set_(config, weights=off, method="as_published"), SCHEMA)


def test_a_capacity_needs_its_mode(config):
    told = faults(set_(config, assignment={"capacity": 2, "mode": "one_to_one"}))
    assert "match.resumes_jobs.assignment.capacity: has no effect with mode 'one_to_one'; set mode: capacity" in told
    check_config(set_(config, assignment={"capacity": 2, "mode": "capacity"}), SCHEMA)
    check_config(set_(config, assignment={"mode": "capacity"}), SCHEMA)


def test_alignment_by_anchors_needs_them(config, tmp_path):
    told = faults(set_(config, alignment={"method": "anchors"}))
    assert "match.resumes_jobs.alignment.method: anchors needs a table of pairs" in told
    anchors = {"path": str(tmp_path / "pairs.csv"), "a": "a", "b": "b"}
    check_config(set_(config, alignment={"method": "anchors", "anchors": anchors}), SCHEMA)


@pytest.mark.parametrize("key", ["truth", "alignment.anchors"])
def test_tables_of_pairs_are_looked_up_as_sources_are(config, tmp_path, monkeypatch, key):
    table = {"a": "a", "b": "b"}

    def named(path):
        one = {**table, "path": path}
        return set_(config, **({"truth": one} if key == "truth" else {"alignment": {"anchors": one}}))

    told = faults(named(str(tmp_path / "pair.csv")))
    assert f"match.resumes_jobs.{key}.path: no file" in told and "did you mean 'pairs.csv'?" in told
    monkeypatch.delenv("SOME_FOLDER", raising=False)
    assert f"match.resumes_jobs.{key}.path: $SOME_FOLDER/pairs.csv: the environment" in faults(
        named("$SOME_FOLDER/pairs.csv")
    )
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    check_config(named("$SOME_FOLDER/pairs.csv"), SCHEMA)
    check_config(named("pairs.csv"), SCHEMA, root=tmp_path)


def test_two_models_are_not_compared_unaligned(config):
    config["embedding"] = {"provider": "hashing"}
    check_config(set_(config, alignment={"method": "none"}), SCHEMA)
    config["collections"]["jobs"]["embedding"] = {"provider": "tfidf"}
    told = faults(config)
    assert "match.resumes_jobs.alignment.method: none compares two models as if they were one" in told
    assert "hashing (hashing-projection, 384 dimensions) of 'resumes' and tfidf" in told
    assert "set it to auto, or set weights.embedding to 0" in told
    check_config(set_(config, alignment={"method": "auto"}), SCHEMA)
    check_config(set_(config, alignment={"method": "none"}, weights={"embedding": 0}), SCHEMA)
    assert "set weights.code to 0" in faults(set_(config, weights={"embedding": 0, "code": 1}))


def test_labels_are_columns_that_are_kept(config):
    told = faults(set_(config, labels={"a": "sector", "b": "function"}))
    assert "match.resumes_jobs.labels.b: the table of 'jobs' has no column 'function'" in told
    assert "add it to collections.jobs.keep" in told and "labels.a" not in told
    assert "did you mean 'sector'?" in faults(set_(config, labels={"a": "sectors", "b": "function"}))
    config["collections"]["jobs"]["contrast"] = {"column": "function", "values": ["x", "y"]}  # is kept for the figures
    check_config(set_(config, labels={"a": "sector", "b": "function"}), SCHEMA)


def test_recursion_by_queries_needs_two(config):
    told = faults(set_(config, recursion=["queries"], queries=[*TWO[:1], {"phrase": "x", "weight": 0}]))
    assert "match.resumes_jobs.recursion: 'queries'" in told and "(found 1)" in told
    check_config(set_(config, queries=[*TWO]), SCHEMA)
    check_config(set_(config, recursion=["topics"], queries=[]), SCHEMA)


def test_all_faults_of_all_entries_are_told_at_once(config):
    config["match"]["other"] = {"a": "resumes", "b": "nowhere", "assignment": {"capacity": 2}, "queries": [{}]}
    told = faults(set_(config, recursion=["queries"], assignment={"capacity": 1}))
    assert len(told.splitlines()) == 1 + 5
