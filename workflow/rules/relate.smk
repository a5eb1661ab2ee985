"""What goes with what in two linked collections.

inputs   <results>/collections, embeddings and encodings of both sides
outputs  <results>/relate/{relation}/relations.csv
"""


rule axes:
    """Find canonical axes and test them on items held out."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
    output:
        tests="<results>/relate/{relation}/axes/tests.csv",
        x_scores="<results>/relate/{relation}/axes/x_scores.arrow",
        y_scores="<results>/relate/{relation}/axes/y_scores.arrow",
        x_directions="<results>/relate/{relation}/axes/x_directions.arrow",
        y_directions="<results>/relate/{relation}/axes/y_directions.arrow",
    log:
        "<logs>/axes/{relation}.log",
    benchmark:
        "<benchmarks>/axes/{relation}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        settings=lambda w: {
            key: config["relate"][w.relation][key]
            for key in ("axes", "components", "ridge", "folds", "permutations", "bootstrap")
        },
        seed=config["seed"],
        code=code("axes.py"),
    script:
        "../../scripts/axes.py"


rule correlate:
    """Correlate the units of two encodings and test the strongest pairs on items held out."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/encodings/{collection}/{encoding}/encoding.arrow", "x"),
        y=side("<results>/encodings/{collection}/{encoding}/encoding.arrow", "y"),
    output:
        tests="<results>/relate/{relation}/pairs/{encoding}/tests.csv",
        x_scores="<results>/relate/{relation}/pairs/{encoding}/x_scores.arrow",
        y_scores="<results>/relate/{relation}/pairs/{encoding}/y_scores.arrow",
        matrix="<results>/relate/{relation}/correlation/{encoding}.arrow",
    log:
        "<logs>/correlate/{relation}/{encoding}.log",
    benchmark:
        "<benchmarks>/correlate/{relation}/{encoding}.tsv"
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        settings=lambda w: {
            key: config["relate"][w.relation][key]
            for key in ("pairs", "folds", "permutations", "bootstrap")
        },
        seed=config["seed"],
        code=code("correlate.py"),
    script:
        "../../scripts/correlate.py"


rule relations:
    """Bring together all that was tested: multiplicity, overlap, echo, texts."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        tests=[
            "<results>/relate/{relation}/axes/tests.csv",
            *[f"<results>/relate/{{relation}}/pairs/{e}/tests.csv" for e in ENCODINGS + BASELINES],
        ],
        x_scores=[
            "<results>/relate/{relation}/axes/x_scores.arrow",
            *[f"<results>/relate/{{relation}}/pairs/{e}/x_scores.arrow" for e in ENCODINGS],
        ],
        y_scores=[
            "<results>/relate/{relation}/axes/y_scores.arrow",
            *[f"<results>/relate/{{relation}}/pairs/{e}/y_scores.arrow" for e in ENCODINGS],
        ],
        x_directions="<results>/relate/{relation}/axes/x_directions.arrow",
        y_directions="<results>/relate/{relation}/axes/y_directions.arrow",
        histories=lambda w: [
            f"<results>/encodings/{config['relate'][w.relation][key]}/{e}/history.csv"
            for e in ENCODINGS
            for key in "xy"
        ],
    output:
        found="<results>/relate/{relation}/found.parquet",
        tested="<results>/relate/{relation}/tested.csv",
        encoders="<results>/relate/{relation}/encoders.csv",
        ends="<results>/relate/{relation}/ends.parquet",
        scores="<results>/relate/{relation}/scores.parquet",
        x_traits="<results>/relate/{relation}/x_traits.arrow",
        y_traits="<results>/relate/{relation}/y_traits.arrow",
    log:
        "<logs>/relations/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    params:
        encodings=ENCODINGS,
        baselines=BASELINES,
        settings=lambda w: {
            key: config["relate"][w.relation][key]
            for key in ("alpha", "overlap", "examples", "folds", "permutations")
        },
        seed=config["seed"],
        code=code("relations.py"),
    script:
        "../../scripts/relations.py"


rule name:
    """Put each relation into words, and measure how well the words fit texts that did not make them."""
    input:
        found="<results>/relate/{relation}/found.parquet",
        ends="<results>/relate/{relation}/ends.parquet",
        scores="<results>/relate/{relation}/scores.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        lexical=lambda w: lexical_files(config["relate"][w.relation]["x"]),
    output:
        table=report(
            "<results>/relate/{relation}/relations.csv",
            caption="../report/relations.rst",
            category="Relate",
            labels={"relation": "{relation}", "table": "relations"},
        ),
        parquet="<results>/relate/{relation}/relations.parquet",
    log:
        "<logs>/name/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        api=1,
        gpu=GPU,
    params:
        collections=lambda w: [config["relate"][w.relation][key] for key in "xy"],
        verb=lambda w: config["relate"][w.relation]["verb"],
        preambles=lambda w: [
            config["collections"][config["relate"][w.relation][key]]["text"]["preamble"]
            for key in "xy"
        ],
        vectors=lambda w: vector_settings(config["relate"][w.relation]["x"]),
        seed=config["seed"],
        code=code("name.py"),
    script:
        "../../scripts/name.py"


rule published:
    """Relate two collections as the notebook did, without a valid test."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        x_codes=sides("encoding.arrow", "x"),
        y_codes=sides("encoding.arrow", "y"),
        x_models=sides("model.safetensors", "x"),
        y_models=sides("model.safetensors", "y"),
    output:
        table="<results>/relate/{relation}/relations.csv",
        parquet="<results>/relate/{relation}/relations.parquet",
        ends="<results>/relate/{relation}/ends.parquet",
        scores="<results>/relate/{relation}/scores.parquet",
        tested="<results>/relate/{relation}/tested.csv",
        encoders="<results>/relate/{relation}/encoders.csv",
        matrices=[f"<results>/relate/{{relation}}/correlation/{e}.arrow" for e in ENCODINGS],
    log:
        "<logs>/published/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if published(r)]),
    conda:
        "../../envs/base.yaml"
    params:
        encodings=ENCODINGS,
        collections=lambda w: [config["relate"][w.relation][key] for key in "xy"],
        examples=lambda w: config["relate"][w.relation]["examples"],
        weights=config["report"]["weights"],
        code=code("published.py"),
    script:
        "../../scripts/published.py"


rule retrieval:
    """Measure how well the embedding knows which rows belong to which item, beside word counts."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
    output:
        "<results>/relate/{relation}/retrieval.csv",
    log:
        "<logs>/retrieval/{relation}.log",
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        resamples=lambda w: config["relate"][w.relation]["bootstrap"],
        seed=config["seed"],
        code=code("retrieval.py"),
    script:
        "../../scripts/retrieval.py"
