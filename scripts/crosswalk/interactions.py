"""Which work bears which subject, as one sparse matrix, with its tables of works and subjects and their hierarchies."""

import json
import logging
from typing import NamedTuple

import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from crosswalk import files, sources, texts
from crosswalk.errors import UserError
from crosswalk.paths import source_paths
from crosswalk.tags import fold

logger = logging.getLogger(__name__)


class Interactions(NamedTuple):
    """n works and the S subjects that are left of their tags.

    links: csr (n, S) float32, 1 where a work bears a subject, indices sorted; subjects: DataFrame of S rows ordered by
    id: id, label, works (int), ids and broader (JSON lists of ids); works: DataFrame of n rows: id, subjects (int,
    links kept), found (int, links before the minima); counts: dict of what was read and left out; borne: csr (n, S),
    also the links of works that have too few to be learned from.
    """

    links: csr_array
    subjects: pd.DataFrame
    works: pd.DataFrame
    counts: dict
    borne: csr_array


def build(tags, *, ids, name, min_works=2, min_subjects=1):
    """The interactions of a collection's tags.

    tags: what `tags.read` returned; ids: the n ids of the collection, in order; name: of the recommender, for messages;
    min_works: a subject that fewer works bear is left out; min_subjects: a work with fewer subjects keeps none of them.
    Both are applied in turn until both hold.
    Returns Interactions, whose `broader` is empty. Raises UserError if the minima leave no link.
    """
    links = _csr(tags.work, tags.subject, (len(ids), len(tags.subjects)))
    found = np.diff(links.indptr)
    kept = _both_minima(links, min_works, min_subjects)
    subjects = np.flatnonzero(np.asarray(kept.sum(axis=0)).ravel())
    if not len(subjects):
        raise UserError(
            f"recommend.{name}: no subject is borne by {min_works} works (min_works) of which each has {min_subjects} "
            f"such subjects (min_subjects); found were {len(tags.subjects):,} subjects and {len(tags.work):,} links. "
            "Lower the two, or take more works (collections.*.sample.n)."
        )
    kept, borne = kept[:, subjects], links[:, subjects]
    table = tags.subjects.iloc[subjects].reset_index(drop=True)
    table["works"] = np.bincount(kept.indices, minlength=len(subjects))
    table["ids"] = [json.dumps(list(own), ensure_ascii=False) for own in table["ids"]]
    table["broader"] = "[]"
    works = pd.DataFrame({"id": list(ids), "subjects": np.diff(kept.indptr), "found": found})
    counts = tags.counts | {
        "subjects_below_min_works": len(tags.subjects) - len(subjects),
        "works_left_without_subjects": int(((works["found"] > 0) & (works["subjects"] == 0)).sum()),
        "links_kept": int(kept.nnz),
        "subjects_kept": len(subjects),
        "works_kept": int((works["subjects"] > 0).sum()),
    }
    logger.info(
        "%s: %s works bear %s subjects, %s links; the minima left out %s subjects and %s works",
        name,
        *(f"{counts[key]:,}" for key in ("works_kept", "subjects_kept", "links_kept")),
        *(f"{counts[key]:,}" for key in ("subjects_below_min_works", "works_left_without_subjects")),
    )
    return Interactions(_csr(*kept.nonzero(), kept.shape), table, works, counts, _csr(*borne.nonzero(), borne.shape))


def _both_minima(links, min_works, min_subjects):
    """The links csr (n, S) of subjects and works that meet both minima within what is left."""
    work, subject = links.nonzero()
    while True:
        kept = np.bincount(subject, minlength=links.shape[1])[subject] >= min_works
        kept &= np.bincount(work, minlength=links.shape[0])[work] >= min_subjects
        if kept.all():
            return _csr(work, subject, links.shape)
        work, subject = work[kept], subject[kept]


def hierarchy(subjects, settings, *, name):
    """The broader subjects of each subject, of all levels: parents, their parents and so on.

    subjects: the table; settings: the recommender's `broader`: `separator` of a label, or `path` of a table with the
    columns `subject` and `broader`, ids in both. A subject may have several parents. Places between two subjects that
    are no subject themselves are passed through and left out. A cycle makes its members broader than one another, and
    none broader than itself.
    Returns csr (S, S) float32 and a dict of counts. Raises UserError if the table is about none of the subjects.
    """
    if settings.get("separator"):
        parents, counts = _by_label(subjects["label"], settings["separator"]), {}
    else:
        parents, counts = _by_table(subjects, settings, name)
    above, in_cycle = _closure(parents, len(subjects))
    rows = np.repeat(np.arange(len(above)), [len(own) for own in above])
    broader = _csr(rows, np.array([one for own in above for one in own], np.int64), (len(subjects), len(subjects)))
    counts |= {
        "subjects_with_broader": int(np.count_nonzero(np.diff(broader.indptr))),
        "subjects_in_a_cycle": in_cycle,
    }
    logger.info("%s: %s", name, "; ".join(f"{what.replace('_', ' ')}: {n:,}" for what, n in counts.items()))
    if not broader.nnz:
        logger.warning("recommend.%s.broader: no subject has a broader one among the subjects", name)
    return broader, counts


def _by_label(labels, separator):
    """Subject number -> numbers of the subjects whose label is the beginning of its own."""
    parts = [tuple(part for piece in label.split(separator) if (part := fold(piece))) for label in labels]
    numbers = {}
    for i, own in enumerate(parts):
        numbers.setdefault(own, []).append(i)
    return {
        i: [one for length in range(1, len(own)) for one in numbers.get(own[:length], ())]
        for i, own in enumerate(parts)
    }


def _by_table(subjects, settings, name):
    """Subject number or id that is no subject -> those above it, and counts of the rows."""
    key = f"recommend.{name}.broader"
    numbers = {own: i for i, ids in enumerate(subjects["ids"]) for own in json.loads(ids)}
    columns = settings["subject"], settings["broader"]
    parents, counts = {}, {"rows_of_broader": 0, "rows_of_broader_without_id": 0}
    try:
        for _, _, row in sources.read(source_paths(settings), columns=columns):
            below, above = (texts.identifier(row.get(column)) for column in columns)
            counts["rows_of_broader"] += 1
            if below and above:
                parents.setdefault(numbers.get(below, below), []).append(numbers.get(above, above))
            else:
                counts["rows_of_broader_without_id"] += 1
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    if not any(isinstance(one, int) for one in parents):
        raise UserError(
            f'{key}.subject: column "{columns[0]}" of {settings["path"]} names no subject. It holds ids such as '
            f"{_shown(parents)}, the subjects have ids such as {_shown(subjects['id'])}. Name the right column."
        )
    return parents, counts


def _closure(parents, n):
    """Of each of n subjects, all subjects above it; and how many of the subjects are above themselves."""
    above, in_cycle = [], 0
    for subject in range(n):
        seen, waiting = set(), list(parents.get(subject, ()))
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting.extend(parents.get(one, ()))
        in_cycle += subject in seen
        above.append([one for one in seen if isinstance(one, int) and one != subject])
    return above, in_cycle


def _shown(values):
    return ", ".join(f'"{value}"' for value in list(values)[:3]) or "none"


def with_broader(subjects, broader):
    """The table of subjects with `broader` filled in from csr (S, S): JSON lists of ids."""
    ids = subjects["id"].to_numpy()
    lists = [ids[broader.indices[a:b]].tolist() for a, b in zip(broader.indptr[:-1], broader.indptr[1:], strict=True)]
    return subjects.assign(broader=[json.dumps(own, ensure_ascii=False) for own in lists])


def broader_of(subjects):
    """csr (S, S) float32 of the column `broader` of a table of subjects, or None if no subject has a broader one."""
    numbers = {own: i for i, own in enumerate(subjects["id"])}
    above = [[numbers[own] for own in json.loads(ids)] for ids in subjects["broader"]]
    rows = np.repeat(np.arange(len(above)), [len(own) for own in above])
    if not len(rows):
        return None
    return _csr(rows, np.array([one for own in above for one in own]), (len(above), len(above)))


def places(values, *, separator):
    """Where works stand in a hierarchy of their own: "numpy.linalg" stands at "numpy" and at "numpy.linalg".

    values: n strings or None; separator: between the levels.
    Returns csr (n, P) float32, 1 at each place on the way to a work, and the P places, ordered by name.
    """
    ways = []
    for value in values:
        parts = [part.strip() for part in texts.plain(value).split(separator) if part.strip()]
        ways.append([separator.join(parts[:length]) for length in range(1, len(parts) + 1)])
    names = sorted({place for way in ways for place in way})
    numbers = {place: i for i, place in enumerate(names)}
    rows = np.repeat(np.arange(len(ways)), [len(way) for way in ways])
    columns = np.array([numbers[place] for way in ways for place in way], np.int64)
    return _csr(rows, columns, (len(ways), len(names))), names


def write(output, interactions):
    """Write Interactions to the paths `links`, `borne`, `subjects`, `works` and `counts` of `output`."""
    write_links(output.links, interactions.links)
    write_links(output.borne, interactions.borne)
    files.write_parquet(output.subjects, interactions.subjects)
    files.write_parquet(output.works, interactions.works)
    files.write_json(output.counts, interactions.counts)


def write_links(path, links):
    """Write a csr of ones as safetensors: indptr int64, indices int32, shape int64."""
    parts = {"indptr": links.indptr.astype(np.int64), "indices": links.indices.astype(np.int32)}
    files.write_tensors(path, parts | {"shape": np.array(links.shape, np.int64)})


def read_links(path):
    """The csr float32 that `write_links` wrote."""
    parts = load_file(path)
    ones, indptr = np.ones(len(parts["indices"]), np.float32), parts["indptr"]
    # scipy would widen the indices to the type of indptr, which here is the wide one for files alone.
    indptr = indptr.astype(np.int32) if len(ones) <= np.iinfo(np.int32).max else indptr
    return csr_array((ones, parts["indices"], indptr), shape=tuple(parts["shape"].tolist()))


def _csr(rows, columns, shape):
    """A csr of ones, float32, with sorted indices; no pair may come twice."""
    links = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    links.sort_indices()
    return links
