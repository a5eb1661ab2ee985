"""Who gets whom: each row of one collection the best of the other, one to one, up to a capacity, or freely.

Small problems are solved whole (Jonker and Volgenant's shortest paths, scipy), larger ones as a flow of least cost over
the best candidates of both sides (Goldberg's scaling push-relabel, OR-tools). What candidates leave out is then priced:
dual prices from the pairs at hand bound the best total over all pairs, and pairs that would be worth more than their
price join the candidates until the bound meets the total (delayed column generation, as Gilmore and Gomory, 1961).
"""

import logging
from typing import NamedTuple

import numpy as np
from ortools.graph.python import min_cost_flow
from scipy.optimize import linear_sum_assignment

from crosswalk.errors import UserError
from crosswalk.neighbours import best, chunks
from crosswalk.neighbours import neighbours as nearest

log = logging.getLogger(__name__)

MODES = ("free", "one_to_one", "capacity")
DENSE_ROWS = 2000  # from here on candidates are as fast in the worst case and hold far less (benchmarks/assignment.py)
CELLS = 1 << 24  # scores held at once
AIM, TOLERANCE = 1e-9, 1e-6  # of the total, by which it may lie below its bound: to stop, and to stop without a warning
FLOW_BITS, DENSE_BITS = 56, 52  # of the integers in which OR-tools' costs and the sums of float64 are exact
MOST_BITS = 44  # of a score as an integer: more buys nothing, float32 has 24
REACH = 4.0  # staying alone counts so many widths of the candidates' scores below the worst of them


class Assignment(NamedTuple):
    """Partners and what is known of their total.

    partner: int32 (n,), the b of each a, -1 for nobody; total: sum of the scores of the pairs; bound: no assignment
    under the same constraints that leaves as many rows without a partner has a higher total; solver: "free", "dense"
    or "flow"; rounds: times the problem was solved.
    """

    partner: np.ndarray
    total: float
    bound: float
    solver: str
    rounds: int


class _Graph(NamedTuple):
    """Seekers, each of whom wants a seat, and the pairs that may be made; worths are whole numbers.

    seeker, place, worth (e,): the pairs; seats (p,): of each place; seekers: how many; alone: worth of having none.
    """

    seeker: np.ndarray
    place: np.ndarray
    worth: np.ndarray
    seats: np.ndarray
    seekers: int
    alone: int


def assign(
    scores,
    *,
    mode,
    capacity=None,
    unmatched=None,
    k=20,
    dense_rows=DENSE_ROWS,
    neighbours=None,
    rounds=20,
    key="match.assignment.capacity",
):
    """Pair rows a (n) with columns b (m) of Scores so that the sum of the scores is greatest.

    mode: "free", every a its best b; "one_to_one"; "capacity", every b takes at most `capacity` (int or int (m,)) a's.
    unmatched: what leaving an a alone is worth: no pair below it is made; None matches as many as there can be.
    k: candidates of either side to begin with, above dense_rows x dense_rows cells; neighbours: those candidates, where
    they are known already; rounds: solve again at most so often; key: of the config, where errors point to.
    Equal scores are decided the same way each time. Returns Assignment; its total and bound meet within a millionth
    unless the rounds ran out, which is logged. Raises UserError if capacity is too small for everybody, ValueError if a
    score is not finite or the options contradict one another.
    """
    n, m = scores.shape
    if not n or not m or rounds < 1 or (unmatched is not None and not np.isfinite(unmatched)):
        raise ValueError(
            f"{n} x {m} scores, {rounds} rounds: at least 1 of each; unmatched={unmatched}: None or finite"
        )
    seats = _seats(mode, capacity, n, m, must=unmatched is None, key=key)
    if mode == "free":
        return _free(scores, unmatched, neighbours)
    turned = unmatched is None and n > seats.sum()  # the b's are fewer: it is they who must all be matched
    options = {"seats": np.ones(n, np.int64) if turned else seats, "turned": turned, "unmatched": unmatched}
    if n * int(seats.sum()) <= dense_rows**2:
        return _dense(scores, **options)
    found = nearest(scores, k=k, cells=CELLS) if neighbours is None else neighbours
    return _sparse(scores, found, rounds=rounds, **options)


def _seats(mode, capacity, n, m, *, must, key):
    """How many a's each b may take, int64 (m,), none more than n."""
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is none of {', '.join(MODES)}")
    if (mode == "capacity") != (capacity is not None):
        raise ValueError(f"mode {mode!r} and capacity={capacity!r}: capacity belongs to the mode of that name only")
    seats = np.asarray(1 if capacity is None else capacity)
    if seats.dtype.kind not in "iu" or seats.shape not in ((), (m,)) or (seats < 0).any():
        raise ValueError(f"capacity must be a whole number or {m} of them, none negative")
    seats = np.minimum(np.broadcast_to(seats, m), n).astype(np.int64)
    if mode == "capacity" and must and seats.sum() < n:
        raise UserError(
            f"{key}: {m:,} rows of b take {seats.sum():,} in all, but {n:,} rows of a must each be given one; "
            f"raise it to {-(-n // m)} or more each, or let rows of a stay unmatched"
        )
    return seats


def _free(scores, unmatched, neighbours):
    found = nearest(scores, k=1, cells=CELLS) if neighbours is None else neighbours
    partner, score = found.a_index[:, 0].astype(np.int32), found.a_score[:, 0].astype(np.float64)
    taken = np.full(len(score), True) if unmatched is None else score >= unmatched
    total = float(score[taken].sum())
    return Assignment(np.where(taken, partner, np.int32(-1)), total, total, "free", 0)


def _dense(scores, *, seats, turned, unmatched):
    """Solve with all scores at hand; the prices come from all pairs, so that the bound meets the total."""
    n, m = scores.shape
    value = np.empty((n, m))
    for start, part in chunks(scores, cells=CELLS, label="assignment"):
        value[start : start + len(part)] = part
    value = value.T if turned else value
    alone = -np.inf if unmatched is None else float(unmatched)
    greatest = max(np.abs(value).max(), abs(unmatched or 0.0))
    scale = _scale(greatest, bits=DENSE_BITS - (n + m).bit_length())
    units, least = np.rint(value * scale), np.rint(alone * scale)
    # A seeker who would do better alone takes any place at that worth and is sent away afterwards: the same optimum,
    # because every assignment of the shorter side makes the same number of pairs.
    copies = np.repeat(np.arange(len(seats)), seats)
    seeker, copy = linear_sum_assignment(np.maximum(units, least)[:, copies], maximize=True)
    place = copies[copy]
    kept = (units[seeker, place] >= least) & (value[seeker, place] >= alone)
    partner = np.full(len(value), -1)
    partner[seeker[kept]] = place[kept]

    matched = partner >= 0
    own = np.where(matched, units[np.arange(len(value)), partner], least)
    price = _all_prices(units, own, partner) / scale
    bound = np.maximum((value - price).max(axis=1), alone).sum() + seats @ price
    total = value[matched, partner[matched]].sum()
    bound -= 0 if unmatched is None else alone * (~matched).sum()
    partner = _of_a(partner, n) if turned else partner
    return Assignment(partner.astype(np.int32), float(total), float(max(bound, total)), "dense", 1)


def _all_prices(units, own, partner):
    """`_prices` where all pairs are at hand: units (seekers, places), own (seekers,): worth of what each has now."""
    price = np.zeros(units.shape[1] + 1)  # the last is that of staying alone
    asking = np.arange(len(units))
    for _ in range(len(price)):
        raised = price.copy()
        np.maximum(price[:-1], (units[asking] + (price[partner] - own)[asking, None]).max(axis=0), out=raised[:-1])
        asking = np.flatnonzero(raised[partner] > price[partner])  # only they can ask for more than before
        price = raised
        if not len(asking):
            break
    return price[:-1]


def _sparse(scores, found, *, seats, turned, unmatched, rounds):
    """Solve over candidates, price all pairs, let in those worth more than their price, and again."""
    n, m = scores.shape
    pairs, k = _candidates(found), found.a_index.shape[1]
    offer = 0.0 if unmatched is None else float(unmatched)
    value, ceiling = -np.inf, np.inf
    for done in range(1, rounds + 1):
        graph, scale = _graph(pairs, seats, (n, m), turned=turned, unmatched=unmatched)
        taken = _flow(graph)
        price, gain = (units / scale for units in _prices(graph, taken))
        gain = gain if unmatched is None else np.maximum(gain, offer)
        partner = _partners(graph, taken, everybody=unmatched is None)
        partner, u, v = (_of_a(partner, n), price, gain) if turned else (partner, gain, price)
        lift, own, more = _price_all(scores, u, v, partner, k=k, slack=2 / scale)
        ceiling = min(ceiling, u.sum() + lift + v @ (np.ones(m) if turned else seats))
        if unmatched is not None:
            partner[own < offer] = -1
        matched = partner >= 0
        total, lone = own[matched].sum(), offer * (n - matched.sum())
        if total + lone > value:
            value, kept = total + lone, (partner.astype(np.int32), float(total), float(lone))
        gap, known, score = ceiling - value, len(graph.worth), pairs[2]
        log.info("assignment, round %d: %d candidates, total %.6f, bound %.2g above", done, known, kept[1], gap)
        measure = max(np.abs(score).max(), abs(kept[1]))
        if gap <= AIM * measure:
            break
        pairs = _union(pairs, more, m)
        if len(pairs[0]) == known:
            break  # nothing is left to let in: what remains is the rounding of the scores to whole numbers
    partner, total, lone = kept
    if gap > TOLERANCE * measure:
        log.warning("after %d rounds the assignment may lie %.2g below the best total", done, gap)
    return Assignment(partner, total, float(max(ceiling - lone, total)), "flow", done)


def _candidates(found):
    """Pairs (a, b, score) of Neighbours, each once, by a and then b; float64 scores."""
    (n, own), (m, others) = found.a_index.shape, found.b_index.shape
    ours = np.repeat(np.arange(n), own), found.a_index.ravel().astype(np.int64), found.a_score.ravel()
    theirs = found.b_index.ravel().astype(np.int64), np.repeat(np.arange(m), others), found.b_score.ravel()
    return _union(ours, [theirs], m)


def _union(pairs, more, m):
    a, b, score = (np.concatenate(parts) for parts in zip(pairs, *more, strict=True))
    _, first = np.unique(a * m + b, return_index=True)
    return a[first], b[first], score[first].astype(np.float64)


def _scale(greatest, *, bits):
    """Power of two that makes whole numbers of `bits` bits of values up to `greatest`."""
    greatest = max(float(greatest), float(np.finfo(np.float32).tiny))
    return 2.0 ** (min(bits, MOST_BITS) - np.ceil(np.log2(greatest)))


def _graph(pairs, seats, shape, *, turned, unmatched):
    """The _Graph of pairs and its scale, in units per score.

    Where everybody must be matched, staying alone is worth less than any pair, but not so little that the digits of the
    scores are lost. Should it pay to stay alone even so, the pair that was made up for it is a candidate afterwards.
    """
    a, b, score = pairs
    seekers = shape[1] if turned else shape[0]
    width = max(np.ptp(score), TOLERANCE * np.abs(score).max(), np.finfo(np.float32).tiny)
    alone = score.min() - REACH * width if unmatched is None else float(unmatched)
    bits = FLOW_BITS - (seekers + len(seats)).bit_length()
    scale = _scale(max(np.abs(score).max(), abs(alone)), bits=bits)
    units = np.rint(score * scale).astype(np.int64)
    seeker, place = (b, a) if turned else (a, b)
    return _Graph(seeker, place, units, seats, seekers, round(alone * scale)), scale


def _flow(graph):
    """Numbers of the pairs of the best assignment of a _Graph; a seeker in none of them stays alone."""
    flow, sink = min_cost_flow.SimpleMinCostFlow(), graph.seekers + len(graph.seats)
    seekers, places = np.arange(graph.seekers), np.arange(graph.seekers, sink)
    one = np.ones(max(len(graph.worth), graph.seekers), np.int64)
    pairs = flow.add_arcs_with_capacity_and_unit_cost(
        graph.seeker, graph.seekers + graph.place, one[: len(graph.worth)], -graph.worth
    )
    flow.add_arcs_with_capacity_and_unit_cost(places, np.full_like(places, sink), graph.seats, np.zeros_like(places))
    flow.add_arcs_with_capacity_and_unit_cost(
        seekers, np.full_like(seekers, sink), one[: graph.seekers], np.full_like(seekers, -graph.alone)
    )
    flow.set_nodes_supplies(np.append(seekers, sink), np.append(one[: graph.seekers], -graph.seekers))
    status = flow.solve()
    if status != flow.OPTIMAL:
        raise RuntimeError(f"the flow of least cost ended with {status}")
    return np.flatnonzero(flow.flows(pairs))


def _prices(graph, taken):
    """Least prices of places at which no seeker prefers another pair, and what each seeker gains; whole numbers.

    The dual of the flow, by Bellman and Ford's passes over all pairs: a seeker must not gain by a change, so a place
    costs at least what it is worth to each seeker less what that seeker gains now. A place with a seat left costs 0.
    """
    own = np.full(graph.seekers, graph.alone)
    own[graph.seeker[taken]] = graph.worth[taken]
    held = _partners(graph, taken, everybody=False)
    order = np.argsort(graph.place, kind="stable")
    place, seeker = graph.place[order], graph.seeker[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    asked, now = place[starts], held[seeker]
    more = graph.worth[order] - own[seeker]
    price = np.zeros(len(graph.seats) + 1, np.int64)  # the last is that of staying alone
    for _ in range(len(price)):
        raised = np.maximum(price[asked], np.maximum.reduceat(price[now] + more, starts))
        if (raised == price[asked]).all():
            break
        price[asked] = raised
    return price[:-1], own - price[held]


def _partners(graph, taken, *, everybody):
    """Place of each seeker, -1 for none; with `everybody`, those left take the free seats in order."""
    partner = np.full(graph.seekers, -1)
    partner[graph.seeker[taken]] = graph.place[taken]
    if everybody:
        left = np.flatnonzero(partner < 0)
        free = graph.seats - np.bincount(graph.place[taken], minlength=len(graph.seats))
        partner[left] = np.repeat(np.arange(len(free)), free)[: len(left)]
    return partner


def _of_a(partner, n):
    """Partners of the a's from those of the b's."""
    turned = np.full(n, -1)
    matched = np.flatnonzero(partner >= 0)
    turned[partner[matched]] = matched
    return turned


def _price_all(scores, u, v, partner, *, k, slack):
    """What u (n,) must rise by in all for u_i + v_j >= s_ij to hold everywhere, in one pass over Scores.

    Returns that sum; the score of each a with its partner (n,), -inf without one; and a list of pairs (a, b, score):
    those made, the k best of each row and about k of each column where a pair exceeds its price by more than `slack`.
    """
    n = scores.shape[0]
    lift, own, more = 0.0, np.full(n, -np.inf), []
    for start, part in chunks(scores, cells=CELLS, label="prices of all pairs"):
        stop = start + len(part)
        rest = part.astype(np.float64)
        rest -= u[start:stop, None]
        rest -= v
        made = np.flatnonzero(partner[start:stop] >= 0)
        own[start + made] = part[made, partner[start + made]]
        highest = rest.max(axis=1)
        lift += np.maximum(highest, 0).sum()
        rows, columns = np.flatnonzero(highest > slack), np.flatnonzero(rest.max(axis=0) > slack)
        i, _ = best(rest[rows], k)
        j, excess = best(np.ascontiguousarray(rest[:, columns].T), -(-k * len(part) // n))
        above = excess > slack
        i, j = (
            (np.concatenate([made, np.repeat(rows, k), j[above]])),
            np.concatenate([partner[start + made], i.ravel(), np.repeat(columns, above.sum(axis=1))]),
        )
        more.append((start + i, j, part[i, j]))
    return lift, own, more
