"""The trees learn what words mean, survive works that Omikuji aborts on, keep quiet and come back from disk."""

import logging
import os

import numpy as np
import pytest
from scipy.sparse import csr_array

pytest.importorskip("omikuji")

from crosswalk import tree
from crosswalk.recommender import Fitting, Queries

RNG = np.random.default_rng(1)
N, S = 240, 12


def planted():
    """Subject s goes with the word s; words from S on are noise. The last works have no text or no subject."""
    links = (RNG.random((N, S)) < 0.15).astype(np.float32)
    words = np.hstack([links, RNG.random((N, 5)) < 0.3]).astype(np.float32)
    links[-1], words[-2], words[-3], links[-3] = 0, 0, 0, 0
    words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-9)
    return Fitting(links=csr_array(links), features=csr_array(words), labels=[])


FITTING = planted()


def queries(rows):
    rows = np.asarray(rows)
    return Queries(links=FITTING.links[rows], features=FITTING.features[rows], rows=rows, texts=[""] * len(rows))


@pytest.fixture(scope="module")
def fitted():
    return tree.fit(FITTING)


def test_planted_subjects_stand_first(fitted):
    asked = queries(range(100))
    scores, own = fitted.score(asked), asked.links.toarray() > 0
    assert scores.dtype == np.float32 and scores.shape == (100, S) and np.isfinite(scores).all()
    told = [scores[i][own[i]].min() > scores[i][~own[i]].max() for i in range(100) if 0 < own[i].sum() < S]
    assert np.mean(told) > 0.95


def test_works_without_text_get_nothing_and_are_left_out_of_training(fitted):
    scores = fitted.score(queries([N - 2, N - 3, 0]))
    assert not scores[:2].any() and scores[2].any()


def test_nothing_to_learn_from_says_nothing(tmp_path, caplog):
    empty = Fitting(links=FITTING.links, features=csr_array(FITTING.features.shape, dtype=np.float32), labels=[])
    model = tree.fit(empty)
    assert "says nothing" in caplog.text
    model.save(tmp_path)
    for one in (model, tree.Tree.load(tmp_path)):
        assert one.score(queries([0, 1])).tolist() == np.zeros((2, S)).tolist()


def test_a_trained_model_always_answers_the_same_from_disk_too(fitted, tmp_path):
    asked = queries(range(60))
    first = fitted.score(asked)
    assert first.tobytes() == fitted.score(asked).tobytes()
    fitted.save(tmp_path)
    loaded = tree.Tree.load(tmp_path)
    np.testing.assert_allclose(loaded.score(asked), first, atol=1e-6)
    assert (loaded.subjects, loaded.features, loaded.beam, loaded.top) == (S, S + 5, tree.BEAM, tree.TOP)


def test_saving_leaves_no_tree_of_an_older_model(fitted, tmp_path):
    fitted.save(tmp_path)
    tree.fit(FITTING, trees=1).save(tmp_path)
    assert [path.name for path in tmp_path.glob("tree*")] == ["tree0.cbor"]


def test_the_screen_stays_empty_and_the_log_has_the_messages(capfd, caplog):
    with caplog.at_level(logging.DEBUG, logger="crosswalk.tree"):
        tree.fit(FITTING, trees=1)
    assert capfd.readouterr() == ("", "")
    able = np.count_nonzero(np.diff(FITTING.links.indptr) * np.diff(FITTING.features.indptr))
    assert "Training model" in caplog.text and f"{able} works, {N - able} without subjects or text" in caplog.text


def test_what_is_written_to_the_screen_later_is_seen(capfd, fitted):
    with pytest.raises(ZeroDivisionError), tree._aside():
        raise ZeroDivisionError
    os.write(1, b"still here")
    os.write(2, b"here too")
    assert capfd.readouterr() == ("still here", "here too")


def test_the_training_file_is_exact(tmp_path):
    features = csr_array(np.array([[0, 0.1, 1 / 3], [1, 0, 0]], np.float32))
    tree.write_works(tmp_path / "works.txt", features, csr_array(np.array([[1, 0, 1], [0, 1, 0]], np.float32)))
    first, one, two = (tmp_path / "works.txt").read_text().splitlines()
    assert (first, two) == ("2 3 3", "1 0:1")
    assert one.startswith("0,2 1:0.1 2:") and np.float32(one.rpartition(":")[2]) == np.float32(1 / 3)


def test_no_more_subjects_than_asked_get_a_score():
    scores = tree.fit(FITTING, trees=1, top=2, loss="log").score(queries(range(30)))
    assert (np.count_nonzero(scores, axis=1) <= 2).all() and scores.any()


@pytest.mark.parametrize("wrong", [{"loss": "l1"}, {"trees": 0}, {"c": 0}, {"beam": 0}, {"threads": 0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        tree.fit(FITTING, **wrong)
