"""Append to the embedding of a collection how near each text is to the phrases that its encoders are biased towards."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import read_vectors, write_json, write_vectors
from crosswalk.paid import Embedding
from crosswalk.steering import steer

source, params = snakemake.input, snakemake.params
ids, vectors, about = read_vectors(source.vectors)
embedding = Embedding(snakemake, snakemake.wildcards.collection, lexical=source.lexical)
phrases, weights = ([one[key] for one in params.phrases] for key in ("phrase", "weight"))
given, usage = embedding(phrases)
about |= {"appended": str(len(phrases)), "normalised": "false"}
write_vectors(snakemake.output.vectors, ids, steer(vectors, given, weights), metadata=about)
write_json(snakemake.output.usage, usage)
log.info("%d rows, with %d columns for phrases", len(ids), len(phrases))
