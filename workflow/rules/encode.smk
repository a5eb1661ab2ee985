"""Encode embedded collections, one folder for each encoder, number of units and seed.

inputs   <results>/collections/{collection}.parquet, <results>/embeddings/{collection}.arrow
outputs  <results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/
"""


rule encode:
    """Train an autoencoder, encode the collection with it, and measure what it keeps of unseen items."""
    input:
        rows="<results>/collections/{collection}.parquet",
        vectors="<results>/embeddings/{collection}.arrow",
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
        vectors="<results>/embeddings/{collection}.arrow",
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
        vectors="<results>/embeddings/{collection}.arrow",
    output:
        codes="<results>/encodings/{collection}/pca-{dim}/encoding.arrow",
    log:
        "<logs>/principal_components/{collection}/pca-{dim}.log",
    conda:
        "../../envs/base.yaml"
    params:
        code=code("principal_components.py"),
    script:
        "../../scripts/principal_components.py"
