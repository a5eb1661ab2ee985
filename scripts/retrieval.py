"""Measure how often a row finds its own item by the embedding, by the words alone, and by both."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import read_parquet, read_vectors, write_csv
from crosswalk.retrieval import LEXICAL, chance, compare

source, params = snakemake.input, snakemake.params
x_rows, y_rows = read_parquet(source.x_rows), read_parquet(source.y_rows)
_, x, about = read_vectors(source.x, ids=x_rows["id"])
_, y, _ = read_vectors(source.y, ids=y_rows["id"])
table = compare(
    x,
    y,
    name=LEXICAL if about["provider"] == "tfidf" else about["model"],
    texts=(x_rows["text"], y_rows["text"]),
    groups=y_rows["group"],
    ids=x_rows["id"],
    resamples=params.resamples,
    seed=params.seed,
)
write_csv(snakemake.output[0], table)
for row in table.itertuples():
    log.info(
        "%s, %d dimensions: %.3f of %d rows find their own among %d items first (chance %.4f)",
        row.embedding, row.dimensions, row.recall_at_1, row.rows, row.items, chance(row.items)["recall_at_1"],
    )  # fmt: skip
