"""What the config gives where it is silent is what the models were tuned to."""

import inspect

import pytest

from crosswalk import ease, factorisation, item_knn, label_tree, text_knn, text_network, vector_knn
from crosswalk.config import load_schema

SCHEMA = load_schema("workflow/schemas/config.schema.yaml")
ENTRY = SCHEMA["properties"]["recommend"]["additionalProperties"]["properties"]


@pytest.mark.parametrize(
    ("key", "fit", "names"),
    [
        ("factorisation", factorisation.fit, ["dim", "epochs", "batch_size", "learning_rate", "prior"]),
        ("item_knn", item_knn.fit, ["neighbours", "shrinkage"]),
        ("text_knn", text_knn.fit, ["k", "power"]),
        ("vector_knn", vector_knn.fit, ["k", "power"]),
        ("tree", label_tree.fit, ["trees", "beam"]),
        ("network", text_network.fit, ["dim", "epochs", "batch_size", "learning_rate"]),
    ],
)
def test_defaults_of_the_config_are_those_of_the_models(key, fit, names):
    given = {name: sub.get("default") for name, sub in ENTRY[key]["properties"].items()}
    given["k"] = given.get("neighbours")
    for name in names:
        own = inspect.signature(fit).parameters[name].default
        assert given[name] == (list(own) if isinstance(own, tuple) else own), name


def test_the_memory_of_ease_is_about_that_of_the_config():
    assert ENTRY["ease"]["properties"]["max_gb"]["default"] * 1e9 == pytest.approx(ease.MAX_BYTES, rel=0.1)
