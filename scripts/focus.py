"""Test what goes with each phrase of the config, alone and by itself."""

from crosswalk.job import start

log = start(snakemake)

import numpy as np
import pandas as pd

from crosswalk.files import write_csv, write_json
from crosswalk.focus import focus_axes, hypotheses
from crosswalk.paid import Embedding
from crosswalk.search_files import read_linked, write_found

source, params = snakemake.input, snakemake.params
linked = read_linked(source, params)
asked = hypotheses(params.focus)
vectors, usage = {}, {}
for side in "xy":
    # Each side's phrases in the space of that side's own vectors.
    embedding = Embedding(snakemake, params.collections["xy".index(side)], lexical=source.lexical)
    wanted = sorted({phrase for test in asked if (phrase := getattr(test, side)) is not None})
    if wanted:
        given, usage[side] = embedding(wanted)
        vectors.update({(side, phrase): vector for phrase, vector in zip(wanted, given, strict=True)})

given = ([vectors.get((side, getattr(test, side))) for test in asked] for side in "xy")
found = focus_axes(linked.x, linked.y, linked.blocks, *given, **linked.options)
# Every phrase is a search of its own, of one candidate: its greatest r is its r.
none = np.zeros(len(asked), dtype=np.intp)
write_found(
    snakemake.output,
    [test.name for test in asked],
    (none, none),
    found,
    list_name="focus",
    blocks=linked.blocks,
    width=linked.x.shape[1],
    p=found.p,
    p_max=found.p,
)
# Where both sides have a phrase, y was turned round if the two go against one another.
signs = [
    np.nan if test.x is None or test.y is None else float(np.sign(direction @ vectors["y", test.y]))
    for test, direction in zip(asked, found.y_directions.T, strict=True)
]
phrases = [(test.name, test.x, test.y, sign) for test, sign in zip(asked, signs, strict=True)]
write_csv(snakemake.output.phrases, pd.DataFrame(phrases, columns=["family", "x_phrase", "y_phrase", "sign"]))
write_json(snakemake.output.usage, usage)
log.info("%d phrases tested on %d items; %d with p <= 0.05", len(asked), len(linked.ids), (found.p <= 0.05).sum())
