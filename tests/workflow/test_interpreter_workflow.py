"""A chat model in the workflow: its key is asked for at once, its words are weighed, and nothing else changes."""

import json

import pandas as pd
import pytest

from project import MOODS, THEMES, Project
from servers import ChatService, said

pytestmark = pytest.mark.slow

KEY = "sk-test-0123456789interpreter"
WITH_KEY = {"OPENAI_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
WORDS = ("x_high", "x_low", "y_high", "y_low")


def interpreted(request):
    """A model that knows the themes and moods: it gives each end all words of the one that its texts are full of."""
    told = json.loads(request["messages"][1]["content"])
    answer = {}
    for end in ("high", "low"):
        text = " ".join(told[end]["texts"]).split()
        about = max((group.split() for group in THEMES + MOODS), key=lambda words: sum(map(text.count, words)))
        answer[end] = {"phrases": about[:5], "gist": " ".join(about[5:])}
    return said(request, json.dumps(answer))


def nonsense(request):
    return said(request, json.dumps({end: {"phrases": ["tells people"], "gist": "a day"} for end in ("high", "low")}))


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A project whose relations are named without a model."""
    project = Project(tmp_path_factory.mktemp("named"))
    project.config["encode"]["encoders"] = []
    project.run("--", "relate", environment={"OPENAI_API_KEY": ""})
    return project


def relations(project):
    return pd.read_parquet(project.results / "relate/items_replies/relations.parquet")


def interpret(project, folder, url):
    """A copy of a project whose relations are also named by a model."""
    other = project.copy(folder)
    model = {"provider": "openai", "model": "toy-model", "base_url": url}
    other.config["relate"]["items_replies"]["interpreter"] = model
    return other


def usage(project):
    return json.loads((project.results / "relate/items_replies/names.usage.json").read_text())


def test_names_want_no_key_and_say_how_well_they_fit(named):
    table = relations(named)
    assert set(table["named_by"]) == {"phrases"} and usage(named)["interpreter"] == {}
    assert usage(named)["embedding"]["embedded"] > 0
    for column in ("x_fidelity", "y_fidelity", "x_high_fidelity", "y_low_fidelity"):
        assert table[column][0] > 0.7 and table[f"{column}_from"][0] < table[column][0] <= table[f"{column}_to"][0]


def test_a_missing_key_is_told_before_anything_starts_and_only_if_it_is_needed(tmp_path):
    project = Project(tmp_path, items=40)
    project.config["relate"]["items_replies"]["interpreter"] = {"provider": "openai", "model": "toy-model"}
    done = project.snakemake("--", "relate", environment={"OPENAI_API_KEY": ""})
    assert done.returncode != 0 and not project.results.exists()
    assert "relate.items_replies.interpreter.provider openai" in done.stdout
    assert "OPENAI_API_KEY is not set" in done.stdout
    project.run("--dry-run", "--", "embeddings", environment={"OPENAI_API_KEY": ""})


def test_better_words_win_are_asked_for_once_and_change_nothing_else(named, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatService() as service:
        service.answer = interpreted
        project = interpret(named, tmp_path / "other", service.url)
        assert project.planned("--", "relate") == {"name": 1, "relate": 1}
        output = project.run("--", "relate", environment=WITH_KEY)
        first, told, asked = relations(project), usage(project)["interpreter"], len(service.requests)
        project.run("--forcerun", "name", "--", "relate", environment=WITH_KEY)
        assert len(service.requests) == asked and usage(project)["interpreter"]["cached"] == asked
    plain = relations(named)
    assert asked == told["requests"] == 2 * plain["confirmed"].sum() > 0
    assert told["input_tokens"] == 100 * asked and told["output_tokens"] == 10 * asked
    assert first["named_by"].str.contains("toy-model").any()
    assert set(first.loc[~first["confirmed"], "named_by"]) <= {"phrases"}
    named_columns = [c for c in plain if c in (*WORDS, "sentence", "named_by") or "fidelity" in c]
    pd.testing.assert_frame_equal(first.drop(columns=named_columns), plain.drop(columns=named_columns))
    pd.testing.assert_frame_equal(relations(project), first)
    assert all(f"Bearer {KEY}" in headers.values() for headers in service.headers)
    assert KEY not in output
    assert [p for p in project.folder.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()] == []


def test_worse_words_lose(named, tmp_path):
    with ChatService() as service:
        service.answer = nonsense
        project = interpret(named, tmp_path / "other", service.url)
        project.run("--", "relate", environment=WITH_KEY)
        assert service.requests
    pd.testing.assert_frame_equal(relations(project), relations(named))
