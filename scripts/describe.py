"""Describe one collection: its clusters and its map."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk.description import ELBOW_ROWS, cluster, elbow, reduce
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
