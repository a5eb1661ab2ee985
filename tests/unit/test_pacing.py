"""Requests leave no faster than the limits, nearly as fast, and not while the service asks for a pause."""

import asyncio

import numpy as np
import pytest

from crosswalk.pacing import MINUTE, SLOWER, Pacer


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += max(seconds, 1e-6)


def leave(costs, *, pause=None, before=lambda pacer, i: None, **limits):
    """When requests of these tokens leave, float (n,) from 0, by a clock that nothing else moves."""
    clock = Clock()

    async def run():
        pacer = Pacer(**limits, clock=clock, sleep=clock.sleep)
        times = []
        for i, cost in enumerate(costs):
            before(pacer, i)
            await pacer.turn(cost)
            times.append(clock.now)
        return np.array(times) - 1000.0

    return asyncio.run(run())


def most_in_a_minute(times, amounts):
    return max(amounts[(times >= start) & (times < start + MINUTE)].sum() for start in times)


@pytest.mark.parametrize("off", [4.0, 0.8])
def test_what_requests_took_counts_once_it_is_known(off):
    costs = np.random.default_rng(0).integers(5000, 20_000, 400)

    async def run(correct):
        clock = Clock()
        pacer, times = Pacer(tokens=1_000_000, clock=clock, sleep=clock.sleep), []
        for cost in costs.tolist():
            sent = await pacer.turn(int(off * cost))
            times.append(clock.now - 1000.0)
            if correct:
                pacer.correct(sent, cost)
        return np.array(times)

    corrected, guessed = (asyncio.run(run(correct)) for correct in (True, False))
    assert most_in_a_minute(corrected, costs) <= 1_000_000
    assert costs.sum() / (corrected[-1] / MINUTE) >= 0.9 * 1_000_000  # of each, its own guess has to find room
    if off > 1:
        assert costs.sum() / (guessed[-1] / MINUTE) <= 0.3 * 1_000_000
    else:
        assert most_in_a_minute(guessed, costs) > 1_000_000


def test_without_limits_nothing_waits():
    assert not leave([100] * 50).any()


@pytest.mark.parametrize("limit", [7, 60, 3000])
def test_requests_keep_to_their_limit_and_use_nearly_all_of_it(limit):
    times = leave([1] * (5 * limit), requests=limit)
    assert most_in_a_minute(times, np.ones(len(times))) <= limit
    assert len(times) / (times[-1] / MINUTE) >= 0.95 * limit or limit < 20


@pytest.mark.parametrize("seed", range(3))
def test_tokens_keep_to_their_limit_and_use_nearly_all_of_it(seed):
    costs = np.random.default_rng(seed).integers(500, 20_000, 800)
    times = leave(costs, tokens=1_000_000, requests=3000)
    assert most_in_a_minute(times, costs) <= 1_000_000
    assert costs.sum() / (times[-1] / MINUTE) >= 0.95 * 1_000_000


def test_requests_leave_evenly():
    gaps = np.diff(leave([1] * 100, requests=60))
    assert gaps.min() >= 0.99 and gaps.max() < 1.2


def test_a_request_above_the_limit_leaves_alone():
    times = leave([10, 5000, 10], tokens=1000)
    assert times[1] >= MINUTE - 1 and times[2] - times[1] >= MINUTE


def test_a_pause_holds_everybody_and_the_longest_counts():
    def before(pacer, i):
        if i == 1:
            pacer.pause(90)
            pacer.pause(5)

    assert leave([1, 1, 1], before=before) == pytest.approx([0, 90, 90])


def test_what_the_service_says_of_its_limits_is_heeded_where_it_is_less():
    def before(pacer, i):
        if i == 1:
            pacer.answered({"x-ratelimit-limit-requests": "60", "x-ratelimit-limit-tokens": "soon"})

    assert np.diff(leave([1] * 5, before=before))[1:] == pytest.approx([60 / (60 * 0.985)] * 3, rel=1e-3)
    assert np.diff(leave([1] * 5, before=before, requests=30))[1:].min() > 2


def test_after_a_refusal_it_goes_slower_and_comes_back():
    def before(pacer, i):
        if i == 3:
            pacer.refused()
        elif i > 10:
            pacer.answered({})

    gaps = np.diff(leave([1] * 80, before=before, requests=600))
    assert gaps[5] == pytest.approx(gaps[0] / SLOWER, rel=0.02) and gaps[-1] == pytest.approx(gaps[0], rel=0.02)
