"""Find the topics of two collections, and how much of each is in every row and half row."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.comparison import order_of
from crosswalk.files import read_parquet, write_csv, write_json, write_vectors
from crosswalk.halves import CHECK
from crosswalk.topic_study import bridge_words, study_topics

source, params = snakemake.input, snakemake.params
halves, rows, texts, held = read_parquet(source.halves), {}, {}, {}
halves = halves[halves["use"] == CHECK]
for side in "ab":
    table = read_parquet(source[side])
    rows[side] = table["id"].to_numpy()
    own = halves[halves["side"] == side]
    held[side] = table["id"].isin(own["id"]).to_numpy()
    parts = {"rows": table["text"], "first": own["first"], "second": own["second"]}
    preamble = params.preambles["ab".index(side)]
    texts[side] = {part: [text.removeprefix(preamble) for text in column] for part, column in parts.items()}
found = study_topics(
    texts,
    {side: order_of(ids) for side, ids in rows.items()},
    settings=params.settings,
    seed=params.seed,
    folder=snakemake.config["cache"],
    key=f"match.{snakemake.wildcards.matching}.topics",
    held=held,
)
write_csv(snakemake.output.models, found.models)
write_json(snakemake.output.keywords, {**found.keywords, "bridge": bridge_words(found, params.words)})
for side in "ab":
    own = halves.loc[halves["side"] == side, "id"]
    half_ids = [f"{row}/{number}" for number in (1, 2) for row in own]
    mixtures = found.mixtures[side]
    write_vectors(snakemake.output[f"{side}_mixtures"], rows[side], mixtures["rows"], column="topics")
    write_vectors(snakemake.output[f"{side}_again"], rows[side], mixtures["again"], column="topics")
    write_vectors(snakemake.output[f"{side}_halves"], half_ids, mixtures["halves"], column="topics")
