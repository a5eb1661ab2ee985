"""Read and check the config; names and helpers that the rule files share. No rules here."""

import hashlib
import shutil
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from crosswalk.config import check_config, load_schema, source_paths
from crosswalk.errors import UserError
from crosswalk.provenance import code_version, public_config

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
# What a vector depends on. How requests are cut up and where the cache is are not among it: scripts find these in
# `snakemake.config`, which Snakemake does not compare from run to run.
VECTOR_SETTINGS = {
    **{key: config["embedding"][key] for key in ("provider", "model", "dimensions", "base_url")},
    "text_tokens": config["embedding"]["batch"]["text_tokens"],
}
# The config as records may show it: params are kept in clear.
PUBLIC_CONFIG = public_config(config, root=Path.cwd())
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


def draw_settings(collection):
    """The settings that say which rows a collection has; another setting draws nothing anew."""
    own = config["collections"][collection]
    drawing = ("id", "text", "where", "keep", "link", "sample", "block")
    contrast = {"contrast": {"column": own["contrast"]["column"]}} if "contrast" in own else {}
    return {key: own[key] for key in drawing if key in own} | contrast | {"source": reading(own)}


def count_settings(collection):
    """The settings that say which rows of a linked collection count for an item."""
    own = config["collections"][collection]
    counting = {key: own[key] for key in ("id", "text", "where")}
    return counting | {"link": {"on": own["link"]["on"]}, "source": reading(own)}


def reading(settings):
    """How the files of a source are read; which they are, the rule's input says."""
    return {key: settings["source"][key] for key in ("format", "delimiter", "max_bad_lines")}


def fetched(collection):
    """Whether the source of a collection is a download, so that the rule's input is a pointer to it."""
    return "url" in config["collections"][collection]["source"]


def download_key(collection):
    """What changes with the address and the checksum of a download, and shows neither."""
    source = config["collections"][collection]["source"]
    return hashlib.sha256(f"{source['url']} {source.get('sha256')}".encode()).hexdigest()[:16]


def contrasted(collection):
    """The encodings in which two labels of a collection are compared, none if it names no labels."""
    return ENCODINGS if "contrast" in config["collections"][collection] else []


def benchmark_names():
    """The files of time and memory that the rules write, below <benchmarks> and without their ending."""
    tested = [r for r in RELATIONS if not published(r)]
    return [
        *[f"{step}/{c}" for step in ("sample", "embed") for c in COLLECTIONS],
        *[f"encode/{c}/{e}" for c in COLLECTIONS for e in ENCODINGS],
        *[f"axes/{r}" for r in tested],
        *[f"correlate/{r}/{e}" for r in tested for e in ENCODINGS + BASELINES],
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
