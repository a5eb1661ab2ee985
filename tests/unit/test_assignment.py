"""Partners are the best there are, by brute force or by proof, whatever the candidates left out."""

import itertools
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from crosswalk import assignment as module
from crosswalk.assignment import assign
from crosswalk.errors import UserError
from crosswalk.neighbours import Product, neighbours
from scores import Matrix

RNG = np.random.default_rng(8)
SOLVERS = {"dense": {"dense_rows": 10_000}, "flow": {"dense_rows": 0, "k": 2}}
either = pytest.mark.parametrize("solver", SOLVERS)


def found(values, *, solver="dense", **options):
    result = assign(Matrix(values), **{"mode": "one_to_one", **SOLVERS[solver], **options})
    return sound(values, result, **options)


def sound(values, result, *, capacity=1, unmatched=None, **_):
    """The result, once it is seen to keep what every result promises."""
    values, partner = np.asarray(values, np.float32), result.partner
    n, m = values.shape
    assert partner.shape == (n,) and partner.dtype == np.int32
    assert partner.min() >= -1 and partner.max() < m
    seats = np.broadcast_to(capacity, m)
    assert (np.bincount(partner[partner >= 0], minlength=m) <= seats).all()
    pairs = values[partner >= 0, partner[partner >= 0]].astype(np.float64)
    assert result.total == pytest.approx(pairs.sum(), rel=1e-12, abs=1e-12)
    assert result.total <= result.bound <= result.total + 1e-6 * max(1, abs(result.total)) + 1e-9
    if unmatched is None:
        assert len(pairs) == min(n, seats.sum())
    else:
        assert (pairs >= unmatched).all()
    return result


def worth(values, partner, unmatched):
    matched = partner >= 0
    return (
        np.asarray(values, np.float32)[matched, partner[matched]].sum(dtype=np.float64)
        + (unmatched or 0) * (~matched).sum()
    )


def brute_force(values, capacity, unmatched):
    """The best worth of all assignments there are."""
    n, m = values.shape
    seats = np.broadcast_to(capacity, m)
    best = -np.inf
    for choice in itertools.product(range(-1, m), repeat=n):
        partner = np.array(choice)
        if (np.bincount(partner[partner >= 0], minlength=m) > seats).any():
            continue
        if unmatched is None and (partner >= 0).sum() < min(n, seats.sum()):
            continue
        best = max(best, worth(values, partner, unmatched))
    return best


def one_taste(n, m, seed=0):
    """Scores that are nearly those of one taste: all want the same few, who all want the same few."""
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(n, 1)) + 3 * rng.normal(size=(1, m)) + 0.1 * rng.normal(size=(n, m))


def optimum(values):
    rows, columns = linear_sum_assignment(-np.asarray(values, np.float32).astype(np.float64))
    return np.asarray(values, np.float32)[rows, columns].sum(dtype=np.float64)


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 4),
    m=st.integers(1, 4),
    capacity=st.one_of(st.none(), st.integers(1, 3), st.lists(st.integers(0, 3), min_size=4, max_size=4)),
    unmatched=st.sampled_from([None, -50.0, -0.6, 0.0, 0.3, 1.0, 50.0]),
    whole=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_no_assignment_is_better(n, m, capacity, unmatched, whole, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, (n, m)).astype(float) if whole else rng.normal(size=(n, m)).round(3)
    options = {} if capacity is None else {"mode": "capacity"}
    seats = 1 if capacity is None else capacity if isinstance(capacity, int) else np.array(capacity[:m])
    if capacity is not None:
        options["capacity"] = seats
    for solver in SOLVERS:
        given_all = {"solver": solver, "unmatched": unmatched, **options}
        if capacity is not None and unmatched is None and np.broadcast_to(seats, m).sum() < n:
            with pytest.raises(UserError):
                found(values, **given_all)
            continue
        result = found(values, **given_all)
        expected = brute_force(values, seats, unmatched)
        assert worth(values, result.partner, unmatched) == pytest.approx(expected, abs=2e-6)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 60), m=st.integers(1, 60), taste=st.booleans(), seed=st.integers(0, 999))
def test_flow_over_candidates_reaches_the_dense_optimum(n, m, taste, seed):
    values = one_taste(n, m, seed) if taste else np.random.default_rng(seed).normal(size=(n, m))
    result = found(values, solver="flow")
    assert result.solver == "flow"
    assert result.total == pytest.approx(optimum(values), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("shape", [(150, 150), (110, 150), (150, 110)])
def test_twenty_candidates_that_all_share_are_not_enough_and_more_are_let_in(shape):
    values = one_taste(*shape)
    result = found(values, solver="flow", k=20)
    assert result.rounds > 1
    assert result.total == pytest.approx(optimum(values), rel=1e-6)
    candidates = neighbours(Matrix(values), k=20)
    listed = set(zip(np.repeat(np.arange(shape[0]), 20).tolist(), candidates.a_index.ravel().tolist(), strict=True))
    listed |= set(zip(candidates.b_index.ravel().tolist(), np.repeat(np.arange(shape[1]), 20).tolist(), strict=True))
    assert not {(i, j) for i, j in enumerate(result.partner.tolist()) if j >= 0} <= listed


def test_bound_holds_and_the_log_says_so_when_the_rounds_run_out(caplog):
    values = one_taste(120, 120)
    best = optimum(values)
    bounds = []
    for rounds in (1, 2, 3):
        with caplog.at_level(logging.WARNING):
            result = assign(Matrix(values), mode="one_to_one", dense_rows=0, k=5, rounds=rounds)
        assert result.total <= best <= result.bound
        assert sorted(result.partner) == list(range(120)) and result.rounds == rounds
        bounds.append(result.bound)
    assert bounds[0] > bounds[1] > bounds[2] > best + 1e-3
    assert len(caplog.records) == 3 and "best total" in caplog.text


@either
def test_capacity_equals_copies_of_the_columns(solver):
    values, seats = RNG.normal(size=(40, 17)), np.arange(17) % 6
    result = found(values, solver=solver, mode="capacity", capacity=seats)
    assert result.total == pytest.approx(optimum(np.repeat(values, seats, axis=1)), rel=1e-6)
    same = found(values, solver=solver, mode="capacity", capacity=3)
    assert same.total == pytest.approx(optimum(np.repeat(values, 3, axis=1)), rel=1e-6)


@either
@pytest.mark.parametrize("shape", [(30, 45), (45, 30)])
@pytest.mark.parametrize("unmatched", [-1.0, 0.2, 1.1])
def test_leaving_alone_equals_a_column_of_that_worth_for_each_row(solver, shape, unmatched):
    values = one_taste(*shape) / 3
    result = found(values, solver=solver, unmatched=unmatched)
    apart = np.hstack([values, np.full((shape[0], shape[0]), unmatched)])
    assert worth(values, result.partner, unmatched) == pytest.approx(optimum(apart), rel=1e-6)
    assert 0 < (result.partner < 0).sum() < shape[0]


@either
def test_constants_added_to_rows_and_columns_change_no_partner(solver):
    values = RNG.normal(size=(50, 50))
    before = found(values, solver=solver)
    after = found(values + RNG.normal(size=(50, 1)) + RNG.normal(size=(1, 50)), solver=solver)
    assert np.array_equal(before.partner, after.partner)


@either
def test_scores_doubled_change_nothing_else(solver):
    values = one_taste(40, 45).astype(np.float32)
    one, two = found(values, solver=solver), found(2 * values, solver=solver)
    assert np.array_equal(one.partner, two.partner)
    assert two.total == pytest.approx(2 * one.total)


@either
@pytest.mark.parametrize("mode", ["free", "one_to_one", "capacity"])
def test_order_of_rows_and_columns_changes_no_match(solver, mode):
    values, rows, columns = RNG.normal(size=(40, 30)), RNG.permutation(40), RNG.permutation(30)
    options = {"mode": mode, **SOLVERS[solver]} | ({"capacity": 2} if mode == "capacity" else {})
    before = assign(Matrix(values), **options).partner
    after = assign(Matrix(values[rows][:, columns]), **options).partner
    assert np.array_equal(np.where(after >= 0, columns[after], -1), before[rows])


@either
@pytest.mark.parametrize("unmatched", [None, 1.0])
def test_ties_are_decided_the_same_way_each_time(solver, unmatched):
    values = RNG.integers(0, 3, (40, 40))
    one, two = (found(values, solver=solver, unmatched=unmatched) for _ in range(2))
    assert np.array_equal(one.partner, two.partner)
    level = found(np.ones((30, 20)), solver=solver)
    assert level.total == 20 and (level.partner >= 0).sum() == 20


def test_free_takes_the_best_of_each_and_leaves_those_below_alone():
    values = RNG.normal(size=(25, 9)).astype(np.float32)
    result = assign(Matrix(values), mode="free")
    assert np.array_equal(result.partner, values.argmax(1)) and result.partner.dtype == np.int32
    assert result.total == result.bound == pytest.approx(values.max(1).sum(dtype=np.float64))
    assert (result.solver, result.rounds) == ("free", 0)
    given = assign(Matrix(values), mode="free", neighbours=neighbours(Matrix(values), k=4), unmatched=1.0)
    assert np.array_equal(given.partner, np.where(values.max(1) >= 1, values.argmax(1), -1))
    assert given.total == pytest.approx(values.max(1)[values.max(1) >= 1].sum(dtype=np.float64))


@either
def test_one_row_or_one_column_is_enough(solver):
    assert found([[-3.0]], solver=solver).partner.tolist() == [0]
    assert found([[1.0, 4.0, 2.0]], solver=solver).partner.tolist() == [1]
    assert found([[1.0], [4.0], [2.0]], solver=solver).partner.tolist() == [-1, 0, -1]
    assert found([[1.0], [4.0], [2.0]], solver=solver, mode="capacity", capacity=3).partner.tolist() == [0, 0, 0]
    assert found([[1.0], [4.0]], solver=solver, unmatched=5.0).partner.tolist() == [-1, -1]
    assert found([[0.0]], solver=solver).partner.tolist() == [0]


@either
def test_columns_without_a_seat_stay_empty(solver):
    result = found(np.ones((4, 3)), solver=solver, mode="capacity", capacity=np.zeros(3, int), unmatched=0.0)
    assert result.partner.tolist() == [-1] * 4 and result.total == 0
    result = found([[9.0, 1.0], [9.0, 1.0]], solver=solver, mode="capacity", capacity=[0, 2])
    assert result.partner.tolist() == [1, 1]


@either
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1e30])
def test_very_small_and_very_great_scores_are_matched_as_well(solver, size):
    values = RNG.normal(size=(20, 20))
    assert np.array_equal(found(size * values, solver=solver).partner, found(values, solver=solver).partner)


@either
def test_pair_is_not_made_where_only_rounding_hides_that_it_is_below(solver):
    values = np.full((6, 6), 1.0)
    values[0, 0] = 30_000.0
    result = found(values, solver=solver, unmatched=1.0 + 1e-12)
    assert result.partner.tolist() == [0, -1, -1, -1, -1, -1]


def test_small_problems_are_solved_whole_and_large_ones_over_candidates():
    values = RNG.normal(size=(12, 12))
    assert assign(Matrix(values), mode="one_to_one", dense_rows=12).solver == "dense"
    assert assign(Matrix(values), mode="one_to_one", dense_rows=11).solver == "flow"
    assert assign(Matrix(values), mode="capacity", capacity=2, dense_rows=12).solver == "flow"
    assert assign(Matrix(values), mode="capacity", capacity=10**18, dense_rows=42).solver == "dense"
    assert assign(Matrix(values), mode="one_to_one").solver == "dense"


def test_known_candidates_are_used_and_parts_give_what_the_whole_gives(monkeypatch):
    a, b = RNG.normal(size=(90, 16)), RNG.normal(size=(80, 16))
    scores = Product(a, b)
    whole = assign(scores, mode="one_to_one", dense_rows=0, k=3)
    known = neighbours(scores, k=3)
    monkeypatch.setattr(module, "CELLS", 80 * 7)
    assert assign(scores, mode="one_to_one", dense_rows=0, k=3).partner.tolist() == whole.partner.tolist()
    monkeypatch.setattr(module, "nearest", None)
    again = assign(scores, mode="one_to_one", dense_rows=0, neighbours=known)
    assert again.partner.tolist() == whole.partner.tolist()


@pytest.mark.parametrize("options", [{"mode": "free"}, *({"mode": "one_to_one", **o} for o in SOLVERS.values())])
def test_score_that_is_not_finite_is_refused(options):
    values = RNG.normal(size=(6, 5))
    values[4, 2] = np.nan
    with pytest.raises(ValueError, match="row 4"):
        assign(Matrix(values), **options)


def test_too_few_seats_name_the_key_and_what_to_raise_it_to():
    for capacity in (2, np.array([1, 2, 3])):
        with pytest.raises(UserError, match=r"match\.jobs\.capacity: 3 rows of b take 6 .* 7 rows of a .* 3 or more"):
            assign(Matrix(np.zeros((7, 3))), mode="capacity", capacity=capacity, key="match.jobs.capacity")
    assert found(np.zeros((7, 3)), mode="capacity", capacity=2, unmatched=-1.0).total == 0


def test_options_that_make_no_sense_are_refused():
    scores = Matrix(np.zeros((3, 4)))
    for options in (
        {"mode": "best"},
        {"mode": "capacity"},
        {"mode": "one_to_one", "capacity": 2},
        {"mode": "capacity", "capacity": 1.5},
        {"mode": "capacity", "capacity": [1, 2]},
        {"mode": "capacity", "capacity": -1},
        {"mode": "free", "unmatched": np.nan},
    ):
        with pytest.raises(ValueError):
            assign(scores, **options)
    for shape, rounds in (((0, 4), 3), ((3, 0), 3), ((3, 4), 0)):
        with pytest.raises(ValueError, match="at least 1"):
            assign(Matrix(np.zeros(shape)), mode="one_to_one", rounds=rounds)
