"""Names part the ends of a trait, say each thing once, and are judged on items they were not made from."""

import zlib

import numpy as np
import pytest

from crosswalk import naming
from crosswalk.naming import Vocabulary, Words

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
    assert first.words == second.words
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
    assert naming.name_trait(once, scores, **settings) == naming.name_trait(thrice, scores, **settings)


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
    kept = naming._distinct(ranked, dict(zip(ranked, rows, strict=True)), 10)
    assert kept == ["slow pacing", "boring", "book", "plot holes", "plot twist"]


def test_texts_without_phrases_get_no_name():
    vocabulary = Vocabulary(["the 1", "of 2", "3", ""])
    name = naming.name_trait(vocabulary, np.arange(4.0), embed=embed, train=np.ones(4, bool), vectors=np.ones((4, 3)))
    assert name.high == name.low == [] and np.isnan(name.fidelity)


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


GOOD = Words(HIGH, LOW, "tales of dragon and sword", "notes on engine and piston", "toy-model")
WORSE = Words(FILLER[:3], FILLER[3:6], "paper model", "data figure", "toy-model")
PART = np.repeat([0, 1, 2, 2], 100)


def in_contest(world, rival, scores, **settings):
    """The name of a trait after it met a rival: made on half, compared on a quarter and measured on a quarter."""
    vocabulary, _, vectors, _ = world
    own = naming.name_trait(
        vocabulary, scores, embed=embed, train=PART == 2, test=PART == 0, vectors=vectors, **settings
    )
    (won,) = naming.contest(
        [own], [own], [rival], scores[:, None], embed=embed, choose=PART == 1, report=PART == 0, vectors=vectors
    )
    return own, won


def test_of_two_names_the_one_that_fits_unseen_texts_better_wins(world):
    own, won = in_contest(world, GOOD, world[1], n=1)
    assert own.words.by == "phrases" and won.words == GOOD and won.fidelity > own.fidelity
    own, won = in_contest(world, WORSE, world[1])
    assert won == own and won.fidelity > 0.9


def test_no_rival_or_one_that_is_just_as_good_changes_nothing(world):
    own, won = in_contest(world, None, world[1])
    assert won == own
    own, won = in_contest(world, own.words._replace(by="toy-model"), world[1])
    assert won == own


def test_of_two_names_that_part_the_ends_without_fault_the_one_that_tells_the_middle_wins():
    scores, known = np.arange(100.0), {"top": 0, "bottom": 1, "middle": 2}
    vectors = np.eye(3)[np.select([scores % 50 >= 40, scores % 50 < 10], [0, 1], 2)]
    settings = {"embed": lambda texts: np.eye(3)[[known[text] for text in texts]], "vectors": vectors}
    settings |= {"choose": scores < 50, "report": scores >= 50}
    blind, sharp = Words(["top"], ["middle"]), Words(["top"], ["bottom"], by="toy-model")
    none = naming.Name(blind, naming.fidelity(scores, scores < 0, vectors, np.zeros(3), np.zeros(3)))
    for draft, rival in ((blind, sharp), (sharp, blind)):
        draft = none._replace(words=draft)
        (won,) = naming.contest([draft], [draft], [rival], scores[:, None], **settings)
        assert won.words == sharp


def test_the_texts_that_choose_a_name_do_not_report_on_it(world):
    scores = world[1]
    own, won = in_contest(world, GOOD, np.where(PART == 0, -scores, scores), n=1)
    assert won.words == GOOD and won.fidelity < 0.1 and own.fidelity < 0.5
    own, won = in_contest(world, WORSE, np.where(PART == 1, -scores, scores))
    assert won.words == WORSE and won.fidelity < 0.85 < own.fidelity


def test_the_texts_that_choose_a_name_do_not_make_it(world):
    own, _ = in_contest(world, None, world[1])
    assert in_contest(world, None, np.where(PART == 1, 0, world[1]))[0] == own


def test_a_trait_without_phrases_takes_the_words_it_is_given(world):
    bare, scores = Vocabulary(["the 1"] * 400), world[1]
    own, won = in_contest((bare, scores, world[2], None), GOOD, scores)
    assert np.isnan(own.fidelity) and won.words == GOOD and won.fidelity > 0.9


def test_a_gist_that_says_the_opposite_spoils_a_name(world):
    turned = GOOD._replace(high_gist="engine, piston and gearbox", low_gist="dragon, castle and sword")
    assert in_contest(world, turned, world[1])[1].words.by == "phrases"
    right, wrong = (in_contest(world, rival, world[1], n=1)[1].fidelity for rival in (GOOD, turned))
    assert wrong < right - 0.1


def test_each_end_is_measured_by_its_own_name(world):
    vocabulary, scores, vectors, train = world
    measured = naming.name_trait(vocabulary, scores, embed=embed, train=train, vectors=vectors).measured
    for end in measured:
        assert 0.5 < end.low < end.value < end.high < 1
    assert measured.side.value > max(measured.high.value, measured.low.value)
