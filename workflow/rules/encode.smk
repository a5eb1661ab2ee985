"""Encode embedded collections, one folder for each encoder, number of units and seed.

inputs   <results>/collections/{collection}.parquet, <results>/embeddings/{collection}.arrow
outputs  <results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/
"""


rule steer:
    """Append to each vector how near its text is to the phrases that encoders are biased towards."""
    input:
        vectors="<results>/embeddings/{collection}.arrow",
        lexical=lambda w: lexical_files(w.collection),
    output:
        vectors="<results>/encodings/{collection}/steered.arrow",
        usage="<results>/encodings/{collection}/steered.usage.json",
    log:
        "<logs>/steer/{collection}.log",
    conda:
        "../../envs/torch.yaml"
    threads: 2
    resources:
        api=1,
        gpu=GPU,
    params:
        phrases=lambda w: steering_phrases(w.collection),
        vectors=lambda w: vector_settings(w.collection),
        seed=config["seed"],
        code=code("steer.py"),
    script:
        "../../scripts/steer.py"


rule choose_units:
    """Choose how many units an encoder has, where the config leaves that open."""
    input:
        rows="<results>/collections/{collection}.parquet",
        vectors=vectors_to_encode,
    output:
        "<results>/encodings/{collection}/{encoder}-auto/units.csv",
    log:
        "<logs>/choose_units/{collection}/{encoder}.log",
    benchmark:
        "<benchmarks>/choose_units/{collection}/{encoder}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPU,
    params:
        settings=encode_settings(),
        seed=SEEDS[0],
        seeds=config["encode"]["stability_seeds"],
        code=code("choose_units.py"),
    script:
        "../../scripts/choose_units.py"


rule encode:
    """Train an autoencoder, encode the collection with it, and measure what it keeps of unseen items."""
    input:
        unpack(choice_of_units),
        rows="<results>/collections/{collection}.parquet",
        vectors=vectors_to_encode,
    output:
        model="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/model.safetensors",
        codes="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/encoding.arrow",
        history="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/history.csv",
        scores="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/scores.json",
    log:
        "<logs>/encode/{collection}/{encoder}-{dim}/seed-{seed}.log",
    benchmark:
        "<benchmarks>/encode/{collection}/{encoder}-{dim}/seed-{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    # On matrices this small a second thread of torch slows the first down; the sweep fills the cores.
    threads: 1
    resources:
        gpu=GPU,
    params:
        settings=encode_settings(),
        code=code("encode.py"),
    script:
        "../../scripts/encode.py"


rule compare_seeds:
    """Train the encoder again with further seeds, and tell which of its units come back."""
    input:
        rows="<results>/collections/{collection}.parquet",
        vectors=vectors_to_encode,
        codes="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/encoding.arrow",
    output:
        "<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/stability.csv",
    log:
        "<logs>/compare_seeds/{collection}/{encoder}-{dim}/seed-{seed}.log",
    benchmark:
        "<benchmarks>/compare_seeds/{collection}/{encoder}-{dim}/seed-{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        gpu=GPU,
    params:
        settings=encode_settings(),
        seeds=config["encode"]["stability_seeds"],
        code=code("compare_seeds.py"),
    script:
        "../../scripts/compare_seeds.py"


rule principal_components:
    """Reduce the collection to as many principal components as an encoder has units."""
    input:
        unpack(choice_of_units),
        vectors=vectors_to_encode,
    output:
        codes="<results>/encodings/{collection}/pca-{size}/encoding.arrow",
    log:
        "<logs>/principal_components/{collection}/pca-{size}.log",
    conda:
        "../../envs/base.yaml"
    params:
        code=code("principal_components.py"),
    script:
        "../../scripts/principal_components.py"
