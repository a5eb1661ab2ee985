"""Describe one collection: its clusters, its map, and how two labels differ before and after encoding."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk.description import ELBOW_ROWS, cluster, difference, elbow, labelled, reduce
from crosswalk.files import read_parquet, read_vectors, write_csv, write_json, write_parquet

source, output, params = snakemake.input, snakemake.output, snakemake.params
rows = read_parquet(source.rows)
_, vectors, _ = read_vectors(source.vectors, ids=rows["id"])
reduced = reduce(vectors, seed=params.seed)
clusters = cluster(reduced.scores, clusters=params.settings["clusters"], seed=params.seed)
write_csv(output.inertia, elbow(reduced.scores, max_clusters=params.settings["max_clusters"], seed=params.seed))
points = {f"pc{i + 1}": reduced.scores[:, i] for i in range(2)}
write_parquet(output.map, pd.DataFrame({"id": rows["id"], **points, "cluster": clusters}))
facts = {
    "explained": [round(float(share), 6) for share in reduced.explained[:2]],
    "rows": len(rows),
    "dimensions": vectors.shape[1],
    "components": reduced.scores.shape[1],
    "elbow_rows": min(len(rows), ELBOW_ROWS),
    "clusters": int(clusters.max()),
}
write_json(output.facts, facts)
share = 100 * reduced.explained[:2].sum()
log.info("%d rows in %d clusters; two components hold %.0f %% of the variance", len(rows), facts["clusters"], share)

table = pd.DataFrame(columns=["space", "dimension", "difference", "sd", "n_a", "n_b"])
if params.contrast:
    a, b = labelled(rows[params.contrast["column"]], contrast=params.contrast)
    spaces = {"embedding": vectors}
    for name, path in zip(params.names, source.codes, strict=True):
        _, spaces[name], _ = read_vectors(path, ids=rows["id"])
    table = pd.concat([difference(values, a, b, space=name) for name, values in spaces.items()])
    log.info("%d rows are %r, %d are %r", a.sum(), params.contrast["values"][0], b.sum(), params.contrast["values"][1])
write_csv(output.contrast, table)
