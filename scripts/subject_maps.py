"""Draw maps of the works and of the subjects."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np
import pandas as pd
from scipy.sparse import diags_array

from crosswalk import similar
from crosswalk.files import read_parquet, write_csv, write_parquet
from crosswalk.recommend_files import works_from
from crosswalk.subject_maps import dense_places, subject_map

source, seed = snakemake.input, snakemake.params.seed
works, subjects = works_from(source, {}), read_parquet(source.subjects)
tagged = np.flatnonzero(np.diff(works.links.indptr))
ids = np.array(works.ids, object)[tagged]
placed = subject_map(similar.together(works.features[tagged], works.links[tagged]), ids, seed=seed)
places = [dense_places(placed, works.links[tagged], ids, works.labels).assign(map="works")]
write_parquet(snakemake.output.works, placed)
placed = subject_map(similar.company(works.links), subjects["id"], seed=seed)
borne = diags_array(subjects["works"].to_numpy(np.float32)).tocsr()
places.append(dense_places(placed, borne, subjects["id"], works.labels).assign(map="subjects"))
write_parquet(snakemake.output.subjects, placed.merge(subjects[["id", "label", "works"]], on="id"))
write_csv(snakemake.output.labels, pd.concat(places)[["map", "label", "x", "y"]])
