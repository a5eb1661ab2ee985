"""From candidates to distinct relations."""

import numpy as np
import pandas as pd
import pytest

from crosswalk.relations import (
    UNCONFIRMED_SHOWN,
    collect_relations,
    compare_encoders,
    echo,
    end_texts,
    fifths,
    judge,
    listed,
    mean_shift,
    views,
)
from crosswalk.significance import candidate_table


def table(p, r, family="axes", p_max=None):
    units = np.arange(len(p))
    return pd.DataFrame(
        {"family": family, "x_unit": units, "y_unit": units, "n": 50, "r": r, "r_low": 0.0, "r_high": 0.5, "p": p,
         "p_max": p if p_max is None else p_max, "stability": 1.0}
    )  # fmt: skip


def independent(tests, seed=0, n=2000):
    """Scores of candidates that have their r and nothing to do with one another."""
    rng = np.random.default_rng(seed)
    x = np.linalg.qr(rng.normal(size=(n, 2 * len(tests))))[0] * np.sqrt(n)
    r = tests["r"].to_numpy()
    return x[:, : len(r)], r * x[:, : len(r)] + np.sqrt(1 - r**2) * x[:, len(r) :]


def judged(tests):
    return judge(tests, *independent(tests), alpha=0.05, overlap=0.5)


def test_every_distinct_candidate_of_every_search_counts_towards_the_correction():
    alone = table([0.04], [0.2])
    among = pd.concat([alone, table([0.5] * 9, [0.01] * 9, "topk-8")], ignore_index=True)
    assert judged(alone)["confirmed"].iloc[0]
    assert not judged(among)["confirmed"].iloc[0]


def test_copies_of_a_strong_finding_do_not_confirm_a_weak_one():
    tests = table([0.0001] * 10 + [0.03] + [0.9] * 5, [0.6] * 10 + [0.1] + [0.01] * 5)
    x, y = independent(tests)
    plain = judge(tests.assign(p_max=1.0), x, y, alpha=0.05, overlap=0.5)
    assert plain["confirmed"].iloc[10]  # ten discoveries loosen the correction, rightly, if they are ten
    x[:, 1:10], y[:, 1:10] = x[:, :1], y[:, :1]
    found = judge(tests, x, y, alpha=0.05, overlap=0.5)
    assert list(found["confirmed"][[0, 1, 10]]) == [True, False, False]
    assert list(found["view_of"][:10]) == [-1, *[0] * 9] and found["q"].isna().sum() == 9


def test_the_best_of_several_copies_of_a_chance_finding_does_not_stand_for_all_of_them():
    tests = table([0.01, 0.02, 0.03], [0.2, 0.19, 0.18], p_max=[0.5] * 3)
    x, y = independent(tests)
    x[:, 1:], y[:, 1:] = x[:, :1], y[:, :1]
    assert judge(tests, x, y, alpha=0.05, overlap=0.5)["q"].notna().all()


def test_confirmed_views_are_told_as_views_and_not_as_relations():
    tests = table([0.001, 0.002], [0.3, 0.25], p_max=[0.5] * 2)
    x, y = independent(tests)
    x[:, 1], y[:, 1] = x[:, 0], y[:, 0]
    found = judge(tests, x, y, alpha=0.05, overlap=0.5)
    assert list(found["confirmed"]) == [True, False] and list(found["view_of"]) == [-1, 0]


def test_the_strict_list_is_corrected_over_searches_too():
    searches = [table([0.001], [0.5], p_max=[0.03]), table([0.001], [0.5], "b", p_max=[0.02])]
    found = judged(pd.concat(searches, ignore_index=True))
    assert list(found["confirmed"]) == [True, True]
    assert list(found["strict"]) == [False, True]


def test_views_of_one_relation_are_those_of_the_strongest():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    y = x + noise
    x_scores = np.column_stack([x[:, 0], -x[:, 0] + 0.1 * x[:, 1], x[:, 2]])
    y_scores = np.column_stack([y[:, 0], -y[:, 0] + 0.1 * y[:, 1], y[:, 2]])
    assert list(views([0.4, 0.5, 0.3], x_scores, y_scores, overlap=0.5)) == [1, -1, -1]
    only_last = np.array([False, False, True])
    assert list(views([0.4, 0.5, 0.3], x_scores, y_scores, overlap=0.5, absorbing=only_last)) == [-1, -1, -1]


def test_findings_alike_on_one_side_only_stay_apart():
    rng = np.random.default_rng(0)
    part, noise = rng.normal(size=(500, 2)), rng.normal(size=(500, 2))
    # x's trait goes with two traits of y that have nothing to do with one another.
    x_scores = np.column_stack([part.sum(1), part.sum(1) + 2 * noise[:, 0]])
    y_scores = np.column_stack([part[:, 0], part[:, 1] + 2 * noise[:, 0]])
    assert list(views([0.7, 0.6], x_scores, y_scores, overlap=0.5)) == [-1, -1]


def test_a_mixture_of_two_relations_is_a_view_of_them():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    y = x + 0.5 * rng.normal(size=(500, 2))
    x_scores, y_scores = np.column_stack([x, x.sum(1)]), np.column_stack([y, y.sum(1)])
    found = views([0.9, 0.8, 0.7], x_scores, y_scores, overlap=0.5)
    assert list(found[:2]) == [-1, -1] and found[2] in (0, 1)


def test_few_unconfirmed_are_told_after_the_confirmed():
    tests = table(np.concatenate([[0.6] * 20, [1e-4]]), np.linspace(0.1, 0.9, 21))
    assert listed(judged(tests)) == [20, *range(19, 19 - UNCONFIRMED_SHOWN, -1)]


def test_echo_is_high_when_y_repeats_x_and_low_when_it_says_something_else():
    rng = np.random.default_rng(0)
    n, d = 400, 6
    topic, tone = rng.normal(size=n), rng.normal(size=n)
    x_direction, y_direction = np.eye(d)[0], np.eye(d)[1]
    y_embeddings = np.outer(topic, x_direction) + np.outer(topic * 0.7 + tone, y_direction)
    fold = np.arange(n) % 5
    repeated, beyond = echo(topic, y_embeddings @ x_direction, x_direction, y_embeddings, fold=fold)
    assert repeated > 0.99 and abs(beyond) < 0.1
    noise = rng.normal(size=(n, d)) * 3
    repeated, beyond = echo(topic, topic + tone, x_direction, noise, fold=fold)
    assert repeated < 0.15 and beyond > 0.6


def test_ends_show_the_outermost_items_by_their_most_telling_row():
    scores = np.array([0.0, 3.0, -2.0])
    vectors = np.array([[0.0], [1], [2], [-1], [-5]])
    found = end_texts(scores, np.ones(1), list("abcde"), list("ABCDE"), vectors, [0, 1, 1, 2, 2], [0, 1, 2], count=1)
    assert found[["end", "item", "id"]].to_numpy().tolist() == [["high", 1, "c"], ["low", 2, "e"]]


def test_ends_show_no_text_twice():
    scores, vectors = np.array([3.0, 2, 1, 0]), np.array([[4.0], [3], [2], [1]])
    found = end_texts(scores, np.ones(1), list("abcd"), ["A", "A", "B", "C"], vectors, range(4), range(4), count=2)
    assert list(found["id"]) == ["a", "c", "d", "c"]


def test_fifths_and_mean_shift_point_from_low_to_high():
    scores = np.arange(50.0)
    low, high = fifths(scores)
    assert low[:10].all() and high[40:].all() and low.sum() == high.sum() == 10
    np.testing.assert_allclose(mean_shift(np.outer(scores, [0, 2.0]), scores), [0, 1])


def test_collected_relations_carry_scores_texts_and_directions():
    rng = np.random.default_rng(0)
    n, d = 60, 5
    items = np.array([f"i{i}" for i in range(n)], dtype=object)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    x_scores = rng.normal(size=(n, 2))
    y_scores = x_scores + rng.normal(size=(n, 2))
    tests = pd.concat([table([0.001], [0.6]), table([0.002], [0.3], "topk-8/seed-1")], ignore_index=True)
    tests = judge(tests, x_scores, y_scores, alpha=0.05, overlap=0.5)
    held_out = np.ones((n, 2), dtype=bool)
    held_out[:40, 1] = False
    rows = pd.DataFrame({"id": items, "group": items, "text": "text of " + items})
    found = collect_relations(
        tests, x_scores, y_scores, items=items, x_embeddings=x, y_embeddings=y,
        axis_directions=[np.eye(d)[:1], np.eye(d)[1:2]], fold=np.arange(n) % 5, held_out=held_out,
        sides={"x": (rows, x), "y": (rows, y)}, examples=3,
    )  # fmt: skip
    assert list(found.relations["kind"]) == ["axis", "pair"]
    assert found.relations["r"].is_monotonic_decreasing
    assert list(found.scores.groupby("relation")["held_out"].sum()) == [60, 20]
    assert len(found.ends) == 2 * 2 * 2 * 3 and len(found.scores) == 2 * n
    np.testing.assert_array_equal(found.x_traits[0], np.eye(d)[0])
    np.testing.assert_allclose(found.x_traits[1], mean_shift(x, x_scores[:, 1]))


def test_encoders_stand_beside_components_of_equal_width():
    tables = [table([0.001, 0.9], [0.5, 0.1], "topk-8/seed-1"), table([0.001, 0.001], [0.4, 0.6], "pca-8")]
    row = compare_encoders(tables, ["topk-8/seed-1"], [0.3, 0.2], alpha=0.05).iloc[0]
    assert (row["confirmed"], row["pca_confirmed"]) == (1, 2)
    assert row["pca_median_r"] == pytest.approx(0.5) and row["explained_variance_y"] == 0.2


def test_a_table_of_candidates_compares_with_the_worlds():
    found = candidate_table(
        "axes", [0], [1], n=9, r=np.array([0.4]), low=[0.3], high=[0.5], stability=[1], pooled=True,
        null=[np.array([0.1, 0.5]), np.array([0.2])],
    )  # fmt: skip
    assert found["p"][0] == pytest.approx(0.5) and found["p_max"][0] == pytest.approx(2 / 3)
