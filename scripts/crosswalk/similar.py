"""Which works are alike, and which subjects: the nearest few of each, found without ever comparing all with all.

Rows are sparse, and what two of them share is mostly common: every second drawing is "graphite on paper". Candidates
are therefore looked up by what is rare (common terms last, lists of a term's rows cut to the heaviest: the champion
lists of Manning, Raghavan and Schütze, 2008, section 7.1), then compared with their work in full. Time grows as the
number of rows, memory does not grow beyond the rows themselves and a block.
"""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, diags_array, hstack, vstack
from tqdm import tqdm

from crosswalk.neighbours import Product, best

BLOCK = 256  # rows answered at once
LISTED = 40_000  # rows that the list of a term keeps
READ = 40_000  # places of lists that are read for a row, its rarest terms first
CANDIDATES = 8  # times k rows that are compared in full
PROFILE = 512  # strongest neighbours by which a subject is described
WORK_COLUMNS = ["work", "rank", "similar", "similarity"]
SUBJECT_COLUMNS = ["subject", "rank", "similar", "similarity"]


def similar_works(features: csr_array, links: csr_array, *, k: int = 10, text: float = 0.5) -> pd.DataFrame:
    """The works nearest to each by what is said of them and by the subjects they bear.

    The similarity is text x cosine of the features + (1 - text) x cosine of the subjects, weighed by their rarity
    (log((1 + n) / (1 + works)) + 1): 1 for twins, 0 for works that share nothing. A work without subjects, or without
    text, has only the other part.
    features: csr (n, F) float32, rows of length 1 or empty; links: csr (n, S), nonzero at links; text: 0 to 1.
    Returns a DataFrame with WORK_COLUMNS: row of the work, rank from 1, row of the similar one, float32; at most k for
    each work, none of them 0. Neighbours are those of all works but for a few that only common terms lead to.
    Raises ValueError if shapes or `text` do not fit.
    """
    return _table(*nearest(together(features, links, text=text), k=k, label="similar works"), WORK_COLUMNS)


def similar_subjects(links: csr_array, *, k: int = 10, vectors: np.ndarray | None = None) -> pd.DataFrame:
    """The subjects nearest to each: by cosine of vectors, or of the company they keep.

    The company of a subject is its positive pointwise mutual information with every subject, itself included (Church
    and Hanks, 1990; as vectors Bullinaria and Levy, 2007), the PROFILE strongest: near to one another are subjects of
    the same works, and those that stand beside the same others without ever meeting, as synonyms do.
    links: csr (n, S), nonzero at links; vectors: (S, d), of the subjects, instead; a row of zeros is near to nothing.
    Returns a DataFrame with SUBJECT_COLUMNS, as `similar_works` does for works.
    """
    if vectors is None:
        return _table(*nearest(company(links), k=k, label="similar subjects"), SUBJECT_COLUMNS)
    if len(vectors) != links.shape[1]:
        raise ValueError(f"{len(vectors)} vectors for {links.shape[1]} subjects")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return _table(*_nearest_dense(vectors / np.where(lengths > 0, lengths, 1), k=k), SUBJECT_COLUMNS)


def together(features: csr_array, links: csr_array, *, text: float = 0.5) -> csr_array:
    """Text and subjects of works side by side, csr float32 (n, F + S), so that products of rows are similarities.

    Arguments and errors are those of `similar_works`.
    """
    if features.shape[0] != links.shape[0] or not 0 <= text <= 1:
        raise ValueError(f"features of {features.shape[0]} works, links of {links.shape[0]}, share of the text {text}")
    borne = _ones(links)
    held = np.bincount(borne.indices, minlength=links.shape[1])
    borne = _unit(borne @ diags_array(np.log((1 + links.shape[0]) / (1 + held)) + 1))
    return csr_array(hstack([np.float32(text**0.5) * features, np.float32((1 - text) ** 0.5) * borne], format="csr"))


def company(links: csr_array) -> csr_array:
    """Positive pointwise mutual information of subjects, csr float32 (S, S), rows of length 1 or empty.

    log(n x works with both / (works with one x works with the other)) where it is above 0, n the number of works.
    """
    borne = _ones(links)
    count, works = borne.shape[1], np.bincount(borne.indices, minlength=borne.shape[1])
    by_subject, blocks = csr_array(borne.T), [csr_array((0, count), dtype=np.float32)]
    for start in tqdm(range(0, count, BLOCK), desc="company of subjects", disable=None, delay=5):
        both = csr_array(by_subject[start : start + BLOCK] @ borne)
        one = np.repeat(works[start : start + BLOCK], np.diff(both.indptr)).astype(np.float64)
        both.data = np.log(borne.shape[0] * both.data / (one * works[both.indices])).astype(np.float32)
        blocks.append(_strongest(both, PROFILE))
    return _unit(csr_array(vstack(blocks)))


def nearest(
    rows: csr_array, *, k: int, of: np.ndarray | None = None, label: str = "nearest rows"
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of greatest scalar product with each row, itself apart; equals by the lower number.

    rows: csr (n, m), not negative; k >= 1; of: int (q,), the rows that are asked for (None: all); label: of the
    progress bar. A row that shares with another only terms that are not read for it, being common, may miss it: see
    READ and LISTED.
    Returns int32 (q, k), -1 from where no row shares anything, and float32 (q, k), 0 there. Raises ValueError.
    """
    if k < 1 or (rows.nnz and rows.data.min() < 0):
        raise ValueError(f"the {k} nearest rows: at least 1, of rows without negative values")
    rows = csr_array(rows, dtype=np.float32, copy=True)
    rows.sum_duplicates()
    of = np.arange(rows.shape[0]) if of is None else np.asarray(of)
    index, value = np.full((len(of), k), -1, np.int32), np.zeros((len(of), k), np.float32)
    asked = _rarest(rows[of], np.bincount(rows.indices, minlength=rows.shape[1]))
    lists = csr_array(_strongest(csr_array(rows.T), LISTED))
    for start in tqdm(range(0, len(of), BLOCK), desc=label, disable=None, delay=5):
        block = of[start : start + BLOCK]
        met = _strongest(csr_array(asked[start : start + BLOCK] @ lists), CANDIDATES * k + 1)
        own = np.repeat(np.arange(met.shape[0]), np.diff(met.indptr))
        met = _where(met, np.flatnonzero(met.indices != block[own]))
        own = np.repeat(np.arange(met.shape[0]), np.diff(met.indptr))
        full = rows[block[own]].multiply(rows[met.indices]).sum(axis=1)
        order = np.lexsort((met.indices, -full, own))
        place = np.arange(len(own)) - met.indptr[own]
        kept = place < k
        index[start + own[kept], place[kept]] = met.indices[order][kept]
        value[start + own[kept], place[kept]] = full[order][kept]
    return index, value


def _nearest_dense(vectors, *, k):
    """What `nearest` gives, of unit or empty rows (n, d), all with all."""
    product, n = Product(vectors, vectors), len(vectors)
    index, value = np.full((n, k), -1, np.int32), np.zeros((n, k), np.float32)
    for start in tqdm(range(0, n, BLOCK), desc="similar subjects", disable=None, delay=5):
        part = product.rows(start, min(start + BLOCK, n)).copy()
        part[np.arange(len(part)), np.arange(start, start + len(part))] = 0
        columns, values = best(part, min(k, n))
        near = values > 0
        index[start : start + len(part), : columns.shape[1]] = np.where(near, columns, -1)
        value[start : start + len(part), : columns.shape[1]] = np.where(near, values, 0)
    return index, value


def _rarest(rows, held):
    """The rows without their most common terms, those whose lists would be read beyond READ; one is always kept.

    held: how many rows have each term.
    """
    length = np.minimum(held, LISTED)[rows.indices]
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((rows.indices, length, row))
    read = np.cumsum(length[order])
    before = read - length[order]
    spent = read - before[rows.indptr[row]] if len(row) else read
    first = np.arange(len(row)) == rows.indptr[row]
    return _where(rows, np.sort(order[(spent <= READ) | first]))


def _strongest(rows, count):
    """The greatest `count` positive values of each row, of equals those of the lower columns."""
    kept = [np.empty(0, np.int64)]
    for start, stop in zip(rows.indptr, rows.indptr[1:], strict=False):
        values = rows.data[start:stop]
        chosen = np.flatnonzero(values > 0)
        if len(chosen) > count:
            least = np.partition(values, len(values) - count)[len(values) - count]
            above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
            wanted = count - len(above)
            if wanted < len(equal):
                equal = equal[np.argpartition(rows.indices[start:stop][equal], wanted - 1)[:wanted]]
            chosen = np.sort(np.concatenate([above, equal]))
        kept.append(start + chosen)
    return _where(rows, np.concatenate(kept))


def _where(rows, places):
    """Rows with those of their stored values alone whose places, rising, are given."""
    return csr_array((rows.data[places], rows.indices[places], np.searchsorted(places, rows.indptr)), shape=rows.shape)


def _ones(links):
    """The links as csr float32: 1 at each that is not 0, nothing else stored."""
    ones = csr_array(links != 0, dtype=np.float32)
    ones.sort_indices()
    return ones


def _unit(rows):
    """Rows of length 1, or empty; float32."""
    rows = csr_array(rows, dtype=np.float32)
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    rows.data /= np.repeat(lengths, np.diff(rows.indptr))
    return rows


def _table(index, value, columns):
    """A row for each neighbour there is; what rounding lifts above 1 is 1."""
    row, place = np.nonzero(index >= 0)
    values = row, place + 1, index[row, place].astype(np.int64), np.minimum(value[row, place], np.float32(1))
    return pd.DataFrame(dict(zip(columns, values, strict=True)))
