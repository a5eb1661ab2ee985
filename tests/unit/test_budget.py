"""A budget stops before it is crossed, and knows money as well as tokens."""

import math

import pytest

from crosswalk.budget import Budget, BudgetReached, price_of, study_of, token_limit
from crosswalk.errors import UserError

SMALL = "text-embedding-3-small"


def test_tokens_on_their_way_count_until_the_answer_says_what_they_took():
    budget = Budget(100, spent=10)
    budget.reserve(60)
    with pytest.raises(BudgetReached, match=r"embedding\.budget: 10 of 100 tokens are spent and 60 on their way.*31"):
        budget.reserve(31)
    budget.settle(60, 20)
    budget.reserve(70)
    assert (budget.spent, budget.on_the_way) == (30, 70)


def test_without_a_limit_nothing_stops():
    budget = Budget()
    budget.reserve(10**15)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, math.inf),
        ({"budget": {"tokens": None, "money": None}}, math.inf),
        ({"budget": {"tokens": 500}}, 500),
        ({"budget": {"money": 1}}, 50_000_000),
        ({"budget": {"money": 1, "tokens": 500}}, 500),
        ({"budget": {"money": 1}, "mode": "batch"}, 100_000_000),
        ({"budget": {"money": 0}}, 0),
        ({"budget": {"money": 3}, "price": 2}, 1_500_000),
        ({"budget": {"money": 3}, "price": 0}, math.inf),
    ],
)
def test_money_buys_as_many_tokens_as_it_can_pay(settings, limit):
    assert token_limit(SMALL, settings) == limit


def test_money_for_a_model_without_a_price_is_refused_with_a_cure():
    with pytest.raises(UserError, match=r"'own-model' costs\. Set embedding\.price"):
        token_limit("own-model", {"budget": {"money": 1}})
    assert price_of("own-model", {}) is None and price_of("own-model", {"price": 0.5}) == 0.5


def test_a_study_is_where_its_results_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study_of("results/a") == study_of(tmp_path / "results/a") != study_of("results/b")
    assert str(tmp_path) not in study_of("results/a")
