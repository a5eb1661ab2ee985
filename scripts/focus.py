"""Test what goes with each phrase of the config, alone and by itself."""

from crosswalk.job import device, start

log = start(snakemake)

import numpy as np
import pandas as pd

from crosswalk.embedding import embed, open_embedder, open_store
from crosswalk.files import write_csv, write_json
from crosswalk.focus import focus_axes, hypotheses
from crosswalk.items import nuisance, prepared_items
from crosswalk.models import embedding_of
from crosswalk.search_files import write_search
from crosswalk.significance import candidate_table

source, params = snakemake.input, snakemake.params
settings, seed = params.settings, params.seed
rows = source.linked, source.x_rows, source.y_rows
listed = {"covariates": params.covariates, "fold_count": settings["folds"], "seed": seed}
ids, blocks, x, y = prepared_items(*rows, source.x, source.y, **listed)
asked = hypotheses(params.focus)
vectors, usage = {}, {}
for side in "xy":
    # Each side's phrases in the space of that side's own vectors.
    embedder = open_embedder(
        embedding_of(snakemake.config, params.collections["xy".index(side)]),
        lexical=list(source.lexical) or None,
        device=device(snakemake),
        threads=snakemake.threads,
        seed=seed,
    )
    wanted = sorted({phrase for test in asked if (phrase := getattr(test, side)) is not None})
    if wanted:
        given, usage[side] = embed(wanted, embedder, store=open_store(embedder, snakemake.config["cache"]))
        vectors.update({(side, phrase): vector for phrase, vector in zip(wanted, given, strict=True)})

found = focus_axes(
    x,
    y,
    blocks,
    *([vectors.get((side, getattr(test, side))) for test in asked] for side in "xy"),
    components=settings["components"],
    ridge=settings["ridge"],
    fold_count=settings["folds"],
    permutations=settings["permutations"],
    bootstrap=settings["bootstrap"],
    seed=seed,
    nuisance=nuisance(source.linked, **listed),
)
# Every phrase is a search of its own, of one candidate: its greatest r is its r.
none = np.zeros(len(asked), dtype=np.intp)
tests = candidate_table(
    [test.name for test in asked],
    none,
    none,
    n=len(ids),
    r=found.r,
    low=found.low,
    high=found.high,
    stability=found.stability,
    null=found.null,
    pooled=False,
    p=found.p,
    p_max=found.p,
    blocks=len(np.unique(blocks)),
)
write_search(
    snakemake.output,
    tests,
    found.x_scores,
    found.y_scores,
    list_name="focus",
    x_directions=found.x_directions,
    y_directions=found.y_directions,
    width=x.shape[1],
)
# Where both sides have a phrase, y was turned round if the two go against one another.
signs = [
    np.nan if test.x is None or test.y is None else float(np.sign(direction @ vectors["y", test.y]))
    for test, direction in zip(asked, found.y_directions.T, strict=True)
]
phrases = [(test.name, test.x, test.y, sign) for test, sign in zip(asked, signs, strict=True)]
write_csv(snakemake.output.phrases, pd.DataFrame(phrases, columns=["family", "x_phrase", "y_phrase", "sign"]))
write_json(snakemake.output.usage, usage)
log.info("%d phrases tested on %d items; %d with p <= 0.05", len(asked), len(ids), (found.p <= 0.05).sum())
