"""Draw the rows of one collection and render each as one text."""

from crosswalk.job import start

log = start(snakemake)

from pathlib import Path

from crosswalk.files import digest, write_json
from crosswalk.sampling import sample
from crosswalk.sources import resolve

params = snakemake.params
source = resolve(snakemake.input.source, url=params.fetched)
target = resolve(snakemake.input.get("target", []))
tally = sample(
    source,
    params.settings,
    name=params.name,
    seed=params.seed,
    out=snakemake.output.rows,
    at_least=params.at_least,
    link_counts=dict(zip(params.at_least, resolve(snakemake.input.get("counts", [])), strict=True)),
    target=target[0] if target else None,
)
counts = {"read": tally.read, "kept": tally.kept, "rejected": dict(tally.rejected), "cut": tally.cut}
files = {"source": [Path(path).name for path in source], "sha256": [digest(path) for path in source]}
write_json(snakemake.output.counts, counts | files)
