"""The stack learns whom to trust from hidden links alone, and names only what a work lacks."""

import functools

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from scipy.sparse import csr_array

from crosswalk import stacking

SUBJECTS = 30


def worlds(works, seed):
    """Scores of a good member, a poor one and one that guesses; each work hides one subject."""
    rng = np.random.default_rng(seed)
    hidden = rng.integers(0, SUBJECTS, works)
    truth = np.zeros((works, SUBJECTS), np.float32)
    truth[np.arange(works), hidden] = 1
    good = truth * 0.9 + rng.random((works, SUBJECTS), np.float32)
    poor = truth * 0.6 + rng.random((works, SUBJECTS), np.float32)
    noise = rng.random((works, SUBJECTS), np.float32)
    seen = csr_array((np.ones(works, np.float32), (np.arange(works), (hidden + 1) % SUBJECTS)), shape=truth.shape)
    return [good, poor, noise], hidden, seen


def fitted():
    works = 300
    scores, hidden, seen = worlds(works, 0)
    found = stacking.candidates(scores, seen, each=8)
    hits = hidden[found.works] == found.subjects
    context = {"frequency": np.arange(SUBJECTS), "tagged": np.ones(works)}
    stack, unbiased = stacking.fit(found, hits, members=["good", "poor", "noise"], seed=3, **context)
    return stack, unbiased, found, hits, context


learned = functools.cache(fitted)


def test_candidates_are_the_best_of_each_member_and_never_what_a_work_bears():
    scores, _, seen = worlds(20, 1)
    found = stacking.candidates(scores, seen, each=3)
    pairs = set(zip(found.works.tolist(), found.subjects.tolist(), strict=True))
    assert len(pairs) == len(found.works)
    assert not any(seen[work, subject] for work, subject in pairs)
    for own in scores:
        masked = np.where(seen.toarray() > 0, -np.inf, own)
        for work in range(20):
            assert {(work, subject) for subject in np.argsort(-masked[work])[:3].tolist()} <= pairs
    assert np.array_equal(found.scores[:, 1], scores[1][found.works, found.subjects])
    assert list(zip(found.works, found.subjects, strict=True)) == sorted(zip(found.works, found.subjects, strict=True))


def test_batches_joined_are_the_whole():
    scores, _, seen = worlds(20, 1)
    whole = stacking.candidates(scores, seen, each=3)
    parts = [
        (stacking.candidates([own[part] for own in scores], seen[part], each=3), 10)
        for part in (slice(0, 10), slice(10, 20))
    ]
    for one, other in zip(whole, stacking.joined(parts), strict=True):
        assert np.array_equal(one, other)


def test_the_stack_is_better_than_its_best_member_on_works_it_never_saw():
    stack, *_ = learned()
    scores, hidden, seen = worlds(400, 9)
    found = stacking.candidates(scores, seen, each=8)
    logits = stack.score(found, frequency=np.arange(SUBJECTS), tagged=np.ones(400))

    def first(values):
        order = np.lexsort((-values, found.works))
        starts = np.flatnonzero(np.diff(found.works[order], prepend=-1))
        return np.mean(found.subjects[order][starts] == hidden)

    assert first(logits) > first(found.scores[:, 0])
    assert first(logits) > first(found.scores[:, 1]) + 0.1


def test_worth_tells_who_is_relied_on():
    stack, _, found, hits, context = learned()
    worth = stack.worth(found, hits, seed=0, **context)
    assert worth.sum() == pytest.approx(1)
    assert worth[0] > worth[1] > worth[2]


def test_unbiased_logits_do_not_know_the_outcome():
    """Hits drawn by chance are learned by heart only by networks that saw them."""
    scores, _, seen = worlds(300, 0)
    found = stacking.candidates(scores, seen, each=8)
    hits = np.random.default_rng(5).random(len(found.works)) < 0.3
    context = {"frequency": np.arange(SUBJECTS), "tagged": np.ones(300)}
    stack, unbiased = stacking.fit(found, hits, members=list("abc"), seed=1, epochs=250, **context)
    seen_twice = stack.score(found, **context)

    def apart(values):
        return values[hits].mean() - values[~hits].mean()

    assert abs(apart(unbiased)) < 0.25 < apart(seen_twice)


def test_the_same_seed_gives_the_same_stack_and_files_keep_it():
    stack, unbiased, found, _, context = learned()
    again, *_ = fitted()
    kept = stacking.Stack.from_tensors(load(save({k: np.ascontiguousarray(v) for k, v in stack.tensors().items()})))
    assert kept.members == ["good", "poor", "noise"]
    for other in (again, kept):
        assert np.array_equal(stack.score(found, **context), other.score(found, **context))
    assert np.isfinite(unbiased).all()


@pytest.mark.parametrize("hits", [0, 1])
def test_nothing_can_be_learned_from_one_outcome(hits):
    scores, _, seen = worlds(20, 1)
    found = stacking.candidates(scores, seen, each=3)
    with pytest.raises(ValueError, match="nothing to learn"):
        stacking.fit(
            found, np.full(len(found.works), hits, bool), members=list("abc"), frequency=np.ones(SUBJECTS),
            tagged=np.ones(20), seed=0,
        )  # fmt: skip


def test_the_number_of_threads_changes_no_bit():
    stack, unbiased, found, _, context = learned()
    before = torch.get_num_threads()
    torch.set_num_threads(3 - min(before, 2))
    try:
        other, again, *_ = fitted()
        assert np.array_equal(unbiased, again)
        assert np.array_equal(stack.score(found, **context), other.score(found, **context))
        assert torch.get_num_threads() == 3 - min(before, 2)
    finally:
        torch.set_num_threads(before)
