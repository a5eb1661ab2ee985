"""What goes with what in two linked collections.

inputs   <results>/collections, embeddings and encodings of both sides
outputs  <results>/relate/{relation}/relations.csv
"""


rule link_items:
    """Say which items have both sides, which of them depend on one another, and what else is known of each."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
    output:
        linked="<results>/relate/{relation}/items.parquet",
        facts="<results>/relate/{relation}/items.json",
    log:
        "<logs>/link_items/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        collections=lambda w: [config["relate"][w.relation][key] for key in "xy"],
        preambles=lambda w: preambles_of(w.relation),
        covariates=lambda w: listed_covariates(w.relation),
        folds=lambda w: config["relate"][w.relation]["folds"],
        code=code("link_items.py"),
    script:
        "../../scripts/link_items.py"


rule remove_echo:
    """Find the directions of x that y may repeat, which a search beyond the repetition takes out of y."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
    output:
        basis="<results>/relate/{relation}/beyond/basis.arrow",
        facts="<results>/relate/{relation}/beyond/echo.json",
    log:
        "<logs>/remove_echo/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        settings=lambda w: {
            **{key: config["relate"][w.relation][key] for key in ("components", "folds")},
            **config["relate"][w.relation]["echo"],
        },
        covariates=lambda w: listed_covariates(w.relation),
        seed=config["seed"],
        code=code("remove_echo.py"),
    script:
        "../../scripts/remove_echo.py"


rule axes:
    """Find canonical axes and test them on items held out."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        basis=what_is_removed,
    output:
        tests="<results>/relate/{relation}/{list}/axes/tests.csv",
        x_scores="<results>/relate/{relation}/{list}/axes/x_scores.arrow",
        y_scores="<results>/relate/{relation}/{list}/axes/y_scores.arrow",
        x_directions="<results>/relate/{relation}/{list}/axes/x_directions.arrow",
        y_directions="<results>/relate/{relation}/{list}/axes/y_directions.arrow",
        facts="<results>/relate/{relation}/{list}/axes/axes.json",
    log:
        "<logs>/axes/{relation}/{list}.log",
    benchmark:
        "<benchmarks>/axes/{relation}/{list}.tsv"
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        settings=lambda w: search_settings(w.relation, "axes", "rotate", "components", "ridge"),
        covariates=lambda w: listed_covariates(w.relation),
        seed=config["seed"],
        code=code("axes.py"),
    script:
        "../../scripts/axes.py"


rule correlate:
    """Correlate the units of two encodings and test the strongest pairs on items held out."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/encodings/{collection}/{encoding}/encoding.arrow", "x"),
        y=side("<results>/encodings/{collection}/{encoding}/encoding.arrow", "y"),
    output:
        tests="<results>/relate/{relation}/plain/pairs-{encoding}/tests.csv",
        x_scores="<results>/relate/{relation}/plain/pairs-{encoding}/x_scores.arrow",
        y_scores="<results>/relate/{relation}/plain/pairs-{encoding}/y_scores.arrow",
        x_directions="<results>/relate/{relation}/plain/pairs-{encoding}/x_directions.arrow",
        y_directions="<results>/relate/{relation}/plain/pairs-{encoding}/y_directions.arrow",
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
        settings=lambda w: search_settings(w.relation, "pairs"),
        covariates=lambda w: listed_covariates(w.relation),
        seed=config["seed"],
        code=code("correlate.py"),
    script:
        "../../scripts/correlate.py"


rule shift:
    """Find what one side shifts to when a unit of the other is active, and test it on items held out."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        x_codes=side("<results>/encodings/{collection}/{encoding}/encoding.arrow", "x"),
        y_codes=side("<results>/encodings/{collection}/{encoding}/encoding.arrow", "y"),
        basis=what_is_removed,
    output:
        tests="<results>/relate/{relation}/{list}/concepts-{encoding}/tests.csv",
        x_scores="<results>/relate/{relation}/{list}/concepts-{encoding}/x_scores.arrow",
        y_scores="<results>/relate/{relation}/{list}/concepts-{encoding}/y_scores.arrow",
        x_directions="<results>/relate/{relation}/{list}/concepts-{encoding}/x_directions.arrow",
        y_directions="<results>/relate/{relation}/{list}/concepts-{encoding}/y_directions.arrow",
    log:
        "<logs>/shift/{relation}/{list}/{encoding}.log",
    benchmark:
        "<benchmarks>/shift/{relation}/{list}/{encoding}.tsv"
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        settings=lambda w: {
            **search_settings(w.relation, "components", "ridge"),
            **config["relate"][w.relation]["concepts"],
        },
        covariates=lambda w: listed_covariates(w.relation),
        seed=config["seed"],
        code=code("shift.py"),
    script:
        "../../scripts/shift.py"


rule focus:
    """Test what goes with each phrase of the config, alone."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        lexical=lambda w: lexical_files(config["relate"][w.relation]["x"]),
    output:
        tests="<results>/relate/{relation}/focus/tests.csv",
        x_scores="<results>/relate/{relation}/focus/x_scores.arrow",
        y_scores="<results>/relate/{relation}/focus/y_scores.arrow",
        x_directions="<results>/relate/{relation}/focus/x_directions.arrow",
        y_directions="<results>/relate/{relation}/focus/y_directions.arrow",
        phrases="<results>/relate/{relation}/focus/phrases.csv",
        usage="<results>/relate/{relation}/focus/usage.json",
    log:
        "<logs>/focus/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        api=1,
        gpu=GPU,
    params:
        settings=lambda w: search_settings(w.relation, "components", "ridge"),
        focus=lambda w: config["relate"][w.relation]["focus"],
        collections=lambda w: [config["relate"][w.relation][key] for key in "xy"],
        covariates=lambda w: listed_covariates(w.relation),
        vectors=lambda w: vector_settings(config["relate"][w.relation]["x"]),
        seed=config["seed"],
        code=code("focus.py"),
    script:
        "../../scripts/focus.py"


rule quote:
    """Find what the rows of y quote from the very item of x that they belong to."""
    input:
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
    output:
        rows="<results>/relate/{relation}/quotations.parquet",
        facts="<results>/relate/{relation}/quotations.json",
    log:
        "<logs>/quote/{relation}.log",
    wildcard_constraints:
        relation=one_of([r for r in RELATIONS if not published(r)]),
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        preambles=lambda w: preambles_of(w.relation),
        words=lambda w: config["relate"][w.relation]["quotation"]["words"],
        code=code("quote.py"),
    script:
        "../../scripts/quote.py"


rule relations:
    """Bring together all that was tested: multiplicity, overlap, echo, cautions, texts."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        searches=lambda w: [
            f"{folder}/{file}" for folder in searches(w.relation) for file in SEARCH_FILES
        ],
        compared=[
            f"<results>/relate/{{relation}}/plain/pairs-{e}/tests.csv"
            for e in ENCODINGS + BASELINES
        ],
        reconstructions=of_both_sides("scores.json"),
        stabilities=of_both_sides("stability.csv"),
        quotations="<results>/relate/{relation}/quotations.parquet",
    output:
        found="<results>/relate/{relation}/found.parquet",
        tested="<results>/relate/{relation}/tested.csv",
        power="<results>/relate/{relation}/power.csv",
        searches="<results>/relate/{relation}/searches.json",
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
        left_out=lambda w: searches_left_out(w.relation),
        settings=lambda w: {
            **{
                key: config["relate"][w.relation][key]
                for key in ("alpha", "overlap", "examples", "folds", "permutations")
            },
            "least_items": config["relate"][w.relation]["concepts"]["least_items"],
        },
        covariates=lambda w: listed_covariates(w.relation),
        seed=config["seed"],
        code=code("relations.py"),
    script:
        "../../scripts/relations.py"


rule name:
    """Put each relation into words, and measure how well the words fit texts that did not make them."""
    input:
        linked="<results>/relate/{relation}/items.parquet",
        found="<results>/relate/{relation}/found.parquet",
        ends="<results>/relate/{relation}/ends.parquet",
        scores="<results>/relate/{relation}/scores.parquet",
        x_rows=side("<results>/collections/{collection}.parquet", "x"),
        y_rows=side("<results>/collections/{collection}.parquet", "y"),
        x=side("<results>/embeddings/{collection}.arrow", "x"),
        y=side("<results>/embeddings/{collection}.arrow", "y"),
        lexical=lambda w: lexical_files(config["relate"][w.relation]["x"]),
        answering=interpreter_is_ready,
    output:
        table=report(
            "<results>/relate/{relation}/relations.csv",
            caption="../report/relations.rst",
            category="Relate",
            labels={"relation": "{relation}", "table": "relations"},
        ),
        parquet="<results>/relate/{relation}/relations.parquet",
        usage="<results>/relate/{relation}/names.usage.json",
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
        preambles=lambda w: preambles_of(w.relation),
        vectors=lambda w: vector_settings(config["relate"][w.relation]["x"]),
        interpreter=lambda w: config["relate"][w.relation]["interpreter"],
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
