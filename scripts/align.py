"""Bring the embedding spaces of two sides together, and keep the maps."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.anchors import align_sides
from crosswalk.bridge import bridge_texts
from crosswalk.comparison import order_of
from crosswalk.files import read_json, read_parquet, read_vectors, write_json, write_tensors
from crosswalk.known_pairs import read_anchors

source, params = snakemake.input, snakemake.params
ids = [read_parquet(source[f"{side}_rows"])["id"].to_numpy() for side in "ab"]
vectors = [read_vectors(source[f"{side}_vectors"], ids=own)[1] for side, own in zip("ab", ids, strict=True)]
mixtures = [read_vectors(source[f"{side}_mixtures"], ids=own)[1] for side, own in zip("ab", ids, strict=True)]
phrases = [read_vectors(source[f"{side}_phrases"]) for side in "ab"]
words = {**read_json(source.keywords), "texts": bridge_texts(read_parquet(source.halves))}
anchors = None
if params.anchors:
    anchors = read_anchors(params.anchors, *ids, key=f"match.{snakemake.wildcards.matching}.alignment.anchors")
orders = [order_of(own) for own in ids]
aligned = align_sides(
    vectors, mixtures, [dict(zip(names, rows, strict=True)) for names, rows, _ in phrases],
    orders=orders, words=words, anchors=anchors, method=params.method, seed=params.seed,
)  # fmt: skip
write_tensors(snakemake.output.maps, aligned.tensors())
write_json(snakemake.output.facts, aligned.facts)
log.info("%s", aligned.facts["statement"])
