"""Correlate the units of two encodings and test the strongest pairs on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.files import write_vectors
from crosswalk.pairs import unit_pairs
from crosswalk.search_files import read_linked, write_found

ids, blocks, x, y, _, options = read_linked(snakemake.input, snakemake.params)
found = unit_pairs(x, y, blocks, count=snakemake.params.settings["pairs"], **options)
tests = write_found(
    snakemake.output,
    snakemake.wildcards.encoding,
    (found.x_unit, found.y_unit),
    found,
    list_name="plain",
    blocks=blocks[found.held_out],
    width=x.shape[1],
)
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
