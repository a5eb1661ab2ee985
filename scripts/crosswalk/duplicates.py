"""Copies of a text: equal but for case, space and punctuation, or nearly so, as editions of a book are.

Near copies share most of their shingles, runs of three words (Broder, 1997); candidates come from minhash signatures
cut into bands (Leskovec, Rajaraman and Ullman, 2014, chapter 3) and each is confirmed on the shingles themselves.
"""

import hashlib
import logging
import re
import unicodedata
from typing import NamedTuple

import numpy as np

log = logging.getLogger(__name__)

RUN = 3  # words of a shingle
ALIKE = 0.7  # Jaccard index of two texts' shingles: one word in twenty may differ
FEWEST_WORDS = 20  # a shorter text is a copy only of its equal: a change of two words is a third of its shingles
FEWEST_SHINGLES = 15  # of a text's own, once what all texts say is left out
STOCK_ITEMS = 5  # texts that stand in more items are what anyone says of anything, not copies
TEMPLATE = 0.2  # share of the texts above which a shingle belongs to a form that all fill in
TEMPLATE_TEXTS = 50  # fewer texts show no form
BANDS, ROWS = 20, 3  # of a signature: of pairs at .7, two in ten thousand are missed
TRIED = 8  # texts of a bucket that a text is compared with
WORD = re.compile(r"\w+")


class Copies(NamedTuple):
    """labels: intp (n,), one for texts that are copies of one another; facts: dict of counts, for JSON."""

    labels: np.ndarray
    facts: dict


def words(text):
    """The words of a text without regard to case, width and punctuation."""
    return WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def copies(texts, *, owners=None, alike=ALIKE):
    """Label texts that are copies of one another, directly or through others.

    texts: n strings; owners: for each the item it belongs to (default: one each). Texts that more than
    `STOCK_ITEMS` items have in common are left alone where several texts belong to an item: joining them would chain
    together all who say "great book", or all functions that explain an argument in the words of their package.
    Returns Copies; labels are in the order of first appearance. Equal input gives equal output, and the order of the
    texts changes no partition but at the edge of `alike`.
    """
    split = [words(text) for text in texts]
    owners = np.arange(len(texts)) if owners is None else np.asarray(owners)
    keys = [" ".join(own) or text for own, text in zip(split, texts, strict=True)]
    _, first, equal = np.unique(np.array(keys, dtype=object), return_index=True, return_inverse=True)
    parent = np.arange(len(first))
    long = np.array([i for i in range(len(first)) if len(split[first[i]]) >= FEWEST_WORDS], np.intp)
    order = long[np.argsort(first[long], kind="stable")]
    near = _near([split[first[i]] for i in order], alike)
    for a, b in near:
        _join(parent, order[a], order[b])
    roots = np.array([_root(parent, i) for i in range(len(first))], np.intp)
    labels = roots[equal]
    stock = _stock(labels, owners)
    labels[stock] = len(first) + np.arange(stock.sum())
    _, sizes = np.unique(labels, return_counts=True)
    facts = {
        "texts": len(texts),
        "equal": int(len(texts) - len(first)),
        "near": int(len(first) - len(np.unique(roots))),
        "stock": int(stock.sum()),
        "largest": int(sizes.max()) if len(sizes) else 0,
    }
    return Copies(labels, facts)


def _stock(labels, owners):
    """Which texts are said of too many items to be copies."""
    if len(np.unique(owners)) == len(owners):
        return np.zeros(len(labels), bool)
    pairs = np.unique(np.stack([labels, owners]), axis=1)
    values, held = np.unique(pairs[0], return_counts=True)
    return held[np.searchsorted(values, labels)] > STOCK_ITEMS


def shingles(split, run):
    """Hashes of the runs of `run` words of each text.

    split: list of lists of words. Returns hashes (uint64 (s,), the runs of all texts one after another) and starts
    (intp (n + 1,)): those of text i are hashes[starts[i]:starts[i + 1]], in the order of the text.
    """
    codes = {}
    for own in split:
        for word in own:
            if word not in codes:
                codes[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    lengths = np.array([len(own) for own in split], np.intp)
    flat = np.fromiter((codes[word] for own in split for word in own), np.uint64, count=int(lengths.sum()))
    counts = np.maximum(lengths - run + 1, 0)
    starts = np.concatenate([[0], np.cumsum(counts)])
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else np.empty(0, np.intp)
    at = np.repeat(begins - starts[:-1], counts) + np.arange(starts[-1])
    hashes = np.zeros(len(at), np.uint64)
    for step in range(run):
        hashes = _mixed(hashes * np.uint64(0x100000001B3) + flat[at + step])
    return hashes, starts


def _near(split, alike):
    """Pairs of texts whose shingles agree to at least `alike`, enough of them to join all that belong together."""
    if len(split) < 2:
        return []
    sets = _distinct(*shingles(split, RUN))
    signatures = _signatures(*sets)
    usable = np.flatnonzero(np.diff(sets[1]) >= FEWEST_SHINGLES)
    parent, pairs = np.arange(len(split)), []
    for band in range(BANDS):
        own = signatures[band * ROWS : (band + 1) * ROWS, usable]
        keys = _mixed(_mixed(_mixed(own[0]) + own[1]) + own[2])
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(usable[order], edges):
            if len(bucket) > 1:
                _compare(bucket, sets, parent, pairs, alike)
    return pairs


def _compare(bucket, sets, parent, pairs, alike):
    """Join the texts of a bucket that are alike, comparing each with the first few that are not joined yet."""
    hashes, starts = sets
    apart = []
    for text in bucket:
        own = hashes[starts[text] : starts[text + 1]]
        for other in apart:
            if _root(parent, text) == _root(parent, other):
                break
            theirs = hashes[starts[other] : starts[other + 1]]
            if min(len(own), len(theirs)) < alike * max(len(own), len(theirs)):
                continue
            common = len(np.intersect1d(own, theirs, assume_unique=True))
            if common >= alike * (len(own) + len(theirs) - common):
                _join(parent, text, other)
                pairs.append((text, other))
                break
        else:
            if len(apart) < TRIED:
                apart.append(text)


def _distinct(hashes, starts):
    """The shingles of each text sorted and once each, without those of a form that all texts fill in."""
    count = len(starts) - 1
    owner = np.repeat(np.arange(count), np.diff(starts))
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    kept = np.ones(len(hashes), bool)
    kept[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    hashes, owner = hashes[kept], owner[kept]
    if count >= TEMPLATE_TEXTS:
        values, held = np.unique(hashes, return_counts=True)
        form = values[held > TEMPLATE * count]
        if len(form):
            kept = form[np.minimum(np.searchsorted(form, hashes), len(form) - 1)] != hashes
            hashes, owner = hashes[kept], owner[kept]
    return hashes, np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])


def _signatures(hashes, starts):
    """Least value of each text's shingles under BANDS * ROWS hash functions; uint64 (BANDS * ROWS, n)."""
    count = len(starts) - 1
    full = np.flatnonzero(np.diff(starts))
    found = np.zeros((BANDS * ROWS, count), np.uint64)
    if len(full):
        for i in range(BANDS * ROWS):
            key = np.uint64((i + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
            turned = (hashes ^ key) * np.uint64(0xD6E8FEB86659FD93)
            turned ^= turned >> np.uint64(32)
            found[i, full] = np.minimum.reduceat(turned, starts[:-1][full])
    return found


def _mixed(values):
    """Well-spread 64-bit values (the finaliser of splitmix64: Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


def _join(parent, a, b):
    a, b = _root(parent, a), _root(parent, b)
    parent[max(a, b)] = min(a, b)
