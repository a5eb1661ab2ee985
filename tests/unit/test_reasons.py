"""Reasons of suggestions: they name works, subjects and words that do speak for a subject, and nothing else."""

import re

import numpy as np
import pytest
from scipy.sparse import csr_array

from crosswalk import features, item_knn, reasons, text_knn
from crosswalk.reasons import Reasons
from crosswalk.recommender import Fitting, Queries

LABELS = ["cliff", "beach", "horse", "sea, calm", "paper"]
CLIFF, BEACH, HORSE, SEA, PAPER = range(5)
# White cliffs stand on beaches; horses stand in fields; every work is on paper and tagged so.
COAST = "the white cliffs of {0}, on paper"
FIELD = "a horse in the field of {0}, on paper"
PLACES = ["Dover", "Hastings", "Whitby", "Bridlington", "Seaford", "Beer"]


def matrix(rows):
    out = np.zeros((len(rows), len(LABELS)), np.float32)
    for i, own in enumerate(rows):
        out[i, own] = 1
    return csr_array(out)


def world(extra=()):
    """Works of the coast, as many of the fields, and then the extra ones: pairs of text and subjects."""
    works = [(COAST.format(place), [CLIFF, BEACH, SEA, PAPER]) for place in PLACES]
    works += [(FIELD.format(place), [HORSE, PAPER]) for place in PLACES]
    works += [(f"untitled {i}, on paper", [PAPER]) for i in range(48)]
    works += list(extra)
    texts = [text for text, _ in works]
    vocabulary = features.fit(texts)
    fitting = Fitting(matrix([own for _, own in works]), vocabulary.transform(texts), LABELS)
    return fitting, vocabulary, texts


def prepared(fitting, vocabulary, **without):
    models = {"text_knn": text_knn.fit(fitting), "item_knn": item_knn.fit(fitting, shrinkage=1.0)} | without
    ids = [f"w{i}" for i in range(fitting.links.shape[0])]
    return Reasons(fitting, terms=vocabulary.terms, ids=ids, **models)


def asked(vocabulary, texts, borne, rows=None):
    rows = np.full(len(texts), -1) if rows is None else np.asarray(rows)
    return Queries(links=matrix(borne), features=vocabulary.transform(texts), rows=rows, texts=list(texts))


def one(text, borne, subject, extra=(), **without):
    fitting, vocabulary, _ = world(extra)
    queries = asked(vocabulary, [text], [borne])
    return prepared(fitting, vocabulary, **without).table(queries, np.array([[subject]])).iloc[0]


def test_a_reason_names_works_subjects_and_words_in_plain_words():
    found = one(COAST.format("Dover"), [BEACH], CLIFF)
    assert found["reason"].startswith("like w0 and w1; goes with beach; text says ")
    assert found["like_works"] == "w0 | w1"
    assert found["with_subjects"] == "beach"
    assert "white cliffs" in found["words"].split(" | ")


def test_works_that_are_alike_but_do_not_bear_the_subject_are_not_named():
    found = one("white cliffs", [], HORSE)
    assert found["like_works"] == found["words"] == ""
    assert found["reason"] == "frequent here (6 works)"


def test_the_nearest_works_come_first_and_at_most_two():
    text = COAST.format("Whitby")
    assert one(text, [], CLIFF)["like_works"].split(" | ") == ["w2", "w0"]
    assert one(text, [], CLIFF, extra=[("white cliffs", [CLIFF])] * 3)["like_works"].count(" | ") == 1


def test_a_work_that_shares_little_is_not_called_like_another():
    fitting, vocabulary, _ = world()
    text = "white horse, " + "untitled 1, untitled 2, untitled 3"
    queries, ranked = asked(vocabulary, [text], [[]]), np.array([[CLIFF]])
    rows, similarities = text_knn.fit(fitting, k=60).neighbours(queries)
    of_cliffs = similarities[np.isin(rows, range(6))]
    assert 0 < of_cliffs.max() < reasons.ALIKE
    found = prepared(fitting, vocabulary, text_knn=text_knn.fit(fitting, k=60))
    assert found.table(queries, ranked)["like_works"].tolist() == [""]


def test_a_work_is_not_like_itself():
    fitting, vocabulary, texts = world()
    hidden = matrix([[]])
    own = Queries(links=hidden, features=fitting.features[[0]], rows=np.array([0]), texts=texts[:1])
    found = prepared(fitting, vocabulary).table(own, np.array([[CLIFF]]))
    assert "w0" not in found["like_works"].iloc[0].split(" | ")
    assert found["like_works"].iloc[0]


def test_a_subject_that_stands_everywhere_points_to_nothing():
    fitting, _, _ = world()
    strength = item_knn.fit(fitting, shrinkage=1.0).similarities.toarray()
    assert strength[CLIFF, PAPER] > 0
    assert one("zzz", [PAPER], CLIFF)["with_subjects"] == ""
    assert one("zzz", [PAPER, BEACH], CLIFF)["with_subjects"] == "beach"


def test_subjects_are_named_by_how_much_they_point_to_the_suggested_one():
    extra = [("a pebble", [BEACH, HORSE])] * 3
    found = one("zzz", [SEA, BEACH], CLIFF, extra=extra)
    assert found["with_subjects"] == "sea, calm | beach"
    assert found["reason"] == 'goes with "sea, calm", beach'


def test_subjects_that_never_meet_do_not_go_together():
    assert one("zzz", [HORSE], CLIFF)["with_subjects"] == ""


def test_lift_is_counted_among_works_that_have_subjects():
    bare = [("nothing here", [])] * 200
    assert one("zzz", [PAPER], CLIFF, extra=bare)["with_subjects"] == ""
    assert one("paper", [], CLIFF, extra=bare)["words"] == ""


def test_a_word_in_every_work_tells_nothing():
    assert one("paper", [], CLIFF)["words"] == ""
    assert one("cliffs", [], CLIFF)["words"] == "cliffs"


def test_a_word_of_two_works_tells_nothing_yet():
    rare = ("a lighthouse", [CLIFF])
    assert one("lighthouse", [], CLIFF, extra=[rare] * 2)["words"] == ""
    assert one("lighthouse", [], CLIFF, extra=[rare] * 3)["words"] == "lighthouse"
    few = [("more", [PAPER])] * 100 + [("a lighthouse", [PAPER])]
    assert one("lighthouse", [], CLIFF, extra=[*few, *[rare] * 2])["words"] == ""
    assert one("lighthouse", [], CLIFF, extra=[*few, *[rare] * 3])["words"] == "lighthouse"


def test_a_word_must_be_clearly_more_frequent_with_the_subject():
    # 1 in 3 works with the word bears the subject, 1 in 4 of all: no more than chance allows.
    extra = [("a harbour", [CLIFF])] * 3 + [("a harbour", [PAPER])] * 6
    assert one("harbour", [], CLIFF, extra=extra)["words"] == ""


def test_a_run_of_words_stands_for_its_parts():
    assert one("the white cliffs", [], CLIFF)["words"] == "white cliffs"


def test_a_run_is_quoted_only_if_it_stands_in_the_text():
    assert set(one("white, cliffs", [], CLIFF)["words"].split(" | ")) == {"cliffs", "white"}
    assert one("WHITE CLIFFS", [], CLIFF)["words"] == "white cliffs"


def test_no_word_is_a_stop_word_or_a_run_that_begins_or_ends_with_one():
    extra = [("of the", [CLIFF])] * 20
    assert one("of the", [], CLIFF, extra=extra)["words"] == ""
    assert one("the white", [], CLIFF)["words"] == "white"


def test_at_most_three_words_and_none_twice():
    text = "granite harbour lantern pilot keeper anchor tide boathouse"
    words = one(text, [], CLIFF, extra=[(text, [CLIFF])] * 5)["words"].split(" | ")
    assert len(words) == reasons.WORDS
    parts = [part for word in words for part in word.split()]
    assert len(parts) == len(set(parts))


def test_a_word_that_tells_much_less_than_the_best_is_left_out():
    extra = [("granite", [HORSE])] * 40 + [("granite", [SEA])] * 12 + [("pilot", [SEA])] * 40
    extra += [("zzz", [PAPER])] * 1200
    assert one("granite", [], SEA, extra=extra)["words"] == "granite"
    assert one("granite. pilot", [], SEA, extra=extra)["words"] == "pilot"


def test_scripts_without_spaces_are_written_without_them():
    extra = [("山水画", [CLIFF])] * 5
    found = one("山水画", [], CLIFF, extra=extra)["words"].split(" | ")
    assert found[0] in ("山水", "水画")


def test_without_any_sign_a_frequent_subject_is_called_frequent_and_a_rare_one_is_not():
    assert one("zzz", [], PAPER)["reason"] == "frequent here (60 works)"
    many = [("more", [PAPER])] * 1200
    assert one("zzz", [], HORSE, extra=many)["reason"] == "no single sign (6 works)"
    fitting, vocabulary, _ = world([("lone", [PAPER])] * 200)
    fitting.links[0, 0] = 1
    single = Fitting(matrix([[HORSE]] + [[PAPER]] * (fitting.links.shape[0] - 1)), fitting.features, LABELS)
    told = prepared(single, vocabulary).of(asked(vocabulary, ["zzz"], [[]]), np.array([[HORSE]]))
    assert told == [["no single sign (1 work)"]]


def test_padding_gets_no_reason():
    fitting, vocabulary, _ = world()
    queries = asked(vocabulary, ["cliffs", "zzz", "horse"], [[], [], []])
    told = prepared(fitting, vocabulary).of(queries, np.array([[CLIFF, PAPER], [-1, -1], [HORSE, -1]]))
    assert [len(own) for own in told] == [2, 0, 1]
    assert told[0][0].endswith('text says "cliffs"') and told[2][0].endswith('text says "horse"')


def test_company_and_batches_change_no_reason(monkeypatch):
    fitting, vocabulary, texts = world()
    found, rng = prepared(fitting, vocabulary), np.random.default_rng(0)
    rows = rng.integers(0, len(texts), 40)
    borne = [fitting.links[[row]].indices[:1].tolist() for row in rows]
    queries = asked(vocabulary, [texts[row] for row in rows], borne, rows)
    ranked = np.array([rng.permutation(5)[:3] for _ in rows])
    together = found.of(queries, ranked)
    monkeypatch.setattr(reasons, "STEP", 7)
    monkeypatch.setattr(reasons, "CELLS", 1)
    assert prepared(fitting, vocabulary).of(queries, ranked) == together
    alone = [
        found.of(
            Queries(queries.links[[i]], queries.features[[i]], queries.rows[i : i + 1], queries.texts[i : i + 1]),
            ranked[[i]],
        )[0]
        for i in range(len(rows))
    ]
    assert alone == together


def test_known_neighbours_are_taken_and_not_looked_for_again():
    fitting, vocabulary, _ = world()
    found, queries = prepared(fitting, vocabulary), asked(vocabulary, ["cliffs"], [[]])
    near = np.array([[7, 3]]), np.array([[0.9, 0.8]], np.float32)
    assert found.table(queries, np.array([[CLIFF]]), near=near)["like_works"].tolist() == ["w3"]
    assert found.table(queries, np.array([[HORSE]]), near=near)["like_works"].tolist() == ["w7"]


def test_reasons_do_without_models_texts_and_works():
    fitting, vocabulary, _ = world()
    bare = prepared(fitting, vocabulary, text_knn=None, item_knn=None)
    assert bare.of(asked(vocabulary, ["cliffs"], [[BEACH]]), np.array([[CLIFF]])) == [['text says "cliffs"']]
    assert bare.of(asked(vocabulary, [], []), np.empty((0, 3), int)) == []
    empty = features.fit([])
    nothing = Fitting(fitting.links, csr_array((fitting.links.shape[0], 0), dtype=np.float32), LABELS)
    told = prepared(nothing, empty).of(asked(empty, ["cliffs"], [[BEACH]]), np.array([[CLIFF]]))
    assert told == [["goes with beach"]]


def test_what_a_term_tells_agrees_with_counting_by_hand():
    rng = np.random.default_rng(3)
    links = csr_array((rng.random((60, 4)) < 0.3).astype(np.float32))
    terms = csr_array((rng.random((60, 5)) < 0.3).astype(np.float32))
    works = np.asarray(links.sum(axis=0)).astype(int)
    found = reasons._telling(terms, links, works, np.ones(5, bool)).toarray()
    for term in range(5):
        for subject in range(4):
            own = terms.toarray()[:, term] > 0
            n, hits = own.sum(), (links.toarray()[own, subject] > 0).sum()
            p, z = hits / n, 1.96
            low = (p + z**2 / 2 / n - z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)) / (1 + z**2 / n)
            telling = hits >= 3 and low > 2 * works[subject] / 60
            assert found[term, subject] == pytest.approx(low if telling else 0, abs=1e-6)


def test_ids_terms_and_lists_that_do_not_fit_are_refused():
    fitting, vocabulary, _ = world()
    with pytest.raises(ValueError, match=re.escape("2 ids")):
        Reasons(fitting, terms=vocabulary.terms, ids=["a", "b"])
    with pytest.raises(ValueError, match="terms"):
        Reasons(fitting, terms=vocabulary.terms[:-1], ids=[str(i) for i in range(60)])
    with pytest.raises(ValueError, match="lists of"):
        prepared(fitting, vocabulary).of(asked(vocabulary, ["cliffs"], [[]]), np.zeros((2, 1), int))
