"""Record what made the results: settings, versions, inputs, counts, cost."""

from crosswalk.job import start

log = start(snakemake)

from pathlib import Path

from crosswalk.files import read_json, read_parquet, write_json
from crosswalk.provenance import package_versions, platform_facts, timings

names, params = snakemake.params.collections, snakemake.params
root = Path(snakemake.scriptdir).parent
usage = {name: read_json(path) for name, path in zip(params.embedded, snakemake.input.usage, strict=True)}
record = {
    "config": params.config,
    "packages": package_versions(root / "envs/requirements.lock"),
    "platform": platform_facts(),
    "code": params.code_versions,
    "collections": {name: read_json(path) for name, path in zip(names, snakemake.input.counts, strict=True)},
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
write_json(snakemake.output[0], record)
spent = [*record["embedding"].values(), *record["phrases"].values()]
embedded, cached = (sum(one[key] for one in spent) for key in ("embedded", "cached"))
log.info("%d texts embedded, %d from the cache", embedded, cached)
