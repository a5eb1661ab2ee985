"""Suggest subjects for every work."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk.interactions import read_links
from crosswalk.recommend_files import advisor_from, works_from
from crosswalk.recommender import BATCH
from crosswalk.suggestions import Writer
from crosswalk.threads import in_batches
from crosswalk.trained import load_trained

source, params, output = snakemake.input, snakemake.params, snakemake.output
works = works_from(source, params.path)
trained = load_trained(source, method=params.settings["method"])
borne = read_links(source.borne)  # also what was too little to learn from
advisor = advisor_from(source, works, trained, params.settings, top=params.top, seed=params.seed)


def answered(rows):
    return advisor.rows([works.ids[row] for row in rows], works.queries(rows, borne))


every, told = np.arange(len(works.ids)), "works answered"
with Writer(csv=output.suggestions, parquet=output.parquet) as writer:
    for table in in_batches(answered, every, size=BATCH, threads=snakemake.threads, told=told):
        writer.append(table)
log.info("%d suggestions for %d works", writer.rows, len(works.ids))
