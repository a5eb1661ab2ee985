"""Read and check the config; names and helpers that the rule files share. No rules here."""

import hashlib
import shutil
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from crosswalk.config import check_config, embedding_of, load_schema, source_paths
from crosswalk.errors import UserError
from crosswalk.limits import encoded
from crosswalk.match_config import query_phrases
from crosswalk.models import space
from crosswalk.provenance import code_version, public_config

try:
    check_config(config, load_schema(ROOT / "workflow/schemas/config.schema.yaml"))
except UserError as error:
    raise WorkflowError(str(error)) from None

COLLECTIONS = list(config["collections"])
RELATIONS = list(config["relate"])
MATCHINGS = list(config["match"])
SEEDS = config["encode"]["seeds"] or [config["seed"]]
SWEEP = [
    (encoder, dim, seed)
    for encoder in config["encode"]["encoders"]
    for dim in config["encode"]["dims"]
    for seed in SEEDS
]
ENCODINGS = [f"{encoder}-{dim}/seed-{seed}" for encoder, dim, seed in SWEEP]
ENCODED = [(c, e) for c in encoded(config) for e in ENCODINGS]
# The yardstick of every encoder: as many principal components as it has units.
BASELINES = [f"pca-{dim}" for dim in config["encode"]["dims"]] if ENCODINGS else []
# What the page shows of a matching.
MATCH_FILES = {
    **dict.fromkeys(("matches", "candidates"), "parquet"),
    **dict.fromkeys(("topics", "topic_models", "weights", "blocks", "evaluation"), "csv"),
    **{"map": "parquet", "a_topics": "arrow", "b_topics": "arrow", "diagnostics": "json"},
}
# The config as records may show it: params are kept in clear.
PUBLIC_CONFIG = public_config(config, root=Path.cwd())
# A cluster's head node has no device: its profile sets the resource instead.
GPU = int(shutil.which("nvidia-smi") is not None)


def published(name):
    return config["relate"][name]["method"] == "as_published"


def row_wise(matching):
    """Whether a matching repeats the notebook, which aligns row i with row i."""
    return config["match"][matching]["method"] == "as_published"


def one_of(names):
    """A regular expression for one of the names, or for nothing."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    collection=one_of(COLLECTIONS),
    relation=one_of(RELATIONS),
    matching=one_of(MATCHINGS),
    side="a|b",
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


def vector_settings(collection):
    """What a collection's vectors depend on. How requests are cut up and where the cache is are not among it: scripts
    find these in `snakemake.config`, which Snakemake does not compare from run to run."""
    model = embedding_of(config, collection)
    depends = {key: model[key] for key in ("provider", "model", "dimensions", "base_url")}
    return {**depends, "text_tokens": model["batch"]["text_tokens"]}


def lexical_dimensions():
    """Of the TF-IDF model, None for its own number; the config gives all collections that use it the same."""
    models = [embedding_of(config, c) for c in COLLECTIONS]
    return next((m["dimensions"] for m in models if m["provider"] == "tfidf"), None)


def lexical_files(collection):
    """The files of the TF-IDF model if the collection is embedded by it."""
    if embedding_of(config, collection)["provider"] != "tfidf":
        return []
    return ["<results>/embeddings/tfidf.safetensors", "<results>/embeddings/tfidf.json"]


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
    own = [e for c, e in ENCODED if c == collection]
    return own if "contrast" in config["collections"][collection] else []


def benchmark_names():
    """The files of time and memory that the rules write, below <benchmarks> and without their ending."""
    tested = [r for r in RELATIONS if not published(r)]
    return [
        *[f"{step}/{c}" for step in ("sample", "embed") for c in COLLECTIONS],
        *[f"encode/{c}/{e}" for c, e in ENCODED],
        *[f"axes/{r}" for r in tested],
        *[f"correlate/{r}/{e}" for r in tested for e in ENCODINGS + BASELINES],
        *[f"match/{m}" for m in MATCHINGS],
        *[f"{step}/{m}" for step in ("topics", "align") for m in MATCHINGS if not row_wise(m)],
        *[f"phrases/{m}/{s}" for m in MATCHINGS if not row_wise(m) for s in "ab"],
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


def matched(pattern, side):
    """The pattern with {collection} replaced by side "a" or "b" of the wildcard matching."""
    return lambda w: pattern.format(collection=config["match"][w.matching][side], **dict(w.items()))


def preambles(matching):
    """What stands before every text of side a and of side b."""
    sides = (config["match"][matching][side] for side in "ab")
    return [config["collections"][collection]["text"]["preamble"] for collection in sides]


def queries(matching):
    """The phrases that steer a matching: [weight, phrase of a, phrase of b]; "" leaves a side out."""
    return [
        [query["weight"], *query_phrases(query)]
        for query in config["match"][matching]["queries"]
        if query["weight"] > 0
    ]


def alignment_method(matching):
    """How the two spaces are brought together, with `auto` resolved."""
    entry = config["match"][matching]
    method = entry["alignment"]["method"]
    if method != "auto":
        return method
    models = [space(embedding_of(config, entry[side])) for side in "ab"]
    if models[0] == models[1]:
        return "none"
    return "anchors" if "anchors" in entry["alignment"] else "words"


def bridge_words(matching):
    """Words that both models embed: none where no bridge is built."""
    return (
        config["match"][matching]["alignment"]["words"]
        if alignment_method(matching) == "words"
        else 0
    )


def bridge_texts(matching):
    """Texts of each side whose halves both models embed: none where no bridge is built."""
    return (
        config["match"][matching]["alignment"]["texts"]
        if alignment_method(matching) == "words"
        else 0
    )


def pair_files(matching, kind):
    """The files of a matching's `truth` or `anchors`, if it has any."""
    entry = config["match"][matching]
    table = entry["alignment"].get("anchors") if kind == "anchors" else entry.get("truth")
    return local(source_paths(table)) if table else []


def code_files(wildcards):
    """The codes of a pooled autoencoder, where a matching gives them weight."""
    if config["match"][wildcards.matching]["weights"]["code"] == 0:
        return {}
    folder = f"<results>/match/{wildcards.matching}/code"
    files = {"codes": "", "half_codes": "_halves"}
    return {f"{s}_{key}": f"{folder}/{s}{end}.arrow" for s in "ab" for key, end in files.items()}
