"""Train an encoder again with further seeds, and tell which of its units come back."""

from crosswalk.job import device, start

log = start(snakemake)

import torch

from crosswalk import files, training
from crosswalk.unit_stability import unit_stability

torch.set_num_threads(snakemake.threads)
table = files.read_parquet(snakemake.input.rows)
_, vectors, about = files.read_vectors(snakemake.input.vectors, ids=table["id"])
_, codes, _ = files.read_vectors(snakemake.input.codes, ids=table["id"])
encoder, dim, seed = snakemake.wildcards.encoder, codes.shape[1], int(snakemake.wildcards.seed)
settings = {"encoder": encoder, "dim": dim, "device": device(snakemake), **snakemake.params.settings}
settings["appended"] = int(about.get("appended", 0))
first, others = None, []
for i in range(1, snakemake.params.seeds + 1):
    _, other, first = training.train_texts(table["text"], vectors, seed=(seed + i) % 2**32, **settings)
    others.append(other[first])
stability = unit_stability(codes if first is None else codes[first], others)
files.write_csv(snakemake.output[0], stability)
log.info(
    "%s with %d units, seed %d: median stability %.2f over %d further seeds",
    encoder, dim, seed, stability["stability"].median(), len(others),
)  # fmt: skip
