"""Embed every n-th text of a collection into the cache, beside the jobs that embed the others."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import files
from crosswalk.paid import Embedding

part, _, parts = snakemake.wildcards.scatteritem.partition("-of-")
texts = files.read_parquet(snakemake.input.rows)["text"].iloc[int(part) - 1 :: int(parts)]
_, usage = Embedding(snakemake, snakemake.wildcards.collection, lexical=[])(texts)
files.write_json(snakemake.output[0], usage)
