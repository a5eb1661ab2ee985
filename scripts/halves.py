"""Split a sample of each side's texts into halves, by which a matching is checked."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk.files import read_parquet, write_parquet
from crosswalk.halves import draw_apart

params, tables = snakemake.params, []
for side, preamble in zip("ab", params.preambles, strict=True):
    rows = read_parquet(snakemake.input[side])
    texts = [text.removeprefix(preamble) for text in rows["text"]]
    halves = draw_apart(rows["id"].tolist(), texts, check=params.check, bridge=params.bridge, seed=params.seed)
    log.info(
        "%s: %d of %d texts split into halves (%s)",
        side,
        len(halves),
        len(rows),
        halves["use"].value_counts().to_dict(),
    )
    halves[["first", "second"]] = preamble + halves[["first", "second"]]
    tables.append(halves.assign(side=side))
table = pd.concat(tables, ignore_index=True)[["side", "id", "use", "first", "second"]]
write_parquet(snakemake.output[0], table.astype(str))
