"""The world of texts holds what was planted."""

import numpy as np
import pytest

from text_search import named_links, said, theme_share
from text_world import PRAISE, THEMES, text_world


@pytest.fixture(scope="module")
def linked():
    return text_world(seed=1, n=400, replies=3, links=(0.7, -0.7), mood=0.8, echo=0.5, quotations=0.2)


def test_the_same_seed_gives_the_same_texts(linked):
    again = text_world(seed=1, n=400, replies=3, links=(0.7, -0.7), mood=0.8, echo=0.5, quotations=0.2)
    assert again.works["text"].equals(linked.works["text"]) and again.replies.equals(linked.replies)
    other = text_world(seed=2, n=400, replies=3, links=(0.7, -0.7))
    assert not other.works["text"].equals(linked.works["text"])


def test_links_have_their_signs_and_their_words_stand_in_the_texts(linked):
    assert np.sign(linked.strengths).tolist() == [1, -1, 1] and (np.abs(linked.strengths) > 0.1).all()
    for i, words in enumerate(linked.x_words):
        holds = np.array([any(word in text for word in words["high"]) for text in linked.works["text"]])
        np.testing.assert_array_equal(holds, linked.x_truth[:, i] > 0)
    holds = linked.replies["text"].map(lambda text: any(word in text for word in linked.y_words[0]["high"]))
    own = holds.groupby(linked.replies["group"], sort=False).any().to_numpy()
    assert (own[linked.y_truth[:, 0] > 0]).all() and own.mean() < 0.7


def test_the_mood_has_words_at_either_end(linked):
    assert linked.mood == 2 and linked.y_words[2]["high"] == set(PRAISE.split()) and linked.y_words[2]["low"]
    praised = linked.replies["text"].str.contains("wonderful").groupby(linked.replies["group"], sort=False).any()
    assert linked.y_truth[praised.to_numpy(), 2].mean() > 0.2 > linked.y_truth[:, 2].mean()


def test_echoing_replies_speak_of_the_theme_of_their_own_work(linked):
    words = linked.works.set_index("id")["theme"].map(lambda theme: set(THEMES[theme].split()))
    plain = linked.replies[~linked.replies["quotes"]]
    own = [bool(words[group] & set(_words(text))) for group, text in zip(plain["group"], plain["text"], strict=True)]
    assert np.mean(own) == pytest.approx(0.5, abs=0.06)


def test_a_quotation_stands_in_the_work(linked):
    quoting = linked.replies[linked.replies["quotes"]]
    works = linked.works.set_index("id")["text"]
    assert len(quoting) == pytest.approx(240, abs=50)
    for group, text in zip(quoting["group"], quoting["text"], strict=True):
        quoted = text.split("It says: ")[1].split()[:12]
        assert " ".join(quoted).rstrip(".") in works[group]


def test_a_name_is_right_only_at_the_right_end_of_both_sides(linked):
    class Name:
        def __init__(self, high, low):
            self.high, self.low, self.fidelity = high, low, 0.9

    class Judged:
        recovered = np.array([0, -1, -1])

    x, y = linked.x_truth[:, [0]], linked.y_truth[:, [0]]
    right = [Name(["old sailor"], ["way"])], [Name(["so tedious"], ["way"])]
    assert named_links(linked, Judged, *right, x, y)[0]["x"] and named_links(linked, Judged, *right, x, y)[0]["y"]
    turned = named_links(linked, Judged, *right, -x, y)[0]
    assert not turned["x"] and turned["y"]
    assert not said(["sailors", "the sea"], {"sailor"})


def test_theme_share_is_what_themes_account_for():
    themes = np.repeat(["a", "b"], 50)
    noise = np.random.default_rng(0).normal(size=100)
    scores = np.column_stack([np.repeat([1.0, -1.0], 50), noise])
    share = theme_share(scores, themes)
    assert share[0] == pytest.approx(1) and share[1] < 0.1


def _words(text):
    return text.replace(".", "").replace(",", "").split()
