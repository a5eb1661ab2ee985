"""Choose the number of units of an encoder of one collection, by what it gives back of items it was not shown and by
how well its units come back."""

from crosswalk.job import device, start

log = start(snakemake)

import numpy as np
import torch

from crosswalk import files
from crosswalk.unit_choice import compare

torch.set_num_threads(snakemake.threads)
table, params = files.read_parquet(snakemake.input.rows), snakemake.params
_, vectors, about = files.read_vectors(snakemake.input.vectors, ids=table["id"])
_, first = np.unique(table["text"].to_numpy(dtype=object), return_index=True)
found = compare(
    vectors[first],
    table["group"].to_numpy()[first],
    encoder=snakemake.wildcards.encoder,
    seed=params.seed,
    seeds=params.seeds,
    device=device(snakemake),
    appended=int(about.get("appended", 0)),
    **params.settings,
)
files.write_csv(snakemake.output[0], found)
for row in found.itertuples():
    log.info(
        "%s with %d units: %.3f of the variance of unseen items, median stability %.2f%s",
        snakemake.wildcards.encoder, row.units, row.held_out, row.stability, ", chosen" if row.chosen else "",
    )  # fmt: skip
