"""List similar works, and similar subjects."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np

from crosswalk import similar
from crosswalk.files import read_parquet, write_parquet
from crosswalk.recommend_files import works_from

source, k = snakemake.input, snakemake.params.k
works, subjects = works_from(source, {}), read_parquet(source.subjects)
near = similar.similar_works(works.features, works.links, k=k)
ids = np.array(works.ids, object)
near = near.assign(work_id=ids[near["work"]], similar_id=ids[near["similar"]])
write_parquet(snakemake.output.works, near[["work_id", "rank", "similar_id", "similarity"]])
near = similar.similar_subjects(works.links, k=k)
own, other = subjects.iloc[near["subject"]], subjects.iloc[near["similar"]]
near["subject_id"], near["label"] = own["id"].to_numpy(), own["label"].to_numpy()
near["similar_id"], near["similar_label"] = other["id"].to_numpy(), other["label"].to_numpy()
columns = ["subject_id", "label", "rank", "similar_id", "similar_label", "similarity"]
write_parquet(snakemake.output.subjects, near[columns])
log.info("the %d most similar of %d works and of %d subjects", k, len(ids), len(subjects))
