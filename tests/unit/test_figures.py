"""Figures hold what they were given, in stable bytes, without dates, addresses or colours of their own."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crosswalk import figures, match_figures, relate_figures, svg


def pixels(picture):
    """The picture as RGBA values (rows, columns, 4)."""
    data = base64.b64decode(picture.uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)


def every_figure():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200))
    plane = np.column_stack([x, y])
    history = pd.DataFrame({"epoch": np.arange(1, 11), "loss": 1 / np.arange(1, 11)})
    inertia = pd.DataFrame({"k": [1, 2, 3], "inertia": [9.0, 4.0, 3.0]})
    table = pd.DataFrame({"name": ["dense-8/seed-1", "topk-8/seed-1"], "median_r": [0.3, 0.4]})
    return {
        "elbow": figures.elbow(inertia, clusters=2),
        "map": figures.cluster_map(x, y, np.arange(200) % 11 + 1, explained=[0.4, 0.2]),
        "differences": figures.differences([("embedding", x), ("topk-8", y[:8])], chance=0.2),
        "losses": figures.losses([("dense", 8, 1, history), ("dense", 16, 1, history), ("topk", 8, 1, history)]),
        "scores": relate_figures.held_out(x, y, names=("papers", "reviews")),
        "weights": figures.critical_weights([("unit 3", x), ("unit 4", y)], kept=20),
        "encoders": relate_figures.encoders(table.assign(pca_median_r=[0.2, np.nan])),
        "restored": relate_figures.restored(
            pd.DataFrame({"name": ["topk-8"], "held_out_x": 0.2, "pca_held_out_x": 0.3}).assign(
                held_out_y=np.nan, pca_held_out_y=np.nan
            ),
            names=("papers", "book_reviews"),
        ),
        "candidates": relate_figures.candidates(
            [
                (
                    "plain",
                    [("axes", x[:9] / 9, x[:9] > 0, y[:9] > 0, 0.2), ("pairs", x[:1], x[:1] > 9, x[:1] > 9, np.nan)],
                )
            ]
        ),
        "overlap": relate_figures.overlap({"plain": [0.2, 0.4], "beyond": [0.1, 0.3]}, chance=[0.1, 0.2]),
        "clouds": match_figures.clouds(plane[:40], plane[40:70], names=("a_side", "b"), pairs=[(0, 1), (2, 0)]),
    }


@pytest.fixture(scope="module")
def drawn():
    return every_figure()


def test_figures_are_the_same_twice(drawn):
    assert every_figure() == drawn


def test_figures_carry_no_date_address_style_or_unknown_number(drawn):
    for figure in drawn.values():
        assert figure.startswith("<svg") and figure.endswith("</svg>")
        assert not re.search(r"http|<metadata|<style|<!|xlink|xmlns|\bnan\b|20\d\d-\d\d", figure)


def test_figures_take_their_colours_from_the_page(drawn):
    for figure in drawn.values():
        assert "var(--ink)" in figure
        assert not re.search(r"#[0-9a-f]{6}", figure)


def test_every_point_is_drawn(drawn):
    assert drawn["scores"].count("h0") == 200
    assert drawn["map"].count("h0") == 200


def test_two_clouds_differ_in_shape_and_partners_are_joined(drawn):
    assert drawn["clouds"].count("h0") == 40
    crosses = re.search(r'd="([^"]*)"[^>]*stroke-width: 0\.95', drawn["clouds"])[1]
    assert (crosses.count("H"), crosses.count("V")) == (30, 30)
    (left, _, right), (middle, _, _) = (re.findall(rf"M(\S+) (\S+){arm}([^M]+)", crosses)[0] for arm in "HV")
    assert (float(left) + float(right)) / 2 == pytest.approx(float(middle), abs=0.1)
    lines = re.search(r'd="([^"]*)"[^>]*opacity: 0\.45; stroke: var\(--ink\)', drawn["clouds"])[1]
    assert lines.count("M") == 2


def test_clouds_of_no_row_and_of_equal_rows_are_drawn():
    assert match_figures.clouds(np.empty((0, 2)), np.zeros((3, 2)), names=("a", "b")).startswith("<svg")


def test_a_row_of_one_topic_has_its_colour_and_a_mixture_lies_between():
    colours = ["#ff0000", "#0000ff"]
    red, blue, both = match_figures.mix([[1, 0], [0, 1], [0.5, 0.5]], colours)
    assert (red, blue) == tuple(colours)
    assert "a0" < both[1:3] < "ff" and both[1:3] == both[5:7] and both[3:5] == "00"


def test_topics_with_most_share_have_a_colour_of_their_own():
    shares = np.arange(20.0)
    colours = match_figures.topic_colours(shares)
    assert colours[:4] == [match_figures.OTHERS] * 4
    assert len(set(colours[4:])) == 16 == match_figures.TOPICS


def test_topic_map_draws_every_row_and_numbers_the_topics_it_was_given():
    plane = np.random.default_rng(0).normal(size=(60, 2))
    mixtures = np.eye(3)[np.arange(60) % 3]
    colours = ["#aa0000", "#00aa00", "#0000aa"]
    drawn = match_figures.topic_map(plane, mixtures, colours=colours, numbers=[7, 0, 9], around=plane)
    assert drawn.count("h0") == 60
    assert re.findall(r">(\d)</text>", drawn)[-2:] == ["7", "9"]  # after those of the axes
    assert match_figures.topic_map(plane, mixtures, colours=colours, numbers=[7, 0, 9], around=plane) == drawn


def test_number_of_a_topic_stands_where_it_is_purest():
    purity = np.linspace(0.5, 1, 9)
    points = np.column_stack([np.arange(9.0), np.zeros(9)])
    middles = match_figures._middles(points, np.column_stack([purity, 1 - purity]), [0, 1])
    assert {topic: place.tolist() for topic, place in middles.items()} == {0: [7.0, 0.0]}


def test_numbers_of_topics_on_one_spot_do_not_hide_each_other():
    spot = np.zeros((4, 2))
    drawn = match_figures.topic_map(spot, np.eye(4), colours=["#aa0000"] * 4, numbers=[6, 7, 8, 9], around=spot)
    rings = re.findall(r'<text[^>]*(?:y|transform)="([^"]*)"[^>]*>[6-9]</text>', drawn)
    assert len(set(rings)) == 4


def test_numbers_on_one_spot_are_moved_apart():
    places = match_figures._apart(np.zeros((5, 2)))
    far = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(5, 1)]
    assert far.min() > 0.99 * match_figures.RING
    assert np.abs(places).max() < 5 * match_figures.RING


def test_sample_is_the_same_each_time_and_keeps_what_must_be_drawn():
    first, second = (match_figures.sample(1000, most=50, always=[3, 999, 3]) for _ in range(2))
    assert first.tolist() == second.tolist() == sorted(set(first.tolist()))
    assert len(first) == 50 and {3, 999} <= set(first.tolist())
    assert match_figures.sample(4, most=50).tolist() == [0, 1, 2, 3]


def test_many_points_become_one_image():
    x = np.random.default_rng(0).normal(size=svg.POINTS_AS_VECTORS + 1)
    drawn = relate_figures.held_out(x, x, names=("a", "b"))
    assert drawn.count("<image") == 1 and "h0M" not in drawn
    assert len(drawn) < 150_000


def test_a_name_with_dollars_is_no_formula():
    assert "a $x^2$ &lt;b&gt;" in relate_figures.held_out(np.arange(3.0), np.arange(3.0), names=("a $x^2$ <b>", "y"))


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
