"""Correlate the units of two encodings and test the strongest pairs on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.files import write_candidates, write_vectors
from crosswalk.items import linked_items
from crosswalk.pairs import unit_pairs
from crosswalk.significance import candidate_table

settings = snakemake.params.settings
ids, blocks, x, y = linked_items(*(snakemake.input[key] for key in ("x_rows", "y_rows", "x", "y")))
found = unit_pairs(
    x,
    y,
    blocks,
    count=settings["pairs"],
    fold_count=settings["folds"],
    permutations=settings["permutations"],
    bootstrap=settings["bootstrap"],
    seed=snakemake.params.seed,
)
tests = candidate_table(
    snakemake.wildcards.encoding,
    found.x_unit,
    found.y_unit,
    n=int(found.held_out.sum()),
    r=found.r,
    low=found.low,
    high=found.high,
    stability=found.stability,
    null=found.null,
    pooled=False,
)
write_candidates(snakemake.output, tests, found.x_scores, found.y_scores)
with np.errstate(invalid="ignore", divide="ignore"):
    matrix = np.nan_to_num(np.corrcoef(np.hstack([x, y]), rowvar=False))
units = [f"x{i}" for i in range(x.shape[1])] + [f"y{j}" for j in range(y.shape[1])]
write_vectors(snakemake.output.matrix, units, matrix, column="correlation")
log.info(
    "%d items, %d x %d units, %d pairs measured on items held out; %d with p <= 0.05 before correction",
    len(ids),
    x.shape[1],
    y.shape[1],
    len(tests),
    (tests["p"] <= 0.05).sum(),
)
