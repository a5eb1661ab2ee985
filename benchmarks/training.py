"""Time to the loss of the notebook's training loop: that loop and ours, side by side, one thread each.

python benchmarks/training.py [--rows 5000] [--width 1536] [--dims 8 16 32 64] [--epochs 100]

The data are synthetic and resemble embeddings: 256 heavy-tailed factors of falling strength, noise, a common offset,
unit norm, then standardised. The notebook's loop is a DataLoader of a TensorDataset, batches of 32, Adam at .001. Its
loss is measured over all rows at the end. Ours counts as there after the first epoch whose loss is not above that;
the loss of an epoch is the mean over its batches while the weights still improve, so the claim errs on the safe side.
Seconds are CPU seconds of this process (wall clock in brackets), so that a busy machine does not decide.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from crosswalk import descent, training


def embeddings(rows, width, *, seed=0):
    """Float32 (rows, width) that looks like the embeddings of a collection."""
    rng = np.random.default_rng(seed)
    factors = rng.laplace(size=(rows, 256)) / np.sqrt(np.arange(1, 257))
    x = factors @ rng.standard_normal((256, width)) / 16 + 0.05 * rng.standard_normal((rows, width))
    x += 0.5 * rng.standard_normal(width)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def notebook(x, *, dim, epochs):
    """Final loss, CPU and wall seconds of the loop as one writes it in a notebook."""
    torch.manual_seed(0)
    width = x.shape[1]
    model = nn.Sequential(nn.Linear(width, dim), nn.ReLU(), nn.Sigmoid(), nn.Linear(dim, width))
    optimiser, criterion = torch.optim.Adam(model.parameters(), lr=1e-3), nn.MSELoss()
    loader = DataLoader(TensorDataset(x), batch_size=32, shuffle=True)
    start, wall = time.process_time(), time.perf_counter()
    for _ in range(epochs):
        for (batch,) in loader:
            optimiser.zero_grad()
            loss = criterion(model(batch), batch)
            loss.backward()
            optimiser.step()
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    with torch.no_grad():
        return criterion(model(x), x).item(), seconds, wall


def ours(x, *, dim, epochs, target):
    """Our loop: (epoch, CPU, wall seconds) at the target or None, final loss, CPU seconds of the whole run."""
    start, wall, reached = time.process_time(), time.perf_counter(), None
    model = training.build("dense", x.shape[1], dim, seed=0)
    plan = descent.schedule(*x.shape, encoder="dense", dim=dim)
    for row in descent.fit(model, x, plan, seed=0, epochs=epochs):
        if reached is None and row["loss"] <= target:
            reached = row["epoch"], time.process_time() - start, time.perf_counter() - wall
    return reached, row["loss"], time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--dims", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--epochs", type=int, default=100)
    args = parser.parse_args()
    torch.set_num_threads(1)
    raw = embeddings(args.rows, args.width)
    x = torch.from_numpy(training.standardise(raw, *training.moments(raw)))
    print(f"{args.rows} x {args.width}, {args.epochs} epochs, one thread\n")
    print(
        "| dim | notebook's loss | notebook, s | ours there after epoch | ours, s | ratio | our final loss | all, s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for dim in args.dims:
        loss, seconds, wall = notebook(x, dim=dim, epochs=args.epochs)
        reached, final, total = ours(x, dim=dim, epochs=args.epochs, target=loss)
        epoch, own, own_wall = reached or ("never", float("nan"), float("nan"))
        print(
            f"| {dim} | {loss:.4f} | {seconds:.1f} ({wall:.1f}) | {epoch} | {own:.2f} ({own_wall:.2f}) "
            f"| {seconds / own:.1f} ({wall / own_wall:.1f}) | {final:.4f} | {total:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
