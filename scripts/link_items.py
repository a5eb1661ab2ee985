"""Say which items have both sides, which of them depend on one another, and what else is known of each."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import write_json, write_parquet
from crosswalk.item_table import item_table

source, params = snakemake.input, snakemake.params
table, facts = item_table(
    source.x_rows,
    source.y_rows,
    name=snakemake.wildcards.relation,
    collections=params.collections,
    preambles=params.preambles,
    listed=params.covariates,
    folds=params.folds,
)
write_parquet(snakemake.output.linked, table)
write_json(snakemake.output.facts, facts)
log.info("%d items in %d blocks, the largest of %d", facts["items"], facts["blocks"], facts["largest_block"])
for side, own in facts["copies"].items():
    log.info("%s: %d texts, %d equal to another and %d nearly so", side, own["texts"], own["equal"], own["near"])
for use in ("listed", "watched"):
    names = [key for key, own in facts["covariates"].items() if own["use"] == use]
    log.info("covariates %s: %s", use, ", ".join(names) or "none")
for key, own in facts["covariates"].items():
    if own["use"] == "left out":
        log.info("covariate %s left out: %s", key, own["left_out"])
