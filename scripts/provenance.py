"""Record what made the results: settings, versions, inputs, counts, cost."""

from crosswalk.job import start

log = start(snakemake)

from pathlib import Path

import pandas as pd

from crosswalk.files import read_json, read_parquet, write_json
from crosswalk.provenance import package_versions, platform_facts, relative_paths

names, params = snakemake.params.collections, snakemake.params
timings = {}
for path in sorted(Path(params.benchmarks).rglob("*.tsv")):
    measured = pd.read_csv(path, sep="\t").iloc[-1]
    step = path.relative_to(params.benchmarks).with_suffix("").as_posix()
    timings[step] = {"seconds": float(measured["s"]), "peak_mb": float(measured["max_rss"])}
usage = {name: read_json(path) for name, path in zip(names, snakemake.input.usage, strict=True)}
record = {
    "config": relative_paths(params.config, root=Path.cwd()),
    "packages": package_versions(params.requirements),
    "platform": platform_facts(),
    "code": params.code_versions,
    "collections": {name: read_json(path) for name, path in zip(names, snakemake.input.counts, strict=True)},
    "embedding": usage,
    "relations": {
        name: {"confirmed": int(table["confirmed"].sum()), "strict": int(table["strict"].sum())}
        for name, path in zip(params.relations, snakemake.input.relations, strict=True)
        for table in [read_parquet(path)]
    },
    "timings": timings,
}
write_json(snakemake.output[0], record)
embedded, cached = (sum(one[key] for one in usage.values()) for key in ("embedded", "cached"))
log.info("%d texts embedded, %d from the cache", embedded, cached)
