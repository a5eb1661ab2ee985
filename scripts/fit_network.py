"""Train the network that reads the works' texts and embedding."""

from crosswalk.job import start

log = start(snakemake)

from dataclasses import replace

from crosswalk import text_network
from crosswalk.recommend_files import seen_links, works_from

source, settings = snakemake.input, dict(snakemake.params.settings["network"])
works = works_from(source, {})
fitting = works.fitting(seen_links(works.links, source))
if not settings.pop("vectors"):
    fitting = replace(fitting, vectors=None)
text_network.fit(fitting, **settings, seed=snakemake.params.seed).save(snakemake.output[0])
