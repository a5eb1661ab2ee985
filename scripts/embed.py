"""Embed one collection."""

from crosswalk import files
from crosswalk.embedding import embed, open_embedder, open_store, vector_metadata
from crosswalk.job import device, start

log = start(snakemake)
embedder = open_embedder(
    snakemake.params.settings,
    lexical=list(snakemake.input.lexical),
    device=device(snakemake),
    threads=snakemake.threads,
    seed=snakemake.params.seed,
)
rows = files.read_parquet(snakemake.input.rows)
vectors, usage = embed(rows["text"], embedder, store=open_store(embedder, snakemake.params.cache))
files.write_vectors(snakemake.output.vectors, rows["id"], vectors, metadata=vector_metadata(embedder, vectors))
files.write_json(snakemake.output.usage, usage)
log.info("%d vectors of %d dimensions by %s", *vectors.shape, embedder.namespace["model"])
