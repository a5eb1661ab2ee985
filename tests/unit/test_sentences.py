"""Sentences state a relation in words that stay true, and the table holds what they say."""

import pandas as pd

from crosswalk import sentences
from crosswalk.fidelity import Area, Fidelity
from crosswalk.naming import Name, Words


def test_sentence_states_the_relation():
    said = sentences.sentence(
        x="functions", y="fn_parameters", x_high=["a", "b"], x_low=["c"], y_high=["f"], y_low=["h", "i"], r=0.684,
        interval=(0.6, 0.75), q=0.0123, echo=0.9, beyond=-0.05,
    )  # fmt: skip
    assert said == (
        "Functions about {a, b} (rather than {c}) tend to go with fn parameters about {f} (rather than {h, i}); "
        "r = .68 [.60, .75] on unseen functions, q = .012, echo .90, beyond the echo -.05"
    )


def test_sentence_leaves_out_what_is_unknown():
    said = sentences.sentence(x="books", y="reviews", x_low=["c"], r=1.0, verb="get", unseen=False)
    assert said == "Books not about {c} get reviews of an unnamed kind; r = 1.00 on the same books"


def test_sentence_with_a_negative_r_stays_true():
    said = sentences.sentence(x="books", y="reviews", x_high=["a"], y_high=["f"], y_low=["h"], r=-0.5, q=1e-5)
    assert said == (
        "Books about {a} tend to go with reviews about {h} (rather than {f}); r = -.50 on unseen books, q < .001"
    )


def table(x, y, *, r=0.5):
    """The table of one relation whose sides have these words."""
    measured = Fidelity(Area(0.9, 0.8, 0.95), Area(0.8, 0.7, 0.85), Area(0.7, 0.6, 0.75))
    relations = pd.DataFrame(
        [{"relation": 1, "r": r, "r_low": 0.4, "r_high": 0.6, "q": 0.01, "echo": 0.1, "beyond": 0.4, "confirmed": True}]
    )
    ends = pd.DataFrame(
        [(1, side, end, f"{side}{end}{i}") for side in "xy" for end in ("high", "low") for i in (1, 2)],
        columns=["relation", "side", "end", "id"],
    )
    names = {"x": [Name(x, measured)], "y": [Name(y, measured)]}
    found = sentences.describe_relations(relations, ends, names, collections=("books", "reviews"), verb="get")
    return found.iloc[0]


PLAIN = Words(["sea", "ship"], ["court"])
TOLD = Words(["slow"], ["brisk"], "books that drag", "books that race", "toy-model")


def test_the_table_holds_words_figures_ids_and_author():
    row = table(PLAIN, PLAIN)
    assert (row["x_high"], row["x_low"], row["named_by"]) == ("sea, ship", "court", "phrases")
    assert row["y_low_ids"] == "ylow1|ylow2"
    for side in "xy":
        for column, value in (("fidelity", 0.9), ("high_fidelity", 0.8), ("low_fidelity", 0.7)):
            assert row[f"{side}_{column}"] == value
            assert row[f"{side}_{column}_from"] < value < row[f"{side}_{column}_to"]


def test_the_gists_make_the_sentence_and_its_author_is_told():
    row = table(PLAIN, TOLD)
    assert row["sentence"].startswith(
        "Books about {sea, ship} (rather than {court}) get reviews about {books that drag} "
        "(rather than {books that race}); r = .50"
    )
    assert row["y_high"] == "slow" and row["named_by"] == "x phrases, y toy-model"
    assert table(TOLD, TOLD)["named_by"] == "toy-model"


def test_gists_change_places_with_a_negative_r():
    assert (
        "get reviews about {books that race} (rather than {books that drag})" in table(PLAIN, TOLD, r=-0.5)["sentence"]
    )


def test_other_words_change_nothing_but_words():
    plain, told = table(PLAIN, PLAIN), table(TOLD, TOLD)
    changed = {key for key in plain.index if plain[key] != told[key]}
    assert changed == {"x_high", "x_low", "y_high", "y_low", "named_by", "sentence"}
