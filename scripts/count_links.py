"""Count the usable rows of one collection that link to each item of another."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.links import write_counts
from crosswalk.sampling import count_links
from crosswalk.sources import resolve

params = snakemake.params
source = resolve(snakemake.input.source, url=params.fetched)
write_counts(snakemake.output[0], *count_links(source, params.settings, name=params.name))
