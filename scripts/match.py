"""Match two collections: weigh the blocks, compare, decide who gets whom, and say how sure that is."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import read_json, read_parquet, write_csv, write_json, write_parquet, write_vectors
from crosswalk.halves import CHECK
from crosswalk.match_study import run, sides_from
from crosswalk.match_tables import tables_from
from crosswalk.truth import truths

source, params, output = snakemake.input, snakemake.params, snakemake.output
rows = {side: read_parquet(source[f"{side}_rows"]) for side in "ab"}
halves = read_parquet(source.halves)
facts, words = read_json(source.alignment), read_json(source.keywords)
sides, study = sides_from(source, rows, halves[halves["use"] == CHECK], words, params)
judged = truths(params.truth, params.labels, *(rows[side].iloc[sides[side].order] for side in "ab"))
key = f"match.{snakemake.wildcards.matching}"
found = run(sides, study, judged, facts=facts, settings=params.settings, seed=params.seed, key=key)
tables = tables_from(found, sides, rows, study)
for name in ("matches", "candidates"):
    write_csv(output[name], tables[name])
    write_parquet(output[f"{name}_parquet"], tables[name])
for name in ("weights", "blocks", "evaluation", "topics"):
    write_csv(output[name], tables[name])
write_parquet(output.map, tables["map"])
for side in "ab":
    write_vectors(output[f"{side}_topics"], rows[side]["id"], sides[side].topics[sides[side].back], column="topics")
write_json(output.diagnostics, {"collections": list(params.collections), **found.diagnostics})
log.info("%s", found.diagnostics["statement"])
