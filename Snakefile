from snakemake.utils import min_version

min_version("9.27")


# A config given with --configfile stands alone: the demo must not leak into it.
if "collections" not in config:

    configfile: f"{workflow.basedir}/config/config.yaml"


pathvars:
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


report: "workflow/report/workflow.rst"


onsuccess:
    page = Path(workflow.pathvars.apply("<results>/report.html"))
    if page.is_file():
        logger.info(f"The page of this study is {page}")


include: "workflow/rules/common.smk"
include: "workflow/rules/collections.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/relate.smk"
include: "workflow/rules/match.smk"
include: "workflow/rules/recommend.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    fetch,  # compute nodes seldom have a network
    collections,
    embeddings,
    relate,
    matches,
    recommend,
    suggest,


rule all:
    """Everything the config asks for, and the page that shows it."""
    default_target: True
    input:
        "<results>/report.html",
        "<results>/provenance.json",
        "<results>/provenance.yaml",
        # Also what the page was made from: a file that someone deletes is made again.
        [f"<results>/collections/{c}.parquet" for c in COLLECTIONS],
        [f"<results>/embeddings/{c}.arrow" for c in EMBEDDED],
        [
            f"<results>/encodings/{c}/{e}/{file}"
            for c, e in ENCODED
            for file in ("model.safetensors", "encoding.arrow", "history.csv")
        ],
        [
            f"<results>/relate/{r}/{file}"
            for r in RELATIONS
            for file in (
                "relations.csv",
                "tested.csv",
                "encoders.csv",
                "ends.parquet",
                "scores.parquet",
            )
        ],
        [
            f"<results>/match/{m}/{file}"
            for m in MATCHINGS
            for file in ("matches.csv", "candidates.csv", "topics.csv", "alignment.safetensors")
        ],
        [
            f"<results>/recommend/{r}/{file}"
            for r in RECOMMENDERS
            for file in ("suggestions.csv", "evaluation.json", "similar_works.parquet")
        ],
        NEW_SUGGESTIONS,


rule collections:
    """Read, sample and check the collections, without embedding them."""
    input:
        "<results>/collections/checked.json",


rule embeddings:
    """Embed every collection."""
    input:
        [f"<results>/embeddings/{c}.arrow" for c in EMBEDDED],


rule relate:
    """The relations, without the page."""
    input:
        [f"<results>/relate/{r}/relations.csv" for r in RELATIONS],


rule matches:
    """The matches, without the page."""
    input:
        [f"<results>/match/{m}/matches.csv" for m in MATCHINGS],


rule recommend:
    """The suggestions, and how good they are, without the page."""
    input:
        [
            f"<results>/recommend/{r}/{file}"
            for r in RECOMMENDERS
            for file in ("suggestions.csv", "evaluation.csv")
        ],


rule suggest:
    """Suggestions for the files of new works that the config names."""
    input:
        NEW_SUGGESTIONS,
