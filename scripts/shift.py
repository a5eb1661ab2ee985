"""Find what one side shifts to when a unit of the other's encoder is active, and test it on items held out."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.files import read_vectors
from crosswalk.items import nuisance, prepared_items
from crosswalk.search_files import write_search
from crosswalk.shifts import unit_shifts
from crosswalk.significance import candidate_table

source, settings, seed = snakemake.input, snakemake.params.settings, snakemake.params.seed
rows = source.linked, source.x_rows, source.y_rows
listed = {"covariates": snakemake.params.covariates, "fold_count": settings["folds"], "seed": seed}
basis = read_vectors(source.basis)[1].T if source.get("basis") else None
ids, blocks, x, y = prepared_items(*rows, source.x, source.y, remove=basis, **listed)
# Beyond x, the units of y's encoder are not asked: they still see what was taken out of y's vectors.
_, _, x_codes, y_codes = prepared_items(*rows, source.x_codes, source.y_codes)
if basis is not None:
    y_codes = None
if len(ids) < settings["least_items"]:
    log.info("%d items; concepts are looked for from %d on (relate.*.concepts)", len(ids), settings["least_items"])
    x_codes, y_codes = np.zeros((len(ids), 0)), None
found = unit_shifts(
    x_codes,
    y_codes,
    x,
    y,
    blocks,
    units=settings["units"],
    components=settings["components"],
    ridge=settings["ridge"],
    fold_count=settings["folds"],
    permutations=settings["permutations"],
    bootstrap=settings["bootstrap"],
    seed=seed,
    nuisance=nuisance(source.linked, **listed),
)
tests = candidate_table(
    f"concepts-{snakemake.wildcards.encoding}",
    found.x_unit,
    found.y_unit,
    n=len(ids),
    r=found.r,
    low=found.low,
    high=found.high,
    stability=found.stability,
    null=found.null,
    pooled=False,
    blocks=len(np.unique(blocks)),
    p=found.p,
    p_max=found.p_max,
    p_floor=found.p_floor,
)
write_search(
    snakemake.output,
    tests,
    found.x_scores,
    found.y_scores,
    list_name=snakemake.wildcards.list,
    x_directions=found.x_directions,
    y_directions=found.y_directions,
    width=x.shape[1],
)
log.info(
    "%d items, %d units tested, %d kept; %d with p <= 0.05 before correction",
    len(ids),
    found.tested,
    len(tests),
    (tests["p"] <= 0.05).sum(),
)
