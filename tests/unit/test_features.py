"""Terms and weights equal those of a plain count; texts of any script have terms; what is saved answers the same."""

import json
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from crosswalk import features

TEXTS = ["Boats on the river", "boats at sea", "the river, the river bank", "a sea of boats", "", "42 boats on the sea"]


def test_terms_and_weights_are_those_of_a_plain_count():
    for ngrams in (1, 2, 3):
        model = features.fit(TEXTS, ngrams=ngrams)
        plain = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, ngrams))
        expected = plain.fit_transform(TEXTS).toarray()
        assert sorted(model.terms) == sorted(plain.vocabulary_)
        found = model.transform(TEXTS)
        assert found.dtype == np.float32 and found.indices.dtype == np.int32
        np.testing.assert_allclose(found.toarray(), expected[:, [plain.vocabulary_[t] for t in model.terms]], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(("aa", "bb", "cc", "dd")), max_size=7).map(" ".join), max_size=8),
       st.integers(1, 4), st.integers(1, 3))  # fmt: skip
def test_every_run_of_words_is_counted_as_by_hand(texts, ngrams, min_df):
    model = features.fit(texts, ngrams=ngrams, min_df=min_df)
    rows = [text.split() for text in texts]
    runs = [{" ".join(row[i : i + n]) for n in range(1, ngrams + 1) for i in range(len(row) - n + 1)} for row in rows]
    expected = {term for row in runs for term in row if sum(term in other for other in runs) >= min_df}
    assert model.terms == sorted(expected, key=lambda term: (term.count(" "), term))
    found = model.transform(texts)
    assert [{model.terms[i] for i in found[[r]].indices} for r in range(len(texts))] == [row & expected for row in runs]


def test_rows_have_length_one_or_are_empty_and_indices_are_sorted():
    found = features.fit(TEXTS).transform([*TEXTS, "nothing known"])
    lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)))
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 0, 1, 0], atol=1e-6)
    assert all((np.diff(found.indices[a:b]) > 0).all() for a, b in zip(found.indptr, found.indptr[1:], strict=False))


def test_order_of_texts_and_company_change_no_byte():
    model, again = features.fit(TEXTS), features.fit(TEXTS[::-1])
    assert model.terms == again.terms and model.idf.tobytes() == again.idf.tobytes()
    alone = [model.transform([text]) for text in TEXTS]
    assert model.transform(TEXTS).data.tobytes() == np.concatenate([row.data for row in alone]).tobytes()


def test_texts_are_read_in_chunks_without_a_seam(monkeypatch):
    whole = features.fit(TEXTS).transform(TEXTS)
    monkeypatch.setattr(features, "CHUNK", 2)
    parts = features.fit(TEXTS).transform(TEXTS)
    assert (whole != parts).nnz == 0


def test_the_most_frequent_terms_are_kept_with_their_beginnings():
    model = features.fit(["aa bb cc"] * 3 + ["bb dd", "dd"], ngrams=3, max_features=5)
    assert model.terms == ["aa", "bb", "cc", "aa bb", "bb cc"]
    assert features.fit(["aa bb cc"] * 3 + ["bb dd", "dd"], max_features=2).terms == ["aa", "bb"]
    assert features.Features(terms=model.terms, idf=model.idf).transform(["aa bb cc"]).nnz == 5


def test_case_width_and_composition_make_no_other_word():
    composed, apart = unicodedata.normalize("NFC", "Café Straße"), unicodedata.normalize("NFD", "CAFÉ STRASSE")
    assert features.split([composed, apart, "ｃａｆé strasse"]) == [["café", "strasse"]] * 3
    assert features.split(["snake_case don't x 7 42 x2"]) == [["snake", "case", "don", "42", "x2"]]


def test_scripts_without_spaces_are_read_letter_by_letter_and_pairs_are_pairs_of_letters():
    assert features.split(["東京 Tower 2階", "ภาษา"]) == [["東", "京", "tower", "階"], ["ภ", "า", "ษ", "า"]]
    model = features.fit(["東京の写真", "東京都", "京都"])
    assert "東 京" in model.terms and "京 都" in model.terms and "京 の" not in model.terms


def test_vowel_signs_and_accents_stay_in_their_word():
    assert features.split(["हिन्दी भाषा", "x̂y", "שָׁלוֹם"]) == [["हिन्दी", "भाषा"], ["x̂y"], ["שָׁלוֹם"]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=5))
def test_no_text_breaks_it(texts):
    model = features.fit(texts, min_df=1, ngrams=3)
    found = model.transform(texts)
    assert found.shape == (len(texts), len(model.terms)) and np.isfinite(found.data).all()
    assert features.Features(terms=model.terms, idf=model.idf).transform(texts).nnz == found.nnz


def test_what_is_saved_answers_the_same_and_its_bytes_do_not_change(tmp_path):
    for name in "ab":
        features.fit(TEXTS).save(tmp_path / f"{name}.safetensors", tmp_path / f"{name}.json")
    for suffix in ("safetensors", "json"):
        assert len({path.read_bytes() for path in tmp_path.glob(f"*.{suffix}")}) == 1
    loaded = features.Features.load(tmp_path / "a.safetensors", tmp_path / "a.json")
    assert loaded.transform(TEXTS).data.tobytes() == features.fit(TEXTS).transform(TEXTS).data.tobytes()
    assert json.loads((tmp_path / "a.json").read_text())["terms"][0] == "boats"


def test_no_text_and_no_shared_word_make_no_term():
    for texts in ([], [""], ["one", "two"]):
        model = features.fit(texts)
        assert model.terms == [] and model.transform(["one", ""]).shape == (2, 0)


@pytest.mark.parametrize("wrong", [{"ngrams": 0}, {"min_df": 0}, {"max_features": 0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        features.fit(TEXTS, **wrong)
    with pytest.raises(ValueError, match="weights"):
        features.Features(terms=["a"], idf=[])


def test_a_term_counts_for_what_its_works_have_in_common():
    """Half of the works speak of boats and bear "sea", half of hills and bear "land"; "paper" stands in all of them."""
    texts = ["boats on paper", "hills on paper"] * 20
    links = csr_array(np.tile(np.eye(2, dtype=np.float32), (20, 1)))
    model = features.fit(texts, ngrams=1)
    weights = dict(zip(model.terms, features.telling(model.transform(texts), links), strict=True))
    assert weights["boats"] == pytest.approx(1, abs=0.02)
    assert weights["hills"] == pytest.approx(1, abs=0.02)
    assert weights["paper"] == pytest.approx(np.sqrt(19 * 20 * 2 / (40 * 39)), abs=0.02)  # pairs of one kind, of all


def test_what_a_term_tells_is_not_higher_for_being_rare():
    """Subjects by lot: terms of two works and of fifty tell nothing alike."""
    rng = np.random.default_rng(0)
    works = 4000
    links = csr_array((rng.random((works, 30)) < 0.1).astype(np.float32))
    matrix = csr_array(
        np.column_stack([rng.random((works, 200)) < 2 / works, rng.random((works, 20)) < 50 / works]) * 1.0
    )
    weights = features.telling(matrix, links)
    assert weights[:200].mean() == pytest.approx(weights[200:].mean(), rel=0.25)


def test_works_without_subjects_say_nothing_of_a_term():
    texts = ["boats", "boats", "hills", "hills", "boats", "hills"]
    seen = csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]], np.float32))
    matrix = features.fit(texts, ngrams=1).transform(texts)
    assert np.allclose(features.telling(matrix, seen), features.telling(matrix[:4], seen[:4]))
