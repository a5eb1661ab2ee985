"""Labels are found as phrases, as words, in part; a find counts as much as such finds were right."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from crosswalk import label_match
from crosswalk.label_match import ALL, MOST, PHRASE, Finder, singular
from crosswalk.recommender import Fitting, Queries

LABELS = ["boat", "sailing boat", "Château, Loire", "東京", "history of art", "boats"]
WORDS = ("aa", "bb", "cc", "dd", "ee")


def finds(labels, texts, *, learned=()):
    rows, subjects, kinds = Finder(labels, learned or texts).find(texts)
    return list(zip(rows.tolist(), subjects.tolist(), kinds.tolist(), strict=True))


def fitting(links, labels):
    links = csr_array(np.asarray(links, np.float32))
    return Fitting(links=links, features=csr_array((links.shape[0], 0)), labels=labels)


def queries(links, texts, rows=None):
    links = csr_array(np.asarray(links, np.float32))
    rows = np.full(len(texts), -1) if rows is None else np.asarray(rows)
    return Queries(links=links, features=csr_array((len(texts), 0)), rows=rows, texts=texts)


def test_phrases_come_before_words_and_words_before_parts():
    texts = ["Sailing boats at dawn", "a boat, sailing", "sailing away"]
    found = finds(["sailing boat"], texts, learned=[*texts, "boat", "boat", "boat"])
    assert found == [(0, 0, PHRASE), (1, 0, ALL), (2, 0, MOST)]


def test_a_part_of_little_weight_is_no_find():
    texts = ["the common word", "the common boat"] + ["common"] * 30
    assert finds(["common zeppelin"], texts) == []
    assert finds(["common zeppelin"], ["a zeppelin"], learned=texts) == [(0, 0, MOST)]


def test_case_width_accents_and_plurals_are_folded_and_equal_labels_are_all_found():
    texts = ["BOATS", "le cha\u0302teau de la Loire", "ｂｏａｔ", "東京タワー"]
    found = finds(LABELS, texts)
    assert {(0, 0, PHRASE), (0, 5, PHRASE), (2, 0, PHRASE), (2, 5, PHRASE), (1, 2, ALL), (3, 3, PHRASE)} <= set(found)


def test_phrases_do_not_cross_from_one_text_to_the_next_and_do_overlap():
    assert finds(["art history"], ["modern art", "history"] * 2 + ["art", "art"]) == [(1, 0, MOST), (3, 0, MOST)]
    texts = ["river bank river bank house"]
    labels = ["river bank", "bank river", "river bank house", "bank house", "river"]
    assert finds(labels, texts) == [(0, i, PHRASE) for i in range(5)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS[:4]), max_size=4).map(" ".join), min_size=1, max_size=5),
    st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=5),
)
def test_whole_labels_are_found_as_by_hand(labels, texts):
    expected = set()
    for i, text in enumerate(texts):
        for j, label in enumerate(labels):
            if label and f" {label} " in f" {text} ":
                expected.add((i, j, PHRASE))
            elif label and set(label.split()) <= set(text.split()):
                expected.add((i, j, ALL))
    found = finds(labels, texts)
    assert {find for find in found if find[2] != MOST} == expected
    assert [find[:2] for find in found] == sorted({find[:2] for find in found})


def test_texts_are_searched_in_chunks_without_a_seam(monkeypatch):
    texts = ["a sailing boat", "nothing", "history of art", "boats", ""]
    whole = finds(LABELS, texts)
    monkeypatch.setattr(label_match, "CHUNK", 2)
    assert finds(LABELS, texts) == whole


def test_a_find_counts_as_much_as_such_finds_were_right():
    # "glass" is what works are made of, rarely what they show; "harbour" is what they show
    texts = ["glass", "glass", "glass", "glass", "harbour", "harbour"]
    links = [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]]
    scores = label_match.fit(fitting(links, ["glass", "harbour"]), texts=texts, smoothing=2).score(
        queries(np.zeros((3, 2)), ["a harbour of glass", "sand", ""])
    )
    rate = 3 / 6  # finds of all labels that were right
    np.testing.assert_allclose(scores, [[(1 + 2 * rate) / 6, (2 + 2 * rate) / 4], [0, 0], [0, 0]], rtol=1e-6)


def test_what_a_work_fitted_on_lacks_is_not_held_against_the_subject_when_it_is_asked_itself():
    texts = ["harbour", "harbour", "harbour"]
    links = [[1, 0], [1, 0], [0, 1]]
    model = label_match.fit(fitting(links, ["harbour", "zzz"]), texts=texts, smoothing=1)
    own = model.score(queries(links, texts, rows=[0, 1, 2]))[:, 0]
    new = model.score(queries(np.zeros((3, 2)), texts))[:, 0]
    rate = 2 / 3
    np.testing.assert_allclose(new, (2 + rate) / 4, rtol=1e-6)
    np.testing.assert_allclose(own, [(2 + rate) / 4, (2 + rate) / 4, (2 + rate) / 3], rtol=1e-6)


def test_works_without_subjects_count_neither_way():
    texts, links = ["harbour", "harbour", "harbour"], [[0, 0], [0, 1], [1, 0]]
    more, fewer = (label_match.fit(fitting(links[n:], ["harbour", "zzz"]), texts=texts[n:]) for n in (0, 1))
    assert more.made.tolist() == fewer.made.tolist() and more.right.tolist() == fewer.right.tolist()
    assert more.made[PHRASE].tolist() == [2, 0] and more.right[PHRASE].tolist() == [1, 0]
    as_new = more.score(queries([[0, 0]], ["harbour"]))
    assert more.score(queries([[0, 0]], ["harbour"], rows=[0])).tolist() == as_new.tolist()


def test_order_of_works_changes_no_byte():
    texts, links = ["harbour boats", "boat", "sea", "harbour"], np.array([[1, 1], [0, 1], [1, 0], [0, 1]])
    order = [2, 0, 3, 1]
    first, again = (
        label_match.fit(fitting(links[i], ["harbour", "boat"]), texts=[texts[j] for j in i])
        for i in ([0, 1, 2, 3], order)
    )
    asked = queries(np.zeros((4, 2)), texts)
    assert first.score(asked).tobytes() == again.score(asked).tobytes()


def test_labels_without_words_and_empty_sets_are_never_found():
    assert finds(["?!", "", "x"], ["?! x", ""]) == []
    assert label_match.fit(fitting(np.zeros((0, 2)), ["a", "bb"]), texts=[]).score(
        queries(np.zeros((1, 2)), ["bb"])
    ).tolist() == [[0, 0]]
    assert label_match.fit(fitting(np.zeros((1, 0)), []), texts=["bb"]).score(
        queries(np.zeros((1, 0)), ["bb"])
    ).shape == (1, 0)  # fmt: skip


def test_plural_endings():
    pairs = {"boats": "boat", "churches": "church", "cities": "city", "houses": "house", "glasses": "glass"}
    same = ["glass", "bus", "basis", "art", "gas", "über", "東京"]
    assert {word: singular(word) for word in pairs} == pairs and [singular(word) for word in same] == same


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="smoothing"):
        label_match.fit(fitting([[1]], ["a"]), texts=["a"], smoothing=0)
    with pytest.raises(ValueError, match="2 texts and 1 labels"):
        label_match.fit(fitting([[1]], ["a"]), texts=["a", "b"])
