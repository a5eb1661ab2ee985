"""Train one autoencoder on one collection, encode it, and measure what it keeps of items that it was not shown."""

from crosswalk.job import device, start

log = start(snakemake)

import time

import torch

from crosswalk import files, training
from crosswalk.reconstruction import held_out_variance
from crosswalk.unit_choice import chosen

torch.set_num_threads(snakemake.threads)
table = files.read_parquet(snakemake.input.rows)
ids, vectors, about = files.read_vectors(snakemake.input.vectors, ids=table["id"])
encoder, seed = snakemake.wildcards.encoder, int(snakemake.wildcards.seed)
dim = chosen(snakemake.input.chosen) if snakemake.input.get("chosen") else int(snakemake.wildcards.dim)
settings = {"encoder": encoder, "dim": dim, "seed": seed, "device": device(snakemake), **snakemake.params.settings}
settings["appended"] = int(about.get("appended", 0))

began = time.perf_counter()
trained, codes, first = training.train_texts(table["text"], vectors, **settings)
last = trained.history.iloc[-1]
log.info(
    "%s with %d units on %d distinct texts of %d rows, seed %d: loss %.4f, explained variance %.3f, %d dead, %.1f s",
    encoder, dim, len(first), len(ids), seed, last.loss, last.explained_variance, last.dead_units,
    time.perf_counter() - began,
)  # fmt: skip
training.save(snakemake.output.model, trained)
metadata = {"encoder": encoder, "dim": dim, "seed": seed}
files.write_vectors(snakemake.output.codes, ids, codes, column="code", metadata=metadata)
files.write_csv(snakemake.output.history, trained.history)
items = table["group"].to_numpy()[first]
scores = held_out_variance(vectors[first], items, training.restoring(**settings), dim=dim, seed=seed)
files.write_json(
    snakemake.output.scores,
    {
        **scores,
        "rows": len(ids),
        "texts": len(first),
        "units": dim,
        "dead_units": int(last.dead_units),
        "explained_variance": float(last.explained_variance),
    },
)
if scores["folds"]:
    log.info(
        "of unseen items %.3f of the variance, as many principal components %.3f",
        scores["held_out"], scores["pca_held_out"],
    )  # fmt: skip
else:
    log.warning("too few items to hold some out from an encoder of %d units", dim)
