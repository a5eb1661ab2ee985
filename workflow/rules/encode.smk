"""Encode embedded collections, one folder for each encoder, number of units and seed.

inputs   <results>/embeddings/{collection}.arrow
outputs  <results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/
"""


rule encode:
    """Train an autoencoder and encode the collection with it."""
    input:
        vectors="<results>/embeddings/{collection}.arrow",
    output:
        model="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/model.safetensors",
        codes="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/encoding.arrow",
        history="<results>/encodings/{collection}/{encoder}-{dim}/seed-{seed}/history.csv",
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
        settings={
            key: config["encode"][key]
            for key in ("epochs", "batch_size", "learning_rate", "active")
        },
        code=code("encode.py"),
    script:
        "../../scripts/encode.py"


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
