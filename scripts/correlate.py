"""Correlate the units of two encodings and test the strongest pairs on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.files import write_vectors
from crosswalk.items import nuisance, prepared_items
from crosswalk.pairs import unit_pairs
from crosswalk.search_files import write_search
from crosswalk.significance import candidate_table

source, settings, seed = snakemake.input, snakemake.params.settings, snakemake.params.seed
listed = {"covariates": snakemake.params.covariates, "fold_count": settings["folds"], "seed": seed}
ids, blocks, x, y = prepared_items(source.linked, source.x_rows, source.y_rows, source.x, source.y, **listed)
found = unit_pairs(
    x,
    y,
    blocks,
    count=settings["pairs"],
    fold_count=settings["folds"],
    permutations=settings["permutations"],
    bootstrap=settings["bootstrap"],
    seed=seed,
    nuisance=nuisance(source.linked, **listed),
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
    blocks=len(np.unique(blocks[found.held_out])),
)
write_search(snakemake.output, tests, found.x_scores, found.y_scores, list_name="plain", width=x.shape[1])
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
