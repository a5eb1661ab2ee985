"""Count the terms of the works' texts."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk import features, splits
from crosswalk.files import read_parquet
from crosswalk.interactions import read_links
from crosswalk.recommend_files import read_roles, seen_links, write_matrix

source, settings = snakemake.input, snakemake.params.settings["features"]
texts = read_parquet(source.rows)["text"].tolist()
links, learned = read_links(source.links), np.ones(len(texts), bool)
# The texts of new works that judge say neither which words there are nor how rare these are.
if source.get("split"):
    learned[splits.hidden(links, read_roles(source.split), splits.NEW_TEST)[0]] = False
model = features.fit(
    [text for text, own in zip(texts, learned, strict=True) if own],
    ngrams=settings["ngrams"],
    min_df=settings["min_df"],
    max_features=settings["most"],
)
counts = model.count(texts)
told = features.telling(counts, seen_links(links, source))
model = features.Features(terms=model.terms, idf=model.idf * told)
model.save(snakemake.output.model, snakemake.output.vocabulary)
matrix = model.weigh(counts)
write_matrix(snakemake.output.matrix, matrix)
log.info("%d terms, %.1f in a work", matrix.shape[1], matrix.nnz / max(len(texts), 1))
