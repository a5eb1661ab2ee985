"""One-to-one partners by candidates and flow, with proof, beside scipy's solver on the whole matrix.

python benchmarks/assignment.py [--sizes 2000 5000 10000 20000] [--width 384] [--noise 2.5] [--dense-rows 2000]

The rows are unit vectors: a common offset, a part that both partners share, noise, and one row of b in fifty a hub near
the middle of everything. Each measurement is a process of its own, so that its peak memory is its own; numpy and the
vectors are in it. Scipy's solver is left out where its matrix would hold more than 2 GB or takes more than 2 minutes.
The target: 20,000 x 20,000 in less than 2 minutes and 2 GB on two cores.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from memory import peak_mb

from crosswalk.assignment import DENSE_ROWS, assign
from crosswalk.neighbours import Product

MOST_SECONDS, MOST_BYTES = 120, 2e9
PART = 512  # rows of the matrix made at once
HUBS, HUBNESS = 50, 0.3  # one row in so many is a hub, with so much of its own left


def collections(rows, width, noise, *, seed=0):
    """Unit rows a, b (rows, width) float32 and the row of b that belongs to each row of a."""
    rng = np.random.default_rng(seed)
    shared, offset = rng.standard_normal((rows, width), np.float32), 0.5 * rng.standard_normal(width, np.float32)
    sides = [shared + np.float32(noise) * rng.standard_normal((rows, width), np.float32) for _ in "ab"]
    sides[1][: rows // HUBS] *= HUBNESS
    a, b = ((side + offset) / np.linalg.norm(side + offset, axis=1, keepdims=True) for side in sides)
    order = rng.permutation(rows)
    return a, b[order], np.argsort(order)


def ours(a, b, dense_rows):
    found = assign(Product(a, b), mode="one_to_one", dense_rows=dense_rows)
    return found.partner, {
        "total": found.total,
        "gap": found.bound - found.total,
        "solver": found.solver,
        "rounds": found.rounds,
    }


def scipy(a, b, _):
    from scipy.optimize import linear_sum_assignment

    cost = np.empty((len(a), len(b)))
    for start in range(0, len(a), PART):
        cost[start : start + PART] = a[start : start + PART] @ b.T
    np.negative(cost, out=cost)
    rows, partner = linear_sum_assignment(cost)
    return partner, {"total": float(-cost[rows, partner].sum())}


def measure(method, options):
    """Print what one method did with one size, as JSON."""
    a, b, truth = collections(options.sizes[0], options.width, options.noise)
    wall, cpu = time.perf_counter(), time.process_time()
    partner, found = {"ours": ours, "scipy": scipy}[method](a, b, options.dense_rows)
    found |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    print(json.dumps(found | {"peak": peak_mb(), "right": float((partner == truth).mean())}))


def run(method, size, options):
    """What `measure` prints in a process of its own, or why there is nothing."""
    if method == "scipy" and 8 * size**2 > MOST_BYTES:
        return f"> {MOST_BYTES / 1e9:.0f} GB"
    given = {"--width": options.width, "--noise": options.noise, "--dense-rows": options.dense_rows, "--sizes": size}
    command = [sys.executable, __file__, "--measure", method, *(str(part) for pair in given.items() for part in pair)]
    try:
        limit = MOST_SECONDS if method == "scipy" else None
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"> {MOST_SECONDS} s"
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000, 5000, 10_000, 20_000])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--noise", type=float, default=2.5, help="of the partners, in parts of what they share")
    parser.add_argument("--dense-rows", type=int, default=DENSE_ROWS)
    parser.add_argument("--measure", choices=["ours", "scipy"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure, options)
    print(f"rows on each side, {options.width} wide, noise {options.noise}; seconds: CPU (wall); ratio of totals\n")
    print("| rows | solver, rounds | ours, s | ours, MB | gap | pairs right | scipy, s | scipy, MB | ratio - 1 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in options.sizes:
        mine, other = (run(method, size, options) for method in ("ours", "scipy"))
        cells = [
            f"{size:,}",
            f"{mine['solver']}, {mine['rounds']}",
            f"{mine['cpu']:.1f} ({mine['wall']:.1f})",
            f"{mine['peak']:.0f}",
            f"{mine['gap']:.1e}",
            f"{mine['right']:.3f}",
        ]
        if isinstance(other, str):
            cells += [other, "", ""]
        else:
            ratio = mine["total"] / other["total"] - 1
            cells += [f"{other['cpu']:.1f} ({other['wall']:.1f})", f"{other['peak']:.0f}", f"{ratio:.1e}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
