"""From sources to embedded collections.

inputs   config: collections.<name>.source
outputs  <results>/collections/{collection}.parquet, <results>/embeddings/{collection}.arrow
"""


rule apidocs:
    """Read the public documentation of an installed package."""
    output:
        functions="<results>/sources/docs/{package}.functions.jsonl",
        parameters="<results>/sources/docs/{package}.parameters.jsonl",
    log:
        "<logs>/apidocs/{package}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        version=lambda w: installed(w.package),
        code=code("apidocs.py"),
    script:
        "../../scripts/apidocs.py"


rule fetch:
    """Download a source into the cache; the output only points there."""
    output:
        "<results>/sources/{collection}.json",
    log:
        "<logs>/fetch/{collection}.log",
    conda:
        "../../envs/base.yaml"
    params:
        key=lambda w: download_key(w.collection),
        code=code("fetch.py"),
    script:
        "../../scripts/fetch.py"


rule count_links:
    """Count, for each item of the other collection, the usable rows linked to it."""
    input:
        source=source_files,
    output:
        "<results>/counts/{collection}.parquet",
    log:
        "<logs>/count_links/{collection}.log",
    conda:
        "../../envs/base.yaml"
    params:
        name=lambda w: w.collection,
        settings=lambda w: count_settings(w.collection),
        fetched=lambda w: fetched(w.collection),
        code=code("count_links.py"),
    script:
        "../../scripts/count_links.py"


rule sample:
    """Filter, draw and render the rows of a collection."""
    input:
        source=source_files,
        counts=lambda w: [f"<results>/counts/{c}.parquet" for c in linked_to(w.collection)],
        target=lambda w: [
            f"<results>/collections/{link['to']}.parquet"
            for link in [config["collections"][w.collection].get("link")]
            if link
        ],
    output:
        rows="<results>/collections/{collection}.parquet",
        counts="<results>/collections/{collection}.counts.json",
    log:
        "<logs>/sample/{collection}.log",
    benchmark:
        "<benchmarks>/sample/{collection}.tsv"
    conda:
        "../../envs/base.yaml"
    params:
        name=lambda w: w.collection,
        settings=lambda w: draw_settings(w.collection),
        fetched=lambda w: fetched(w.collection),
        at_least=lambda w: {
            c: config["collections"][c]["link"]["at_least"] for c in linked_to(w.collection)
        },
        seed=config["seed"],
        code=code("sample.py"),
    script:
        "../../scripts/sample.py"


rule check_collections:
    """Check the collections against one another, before anything is paid for."""
    input:
        rows=[f"<results>/collections/{c}.parquet" for c in COLLECTIONS],
    output:
        "<results>/collections/checked.json",
    log:
        "<logs>/check_collections.log",
    conda:
        "../../envs/base.yaml"
    params:
        code=code("check_collections.py"),
    script:
        "../../scripts/check_collections.py"


rule fit_lexical:
    """Fit the TF-IDF baseline on the texts of all collections that are embedded."""
    input:
        rows=[f"<results>/collections/{c}.parquet" for c in EMBEDDED],
        checked="<results>/collections/checked.json",
    output:
        model="<results>/embeddings/tfidf.safetensors",
        vocabulary="<results>/embeddings/tfidf.json",
    log:
        "<logs>/fit_lexical.log",
    conda:
        "../../envs/base.yaml"
    params:
        dimensions=lexical_dimensions(),
        seed=config["seed"],
        code=code("fit_lexical.py"),
    script:
        "../../scripts/fit_lexical.py"


# All collections are checked before the first text is embedded. The check is not ancient(): Snakemake 9.27 then skips
# what follows even where it has reasons of its own to run. A change of one collection runs the others' embedding
# again, too, from the cache.
rule estimate:
    """Say what embedding the collections will take; nothing is sent."""
    input:
        rows=[f"<results>/collections/{c}.parquet" for c in EMBEDDED],
        checked="<results>/collections/checked.json",
    log:
        "<logs>/estimate.log",
    conda:
        "../../envs/torch.yaml"
    params:
        collections=EMBEDDED,
    script:
        "../../scripts/estimate.py"


rule embed_part:
    """Embed a part of a collection into the cache, where it is shared out among several jobs."""
    input:
        rows="<results>/collections/{collection}.parquet",
        checked="<results>/collections/checked.json",
    output:
        "<results>/embeddings/{collection}.parts/{scatteritem}.json",
    log:
        "<logs>/embed_part/{collection}.{scatteritem}.log",
    benchmark:
        "<benchmarks>/embed_part/{collection}.{scatteritem}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        api=lambda w: calls(w.collection),
        gpu=GPU,
    params:
        vectors=lambda w: vector_settings(w.collection),
        seed=config["seed"],
        code=code("embed_part.py"),
    script:
        "../../scripts/embed_part.py"


rule embed:
    """Embed the texts of a collection, from the cache where they are known."""
    input:
        unpack(embedded_parts),
        rows="<results>/collections/{collection}.parquet",
        checked="<results>/collections/checked.json",
        lexical=lambda w: lexical_files(w.collection),
    output:
        vectors="<results>/embeddings/{collection}.arrow",
        usage="<results>/embeddings/{collection}.usage.json",
    log:
        "<logs>/embed/{collection}.log",
    benchmark:
        "<benchmarks>/embed/{collection}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        api=lambda w: calls(w.collection),
        gpu=GPU,
    params:
        vectors=lambda w: vector_settings(w.collection),
        seed=config["seed"],
        code=code("embed.py"),
    script:
        "../../scripts/embed.py"


rule describe:
    """Cluster and map a collection."""
    input:
        rows="<results>/collections/{collection}.parquet",
        vectors="<results>/embeddings/{collection}.arrow",
    output:
        inertia="<results>/describe/{collection}/inertia.csv",
        map="<results>/describe/{collection}/map.parquet",
        facts="<results>/describe/{collection}/facts.json",
    log:
        "<logs>/describe/{collection}.log",
    conda:
        "../../envs/base.yaml"
    params:
        settings={key: config["report"][key] for key in ("clusters", "max_clusters")},
        seed=config["seed"],
        code=code("describe.py"),
    script:
        "../../scripts/describe.py"


rule contrast:
    """Compare the means of two labels, before and after encoding; an empty table where none are named."""
    input:
        rows="<results>/collections/{collection}.parquet",
        vectors="<results>/embeddings/{collection}.arrow",
        codes=lambda w: [
            f"<results>/encodings/{w.collection}/{e}/encoding.arrow"
            for e in contrasted(w.collection)
        ],
    output:
        "<results>/describe/{collection}/contrast.csv",
    log:
        "<logs>/contrast/{collection}.log",
    conda:
        "../../envs/base.yaml"
    params:
        names=lambda w: contrasted(w.collection),
        contrast=lambda w: config["collections"][w.collection].get("contrast"),
        code=code("contrast.py"),
    script:
        "../../scripts/contrast.py"
