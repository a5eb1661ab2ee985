"""Run by the peers' Python: units of HypotheSAEs' sparse autoencoder and which of them it selects for a label.

Given: x float32 (n, d), label (n,), fold (n,), active, count, and prefixes, the units of each nested part, the last all
of them. For each fold, as `generate_hypotheses` begins: `train_sae` with its defaults on the rows outside the fold,
then `select_neurons` in each of its three ways.
Saves codes float32 (folds, n, units) and, for each way, selected (folds, count), its name the array's.
"""

import contextlib
import io
import sys
from unittest.mock import MagicMock

import numpy as np
import torch
from tqdm import tqdm

# Its package imports these as a whole; nothing that is called here uses them.
UNUSED = ("openai", "tiktoken", "sentence_transformers", "statsmodels", "statsmodels.api")
WAYS = ("separation_score", "correlation", "lasso")
BATCH = 512  # the default of `train_sae`


def main(given, made):
    sys.modules.update({name: MagicMock() for name in UNUSED})
    from hypothesaes import select_neurons, train_sae

    torch.set_num_threads(1)
    with np.load(given, allow_pickle=False) as file:
        x, label, fold, prefixes = (file[key] for key in ("x", "label", "fold", "prefixes"))
        active, count = int(file["active"]), int(file["count"])
    nested = {"matryoshka_prefix_lengths": prefixes.tolist()} if len(prefixes) > 1 else {}
    codes, selected = [], {way: [] for way in WAYS}
    for f in tqdm(range(fold.max() + 1), desc=f"HypotheSAEs, {prefixes[-1]} units", disable=None, position=1):
        rows = np.flatnonzero(fold != f)
        torch.manual_seed(f)
        with contextlib.redirect_stdout(io.StringIO()):
            # A last batch of one row has no variance, and the loss divides by it: that row is spared.
            learned = rows[:-1] if len(rows) % BATCH == 1 else rows
            model = train_sae(x[learned], int(prefixes[-1]), active, show_progress=False, **nested)
            codes.append(model.get_activations(x, show_progress=False))
            for way in WAYS:
                selected[way].append(select_neurons(codes[-1][rows], label[rows], count, way)[0])
    np.savez(made, codes=np.array(codes, np.float32), **{way: np.array(own) for way, own in selected.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
