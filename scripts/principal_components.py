"""Reduce a collection to its leading principal components, the yardstick of every encoder."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.components import principal_components
from crosswalk.files import read_vectors, write_vectors
from crosswalk.unit_choice import chosen

ids, embeddings, _ = read_vectors(snakemake.input.vectors)
size = snakemake.wildcards.size
count = chosen(snakemake.input.chosen) if snakemake.input.get("chosen") else int(size)
scores, _ = principal_components(embeddings, count)
write_vectors(snakemake.output.codes, ids, scores, column="code", metadata={"encoder": "pca"})
log.info("%d rows, %d of %d components have variance", len(ids), scores.shape[1], count)
