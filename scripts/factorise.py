"""Learn vectors of works and subjects."""

from crosswalk.job import start

log = start(snakemake)

import time

from crosswalk.files import read_json, write_csv, write_json
from crosswalk.recommend_files import seen_links, works_from
from crosswalk.trained import fit_factorisation

source, params = snakemake.input, snakemake.params
works = works_from(source, params.path)
point = read_json(source.chosen)["point"] if source.get("chosen") else params.point
fitting = works.fitting(seen_links(works.links, source))
began = time.monotonic()
model, history, facts = fit_factorisation(fitting, **point, **params.settings, seed=params.seed)
seconds = time.monotonic() - began
model.save(snakemake.output.model)
write_csv(snakemake.output.history, history)
write_json(snakemake.output.facts, facts)
log.info("%d epochs in %.0f s", len(history), seconds)
