"""Find what one side shifts to when a unit of the other's encoder is active, and test it on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.items import prepared_items
from crosswalk.search_files import read_linked, write_found
from crosswalk.shifts import unit_shifts

source, settings = snakemake.input, snakemake.params.settings
ids, blocks, x, y, beyond, options = read_linked(source, snakemake.params)
_, _, x_codes, y_codes = prepared_items(source.linked, source.x_rows, source.y_rows, source.x_codes, source.y_codes)
if beyond:  # the units of y's encoder still see what was taken out of y's vectors: they are not asked
    y_codes = None
if len(ids) < settings["least_items"]:
    log.info("%d items; concepts are looked for from %d on (relate.*.concepts)", len(ids), settings["least_items"])
    x_codes, y_codes = np.zeros((len(ids), 0)), None
found = unit_shifts(x_codes, y_codes, x, y, blocks, units=settings["units"], **options)
tests = write_found(
    snakemake.output,
    f"concepts-{snakemake.wildcards.encoding}",
    (found.x_unit, found.y_unit),
    found,
    list_name=snakemake.wildcards.list,
    blocks=blocks,
    width=x.shape[1],
    p=found.p,
    p_max=found.p_max,
    p_floor=found.p_floor,
)
log.info(
    "%d items, %d units tested, %d kept; %d with p <= 0.05 before correction",
    len(ids),
    found.tested,
    len(tests),
    (tests["p"] <= 0.05).sum(),
)
