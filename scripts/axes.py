"""Find canonical axes of two linked collections and test them on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.canonical import canonical_axes
from crosswalk.files import write_candidates, write_vectors
from crosswalk.items import linked_items
from crosswalk.significance import candidate_table

settings = snakemake.params.settings
ids, blocks, x, y = linked_items(*(snakemake.input[key] for key in ("x_rows", "y_rows", "x", "y")))
found = canonical_axes(
    x,
    y,
    blocks,
    axes=settings["axes"],
    components=settings["components"],
    ridge=settings["ridge"],
    fold_count=settings["folds"],
    permutations=settings["permutations"],
    bootstrap=settings["bootstrap"],
    seed=snakemake.params.seed,
)
units = np.arange(len(found.r))
tests = candidate_table(
    "axes",
    units,
    units,
    n=len(ids),
    r=found.r,
    low=found.low,
    high=found.high,
    stability=found.stability,
    null=found.null,
    pooled=True,
)
candidates = write_candidates(snakemake.output, tests, found.x_scores, found.y_scores)
write_vectors(snakemake.output.x_directions, candidates, found.x_directions.T, column="direction")
write_vectors(snakemake.output.y_directions, candidates, found.y_directions.T, column="direction")
log.info("%d items, %d axes; held-out r of the strongest %.3f, p %.2g", len(ids), len(tests), found.r[0], tests["p"][0])
log.info("%d of %d axes have p <= 0.05 before correction", (tests["p"] <= 0.05).sum(), len(tests))
