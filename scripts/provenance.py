"""Record what made the results: settings, versions, inputs, counts, cost."""

from crosswalk.job import start

log = start(snakemake)

import os
from pathlib import Path

from crosswalk.files import atomic, digest, read_json, read_parquet, write_json
from crosswalk.provenance import (
    named_files,
    package_versions,
    pinned,
    platform_facts,
    release,
    repeatable,
    repeating_config,
    timings,
)

names, params = snakemake.params.collections, snakemake.params
root = Path(snakemake.scriptdir).parent
usage = {name: read_json(path) for name, path in zip(params.embedded, snakemake.input.usage, strict=True)}
record = {
    "crosswalk": release(root),
    "config": params.config,
    "packages": package_versions(root / "envs/requirements.lock"),
    "platform": platform_facts(),
    "code": params.code_versions,
    "collections": {name: read_json(path) for name, path in zip(names, snakemake.input.counts, strict=True)},
    "files": {
        key: {Path(path).name: digest(path) for path in paths} for key, paths in named_files(snakemake.config).items()
    },
    "embedding": usage,
    "relations": {
        name: {"confirmed": int(table["confirmed"].sum()), "strict": int(table["strict"].sum())}
        for name, path in zip(params.relations, snakemake.input.relations, strict=True)
        for table in [read_parquet(path)]
    },
    "names": {name: read_json(path) for name, path in zip(params.tested, snakemake.input.names, strict=True)},
    "focus": {name: read_json(path) for name, path in zip(params.focused, snakemake.input.asked, strict=True)},
    "steering": {name: read_json(path) for name, path in zip(params.steered, snakemake.input.steered, strict=True)},
    "phrases": {name: read_json(path) for name, path in zip(params.phrases, snakemake.input.phrases, strict=True)},
    "matches": {
        name: {key: found[key] for key in ("identifiable", "rows", "matched", "weights") if key in found}
        for name, path in zip(params.matchings, snakemake.input.matches, strict=True)
        for found in [read_json(path)]
    },
    "recommenders": {
        name: {key: found[key] for key in ("works", "tagged", "subjects", "links", "members", "left_out", "statement")}
        for name, path in zip(params.recommenders, snakemake.input.recommended, strict=True)
        for found in [read_json(path)]
    },
    "timings": timings(params.benchmarks, params.steps),
}
write_json(snakemake.output.record, record)
config, cut = repeating_config(snakemake.config, root=Path.cwd(), home=Path.home())
text = repeatable(
    config,
    record,
    path=snakemake.output.config,
    cut=cut,
    pins=pinned(root / "envs/requirements.lock"),
    direct=pinned(root / "envs/requirements.in", until="# development"),
    environment=os.environ,
)
with atomic(snakemake.output.config, "w") as file:
    file.write(text)
spent = [*record["embedding"].values(), *record["phrases"].values()]
embedded, cached = (sum(one[key] for one in spent) for key in ("embedded", "cached"))
log.info("%d texts embedded, %d from the cache", embedded, cached)
