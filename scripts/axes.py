"""Find canonical axes of two linked collections and test them on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.canonical import canonical_axes
from crosswalk.files import write_json
from crosswalk.search_files import read_linked, write_found

settings, linked = snakemake.params.settings, read_linked(snakemake.input, snakemake.params)
found = canonical_axes(
    linked.x, linked.y, linked.blocks, axes=settings["axes"], rotate=settings["rotate"], **linked.options
)  # fmt: skip
units = np.arange(len(found.r))
tests = write_found(
    snakemake.output,
    "axes",
    (units, units),
    found,
    list_name=snakemake.wildcards.list,
    blocks=linked.blocks,
    pooled=True,
)
# Of axes that are told together, the space is what can be relied on.
write_json(snakemake.output.facts, {"rotated": min(settings["rotate"], len(units)), "overlap": found.overlap.tolist()})
log.info(
    "%d items, %d axes; held-out r of the strongest %.3f, p %.2g",
    len(linked.ids),
    len(tests),
    found.r[0],
    tests["p"][0],
)
log.info("%d of %d axes have p <= 0.05 before correction", (tests["p"] <= 0.05).sum(), len(tests))
log.info(
    "between disjoint halves: median axis %.2f, their space %.2f", np.median(found.stability), found.overlap[-1]
)  # fmt: skip
