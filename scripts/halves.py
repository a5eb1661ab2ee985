"""Split a sample of each side's texts into halves, by which a matching is checked."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk.files import read_parquet, write_parquet
from crosswalk.halves import draw

params, tables = snakemake.params, []
for side, preamble in zip("ab", params.preambles, strict=True):
    rows = read_parquet(snakemake.input[side])
    texts = [text.removeprefix(preamble) for text in rows["text"]]
    halves = draw(rows["id"].tolist(), texts, count=params.number, seed=params.seed)
    log.info("%s: %d of %d texts split into halves", side, len(halves), len(rows))
    halves[["first", "second"]] = preamble + halves[["first", "second"]]
    tables.append(halves.assign(side=side))
write_parquet(snakemake.output[0], pd.concat(tables, ignore_index=True)[["side", "id", "first", "second"]].astype(str))
