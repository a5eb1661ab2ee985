"""What searches write is read back as one table of candidates."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from crosswalk.search_files import read_searches, write_search


def outputs(folder):
    paths = {f"{side}_{kind}": folder / f"{side}_{kind}.arrow" for side in "xy" for kind in ("scores", "directions")}
    return SimpleNamespace(tests=folder / "tests.csv", **paths)


def table(family, count):
    return pd.DataFrame({"family": [family] * count, "r": np.linspace(0.5, 0.1, count)})


def test_searches_with_and_without_directions_and_empty_ones_make_one_table(tmp_path):
    rng = np.random.default_rng(0)
    scores, directions = rng.normal(size=(9, 2)), rng.normal(size=(4, 2))
    write_search(
        outputs(tmp_path / "axes"), table("axes", 2), scores, -scores, list_name="plain", x_directions=directions,
        y_directions=-directions,
    )  # fmt: skip
    none = np.empty((9, 0))
    write_search(outputs(tmp_path / "none"), table("concepts-topk-8", 0), none, none, list_name="beyond", width=4)
    write_search(
        outputs(tmp_path / "pairs"), table("topk-8", 1), scores[:, :1], scores[:, 1:], list_name="plain", width=8
    )
    found = read_searches([tmp_path / name for name in ("axes", "none", "pairs")], width=(4, 4))
    assert list(found.tests["family"]) == ["axes", "axes", "topk-8"] and set(found.tests["list"]) == {"plain"}
    np.testing.assert_allclose(found.x_scores, np.hstack([scores, scores[:, :1]]), rtol=1e-6)
    np.testing.assert_allclose(found.y_scores, np.hstack([-scores, scores[:, 1:]]), rtol=1e-6)
    np.testing.assert_allclose(found.directions["y"][:2], -directions.T, rtol=1e-6)
    assert np.isnan(found.directions["x"][2]).all()


def test_a_file_of_another_search_is_refused(tmp_path):
    scores = np.zeros((9, 2))
    write_search(outputs(tmp_path), table("axes", 2), scores, scores, list_name="plain")
    table("axes", 3).to_csv(tmp_path / "tests.csv", index=False)
    with pytest.raises(ValueError, match="3 tests, 2 scores"):
        read_searches([tmp_path], width=(4, 4))
