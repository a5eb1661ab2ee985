"""Figures hold what they were given, in stable bytes, without dates, addresses or colours of their own."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crosswalk import figures


def pixels(picture):
    """The picture as RGBA values (rows, columns, 4)."""
    data = base64.b64decode(picture.uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)


def every_figure():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200))
    history = pd.DataFrame({"epoch": np.arange(1, 11), "loss": 1 / np.arange(1, 11)})
    inertia = pd.DataFrame({"k": [1, 2, 3], "inertia": [9.0, 4.0, 3.0]})
    table = pd.DataFrame({"name": ["dense-8/seed-1", "topk-8/seed-1"], "median_r": [0.3, 0.4]})
    return {
        "elbow": figures.elbow(inertia, clusters=2),
        "map": figures.cluster_map(x, y, np.arange(200) % 11 + 1, explained=[0.4, 0.2]),
        "differences": figures.differences([("embedding", x), ("topk-8", y[:8])], chance=0.2),
        "losses": figures.losses([("dense", 8, 1, history), ("dense", 16, 1, history), ("topk", 8, 1, history)]),
        "scores": figures.held_out(x, y, names=("papers", "reviews")),
        "weights": figures.critical_weights([("unit 3", x), ("unit 4", y)], kept=20),
        "encoders": figures.encoders(table.assign(pca_median_r=[0.2, np.nan])),
    }


@pytest.fixture(scope="module")
def drawn():
    return every_figure()


def test_figures_are_the_same_twice(drawn):
    assert every_figure() == drawn


def test_figures_carry_no_date_address_style_or_unknown_number(drawn):
    for svg in drawn.values():
        assert svg.startswith("<svg") and svg.endswith("</svg>")
        assert not re.search(r"http|<metadata|<style|<!|xlink|xmlns|\bnan\b|20\d\d-\d\d", svg)


def test_figures_take_their_colours_from_the_page(drawn):
    for svg in drawn.values():
        assert "var(--ink)" in svg
        assert not re.search(r"#[0-9a-f]{6}", svg)


def test_every_point_is_drawn(drawn):
    assert drawn["scores"].count("h0") == 200
    assert drawn["map"].count("h0") == 200


def test_many_points_become_one_image():
    x = np.random.default_rng(0).normal(size=figures.POINTS_AS_VECTORS + 1)
    svg = figures.held_out(x, x, names=("a", "b"))
    assert svg.count("<image") == 1 and "h0M" not in svg
    assert len(svg) < 150_000


def test_a_name_with_dollars_is_no_formula():
    assert "a $x^2$ &lt;b&gt;" in figures.held_out(np.arange(3.0), np.arange(3.0), names=("a $x^2$ <b>", "y"))


def test_matrix_is_lighter_where_it_is_higher():
    light = pixels(figures.matrix(np.array([[-1.0, -0.5, 0.0, 0.5, 1.0]]))) @ [0.299, 0.587, 0.114, 0]
    assert (np.diff(light[0]) > 0).all()


def test_matrix_leaves_the_unknown_transparent():
    picture = figures.matrix(np.array([[np.nan, 1.0], [-1.0, np.nan]]))
    assert pixels(picture)[..., 3].tolist() == [[0, 255], [255, 0]]
    assert (picture.low, picture.high) == (-1.0, 1.0)


def test_large_matrix_is_shown_by_evenly_spaced_rows():
    picture = figures.matrix(np.tile(np.linspace(-1, 1, 5000)[:, None], (1, 3)))
    assert (picture.rows, picture.columns) == (figures.CELLS[0], 3)
    assert len(np.unique(pixels(picture)[:, 0, :3], axis=0)) == figures.LEVELS


def test_matrix_of_zeros_is_drawn():
    assert pixels(figures.matrix(np.zeros((2, 3)))).shape == (2, 3, 4)
