"""Models that rules of their own trained are read back as they were, and the one that was chosen is the one read."""

import functools

import numpy as np
import pytest

from crosswalk import published_recommender
from crosswalk.files import write_json
from crosswalk.trained import METHODS, fit_factorisation, load_trained
from taggings import works_of, world

SETTINGS = {"dim": 8, "epochs": 2, "batch_size": 32, "prior": ["text"], "learning_rate": 0.006}


class Files(dict):
    """Paths by name, as Snakemake gives a script its input."""

    __getattr__ = dict.get


@functools.cache
def works():
    return works_of(world(80, themes=4, each=4, bears=4))


@functools.cache
def fitted(method="softmax", seed=0):
    return fit_factorisation(works().fitting(works().links), method=method, seed=seed, **SETTINGS)


def scores(model):
    return model.score(works().queries(np.arange(80), works().links))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_tells_its_history_and_facts_in_the_same_words(method):
    model, history, facts = fitted(method)
    assert {"epoch", "loss", "log_loss", "recall_at_10"} <= set(history.columns)
    assert history["epoch"].tolist() == list(range(1, len(history) + 1)) and 0 < len(history) <= 2
    assert {"log_loss"} <= set(facts)
    assert scores(model).shape == (80, 16)


@pytest.mark.parametrize("method", METHODS)
def test_the_point_that_was_chosen_is_the_one_that_is_read(tmp_path, method):
    paths = [tmp_path / f"{seed}.safetensors" for seed in range(3)]
    for seed, path in enumerate(paths):
        fitted(method, seed)[0].save(path)
    write_json(tmp_path / "chosen.json", {"place": 1, "point": {}})
    found = load_trained(Files(points=paths, chosen=tmp_path / "chosen.json"), method=method)
    assert list(found) == ["factorisation"]
    np.testing.assert_array_equal(scores(found["factorisation"]), scores(fitted(method, 1)[0]))
    assert not np.array_equal(scores(found["factorisation"]), scores(fitted(method, 2)[0]))


@pytest.mark.parametrize("method", METHODS)
def test_the_model_of_all_links_is_read(tmp_path, method):
    fitted(method)[0].save(tmp_path / "f")
    found = load_trained(Files(factorisation=tmp_path / "f"), method=method)
    np.testing.assert_array_equal(scores(found["factorisation"]), scores(fitted(method)[0]))


def test_the_chapters_own_model_is_read(tmp_path):
    model = published_recommender.fit(works().fitting(works().links), seed=0)
    model.save(tmp_path / "p")
    found = load_trained(Files(as_published=tmp_path / "p"), method="softmax")
    assert list(found) == ["as_published"]
    np.testing.assert_array_equal(scores(found["as_published"]), scores(model))


def test_what_is_not_trained_is_not_read():
    assert load_trained(Files(), method="softmax") == {}
