"""Fit the TF-IDF embedder on the texts of all collections."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import files
from crosswalk.lexical import DIMENSIONS, Lexical

texts = [text for path in snakemake.input.rows for text in files.read_parquet(path)["text"]]
model = Lexical.fit(texts, dimensions=snakemake.params.dimensions or DIMENSIONS, seed=snakemake.params.seed)
model.save(snakemake.output.model, snakemake.output.vocabulary)
