"""Names part the ends of a trait, say each thing once, and are judged on items they were not made from."""

import zlib

import numpy as np
import pytest

from crosswalk import naming
from crosswalk.naming import Name, Vocabulary

WIDTH = 64
FILLER = [
    "paper",
    "model",
    "result",
    "method",
    "data",
    "figure",
    "table",
    "section",
    "example",
    "number",
    "question",
    "answer",
]
HIGH = ["dragon", "castle", "sword", "wizard", "throne"]
LOW = ["engine", "piston", "gearbox", "exhaust", "radiator"]


def word_vector(word):
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=WIDTH)


def embed(texts):
    rows = np.array([np.sum([word_vector(word) for word in text.split()], axis=0) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(items=400, seed=0):
    """Texts in which words of HIGH grow likelier with the score and those of LOW rarer."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=items)
    texts = []
    for score in scores:
        words = list(rng.choice(FILLER, 6))
        words += list(rng.choice(HIGH, 2) if rng.random() < 1 / (1 + np.exp(-3 * score)) else rng.choice(LOW, 2))
        texts.append(" and the ".join(rng.permutation(words)))
    return texts, scores


@pytest.fixture(scope="module")
def world():
    texts, scores = planted()
    return Vocabulary(texts), scores, embed(texts), np.arange(len(texts)) % 5 > 1


def test_planted_words_name_both_ends_and_predict_unseen_items(world):
    vocabulary, scores, vectors, train = world
    name = naming.name_trait(vocabulary, scores, embed=embed, train=train, vectors=vectors)
    assert set(name.high) == set(HIGH) and set(name.low) == set(LOW)
    assert name.fidelity > 0.9


def test_names_of_random_scores_predict_nothing(world):
    vocabulary, _, vectors, train = world
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(len(train), 40))
    names = naming.name_traits(vocabulary, scores, embed=embed, train=train, vectors=vectors)
    assert abs(np.mean([name.fidelity for name in names]) - 0.5) < 0.05


def test_names_ignore_the_items_held_out(world):
    vocabulary, scores, vectors, train = world
    changed = np.where(train, scores, -scores)
    first, second = (
        naming.name_trait(vocabulary, s, embed=embed, train=train, vectors=vectors) for s in (scores, changed)
    )
    assert first[:2] == second[:2]
    assert first.fidelity > 0.9 and second.fidelity < 0.1


def test_one_call_of_the_model_names_all_traits_alike(world):
    vocabulary, scores, vectors, train = world
    calls = []

    def counted(texts):
        calls.append(len(texts))
        return embed(texts)

    names = naming.name_traits(
        vocabulary,
        np.column_stack([scores, -scores]),
        embed=counted,
        train=train,
        vectors=vectors,
    )
    assert len(calls) == 1
    assert names[0].high == names[1].low and names[0].low == names[1].high
    assert names[0] == naming.name_trait(vocabulary, scores, embed=embed, train=train, vectors=vectors)


def test_log_odds_is_the_one_computed_by_hand():
    # Two phrases; the prior of 10 is spread as the background 60:40, that is 6 and 4.
    # First: ln((30 + 6) / (20 + 4)) - ln((10 + 6) / (40 + 4)); variance 1/36 + 1/16. Second: the opposite; 1/24 + 1/44.
    z = naming.log_odds([30, 20], [10, 40], [60, 40], prior=10)
    odds = np.log(36 / 24) - np.log(16 / 44)
    assert z == pytest.approx([odds / np.sqrt(1 / 36 + 1 / 16), -odds / np.sqrt(1 / 24 + 1 / 44)])


def test_phrases_hold_no_stop_words_numbers_or_punctuation():
    assert naming.phrases(
        "The slow pacing, of 3 plot-holes: don't read the author's array_like 2nd volume. Volume two"
    ) == [
        *("slow", "slow pacing", "pacing", "plot-holes", "read", "author", "author array_like", "array_like"),
        *("volume", "volume"),
    ]


def test_an_item_holds_a_phrase_once_however_many_texts_say_it():
    vocabulary = Vocabulary(["slow start", "slow end", "fast end"], items=[1, 1, 0], count=3, least=1, most=1)
    assert list(vocabulary.phrases) == ["end", "fast", "fast end", "slow", "slow end", "slow start", "start"]
    assert vocabulary.held[:, list(vocabulary.phrases).index("slow")].toarray().ravel().tolist() == [0, 1, 0]
    assert vocabulary.held[:, 0].toarray().ravel().tolist() == [1, 1, 0]


def test_replicated_texts_change_no_name(world):
    texts, scores = planted()
    _, _, vectors, train = world
    once, thrice = (Vocabulary(texts * k, items=np.tile(np.arange(len(texts)), k), count=len(texts)) for k in (1, 3))
    settings = {"embed": embed, "train": train, "vectors": vectors}
    assert naming.name_trait(once, scores, **settings)[:2] == naming.name_trait(thrice, scores, **settings)[:2]


def test_a_name_says_each_thing_once():
    ranked = [
        "slow pacing",
        "pacing",
        "slow",
        "boring",
        "bored",
        "book",
        "books",
        "synonym",
        "plot holes",
        "plot twist",
        "plotholes",
    ]
    rows = np.eye(len(ranked))
    rows[7] = rows[3] * 0.9 + rows[7] * np.sqrt(1 - 0.9**2)
    kept = naming._distinct(ranked, rows, {phrase: i for i, phrase in enumerate(ranked)}, 10)
    assert kept == ["slow pacing", "boring", "book", "plot holes", "plot twist"]


def test_texts_without_phrases_get_no_name():
    vocabulary = Vocabulary(["the 1", "of 2", "3", ""])
    name = naming.name_trait(vocabulary, np.arange(4.0), embed=embed, train=np.ones(4, bool), vectors=np.ones((4, 3)))
    assert name.high == name.low == [] and np.isnan(name.fidelity)


def test_auc_counts_pairs():
    assert naming.auc([2, 3], [1, 2]) == pytest.approx(3.5 / 4)
    assert np.isnan(naming.auc([], [1]))


def test_sentence_states_the_relation():
    said = naming.sentence(
        x="functions", y="fn_parameters", x_high=["a", "b"], x_low=["c"], y_high=["f"], y_low=["h", "i"], r=0.684,
        interval=(0.6, 0.75), q=0.0123, echo=0.9, beyond=-0.05,
    )  # fmt: skip
    assert said == (
        "Functions about {a, b} (rather than {c}) tend to go with fn parameters about {f} (rather than {h, i}); "
        "r = .68 [.60, .75] on unseen functions, q = .012, echo .90, beyond the echo -.05"
    )


def test_sentence_leaves_out_what_is_unknown():
    said = naming.sentence(x="books", y="reviews", x_low=["c"], r=1.0, verb="get", unseen=False)
    assert said == "Books not about {c} get reviews of an unnamed kind; r = 1.00 on the same books"


def test_sentence_with_a_negative_r_stays_true():
    said = naming.sentence(x="books", y="reviews", x_high=["a"], y_high=["f"], y_low=["h"], r=-0.5, q=1e-5)
    assert said == (
        "Books about {a} tend to go with reviews about {h} (rather than {f}); r = -.50 on unseen books, q < .001"
    )


def test_name_is_plain_data():
    assert Name(["a"], [], 0.5)._asdict() == {"high": ["a"], "low": [], "fidelity": 0.5}


def test_equal_evidence_is_decided_by_the_direction():
    texts = ["alpha, beta"] * 20 + ["gamma"] * 20
    vocabulary, scores, train = Vocabulary(texts), np.arange(40.0)[::-1], np.ones(40, bool)
    for word in ("alpha", "beta"):
        name = naming.name_trait(
            vocabulary, scores, embed=embed, train=train, vectors=np.outer(scores, word_vector(word)), n=1
        )
        assert name.high == [word]


def test_background_of_the_log_odds_is_the_items_that_make_names(world, monkeypatch):
    vocabulary, scores, vectors, train = world
    seen = []
    real = naming.log_odds
    monkeypatch.setattr(naming, "log_odds", lambda *counts, **more: seen.append(counts[2]) or real(*counts, **more))
    naming.name_trait(vocabulary, scores, embed=embed, train=train, vectors=vectors)
    assert np.array_equal(seen[0], vocabulary.held[np.flatnonzero(train)].toarray().sum(axis=0))
