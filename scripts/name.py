"""Put each relation into words, and measure how well the words fit texts that did not make them."""

from crosswalk.job import start

log = start(snakemake)

import math
from collections import Counter
from pathlib import Path

import numpy as np

from crosswalk.fidelity import REPORT, parts
from crosswalk.files import read_parquet, read_vectors, write_csv, write_json, write_parquet
from crosswalk.items import prepared_items
from crosswalk.naming import Vocabulary, name_traits
from crosswalk.paid import Embedding
from crosswalk.sentences import describe_relations

source, params = snakemake.input, snakemake.params
found, ends, scores = (read_parquet(source[key]) for key in ("found", "ends", "scores"))
# Covariates stay in: a name is about the texts as they are.
items, blocks, *vectors = prepared_items(source.linked, source.x_rows, source.y_rows, source.x, source.y)
part = parts(blocks, seed=params.seed)
report = part == REPORT
interpreter = params.interpreter["provider"] != "none"

# That of one side is that of both: a relation needs one space.
embedding = Embedding(snakemake, params.collections[0], lexical=source.lexical)
spent = Counter()
if interpreter:
    from crosswalk.budget import Budget
    from crosswalk.chat import Chat
    from crosswalk.interpreter import interpreted

    model = params.interpreter["model"]
    chat = Chat(
        model=model,
        base_url=params.interpreter["base_url"],
        at=f"relate.{snakemake.wildcards.relation}.interpreter",
        cache=Path(snakemake.config["cache"]) / "chat",
        budget=Budget(
            params.interpreter["budget"] or math.inf, at=f"relate.{snakemake.wildcards.relation}.interpreter.budget"
        ),
    )


def embedded(texts):
    """Vectors of phrases; what they took is added to what was spent."""
    rows, usage = embedding(texts)
    spent.update(usage)
    return rows


names = {}
for key, preamble, own_vectors in zip("xy", params.preambles, vectors, strict=True):
    rows = read_parquet(source[f"{key}_rows"])
    rows["text"] = [text.removeprefix(preamble) for text in rows["text"]]
    owners = rows["id" if key == "x" else "group"]
    own = owners.isin(set(items)).to_numpy()
    position = {item: i for i, item in enumerate(items)}
    vocabulary = Vocabulary(
        rows["text"][own].tolist(), items=[position[item] for item in owners[own]], count=len(items)
    )
    log.info("%s: %d phrases to choose from", params.collections["xy".index(key)], len(vocabulary.phrases))
    columns = scores[f"{key}_score"].to_numpy().reshape(-1, len(items)).T
    about = {"embed": embedded, "vectors": own_vectors, "blocks": blocks}
    names[key] = name_traits(vocabulary, columns, train=~report, test=report, **about)
    if interpreter:
        held = np.flatnonzero(found["confirmed"])  # only relations that hold are worth their price
        told = interpreted(
            [names[key][i] for i in held],
            chat,
            vocabulary,
            columns[:, held],
            part=part,
            by=model,
            rows=rows,
            row_vectors=read_vectors(source[key], ids=rows["id"])[1],
            owners=owners,
            items=items,
            **about,
        )
        for i, name in zip(held, told, strict=True):
            names[key][i] = name

table = describe_relations(found, ends, names, collections=params.collections, verb=params.verb)
write_csv(snakemake.output.table, table)
write_parquet(snakemake.output.parquet, table)
write_json(snakemake.output.usage, {"embedding": spent, "interpreter": chat.usage if interpreter else {}})
fidelity = table[["x_fidelity", "y_fidelity"]].to_numpy(np.float64)
log.info(
    "%d relations named, median fidelity %.2f",
    len(table),
    np.nanmedian(fidelity) if np.isfinite(fidelity).any() else np.nan,
)
if interpreter:
    won = sum(name.words.by == model for side in names.values() for name in side)
    log.info("%s named %d sides of %d relations: %s", model, won, len(table), chat.usage)
for text in table.loc[table["confirmed"], "sentence"].head(5):
    log.info("%s", text)
