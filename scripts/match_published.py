"""Match two collections the notebook's own way, to show the difference; nothing here says who corresponds to whom."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import files
from crosswalk.anchors import Maps
from crosswalk.published_match import Side, run, standardise
from crosswalk.published_tables import tables_from
from crosswalk.published_topics import topics_apart
from crosswalk.truth import truths

source, params, output = snakemake.input, snakemake.params, snakemake.output
key = f"match.{snakemake.wildcards.matching}"
rows = {side: files.read_parquet(source[f"{side}_rows"]) for side in "ab"}
texts = {
    side: [text.removeprefix(preamble) for text in rows[side]["text"]]
    for side, preamble in zip("ab", params.preambles, strict=True)
}
fits = topics_apart(
    texts, settings=params.settings, seed=params.seed, folder=snakemake.config["cache"], key=f"{key}.topics"
)
sides = {}
for side in "ab":
    ids = rows[side]["id"].to_numpy()
    codes = files.read_vectors(source[f"{side}_codes"], ids=ids)[1]
    sides[side] = Side(ids, codes if params.encoding else standardise(codes), fits.mixtures[side])
    files.write_vectors(output[f"{side}_topics"], ids, fits.mixtures[side], column="topics")
judged = truths(params.truth, params.labels, rows["a"], rows["b"])
found = run(
    sides, fits.words, judged,
    names=params.collections, encoding=params.encoding or "standardised embeddings", seed=params.seed, key=key,
)  # fmt: skip
tables = tables_from(found, sides, fits.words, top=params.top, encoding=params.encoding)
for name in ("matches", "candidates"):
    files.write_csv(output[name], tables[name])
    files.write_parquet(output[f"{name}_parquet"], tables[name])
for name in ("weights", "blocks", "evaluation", "topics"):
    files.write_csv(output[name], tables[name])
files.write_parquet(output.map, tables["map"])
files.write_csv(output.models, fits.models)
files.write_json(output.keywords, fits.words)
files.write_tensors(output.maps, Maps(*found.aligned.maps, {}).tensors())
files.write_json(output.diagnostics, found.diagnostics)
log.warning("%s", found.diagnostics["statement"])
