"""Bring together all that was tested into distinct relations, with echo and the texts at each end."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np
import pandas as pd

from crosswalk.files import read_parquet, read_vectors, write_csv, write_parquet, write_vectors
from crosswalk.items import folds, linked_items
from crosswalk.pairs import measuring
from crosswalk.relations import collect_relations, compare_encoders, judge

source, settings = snakemake.input, snakemake.params.settings
tables = [pd.read_csv(path) for path in source.tests]
searches = 1 + len(snakemake.params.encodings)
tests = pd.concat([t for t in tables[:searches] if len(t)], ignore_index=True)

ids, blocks, x, y = linked_items(source.x_rows, source.y_rows, source.x, source.y)
x_scores = np.vstack([read_vectors(path)[1] for path in source.x_scores]).T
y_scores = np.vstack([read_vectors(path)[1] for path in source.y_scores]).T
tests = judge(tests, x_scores, y_scores, alpha=settings["alpha"], overlap=settings["overlap"])
write_csv(snakemake.output.tested, tests)
fold = folds(blocks, settings["folds"], seed=snakemake.params.seed)
held_out = np.ones(x_scores.shape, dtype=bool)
held_out[:, tests["family"] != "axes"] = measuring(fold)[:, None]

found = collect_relations(
    tests, x_scores, y_scores,
    items=ids,
    x_embeddings=x,
    y_embeddings=y,
    axis_directions=[read_vectors(path)[1] for path in (source.x_directions, source.y_directions)],
    fold=fold,
    held_out=held_out,
    sides={
        key: (read_parquet(source[f"{key}_rows"]), read_vectors(source[key])[1]) for key in "xy"
    },
    examples=settings["examples"],
)  # fmt: skip
write_parquet(snakemake.output.found, found.relations)
write_parquet(snakemake.output.ends, found.ends)
write_parquet(snakemake.output.scores, found.scores.assign(block=np.tile(blocks, len(found.relations))))
numbers = found.relations["relation"].astype(str)
write_vectors(snakemake.output.x_traits, numbers, found.x_traits, column="direction")
write_vectors(snakemake.output.y_traits, numbers, found.y_traits, column="direction")
histories = [pd.read_csv(path)["explained_variance"].iloc[-1] for path in source.histories]
write_csv(
    snakemake.output.encoders,
    compare_encoders(tables[1:], snakemake.params.encodings, histories, alpha=settings["alpha"]),
)
confirmed, own = tests["confirmed"].sum(), (tests["view_of"] < 0).sum()
log.info("%d candidates of %d searches tested, %d of them distinct", len(tests), searches, own)
log.info(
    "%d relations confirmed (false discovery rate %g), %d of them strictly",
    confirmed, settings["alpha"], tests["strict"].sum(),
)  # fmt: skip
if searches > settings["alpha"] * (settings["permutations"] + 1):
    log.warning(
        "no relation can be strict: %d searches want more than %d shuffled worlds (relate.*.permutations)",
        searches, searches / settings["alpha"],
    )  # fmt: skip
