"""Compare the means of two labels of one collection, before and after encoding."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk.description import difference
from crosswalk.files import read_parquet, read_vectors, write_csv
from crosswalk.labels import labelled

source, params, contrast = snakemake.input, snakemake.params, snakemake.params.contrast
table = pd.DataFrame(columns=["space", "dimension", "difference", "sd", "n_a", "n_b"])
if contrast:
    rows = read_parquet(source.rows)
    a, b = labelled(rows[contrast["column"]], contrast=contrast)
    files = {"embedding": source.vectors, **dict(zip(params.names, source.codes, strict=True))}
    spaces = {name: read_vectors(path, ids=rows["id"])[1] for name, path in files.items()}
    table = pd.concat([difference(values, a, b, space=name) for name, values in spaces.items()])
    log.info("%d rows are %r, %d are %r", a.sum(), contrast["values"][0], b.sum(), contrast["values"][1])
write_csv(snakemake.output[0], table)
