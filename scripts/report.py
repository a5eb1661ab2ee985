"""Write the report of a run: one page that opens from disk."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd
from safetensors.numpy import load_file

from crosswalk.files import atomic, read_json, read_parquet, read_vectors
from crosswalk.match_sections import Matching
from crosswalk.page import render
from crosswalk.sections import Collection, Encoding, Study

source, params = snakemake.input, snakemake.params
encodings = {}
for (collection, encoder, dim, seed), history, model, codes in zip(
    params.encodings, source.histories, source.models, source.codes, strict=True
):
    encoding = Encoding(encoder, int(dim), int(seed), pd.read_csv(history), read_vectors(codes)[1], load_file(model))
    encodings.setdefault(collection, []).append(encoding)

collections = []
for i, name in enumerate(params.collections):
    rows = read_parquet(source.rows[i])
    _, vectors, model = read_vectors(source.vectors[i], ids=rows["id"])
    collections.append(
        Collection(
            name, rows, read_json(source.counts[i]), read_json(source.usage[i]), vectors, model,
            pd.read_csv(source.inertia[i]), read_parquet(source.map[i]), read_json(source.facts[i]),
            pd.read_csv(source.contrast[i]), encodings.get(name, []),
        )
    )  # fmt: skip

studies = []
for i, name in enumerate(params.relations):
    tables = [read_parquet(source[key][i]) for key in ("relations", "ends", "scores")]
    matrices = {
        f"{encoder}-{dim}/seed-{seed}": read_vectors(path)[1]
        for (relation, encoder, dim, seed), path in zip(params.correlations, source.correlations, strict=True)
        if relation == name
    }
    encoders, tested, retrieval = (pd.read_csv(source[key][i]) for key in ("encoders", "tested", "retrieval"))
    studies.append(Study(name, *tables, encoders, len(tested), retrieval, matrices))

matchings = []
for i, name in enumerate(params.matchings):
    matches, candidates, placed = (read_parquet(source[f"match_{key}"][i]) for key in ("matches", "candidates", "map"))
    topics, models, weights, blocks, evaluation = (
        pd.read_csv(source[f"match_{key}"][i]) for key in ("topics", "topic_models", "weights", "blocks", "evaluation")
    )
    mixtures = [read_vectors(source[f"match_{side}_topics"][i])[1] for side in "ab"]
    matchings.append(
        Matching(
            name, read_json(source.match_diagnostics[i]), matches, candidates, topics, models, weights, blocks, placed,
            evaluation, *mixtures,
        )
    )  # fmt: skip

html = render(collections, studies, matchings, config=params.config, provenance=read_json(source.provenance))
with atomic(snakemake.output[0], "w") as file:
    file.write(html)
log.info(
    "%d collections, %d relations, %d matchings, %.1f MB",
    len(collections),
    len(studies),
    len(matchings),
    len(html.encode()) / 1e6,
)
