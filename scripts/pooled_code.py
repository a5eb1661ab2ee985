"""Train one autoencoder on both sides of a matching together, so that its units mean the same on either."""

from crosswalk.job import device, start

log = start(snakemake)

import numpy as np
from safetensors.numpy import load_file

from crosswalk.anchors import load_maps
from crosswalk.comparison import order_of
from crosswalk.files import read_vectors, write_csv, write_vectors
from crosswalk.training import encode, save, train

source, params = snakemake.input, snakemake.params
rows, halves, ids = {}, {}, {}
for side, transform in zip("ab", load_maps(load_file(source.maps)), strict=True):
    ids[side], vectors, _ = read_vectors(source[f"{side}_vectors"])
    half_ids, half_vectors, _ = read_vectors(source[f"{side}_halves"])
    mapped = transform.apply(vectors)
    # Each side about its own mean: else the encoder would learn first which side a row is from.
    rows[side] = (mapped - mapped.mean(axis=0)).astype(np.float32)
    halves[side] = half_ids, (transform.apply(half_vectors) - mapped.mean(axis=0)).astype(np.float32)
# Not from the texts whose halves check the matching: an encoder that has seen both makes them agree.
checked = {side: {name.rpartition("/")[0] for name in halves[side][0]} for side in "ab"}
learned = {side: [i for i in order_of(ids[side]) if ids[side][i] not in checked[side]] for side in "ab"}
together = np.vstack([rows[side][learned[side]] for side in "ab"])
trained = train(together, **params.settings, device=device(snakemake), seed=params.seed)
save(snakemake.output.model, trained)
write_csv(snakemake.output.history, trained.history)
for side in "ab":
    write_vectors(snakemake.output[f"{side}_codes"], ids[side], encode(trained, rows[side]), column="code")
    write_vectors(snakemake.output[f"{side}_halves"], halves[side][0], encode(trained, halves[side][1]), column="code")
log.info("%s with %d units on %d rows", params.settings["encoder"], params.settings["dim"], len(together))
