"""The table of truth: what the methods find, claim and name in worlds whose truth we know.

python tests/truth/table.py [--quick] [--only recovery questions names nulls] [--seeds 10] [--worlds 200]

Prints the table and writes it to results/truth, one CSV for each part, with the seeds and the time of each part.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import nulls
import questions
import recovery
import workers

ROOT = Path(__file__).parents[2]
SINGLE = ["confounder", "echoes", "phrase", "phrase_of_nothing", "rare", "blends", "invariances", "tiny"]
# What has to hold of a figure: the least and the most it may be.
BARS = {
    "links found at .6, of 8": (7, 8), "links found at .4, of 8": (5, 8), "links found at .3, of 8": (4, 8),
    "false share": (0, 0.05), "claims of one link": (0.95, 1), "wrong signs": (0, 0),
    "intervals that hold, claims about a link": (0.92, 0.97), "worst share of worlds with a claim": (0, 0.07),
    "found links named by planted words": (0.9, 1), "median fidelity": (0.85, 1),
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed of each, a few null worlds, no language model")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, help="worlds of each kind (default 10, quick 1)")
    parser.add_argument("--worlds", type=int, help="null worlds of each kind (default 200, quick 2)")
    parser.add_argument("--processes", type=int, default=workers.PROCESSES)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "truth")
    given = parser.parse_args()
    seeds = range(given.seeds or (1 if given.quick else 10))
    given.out.mkdir(parents=True, exist_ok=True)
    pd.set_option("display.width", 200, "display.max_columns", 30, "display.precision", 3)
    figures, times = {}, []
    for name in given.only:
        began = time.perf_counter()
        tables = PARTS[name](given, seeds, figures)
        times.append({"part": name, "seconds": round(time.perf_counter() - began, 1), "seeds": len(seeds)})
        for title, table in tables.items():
            table.to_csv(given.out / f"{title}.csv", index=False, float_format="%.6g")
            print(f"\n== {title.replace('_', ' ')}\n{table.to_string(index=False)}", flush=True)
    bars = judged(figures)
    bars.to_csv(given.out / "bars.csv", index=False, float_format="%.6g")
    pd.DataFrame(times).to_csv(given.out / "times.csv", index=False)
    for title, table in (("against what has to hold", bars), ("time", pd.DataFrame(times))):
        print(f"\n== {title}\n{table.to_string(index=False)}")


def recovered(given, seeds, figures):
    """Eight links at three strengths, by the default method and as published; intervals."""
    jobs = [{"strength": strength, "seed": seed} for seed in seeds for strength in recovery.STRENGTHS]
    spread = {"processes": given.processes}
    ours = workers.spread(recovery.recover, jobs, title="worlds with links", **spread)
    theirs = workers.spread(recovery.recover_as_published, jobs, title="as published", **spread)
    return recovery_tables(ours, theirs, figures)


def recovery_tables(ours, theirs, figures):
    """The tables of `recovered`, from the results of its worlds."""
    default = recovery.summary(ours, "default")
    table = pd.concat(
        [
            default,
            *(
                recovery.summary([{**result, **result[read]} for result in theirs], f"as published, {said}")
                for read, said in (("read", "pairs it reads"), ("strongest", "strongest pairs"))
            ),
        ],
        ignore_index=True,
    )
    covered = recovery.coverage(ours)
    for row in default.itertuples():
        figures[f"links found at {f'{row.strength:g}'.lstrip('0')}, of 8"] = row.found
    claims = default["claims"].sum()
    figures["false share"] = (default["false"] + default["wrong sign"]).sum() / max(claims, 1)
    figures["claims of one link"] = default["one link"].sum() / max(claims, 1)
    figures["wrong signs"] = default["wrong sign"].sum()
    figures["intervals that hold, claims about a link"] = covered.set_index("claims of").loc["about a link", "covered"]
    every = [{"strength": r["strength"], "seed": r["seed"], **claim} for r in ours for claim in r["claims"]]
    return {"recovery": table, "coverage": covered, "claims": pd.DataFrame(every)}


def calibrated(given, seeds, figures):
    """Worlds without links: nine combinations, and blocks, unequal blocks, editions."""
    jobs = nulls.null_jobs("quick" if given.quick else "full", worlds=given.worlds)
    results = workers.spread(nulls.null_world, jobs, title="worlds without links", processes=given.processes)
    table = nulls.calibration(results)
    figures["worst share of worlds with a claim"] = table["share"].max()
    return {"calibration": table, "null_worlds": pd.DataFrame(results)}


def single(given, seeds, figures):
    """Confounder, echo, phrase and the other single questions."""
    jobs = [{"question": question, "seed": seed} for seed in seeds for question in SINGLE]
    results = workers.spread(ask, jobs, title="single questions", processes=given.processes)
    return {"questions": shares(results)}


def ask(*, question, **job):
    return {"question": question, **getattr(questions, question)(**job)}


def named(given, seeds, figures):
    """Texts: names and their fidelity, the topic echo, quotations."""
    kinds = ["tfidf"] if given.quick else ["tfidf", "minilm"]
    # The language model takes a minute a world: three worlds tell enough of it.
    jobs = [
        {"question": question, "seed": seed, "kind": kind}
        for kind in kinds
        for seed in (seeds if kind == "tfidf" else list(seeds)[:3])
        for question in ("names", "text_echo")
    ]
    results = workers.spread(ask, jobs, title="worlds of texts", processes=given.processes)
    return names_tables(results, figures)


def names_tables(results, figures):
    """The tables of `named`, from the results of its worlds."""
    table = []
    asked = [result for result in results if result["question"] == "names"]
    for kind in dict.fromkeys(result["kind"] for result in asked):
        own = [result for result in asked if result["kind"] == kind]
        hits = pd.DataFrame([hit for result in own for hit in result["hits"]], columns=HIT)
        fidelity = hits[["x_fidelity", "y_fidelity"]].to_numpy(np.float64)
        row = {"embeddings": kind, "seeds": len(own), "found of 8": np.median([result["found"] for result in own]),
               "claims": sum(result["claims"] for result in own), "named on both sides": (hits["x"] & hits["y"]).mean(),
               "x": hits["x"].mean(), "y": hits["y"].mean(),
               "median fidelity": np.nanmedian(fidelity) if len(hits) else np.nan}  # fmt: skip
        table.append(row)
        figures.setdefault("found links named by planted words", row["named on both sides"])
        figures.setdefault("median fidelity", row["median fidelity"])
    echoes = [result for result in results if result["question"] == "text_echo"]
    return {"names": pd.DataFrame(table), "text_echo": shares(echoes)}


HIT = ["link", "x", "x_fidelity", "y", "y_fidelity"]
PARTS = {"recovery": recovered, "questions": single, "names": named, "nulls": calibrated}


def shares(results):
    """Mean of every figure over the seeds: a row for each question and figure."""
    found = {}
    for result in results:
        asked = " ".join(str(result[key]) for key in ("question", "kind") if key in result)
        for figure, value in result.items():
            if figure not in ("question", "kind", "seed"):
                found.setdefault((asked, figure), []).append((float(value), result["seed"]))
    return pd.DataFrame(
        [
            {"question": asked, "figure": figure, "mean": np.nanmean([v for v, _ in values] or [np.nan]),
             "worlds": len(values), "first_seed": values[0][1], "last_seed": values[-1][1]}
            for (asked, figure), values in found.items()
        ]
    )  # fmt: skip


def judged(figures):
    """Each figure beside what has to hold of it."""
    return pd.DataFrame(
        [
            {"figure": name, "value": figures[name], "least": least, "most": most,
             "holds": bool(least <= figures[name] <= most)}
            for name, (least, most) in BARS.items() if name in figures
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
