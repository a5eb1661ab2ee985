"""The chapter's model runs as published: its targets are its loop's, its faults are kept, and it says so."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from crosswalk import published_recommender as published
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(8)
LINKS = csr_array((RNG.random((90, 12)) < 0.25).astype(np.float32))
TAGGED = int((np.diff(LINKS.indptr) > 0).sum())


def fitting(links):
    return Fitting(links=links, features=csr_array((links.shape[0], 0), dtype=np.float32), labels=[])


def queries(links, rows):
    features = csr_array((len(rows), 0), dtype=np.float32)
    return Queries(links=links, features=features, rows=np.asarray(rows), texts=[""] * len(rows))


def loop(links, works):
    """Columns and targets as the chapter finds them, one work and one subject at a time."""
    borne = [links.indices[links.indptr[w] : links.indptr[w + 1]].tolist() for w in works]
    columns = [subject for subjects in borne for subject in subjects]
    targets = np.zeros((len(works), len(columns)), np.float32)
    for row, subjects in enumerate(borne):
        for subject in subjects:
            targets[row, columns.index(subject)] = 1
    return columns, targets


def test_targets_are_those_of_the_loop_over_list_index():
    for batch in published.published_batches(LINKS, batch_size=20, rng=np.random.default_rng(0)):
        columns, targets = loop(LINKS, batch.works)
        assert batch.subjects.tolist() == columns
        np.testing.assert_array_equal(batch.targets, targets)


def test_only_first_copies_of_a_subject_are_marked():
    links = csr_array(np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], np.float32))
    (batch,) = published.published_batches(links, batch_size=3, rng=np.random.default_rng(0))
    copies = pd.Series(batch.subjects).duplicated().to_numpy()
    assert copies.sum() == 4
    assert not batch.targets[:, copies].any()
    assert batch.targets.sum() == links.nnz


def test_the_tail_is_dropped():
    found = list(published.published_batches(LINKS, batch_size=32, rng=np.random.default_rng(0)))
    assert len(found) == TAGGED // 32
    assert sum(len(batch.works) for batch in found) == TAGGED // 32 * 32 < TAGGED


def test_fewer_works_than_a_batch_train_nothing(caplog):
    model = published.fit(fitting(LINKS), epochs=2)
    assert model.history["loss"].isna().all()
    assert "nothing was learned" in caplog.text
    untrained = published.fit(fitting(LINKS), epochs=1)
    np.testing.assert_array_equal(model.subjects, untrained.subjects)


def test_loss_falls_and_log_loss_is_its_logarithm():
    model = published.fit(fitting(LINKS), epochs=30, batch_size=16, learning_rate=0.02)
    assert model.history["epoch"].tolist() == list(range(1, 31))
    assert model.history["loss"].iloc[-1] < 0.7 * model.history["loss"].iloc[0]
    np.testing.assert_allclose(model.history["log_loss"], np.log(model.history["loss"]))


def test_a_seed_decides_everything():
    models = [published.fit(fitting(LINKS), epochs=2, batch_size=16, seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(models[0].works, models[1].works)
    assert not np.array_equal(models[0].works, models[2].works)
    untrained = [published.fit(fitting(LINKS), epochs=0, seed=seed).subjects for seed in (1, 2)]
    assert not np.array_equal(*untrained)


def test_new_works_get_no_answer_and_old_ones_probabilities():
    model = published.fit(fitting(LINKS), epochs=1, batch_size=16)
    scores = model.score(queries(LINKS[:2], [0, -1]))
    assert scores.dtype == np.float32
    assert (scores[0] > 0).all()
    assert (scores[0] < 1).all()
    assert not scores[1].any()


def test_what_is_saved_answers_alike(tmp_path):
    model = published.fit(fitting(LINKS), epochs=1, batch_size=16)
    model.save(tmp_path / "model.safetensors")
    asked = queries(LINKS[:5], np.arange(5))
    np.testing.assert_array_equal(published.load(tmp_path / "model.safetensors").score(asked), model.score(asked))


@pytest.mark.slow
def test_it_finds_less_than_popularity_on_the_chapters_own_terms():
    rng = np.random.default_rng(0)
    chance = 0.6 / np.arange(1, 301)
    links = csr_array((rng.random((4000, 300)) < chance).astype(np.float32))
    model = published.fit(fitting(links), epochs=10)
    frequent = np.argsort(-links.sum(axis=0))[:10]
    scores = model.score(queries(links[:500], np.arange(500)))
    top = np.argsort(-scores, axis=1)[:, :10]
    assert np.isin(top, frequent).mean() < 0.5
