"""Check a config before anything runs: every fault at once, each with its key, what was found and what is allowed."""

import copy
import difflib
import os
import re
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, FormatChecker, validators

from crosswalk.errors import UserError
from crosswalk.limits import ROWS_PER_UNIT, largest_encoder

_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
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
    faults = [line for error in errors for line in _say(error)]
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


def source_paths(source):
    """The local files of a source, as a list, with `~` and environment variables put in.

    Raises UserError if a variable is not set.
    """
    paths = [source["path"]] if isinstance(source["path"], str) else source["path"]
    expanded = [os.path.expandvars(str(Path(path).expanduser())) for path in paths]
    for path in expanded:
        missing = re.search(r"\$\{?(\w+)", path)
        if missing:
            raise UserError(
                f"{path}: the environment variable {missing[1]} is not set; set it to the folder of the data"
            )
    return expanded


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
        return [f"{_path(path)}: looks like a secret; take it out, and set OPENAI_API_KEY in the environment instead"]
    return []


def _path(parts):
    text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)
    return text.lstrip(".") or "the config"


def _say(error):
    """One line for each fault in a jsonschema error, in plain words."""
    where, found, rule = _path(error.absolute_path), error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        return [_unknown(where, key, known) for key in found if key not in known]
    if error.validator == "required":
        return [f"{where}: '{key}' is missing" for key in rule if key not in found]
    if error.validator == "type":
        kinds = [rule] if isinstance(rule, str) else rule
        line = f"{where}: found {_show(found)}, expected {' or '.join(_KINDS[k] for k in kinds)}"
        if isinstance(found, str) and {"number", "integer"} & set(kinds):
            line += _number_hint(found)
        return [line]
    if error.validator == "enum":
        return [f"{where}: found {_show(found)}, expected one of {', '.join(map(str, rule))}{_near(found, rule)}"]
    if error.validator == "pattern":
        return [f"{where}: {_show(found)} does not have the form {rule}"]
    if error.validator == "format":
        return [f"{where}: {_show(found)} is not a regular expression: {error.cause}"]
    limits = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "exclusiveMaximum": "less than",
    }
    if error.validator in limits:
        return [f"{where}: found {_show(found)}, expected {limits[error.validator]} {rule}"]
    if error.validator in ("minItems", "minProperties", "minLength"):
        return [f"{where}: found {_show(found)}, expected at least {rule} entr{'y' if rule == 1 else 'ies'}"]
    return [f"{where}: {error.message}"]


def _unknown(where, key, known):
    place = "" if where == "the config" else f"{where}."
    return f"{place}{key}: unknown key{_near(key, known)} (known: {', '.join(map(str, known))})"


def _near(word, known):
    near = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _number_hint(text):
    try:
        value = float(text)
    except ValueError:
        return ""
    if re.search(r"[eE]", text):
        return f" (YAML reads {text} as text: write {value!r})"
    return " (remove the quotes)"


def _show(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _references(config, root):
    """Faults that a schema cannot see: names that refer to nothing and settings that contradict one another."""
    collections, faults = config["collections"], []
    for name, collection in collections.items():
        at = f"collections.{name}"
        faults += _source_faults(f"{at}.source", collection["source"], root)
        link = collection.get("link")
        if link:
            if link["to"] == name:
                faults.append(f"{at}.link.to: a collection cannot be linked to itself")
            elif link["to"] not in collections:
                faults.append(f"{at}.link.to: no collection '{link['to']}'{_near(link['to'], collections)}")
            elif collections[link["to"]].get("link"):
                faults.append(f"{at}.link.to: '{link['to']}' is itself linked; link to a collection of items")
            if collection["sample"] != {"n": None, "order": "random"}:
                faults.append(f"{at}.sample: rows of a linked collection are drawn by link.take; remove `sample`")
        same = {"id": collection["id"], "group": link["on"] if link else collection["id"], "block": collection["block"]}
        for column in sorted({"id", "group", "text", "block"} & set(collection["keep"])):
            if same.get(column) != column:
                faults.append(
                    f"{at}.keep: '{column}' is a name the tables use themselves; rename the column in the source"
                )
    for name, relation in config.get("relate", {}).items():
        faults += _relation_faults(f"relate.{name}", relation, collections)
    units = largest_encoder(config["encode"])
    needs = ROWS_PER_UNIT * units
    for name, collection in collections.items():
        n = collection["sample"].get("n")
        if n is not None and not collection.get("link") and n < needs:
            faults.append(
                f"collections.{name}.sample.n: {n} items are too few for {units} units (encode.dims); "
                f"draw {needs} or more, or remove the larger dims"
            )
    active = config["encode"]["active"]
    if active and "topk" in config["encode"]["encoders"] and active > min(config["encode"]["dims"]):
        faults.append(
            f"encode.active: {active} units cannot be active among {min(config['encode']['dims'])} (encode.dims)"
        )
    embedding = config["embedding"]
    if embedding["provider"] != "openai":
        for key in ("base_url", "organization"):
            if embedding[key]:
                faults.append(
                    f"embedding.{key}: has no effect with provider '{embedding['provider']}'; set provider: openai"
                )
    for name, relation in config["relate"].items():
        if relation["method"] == "as_published" and not config["encode"]["encoders"]:
            faults.append(f"relate.{name}.method: as_published needs an encoder; add one to encode.encoders")
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
    try:
        paths = source_paths(source)
    except UserError as error:
        return [f"{at}.path: {error}"]
    faults = []
    for path in paths:
        full = root / path
        if not full.is_file():
            siblings = [p.name for p in full.parent.iterdir()] if full.parent.is_dir() else []
            hint = _near(full.name, siblings) or ("" if siblings else f"; there is no folder {full.parent}")
            faults.append(f"{at}.path: no file {path} (looked for {full.absolute()}){hint}")
    return faults


def _relation_faults(at, relation, collections):
    faults = []
    for side in ("x", "y"):
        if relation[side] not in collections:
            faults.append(f"{at}.{side}: no collection '{relation[side]}'{_near(relation[side], collections)}")
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
    return []
