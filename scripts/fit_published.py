"""Train the chapter's own model, for comparison."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import published_recommender
from crosswalk.files import write_csv
from crosswalk.recommend_files import seen_links, works_from

source, params = snakemake.input, snakemake.params
works = works_from(source, {})
model = published_recommender.fit(works.fitting(seen_links(works.links, source)), seed=params.seed)
model.save(snakemake.output.model)
write_csv(snakemake.output.history, model.history)
