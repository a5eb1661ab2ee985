"""Train the label-tree classifier of the works' texts."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import label_tree
from crosswalk.recommend_files import seen_links, works_from

source, params = snakemake.input, snakemake.params
works = works_from(source, {})
fitting = works.fitting(seen_links(works.links, source))
model = label_tree.fit(fitting, **params.settings["tree"], seed=params.seed, threads=snakemake.threads)
model.save(snakemake.output[0])
