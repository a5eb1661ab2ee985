"""The files that pass between the rules of a recommender, read as what the models are given."""

import numpy as np
from safetensors.numpy import load_file
from scipy.sparse import csr_array

from crosswalk import interactions, splits
from crosswalk.answering import Advisor
from crosswalk.files import read_json, read_parquet, read_vectors, write_tensors
from crosswalk.recommend_study import Works, fit_members
from crosswalk.recommend_tables import kept


def write_matrix(path, matrix):
    """Write a csr float32 as safetensors: data, indices int32, indptr int64, shape."""
    parts = {"data": matrix.data.astype(np.float32), "indices": matrix.indices.astype(np.int32)}
    parts |= {"indptr": matrix.indptr.astype(np.int64), "shape": np.array(matrix.shape, np.int64)}
    write_tensors(path, parts)


def read_matrix(path):
    """What `write_matrix` wrote."""
    parts = load_file(path)
    few = len(parts["data"]) <= np.iinfo(np.int32).max
    indptr = parts["indptr"].astype(np.int32) if few else parts["indptr"]
    return csr_array((parts["data"], parts["indices"], indptr), shape=tuple(parts["shape"].tolist()))


def read_roles(path):
    """The role of each link, uint8, as `splits.split` drew it."""
    return load_file(path)["role"]


def places_of(rows, settings):
    """Where the works stand on their paths: csr (n, P), or None if the config has no `path`.

    rows: DataFrame of the collection; settings: dict that has `path` or not.
    """
    if "path" not in settings:
        return None
    column, separator = settings["path"]["column"], settings["path"]["separator"]
    return interactions.places(rows[column], separator=separator)[0]


def works_from(source, settings):
    """The works of a recommender, from the inputs of a rule.

    source: named files rows, links, subjects and terms, and vectors where a prior reads them; settings: dict that has
    `path` or not.
    Returns Works. Raises UserError if the vectors are not those of the rows.
    """
    rows, subjects = read_parquet(source.rows), read_parquet(source.subjects)
    vectors = read_vectors(source.vectors, ids=rows["id"])[1] if source.get("vectors") else None
    broader = interactions.broader_of(subjects)
    return Works(
        ids=rows["id"].tolist(),
        texts=rows["text"].tolist(),
        links=interactions.read_links(source.links),
        features=read_matrix(source.terms),
        labels=subjects["label"].tolist(),
        vectors=vectors,
        broader=broader if broader is not None and broader.nnz else None,
        paths=places_of(rows, settings),
    )


def seen_links(links, source):
    """The links that models may learn from: csr (n, S), all of them where no file `split` says that some are hidden.

    links: csr (n, S); source: the named inputs of a rule.
    """
    split = source.get("split")
    return links if split is None else splits.visible(links, read_roles(split))


def advisor_from(source, works, trained, settings, *, top, seed):
    """The Advisor of a recommender, fitted on all links.

    source: named files subjects, stack and vocabulary; works: Works; trained: models that other rules trained;
    settings: of the recommender; top: suggestions for a work; seed: integer.
    """
    fitting = works.fitting(works.links)
    models, _ = fit_members(fitting, settings, texts=works.texts, trained=trained, seed=seed)
    stacks, curves = kept(load_file(source.stack))
    return Advisor(
        fitting,
        models,
        stacks=stacks,
        curves=curves,
        chosen=settings["model"],
        subjects=read_parquet(source.subjects),
        terms=read_json(source.vocabulary)["terms"],
        ids=works.ids,
        top=top,
    )
