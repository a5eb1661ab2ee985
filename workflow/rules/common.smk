"""Read and check the config; names and helpers that the rule files share. No rules here."""

import shutil
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from crosswalk.config import check_config, load_schema, source_paths
from crosswalk.errors import UserError
from crosswalk.provenance import code_version

try:
    check_config(config, load_schema(ROOT / "workflow/schemas/config.schema.yaml"))
except UserError as error:
    raise WorkflowError(str(error)) from None

COLLECTIONS = list(config["collections"])
RELATIONS = list(config["relate"])
SEEDS = config["encode"]["seeds"] or [config["seed"]]
SWEEP = [
    (encoder, dim, seed)
    for encoder in config["encode"]["encoders"]
    for dim in config["encode"]["dims"]
    for seed in SEEDS
]
ENCODINGS = [f"{encoder}-{dim}/seed-{seed}" for encoder, dim, seed in SWEEP]
# The yardstick of every encoder: as many principal components as it has units.
BASELINES = [f"pca-{dim}" for dim in config["encode"]["dims"]] if ENCODINGS else []
# A cluster's head node has no device: its profile sets the resource instead.
GPU = int(shutil.which("nvidia-smi") is not None)


def published(name):
    return config["relate"][name]["method"] == "as_published"


def one_of(names):
    """A regular expression for one of the names, or for nothing."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    collection=one_of(COLLECTIONS),
    relation=one_of(RELATIONS),
    encoder=r"[a-z]+",
    dim=r"[0-9]+",
    seed=r"[0-9]+",
    encoding=r"[a-z]+-[0-9]+(/seed-[0-9]+)?",
    package=r"[A-Za-z_][A-Za-z0-9_]*",


def code(script, *extra):
    """Version of a script, of the project modules it imports and of the files it names; comments do not count."""
    return code_version(SCRIPTS / script, root=SCRIPTS, extra=[ROOT / path for path in extra])


def linked_to(collection):
    """The collections whose rows are linked to this one."""
    return [
        c for c in COLLECTIONS if config["collections"][c].get("link", {}).get("to") == collection
    ]


def source_files(wildcards):
    """The files a collection is read from: its own, a pointer to a download, or extracted documentation."""
    source = config["collections"][wildcards.collection]["source"]
    if "url" in source:
        return [f"<results>/sources/{wildcards.collection}.json"]
    if "docs" in source:
        return [
            f"<results>/sources/docs/{package}.{source['table']}.jsonl"
            for package in source["docs"]
        ]
    return local(source_paths(source))


def installed(package):
    """Version of the distribution that an importable package comes from, or none."""
    names = metadata.packages_distributions().get(package)
    return metadata.version(names[0]) if names else None


def side(pattern, key):
    """The pattern with {collection} replaced by side `key` ("x" or "y") of the wildcard relation."""
    return lambda w: pattern.format(collection=config["relate"][w.relation][key], **dict(w.items()))


def sides(file, key):
    """A file of every encoding of side `key` of the wildcard relation."""
    return lambda w: [
        f"<results>/encodings/{config['relate'][w.relation][key]}/{e}/{file}" for e in ENCODINGS
    ]
