"""Anchors are read with care; every regime finds a planted rotation, and its maps survive a file."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from crosswalk.anchors import align_sides, load_maps
from crosswalk.comparison import centred
from crosswalk.errors import UserError
from crosswalk.files import write_json, write_tensors
from crosswalk.known_pairs import read_anchors

KEY = "match.m.alignment.anchors"
A_IDS, B_IDS = np.array([f"a{i}" for i in range(9)], dtype=object), np.array([f"b{i}" for i in range(9)], dtype=object)


def table(folder, pairs, header="one,other"):
    file = folder / "anchors.csv"
    file.write_text("\n".join([header, *pairs]) + "\n")
    return {"path": str(file), "a": "one", "b": "other"}


def test_anchors_become_row_numbers(tmp_path):
    settings = table(tmp_path, ["a3,b1", "a0,b8", "a5,b5"])
    np.testing.assert_array_equal(read_anchors(settings, A_IDS, B_IDS, key=KEY), [[3, 1], [0, 8], [5, 5]])


def test_unknown_ids_are_named(tmp_path):
    settings = table(tmp_path, ["a3,b1", "a0,zz", "a5,yy", "a6,b2"])
    with pytest.raises(UserError, match=rf"^{KEY}: 2 of 4 pairs in .*anchors.csv.*side b.*'zz', 'yy'.*sample.n"):
        read_anchors(settings, A_IDS, B_IDS, key=KEY)


@pytest.mark.parametrize(("twice", "side"), [("a3,b7", "a"), ("a8,b1", "b"), ("a3,b1", "a")])
def test_an_id_in_two_pairs_is_named(tmp_path, twice, side):
    settings = table(tmp_path, ["a3,b1", "a0,b2", "a5,b5", twice])
    with pytest.raises(UserError, match=rf"^{KEY}: .*'{side}[13]' of side {side} in more than one pair"):
        read_anchors(settings, A_IDS, B_IDS, key=KEY)


def test_too_few_anchors_are_told(tmp_path):
    with pytest.raises(UserError, match=rf"^{KEY}: .*anchors.csv holds 2 pairs; give 3"):
        read_anchors(table(tmp_path, ["a3,b1", "a0,b2"]), A_IDS, B_IDS, key=KEY)


def test_a_missing_column_names_the_key(tmp_path):
    with pytest.raises(UserError, match=rf'^{KEY}: .*"other"'):
        read_anchors(table(tmp_path, ["a3,b1"], header="one,second"), A_IDS, B_IDS, key=KEY)


class World:
    """b is a rotation of a with noise; the same words in both spaces; mixtures of topics that say where a row lies."""

    def __init__(self, n=150, d=12, *, words=150, seed=0):
        rng = np.random.default_rng(seed)
        self.turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        middles = 2 * rng.normal(size=(d, d))
        kind = rng.integers(d, size=n)
        a = middles[kind] + rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5
        self.order = rng.permutation(n)
        b = (a @ self.turn + 0.05 * rng.normal(size=(n, d)))[self.order]
        self.vectors = [a, b]
        mixture = np.eye(d)[kind]
        self.mixtures = [mixture, mixture[self.order]]
        self.words = [f"w{i}" for i in range(words)]
        places = rng.normal(size=(words, d))
        self.phrases = [dict(zip(self.words, rows, strict=True)) for rows in (places, places @ self.turn)]
        topics = [[(f"w{i}", 1.0)] for i in range(d)]
        for i, word in enumerate(self.words[:d]):
            self.phrases[0][word], self.phrases[1][word] = middles[i], middles[i] @ self.turn
        self.keywords = {"topics": {"both": topics}, "bridge": self.words}
        own = np.argsort(self.order)
        self.anchors = np.column_stack([np.arange(0, n, 10), own[::10]])

    def align(self, method, **changed):
        options = {"orders": [np.arange(len(rows)) for rows in self.vectors], "words": self.keywords, "anchors": None,
                   "seed": 0} | changed  # fmt: skip
        return align_sides(self.vectors, self.mixtures, self.phrases, method=method, **options)

    def found(self, maps):
        a, b = (centred(side.apply(rows)) for side, rows in zip((maps.a, maps.b), self.vectors, strict=True))
        return (np.argsort(self.order) == (a @ b.T).argmax(axis=1)).mean()


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.mark.parametrize("method", ["words", "anchors", "topics", "unsupervised"])
def test_every_method_finds_a_planted_rotation(world, method):
    maps = world.align(method, anchors=world.anchors if method == "anchors" else None)
    assert world.found(maps) > 0.9
    assert maps.facts["method"] == method and maps.facts["statement"]


def test_one_model_is_only_centred(world):
    maps = world.align("none")
    for side, rows in zip((maps.a, maps.b), world.vectors, strict=True):
        np.testing.assert_allclose(side.apply(rows), rows - rows.mean(axis=0), atol=1e-12)
    assert world.found(maps) < 0.1


@pytest.mark.parametrize("method", ["none", "words", "anchors", "topics", "unsupervised"])
def test_saved_maps_are_the_same_to_the_byte(world, method, tmp_path):
    maps = world.align(method, anchors=world.anchors if method == "anchors" else None)
    write_tensors(tmp_path / "maps.safetensors", maps.tensors())
    write_json(tmp_path / "facts.json", maps.facts)  # which refuses what JSON cannot hold
    loaded = load_maps(load_file(tmp_path / "maps.safetensors"))
    for one, other, rows in zip((maps.a, maps.b), loaded, world.vectors, strict=True):
        assert one.apply(rows).tobytes() == other.apply(rows).tobytes()


@pytest.mark.parametrize("method", ["none", "words", "anchors", "topics"])
def test_the_order_of_rows_and_anchors_changes_no_byte(world, method):
    rng = np.random.default_rng(1)
    given = {"anchors": world.anchors if method == "anchors" else None}
    first = world.align(method, **given)
    before = first.tensors()
    moved = [rng.permutation(len(rows)) for rows in world.vectors]
    places = [np.argsort(order) for order in moved]
    other = World()
    other.vectors = [rows[order] for rows, order in zip(world.vectors, moved, strict=True)]
    other.mixtures = [rows[order] for rows, order in zip(world.mixtures, moved, strict=True)]
    if given["anchors"] is not None:
        anchors = np.column_stack([place[column] for place, column in zip(places, world.anchors.T, strict=True)])
        given["anchors"] = anchors[rng.permutation(len(anchors))]
    second = other.align(method, orders=places, **given)
    after = second.tensors()
    assert second.facts == first.facts
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert np.asarray(value).tobytes() == np.asarray(after[name]).tobytes(), name


def test_too_few_shared_words_are_a_users_error(world):
    few = {**world.keywords, "bridge": [*world.words[:60], *(f"unknown{i}" for i in range(90))]}
    with pytest.raises(UserError, match=r"embedded 60 texts.*at least 100.*alignment.anchors"):
        world.align("words", words=few)


def test_topics_of_two_models_are_paired_first(world):
    topics = world.keywords["topics"]["both"]
    other = World()
    other.vectors = [other.vectors[0], world.vectors[1] @ world.turn.T]  # one space, so that keywords can be paired
    other.phrases = [world.phrases[0]] * 2
    back = np.arange(len(topics))[::-1]
    other.mixtures = [other.mixtures[0], other.mixtures[1][:, back]]
    words = {"topics": {"a": topics, "b": [topics[i] for i in back]}, "bridge": []}
    assert other.found(other.align("topics", words=words)) > 0.7


def test_a_topic_that_one_side_lacks_is_no_obstacle(world):
    other = World()
    other.mixtures = [world.mixtures[0].copy(), world.mixtures[1].copy()]
    other.mixtures[0][:, 3] = 0
    maps = other.align("topics")
    assert np.isfinite(maps.a.rotation).all() and other.found(maps) > 0.7


def test_one_topic_cannot_align(world):
    other = World()
    other.mixtures = [mixture[:, :1] for mixture in world.mixtures]
    words = {"topics": {"both": world.keywords["topics"]["both"][:1]}, "bridge": []}
    with pytest.raises(UserError, match=r"^alignment.method: the 1 topics"):
        other.align("topics", words=words)


def test_paired_topics_need_one_space(world):
    other = World()
    other.vectors = [world.vectors[0], world.vectors[1][:, :-1]]
    topics = world.keywords["topics"]["both"]
    other.phrases = [world.phrases[0], {word: place[:-1] for word, place in world.phrases[1].items()}]
    with pytest.raises(UserError, match=r"alignment.method: words"):
        other.align("topics", words={"topics": {"a": topics, "b": topics}, "bridge": []})
