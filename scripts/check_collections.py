"""Check the collections against one another before anything is embedded."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.files import write_json
from crosswalk.sampling import check
from crosswalk.sources import resolve

params = snakemake.params
tables = dict(zip(params.names, resolve(snakemake.input.rows), strict=True))
rows = check(tables, targets=params.settings)
log.info("collections fit together: %s", ", ".join(f"{name} {n:,} rows" for name, n in rows.items()))
write_json(snakemake.output[0], rows)
