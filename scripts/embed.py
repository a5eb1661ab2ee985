"""Embed one collection."""

from crosswalk.job import device, start

log = start(snakemake)

from crosswalk import files
from crosswalk.embedding import embed, open_embedder, open_store, vector_metadata
from crosswalk.models import embedding_of

# Not from params: how requests are cut up and where the cache is change no vector, and so re-run nothing.
settings, cache = embedding_of(snakemake.config, snakemake.wildcards.collection), snakemake.config["cache"]
embedder = open_embedder(
    settings,
    lexical=list(snakemake.input.lexical),
    device=device(snakemake),
    threads=snakemake.threads,
    seed=snakemake.params.seed,
)
rows = files.read_parquet(snakemake.input.rows)
vectors, usage = embed(rows["text"], embedder, store=open_store(embedder, cache))
files.write_vectors(snakemake.output.vectors, rows["id"], vectors, metadata=vector_metadata(embedder, vectors))
files.write_json(snakemake.output.usage, usage)
log.info("%d vectors of %d dimensions by %s", *vectors.shape, embedder.namespace["model"])
