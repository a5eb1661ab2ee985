"""Check a config before anything runs: every fault at once, each with its key, what was found and what is allowed."""

import copy
import re
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, FormatChecker, validators

from crosswalk.covariates import BUILT_IN, RESERVED
from crosswalk.errors import UserError
from crosswalk.limits import ROWS_PER_UNIT, encoded
from crosswalk.match_config import match_faults
from crosswalk.models import embedding_faults, embedding_of, space, title
from crosswalk.paths import missing_files, source_paths
from crosswalk.recommend_config import recommend_faults
from crosswalk.units import AUTO, fewest, most
from crosswalk.wording import dotted, near, say

__all__ = ["check_config", "embedding_of", "load_schema", "source_paths"]

_CHECKER = FormatChecker(formats=[])
_SECRET = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|://[^/\s:@]+:[^/\s@]+@")


@_CHECKER.checks("regex", raises=re.error)
def _is_regex(value):
    return not isinstance(value, str) or bool(re.compile(value)) or True


def load_schema(path):
    """The JSON schema in a YAML file."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def check_config(config, schema, *, root="."):
    """Fill defaults into `config`, in place, and check it whole.

    config: dict; schema: dict, from `load_schema`; root: folder against which relative source paths are looked up.
    Raises UserError that lists every fault: unknown keys with the nearest known one, wrong types (and YAML's habit of
    reading 1e-3 as text), names that refer to nothing, files that are not there.
    """
    _restore_on(config)
    errors = _fill_and_check(config, schema)
    faults = [line for error in errors for line in say(error)]
    if not any(error.validator in ("type", "required") for error in errors):
        faults += _references(config, Path(root))
    faults = list(dict.fromkeys(faults + _secrets(config)))
    if faults:
        raise UserError("The config cannot be used:\n  " + "\n  ".join(faults))


def _restore_on(config):
    """YAML 1.1 reads the key `on` as true; give it its name back."""
    collections = config.get("collections")
    for collection in collections.values() if isinstance(collections, dict) else ():
        link = collection.get("link") if isinstance(collection, dict) else None
        if isinstance(link, dict) and True in link:
            link["on"] = link.pop(True)


def _fill_and_check(config, schema):
    check = Draft202012Validator.VALIDATORS["properties"]

    def properties(validator, props, instance, rule):
        if isinstance(instance, dict):
            for name, sub in props.items():
                if "default" in sub:
                    instance.setdefault(name, copy.deepcopy(sub["default"]))
        yield from check(validator, props, instance, rule)

    validator = validators.extend(Draft202012Validator, {"properties": properties})(schema, format_checker=_CHECKER)
    return sorted(validator.iter_errors(config), key=lambda e: [str(part) for part in e.absolute_path])


def _secrets(value, path=()):
    """Faults for text that looks like an API key or a password in an address: a config is saved with the results."""
    if isinstance(value, dict):
        return [fault for key, sub in value.items() for fault in _secrets(sub, (*path, key))]
    if isinstance(value, list):
        return [fault for i, sub in enumerate(value) for fault in _secrets(sub, (*path, i))]
    if isinstance(value, str) and _SECRET.search(value):
        return [f"{dotted(path)}: looks like a secret; take it out, and set OPENAI_API_KEY in the environment instead"]
    return []


def _references(config, root):
    """Faults that a schema cannot see: names that refer to nothing and settings that contradict one another."""
    collections, faults = config["collections"], []
    for name in collections:
        faults += _collection_faults(name, collections, root)
    faults += embedding_faults(config)
    for name, relation in config["relate"].items():
        faults += _relation_faults(f"relate.{name}", relation, config)
    for name in config["match"]:
        faults += match_faults(name, config, root)
    for name in config["recommend"]:
        faults += recommend_faults(name, config, root)
    units = most(config["encode"])
    needs = ROWS_PER_UNIT * units
    for name in encoded(config):
        collection = collections[name]
        n = collection["sample"].get("n")
        if n is not None and not collection.get("link") and n < needs:
            faults.append(
                f"collections.{name}.sample.n: {n} items are too few for {units} units (encode.dims); "
                f"draw {needs} or more, or remove the larger dims"
            )
    active = config["encode"]["active"]
    if active and "topk" in config["encode"]["encoders"] and active > fewest(config["encode"]):
        faults.append(f"encode.active: {active} units cannot be active among {fewest(config['encode'])} (encode.dims)")
    if config["encode"]["encoders"] and config["encode"]["dims"][0] == AUTO:
        faults += [
            f"encode.dims: match.{name} compares the units of both sides one to one, as published, and `{AUTO}` gives "
            "each side its own number; put a number first"
            for name, matching in config["match"].items()
            if matching["method"] == "as_published"
        ]
    for name, relation in config["relate"].items():
        if relation["method"] == "as_published" and not config["encode"]["encoders"]:
            faults.append(f"relate.{name}.method: as_published needs an encoder; add one to encode.encoders")
    return faults


def _collection_faults(name, collections, root):
    at, collection = f"collections.{name}", collections[name]
    faults = _source_faults(f"{at}.source", collection["source"], root)
    link = collection.get("link")
    if link:
        if link["to"] == name:
            faults.append(f"{at}.link.to: a collection cannot be linked to itself")
        elif link["to"] not in collections:
            faults.append(f"{at}.link.to: no collection '{link['to']}'{near(link['to'], collections)}")
        elif collections[link["to"]].get("link"):
            faults.append(f"{at}.link.to: '{link['to']}' is itself linked; link to a collection of items")
        elif collections[link["to"]]["id"] is None:
            faults.append(
                f"{at}.link.to: '{link['to']}' has no column with ids that rows could link to; "
                f"set collections.{link['to']}.id"
            )
        if collection["sample"] != {"n": None, "order": "random"}:
            faults.append(f"{at}.sample: rows of a linked collection are drawn by link.take; remove `sample`")
    same = {"id": collection["id"], "group": link["on"] if link else collection["id"]}
    for column in sorted(column for column in collection["keep"] if RESERVED.fullmatch(column)):
        if same.get(column) != column:
            faults.append(f"{at}.keep: '{column}' is a name the tables use themselves; rename the column in the source")
    return faults


def _source_faults(at, source, root):
    kinds = [kind for kind in ("path", "url", "docs") if kind in source]
    if len(kinds) != 1:
        found = f"found {' and '.join(kinds)}" if kinds else "found none"
        return [f"{at}: give one of path, url and docs ({found})"]
    if "sha256" in source and "url" not in source:
        return [f"{at}.sha256: goes with url"]
    if "path" not in source:
        return []
    return missing_files(at, source, root)


def _relation_faults(at, relation, config):
    faults, collections = [], config["collections"]
    for side in ("x", "y"):
        if relation[side] not in collections:
            faults.append(f"{at}.{side}: no collection '{relation[side]}'{near(relation[side], collections)}")
    if faults:
        return faults
    link, other = (collections[relation[side]].get("link") for side in ("y", "x"))
    if other and other["to"] == relation["y"]:
        return [f"{at}: '{relation['x']}' is linked to '{relation['y']}': write x: {relation['y']}, y: {relation['x']}"]
    if not link or link["to"] != relation["x"]:
        return [
            f"{at}: collection '{relation['y']}' is not linked to '{relation['x']}'; "
            f"add collections.{relation['y']}.link with `to: {relation['x']}` and `on:` the column that holds its id"
        ]
    faults = _search_faults(at, relation, collections)
    x, y = (embedding_of(config, relation[side]) for side in ("x", "y"))
    if space(x) != space(y):
        own = " and ".join(
            f"collections.{relation[side]}.embedding"
            for side in ("x", "y")
            if "embedding" in collections[relation[side]]
        )
        faults.append(
            f"{at}: '{relation['x']}' is embedded by {title(x)} and '{relation['y']}' by {title(y)}, but echo and "
            f"retrieval compare both sides in one space; change or remove {own}"
        )
    return faults


def _search_faults(at, relation, collections):
    """Faults of what a relation asks for besides its two sides."""
    faults = []
    for side in "xy":
        own = collections[relation[side]]
        known = [*own["keep"], *([own["contrast"]["column"]] if "contrast" in own else []), *BUILT_IN]
        faults += [
            f"{at}.covariates.{side}: '{name}' is not kept (collections.{relation[side]}.keep){near(name, known)}"
            for name in relation["covariates"][side]
            if name not in known
        ]
    for i, entry in enumerate(relation["focus"]):
        if not entry:
            faults.append(f"{at}.focus[{i}]: it has no phrase; give `phrase`, or `x`, or `y`, or both of these")
        elif "phrase" in entry and len(entry) > 1:
            faults.append(f"{at}.focus[{i}]: `phrase` is asked of both sides by itself; give it alone, or `x` and `y`")
    chat = relation["interpreter"]
    if chat["provider"] == "openai" and not chat["model"]:
        faults.append(f"{at}.interpreter.model: provider openai needs the name of a chat model, such as gpt-4.1-mini")
    if chat["provider"] == "none":
        faults += [
            f"{at}.interpreter.{key}: has no effect with provider 'none'; set provider: openai"
            for key in ("model", "base_url")
            if chat[key]
        ]
    if relation["method"] == "as_published":
        asked = [f"{at}.focus"] * bool(relation["focus"])
        asked += [f"{at}.interpreter"] * (chat["provider"] != "none")
        asked += [f"{at}.covariates"] * any(relation["covariates"].values())
        faults += [f"{key}: as_published knows none; remove it, or the method" for key in asked]
    return faults
