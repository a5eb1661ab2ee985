"""Put each relation into words, and measure how well the words fit texts that did not make them."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.embedding import embed, open_embedder, open_store
from crosswalk.files import read_parquet, read_vectors, write_csv, write_parquet
from crosswalk.items import average_by_group, folds
from crosswalk.job import device
from crosswalk.models import embedding_of
from crosswalk.naming import Vocabulary, describe_relations, name_traits

source, params = snakemake.input, snakemake.params
found, ends, scores = (read_parquet(source[key]) for key in ("found", "ends", "scores"))
first = scores[scores["relation"] == 1]
items = first["id"].to_numpy()
# A third of the items makes no names, so that fidelity is measured on texts the names have not seen.
train = folds(first["block"].to_numpy(), 3, seed=params.seed) != 0

embedder = open_embedder(
    embedding_of(snakemake.config, params.collections[0]),  # that of both sides: a relation needs one space
    lexical=list(source.lexical) or None,
    device=device(snakemake),
    threads=snakemake.threads,
    seed=params.seed,
)
store = open_store(embedder, snakemake.config["cache"])
names = {}
for key, preamble in zip("xy", params.preambles, strict=True):
    rows = read_parquet(source[f"{key}_rows"])
    _, vectors, _ = read_vectors(source[key], ids=rows["id"])
    owner = rows["id" if key == "x" else "group"]
    own = owner.isin(set(items)).to_numpy()
    position = {item: i for i, item in enumerate(items)}
    texts = [text.removeprefix(preamble) for text in rows["text"][own]]
    vocabulary = Vocabulary(texts, items=[position[item] for item in owner[own]], count=len(items))
    names[key] = name_traits(
        vocabulary,
        scores[f"{key}_score"].to_numpy().reshape(-1, len(items)).T,
        embed=lambda phrases: embed(phrases, embedder, store=store).vectors,
        train=train,
        vectors=average_by_group(vectors[own], owner[own].to_numpy(), items),
    )
    log.info("%s: %d phrases to choose from", params.collections["xy".index(key)], len(vocabulary.phrases))

table = describe_relations(found, ends, names, collections=params.collections, verb=params.verb)
write_csv(snakemake.output.table, table)
write_parquet(snakemake.output.parquet, table)
fidelity = np.nanmean(table[["x_fidelity", "y_fidelity"]].to_numpy(np.float64)) if len(table) else np.nan
log.info("%d relations named, mean fidelity %.2f", len(table), fidelity)
for text in table.loc[table["confirmed"], "sentence"].head(5):
    log.info("%s", text)
