"""Draw which links are hidden, to weigh the models and to judge them."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import read_parquet, write_tensors
from crosswalk.interactions import read_links
from crosswalk.splits import split

source, settings = snakemake.input, snakemake.params.settings["split"]
roles = split(
    read_links(source.links),
    known=settings["known"],
    new=settings["new"],
    hide=settings["hide"],
    least=settings["from"],
    seed=snakemake.params.seed,
    ids=read_parquet(source.works)["id"].tolist(),
    subjects=read_parquet(source.subjects)["id"].tolist(),
    name=snakemake.wildcards.recommender,
)
write_tensors(snakemake.output[0], {"role": roles})
