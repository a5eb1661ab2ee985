"""Care of the cache: it says what is there, finds every damage, and makes files fewer without changing an answer."""

import json
import os
import time

import numpy as np
import pytest

import cache
from crosswalk import store as store_module
from crosswalk import store_care
from crosswalk.errors import UserError
from crosswalk.store import Store, text_keys

NAMESPACE = {"provider": "test", "model": "toy", "dimensions": 8}
OTHER = {"provider": "test", "model": "other", "dimensions": 8}


def unit(n, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((n, 8), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(folder, segments=6, rows=10, namespace=NAMESPACE, dtype="float32"):
    """Segments of other texts each, and their names in order of time."""
    store = Store(folder, namespace, dtype=dtype)
    names = [
        store.append(text_keys([f"{seed} {i}" for i in range(rows)]), unit(rows, seed), tokens=rows, study="novels")
        for seed in range(segments)
    ]
    return store, names


def held(folder, texts, namespace=NAMESPACE):
    """What a newly opened store answers: found, vectors."""
    out = np.zeros((len(texts), 8), np.float32)
    return Store(folder, namespace).read(text_keys(texts), out), out


def flip(path, place):
    """Change one bit, in a new file, since the old one may be mapped."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.unlink()
    path.write_bytes(content)


def files_of(store):
    return sorted(path.name for path in store.folder.glob("*.arrow"))


def compact(folder, **options):
    return store_care.compact(folder, **{"settled": 0, **options})


def test_info_counts_what_is_there(tmp_path):
    began = time.time()
    store, _ = filled(tmp_path, segments=3)
    store.append(text_keys(["0 0", "0 1", "own"]), unit(3), tokens=4)
    filled(tmp_path, segments=1, namespace=OTHER)
    (store.folder / ".abc.tmp").write_bytes(b"half")
    (store.folder / "foreign.arrow").write_bytes(b"no Arrow")
    found = {one["model"]: one for one in store_care.info(tmp_path)}
    about = found["toy"]
    assert set(found) == {"toy", "other"}
    assert (about["provider"], about["dimensions"], about["namespace"]) == ("test", 8, store.folder.name)
    assert (about["segments"], about["vectors"], about["distinct"], about["duplicates"]) == (4, 33, 31, 2)
    assert (about["tokens"], about["spent"]) == (34, {"novels": 30, "": 4})
    assert (about["damaged"], about["unfinished"]) == (["foreign.arrow"], [".abc.tmp"])
    assert about["bytes"] == sum((store.folder / name).stat().st_size for name in files_of(store)) - len(b"no Arrow")
    assert began <= about["oldest"] <= about["newest"] <= time.time()


def test_nothing_is_found_where_nothing_is(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        assert store_care.info(folder) == [] and store_care.compact(folder) == []
        assert store_care.verify(folder) == (0, 0, 0, []) and store_care.prune(folder, damaged=True) == []
    Store(tmp_path, {**NAMESPACE, "dimensions": None})
    (about,) = store_care.info(tmp_path)
    assert (about["segments"], about["dimensions"], about["oldest"]) == (0, None, None)
    assert store_care.verify(tmp_path) == (0, 0, 0, [])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_verify_finds_a_changed_bit_in_any_vector_key_or_record(tmp_path, dtype):
    store, (name,) = filled(tmp_path, segments=1, rows=600, dtype=dtype)
    path = store.folder / name
    whole, vectors = path.read_bytes(), unit(600).astype(dtype).tobytes()
    assert store_care.verify(tmp_path) == (1, 600, len(whole), [])
    at = whole.index(vectors)
    key = whole.index(text_keys(["0 0"]).tobytes()[:12])
    random = np.random.default_rng(0)
    places = [
        at,
        at + len(vectors) - 1,
        *(at + random.integers(len(vectors), size=20)),
        *(key + random.integers(7200, size=9)),
    ]
    for place in [*places, whole.rindex(b"novels"), whole.rindex(b"toy")]:
        flip(path, place)
        (damage,) = store_care.verify(tmp_path).damage
        assert (damage.namespace, damage.file) == (store.folder.name, name) and damage.sound < 600
        path.write_bytes(whole)
    assert not store_care.verify(tmp_path).damage


def test_verify_says_how_much_of_a_file_is_sound(tmp_path):
    store, (name,) = filled(tmp_path, segments=1, rows=1000)
    whole = (store.folder / name).read_bytes()
    flip(store.folder / name, whole.index(unit(1000).tobytes()))
    (damage,) = store_care.verify(tmp_path).damage
    assert damage.sound == 1000 - 512 and damage.what == "512 of 1000 vectors do not match their checksum"
    found, _ = held(tmp_path, [f"0 {i}" for i in range(1000)])
    assert found.sum() == damage.sound


def test_verify_finds_a_namespace_that_lies(tmp_path):
    store, _ = filled(tmp_path, segments=1)
    (store.folder / "namespace.json").write_text(json.dumps(OTHER))
    (damage,) = store_care.verify(tmp_path).damage
    assert damage.file == "namespace.json"
    (store.folder / "namespace.json").unlink()
    assert "delete it" in store_care.verify(tmp_path).damage[0].what


def test_compaction_makes_few_files_of_many(tmp_path):
    store, _ = filled(tmp_path, segments=40, rows=10)
    (done,) = compact(tmp_path, vectors=100)
    assert done.segments == (40, 4) == (40, len(files_of(store))) and done.bytes[1] < done.bytes[0]
    assert compact(tmp_path, vectors=100)[0].segments == (4, 4)  # nothing is left to do
    assert not store_care.verify(tmp_path).damage and Store(tmp_path, NAMESPACE).spent("novels") == 400


@pytest.mark.parametrize("seed", range(12))
def test_compaction_changes_no_answer(tmp_path, monkeypatch, seed):
    """Segments of random size, time (often the same), kind and texts, in several rounds; the first vector stays."""
    random = np.random.default_rng(seed)
    for turn in range(3):
        for _ in range(int(random.integers(2, 12))):
            texts = [str(i) for i in random.choice(60, int(random.integers(1, 12)), replace=False)]
            at = int(random.integers(1, 9))
            monkeypatch.setattr(store_module.time, "time_ns", lambda at=at: at)
            store = Store(tmp_path, NAMESPACE, dtype=["float32", "float16"][int(random.random() < 0.3)])
            vectors = unit(len(texts), int(random.integers(10**6)))
            store.append(text_keys(texts), vectors, tokens=3, study=f"study {random.integers(2)}")
        monkeypatch.undo()
        asked = [str(i) for i in range(60)]
        found, out = held(tmp_path, asked)
        spent = [Store(tmp_path, NAMESPACE).spent(f"study {i}") for i in range(2)]
        before = files_of(store)
        compact(tmp_path, vectors=int(random.integers(20, 200)))
        assert turn or len(files_of(store)) < len(before) or len(before) < 4
        again, after = held(tmp_path, asked)
        np.testing.assert_array_equal(again, found)
        np.testing.assert_array_equal(after, out)
        assert [Store(tmp_path, NAMESPACE).spent(f"study {i}") for i in range(2)] == spent
        assert store_care.info(tmp_path)[0]["tokens"] == sum(spent)


def test_duplicates_are_dropped_in_the_merged_file(tmp_path):
    store, _ = filled(tmp_path, segments=2)
    store.append(text_keys([f"0 {i}" for i in range(10)]), unit(10, 99))
    compact(tmp_path)
    (about,) = store_care.info(tmp_path)
    assert (about["vectors"], about["duplicates"], about["segments"]) == (20, 0, 1)
    np.testing.assert_array_equal(held(tmp_path, ["0 3"])[1], unit(10, 0)[3:4])


def test_damaged_segments_are_left_alone_and_not_merged_across(tmp_path):
    """What is sound in a damaged one counts before what was written later, and must go on to."""
    store, names = filled(tmp_path, segments=5, rows=600)
    path = store.folder / names[2]
    flip(path, path.read_bytes().index(unit(600, 2).tobytes()))
    store.append(text_keys([f"2 {i}" for i in range(600)]), unit(600, 77))
    (store.folder / "foreign.arrow").write_bytes(b"no Arrow")
    content, asked = path.read_bytes(), [f"{seed} {i}" for seed in range(5) for i in range(600)]
    before = held(tmp_path, asked)
    compact(tmp_path)
    assert (
        path.read_bytes() == content and len(files_of(store)) == 4
    )  # two, the damaged one, three, and the foreign one
    for was, now in zip(before, held(tmp_path, asked), strict=True):
        np.testing.assert_array_equal(was, now)


def test_young_segments_are_left_alone(tmp_path):
    store, names = filled(tmp_path)
    assert store_care.compact(tmp_path)[0].segments == (6, 6) and files_of(store) == sorted(names)


def test_open_readers_and_writers_do_not_notice_a_compaction(tmp_path):
    store, _ = filled(tmp_path)
    reader, asked = Store(tmp_path, NAMESPACE), text_keys([f"{seed} 3" for seed in range(6)])
    compact(tmp_path)
    out = np.zeros((6, 8), np.float32)
    assert reader.read(asked, out).all()  # from files that are no more
    store.append(text_keys(["new"]), unit(1))
    for one in (reader, store):
        one.refresh()
        again = np.zeros((6, 8), np.float32)
        assert one.read(asked, again).all() and np.array_equal(out, again) and not one.bad
        assert len(one) == 61 and one.spent("novels") == 60


def test_what_a_killed_compaction_left_is_counted_once_and_deleted_by_the_next(tmp_path):
    store, names = filled(tmp_path, segments=3)
    parts = {name: (store.folder / name).read_bytes() for name in names}
    compact(tmp_path)
    (whole,) = files_of(store)
    for name in names[1:]:
        (store.folder / name).write_bytes(parts[name])
    assert Store(tmp_path, NAMESPACE).spent("novels") == 30 == store_care.info(tmp_path)[0]["tokens"]
    compact(tmp_path)
    assert files_of(store) == [whole] and held(tmp_path, [f"{i} {i}" for i in range(3)])[0].all()


def test_parts_of_a_merged_file_that_was_damaged_since_are_kept(tmp_path):
    store, names = filled(tmp_path, segments=3)
    parts = {name: (store.folder / name).read_bytes() for name in names}
    compact(tmp_path)
    (whole,) = files_of(store)
    flip(store.folder / whole, (store.folder / whole).read_bytes().index(unit(10).tobytes()))
    for name in names[1:]:
        (store.folder / name).write_bytes(parts[name])
    compact(tmp_path)
    assert files_of(store) == sorted([whole, *names[1:]])
    assert held(tmp_path, ["1 1", "2 2"])[0].all() and Store(tmp_path, NAMESPACE).spent("novels") == 30


def test_two_compactions_at_once_are_refused_and_so_is_deleting_meanwhile(tmp_path):
    store, names = filled(tmp_path)
    with store_care._alone(store.folder):
        with pytest.raises(UserError, match="another process"):
            compact(tmp_path)
        with pytest.raises(UserError, match="another process"):
            store_care.prune(tmp_path, model="toy", delete=True)
        assert len(store_care.prune(tmp_path, model="toy")) == 6  # only looks
    assert files_of(store) == sorted(names)
    assert compact(tmp_path)[0].segments == (6, 1)


def test_prune_needs_a_condition_and_deletes_only_when_told(tmp_path):
    store, names = filled(tmp_path)
    filled(tmp_path, segments=1, namespace=OTHER)
    with pytest.raises(ValueError, match="everything"):
        store_care.prune(tmp_path, delete=True)
    listed = store_care.prune(tmp_path, model="toy")
    assert sorted(one.file for one in listed) == files_of(store) == sorted(names)
    assert sum(one.vectors for one in listed) == 60 and {one.why for one in listed} == {"of this model"}
    assert store_care.prune(tmp_path, model="toy", delete=True) == listed
    assert not files_of(store)
    assert {one["model"]: one["segments"] for one in store_care.info(tmp_path)} == {"toy": 0, "other": 1}


def test_prune_by_age_takes_a_merged_file_only_once_all_of_it_is_old(tmp_path, monkeypatch):
    now, day = time.time_ns(), 86_400 * 10**9
    store = Store(tmp_path, NAMESPACE)
    for number, age in enumerate((9, 8, 7, 2)):
        monkeypatch.setattr(store_module.time, "time_ns", lambda age=age: now - age * day)
        store.append(text_keys([str(number)]), unit(1))
    monkeypatch.undo()
    assert len(store_care.prune(tmp_path, older_than_days=7.5)) == 2
    assert len(store_care.prune(tmp_path, older_than_days=7.5, model="other")) == 0
    compact(tmp_path, vectors=2)
    compact(tmp_path)
    assert len(files_of(store)) == 1
    assert (
        not store_care.prune(tmp_path, older_than_days=5) and len(store_care.prune(tmp_path, older_than_days=1.5)) == 1
    )


def test_prune_of_damage_leaves_what_is_sound(tmp_path):
    store, names = filled(tmp_path, segments=3, rows=600)
    (store.folder / names[0]).write_bytes(b"short")
    path = store.folder / names[1]
    flip(path, path.read_bytes().index(unit(600, 1).tobytes()))
    listed = store_care.prune(tmp_path, damaged=True)
    assert {one.file: one.vectors for one in listed} == {names[0]: 0, names[1]: 88}
    store_care.prune(tmp_path, damaged=True, delete=True)
    assert files_of(store) == [names[2]] and not store_care.verify(tmp_path).damage


def test_a_file_that_the_system_refuses_is_not_called_damaged(tmp_path):
    store, _ = filled(tmp_path, segments=1)
    (store.folder / "loop.arrow").symlink_to(store.folder / "loop.arrow")
    for work in (store_care.info, store_care.verify, compact, lambda folder: store_care.prune(folder, damaged=True)):
        with pytest.raises(UserError, match=r"loop\.arrow: cannot be read"):
            work(tmp_path)


def test_prune_of_unfinished_files_spares_those_being_written(tmp_path):
    store, names = filled(tmp_path, segments=1)
    for name, age in ((".young.tmp", 0.9), (".old.tmp", 1.1)):
        (store.folder / name).write_bytes(b"half a segment")
        os.utime(store.folder / name, (time.time() - age * 86_400,) * 2)
    (one,) = store_care.prune(tmp_path, unfinished=True, delete=True)
    assert one.file == ".old.tmp" and (store.folder / ".young.tmp").exists() and files_of(store) == names


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the command."""
    code = cache.main(list(map(str, arguments)))
    return code, *capsys.readouterr()


def test_command_tells_what_is_in_the_cache(tmp_path, capsys):
    filled(tmp_path / "embeddings")
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "answer.json").write_text("{}")
    code, text, _ = run(capsys, "info", "--cache", tmp_path)
    head, row, *rest = text.splitlines()
    assert code == 0 and "model" in head and "toy" in row and "60" in row
    assert rest[-1] == "chat: 1 files, 2 B" and rest[0].endswith("tokens of novels: 60")
    code, text, _ = run(capsys, "info", "--cache", tmp_path, "--json")
    assert json.loads(text)["embeddings"][0]["vectors"] == 60


def test_command_exits_with_1_on_damage_and_names_the_file(tmp_path, capsys):
    store, names = filled(tmp_path / "embeddings", rows=600)
    assert run(capsys, "verify", "--cache", tmp_path)[:2] == (0, "6 files, 3,600 vectors, 167 kB: all sound\n")
    path = store.folder / names[4]
    flip(path, path.read_bytes().index(unit(600, 4).tobytes()))
    code, text, _ = run(capsys, "verify", "--cache", tmp_path)
    assert code == 1 and str(path) in text and "88 vectors in it are sound" in text and "--damaged" in text
    assert run(capsys, "info", "--cache", tmp_path)[0] == 0  # does not read the vectors
    path.write_bytes(b"short")
    assert run(capsys, "info", "--cache", tmp_path)[0] == 1
    code, text, _ = run(capsys, "verify", "--cache", tmp_path, "--json")
    assert code == 1 and json.loads(text)["damage"][0]["file"] == names[4]


def test_command_compacts_and_prunes(tmp_path, capsys):
    store, _ = filled(tmp_path / "embeddings")
    code, text, _ = run(capsys, "compact", "--cache", tmp_path, "--settled", 0)
    assert code == 0 and "6 -> 1 files" in text
    code, text, _ = run(capsys, "prune", "--cache", tmp_path, "--model", "toy")
    assert code == 0 and "1 files, 60 vectors" in text and "--yes" in text and len(files_of(store)) == 1
    code, text, _ = run(capsys, "prune", "--cache", tmp_path, "--model", "toy", "--yes")
    assert code == 0 and text.endswith(" deleted\n") and not files_of(store)


@pytest.mark.parametrize("command", [["info"], ["verify"], ["compact"], ["prune", "--damaged"]])
def test_command_says_so_where_there_is_no_cache(tmp_path, capsys, command):
    code, text, error = run(capsys, *command, "--cache", tmp_path / "absent")
    assert (code, text) == (0, "") and "no cache there" in error and "absent" in error
    assert run(capsys, *command, "--cache", tmp_path)[0] == 0  # a cache without vectors
    assert json.loads(run(capsys, *command, "--cache", tmp_path / "absent", "--json")[1]) == {}


def test_command_helps(capsys):
    for arguments in (["--help"], ["prune", "--help"], ["prune"], []):
        with pytest.raises(SystemExit) as end:
            cache.main(arguments)
        text = "".join(capsys.readouterr())
        assert end.value.code == (0 if "--help" in arguments else 2) and "usage" in text
    assert "--damaged" in text or "info|verify" in text


def test_command_says_what_the_user_can_mend(tmp_path, capsys):
    store, _ = filled(tmp_path / "embeddings")
    with store_care._alone(store.folder):
        code, text, error = run(capsys, "compact", "--cache", tmp_path)
    assert (code, text) == (2, "") and "another process" in error
