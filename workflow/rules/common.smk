"""Read and check the config; names and helpers that the rule files share. No rules here."""

import atexit
import hashlib
import shutil
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parents[1]
SCRIPTS = ROOT / "scripts"
sys.path.insert(0, str(SCRIPTS))

from crosswalk.config import check_config, embedding_of, load_schema, source_paths
from crosswalk.credentials import service_address, service_key
from crosswalk.errors import UserError
from crosswalk.limits import embedded, encoded
from crosswalk.match_config import query_phrases
from crosswalk.models import space
from crosswalk.provenance import code_version, public_config
from crosswalk.recommend_config import folder, points, reads_vectors, uses
from crosswalk.steering import counted
from crosswalk.takeover import begin, take_over
from crosswalk.units import AUTO, baseline

try:
    check_config(config, load_schema(ROOT / "workflow/schemas/config.schema.yaml"))
except UserError as error:
    raise WorkflowError(str(error)) from None

# Neither a job, whose Snakemake reads this file as well, nor a dry run changes who is at work here.
if workflow.is_main_process and not workflow.output_settings.dryrun:
    for sentence in take_over(".snakemake", unlocking="--unlock" in sys.argv):
        logger.warning(sentence)
    atexit.register(begin(".snakemake").unlink, missing_ok=True)

COLLECTIONS = list(config["collections"])
RELATIONS = list(config["relate"])
MATCHINGS = list(config["match"])
RECOMMENDERS = list(config["recommend"])
NEW_SUGGESTIONS = [
    f"<results>/recommend/{r}/new/{file}.csv"
    for r in RECOMMENDERS
    for file in config["recommend"][r]["new"]
]
SEEDS = config["encode"]["seeds"] or [config["seed"]]
SWEEP = [
    (encoder, dim, seed)
    for encoder in config["encode"]["encoders"]
    for dim in config["encode"]["dims"]
    for seed in SEEDS
]
ENCODINGS = [f"{encoder}-{dim}/seed-{seed}" for encoder, dim, seed in SWEEP]
EMBEDDED = embedded(config)
ENCODED = [(c, e) for c in encoded(config) for e in ENCODINGS]
# The yardstick of every encoder: as many principal components as it has units.
BASELINES = list(dict.fromkeys(baseline(encoder, dim) for encoder, dim, _ in SWEEP))
# Collections and encoders whose number of units is left open.
OPEN = [
    (c, e) for c in encoded(config) for e, dim, seed in SWEEP if (dim, seed) == (AUTO, SEEDS[0])
]
# The encodings whose units are rare enough to be concepts.
CONCEPTS = [e for e in ENCODINGS if e.startswith("topk-")]
# What a search of relations leaves in its folder.
SEARCH_FILES = [
    "tests.csv",
    *[f"{s}_{kind}.arrow" for kind in ("scores", "directions") for s in "xy"],
]
# What the page shows of a matching.
MATCH_FILES = {
    **dict.fromkeys(("matches", "candidates"), "parquet"),
    **dict.fromkeys(("topics", "topic_models", "weights", "blocks", "evaluation"), "csv"),
    **{"map": "parquet", "a_topics": "arrow", "b_topics": "arrow", "diagnostics": "json"},
}
# What the page shows of a recommender, and what only some have.
RECOMMEND_FILES = {
    **dict.fromkeys(("evaluation", "reliability", "weights", "map_labels"), "csv"),
    **dict.fromkeys(("history", "sweep", "ablation"), "csv"),
    **dict.fromkeys(("subjects", "works", "suggestions", "similar_subjects"), "parquet"),
    **dict.fromkeys(("map_works", "map_subjects"), "parquet"),
    **{"links": "safetensors", "counts": "json", "diagnostics": "json"},
}
RECOMMEND_STEPS = ("interactions", "judge", "suggest_missing", "similar", "subject_maps")
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
    recommender=one_of(RECOMMENDERS),
    part="held_out|final",
    point=r"dim-[0-9]+/epochs-[0-9]+/batch-[0-9]+/prior-[a-z-]+",
    file=one_of(sorted({file for r in RECOMMENDERS for file in config["recommend"][r]["new"]})),
    side="a|b",
    list="plain|beyond",
    encoder=r"[a-z]+",
    dim=rf"[0-9]+|{AUTO}",
    size=rf"[0-9]+|[a-z]+-{AUTO}",
    seed=r"[0-9]+",
    scatteritem=r"[0-9]+-of-[0-9]+",
    encoding=rf"[a-z]+-([0-9]+|([a-z]+-)?{AUTO})(/seed-[0-9]+)?",
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


def embedded_parts(wildcards):
    """What the jobs leave that a collection is shared out among; only what the cache keeps can be shared out."""
    # Not by `scattergather`, whose numbers two modules would share.
    folder = f"<results>/embeddings/{wildcards.collection}.parts"
    parts = [f"{folder}/{part}.json" for part in part_names(wildcards.collection)]
    return {"parts": parts} if parts else {}


def part_names(collection):
    """The parts that a collection is shared out in, none if one job embeds it."""
    n = shards(collection)
    return [f"{i}-of-{n}" for i in range(1, n + 1)] if n > 1 else []


def shards(collection):
    """Among how many jobs the embedding of a collection is shared out."""
    stored = embedding_of(config, collection)["provider"] in ("local", "openai")
    return config["embedding"]["shards"] if stored else 1


def calls(collection):
    """How many paid services the embedding of a collection calls: what a profile lets only so many jobs do at a time."""
    return int(embedding_of(config, collection)["provider"] == "openai")


def lexical_dimensions():
    """Of the TF-IDF model, None for its own number; the config gives all collections that use it the same."""
    models = [embedding_of(config, c) for c in EMBEDDED]
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


def encode_settings():
    """What the training of an encoder depends on, besides its kind, units and seed."""
    keys = ("epochs", "batch_size", "learning_rate", "active", "matryoshka")
    return {key: config["encode"][key] for key in keys}


def steering_phrases(collection):
    """The phrases that the encoders of a collection are biased towards."""
    return counted(config["collections"][collection]["steer"])


def vectors_to_encode(wildcards):
    """The vectors of a collection as encoders read them: with columns for phrases if it names some."""
    name = wildcards.collection
    steered = f"<results>/encodings/{name}/steered.arrow"
    return steered if steering_phrases(name) else f"<results>/embeddings/{name}.arrow"


def choice_of_units(wildcards):
    """The choice that a number of units left open waits for: of {encoder}-{dim}, or of pca-{size}."""
    encoder, _, dim = wildcards.get(
        "size", f"{wildcards.get('encoder')}-{wildcards.get('dim')}"
    ).rpartition("-")
    open_path = f"<results>/encodings/{wildcards.collection}/{encoder}-{AUTO}/units.csv"
    return {"chosen": open_path} if dim == AUTO else {}


def contrasted(collection):
    """The encodings in which two labels of a collection are compared, none if it names no labels."""
    own = [e for c, e in ENCODED if c == collection]
    return own if "contrast" in config["collections"][collection] else []


def benchmark_names():
    """The files of time and memory that the rules write, below <benchmarks> and without their ending."""
    tested = [r for r in RELATIONS if not published(r)]
    compared = {config["relate"][r][key] for r in tested for key in "xy"}
    return [
        *[f"sample/{c}" for c in COLLECTIONS],
        *[f"embed/{c}" for c in EMBEDDED],
        *[f"embed_part/{c}.{part}" for c in EMBEDDED for part in part_names(c)],
        *[f"choose_units/{c}/{e}" for c, e in OPEN],
        *[f"encode/{c}/{e}" for c, e in ENCODED],
        *[f"compare_seeds/{c}/{e}" for c, e in ENCODED if c in compared],
        *[f"axes/{r}/{name}" for r in tested for name in lists(r)],
        *[f"shift/{r}/{name}/{e}" for r in tested for name in lists(r) for e in CONCEPTS],
        *[f"correlate/{r}/{e}" for r in tested for e in ENCODINGS + BASELINES],
        *[f"match/{m}" for m in MATCHINGS],
        *[f"{step}/{m}" for step in ("topics", "align") for m in MATCHINGS if not row_wise(m)],
        *[f"phrases/{m}/{s}" for m in MATCHINGS if not row_wise(m) for s in "ab"],
        *[f"{step}/{r}" for step in RECOMMEND_STEPS for r in RECOMMENDERS],
        *[f"terms/{r}/{part}" for r in RECOMMENDERS for part in ("held_out", "final")],
        *[f"fit_tree/{r}/{part}" for r in fitting("tree") for part in ("held_out", "final")],
        *[f"fit_network/{r}/{part}" for r in fitting("network") for part in ("held_out", "final")],
        *[
            f"factorise/{r}/{p}"
            for r in fitting("factorisation")
            for p in (*point_folders(r), "final")
        ],
        *[f"compare_points/{r}" for r in RECOMMENDERS],
        *[f"suggest_new/{r}/{f}" for r in RECOMMENDERS for f in config["recommend"][r]["new"]],
        *[f"fit_published/{r}" for r in RECOMMENDERS if config["recommend"][r]["as_published"]],
    ]


def source_files(wildcards):
    """The files that the wildcard collection is read from."""
    return files_of(wildcards.collection)


def files_of(collection):
    """The files a collection is read from: its own, a pointer to a download, or extracted documentation."""
    source = config["collections"][collection]["source"]
    if "url" in source:
        return [f"<results>/sources/{collection}.json"]
    if "docs" in source:
        return documentation(source)
    return local(source_paths(source))


def documentation(source):
    """The files with the documentation of installed packages."""
    return [
        f"<results>/sources/docs/{package}.{source['table']}.jsonl" for package in source["docs"]
    ]


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


def of_both_sides(file):
    """A file of every encoding of the wildcard relation, that of x and then that of y."""
    return lambda w: [
        f"<results>/encodings/{config['relate'][w.relation][key]}/{e}/{file}"
        for e in ENCODINGS
        for key in "xy"
    ]


def preambles_of(relation):
    """What stands before every text of x and of y."""
    sides = (config["relate"][relation][key] for key in "xy")
    return [config["collections"][collection]["text"]["preamble"] for collection in sides]


def listed_covariates(relation):
    """What is taken out of both sides of a relation, as "x.length"."""
    covariates = config["relate"][relation]["covariates"]
    return [f"{key}.{name}" for key in "xy" for name in covariates[key]]


def interpreter_is_ready(wildcards):
    """No file: says that a key is missing when the jobs are planned, and only where relations are to be named."""
    settings = config["relate"][wildcards.relation]["interpreter"]
    if settings["provider"] != "none":
        at = f"relate.{wildcards.relation}.interpreter"
        try:
            service_address(settings["base_url"], at=at)
            service_key(at=at, instead="none")
        except UserError as error:
            raise WorkflowError(str(error)) from None
    return []


def search_settings(relation, *keys):
    """Some of a relation's settings, and those that all of its searches have."""
    entry = config["relate"][relation]
    return {key: entry[key] for key in (*keys, "folds", "permutations", "bootstrap")}


def in_one_space(relation):
    """Whether x and y are embedded by one model, so that x's directions mean something in y."""
    x, y = (space(embedding_of(config, config["relate"][relation][key])) for key in "xy")
    return x == y


def beyond(relation):
    """Whether there is a list of what is left once x is taken out of y."""
    return config["relate"][relation]["echo"]["remove"] != 0 and in_one_space(relation)


def lists(relation):
    """The lists that axes and concepts are searched for."""
    return ["plain", "beyond"] if beyond(relation) else ["plain"]


def what_is_removed(wildcards):
    """The directions that a search beyond the echo takes out of y; nothing for the others."""
    if wildcards.list != "beyond":
        return []
    return f"<results>/relate/{wildcards.relation}/beyond/basis.arrow"


def searches(relation):
    """The folders of all searches of a relation that are corrected together, list by list."""
    found = [f"plain/pairs-{e}" for e in ENCODINGS]
    for name in lists(relation):
        found += [f"{name}/axes", *[f"{name}/concepts-{e}" for e in CONCEPTS]]
    if config["relate"][relation]["focus"]:
        found.append("focus")
    return [f"<results>/relate/{relation}/{folder}" for folder in found]


def searches_left_out(relation):
    """Which searches there are not, and why, in words."""
    why = []
    if config["relate"][relation]["echo"]["remove"] == 0:
        why.append("nothing is searched beyond the echo: echo.remove is 0")
    elif not in_one_space(relation):
        why.append(
            "nothing is searched beyond the echo: x and y are embedded by two models, and what "
            "one side says cannot be taken out of the other"
        )
    if not CONCEPTS:
        why.append("no concepts are searched: encode.encoders has no topk, whose units are rare")
    return why


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


def fitting(member):
    """The recommenders that fit this member."""
    return [r for r in RECOMMENDERS if uses(config["recommend"][r], member)]


def works_of(pattern):
    """The pattern with {collection} replaced by the works of the wildcard recommender."""
    return lambda w: pattern.format(
        collection=config["recommend"][w.recommender]["works"], **dict(w.items())
    )


def tag_files(wildcards):
    """The files that links are read from: a table of their own, or the source of the works."""
    entry = config["recommend"][wildcards.recommender]
    source = entry["tags"]["source"]
    if source is None:
        return files_of(entry["works"])
    return documentation(source) if "docs" in source else local(source_paths(source))


def tags_fetched(recommender):
    """Whether links are in a download, so that the rule's input is a pointer to it."""
    entry = config["recommend"][recommender]
    return entry["tags"]["source"] is None and fetched(entry["works"])


def broader_files(recommender):
    """The table with the hierarchy of the subjects, if there is one."""
    broader = config["recommend"][recommender].get("broader", {})
    return source_paths(broader) if "path" in broader else []


def recommend_settings(recommender, *keys):
    """Some of a recommender's settings, those that it has."""
    entry = config["recommend"][recommender]
    return {key: entry[key] for key in keys if key in entry}


def judge_settings(recommender):
    """What says which models there are, and how the quick ones are fitted."""
    keys = ("works", "model", "members", "item_knn", "ease", "text_knn", "vector_knn")
    method = config["recommend"][recommender]["factorisation"]["method"]
    return recommend_settings(recommender, *keys) | {"method": method}


def factorisation_settings(recommender):
    """What all points of a sweep have in common."""
    entry = config["recommend"][recommender]["factorisation"]
    return {key: entry[key] for key in ("method", "learning_rate")}


def works_settings(recommender):
    """How the works were read from their source."""
    own = config["collections"][config["recommend"][recommender]["works"]]
    return {key: own[key] for key in ("id", "text", "where", "keep")} | {"source": reading(own)}


def point_folders(recommender):
    """The folders of the points of a recommender's sweep, in the order of the config; none without factorisation."""
    entry = config["recommend"][recommender]
    return [folder(point) for point in points(entry)] if uses(entry, "factorisation") else []


def point_settings(recommender, name):
    """The settings of the point in a folder."""
    own = points(config["recommend"][recommender])
    return next({**point, "prior": list(point["prior"])} for point in own if folder(point) == name)


def what_models_see(part):
    """The files that say what models may learn from."""
    split = {"split": "<results>/recommend/{recommender}/split.safetensors"}
    return (split if part == "held_out" else {}) | {
        "links": "<results>/recommend/{recommender}/links.safetensors",
        "subjects": "<results>/recommend/{recommender}/subjects.parquet",
        "terms": f"<results>/recommend/{{recommender}}/{part}/terms.safetensors",
    }


def hidden_links(wildcards):
    """The file that says which links are hidden, where some are."""
    split = f"<results>/recommend/{wildcards.recommender}/split.safetensors"
    return {"split": split} if wildcards.part == "held_out" else {}


def vectors_of_works(wildcards):
    """The embedding of the works, where a model reads it."""
    entry = config["recommend"][wildcards.recommender]
    if not reads_vectors(entry):
        return {}
    return {"vectors": f"<results>/embeddings/{entry['works']}.arrow"}


def works_vectors(recommender):
    """What the embedding of new works depends on, where a model reads it."""
    entry = config["recommend"][recommender]
    return vector_settings(entry["works"]) if reads_vectors(entry) else None


def lexical_works(recommender):
    """The files of the TF-IDF model, where a model reads an embedding made by it."""
    entry = config["recommend"][recommender]
    return lexical_files(entry["works"]) if reads_vectors(entry) else []


def trained_members(wildcards):
    """The models that are trained on the visible links by rules of their own."""
    name, start = wildcards.recommender, f"<results>/recommend/{wildcards.recommender}"
    files = {
        member: f"{start}/held_out/{member}.safetensors"
        for member in ("tree", "network")
        if name in fitting(member)
    }
    if name in fitting("factorisation"):
        files["chosen"] = f"{start}/sweep/chosen.json"
        files["points"] = [f"{start}/sweep/{p}/model.safetensors" for p in point_folders(name)]
    if config["recommend"][name]["as_published"]:
        files["as_published"] = f"{start}/held_out/published.safetensors"
    return files


def final_members(wildcards):
    """The models that are trained on all links by rules of their own."""
    name, start = wildcards.recommender, f"<results>/recommend/{wildcards.recommender}/final"
    files = {
        member: f"{start}/{member}.safetensors"
        for member in ("tree", "network")
        if name in fitting(member)
    }
    if name in fitting("factorisation"):
        files["factorisation"] = f"{start}/factorisation.safetensors"
    return files
