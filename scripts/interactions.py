"""Read which works bear which subjects."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import interactions, sources, tags
from crosswalk.files import read_parquet

source, params = snakemake.input, snakemake.params
name, settings, works = snakemake.wildcards.recommender, params.settings, params.works
ids = read_parquet(source.rows)["id"].tolist()
found = tags.read(
    sources.resolve(source.source, url=params.fetched),
    settings["tags"],
    ids=ids,
    name=name,
    id_column=works["id"],
    origin=settings["tags"]["source"] or works["source"],
)
minima = {key: settings[key] for key in ("min_works", "min_subjects")}
built = interactions.build(found, ids=ids, name=name, **minima)
if "broader" in settings:
    table = settings["broader"] | ({"path": source.broader[0]} if source.broader else {})
    broader, counts = interactions.hierarchy(built.subjects, table, name=name)
    built = built._replace(subjects=interactions.with_broader(built.subjects, broader), counts=built.counts | counts)
interactions.write(snakemake.output, built)
