"""Count the usable rows of one collection that link to each item of another."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.links import write_counts
from crosswalk.sampling import count_links
from crosswalk.sources import resolve

settings = snakemake.params.settings
source = resolve(snakemake.input.source, url="url" in settings["source"])
name = settings["link"]["to"]
write_counts(snakemake.output[0], *count_links(source, settings, name=f"links to {name}"))
