"""Splits: hidden is what was asked for, never more, drawn by seed and id and by nothing else."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from crosswalk import splits
from crosswalk.errors import UserError

N, S = 400, 60
SETTINGS = {"known": 0.2, "new": 0.1, "hide": 1, "seed": 42}


@pytest.fixture(scope="module")
def links():
    """Works with 0 to 9 links."""
    rng = np.random.default_rng(7)
    rows = [np.sort(rng.choice(S, i % 10, replace=False)) for i in range(N)]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return csr_array((np.ones(indptr[-1], np.float32), np.concatenate(rows), indptr), shape=(N, S))


def per_work(links, mask):
    """How many links of each work the mask holds."""
    return np.add.reduceat(np.append(mask, 0), links.indptr[:-1]) * (np.diff(links.indptr) > 0)


def names(links):
    return [f"work {i}" for i in range(N)], [f"subject {i}" for i in range(S)]


def test_one_link_of_each_known_work_is_hidden_and_the_others_stay(links):
    roles = splits.split(links, **SETTINGS)
    assert roles.dtype == np.uint8 and len(roles) == links.nnz
    size = np.diff(links.indptr)
    known = per_work(links, (roles == 1) | (roles == 2))
    assert set(known) == {0, 1}
    assert (size[known == 1] >= 3).all()
    assert known.sum() == round(0.2 * (size >= 3).sum())
    new = per_work(links, roles >= 3)
    assert (new[new > 0] == size[new > 0]).all()
    assert (new > 0).sum() == round(0.1 * (size > 0).sum())
    assert not ((new > 0) & (known > 0)).any()


def test_half_of_the_works_validate_and_the_other_half_tests(links):
    roles = splits.split(links, **SETTINGS | {"known": 31, "new": 20})
    works = [np.count_nonzero(per_work(links, roles == role)) for role in range(1, 5)]
    assert works == [15, 16, 10, 10]


@pytest.mark.parametrize(
    ("hide", "of_nine", "of_three"), [(0.5, 4, 2), (0.1, 1, 1), (0.99, 8, 2), (2, 2, 2), (30, 8, 2)]
)
def test_a_share_of_the_links_is_hidden_at_least_one_and_never_all(links, hide, of_nine, of_three):
    roles = splits.split(links, **SETTINGS | {"known": 1, "new": 0, "hide": hide})
    size, count = np.diff(links.indptr), per_work(links, roles > 0)
    assert set(count[size == 9]) == {of_nine}
    assert set(count[size == 3]) == {of_three}
    assert not count[size < 3].any()


def test_works_below_the_minimum_are_never_known_and_may_be_new(links):
    roles = splits.split(links, **SETTINGS | {"known": 1, "new": 0.3}, least=8)
    size = np.diff(links.indptr)
    assert size[per_work(links, (roles == 1) | (roles == 2)) > 0].min() == 8
    assert size[per_work(links, roles >= 3) > 0].min() == 1


def test_new_works_have_as_many_subjects_as_any(links):
    size = np.diff(links.indptr)
    means = []
    for seed in range(30):
        roles = splits.split(links, **SETTINGS | {"known": 0.8, "new": 0.2, "seed": seed})
        means.append(size[per_work(links, roles >= 3) > 0].mean())
    assert abs(np.mean(means) - size[size > 0].mean()) < 0.2


def test_the_same_seed_gives_the_same_roles_and_another_seed_others(links):
    roles = splits.split(links, **SETTINGS)
    assert np.array_equal(roles, splits.split(links, **SETTINGS))
    other = splits.split(links, **SETTINGS | {"seed": 43})
    assert (other != roles).sum() > 100


def test_order_of_works_and_subjects_changes_no_role(links):
    works, subjects = names(links)
    roles = splits.split(links, **SETTINGS, ids=works, subjects=subjects)
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(N), rng.permutation(S)
    moved = csr_array(links[rows][:, columns])
    moved.sort_indices()
    again = splits.split(moved, **SETTINGS, ids=[works[i] for i in rows], subjects=[subjects[i] for i in columns])
    for matrix, own, row, column in ((links, roles, np.arange(N), np.arange(S)), (moved, again, rows, columns)):
        coordinates = matrix.tocoo()
        told = sorted(zip(row[coordinates.row], column[coordinates.col], own, strict=True))
        if matrix is links:
            expected = told
    assert told == expected


def test_hidden_links_are_drawn_from_all_of_a_work(links):
    places = []
    for seed in range(20):
        roles = splits.split(links, **SETTINGS | {"known": 1, "new": 0, "seed": seed})
        for work in np.flatnonzero(np.diff(links.indptr) == 5):
            places.append(np.flatnonzero(roles[links.indptr[work] : links.indptr[work + 1]])[0])
    assert np.bincount(places, minlength=5).min() > 0.7 * len(places) / 5


def test_no_subject_is_hidden_in_most_of_its_works(links):
    roles = splits.split(links, **SETTINGS | {"known": 1, "new": 0})
    able = np.repeat(np.diff(links.indptr) >= 3, np.diff(links.indptr))
    share = np.bincount(links.indices[roles > 0], minlength=S) / np.bincount(links.indices[able], minlength=S)
    assert share.max() < 0.6


def test_more_new_works_leave_the_other_known_works_as_they_are(links):
    without = per_work(links, splits.split(links, **SETTINGS | {"new": 0}) > 0) > 0
    roles = splits.split(links, **SETTINGS | {"new": 0.2})
    new, known = per_work(links, roles >= 3) > 0, per_work(links, (roles == 1) | (roles == 2)) > 0
    assert not (without & ~new & ~known).any()


def test_too_few_works_are_told_with_the_key(links):
    with pytest.raises(UserError, match=r"recommend\.s\.split\.known: 5,000 works are needed, 2\d\d have 3 subjects"):
        splits.split(links, **SETTINGS | {"known": 5000}, name="s")
    with pytest.raises(UserError, match=r"recommend\.s\.split\.known: 2 works are needed, 0 have 50 subjects"):
        splits.split(links, **SETTINGS, least=50, name="s")
    with pytest.raises(UserError, match=r"recommend\.s\.split\.new: 2 works are needed, 1 have a subject"):
        splits.split(links[[1]], **SETTINGS, name="s")
    with pytest.raises(UserError, match=r"recommend\.s\.split: no link stays visible"):
        splits.split(links, **SETTINGS | {"known": 0, "new": 1}, name="s")


@pytest.mark.parametrize("wrong", [{"least": 1}, {"hide": 0}, {"known": -0.1}, {"new": -1}])
def test_settings_without_meaning_are_a_programmers_error(links, wrong):
    with pytest.raises(ValueError, match="must be"):
        splits.split(links, **SETTINGS | wrong)


def test_visible_and_hidden_links_together_are_all_links(links):
    roles = splits.split(links, **SETTINGS)
    total = splits.visible(links, roles).toarray()
    assert splits.visible(links, roles).dtype == np.float32
    assert splits.visible(links, roles).shape == links.shape
    for role in range(1, 5):
        rows, part = splits.hidden(links, roles, role)
        assert part.shape == (len(rows), S)
        assert (np.diff(part.indptr) > 0).all()
        assert not total[rows][part.toarray() > 0].any()
        if role > 2:
            assert not splits.visible(links, roles)[rows].nnz
        total[rows] += part.toarray()
    assert np.array_equal(total, links.toarray())
    with pytest.raises(ValueError, match="3 roles"):
        splits.visible(links, roles[:3])


def test_twins_share_their_text_but_for_capitals_and_white_space():
    titles = ["A Map", "a  map ", "A Maps", None, "", " ", "CAFE\u0301", "caf\u00e9"]
    assert splits.twins(titles).tolist() == [True, True, False, False, False, False, True, True]
