"""Weigh the models of a recommender by links hidden from them, and judge them by others."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk import splits
from crosswalk.files import write_csv, write_json, write_tensors
from crosswalk.recommend_files import read_roles, works_from
from crosswalk.recommend_study import fit_members, judge, scenarios
from crosswalk.recommend_tables import diagnostics, keep, records
from crosswalk.trained import load_trained

source, params, output = snakemake.input, snakemake.params, snakemake.output
works, roles = works_from(source, params.path), read_roles(source.split)
fitting = works.fitting(splits.visible(works.links, roles))
trained = load_trained(source, method=params.settings["method"])
models, left_out = fit_members(fitting, params.settings, texts=works.texts, trained=trained, seed=params.seed)
judged = {
    scenario: judge(
        works, roles, models, params.settings, scenario=scenario, seed=params.seed, threads=snakemake.threads
    )
    for scenario in scenarios(roles)
}
tables = {
    name: pd.concat([getattr(one, name) for one in judged.values()], ignore_index=True)
    for name in ("evaluation", "reliability", "weights")
}
for name, table in tables.items():
    write_csv(output[name], table)
write_tensors(output.stack, keep(judged))
facts = diagnostics(works, roles, models, left_out, tables["evaluation"], params.settings)
write_json(output.evaluation_json, {"statement": facts["statement"], "evaluation": records(tables["evaluation"])})
write_json(output.diagnostics, facts)
log.info("%s", facts["statement"])
