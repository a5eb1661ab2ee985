"""Every work is in one batch of an epoch, its links with it, and what is hidden of it is drawn as promised."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from crosswalk import batches

RNG = np.random.default_rng(3)
LINKS = csr_array(((RNG.random((103, 17)) < 0.2) * RNG.random((103, 17))).astype(np.float32))


def dense(part):
    rows = np.zeros((len(part.lengths), LINKS.shape[1]), np.float32)
    rows[part.owners, part.indices] = part.data
    return rows


def test_rows_are_taken_as_asked_for():
    rows = np.array([5, 0, 102, 5])
    np.testing.assert_array_equal(dense(batches.take(LINKS, rows)), LINKS.toarray()[rows])


def test_no_rows_and_empty_rows_are_taken_too():
    assert batches.take(LINKS, np.empty(0, np.int64)).indptr.tolist() == [0]
    empty = csr_array((3, 4), dtype=np.float32)
    part = batches.take(empty, np.arange(3))
    assert part.lengths.tolist() == [0, 0, 0]
    assert len(part.indices) == 0


@pytest.mark.parametrize("batch_size", [1, 10, 103, 1000])
def test_an_epoch_has_every_work_once_and_drops_no_tail(batch_size):
    found = list(batches.epoch(LINKS, np.arange(103), batch_size=batch_size, rng=np.random.default_rng(0)))
    rows = np.concatenate([batch.rows for batch in found])
    sizes = [len(batch.rows) for batch in found]
    np.testing.assert_array_equal(np.sort(rows), np.arange(103))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(np.concatenate([dense(b.links) for b in found]), LINKS.toarray()[rows])


def test_a_seed_decides_the_order():
    orders = [
        np.concatenate(batches.cuts(np.arange(99), batch_size=7, rng=np.random.default_rng(s))) for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_no_works_make_no_batch_and_empty_batches_are_refused():
    assert batches.cuts(np.empty(0, np.int64), batch_size=4, rng=np.random.default_rng(0)) == []
    with pytest.raises(ValueError, match="at least 1"):
        batches.cuts(np.arange(3), batch_size=0, rng=np.random.default_rng(0))


def test_kept_entries_stay_in_their_rows():
    part = batches.take(LINKS, np.arange(103))
    mask = part.indices % 2 == 0
    expected = LINKS.toarray()
    expected[:, 1::2] = 0
    np.testing.assert_array_equal(dense(batches.kept(part, mask)), expected)


def test_something_of_every_work_is_hidden_and_of_some_works_everything():
    ones = csr_array(np.ones((4000, 10), np.float32))
    part = batches.take(ones, np.arange(4000))
    mask = batches.shown(part, most=0.5, nothing=0.2, rng=np.random.default_rng(1)).reshape(4000, 10)
    shown = mask.sum(axis=1)
    assert shown.max() <= 9
    assert abs((shown == 0).mean() - 0.2) < 0.03
    # Of the others a share between 0 and a half is hidden, and one link in any case: 10 x .75 x .9.
    assert abs(shown[shown > 0].mean() - 6.75) < 0.1
    assert mask.any(axis=0).all()


def test_works_without_links_need_nothing_hidden():
    part = batches.take(csr_array((3, 4), dtype=np.float32), np.arange(3))
    assert len(batches.shown(part, most=0.5, nothing=0.5, rng=np.random.default_rng(0))) == 0
