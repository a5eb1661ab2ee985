"""Bring together all that was tested into distinct relations, with echo, cautions and the texts at each end."""

from crosswalk.job import start

log = start(snakemake)

from pathlib import Path

import numpy as np
import pandas as pd

from crosswalk.cautions import cautions
from crosswalk.confounding import watched
from crosswalk.encoder_study import compare_encoders
from crosswalk.files import read_json, read_parquet, read_vectors, write_csv, write_json, write_parquet, write_vectors
from crosswalk.items import folds, nuisance, prepared_items
from crosswalk.judging import judge_lists
from crosswalk.pairs import measuring
from crosswalk.power import power_table
from crosswalk.quotation import by_item
from crosswalk.reconstruction import study_columns
from crosswalk.relations import collect_relations, kind_of
from crosswalk.search_files import read_searches

source, params = snakemake.input, snakemake.params
settings, seed = params.settings, params.seed
listed = {"covariates": params.covariates, "fold_count": settings["folds"], "seed": seed}
ids, blocks, x, y = prepared_items(source.linked, source.x_rows, source.y_rows, source.x, source.y, **listed)
folders = list(dict.fromkeys(Path(path).parent for path in source.searches))
found = read_searches(folders, width=(x.shape[1], y.shape[1]))
tests = judge_lists(
    found.tests, found.x_scores, found.y_scores, alpha=settings["alpha"], overlap=settings["overlap"]
)  # fmt: skip
write_csv(snakemake.output.tested, tests)
write_csv(snakemake.output.power, power_table(tests, alpha=settings["alpha"]))
fold = folds(blocks, settings["folds"], seed=seed)
# Pairs are chosen on some items and measured on the others; what else is searched leaves out each item in its turn.
held_out = np.ones(found.x_scores.shape, dtype=bool)
held_out[:, (tests["family"].map(kind_of) == "pair").to_numpy()] = measuring(fold)[:, None]

told = collect_relations(
    tests, found.x_scores, found.y_scores,
    items=ids,
    x_embeddings=x,
    y_embeddings=y,
    directions=found.directions,
    fold=fold,
    held_out=held_out,
    sides={
        key: (read_parquet(source[f"{key}_rows"]), read_vectors(source[key])[1]) for key in "xy"
    },
    examples=settings["examples"],
)  # fmt: skip
stabilities = [pd.read_csv(path) for path in source.stabilities]  # of x, then of y, for each encoding
units = {
    name: {side: stabilities[2 * i + j]["stability"].to_numpy() for j, side in enumerate("xy")}
    for i, name in enumerate(params.encodings)
}
relations = told.relations.join(
    cautions(
        told.relations,
        told.scores,
        quoted=by_item(read_parquet(source.quotations), ids),
        covariates=watched(source.linked, listed=params.covariates),
        blocks=blocks,
        fold=fold,
        seed=seed,
        nuisance=nuisance(source.linked, **listed),
        unit_stability=units,
    )
)
write_parquet(snakemake.output.found, relations)
write_parquet(snakemake.output.ends, told.ends)
write_parquet(snakemake.output.scores, told.scores.assign(block=np.tile(blocks, len(relations))))
numbers = relations["relation"].astype(str)
write_vectors(snakemake.output.x_traits, numbers, told.x_traits, column="direction")
write_vectors(snakemake.output.y_traits, numbers, told.y_traits, column="direction")
trained = [read_json(path) for path in source.reconstructions]
encoders = compare_encoders(
    [pd.read_csv(path) for path in source.compared],
    params.encodings,
    [one["explained_variance"] for one in trained],
    alpha=settings["alpha"],
)
write_csv(snakemake.output.encoders, encoders.join(study_columns(trained, stabilities)))
left_out = list(params.left_out)
if len(ids) < settings["least_items"]:
    least = settings["least_items"]
    left_out.append(f"no concepts are searched: {len(ids)} items, fewer than concepts.least_items, which is {least}")
write_json(snakemake.output.searches, {"left_out": left_out})
for name, own in tests.groupby("list", sort=False):
    families, confirmed, distinct = own["family"].nunique(), own["confirmed"].sum(), (own["view_of"] < 0).sum()
    log.info("%s: %d candidates of %d searches tested, %d of them distinct", name, len(own), families, distinct)
    log.info(
        "%s: %d relations confirmed (false discovery rate %g), %d of them strictly",
        name, confirmed, settings["alpha"], own["strict"].sum(),
    )  # fmt: skip
    if families > settings["alpha"] * (settings["permutations"] + 1):
        log.warning(
            "%s: no relation can be strict: %d searches want more than %d shuffled worlds (relate.*.permutations)",
            name, families, families / settings["alpha"],
        )  # fmt: skip
for why in left_out:
    log.info("left out: %s", why)
