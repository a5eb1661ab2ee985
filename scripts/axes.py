"""Find canonical axes of two linked collections and test them on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.canonical import canonical_axes
from crosswalk.files import read_vectors, write_json
from crosswalk.items import nuisance, prepared_items
from crosswalk.search_files import write_search
from crosswalk.significance import candidate_table

source, settings, seed = snakemake.input, snakemake.params.settings, snakemake.params.seed
listed = {"covariates": snakemake.params.covariates, "fold_count": settings["folds"], "seed": seed}
basis = read_vectors(source.basis)[1].T if source.get("basis") else None
ids, blocks, x, y = prepared_items(
    source.linked, source.x_rows, source.y_rows, source.x, source.y, remove=basis, **listed
)  # fmt: skip
found = canonical_axes(
    x,
    y,
    blocks,
    axes=settings["axes"],
    rotate=settings["rotate"],
    components=settings["components"],
    ridge=settings["ridge"],
    fold_count=settings["folds"],
    permutations=settings["permutations"],
    bootstrap=settings["bootstrap"],
    seed=seed,
    nuisance=nuisance(source.linked, **listed),
)
units = np.arange(len(found.r))
tests = candidate_table(
    "axes",
    units,
    units,
    n=len(ids),
    r=found.r,
    low=found.low,
    high=found.high,
    stability=found.stability,
    null=found.null,
    pooled=True,
    blocks=len(np.unique(blocks)),
)
write_search(
    snakemake.output,
    tests,
    found.x_scores,
    found.y_scores,
    list_name=snakemake.wildcards.list,
    x_directions=found.x_directions,
    y_directions=found.y_directions,
)
# Of axes that are told together, the space is what can be relied on.
write_json(snakemake.output.facts, {"rotated": min(settings["rotate"], len(units)), "overlap": found.overlap.tolist()})
log.info("%d items, %d axes; held-out r of the strongest %.3f, p %.2g", len(ids), len(tests), found.r[0], tests["p"][0])
log.info("%d of %d axes have p <= 0.05 before correction", (tests["p"] <= 0.05).sum(), len(tests))
log.info(
    "between disjoint halves: median axis %.2f, their space %.2f", np.median(found.stability), found.overlap[-1]
)  # fmt: skip
