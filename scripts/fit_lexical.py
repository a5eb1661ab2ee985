"""Fit the TF-IDF embedder on the texts of all collections."""

from crosswalk import files
from crosswalk.job import start
from crosswalk.lexical import DIMENSIONS, Lexical

log = start(snakemake)
texts = [text for path in snakemake.input.rows for text in files.read_parquet(path)["text"]]
dimensions = snakemake.params.settings.get("dimensions") or DIMENSIONS
model = Lexical.fit(texts, dimensions=dimensions, seed=snakemake.params.seed)
model.save(snakemake.output.model, snakemake.output.vocabulary)
