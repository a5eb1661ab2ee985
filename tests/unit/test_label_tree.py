"""Trees of subjects: clear words find their subjects, classifiers and search are what they claim, a seed is a seed."""

import itertools

import numba
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array, random_array

from crosswalk import files, label_beam, label_clusters, label_tree, linear_svm
from crosswalk.recommender import Fitting, Queries

SUBJECTS, TERMS = 12, 40  # the first words are each the sign of one subject, the others mean nothing


def unit(rows):
    rows = csr_array(rows, dtype=np.float32)
    rows.data /= np.repeat(np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel()), np.diff(rows.indptr))
    rows.sort_indices()
    return rows


def collection(works=400, seed=0):
    """Works with one or two subjects, whose texts are the words of these and one word that means nothing."""
    rng = np.random.default_rng(seed)
    links = np.zeros((works, SUBJECTS), np.float32)
    links[np.arange(works), np.arange(works) % SUBJECTS] = 1
    links[np.arange(works), rng.integers(SUBJECTS, size=works)] = 1
    words = np.zeros((works, TERMS), np.float32)
    words[:, :SUBJECTS] = links
    words[np.arange(works), rng.integers(SUBJECTS, TERMS, size=works)] = 1
    return Fitting(links=csr_array(links), features=unit(words), labels=[f"s{i}" for i in range(SUBJECTS)])


def queries(features, subjects=SUBJECTS):
    features = csr_array(features, dtype=np.float32)
    b = features.shape[0]
    return Queries(links=csr_array((b, subjects)), features=features, rows=np.full(b, -1), texts=[""] * b)


def signs():
    """One query for each subject: its word alone."""
    return queries(np.eye(SUBJECTS, TERMS))


def fit(fitting=None, **options):
    return label_tree.fit(fitting or collection(), **({"leaf": 3, "halvings": 1, "seed": 7} | options))


def same(a, b):
    return set(a.forest) == set(b.forest) and all(
        a.forest[name].dtype == b.forest[name].dtype and np.array_equal(a.forest[name], b.forest[name])
        for name in a.forest
    )


@pytest.mark.parametrize(("leaf", "halvings", "levels"), [(3, 1, 3), (3, 2, 2), (2, 2, 3), (100, 8, 1)])
def test_clear_words_find_their_subjects_in_every_shape_of_tree(leaf, halvings, levels):
    model = fit(leaf=leaf, halvings=halvings)
    scores = model.score(signs())
    assert model.levels == levels
    assert scores.dtype == np.float32 and scores.shape == (SUBJECTS, SUBJECTS)
    assert (scores.argmax(axis=1) == np.arange(SUBJECTS)).all()
    assert (np.diag(scores) > 0.7).all() and (scores <= 1).all() and (scores >= 0).all()
    assert (scores - np.diag(np.diag(scores)) < 0.3).all()


def test_two_words_find_two_subjects():
    words = np.zeros((1, TERMS))
    words[0, [2, 9]] = np.sqrt(0.5)
    assert set(np.argsort(-fit().score(queries(words))[0])[:2]) == {2, 9}


def test_same_seed_same_bytes_on_any_number_of_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(label_tree, "BLOCK", 2)
    one, again, three = fit(), fit(), fit(threads=3)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    alone = fit()
    numba.set_num_threads(before)
    for name, model in {"one": one, "again": again, "three": three, "alone": alone}.items():
        assert same(one, model)
        model.save(tmp_path / name)
    assert len({files.digest(tmp_path / name) for name in ("one", "again", "three", "alone")}) == 1
    everything = queries(collection(50, seed=3).features)
    assert np.array_equal(one.score(everything), three.score(everything))
    assert not same(one, fit(seed=8))


def test_a_node_trained_in_blocks_knows_the_same_subjects(monkeypatch):
    monkeypatch.setattr(label_tree, "BLOCK", 2)
    model = fit(leaf=100)
    assert (model.score(signs()).argmax(axis=1) == np.arange(SUBJECTS)).all()
    assert model.forest["children"].max() == SUBJECTS - 1
    for start, stop in itertools.pairwise(model.forest["term_starts"]):
        assert (np.diff(model.forest["terms"][start:stop]) > 0).all()


def test_a_saved_model_answers_the_same(tmp_path):
    model, asked = fit(beam=2, top=5), queries(collection(30, seed=5).features)
    model.save(tmp_path / "model.safetensors")
    loaded = label_tree.LabelTree.load(tmp_path / "model.safetensors")
    assert same(model, loaded)
    assert (loaded.subjects, loaded.features, loaded.levels, loaded.beam, loaded.top) == (12, 40, 3, 2, 5)
    assert np.array_equal(model.score(asked), loaded.score(asked))


def test_a_subject_without_works_is_never_suggested():
    full = collection()
    links = full.links.toarray()
    links[:, [0, 5]] = 0
    links = np.column_stack([links, np.zeros(len(links), np.float32)])
    model = fit(Fitting(links=csr_array(links), features=full.features, labels=[*full.labels, "nobody's"]))
    scores = model.score(signs())
    others = np.setdiff1d(np.arange(SUBJECTS), [0, 5])
    assert scores.shape == (SUBJECTS, SUBJECTS + 1)
    assert not scores[:, [0, 5, SUBJECTS]].any()
    assert (scores[others].argmax(axis=1) == others).all()


def test_works_without_features_or_subjects_teach_nothing():
    full = collection()
    mute, untagged = csr_array((3, TERMS), dtype=np.float32), csr_array((2, SUBJECTS), dtype=np.float32)
    links = np.vstack([full.links.toarray(), np.ones((3, SUBJECTS)), untagged.toarray()]).astype(np.float32)
    features = np.vstack([full.features.toarray(), mute.toarray(), full.features[:2].toarray()])
    assert same(fit(full), fit(Fitting(links=csr_array(links), features=csr_array(features), labels=full.labels)))


def test_a_query_without_features_gets_zero_and_spoils_no_other():
    words = np.vstack([np.zeros(TERMS), np.eye(1, TERMS)[0], np.zeros(TERMS)])
    scores = fit().score(queries(words))
    assert not scores[[0, 2]].any() and scores[1].argmax() == 0


@pytest.mark.parametrize("works", [0, 5])
def test_nothing_to_learn_from_gives_zero(works):
    fitting = Fitting(
        links=csr_array((works, SUBJECTS), dtype=np.float32), features=csr_array((works, TERMS)), labels=[]
    )
    assert not fit(fitting).score(signs()).any()


def test_the_order_of_a_rows_columns_changes_nothing():
    features = collection(20, seed=2).features
    mixed = features.copy()
    for start, stop in zip(mixed.indptr[:-1], mixed.indptr[1:], strict=True):
        mixed.indices[start:stop] = mixed.indices[start:stop][::-1].copy()
        mixed.data[start:stop] = mixed.data[start:stop][::-1].copy()
    mixed.has_sorted_indices = False
    given = mixed.indices.copy()
    assert np.array_equal(fit().score(queries(features)), fit().score(queries(mixed)))
    assert np.array_equal(mixed.indices, given)


def test_only_the_best_are_scored():
    model, asked = fit(beam=100), queries(collection(20, seed=2).features)
    every = model.score(asked)
    model.top = 3
    few = model.score(asked)
    assert (np.count_nonzero(every, axis=1) == SUBJECTS).all() and (np.count_nonzero(few, axis=1) == 3).all()
    best = np.sort(every, axis=1)[:, -3:]
    assert np.array_equal(np.sort(few, axis=1)[:, -3:], best)


@pytest.mark.parametrize("beam", [1, 2, 100])
def test_search_finds_what_a_plain_walk_finds(beam):
    model, asked = fit(beam=beam), collection(15, seed=4).features.toarray()
    expected = [walk(model, row, beam) for row in asked]
    np.testing.assert_allclose(model.score(queries(asked)), expected, rtol=1e-5, atol=1e-7)


def walk(model, x, beam):
    """The chances of all subjects for one dense row, node by node."""
    parts, out = model.forest, np.zeros(model.subjects)
    nodes = len(parts["first_child"]) - 1
    for root in parts["roots"]:
        level = {int(root): 1.0}
        for _ in range(model.levels):
            below = {}
            for node in sorted(sorted(level), key=level.get, reverse=True)[:beam]:
                children = np.arange(*parts["first_child"][node : node + 2])
                margins = parts["bias"][children].astype(float)
                for term in range(*parts["term_starts"][node : node + 2]):
                    for entry in range(*parts["entry_starts"][term : term + 2]):
                        margins[parts["children"][entry]] += parts["weights"][entry] * x[parts["terms"][term]]
                chances = level[node] * np.exp(-(np.maximum(0, 1 - margins) ** 2))
                below |= dict(zip(children.tolist(), chances, strict=True))
            level = below
        for number, chance in level.items():
            out[parts["subject"][number - nodes]] += chance / len(parts["roots"])
    return out


def test_of_equal_chances_the_first_are_kept():
    assert label_beam._best(np.array([1, 2, 1, 3, 1], np.float32), 3).tolist() == [0, 1, 3]


def test_classifiers_reach_the_least_loss():
    rng = np.random.default_rng(1)
    rows = unit(abs(random_array((60, 10), density=0.4, rng=rng)) + csr_array(np.eye(60, 10) + 0.01))
    yes = rng.random((60, 11)) < 0.3
    starts, positive = np.append(0, np.cumsum(yes.sum(axis=1))), np.nonzero(yes)[1]
    _, *local = linear_svm.gather(rows.indptr, rows.indices, rows.data, np.arange(60), 10)
    weights = linear_svm.train(*local, 10, starts, positive, 11, 3, 2.0, 0.0, 400)
    dense = np.column_stack([rows.toarray(), np.ones(60)])

    def loss(w, y):
        short = np.maximum(0, 1 - y * (dense @ w))
        return w @ w / 2 + 2.0 * (short**2).sum(), w - 4.0 * dense.T @ (y * short)

    for k in range(11):
        y = np.where(yes[:, k], 1, -1)
        least = minimize(loss, np.zeros(11), args=(y,), jac=True, options={"gtol": 1e-6}).fun
        assert loss(weights[:, k].astype(float), y)[0] == pytest.approx(least, rel=1e-4)


def test_planted_halves_are_found_and_are_equal():
    planted = np.array([0, 1] * 10)
    rows = np.zeros((20, 6), np.float32)
    rows[np.arange(20), 3 * planted + np.arange(20) % 3] = 1
    rows[:, [0, 3]] += 0.5 * np.eye(2, dtype=np.float32)[planted]
    right = label_clusters.halves(unit(rows), rng=np.random.default_rng(2))
    assert right.sum() == 10
    assert (right == planted).all() or (right != planted).all()
    assert label_clusters.halves(unit(rows[:19]), rng=np.random.default_rng(2)).sum() == 9


def test_bisecting_keeps_all_rows_and_sizes_even():
    rows = collection().features
    order, starts = label_clusters.bisect(rows, depth=3, rng=np.random.default_rng(0))
    assert sorted(order) == list(range(400)) and set(np.diff(starts)) == {50}


@pytest.mark.parametrize("options", [{"trees": 0}, {"leaf": 1}, {"cost": 0}, {"threshold": -1}, {"halvings": 17}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError):
        fit(**options)


def test_queries_with_other_terms_are_refused():
    with pytest.raises(ValueError, match="40 terms, not 41"):
        fit().score(queries(np.eye(1, TERMS + 1)))


def test_no_answer_depends_on_the_other_queries():
    model, rows = fit(beam=2), collection(30, seed=6).features
    together = model.score(queries(rows))
    assert np.array_equal(together, np.vstack([model.score(queries(rows[[i]])) for i in range(30)]))


def test_code_is_compiled_without_a_folder_to_keep_it(monkeypatch):
    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert linear_svm.compiled(len)("four") == 4
