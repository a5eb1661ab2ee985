"""Reduce a collection to its leading principal components, the yardstick of every encoder."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.components import principal_components
from crosswalk.files import read_vectors, write_vectors

ids, embeddings, _ = read_vectors(snakemake.input.vectors)
scores, _ = principal_components(embeddings, int(snakemake.wildcards.dim))
write_vectors(snakemake.output.codes, ids, scores, column="code", metadata={"encoder": "pca"})
log.info("%d rows, %d of %s components have variance", len(ids), scores.shape[1], snakemake.wildcards.dim)
