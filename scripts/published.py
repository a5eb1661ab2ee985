"""Relate two collections the notebook's own way, to show the difference; nothing here is a valid test."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd
from safetensors.numpy import load_file

from crosswalk.encoder_study import ENCODER_COLUMNS
from crosswalk.files import read_parquet, read_vectors, write_csv, write_parquet, write_vectors
from crosswalk.published import relate

source, params = snakemake.input, snakemake.params
sides = {key: (read_parquet(source[f"{key}_rows"]), read_vectors(source[key])[1]) for key in "xy"}
numbered, ends, scores, encoders = [], [], [], []
for i, name in enumerate(params.encodings):
    codes = {key: read_vectors(source[f"{key}_codes"][i], ids=sides[key][0]["id"])[1] for key in "xy"}
    weights = {key: load_file(source[f"{key}_models"][i]) for key in "xy"}
    found = relate(
        sides, codes, weights,
        encoder=name, collections=params.collections, critical=params.weights, shown=params.examples,
        first=1 + sum(map(len, numbered)),
    )  # fmt: skip
    numbered.append(found.relations)
    ends.append(found.ends)
    scores.append(found.scores)
    units = [f"{key}{unit}" for key in "xy" for unit in range(codes[key].shape[1])]
    write_vectors(snakemake.output.matrices[i], units, found.matrix, column="correlation")
    log.info("%s: weakest pair |r| %.2g", name, abs(found.relations["r"].iloc[0]))
table = pd.concat(numbered, ignore_index=True)
write_csv(snakemake.output.table, table)
write_parquet(snakemake.output.parquet, table)
write_parquet(snakemake.output.ends, pd.concat(ends, ignore_index=True))
write_parquet(snakemake.output.scores, pd.concat(scores, ignore_index=True))
write_csv(snakemake.output.tested, pd.DataFrame(columns=["family"]))
write_csv(snakemake.output.encoders, pd.DataFrame(columns=ENCODER_COLUMNS))
log.warning("the published way tests nothing: do not report these pairs; use method: cross_fitted")
