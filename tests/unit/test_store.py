"""The store of vectors: what is in it comes back, the same for every reader, and nothing damaged does."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from isal import isal_zlib

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
    assert table.schema.field("key").type == pa.binary(12)
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


def unit(n, width=5, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def first_layout(folder, name, texts, vectors, *, time, tokens):
    """A segment as Crosswalk first wrote them."""
    keys, sums = text_keys(texts), [isal_zlib.crc32(row.tobytes()) for row in vectors]
    header = isal_zlib.crc32(np.array(sums, np.uint32).tobytes(), isal_zlib.crc32(keys.tobytes()))
    about = {"model": "toy", "dimensions": "5", "tokens": str(tokens), "crc32": str(header), "time": str(time)}
    columns = {
        "key": pa.array([key.tobytes() for key in keys], pa.binary(16)),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
        "crc32": pa.array(sums, pa.uint32()),
    }
    batch = pa.record_batch(list(columns.values()), names=list(columns), metadata=about)
    with pa.ipc.new_file(folder / name, batch.schema) as writer:
        writer.write_batch(batch)


def test_segments_of_the_first_layout_are_read_beside_new_ones(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    put(store, ["both", "new"], rows(2, 1))
    first_layout(store.folder, "old.arrow", ["both", "old"], rows(2, 2), time=1, tokens=70)
    again = Store(tmp_path, NAMESPACE)
    found, out = get(again, ["both", "new", "old"])
    assert found.all() and len(again) == 3 and not again.bad
    np.testing.assert_array_equal(out, [rows(2, 2)[0], rows(2, 1)[1], rows(2, 2)[1]])
    assert again.spent() == 70


def test_tokens_are_recorded_by_study_across_writers(tmp_path):
    one, other = Store(tmp_path, NAMESPACE), Store(tmp_path, NAMESPACE)
    one.append(text_keys(["a"]), rows(1), tokens=5, study="novels")
    other.append(text_keys(["b"]), rows(1), tokens=7, study="novels")
    other.append(text_keys(["c"]), rows(1), tokens=11, study='papers "é"')
    other.append(text_keys(["d"]), rows(1), tokens=13)
    for store in (one, other, Store(tmp_path, NAMESPACE)):
        assert [store.spent(study) for study in ("novels", 'papers "é"', "", "unheard")] == [12, 11, 13, 0]


def test_segment_says_what_it_cost_and_for_whom(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    name = store.append(text_keys(["a"]), rows(1), tokens=5, study="novels")
    about = pa.ipc.open_file(store.folder / name).schema.metadata
    assert json.loads(about[b"spent"]) == {"novels": 5} and about[b"tokens"] == b"5"


@pytest.mark.parametrize("width", [384, 1536])
def test_file_is_hardly_larger_than_its_vectors(tmp_path, width):
    store, texts = Store(tmp_path, {"model": "text-embedding-3-small", "dimensions": width}), map(str, range(1000))
    name = store.append(text_keys(texts), unit(1000, width), tokens=300_000, study="a study with a name")
    assert (store.folder / name).stat().st_size <= 1.01 * 1000 * width * 4


def test_float16_and_float32_lie_side_by_side(tmp_path):
    single, half = Store(tmp_path, NAMESPACE), Store(tmp_path, NAMESPACE, dtype="float16")
    put(single, ["a", "both"], unit(2, seed=1))
    name = put(half, ["b", "both"], unit(2, seed=2))
    assert pa.ipc.open_file(half.folder / name).schema.field("vector").type == pa.list_(pa.float16(), 5)
    for store in (Store(tmp_path, NAMESPACE), Store(tmp_path, NAMESPACE, dtype="float16")):
        found, out = get(store, ["a", "both", "b"])
        assert found.all() and out.dtype == np.float32
        np.testing.assert_array_equal(out[:2], unit(2, seed=1))  # what is kept in full stays in full
        np.testing.assert_allclose(out[2], unit(2, seed=2)[0], atol=2**-11)
        np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=3e-7)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_as_read_is_what_read_will_give(tmp_path, dtype):
    store, texts = Store(tmp_path, NAMESPACE, dtype=dtype), [str(i) for i in range(100)]
    put(store, texts, unit(100))
    np.testing.assert_array_equal(get(Store(tmp_path, NAMESPACE), texts)[1], store.as_read(unit(100)))


def test_float16_refuses_what_it_cannot_bring_back(tmp_path):
    store = Store(tmp_path, NAMESPACE, dtype="float16")
    for vectors in (3 * unit(1), np.zeros((1, 5), np.float32), np.full((1, 5), np.nan, np.float32)):
        with pytest.raises(ValueError, match="length 1"):
            store.append(text_keys(["a"]), vectors)
    with pytest.raises(ValueError, match="float8"):
        Store(tmp_path, NAMESPACE, dtype="float8")


def loss(folder, vectors):
    """What float16 costs: largest error of a cosine with oneself, of one with another, share of 10 neighbours kept."""
    store = Store(folder, {"model": "loss", "dimensions": vectors.shape[1]}, dtype="float16")
    exact, kept = vectors.astype(float), store.as_read(vectors).astype(float)
    exact, kept = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (exact, kept))
    cosines = [rows @ rows.T for rows in (exact, kept)]
    apart = np.abs(cosines[0] - cosines[1]).max()
    for one in cosines:
        np.fill_diagonal(one, -1)
    near = [np.argpartition(-one, 10, axis=1)[:, :10] for one in cosines]
    same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*near, strict=True)])
    return (1 - (exact * kept).sum(axis=1)).max(), apart, same


def test_float16_changes_hardly_a_neighbour_of_random_vectors(tmp_path):
    itself, apart, same = loss(tmp_path, unit(1500, 384))
    assert itself < 1e-7 and apart < 2e-4 and same > 0.998


@pytest.mark.slow
def test_float16_changes_hardly_a_neighbour_of_real_vectors(tmp_path):
    minilm = pytest.importorskip("crosswalk.minilm")
    lines = [line for path in Path(__file__).parents[1].glob("data/*.jsonl") for line in path.read_text().splitlines()]
    words = " ".join(lines).split()
    texts = [" ".join(words[i : i + 12]) for i in range(0, len(words), 12)]
    parts = list(minilm.MiniLM().answers(texts))
    itself, apart, same = loss(tmp_path, np.concatenate([answer.vectors for _, answer in parts]))
    assert itself < 1e-7 and apart < 2e-4 and same > 0.998


def test_segment_that_vanishes_between_listing_and_opening_is_no_damage(tmp_path, monkeypatch, caplog):
    store = Store(tmp_path, NAMESPACE)
    put(store, ["a"], rows(1))
    real, calls = module.listing, []

    def stale(folder):
        names, unfinished = real(folder)
        calls.append(folder)
        return (names | {"merged-away.arrow"} if len(calls) == 1 else names), unfinished

    monkeypatch.setattr(module, "listing", stale)
    again = Store(tmp_path, NAMESPACE)
    assert len(calls) == 2 and not again.bad and get(again, ["a"])[0].all() and not caplog.records


def test_a_listing_that_never_settles_still_opens_what_is_there(tmp_path, monkeypatch):
    store = Store(tmp_path, NAMESPACE)
    put(store, ["a"], rows(1))
    real = module.listing
    monkeypatch.setattr(module, "listing", lambda folder: (real(folder)[0] | {"ghost.arrow"}, set()))
    again = Store(tmp_path, NAMESPACE)
    assert get(again, ["a"])[0].all() and not again.bad


def test_deleted_segment_is_let_go_of_at_the_next_refresh(tmp_path):
    store = Store(tmp_path, NAMESPACE)
    name = store.append(text_keys(["a"]), rows(1), tokens=9)
    put(store, ["b"], rows(1))
    (store.folder / name).unlink()
    assert get(store, ["a"])[0].all()  # still mapped
    store.refresh()
    assert get(store, ["a", "b"])[0].tolist() == [False, True] and store.spent() == 0 and not store.bad


def test_listing_is_repeated_until_it_holds_still(tmp_path, monkeypatch):
    """One that is taken while a merged segment replaces its parts may show neither."""
    shown = [["a.arrow"], [], ["m.arrow"], ["m.arrow"], ["never asked for"]]

    class Entries:
        def __enter__(self):
            return iter([type("Entry", (), {"name": name}) for name in shown.pop(0)])

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(module.os, "scandir", lambda _: Entries())
    assert module.listing(tmp_path) == ({"m.arrow"}, set()) and len(shown) == 1
