"""Each collection knows its model: the common one, but for what it sets otherwise."""

import pytest

from crosswalk import embedding, lexical, minilm
from crosswalk.errors import UserError
from crosswalk.models import DEFAULTS, embedding_faults, embedding_of, space, title

LIMITS = {"texts": 5}
SERVICE = {"provider": "openai", "model": "large", "dimensions": 512, "base_url": "https://a.example/v1"}
SERVICE |= {"organization": "us", "batch": LIMITS}
NONE = dict.fromkeys(("model", "dimensions", "base_url", "organization"))


def config(shared, **own):
    """A checked config of collections with what each sets otherwise."""
    collections = {name: {"embedding": one} if one else {} for name, one in own.items()}
    return {"embedding": {**NONE, "batch": LIMITS, **shared}, "collections": collections}


def test_a_collection_has_the_common_model_but_for_the_keys_it_sets():
    study = config(SERVICE, plain=None, small={"dimensions": 64}, own={"model": None, "provider": "openai"})
    assert embedding_of(study, "plain") == SERVICE
    assert embedding_of(study, "small") == {**SERVICE, "dimensions": 64}
    assert embedding_of(study, "own") == {**SERVICE, "model": None}
    assert study["embedding"] == SERVICE


def test_nothing_of_one_provider_leaks_into_another():
    study = config(SERVICE, here={"provider": "local"}, short={"provider": "hashing", "dimensions": 8})
    assert embedding_of(study, "here") == {"provider": "local", **NONE, "batch": LIMITS}
    assert embedding_of(study, "short") == {"provider": "hashing", **NONE, "dimensions": 8, "batch": LIMITS}
    study = config({"provider": "tfidf", "dimensions": 32}, paid={"provider": "openai", "organization": "us"})
    assert embedding_of(study, "paid") == {"provider": "openai", **NONE, "organization": "us", "batch": LIMITS}


@pytest.mark.parametrize(
    ("own", "same"),
    [
        ({"organization": "them"}, True),
        ({"base_url": "https://a.example/v1/"}, True),
        ({"base_url": "https://b.example/v1"}, False),
        ({"model": "small"}, False),
        ({"dimensions": 256}, False),
        ({"provider": "local"}, False),
    ],
)
def test_vectors_compare_if_model_length_and_service_are_one(own, same):
    study = config(SERVICE, a=None, b=own)
    assert (space(embedding_of(study, "a")) == space(embedding_of(study, "b"))) is same


def test_a_default_that_is_written_out_is_the_same_model():
    study = config({"provider": "local"}, a=None, b={"model": "all-MiniLM-L6-v2", "dimensions": 384})
    assert space(embedding_of(study, "a")) == space(embedding_of(study, "b"))
    assert title(embedding_of(study, "a")) == "local (all-MiniLM-L6-v2, 384 dimensions)"
    assert title(embedding_of(config(SERVICE, a=None), "a")) == "openai (large, 512 dimensions, https://a.example/v1)"


def test_the_defaults_are_those_of_the_models():
    assert {provider: model for provider, (model, _) in DEFAULTS.items()} == embedding.DEFAULT_MODELS
    assert DEFAULTS["tfidf"][1] == DEFAULTS["hashing"][1] == lexical.DIMENSIONS
    assert DEFAULTS["local"][1] == minilm.DIMENSIONS


def test_what_has_no_effect_is_told_where_it_stands():
    own = {"provider": "local", "base_url": "https://a.example", "dimensions": 64}
    told = embedding_faults(config(SERVICE, a=None, b=own))
    assert [line.split(":")[0] for line in told] == [
        "collections.b.embedding.base_url",
        "collections.b.embedding.dimensions",
    ]
    told = embedding_faults(config({"provider": "local"}, a={"model": "large"}, b={"provider": "tfidf"}))
    assert told == [
        "collections.a.embedding.model: 'local' has no model 'large'; remove it for all-MiniLM-L6-v2, "
        "or set provider: openai"
    ]
    told = embedding_faults(config({"provider": "hashing", "organization": "us"}, a=None))
    assert told == ["embedding.organization: has no effect with provider 'hashing'; set provider: openai"]
    assert embedding_faults(config(SERVICE, a={"model": "small"}, b=None)) == []


def test_what_the_check_refuses_no_embedder_takes():
    """The check and the embedders agree about what a provider has."""
    for own in ({"model": "large"}, {"dimensions": 64}):
        assert embedding_faults(config({"provider": "local"}, a=own))
        with pytest.raises(UserError):
            embedding.open_embedder({"provider": "local", **own})


def test_tfidf_has_one_number_of_dimensions():
    told = embedding_faults(config({"provider": "tfidf"}, a=None, b={"dimensions": 64}, c={"provider": "hashing"}))
    assert len(told) == 1 and told[0].startswith("collections.b.embedding.dimensions: tfidf is fitted once")
    assert "found a 384, b 64" in told[0]
    assert embedding_faults(config({"provider": "tfidf"}, a=None, b={"dimensions": 384})) == []
