"""What a search leaves behind: a folder with what it tested, how items score on it, and directions where it has any."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crosswalk.files import read_vectors, write_csv, write_vectors


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
