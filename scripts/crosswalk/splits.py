"""Which links are hidden from the models: to weigh the models (validation), and to judge them (test).

Works and links are drawn by a hash of their ids that is keyed by the seed, as rows are when a collection is drawn: the
order of the works makes no difference, and works that come or go change few of the others.
"""

import logging
from collections import Counter

import numpy as np
from scipy.sparse import csr_array

from crosswalk import drawing
from crosswalk.errors import UserError
from crosswalk.tags import fold

logger = logging.getLogger(__name__)

FITTED, KNOWN_VALIDATION, KNOWN_TEST, NEW_VALIDATION, NEW_TEST = range(5)
MOST = 20_000  # works of a kind that a share comes to: more would tell hardly more, at the cost of all models
FEWEST = 2  # works drawn of a kind: one that validates, one that tests


def split(links, *, known, new, hide, seed, least=3, ids=None, subjects=None, name=""):
    """Draw which links are hidden.

    links: csr (n, S), indices sorted; known: share of the works with at least `least` links (above 1: how many of them)
    of which some links are hidden; new: share of the works with any link (above 1: how many) of which all links are
    hidden; no work is both, and 0 is none; hide: 1 or more hides as many links of a known work, less than 1 that share
    of its links, at least one; at least one stays visible; seed: integer; ids, subjects: ids of the n works and of the
    S subjects, by which they are drawn (None: their numbers); name: of the recommender, for messages.
    Half of the works that are drawn validate; the other half, with the odd one, test.
    Returns uint8 (links.nnz,), aligned with links.indices: 0 fitted on, 1 and 2 hidden from known works for validation
    and test, 3 and 4 from new works.
    Raises UserError if there are fewer works than asked for, or than two, or if no link stays visible.
    """
    if least < 2 or hide <= 0 or known < 0 or new < 0:
        raise ValueError(f"least={least} must be 2 or more, hide={hide} above 0, known={known} and new={new} 0 or more")
    size, key = np.diff(links.indptr), f"recommend.{name}.split"
    ids = range(len(size)) if ids is None else ids
    tagged, able = np.flatnonzero(size), np.flatnonzero(size >= least)
    # New works are drawn first, from all works: drawn from what the others left, too many would have few subjects.
    number = _number(new, tagged, tagged, f"{key}.new", "a subject")
    fresh = _drawn(tagged, ids, number, seed, "new")
    left = np.setdiff1d(able, fresh)
    number = _number(known, able, left, f"{key}.known", f"{least} subjects (split.from) and are not new")
    worked = _drawn(left, ids, number, seed, "known")
    roles = np.full(links.nnz, FITTED, np.uint8)
    for place, work in enumerate(fresh):
        own = slice(links.indptr[work], links.indptr[work + 1])
        roles[own] = NEW_VALIDATION if place < len(fresh) // 2 else NEW_TEST
    for place, work in enumerate(worked):
        start, stop = links.indptr[work], links.indptr[work + 1]
        names = [one if subjects is None else subjects[one] for one in links.indices[start:stop].tolist()]
        count = int(hide) if hide >= 1 else max(1, round(hide * len(names)))
        own = start + _drawn(range(len(names)), names, min(count, len(names) - 1), seed, f"link\t{ids[work]}")
        roles[own] = KNOWN_VALIDATION if place < len(worked) // 2 else KNOWN_TEST
    if not (roles == FITTED).any():
        raise UserError(f"{key}: no link stays visible to learn from. Lower {key}.new, or take more works.")
    counts = np.bincount(roles, minlength=5)
    told = (
        "%s: %s links to fit on; of %s known works %s are hidden to validate and %s to test, of %s new ones %s and %s"
    )
    numbers = (counts[0], len(worked), *counts[1:3], len(fresh), *counts[3:])
    logger.info(told, name, *(f"{number:,}" for number in numbers))
    return roles


def _number(wanted, counted, available, key, what):
    """How many works are drawn: a share of those counted, or a number, of those available."""
    if not wanted:
        return 0
    share = min(round(wanted * len(counted)), len(available), MOST)
    number = max(FEWEST, share) if wanted <= 1 else int(wanted)
    if number > len(available):
        raise UserError(
            f"{key}: {number:,} works are needed, {len(available):,} have {what}. Lower {key} (0 leaves these works "
            "out of the judging), lower split.from, or take more works."
        )
    return number


def _drawn(items, names, number, seed, purpose):
    """As many of some items as `number`, those whose names have the lowest hashes, lowest first; int64."""
    ranked = sorted((drawing.rank(f"{purpose}\t{names[item]}", seed), item) for item in map(int, items))
    return np.array([item for _, item in ranked[:number]], np.int64)


def visible(links, roles):
    """csr (n, S) float32 of the links that models are fitted on."""
    return _where(links, roles == FITTED)


def hidden(links, roles, role):
    """The works of which links of a role are hidden: their rows, int64 (r,) ascending, and those links, csr (r, S)."""
    own = _where(links, roles == role)
    rows = np.flatnonzero(np.diff(own.indptr)).astype(np.int64)
    return rows, own[rows]


def twins(works):
    """Which works have the same text as another work, but for capitals and white space.

    works: n texts, or titles; an empty one is nobody's twin. Returns bool (n,).
    """
    folded = [fold(text or "") for text in works]
    times = Counter(folded)
    return np.array([bool(text) and times[text] > 1 for text in folded], bool)


def _where(links, mask):
    """The links for which the mask bool (nnz,) holds, as csr float32 of the same shape."""
    if len(mask) != links.nnz:
        raise ValueError(f"{len(mask)} roles for {links.nnz} links")
    indptr = np.concatenate([[0], np.cumsum(mask)])[links.indptr].astype(links.indptr.dtype)
    return csr_array((np.ones(indptr[-1], np.float32), links.indices[mask], indptr), shape=links.shape)
