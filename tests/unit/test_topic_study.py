"""Topics of both sides: the same for any order of rows, of halves as of rows, jointly or of each side."""

import numpy as np
import pytest

from crosswalk.comparison import order_of
from crosswalk.errors import UserError
from crosswalk.topic_study import bridge_words, study_topics
from matchings import TOPICS, collection, things


@pytest.fixture(scope="module")
def rows():
    concepts = things(40)
    return {side: collection(concepts[: (40, 30)[place]], side=place) for place, side in enumerate("ab")}


def study(rows, *, seed=0, halves=None, held=None, **changed):
    texts = {
        side: {"rows": table["text"].tolist()}
        | dict(zip(("first", "second"), (halves or {}).get(side, ([], [])), strict=True))
        for side, table in rows.items()
    }
    orders = {side: order_of(table["id"]) for side, table in rows.items()}
    return study_topics(
        texts, orders, settings=TOPICS | changed, seed=seed, folder=None, key="match.m.topics", held=held
    )


@pytest.mark.parametrize("mode", ["joint", "separate"])
@pytest.mark.parametrize("engine", ["nmf", "lda"])
def test_mixtures_are_shares_of_all_rows(rows, mode, engine):
    found = study(rows, mode=mode, engine=engine)
    sides = {"joint": ["both"], "separate": ["a", "b"]}[mode]
    assert list(found.keywords["topics"]) == list(found.keywords["coherence"]) == sides
    assert found.models["side"].tolist() == sides
    for side, count in (("a", 40), ("b", 30)):
        for kind in ("rows", "again"):
            assert found.mixtures[side][kind].shape == (count, 6)
            np.testing.assert_allclose(found.mixtures[side][kind].sum(axis=1), 1)
        assert found.mixtures[side]["halves"].shape == (0, 6)
    own = "both" if mode == "joint" else "a"
    assert len(found.keywords["topics"][own]) == len(found.keywords["coherence"][own]) == 6


@pytest.mark.parametrize("engine", ["nmf", "lda"])
@pytest.mark.parametrize("mode", ["joint", "separate"])
def test_a_half_that_is_the_whole_text_has_its_mixture(rows, engine, mode):
    halves = {side: (table["text"].tolist()[:5], table["text"].tolist()[5:10]) for side, table in rows.items()}
    found = study(rows, engine=engine, mode=mode, halves=halves)
    for side in "ab":
        assert found.mixtures[side]["halves"].tobytes() == found.mixtures[side]["rows"][:10].tobytes()


def test_topics_are_not_learned_from_texts_that_are_held_back(rows):
    # held back is what is first in the order of ids; of its words only their order changes, so that counts stay
    held = {side: np.arange(len(table)) < 10 for side, table in rows.items()}
    turned = {side: table.copy() for side, table in rows.items()}
    turned["a"].loc[turned["a"].index[:10], "text"] = rows["a"]["text"].to_numpy()[:10][::-1]
    back, again = (study(own, held=held) for own in (rows, turned))
    assert back.keywords == again.keywords and back.models.equals(again.models)
    assert back.keywords != study(rows).keywords
    assert back.mixtures["a"]["rows"][:10].tobytes() == again.mixtures["a"]["rows"][:10][::-1].tobytes()
    assert back.mixtures["a"]["rows"].shape == (40, 6)


@pytest.mark.parametrize("engine", ["nmf", "lda"])
def test_the_order_of_rows_changes_nothing_but_their_order(rows, engine):
    before = study(rows, engine=engine)
    rng = np.random.default_rng(0)
    moved = {side: rng.permutation(len(table)) for side, table in rows.items()}
    after = study({side: table.iloc[moved[side]] for side, table in rows.items()}, engine=engine)
    assert after.keywords == before.keywords and after.models.equals(before.models)
    for side, order in moved.items():
        for kind in ("rows", "again"):
            assert after.mixtures[side][kind].tobytes() == before.mixtures[side][kind][order].tobytes()
    assert bridge_words(after, 50) == bridge_words(before, 50)


def test_exactly_one_model_of_a_side_is_chosen(rows):
    found = study(rows, engine="auto", number=[2, 4, 6])
    models = found.models
    assert len(models) == 6 and models["chosen"].sum() == 1
    chosen = models[models["chosen"]].iloc[0]
    assert chosen["score"] == models["score"].max()
    assert chosen["engine"] == found.keywords["engine"]["both"]
    assert chosen["topics"] == len(found.keywords["topics"]["both"])
    assert study(rows, mode="separate", number=[2, 4]).models.groupby("side")["chosen"].sum().tolist() == [1, 1]


def test_a_model_that_makes_fewer_topics_is_still_the_chosen_one(rows, monkeypatch):
    import crosswalk.topics as topics

    whole = topics.NMF.fit

    def poor(self, counts):
        whole(self, counts)
        self.components_[-1] = 0
        return self

    monkeypatch.setattr(topics.NMF, "fit", poor)
    found = study(rows, number=6)
    assert len(found.keywords["topics"]["both"]) == 5 and found.models["chosen"].tolist() == [True]


def test_a_seed_gives_the_same_bytes(rows):
    one, other = (study(rows, engine="lda", seed=3) for _ in range(2))
    assert one.mixtures["a"]["rows"].tobytes() == other.mixtures["a"]["rows"].tobytes()
    assert one.mixtures["a"]["again"].tobytes() != one.mixtures["a"]["rows"].tobytes()


def test_bridge_words_are_used_by_both_sides_keywords_first(rows):
    found = study(rows)
    words = bridge_words(found, 1000)
    used = [{found.counts.vocabulary[i] for i in part.indices} for part in (found.counts.a, found.counts.b)]
    assert set(words) == used[0] & used[1] and len(set(words)) == len(words)
    assert {"anchor", "fish", "nurse"} & set(words) and not {"boat", "ship"} & set(words)
    keys = [word in {key for topic in found.keywords["topics"]["both"] for key, _ in topic} for word in words]
    assert keys == sorted(keys, reverse=True) and any(keys) and not all(keys)
    rest = words[sum(keys) :]
    totals = {word: sum(int((part[:, i] > 0).sum()) for part in (found.counts.a, found.counts.b))
              for i, word in enumerate(found.counts.vocabulary)}  # fmt: skip
    assert [totals[word] for word in rest] == sorted((totals[word] for word in rest), reverse=True)
    assert bridge_words(found, 4) == words[:4]


def test_few_texts_need_a_word_less_often(rows):
    few = {side: table.iloc[:12] for side, table in rows.items()}
    with_least = study(few, min_df=5, number=2)
    assert with_least.counts.vocabulary == study(few, min_df=1, number=2).counts.vocabulary


def test_equal_texts_have_no_topics_and_say_so(rows):
    same = {side: table.assign(text="the same old boat") for side, table in rows.items()}
    with pytest.raises(UserError, match=r"^match.m.topics: no word stands in"):
        study(same)


def test_more_topics_than_texts_are_a_users_error(rows):
    few = {side: table.iloc[:3] for side, table in rows.items()}
    with pytest.raises(UserError, match=r"^match.m.topics.number: 60 topics are too many"):
        study(few, number=60, max_df=1.0)
