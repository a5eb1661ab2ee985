"""Topics: planted ones are found, with their number and their partner; what cannot be is said."""

import html

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.metrics import normalized_mutual_info_score

from crosswalk.coherence import coherence, diversity
from crosswalk.errors import UserError
from crosswalk.tokens import tokenize
from crosswalk.topics import (
    Pair,
    Topics,
    choose,
    count,
    fit,
    keyword_vectors,
    keywords,
    pair_topics,
    shared_mixtures,
    top_words,
    topic_table,
)

THEMES = {
    "sea": ["harbour", "anchor", "sail", "tide", "reef", "gull", "mast", "keel", "lagoon", "dinghy", "ferry", "wharf"],
    "bread": [
        "flour",
        "yeast",
        "oven",
        "dough",
        "crust",
        "knead",
        "bakery",
        "loaf",
        "barley",
        "rye",
        "sourdough",
        "bagel",
    ],
    "court": [
        "judge",
        "lawyer",
        "verdict",
        "jury",
        "appeal",
        "clerk",
        "lawsuit",
        "statute",
        "bailiff",
        "notary",
        "tribunal",
        "plea",
    ],
    "music": [
        "violin",
        "cello",
        "chord",
        "melody",
        "tempo",
        "choir",
        "opera",
        "sonata",
        "flute",
        "rhythm",
        "quartet",
        "encore",
    ],
    "garden": [
        "tulip",
        "spade",
        "compost",
        "hedge",
        "orchard",
        "greenhouse",
        "trellis",
        "mulch",
        "seedling",
        "lawn",
        "prune",
        "shears",
    ],
}
EVERYWHERE = ["people", "town", "week", "plan", "group", "place"]


def documents(themes, size, *, seed, noise=0.2, own=0.8):
    """`size` documents, each of 24 words, of one theme after the other, some of another and of everywhere."""
    random = np.random.default_rng(seed)
    lists = [THEMES[theme] for theme in themes]
    made = []
    for i in range(size):
        other = lists[random.integers(len(lists))]
        source = [lists[i % len(lists)] if random.random() < own else other for _ in range(24)]
        made.append([str(random.choice(EVERYWHERE if random.random() < noise else words)) for words in source])
    return made


@pytest.fixture(scope="module")
def counts():
    return count(documents(THEMES, 60, seed=1), documents(THEMES, 40, seed=2), min_df=2, max_df=0.6)


@pytest.fixture(scope="module", params=["lda", "nmf"])
def fitted(request, counts):
    return fit(counts.both, engine=request.param, number=5, seed=3)


def theme_of(words):
    """The theme that most of the words are of, and how many are."""
    shares = {theme: sum(word in own for word in words) for theme, own in THEMES.items()}
    return max(shares.items(), key=lambda share: share[1])


def test_counts_are_of_both_sides_over_sorted_words(counts):
    assert counts.vocabulary == sorted(counts.vocabulary) and counts.vocabulary[0] == "anchor"
    assert counts.a.shape == (60, len(counts.vocabulary)) and counts.b.shape == (40, len(counts.vocabulary))
    first = documents(THEMES, 60, seed=1)[0]
    assert counts.a[0].sum() == sum(word in counts.vocabulary for word in first)
    assert counts.both.shape[0] == 100 and (counts.both[60:] != counts.b).nnz == 0


def test_words_of_most_documents_and_of_few_are_dropped():
    a, b = [["name", "apple"], ["name", "apple", "rare"]], [["name", "pear"], ["name", "pear"]]
    assert count(a, b, min_df=2, max_df=0.5).vocabulary == ["apple", "pear"]
    assert count(a, b, min_df=1, max_df=1.0).vocabulary == ["apple", "name", "pear", "rare"]


@pytest.mark.parametrize("documents", [[["one"], ["two"]], [[], []], []])
def test_no_word_left_is_said_with_its_keys(documents):
    with pytest.raises(UserError, match=r"match\.x\.topics: no word .* Lower match\.x\.topics\.min_df"):
        count(documents, documents[:0], min_df=2, max_df=0.9, key="match.x.topics")


@pytest.mark.parametrize("seed", range(5))
def test_no_start_of_lda_loses_a_planted_topic(counts, seed):
    topics = fit(counts.both, engine="lda", number=5, seed=seed)
    found = [theme_of([word for word, _ in topic])[0] for topic in keywords(topics, counts.vocabulary)]
    assert sorted(found) == sorted(THEMES)


def test_planted_topics_are_found(fitted, counts):
    found = [theme_of([word for word, _ in topic]) for topic in keywords(fitted, counts.vocabulary)]
    assert {theme for theme, _ in found} == set(THEMES) and min(share for _, share in found) >= 9


def test_documents_are_of_their_planted_topic(fitted, counts):
    names = [theme_of([word for word, _ in topic])[0] for topic in keywords(fitted, counts.vocabulary)]
    for side in (counts.a, counts.b):
        strongest = [names[i] for i in fitted.mixture(side).argmax(axis=1)]
        own = [theme == list(THEMES)[i % 5] for i, theme in enumerate(strongest)]
        assert np.mean(own) > 0.95


def test_mixtures_and_topics_sum_to_one(fitted, counts):
    for rows in (fitted.words, fitted.mixture(counts.both)):
        assert rows.dtype == np.float64 and (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_same_seed_gives_the_same_bytes(fitted, counts):
    again = fit(counts.both, engine=fitted.engine, number=5, seed=3)
    assert again.words.tobytes() == fitted.words.tobytes()
    assert again.mixture(counts.a).tobytes() == fitted.mixture(counts.a).tobytes()


def test_mixture_of_a_document_does_not_depend_on_its_company(fitted, counts):
    together = fitted.mixture(counts.a)
    alone = np.concatenate([fitted.mixture(counts.a[i]) for i in range(10)])
    np.testing.assert_allclose(alone, together[:10], atol=1e-9)


def test_document_without_a_word_is_of_all_topics_alike(fitted, counts):
    width = len(counts.vocabulary)
    rows = sparse.vstack([counts.a[:2], sparse.csr_matrix((1, width), dtype=np.int64), counts.a[2:4]])
    mixture = fitted.mixture(rows)
    np.testing.assert_allclose(mixture[2], 0.2)
    np.testing.assert_allclose(mixture[[0, 1, 3, 4]], fitted.mixture(counts.a[:4]), atol=1e-9)
    np.testing.assert_allclose(fitted.mixture(sparse.csr_matrix((3, width))), 0.2)


def test_no_document_has_no_mixture(fitted, counts):
    assert fitted.mixture(counts.a[:0]).shape == (0, 5)


def test_documents_without_a_word_change_no_topic(fitted, counts):
    more = sparse.vstack([counts.both, sparse.csr_matrix((7, len(counts.vocabulary)), dtype=np.int64)])
    assert fit(more, engine=fitted.engine, number=5, seed=3).words.tobytes() == fitted.words.tobytes()


def test_nmf_mixture_is_the_best_that_is_not_negative(counts):
    topics = fit(counts.both, engine="nmf", number=5, seed=3)
    # A document that is made of two topics only, in amounts of tf-idf that are known
    idf = TfidfTransformer().fit(counts.both).idf_
    made = (np.array([0, 0.3, 0, 0.7, 0]) @ topics.words) / idf
    np.testing.assert_allclose(topics.mixture(sparse.csr_matrix(made))[0], [0, 0.3, 0, 0.7, 0], atol=1e-6)


@pytest.mark.parametrize("engine", ["lda", "nmf"])
def test_equal_documents_give_equal_mixtures(engine):
    same = count([["apple", "pear", "plum"]] * 4, [["apple", "pear", "plum"]] * 3, min_df=1, max_df=1.0)
    mixture = fit(same.both, engine=engine, number=3, seed=0).mixture(same.both)
    assert np.isfinite(mixture).all() and (mixture == mixture[0]).all()


@pytest.mark.parametrize(("rows", "size"), [(3, "3 documents"), (0, "0 documents")])
def test_more_topics_than_documents_name_the_key(counts, rows, size):
    with pytest.raises(UserError, match=rf"match\.x\.topics\.number: 4 topics are too many for {size}"):
        fit(counts.a[:rows], engine="nmf", number=4, seed=0, key="match.x.topics.number")
    with pytest.raises(UserError, match=rf"match\.x\.topics\.number: 5, 4 topics are too many for {size}"):
        choose(counts.a[:rows], numbers=[5, 4], seed=0, key="match.x.topics.number")


def test_more_topics_than_words_are_refused():
    few = count([["apple", "pear"]] * 5, [["pear"]] * 5, min_df=1, max_df=1.0)
    with pytest.raises(UserError, match="10 documents with a word and 2 words"):
        fit(few.both, engine="lda", number=3, seed=0)


def test_unknown_engine_is_refused(counts):
    with pytest.raises(ValueError, match="no engine 'lsa'; there are lda, nmf"):
        fit(counts.a, engine="lsa", number=2, seed=0)


def test_planted_topics_are_more_coherent_than_shuffled_words(fitted, counts):
    tops = top_words(fitted)
    random = np.random.default_rng(0)
    mixed = random.permutation(np.concatenate(tops)).reshape(5, -1)
    assert coherence(counts.both, tops).min() > coherence(counts.both, mixed).max() + 0.2
    assert diversity(tops) > 0.9


@pytest.mark.parametrize("own", [0.6, 0.8, 1.0])
@pytest.mark.parametrize("planted", [3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_number_of_topics_is_chosen(own, planted, seed):
    themes = list(THEMES)[:planted]
    made = documents(themes, 100, seed=seed, own=own)
    both = count(made[:50], made[50:], min_df=2, max_df=0.6).both
    topics, table = choose(both, engines=["nmf"], numbers=range(2, 11), seed=seed)
    assert abs(len(topics.words) - planted) <= 1
    assert table["topics"].tolist() == list(range(2, 11)) and len(topics.words) == table.topics[table.score.argmax()]


def test_every_engine_and_number_is_tried(counts):
    topics, table = choose(counts.both, numbers=[3, 5, 3], seed=0)
    assert table[["engine", "topics"]].to_numpy().tolist() == [["lda", 3], ["lda", 5], ["nmf", 3], ["nmf", 5]]
    best = table.loc[table["score"].idxmax()]
    assert (topics.engine, len(topics.words)) == (best["engine"], best["topics"])
    assert best["score"] == best["coherence"] * best["diversity"] * best["coverage"]


def test_numbers_that_are_too_large_are_left_out_with_a_warning(counts, caplog):
    _, table = choose(counts.a[:6], engines=["nmf"], numbers=[2, 40, 6, 7], seed=0, key="match.x.topics.number")
    assert table["topics"].tolist() == [2, 6]
    assert "match.x.topics.number: numbers above 6 are left out" in caplog.text


def test_equal_words_of_a_topic_stand_in_the_order_of_the_alphabet():
    vocabulary = [f"word{i:03}" for i in range(200)]
    even = np.full(200, 0.5 / 198)
    even[[20, 150]] = 0.25
    topics = Topics("lda", np.array([even, np.eye(200)[7]]), None)
    first, second = keywords(topics, vocabulary, n=5)
    assert [word for word, _ in first] == ["word020", "word150", "word000", "word001", "word002"]
    assert first[0][1] == 0.25 and second == [("word007", 1.0)]


def test_keywords_are_embedded_in_one_call():
    calls = []

    def embed(words):
        calls.append(words)
        return np.array([[3.0, 0.0] if word == "sea" else [0.0, 1.0] for word in words])

    vectors = keyword_vectors([[("sea", 0.2), ("rye", 0.1)], [("rye", 0.5)], []], embed)
    assert calls == [["rye", "sea"]]
    np.testing.assert_allclose(vectors, [np.array([6.0, 1.0]) / np.sqrt(37), [0, 1], [0, 0]])


def test_topics_of_two_models_find_their_partner():
    rng = np.random.default_rng(0)
    space = {word: rng.normal(size=16) + 4 * rng.normal(size=16) for word in EVERYWHERE}
    for own in THEMES.values():
        centre = 3 * rng.normal(size=16)
        space.update({word: centre + rng.normal(size=16) for word in own})

    def embed(words):
        return np.array([space[word] for word in words])

    sides = list(THEMES), ["garden", "sea", "court"]
    both = count(documents(sides[0], 60, seed=1), documents(sides[1], 60, seed=2), min_df=2, max_df=0.6)
    models = [fit(part, engine="nmf", number=len(side), seed=0) for part, side in zip(both[1:], sides, strict=True)]
    words = [keywords(model, both.vocabulary) for model in models]
    pairs = pair_topics(*(keyword_vectors(topics, embed) for topics in words), floor=0.5)
    names = [[theme_of([word for word, _ in topic])[0] for topic in topics] for topics in words]
    assert sorted(names[0][pair.a] for pair in pairs) == ["court", "garden", "sea"]
    assert all(names[0][pair.a] == names[1][pair.b] for pair in pairs)
    a_mix, b_mix = shared_mixtures(models[0].mixture(both.a), models[1].mixture(both.b), pairs)
    assert a_mix.shape == (60, 3) and b_mix.shape == (60, 3)
    strongest = [names[1][pairs[i].b] for i in b_mix.argmax(axis=1)]
    assert np.mean([theme == sides[1][i % 3] for i, theme in enumerate(strongest)]) > 0.95


def test_pairs_take_the_greatest_sum_and_drop_what_is_below_the_floor():
    a = np.array([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]])
    b = np.array([[2.0, 0.0], [0.6, 0.8]])
    first, second = pair_topics(a, b)
    assert first == Pair(0, 0, 1.0) and second[:2] == (1, 1) and second.cosine == pytest.approx(0.96)
    assert pair_topics(a, b, floor=0.97) == [Pair(0, 0, 1.0)]
    assert [pair[:2] for pair in pair_topics(b, a)] == [(0, 0), (1, 1)]


def test_unpaired_topics_are_left_out_of_shared_mixtures():
    a, b = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]), np.array([[0.1, 0.9]])
    a_shared, b_shared = shared_mixtures(a, b, [Pair(0, 1, 0.9), Pair(2, 0, 0.8)])
    np.testing.assert_allclose(a_shared, [[2 / 3, 1 / 3], [0.5, 0.5]])
    np.testing.assert_allclose(b_shared, [[0.9, 0.1]])
    assert [side.shape for side in shared_mixtures(a, b, [])] == [(2, 0), (1, 0)]


def test_table_says_what_each_topic_is_and_whose():
    words = [[("sea", 0.25), ("tide", 0.125)], [("rye", 1.0)]]
    table = topic_table(words, coherence=[0.5, 0.1], a_mixture=[[1, 0], [0.5, 0.5]], b_mixture=[[0, 1]])
    assert table.iloc[0].to_dict() == {
        "topic": 1,
        "side": "both",
        "keywords": "sea, tide",
        "probabilities": "0.25, 0.125",
        "share_a": 0.75,
        "share_b": 0.0,
        "coherence": 0.5,
    }
    alone = topic_table(words, coherence=[0.5, 0.1], b_mixture=[[0, 1]])
    assert (
        alone["side"].tolist() == ["b", "b"] and alone["share_a"].isna().all() and alone["share_b"].tolist() == [0, 1]
    )


@pytest.mark.slow
def test_topics_of_resumes_know_their_category(real_data):
    resumes = pd.read_csv(real_data / "resumes" / "resumes.csv.gz")
    adverts = pd.read_csv(real_data / "resumes" / "jobs.csv.gz")["job_description"].fillna("").map(html.unescape)
    both = count(tokenize(resumes["Resume_str"]), tokenize(adverts), min_df=5, max_df=0.3)
    assert not {"company", "city", "state"} & set(both.vocabulary)
    topics = fit(both.both, engine="nmf", number=8, seed=42)
    strongest = topics.mixture(both.a).argmax(axis=1)
    assert normalized_mutual_info_score(strongest, resumes["Category"]) > 0.3
    assert coherence(both.both, top_words(topics)).mean() > 0.2
