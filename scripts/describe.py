"""Describe one collection: its clusters, its map, and how two labels differ before and after encoding."""

import pandas as pd

from crosswalk.description import ELBOW_ROWS, carries, cluster, common_labels, difference, elbow, reduce
from crosswalk.errors import UserError
from crosswalk.files import read_parquet, read_vectors, write_csv, write_json, write_parquet
from crosswalk.job import start

log = start(snakemake)
rows, settings, seed = read_parquet(snakemake.input.rows), snakemake.params.settings, snakemake.params.seed
ids, vectors, _ = read_vectors(snakemake.input.vectors, ids=rows["id"])
reduced = reduce(vectors, seed=seed)
clusters = cluster(reduced.scores, clusters=settings["clusters"], seed=seed)
write_csv(snakemake.output.inertia, elbow(reduced.scores, max_clusters=settings["max_clusters"], seed=seed))
points = reduced.scores[:, :2] if reduced.scores.shape[1] > 1 else reduced.scores.repeat(2, axis=1)
table = {"id": rows["id"], "pc1": points[:, 0], "pc2": points[:, 1], "cluster": clusters}
write_parquet(snakemake.output.map, pd.DataFrame(table))
facts = {
    "explained": [round(float(share), 6) for share in reduced.explained[:2]],
    "rows": len(rows),
    "dimensions": vectors.shape[1],
    "components": reduced.scores.shape[1],
    "components_explained": round(float(reduced.explained.sum()), 6),
    "elbow_rows": min(len(rows), ELBOW_ROWS),
    "clusters": int(clusters.max()),
}
write_json(snakemake.output.facts, facts)
log.info("%d rows in %d clusters; two components hold %.0f %%", len(rows), clusters.max(), 100 * reduced.explained[:2].sum())

tables, contrast = [], snakemake.params.contrast
if contrast:
    values, least = rows[contrast["column"]], contrast.get("min_count", 0)
    a, b = (carries(values, label, min_count=least) for label in contrast["values"])
    for label, carried in zip(contrast["values"], (a, b), strict=True):
        if not carried.any():
            seen = ", ".join(f"{name} ({n})" for name, n in common_labels(values, min_count=least))
            raise UserError(
                f"contrast.values: no row has {label!r} in column {contrast['column']!r}. Most common there: {seen}."
            )
    spaces = {"embedding": vectors}
    for name, path in zip(snakemake.params.names, snakemake.input.codes, strict=True):
        spaces[name] = read_vectors(path, ids=rows["id"])[1]
    tables = [difference(values, a, b).assign(space=name) for name, values in spaces.items()]
    log.info("contrast of %s: %d and %d rows", " and ".join(contrast["values"]), a.sum(), b.sum())
columns = ["space", "dimension", "difference", "sd", "n_a", "n_b"]
write_csv(snakemake.output.contrast, pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns))
