"""The store of vectors: what is in it comes back, the same for every reader, and nothing damaged does."""

import os

import numpy as np
import pyarrow as pa
import pytest

from crosswalk import store as module
from crosswalk.errors import UserError
from crosswalk.store import Store, text_keys

NAMESPACE = {"provider": "test", "model": "toy", "dimensions": 5}


def rows(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 5), dtype=np.float32)


def put(store, texts, vectors, monkeypatch=None, at=None):
    if at is not None:
        monkeypatch.setattr(module.time, "time_ns", lambda: at)
    return store.append(text_keys(texts), vectors)


def get(store, texts):
    out = np.full((len(texts), 5), np.nan, np.float32)
    found = store.read(text_keys(texts), out)
    return found, out


def test_vectors_come_back_in_the_order_asked(tmp_path):
    names = [f"text {i}" for i in range(50)]
    vectors = rows(50)
    first = Store(tmp_path, NAMESPACE)
    for start in range(0, 50, 7):
        put(first, names[start : start + 7], vectors[start : start + 7])
    order = np.random.default_rng(1).permutation(50)
    for reader in (first, Store(tmp_path, NAMESPACE)):
        found, out = get(reader, [names[i] for i in order])
        assert found.all()
        np.testing.assert_array_equal(out, vectors[order])
        assert len(reader) == 50


def test_unknown_text_is_missing_and_its_row_untouched(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    found, out = get(store, ["a"])
    assert not found.any()
    put(store, ["a"], rows(1))
    found, out = get(store, ["b", "a", "B"])
    assert found.tolist() == [False, True, False]
    assert np.isnan(out[[0, 2]]).all() and np.array_equal(out[1], rows(1)[0])


def test_key_is_of_the_exact_text():
    texts = ["Café", "Cafe\u0301", "café", "Café ", "Café\n", ""]
    keys = text_keys(texts)
    assert keys.shape == (6, 2) and len({tuple(key) for key in keys.tolist()}) == 6
    np.testing.assert_array_equal(keys, text_keys(texts))


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"provider": "else"}, {"dimensions": 6}, {"base_url": "http://there"}]
)
def test_another_namespace_shares_nothing(tmp_path, change):
    put(Store(tmp_path, NAMESPACE), ["a"], rows(1))
    assert len(Store(tmp_path, {**NAMESPACE, **change})) == 0
    assert len(Store(tmp_path, dict(reversed(NAMESPACE.items())))) == 1


def test_namespace_can_be_read_by_people(tmp_path):
    folder = Store(tmp_path, NAMESPACE).folder
    assert '"model": "toy"' in (folder / "namespace.json").read_text()


class Named:
    """In place of `uuid`: names in the order given."""

    def __init__(self, *names):
        self.names = list(names)

    def uuid4(self):
        self.hex = self.names.pop(0)
        return self


class Listing:
    """In place of `os.scandir`: entries sorted by name, either way round."""

    scandir = staticmethod(os.scandir)

    def __init__(self, folder, backwards):
        self.entries = sorted(self.scandir(folder), key=lambda entry: entry.name, reverse=backwards)

    def __enter__(self):
        return iter(self.entries)

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("names", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_oldest_vector_of_a_text_wins_whatever_the_listing_order(tmp_path, monkeypatch, names, backwards):
    monkeypatch.setattr(module, "uuid", Named(*names))
    store = Store(tmp_path, NAMESPACE)
    for at in (30, 10, 20):
        put(store, ["same", f"own {at}"], np.full((2, 5), at, np.float32), monkeypatch, at)
    monkeypatch.setattr(module.os, "scandir", lambda folder: Listing(folder, backwards))
    for reader in (store, Store(tmp_path, NAMESPACE)):
        assert (get(reader, ["same"])[1] == 10).all()
        assert (get(reader, ["own 30"])[1] == 30).all()


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_segment_of_another_length_than_the_oldest_is_left_out(tmp_path, monkeypatch, names):
    namespace = {**NAMESPACE, "dimensions": None}
    monkeypatch.setattr(module, "uuid", Named(*names))
    writers = [Store(tmp_path, namespace), Store(tmp_path, namespace)]
    put(writers[0], ["old"], rows(1), monkeypatch, 10)
    monkeypatch.setattr(module.time, "time_ns", lambda: 20)
    writers[1].append(text_keys(["new"]), np.ones((1, 7), np.float32))
    reader = Store(tmp_path, namespace)
    assert reader.dimensions == 5 and get(reader, ["old", "new"])[0].tolist() == [True, False]
    assert list(reader.bad.values()) == ["7 dimensions instead of 5"]


def test_readers_see_other_writers_after_refresh(tmp_path):
    reader, writer = Store(tmp_path, NAMESPACE), Store(tmp_path, NAMESPACE)
    put(writer, ["late"], rows(1))
    assert not get(reader, ["late"])[0].any()
    reader.refresh()
    assert get(reader, ["late"])[0].all()


def test_keys_that_share_half_their_bits_are_told_apart(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    keys = np.array([[7, 1], [7, 2], [7, 3], [9, 1]], np.uint64)
    store.append(keys, rows(4))
    asked = np.array([[7, 3], [7, 4], [9, 2], [7, 0], [7, 1], [99, 1], [9, 1]], np.uint64)
    out = np.zeros((7, 5), np.float32)
    assert store.read(asked, out).tolist() == [True, False, False, False, True, False, True]
    np.testing.assert_array_equal(out[[0, 4, 6]], rows(4)[[2, 0, 3]])


def test_dimensions_are_learned_when_the_namespace_does_not_say(tmp_path):
    namespace = {**NAMESPACE, "dimensions": None}
    store = Store(tmp_path, namespace)
    assert store.dimensions is None
    put(store, ["a"], rows(1))
    assert Store(tmp_path, namespace).dimensions == 5


def test_vectors_of_another_length_are_refused(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    with pytest.raises(ValueError, match="5 dimensions"):
        store.append(text_keys(["a"]), np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="keys"):
        store.append(text_keys(["a", "b"]), rows(1))


def test_segment_is_plain_arrow_that_says_what_it_is(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    name = store.append(text_keys(["a", "b"]), rows(2), tokens=11)
    table = pa.ipc.open_file(store.folder / name).read_all()
    assert table.schema.field("key").type == pa.binary(16)
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 5)
    about = table.schema.metadata
    assert (about[b"model"], about[b"dimensions"], about[b"tokens"]) == (b"toy", b"5", b"11")
    assert {b"crc32", b"time"} <= set(about)


def test_thousands_of_segments_need_no_open_files(tmp_path):
    resource = pytest.importorskip("resource")
    store = Store(tmp_path, NAMESPACE)
    for i in range(80):
        put(store, [str(i)], rows(1, i))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, hard))
    try:
        reader = Store(tmp_path, NAMESPACE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(reader) == 80 and not reader.bad


def test_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(UserError, match="config key `cache`"):
        Store(tmp_path / "cache" / "embeddings", NAMESPACE)
