"""What a search reads, and what it leaves behind: a folder with what it tested, how items score, and directions."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from crosswalk.files import read_vectors, write_csv, write_vectors
from crosswalk.items import nuisance, prepared_items
from crosswalk.significance import candidate_table

OPTIONS = {"components": "components", "ridge": "ridge", "folds": "fold_count"}
OPTIONS |= {"permutations": "permutations", "bootstrap": "bootstrap"}  # key of a relation's config: name in a search


class Linked(NamedTuple):
    """ids, blocks, x, y: the items of a relation, see `items.prepared_items`; beyond: whether the echo was taken out of
    y; options: what all searches are told, the covariates as `nuisance` among it.
    """

    ids: np.ndarray
    blocks: np.ndarray
    x: np.ndarray
    y: np.ndarray
    beyond: bool
    options: dict


def read_linked(source, params):
    """The items of a relation as its searches see them.

    source: named files linked, x_rows, y_rows, x, y, and basis where the echo is to go; params: settings of the
    relation, covariates and seed. Returns Linked.
    """
    settings, seed = params.settings, params.seed
    listed = {"covariates": params.covariates, "fold_count": settings["folds"], "seed": seed}
    basis = read_vectors(source.basis)[1].T if source.get("basis") else None
    found = prepared_items(
        source.linked, source.x_rows, source.y_rows, source.x, source.y, remove=basis, **listed
    )  # fmt: skip
    options = {name: settings[key] for key, name in OPTIONS.items() if key in settings}
    options |= {"seed": seed, "nuisance": nuisance(source.linked, **listed)}
    return Linked(*found, basis is not None, options)


@dataclass(frozen=True)
class Candidates:
    """The candidates of several searches, m in all, of n items.

    tests: m rows; x_scores, y_scores: (n, m); directions: {"x": (m, d_x), "y": (m, d_y)}, nan where there is none.
    """

    tests: pd.DataFrame
    x_scores: np.ndarray
    y_scores: np.ndarray
    directions: dict


def write_search(output, tests, x_scores, y_scores, *, list_name, x_directions=None, y_directions=None, width=1):
    """Write a search: tests.csv with the list it belongs to, and the files of scores and directions.

    output: has the paths `tests`, `x_scores`, `y_scores`, `x_directions`, `y_directions`; tests: m rows, m may be 0;
    x_scores, y_scores: (n, m); list_name: "plain", "beyond" or "focus"; x_directions, y_directions: (d, m), None if
    the search has none, which leaves a file of no rows of `width` numbers.
    """
    names = [str(i) for i in range(len(tests))]
    write_csv(output.tests, tests.assign(list=list_name))
    for path, scores in ((output.x_scores, x_scores), (output.y_scores, y_scores)):
        write_vectors(path, names, scores.T, column="score")
    for path, directions in ((output.x_directions, x_directions), (output.y_directions, y_directions)):
        rows = np.empty((0, width)) if directions is None else directions.T
        write_vectors(path, names[: len(rows)], rows, column="direction")


def write_found(output, family, units, found, *, list_name, blocks, pooled=False, width=1, **counted):
    """Write what a search found, and return its table.

    family: name of the search, or one for each candidate; units: x_unit and y_unit, (m,) each; found: has r, low, high,
    stability, null, the scores, and directions if there are any; blocks: labels of the n items that r is measured on;
    output, list_name, width: see `write_search`; pooled, counted: see `significance.candidate_table`.
    """
    measured = {key: getattr(found, key) for key in ("r", "low", "high", "stability", "null")}
    n, count = len(blocks), len(np.unique(blocks))
    tests = candidate_table(family, *units, n=n, blocks=count, pooled=pooled, **measured, **counted)
    directions = {f"{side}_directions": getattr(found, f"{side}_directions", None) for side in "xy"}
    write_search(output, tests, found.x_scores, found.y_scores, list_name=list_name, width=width, **directions)
    return tests


def read_searches(folders, *, width):
    """The candidates of all searches in one table.

    folders: paths, each written by `write_search` of the same items; width: (d_x, d_y) of the embeddings.
    Returns Candidates, in the order of the folders. Raises ValueError if a file does not hold what its table says.
    """
    tables, scores, directions = [], {"x": [], "y": []}, {"x": [], "y": []}
    for folder in map(Path, folders):
        tests = pd.read_csv(folder / "tests.csv")
        if tests.empty:
            continue
        tables.append(tests)
        for side, d in zip("xy", width, strict=True):
            own = read_vectors(folder / f"{side}_scores.arrow")[1]
            pointing = read_vectors(folder / f"{side}_directions.arrow")[1]
            pointing = pointing if len(pointing) else np.full((len(tests), d), np.nan)
            if not len(own) == len(pointing) == len(tests):
                raise ValueError(f"{folder}: {len(tests)} tests, {len(own)} scores, {len(pointing)} directions")
            scores[side].append(own)
            directions[side].append(pointing)
    return Candidates(
        pd.concat(tables, ignore_index=True),
        *(np.vstack(scores[side]).T for side in "xy"),
        {side: np.vstack(directions[side]) for side in "xy"},
    )
