"""Embed what one side of a matching needs besides its rows: halves of texts, query phrases, keywords, shared words."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.bridge import bridge_texts
from crosswalk.embedding import vector_metadata
from crosswalk.files import read_json, read_parquet, write_json, write_vectors
from crosswalk.halves import CHECK
from crosswalk.paid import Embedding

source, params = snakemake.input, snakemake.params
embedding = Embedding(snakemake, params.collection, lexical=source.lexical)
halves, words = read_parquet(source.halves), read_json(source.keywords)
shared = {*words["bridge"], *bridge_texts(halves)} if params.bridge else set()
halves = halves[(halves["side"] == snakemake.wildcards.side) & (halves["use"] == CHECK)]
keywords = {word for topics in words["topics"].values() for topic in topics for word, _ in topic}
phrases = sorted({*keywords, *shared, *filter(None, params.phrases)})
texts = [*phrases, *halves["first"], *halves["second"]]
vectors, usage = embedding(texts)
about = vector_metadata(embedding.embedder, vectors)
write_vectors(snakemake.output.phrases, phrases, vectors[: len(phrases)], metadata=about)
names = [f"{row}/{number}" for number in (1, 2) for row in halves["id"]]
write_vectors(snakemake.output.halves, names, vectors[len(phrases) :], metadata=about)
write_json(snakemake.output.usage, usage)
log.info("%d phrases and %d halves by %s", len(phrases), len(names), about["model"])
