"""Paid embedding as a user runs it: told beforehand, within a budget, shared out among jobs."""

import json

import pytest

from project import Project
from servers import EmbeddingService

pytestmark = pytest.mark.slow

ITEMS = 60
OPEN = {"NO_PROXY": "127.0.0.1"}
KEY = OPEN | {"OPENAI_API_KEY": "sk-test-workflow-71"}


def study(folder, service, **settings):
    """A study of which only embedding is asked for."""
    folder.mkdir()
    project = Project(folder, items=ITEMS)
    project.config["collections"]["items"]["sample"] = {}
    project.config["encode"]["encoders"] = []
    project.config["embedding"] = {"provider": "openai", "model": "toy", "dimensions": 16} | settings
    project.config["embedding"]["base_url"] = service.url
    return project


def sent(service):
    return [text for request in service.requests for text in request["input"]]


def usage(project, name="items"):
    return json.loads((project.results / f"embeddings/{name}.usage.json").read_text())


def test_an_estimate_needs_no_key_sends_nothing_and_is_what_is_then_billed(tmp_path):
    with EmbeddingService() as service:
        project = study(tmp_path / "study", service, price=2, limits={"requests_per_minute": 600})
        told = project.run("--", "estimate", environment=OPEN)
        assert not service.requests
        assert "items, by openai (toy, 16 dimensions" in told
        assert f"{ITEMS} texts, 0 of them copies, 0 in the cache; {ITEMS} to embed in 1 requests" in told
        assert f"in all at most {ITEMS * 3} texts to embed" in told
        assert "US$" in told and "minutes at the set limits" in told
        project.run("--", "results/study/embeddings/items.arrow", environment=KEY)
        assert f"{ITEMS} in the cache; nothing to embed" in project.run("--", "estimate", environment=OPEN)


def test_texts_shared_out_among_jobs_are_each_sent_once_and_give_the_same_bytes(tmp_path):
    with EmbeddingService() as service:
        whole = study(tmp_path / "whole", service)
        whole.run("--", "results/study/embeddings/items.arrow", environment=KEY)
        before = len(service.requests)
        parts = study(tmp_path / "parts", service, shards=3)
        parts.run("--", "results/study/embeddings/items.arrow", environment=KEY)
        texts = [text for request in service.requests[before:] for text in request["input"]]
        assert len(service.requests) - before == 3 and sorted(texts) == sorted(sent(service)[:ITEMS])
    paths = [project.results / "embeddings/items.arrow" for project in (whole, parts)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    same = ("texts", "distinct", "cached", "embedded", "tokens")
    assert {key: usage(whole)[key] for key in same} == {key: usage(parts)[key] for key in same}


def test_a_budget_holds_for_all_runs_of_a_study_and_what_was_bought_is_kept(tmp_path):
    with EmbeddingService() as service:
        project = study(tmp_path / "study", service, batch={"texts": 10}, limits={"concurrency": 1})
        target = "results/study/embeddings/items.arrow"
        project.config["embedding"]["budget"] = {"tokens": 6000}
        for _ in range(2):
            done = project.snakemake("--", target, environment=KEY)
            assert done.returncode != 0 and "embedding.budget" in done.stdout and "Raise the budget" in done.stdout
            bought = sent(service)
            assert 0 < sum(map(len, bought)) <= 6000 and len(bought) < ITEMS
        project.config["embedding"]["budget"] = {"tokens": 10**6}
        project.run("--", target, environment=KEY)
        assert len(sent(service)) == ITEMS == len(set(sent(service)))
        assert usage(project)["cached"] == len(bought)
