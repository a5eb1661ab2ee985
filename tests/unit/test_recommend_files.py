"""What rules write is what models are given: nothing is lost between them, and nothing hidden is let through."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, random_array

from crosswalk import features, interactions, stacking, tags
from crosswalk.errors import UserError
from crosswalk.files import read_parquet, write_parquet, write_tensors, write_vectors
from crosswalk.recommend_files import (
    advisor_from,
    places_of,
    read_matrix,
    read_roles,
    seen_links,
    works_from,
    write_matrix,
)
from crosswalk.recommend_study import fit_members, judge, splits
from crosswalk.recommend_tables import keep
from taggings import ENTRY, NESTED, SEPARATOR, hide, world, write_jsonl

MADE = {"themes": 5, "each": 4, "bears": 4, "hierarchy": True, "synonyms": True}


class Files(dict):
    """Paths by name, as Snakemake gives a script its input."""

    __getattr__ = dict.get


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The files of a recommender, as its rules write them."""
    folder = tmp_path_factory.mktemp("files")
    made = world(120, untagged=0.1, **MADE)
    names = {
        "links": "safetensors",
        "borne": "safetensors",
        "subjects": "parquet",
        "works": "parquet",
        "counts": "json",
    }
    out = Files({name: folder / f"{name}.{ending}" for name, ending in names.items()})
    found = tags.read(write_jsonl(folder / "works.jsonl", made), NESTED, ids=made.ids, name="s", id_column="id")
    built = interactions.build(found, ids=made.ids, name="s")
    broader, _ = interactions.hierarchy(built.subjects, {"separator": SEPARATOR}, name="s")
    interactions.write(out, built._replace(subjects=interactions.with_broader(built.subjects, broader)))
    terms = features.fit(made.texts, ngrams=1)
    out |= {name: folder / name for name in ("rows", "terms", "model", "vocabulary", "split", "stack", "vectors")}
    terms.save(out["model"], out["vocabulary"])
    write_matrix(out["terms"], terms.transform(made.texts))
    write_parquet(out["rows"], table(made))
    write_vectors(out["vectors"], made.ids, np.eye(120, 6))
    write_tensors(out["split"], {"role": hide(works_from(out, {}), known=0.6, new=0.3)})
    return Files(out)


def table(made):
    return pd.DataFrame({"id": made.ids, "text": made.texts, "shelf": [f"a.b{i % 3}" for i in range(len(made.ids))]})


@functools.cache
def made():
    return world(120, untagged=0.1, **MADE)


def without(source, *names):
    return Files({name: path for name, path in source.items() if name not in names})


@pytest.mark.parametrize("shape", [(7, 5), (3, 9), (4, 0), (0, 4), (1, 1)])
def test_a_matrix_comes_back_as_it_was(tmp_path, shape):
    rng = np.random.default_rng(0)
    matrix = csr_array(random_array(shape, density=0.4, rng=rng, dtype=np.float32))
    matrix.sort_indices()
    write_matrix(tmp_path / "m", matrix)
    again = read_matrix(tmp_path / "m")
    assert again.shape == shape and again.dtype == np.float32 and again.indices.dtype == np.int32
    np.testing.assert_array_equal(again.toarray(), matrix.toarray())
    assert again.has_sorted_indices


def test_a_matrix_of_the_same_numbers_has_the_same_bytes(tmp_path):
    matrix = csr_array(np.array([[0, 0.5], [1, 0]], np.float32))
    wide = csr_array((matrix.data.astype(float), matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)))
    for name, own in (("a", matrix), ("b", wide)):
        write_matrix(tmp_path / name, own)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_works_are_those_of_the_files(source):
    works = works_from(source, {"path": {"column": "shelf", "separator": "."}})
    assert works.ids == made().ids and works.texts == made().texts
    for row, borne in enumerate(made().bears):
        own = {works.labels[i] for i in works.links[[row]].indices}
        assert own == {made().labels[i] for i in borne}
    assert works.features.shape[0] == works.vectors.shape[0] == works.paths.shape[0] == 120
    assert works.paths.shape[1] == 4
    narrow = works.labels.index(made().labels[0])
    assert [works.labels[i] for i in works.broader[[narrow]].indices] == [made().labels[0].split(SEPARATOR)[0]]


def test_what_is_not_configured_is_none(source):
    works = works_from(without(source, "vectors"), {})
    assert works.vectors is None and works.paths is None and places_of(None, {}) is None


def test_subjects_without_a_broader_one_have_no_hierarchy(source, tmp_path):
    flat = Files(source | {"subjects": tmp_path / "flat.parquet"})
    write_parquet(flat["subjects"], read_parquet(source.subjects).assign(broader="[]"))
    assert works_from(flat, {}).broader is None


def test_vectors_of_other_rows_are_refused(source, tmp_path):
    write_vectors(tmp_path / "others", [f"x{i}" for i in range(120)], np.eye(120, 6))
    with pytest.raises(UserError, match="its rows are not those of the collection"):
        works_from(Files(source | {"vectors": tmp_path / "others"}), {})


def test_models_are_shown_what_is_not_hidden(source):
    works, roles = works_from(source, {}), read_roles(source.split)
    seen = seen_links(works.links, source)
    assert seen.nnz == (roles == splits.FITTED).sum() < works.links.nnz
    assert seen_links(works.links, Files(source | {"split": None})).nnz == works.links.nnz
    for role in range(1, 5):
        rows, hidden = splits.hidden(works.links, roles, role)
        assert hidden.nnz and not seen[rows].multiply(hidden).nnz


def test_an_advisor_from_files_answers_like_the_one_that_was_judged(source, monkeypatch):
    monkeypatch.setattr(stacking, "LEAST_STEPS", 9)
    works, roles = works_from(source, {}), read_roles(source.split)
    fitting = works.fitting(seen_links(works.links, source))
    models, _ = fit_members(fitting, ENTRY, texts=works.texts, trained={}, seed=0)
    judged = {s: judge(works, roles, models, ENTRY, scenario=s, seed=0) for s in ("known", "new")}
    write_tensors(source["stack"], keep(judged))
    advisor = advisor_from(source, works, {}, ENTRY, top=5, seed=0)
    assert advisor.chosen == "stack" and set(advisor.models) == set(ENTRY["members"])
    found = advisor.rows(works.ids, works.queries(np.arange(120), works.links))
    assert found.groupby("work_id").size().max() == 5 and set(found["work_id"]) == set(works.ids)
    assert set(found["subject_id"]) == set(read_parquet(source.subjects)["id"])
    for scenario, one in judged.items():
        assert advisor.stacks[scenario].members == one.stack.members
        np.testing.assert_array_equal(advisor.curves[scenario].x, one.curve.x)
