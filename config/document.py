"""Write config/README.md from the schema: every key with its type, default and meaning.

python config/document.py
"""

import json
import re
from pathlib import Path

import yaml

HERE = Path(__file__).parent
HEAD = """# The config

One YAML file says everything. Start from one in `examples/`, and run it with

    snakemake --cores 2 --configfile my-study.yaml

A config given this way stands alone; without `--configfile` the demo in `config.yaml` runs. The whole file is checked
before anything starts: every fault at once, with its key, what was found and what is allowed.

- `source.path` may hold environment variables: `$CROSSWALK_DATA/reviews.jsonl.gz`. Relative paths start at the working
  folder.
- A list in `encode.dims`, `encode.encoders` or `encode.seeds` is a sweep: one more value plans only its own jobs.
- A collection with `link` belongs to another, item by item: reviews to books, parameters to functions. Its own rows are
  drawn by `link.take`; the other collection's items must have `link.at_least` rows that meet `where`.
- Collections share one `embedding`; `collections.<name>.embedding` says what is otherwise for one of them. Collections
  that are related must have one model, those that are matched need not.
- A collection without `id` names its rows by their number; one with its own `embedding` is embedded by another model.
- Under `match`, `auto` weights are chosen without labels; `truth` and `labels` measure the result and change nothing.
- Under `recommend`, a list in `factorisation.dim`, `epochs` or `batch_size`, or a list of lists in `prior`, is a sweep.
- A file under `recommend.<name>.new` is answered by what was learned before and trains nothing. Works whose text is
  empty are left out of the collection, and so of the recommender. A collection that only recommends is embedded only if
  a prior reads `vectors`.
- Give each study its own `pathvars.results`. The cache of embeddings and downloads is shared between studies.
- Keys for services come from the environment (`OPENAI_API_KEY`), never from the config.

## Every key

`<name>` stands for a name of yours. Written by `python config/document.py` from `workflow/schemas/config.schema.yaml`.

| key | type | default | meaning |
| --- | --- | --- | --- |
"""


def rows(schema, path=""):
    """Yield (key, type, default, meaning) for every key of a schema, depth first."""
    required = schema.get("required", [])
    for name, sub in schema.get("properties", {}).items():
        key = f"{path}{name}"
        default = "required" if name in required else _value(sub["default"]) if "default" in sub else ""
        if "properties" in sub and sub.get("default") == {}:
            default = ""
        yield key, _type(sub), default, sub.get("description", "")
        yield from rows(sub, f"{key}.")
        yield from rows(sub.get("items", {}), f"{key}[].")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from rows(schema["additionalProperties"], f"{path}<name>.")


def _type(sub):
    if "enum" in sub:
        return " or ".join(f"`{value}`" for value in sub["enum"])
    kinds = sub.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {
        "object": "mapping",
        "array": "list",
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
    }
    if listed := re.fullmatch(
        r"\^\(?([a-z_|]+)\)?\$", sub.get("pattern", "")
    ):  # text that can only be one of some words
        words["string"] = " or ".join(f"`{word}`" for word in listed[1].split("|"))
    inner = sub.get("items", {})
    of = f" of {_type(inner)}" if "array" in kinds and inner and inner.get("type") != "array" else ""
    return " or ".join(words.get(kind, kind) + (of if kind == "array" else "") for kind in kinds)


def _value(value):
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def document(schema):
    """Text of config/README.md."""
    cells = ([str(cell).replace("|", "\\|") for cell in row] for row in rows(schema))
    return HEAD + "".join(f"| `{key}` | {kind} | {default} | {meaning} |\n" for key, kind, default, meaning in cells)


if __name__ == "__main__":
    schema = yaml.safe_load((HERE.parent / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    (HERE / "README.md").write_text(document(schema), encoding="utf-8")
