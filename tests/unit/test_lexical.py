"""The embedders by words alone: exact, repeatable, finite for every text."""

import json

import numpy as np
import pytest
from safetensors import safe_open

from crosswalk.errors import UserError
from crosswalk.lexical import Hashing, Lexical

PLACES = ["harbour", "mountain", "desert", "forest", "meadow", "island"]
DEEDS = ["sailing boats", "climbing ropes", "riding camels", "felling trees", "mowing grass", "fishing nets"]
TEXTS = [
    f"{place} people spend day {i} {deed} near the {place}"
    for i in range(4)
    for place, deed in zip(PLACES, DEEDS, strict=True)
]
NEW = ["camels cross a desert", "ropes hold on the mountain", "zzz qqq", "?!", "harbour"]


@pytest.fixture
def fitted():
    return Lexical.fit(TEXTS, dimensions=6, seed=3)


def test_loaded_model_gives_the_vectors_of_the_fitted_one(fitted, tmp_path):
    fitted.save(tmp_path / "model.safetensors", tmp_path / "vocabulary.json")
    loaded = Lexical.load(tmp_path / "model.safetensors", tmp_path / "vocabulary.json")
    assert loaded.embed(TEXTS + NEW).vectors.tobytes() == fitted.embed(TEXTS + NEW).vectors.tobytes()
    assert loaded.namespace == fitted.namespace and loaded.dimensions == 6


def test_two_fits_write_the_same_bytes(tmp_path):
    for name in "abcdefgh":
        Lexical.fit(TEXTS, dimensions=6, seed=3).save(tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json")
    for suffix in ("safetensors", "json"):
        assert len({path.read_bytes() for path in tmp_path.glob(f"*.{suffix}")}) == 1
    with safe_open(tmp_path / "a.safetensors", "np") as file:
        assert set(file.keys()) == {"axes", "idf", "mean"}
    assert json.loads((tmp_path / "a.json").read_text())["words"][0] == "boats"


@pytest.mark.parametrize(
    "make", [lambda: Lexical.fit(TEXTS, dimensions=6, seed=3), lambda: Hashing(dimensions=32, seed=3)]
)
def test_vectors_are_unit_and_independent_of_company(make):
    embedder = make()
    together = embedder.embed(TEXTS + NEW).vectors
    alone = np.concatenate([embedder.embed([text]).vectors for text in TEXTS + NEW])
    assert together.dtype == np.float32 and together.tobytes() == alone.tobytes()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_text_without_a_known_word_gets_the_mean_direction(fitted):
    vectors = fitted.embed([*TEXTS, "zzz qqq", "?!"]).vectors
    mean = vectors[:-2].mean(axis=0)
    assert vectors[-1] @ mean / np.linalg.norm(mean) > 0.95
    np.testing.assert_array_equal(vectors[-1], vectors[-2])


def test_new_texts_fall_near_those_that_share_their_words(fitted):
    known, new = fitted.embed(TEXTS).vectors, fitted.embed(NEW[:2]).vectors
    assert [TEXTS[i].split()[0] for i in (new @ known.T).argmax(axis=1)] == ["desert", "mountain"]


def test_signs_are_fixed():
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(PLACES + DEEDS, 4)) for _ in range(300)]  # more texts than words
    axes = Lexical.fit(texts, dimensions=12, seed=3).axes
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(12)] > 0).all()


def test_repeated_texts_change_nothing(fitted, tmp_path):
    again = Lexical.fit(TEXTS + TEXTS[:7], dimensions=6, seed=3)
    assert again.axes.tobytes() == fitted.axes.tobytes() and again.idf.tobytes() == fitted.idf.tobytes()


def test_dimensions_that_the_texts_cannot_carry_are_lowered_and_said(caplog):
    model = Lexical.fit(TEXTS, dimensions=384, seed=0)
    assert 2 <= model.dimensions < 24 and "not 384" in caplog.text
    assert model.embed(TEXTS).vectors.shape == (24, model.dimensions)


@pytest.mark.parametrize("texts", [["only one text"], ["nothing", "shared", "here"], ["? !", "- -"]])
def test_texts_without_common_words_are_refused(texts):
    with pytest.raises(UserError, match="share too few words"):
        Lexical.fit(texts, dimensions=4, seed=0)


def test_hashing_keeps_near_what_shares_words():
    embedder = Hashing(dimensions=256, seed=0)
    a, b, c = embedder.embed(["the old harbour at night", "at night the old harbour", "camels like salt"]).vectors
    assert a @ b > 0.5 > a @ c + 0.2


@pytest.mark.slow
def test_reviews_find_their_papers(real_data):
    from test_minilm import paired

    papers, reviews = paired(real_data, 200)
    model = Lexical.fit(papers + reviews, dimensions=128, seed=42)
    a, b = model.embed(papers).vectors, model.embed(reviews).vectors
    assert ((b @ a.T).argmax(axis=1) == np.arange(200)).mean() > 0.9
