"""What else is known of items, as columns of numbers, and how it is taken out of both sides of a link.

What is taken out is fitted in each fold by itself, by least squares: a fit over all items would tell every fold of the
others, and correlations found by chance in the training folds would come back in the one held out. A shuffled world
must have the covariates taken out again (Freedman and Lane, 1983), or it varies less than the truth does.
"""

import json
import logging
import math
import re
from collections import Counter
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from crosswalk.errors import UserError
from crosswalk.language import language
from crosswalk.wording import near

log = logging.getLogger(__name__)

BUILT_IN = ("length", "language")
RESERVED = re.compile(r"id|group|text|block_[0-9]+")
MISSING = frozenset({"", "-", "?", "n/a", "na", "nan", "none", "null", "unknown"})
DATE = re.compile(r"([0-9]{4})-([0-9]{2})(?:-[0-9]{2})?(?:[T ].*)?")
LEVEL_ITEMS = 20  # items that must have a word, and must lack it, for it to count by itself
LEVEL_SHARE = 0.01  # or this share of them, if it is less,
FEWEST_LEVEL_ITEMS = 5  # but never fewer than this
MOST_LEVELS = 20  # words of one column, the most common
FREE_TEXT = 60  # characters on average above which a column holds no words but texts
SKEWED = 3.0  # skewness of a count above which its logarithm is taken
MOST_OF_A_FOLD = 0.25  # columns taken out for each item of a fold, at most
TOLERANCE = 1e-9  # of a column's length that must be its own


class Covariates(NamedTuple):
    """columns: dict of column to float64 (n,), a row an item; facts: dict of covariate to what became of it."""

    columns: dict
    facts: dict


def item_covariates(rows, owners, *, side, count, preamble=""):
    """The kept columns of a collection, and length and language of its texts, as numbers for each item.

    rows: DataFrame of the collection; owners: intp, the item of each row; side: "x" or "y"; count: number of items,
    each with at least one row; preamble: what stands before every text.
    Numbers and dates stay numbers (the logarithm of a skewed count); words and lists of words become one column a
    word, "x.shelf=romance", which holds the share of the item's rows that have it. A word that few items have, or few
    lack, is pooled with the others. A missing number is replaced by the mean, and "x.year=" marks it; a missing word
    is a word of its own. Returns Covariates; facts has `kind`, `columns`, `missing` (rows), or `left_out` (why).
    """
    texts = [text.removeprefix(preamble) for text in rows["text"]]
    values = {"length": [str(math.log(max(len(text), 1))) for text in texts], "language": list(map(language, texts))}
    values |= {name: rows[name].tolist() for name in rows.columns if not RESERVED.fullmatch(name)}
    columns, facts = {}, {}
    for name, given in values.items():
        key = f"{side}.{name}"
        made, facts[key] = _column(key, given, np.asarray(owners, np.intp), count)
        columns |= made
    return Covariates(columns, facts)


def covariate_of(column):
    """The covariate that a column belongs to: "x.shelf=romance" is one of "x.shelf"."""
    return column.split("=", 1)[0]


def chosen(columns, names):
    """Those of the columns that belong to the covariates named, in their order."""
    return [column for column in columns if covariate_of(column) in set(names)]


def refuse_unusable(names, facts, *, name, collections, items, folds):
    """Raise UserError unless all covariates named exist, tell items apart, and leave enough of a fold.

    names: as "x.length"; facts: of `item_covariates`, both sides; name: of the relation;
    collections: names of x and y; items, folds: their numbers.
    """
    for full in names:
        side, own = full.split(".", 1)
        at = f"relate.{name}.covariates.{side}"
        if full not in facts:
            known = [key.split(".", 1)[1] for key in facts if key.startswith(f"{side}.")]
            raise UserError(
                f"{at}: '{own}' is no column that the collection keeps{near(own, known)}; add it to "
                f"collections.{collections['xy'.index(side)]}.keep, or name one of {', '.join(sorted(known))}"
            )
        if "left_out" in facts[full]:
            raise UserError(f"{at}: '{own}' cannot be taken out: {facts[full]['left_out']}. Remove it from the list.")
    taken = sum(len(facts[full]["columns"]) for full in names)
    if taken > MOST_OF_A_FOLD * items / folds:
        raise UserError(
            f"relate.{name}.covariates: {taken} columns ({', '.join(names)}) are too many for folds of "
            f"{items // folds} items. List fewer, lower relate.{name}.folds, or draw more items."
        )


class Nuisance:
    """Takes covariates out of anything that has a row for each item, in each fold by itself.

    columns: (n, k); fold: intp (n,). Called with (n, ...) values, returns what is left of them, float64.
    The mean of each fold goes, too.
    """

    def __init__(self, columns, fold):
        columns = np.asarray(columns, np.float64)
        self._folds = [(rows, _basis(columns[rows])) for rows in (np.flatnonzero(fold == f) for f in np.unique(fold))]

    def __call__(self, values):
        left = np.array(values, np.float64)
        with threadpool_limits(1):
            for rows, basis in self._folds:
                left[rows] -= basis @ (basis.T @ left[rows])
        return left


def _basis(columns):
    """Orthonormal columns that span the columns, standardised, and a constant."""
    spread = columns.std(0)
    varied = spread > TOLERANCE * np.maximum(np.abs(columns).max(0, initial=0), 1e-300)
    standard = (columns[:, varied] - columns[:, varied].mean(0)) / spread[varied]
    with threadpool_limits(1):
        left, singular, _ = np.linalg.svd(standard, full_matrices=False)
    left = left[:, singular > 1e-7 * singular[0]] if len(singular) else left
    return np.hstack([np.full((len(columns), 1), len(columns) ** -0.5), left])


def _column(key, values, owners, count):
    """The columns of one covariate, by name, and what is said of it."""
    values = [None if value is None or str(value).strip().casefold() in MISSING else str(value) for value in values]
    missing = sum(value is None for value in values)
    if missing == len(values):
        return {}, {"left_out": "it is empty"}
    numbers, kind = _numbers(values)
    made = _number_columns(key, numbers, owners, count) if kind else None
    if made is None and not kind:
        words = _words(values)
        if words is None:
            return {}, {"left_out": "its values are texts or records, neither numbers nor words"}
        kind, made = "words", _word_columns(key, words, owners, count)
    if not made:
        return {}, {"left_out": "it hardly differs, or no value is shared by enough items"}
    return made, {"kind": kind, "columns": list(made), "missing": missing}


def _numbers(values):
    """float64 values with NaN for missing ones, and their kind; (None, None) if one is not a number or a date."""
    if all(value is None or DATE.fullmatch(value) for value in values):
        parts = [value and DATE.fullmatch(value) for value in values]
        return np.array([int(m[1]) + (int(m[2]) - 1) / 12 if m else np.nan for m in parts]), "date"
    try:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
    except ValueError:
        return None, None
    if np.isinf(numbers).any():
        return None, None
    present = numbers[~np.isnan(numbers)]
    if len(present) > 2 and present.min() >= 0 and present.std() > 0:
        standard = (present - present.mean()) / present.std()
        if (standard**3).mean() > SKEWED:
            return np.log1p(numbers), "logarithm"
    return numbers, "number"


def _number_columns(key, numbers, owners, count):
    there = ~np.isnan(numbers)
    held = np.bincount(owners[there], minlength=count)
    sums = np.bincount(owners[there], weights=numbers[there], minlength=count)
    means = np.divide(sums, held, out=np.full(count, np.nan), where=held > 0)
    known = ~np.isnan(means)
    if known.sum() < 2 or np.ptp(means[known]) <= TOLERANCE * np.abs(means[known]).max():
        return {}
    columns = {key: np.where(known, means, means[known].mean())}
    if _tells((~known).sum(), count):
        columns[f"{key}="] = (~known).astype(np.float64)
    return columns


def _words(values):
    """The words of each row, none for a missing value; None if they are texts or records."""
    lists, size = [], 0
    for value in values:
        if value is not None and value.startswith(("[", "{")):
            try:
                value = json.loads(value)
            except ValueError:
                return None
            if not isinstance(value, list) or any(isinstance(word, list | dict) for word in value):
                return None
        else:
            value = [] if value is None else [value]
        lists.append(sorted({" ".join(str(word).casefold().split()) for word in value if word is not None}))
        size += sum(map(len, lists[-1]))
    if size > FREE_TEXT * max(sum(map(len, lists)), 1):
        return None
    return lists


def _word_columns(key, words, owners, count):
    rows = np.bincount(owners, minlength=count)
    pairs = {(word, owner) for own, owner in zip(words, owners.tolist(), strict=True) for word in own or [""]}
    held = Counter(word for word, _ in pairs)
    levels = sorted((w for w, n in held.items() if _tells(n, count)), key=lambda word: (-held[word], word))
    columns = {f"{key}={word}": np.zeros(count) for word in sorted(levels[:MOST_LEVELS])}
    for own, owner in zip(words, owners.tolist(), strict=True):
        for word in own or [""]:
            if (column := columns.get(f"{key}={word}")) is not None:
                column[owner] += 1 / rows[owner]
    return columns


def _tells(holders, count):
    """Whether what so many of the items have can be told from chance: neither rare nor everywhere."""
    least = max(FEWEST_LEVEL_ITEMS, min(LEVEL_ITEMS, LEVEL_SHARE * count))
    return holders >= least and (count - holders >= least)
