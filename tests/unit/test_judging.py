"""What is confirmed of all that was tested, and what is a view of something stronger."""

import numpy as np
import pandas as pd

from crosswalk.judging import UNCONFIRMED_SHOWN, judge, judge_lists, listed, views


def table(p, r, family="axes", p_max=None):
    units = np.arange(len(p))
    return pd.DataFrame(
        {"family": family, "x_unit": units, "y_unit": units, "n": 50, "r": r, "r_low": 0.0, "r_high": 0.5, "p": p,
         "p_max": p if p_max is None else p_max, "stability": 1.0, "list": "plain"}
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


def test_copies_of_a_strong_finding_count_as_tests_all_the_same():
    tests = table([0.0001] * 10 + [0.02], [0.6] * 10 + [0.1])
    x, y = independent(tests)
    x[:, 1:10], y[:, 1:10] = x[:, :1], y[:, :1]
    found = judge(tests, x, y, alpha=0.05, overlap=0.5)
    assert list(found["confirmed"][[0, 10]]) == [True, False]
    np.testing.assert_allclose(found["q"][10], 0.02 * 11 / 2)  # the second of eleven tests, not of two


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


def test_lists_are_corrected_apart_and_no_finding_is_a_view_of_one_in_another_list():
    plain = table([0.04], [0.2])
    beyond = pd.concat([table([0.04], [0.2]), table([0.5] * 9, [0.01] * 9, "topk-8")], ignore_index=True)
    tests = pd.concat([plain, beyond.assign(list="beyond")], ignore_index=True)
    x, y = independent(tests)
    x[:, 1], y[:, 1] = x[:, 0], y[:, 0]  # the same finding in both lists
    found = judge_lists(tests, x, y, alpha=0.05, overlap=0.5)
    assert list(found["confirmed"][:2]) == [True, False]
    assert (found["view_of"] == -1).all()


def test_rows_of_a_list_need_not_stand_together():
    tests = table([0.001] * 4, [0.5, 0.4, 0.3, 0.2]).assign(list=["plain", "beyond", "plain", "beyond"])
    x, y = independent(tests)
    x[:, 3], y[:, 3] = x[:, 1], y[:, 1]
    found = judge_lists(tests, x, y, alpha=0.05, overlap=0.5)
    assert list(found.index) == [0, 1, 2, 3] and list(found["r"]) == [0.5, 0.4, 0.3, 0.2]
    assert list(found["view_of"]) == [-1, -1, -1, 1]


def test_what_was_asked_for_is_answered_each_by_itself_and_told_whatever_the_answer():
    p = np.array([0.001, 0.001, *[0.9] * (UNCONFIRMED_SHOWN + 2)])
    tests = table(p, np.linspace(0.5, 0.1, len(p))).assign(list="focus")
    x, y = independent(tests)
    x[:, 1], y[:, 1] = x[:, 0], y[:, 0]  # two phrases that mean the same
    found = judge_lists(tests, x, y, alpha=0.05, overlap=0.5)
    assert list(found["confirmed"][:3]) == [True, True, False]
    assert found["q"].notna().all() and listed(found) == list(range(len(p)))
