"""Judge every point of a sweep, and choose the one that finds most of the links hidden for validation."""

from crosswalk.job import start

log = start(snakemake)

import pandas as pd

from crosswalk.files import read_json, write_csv, write_json
from crosswalk.recommend_files import read_roles, works_from
from crosswalk.recommend_sweep import ablation, compare
from crosswalk.trained import METHODS

source, params, output = snakemake.input, snakemake.params, snakemake.output
works, points = works_from(source, params.path), params.points
models = (METHODS[params.settings["method"]].load(path) for path in source.models)
facts = [read_json(path) for path in source.facts]
sweep = compare(works, read_roles(source.split), models, points, facts, seed=params.seed)
write_csv(output.sweep, sweep)
write_csv(output.ablation, ablation(sweep))
histories = [pd.read_csv(path).assign(point=name) for name, path in zip(points, source.histories, strict=True)]
columns = ["point", "epoch", "loss", "log_loss", "recall_at_10"]
write_csv(output.history, pd.concat(histories)[columns] if histories else pd.DataFrame(columns=columns))
place = int(sweep["chosen"].to_numpy().argmax()) if len(sweep) else None
chosen = None if place is None else list(points.values())[place]
write_json(output.chosen, {"place": place, "point": chosen})
if chosen:
    log.info("%d points; chosen %s: recall@10 %.3f", len(sweep), sweep["point"][place], sweep["recall_at_10"][place])
