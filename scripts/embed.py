"""Embed one collection."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import files
from crosswalk.embedding import vector_metadata, with_parts
from crosswalk.paid import Embedding

embedding = Embedding(snakemake, snakemake.wildcards.collection, lexical=snakemake.input.lexical)
rows = files.read_parquet(snakemake.input.rows)
vectors, usage = embedding(rows["text"])
usage = with_parts(usage, [files.read_json(path) for path in snakemake.input.get("parts", [])])
about = vector_metadata(embedding.embedder, vectors)
files.write_vectors(snakemake.output.vectors, rows["id"], vectors, metadata=about)
files.write_json(snakemake.output.usage, usage)
log.info("%d vectors of %d dimensions by %s", *vectors.shape, about["model"])
