"""Train the label-tree classifier of the works' texts."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk import label_tree
from crosswalk.recommend_files import seen_links, works_from

source, params = snakemake.input, snakemake.params
works = works_from(source, {})
fitting = works.fitting(seen_links(works, source, snakemake.wildcards.part))
model = label_tree.fit(fitting, trees=params.settings["tree"]["trees"], seed=params.seed)
model.save(snakemake.output[0])
