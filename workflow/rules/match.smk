"""Which row of one collection corresponds to which of another.

inputs   <results>/collections and embeddings of both sides
outputs  <results>/match/{matching}/matches.csv
"""


rule halves:
    """Split a sample of the texts into halves, by which a matching is checked."""
    input:
        a=matched("<results>/collections/{collection}.parquet", "a"),
        b=matched("<results>/collections/{collection}.parquet", "b"),
        checked="<results>/collections/checked.json",
    output:
        "<results>/match/{matching}/halves.parquet",
    log:
        "<logs>/halves/{matching}.log",
    conda:
        "../../envs/base.yaml"
    params:
        preambles=lambda w: preambles(w.matching),
        check=lambda w: config["match"][w.matching]["split_half"],
        bridge=lambda w: bridge_texts(w.matching),
        seed=config["seed"],
        code=code("halves.py"),
    script:
        "../../scripts/halves.py"


rule topics:
    """Find the topics of both sides."""
    input:
        a=matched("<results>/collections/{collection}.parquet", "a"),
        b=matched("<results>/collections/{collection}.parquet", "b"),
        halves="<results>/match/{matching}/halves.parquet",
    output:
        models="<results>/match/{matching}/topic_models.csv",
        keywords="<results>/match/{matching}/keywords.json",
        a_mixtures="<results>/match/{matching}/topics/a.arrow",
        b_mixtures="<results>/match/{matching}/topics/b.arrow",
        a_again="<results>/match/{matching}/topics/a_again.arrow",
        b_again="<results>/match/{matching}/topics/b_again.arrow",
        a_halves="<results>/match/{matching}/topics/a_halves.arrow",
        b_halves="<results>/match/{matching}/topics/b_halves.arrow",
    log:
        "<logs>/topics/{matching}.log",
    benchmark:
        "<benchmarks>/topics/{matching}.tsv"
    wildcard_constraints:
        matching=one_of([m for m in MATCHINGS if not row_wise(m)]),
    conda:
        "../../envs/match.yaml"
    threads: 1
    params:
        settings=lambda w: {
            k: v for k, v in config["match"][w.matching]["topics"].items() if k != "floor"
        },
        words=lambda w: bridge_words(w.matching),
        preambles=lambda w: preambles(w.matching),
        seed=config["seed"],
        code=code("topics.py"),
    script:
        "../../scripts/topics.py"


rule phrases:
    """Embed what a side needs besides its rows: halves of texts, query phrases, keywords, words that both sides use."""
    input:
        halves="<results>/match/{matching}/halves.parquet",
        keywords="<results>/match/{matching}/keywords.json",
        lexical=lambda w: lexical_files(config["match"][w.matching][w.side]),
    output:
        phrases="<results>/match/{matching}/phrases/{side}.arrow",
        halves="<results>/match/{matching}/phrases/{side}_halves.arrow",
        usage="<results>/match/{matching}/phrases/{side}.usage.json",
    log:
        "<logs>/phrases/{matching}/{side}.log",
    benchmark:
        "<benchmarks>/phrases/{matching}/{side}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 8
    resources:
        api=1,
        gpu=GPU,
    params:
        collection=lambda w: config["match"][w.matching][w.side],
        phrases=lambda w: sorted({query[1 + "ab".index(w.side)] for query in queries(w.matching)}),
        bridge=lambda w: alignment_method(w.matching) == "words",
        vectors=lambda w: vector_settings(config["match"][w.matching][w.side]),
        seed=config["seed"],
        code=code("phrases.py"),
    script:
        "../../scripts/phrases.py"


rule align:
    """Bring the embedding spaces of the two sides together."""
    input:
        a_rows=matched("<results>/collections/{collection}.parquet", "a"),
        b_rows=matched("<results>/collections/{collection}.parquet", "b"),
        a_vectors=matched("<results>/embeddings/{collection}.arrow", "a"),
        b_vectors=matched("<results>/embeddings/{collection}.arrow", "b"),
        a_phrases="<results>/match/{matching}/phrases/a.arrow",
        b_phrases="<results>/match/{matching}/phrases/b.arrow",
        a_mixtures="<results>/match/{matching}/topics/a.arrow",
        b_mixtures="<results>/match/{matching}/topics/b.arrow",
        keywords="<results>/match/{matching}/keywords.json",
        halves="<results>/match/{matching}/halves.parquet",
        anchors=lambda w: pair_files(w.matching, "anchors"),
    output:
        maps="<results>/match/{matching}/alignment.safetensors",
        facts="<results>/match/{matching}/alignment.json",
    log:
        "<logs>/align/{matching}.log",
    benchmark:
        "<benchmarks>/align/{matching}.tsv"
    wildcard_constraints:
        matching=one_of([m for m in MATCHINGS if not row_wise(m)]),
    conda:
        "../../envs/match.yaml"
    threads: 1
    params:
        method=lambda w: alignment_method(w.matching),
        anchors=lambda w: config["match"][w.matching]["alignment"].get("anchors"),
        seed=config["seed"],
        code=code("align.py"),
    script:
        "../../scripts/align.py"


rule pooled_code:
    """Train one autoencoder on both sides together."""
    input:
        maps="<results>/match/{matching}/alignment.safetensors",
        a_vectors=matched("<results>/embeddings/{collection}.arrow", "a"),
        b_vectors=matched("<results>/embeddings/{collection}.arrow", "b"),
        a_halves="<results>/match/{matching}/phrases/a_halves.arrow",
        b_halves="<results>/match/{matching}/phrases/b_halves.arrow",
    output:
        model="<results>/match/{matching}/code/model.safetensors",
        history="<results>/match/{matching}/code/history.csv",
        a_codes="<results>/match/{matching}/code/a.arrow",
        b_codes="<results>/match/{matching}/code/b.arrow",
        a_halves="<results>/match/{matching}/code/a_halves.arrow",
        b_halves="<results>/match/{matching}/code/b_halves.arrow",
    log:
        "<logs>/pooled_code/{matching}.log",
    benchmark:
        "<benchmarks>/pooled_code/{matching}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPU,
    params:
        settings=lambda w: config["match"][w.matching]["encoder"]
        | {key: config["encode"][key] for key in ("epochs", "batch_size", "learning_rate")},
        seed=config["seed"],
        code=code("pooled_code.py"),
    script:
        "../../scripts/pooled_code.py"


rule match:
    """Compare the two sides by all blocks, decide who gets whom, and say how sure that is."""
    input:
        unpack(code_files),
        a_rows=matched("<results>/collections/{collection}.parquet", "a"),
        b_rows=matched("<results>/collections/{collection}.parquet", "b"),
        a_vectors=matched("<results>/embeddings/{collection}.arrow", "a"),
        b_vectors=matched("<results>/embeddings/{collection}.arrow", "b"),
        halves="<results>/match/{matching}/halves.parquet",
        a_phrases="<results>/match/{matching}/phrases/a.arrow",
        b_phrases="<results>/match/{matching}/phrases/b.arrow",
        a_halves="<results>/match/{matching}/phrases/a_halves.arrow",
        b_halves="<results>/match/{matching}/phrases/b_halves.arrow",
        keywords="<results>/match/{matching}/keywords.json",
        a_mixtures="<results>/match/{matching}/topics/a.arrow",
        b_mixtures="<results>/match/{matching}/topics/b.arrow",
        a_again="<results>/match/{matching}/topics/a_again.arrow",
        b_again="<results>/match/{matching}/topics/b_again.arrow",
        a_half_mixtures="<results>/match/{matching}/topics/a_halves.arrow",
        b_half_mixtures="<results>/match/{matching}/topics/b_halves.arrow",
        maps="<results>/match/{matching}/alignment.safetensors",
        alignment="<results>/match/{matching}/alignment.json",
        truth=lambda w: pair_files(w.matching, "truth"),
    output:
        matches=report(
            "<results>/match/{matching}/matches.csv",
            caption="../report/matches.rst",
            category="Match",
            labels={"matching": "{matching}", "table": "matches"},
        ),
        matches_parquet="<results>/match/{matching}/matches.parquet",
        candidates="<results>/match/{matching}/candidates.csv",
        candidates_parquet="<results>/match/{matching}/candidates.parquet",
        topics="<results>/match/{matching}/topics.csv",
        a_topics="<results>/match/{matching}/a_topics.arrow",
        b_topics="<results>/match/{matching}/b_topics.arrow",
        weights="<results>/match/{matching}/weights.csv",
        blocks="<results>/match/{matching}/blocks.csv",
        evaluation="<results>/match/{matching}/evaluation.csv",
        map="<results>/match/{matching}/map.parquet",
        diagnostics="<results>/match/{matching}/diagnostics.json",
    log:
        "<logs>/match/{matching}.log",
    benchmark:
        "<benchmarks>/match/{matching}.tsv"
    wildcard_constraints:
        matching=one_of([m for m in MATCHINGS if not row_wise(m)]),
    conda:
        "../../envs/match.yaml"
    threads: 1
    params:
        settings=lambda w: {
            key: config["match"][w.matching][key] for key in ("weights", "assignment", "recursion")
        },
        collections=lambda w: [config["match"][w.matching][side] for side in "ab"],
        queries=lambda w: queries(w.matching),
        floor=lambda w: config["match"][w.matching]["topics"]["floor"],
        preambles=lambda w: preambles(w.matching),
        truth=lambda w: config["match"][w.matching].get("truth"),
        labels=lambda w: config["match"][w.matching].get("labels"),
        seed=config["seed"],
        code=code("match.py"),
    script:
        "../../scripts/match.py"


# What the notebook laid side by side: codes, of the first point of the sweep, or else what they would be made of.
LAID_SIDE_BY_SIDE = (
    f"<results>/encodings/{{collection}}/{ENCODINGS[0]}/encoding.arrow"
    if ENCODINGS
    else "<results>/embeddings/{collection}.arrow"
)


rule match_published:
    """Match two collections as the notebook did, row i laid on row i."""
    input:
        a_rows=matched("<results>/collections/{collection}.parquet", "a"),
        b_rows=matched("<results>/collections/{collection}.parquet", "b"),
        a_codes=matched(LAID_SIDE_BY_SIDE, "a"),
        b_codes=matched(LAID_SIDE_BY_SIDE, "b"),
        truth=lambda w: pair_files(w.matching, "truth"),
    output:
        matches=report(
            "<results>/match/{matching}/matches.csv",
            caption="../report/matches.rst",
            category="Match",
            labels={"matching": "{matching}", "table": "matches"},
        ),
        matches_parquet="<results>/match/{matching}/matches.parquet",
        candidates="<results>/match/{matching}/candidates.csv",
        candidates_parquet="<results>/match/{matching}/candidates.parquet",
        topics="<results>/match/{matching}/topics.csv",
        models="<results>/match/{matching}/topic_models.csv",
        keywords="<results>/match/{matching}/keywords.json",
        a_topics="<results>/match/{matching}/a_topics.arrow",
        b_topics="<results>/match/{matching}/b_topics.arrow",
        maps="<results>/match/{matching}/alignment.safetensors",
        weights="<results>/match/{matching}/weights.csv",
        blocks="<results>/match/{matching}/blocks.csv",
        evaluation="<results>/match/{matching}/evaluation.csv",
        map="<results>/match/{matching}/map.parquet",
        diagnostics="<results>/match/{matching}/diagnostics.json",
    log:
        "<logs>/match/{matching}.log",
    benchmark:
        "<benchmarks>/match/{matching}.tsv"
    wildcard_constraints:
        matching=one_of([m for m in MATCHINGS if row_wise(m)]),
    conda:
        "../../envs/match.yaml"
    threads: 1
    params:
        encoding=ENCODINGS[0] if ENCODINGS else None,
        collections=lambda w: [config["match"][w.matching][side] for side in "ab"],
        settings=lambda w: config["match"][w.matching]["topics"],
        top=lambda w: config["match"][w.matching]["assignment"]["top"],
        preambles=lambda w: preambles(w.matching),
        truth=lambda w: config["match"][w.matching].get("truth"),
        labels=lambda w: config["match"][w.matching].get("labels"),
        seed=config["seed"],
        code=code("match_published.py"),
    script:
        "../../scripts/match_published.py"
