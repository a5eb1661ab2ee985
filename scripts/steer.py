"""Append to the embedding of a collection how near each text is to the phrases that its encoders are biased towards."""

from crosswalk.job import device, start

log = start(snakemake)

from crosswalk.embedding import embed, open_embedder, open_store
from crosswalk.files import read_vectors, write_json, write_vectors
from crosswalk.models import embedding_of
from crosswalk.steering import steer

source, params = snakemake.input, snakemake.params
ids, vectors, about = read_vectors(source.vectors)
embedder = open_embedder(
    embedding_of(snakemake.config, snakemake.wildcards.collection),
    lexical=list(source.lexical) or None,
    device=device(snakemake),
    threads=snakemake.threads,
    seed=params.seed,
)
phrases, weights = ([one[key] for one in params.phrases] for key in ("phrase", "weight"))
given, usage = embed(phrases, embedder, store=open_store(embedder, snakemake.config["cache"]))
about |= {"appended": str(len(phrases)), "normalised": "false"}
write_vectors(snakemake.output.vectors, ids, steer(vectors, given, weights), metadata=about)
write_json(snakemake.output.usage, usage)
log.info("%d rows, with %d columns for phrases", len(ids), len(phrases))
