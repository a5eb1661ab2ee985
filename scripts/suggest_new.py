"""Suggest subjects for the works of a new file, by what was learned before."""

from crosswalk.job import start

log = start(snakemake)

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from crosswalk import features, interactions, new_works
from crosswalk.files import read_parquet, write_json
from crosswalk.interactions import read_links
from crosswalk.paid import Embedding
from crosswalk.recommend_files import advisor_from, works_from
from crosswalk.recommend_study import Works
from crosswalk.recommender import BATCH
from crosswalk.suggestions import Writer
from crosswalk.threads import in_batches
from crosswalk.trained import load_trained

source, params, output, names = snakemake.input, snakemake.params, snakemake.output, snakemake.wildcards
works, entry = works_from(source, params.path), {"tags": params.tags, **params.path}
places = None
if "path" in entry:
    column = read_parquet(source.rows)[entry["path"]["column"]]
    places = interactions.places(column, separator=entry["path"]["separator"])[1]
found = new_works.read(
    list(source.new), params.works, entry, name=names.recommender, file=names.file, ids=works.ids,
    subjects=read_parquet(source.subjects), places=places,
)  # fmt: skip
terms = features.Features.load(source.model, source.vocabulary).transform(found.texts)
vectors = None
if works.vectors is not None:
    vectors, _ = Embedding(snakemake, params.settings["works"], lexical=source.lexical)(found.texts)
links = found.links + read_links(source.borne)[np.maximum(found.rows, 0)].multiply(found.rows[:, None] >= 0)
links = csr_array(links > 0, dtype=np.float32)  # a work that is known already keeps what it bears
links.sort_indices()
new = Works(found.ids, found.texts, links, terms, works.labels, vectors=vectors, paths=found.paths)
trained = load_trained(source, method=params.settings["method"])
advisor = advisor_from(source, works, trained, params.settings, top=params.top, seed=params.seed)


def answered(rows):
    queries = replace(new.queries(rows, new.links), rows=found.rows[rows])
    return advisor.rows([new.ids[row] for row in rows], queries)


every, told = np.arange(len(new.ids)), "works answered"
with Writer(csv=output.suggestions, parquet=output.parquet) as writer:
    for table in in_batches(answered, every, size=BATCH, threads=snakemake.threads, told=told):
        writer.append(table)
write_json(output.counts, found.counts)
log.info("%d suggestions for %d works", writer.rows, len(new.ids))
