"""Write the report of a run: one page that opens from disk."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from crosswalk.files import atomic, read_json, read_parquet, read_vectors
from crosswalk.interactions import read_links
from crosswalk.match_sections import Matching
from crosswalk.page import render
from crosswalk.recommend_examples import drawn
from crosswalk.recommend_sections import TABLES, Recommender
from crosswalk.relate_sections import Study
from crosswalk.sections import Collection, Encoding

source, params = snakemake.input, snakemake.params
encodings = {}
for (collection, encoder, dim, seed), history, model, codes in zip(
    params.encodings, source.histories, source.models, source.codes, strict=True
):
    encoding = Encoding(encoder, dim, int(seed), pd.read_csv(history), read_vectors(codes)[1], load_file(model))
    encodings.setdefault(collection, []).append(encoding)

collections = []
for i, name in enumerate(params.collections):
    rows, counts, own = read_parquet(source.rows[i]), read_json(source.counts[i]), {}
    if name in params.embedded:
        at = params.embedded.index(name)
        _, vectors, model = read_vectors(source.vectors[at], ids=rows["id"])
        own = {"vectors": vectors, "model": model, "encodings": encodings.get(name, [])}
        own |= {key: read_json(source[key][at]) for key in ("usage", "facts")}
        own |= {key: pd.read_csv(source[key][at]) for key in ("inertia", "contrast")}
        own["choices"] = {
            encoder: pd.read_csv(path)
            for (of, encoder), path in zip(params.choices, source.choices, strict=True)
            if of == name
        }
        own["map"] = read_parquet(source.map[at])
    collections.append(Collection(name, rows, counts, **own))

# Of each relation that was tested; what only some have stands beside the names of those.
told = {
    key: dict(zip(params.told[key], map(read, source[key]), strict=True))
    for key, read in (
        ("power", pd.read_csv),
        ("searches", read_json),
        ("grouping", read_json),
        ("quotations", read_json),
        ("echo", read_json),
        ("phrases", pd.read_csv),
    )
}
overlap = dict(zip(map(tuple, params.told["axes"]), map(read_json, source.axes), strict=True))
studies = []
for i, name in enumerate(params.relations):
    tables = [read_parquet(source[key][i]) for key in ("relations", "ends", "scores")]
    matrices = {}
    for (relation, encoder, dim, seed), path in zip(params.correlations, source.correlations, strict=True):
        if relation == name:
            units, matrix, _ = read_vectors(path)
            matrices[f"{encoder}-{dim}/seed-{seed}"] = sum(unit.startswith("x") for unit in units), matrix
    encoders, tested, retrieval = (pd.read_csv(source[key][i]) for key in ("encoders", "tested", "retrieval"))
    more = {key: by_name[name] for key, by_name in told.items() if name in by_name}
    more["overlap"] = {of: facts for (relation, of), facts in overlap.items() if relation == name}
    studies.append(Study(name, *tables, encoders, tested, retrieval, matrices, **more))

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

recommenders = []
for i, name in enumerate(params.recommenders):
    paths = {key: source[f"recommend_{key}"][i] for key in TABLES}
    tables = {
        # A subject may be called NA.
        key: read_parquet(path)
        if path.endswith(".parquet")
        else pd.read_csv(path, keep_default_na=False, na_values=[""])
        for key, path in paths.items()
        if key != "suggestions"
    }
    # The suggestions of a large collection take more memory than all else: only those that are told are read.
    links, ids = read_links(source.recommend_links[i]), read_parquet(source.recommend_works[i])["id"]
    answered = ids.isin(pq.read_table(paths["suggestions"], columns=["work_id"])["work_id"].unique().to_pylist())
    told = drawn(ids[answered].tolist(), np.diff(links.indptr)[answered])
    tables["suggestions"] = pq.read_table(paths["suggestions"], filters=[("work_id", "in", [*told, ""])]).to_pandas()
    facts = [read_json(source[f"recommend_{key}"][i]) for key in ("diagnostics", "counts")]
    recommenders.append(Recommender(name, *facts, links, **tables))

html = render(
    collections, studies, matchings, recommenders, config=params.config, provenance=read_json(source.provenance)
)
with atomic(snakemake.output[0], "w") as file:
    file.write(html)
log.info(
    "%d collections, %d relations, %d matchings, %d recommenders, %.1f MB",
    len(collections),
    len(studies),
    len(matchings),
    len(recommenders),
    len(html.encode()) / 1e6,
)
