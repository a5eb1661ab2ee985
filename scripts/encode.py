"""Train one autoencoder on one collection and encode it."""

from crosswalk.job import device, start

log = start(snakemake)

import time

import torch

from crosswalk import files, training

torch.set_num_threads(snakemake.threads)
ids, vectors, _ = files.read_vectors(snakemake.input.vectors)
encoder, dim, seed = snakemake.wildcards.encoder, int(snakemake.wildcards.dim), int(snakemake.wildcards.seed)
log.info("training %s with %d units on %d rows of %d, seed %d", encoder, dim, *vectors.shape, seed)

began = time.perf_counter()
trained = training.train(
    vectors, encoder=encoder, dim=dim, seed=seed, device=device(snakemake), **snakemake.params.settings
)
last = trained.history.iloc[-1]
log.info(
    "loss %.4f, explained variance %.3f, dead units %d of %d, %.1f s",
    last.loss, last.explained_variance, last.dead_units, dim, time.perf_counter() - began,
)  # fmt: skip

training.save(snakemake.output.model, trained)
metadata = {"encoder": encoder, "dim": dim, "seed": seed}
files.write_vectors(snakemake.output.codes, ids, training.encode(trained, vectors), column="code", metadata=metadata)
files.write_csv(snakemake.output.history, trained.history)
