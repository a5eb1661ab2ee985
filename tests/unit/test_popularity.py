"""Every work is given the same shares, and they are those of the works that have subjects."""

import numpy as np
from scipy.sparse import csr_array

from crosswalk import popularity
from crosswalk.recommender import Fitting, Queries

LINKS = csr_array(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]], np.float32))


def fitting(links):
    return Fitting(links=links, features=csr_array((links.shape[0], 0), dtype=np.float32), labels=["a", "b", "c"])


def queries(count):
    empty = csr_array((count, 3), dtype=np.float32)
    return Queries(links=empty, features=empty, rows=np.full(count, -1), texts=[""] * count)


def test_scores_are_the_shares_of_works_that_have_subjects():
    scores = popularity.fit(fitting(LINKS)).score(queries(2))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [[1, 2 / 3, 0]] * 2)


def test_without_any_link_all_is_zero():
    assert not popularity.fit(fitting(csr_array((4, 3), dtype=np.float32))).score(queries(2)).any()
