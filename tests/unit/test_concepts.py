"""Concepts in a column: found many works at a time, exactly as one by one."""

import msgspec
import numpy as np
import pytest

from crosswalk import concepts
from crosswalk.errors import UserError

NESTED = {"path": "subjects[].concepts[]", "id": "id", "label": "label"}
WORKS = [
    b"null",
    b"[]",
    b'[null, {"concepts": null}, {}, {"concepts": []}]',
    b'[{"concepts": [{"id": 1, "label": "x"}, null, {"id": "2"}]}, null, {"concepts": [{"label": "y"}]}]',
    b'[{"concepts": [{"id": "3", "other": [1]}]}]',
]


def found(settings, values):
    """Sizes, pairs of id and label, and subjects of several concepts."""
    _, elements = concepts.mapping(settings, "tags")
    listed = elements.of([elements.typed(value) for value in values])
    return elements.sizes().tolist(), [concepts.named(one) for one in listed], elements.several


def raw(*values):
    return [msgspec.Raw(value) for value in values]


def test_nulls_at_any_level_leave_the_concepts_with_their_works():
    sizes, named, several = found(NESTED, raw(*WORKS))
    assert sizes == [0, 0, 0, 4, 1]
    assert named == [("1", "x"), ("", ""), ("2", ""), ("", "y"), ("3", "")]
    assert several == 1


def test_many_works_at_once_give_what_each_gives_alone():
    alone = [found(NESTED, raw(work)) for work in WORKS]
    sizes, named, several = found(NESTED, raw(*WORKS))
    assert sizes == [size for one, _, _ in alone for size in one]
    assert named == [pair for _, pairs, _ in alone for pair in pairs]
    assert several == sum(one for _, _, one in alone)


@pytest.mark.parametrize(
    ("path", "values", "sizes"),
    [
        ("tags[]", (b'["a", null, " "]', b"null", b"[7]"), [3, 0, 1]),
        ("tags[][]", (b'[["a", "b"], null, []]', b'[["a"]]'), [2, 1]),
        ("meta.tags[]", (b'{"tags": ["a"]}', b"null", b"{}"), [1, 0, 0]),
        ("meta.genre", (b'{"genre": "a"}', b"null", b'{"genre": null}'), [1, 0, 0]),
        ("genre", (b'"a"', b"null", b'" "'), [1, 0, 0]),
    ],
)
def test_plain_texts_are_found_at_any_depth(path, values, sizes):
    assert found({"path": path, "id": None}, raw(*values))[0] == sizes


def test_json_text_and_objects_of_other_formats_are_found_alike():
    of_parquet = [{"concepts": [{"id": 1, "label": "x"}]}]
    text = msgspec.json.encode(of_parquet).decode()
    assert found(NESTED, [of_parquet, text, " ", None, np.nan])[:2] == ([1, 1, 0, 0, 0], [("1", "x")] * 2)


@pytest.mark.parametrize("value", [b"{}", b'[{"concepts": {}}]', b'[{"concepts": [{"id": []}]}]', b'"text"'])
def test_another_type_is_an_error(value):
    _, elements = concepts.mapping(NESTED, "tags")
    with pytest.raises(msgspec.DecodeError):
        elements.typed(msgspec.Raw(value))


def test_null_among_single_objects_is_no_concept_but_a_null_in_one_is_a_bare_one():
    values = raw(b'[null, {"b": "x"}, {"b": null}]', b"null", b'[{"b": "y"}]')
    sizes, named, several = found({"path": "a[].b", "id": None}, values)
    assert sizes == [2, 0, 1]
    assert named == [("x", "x"), ("", ""), ("y", "y")]
    assert several == 0


@pytest.mark.parametrize("together", [1, 2, 100])
@pytest.mark.parametrize("settings", [{"path": "tags", "id": None, "delimiter": ";"}, {"path": "tags[][]", "id": None}])
def test_links_are_gathered_whatever_their_number_at_a_time(monkeypatch, together, settings):
    monkeypatch.setattr(concepts, "TOGETHER", together)
    _, elements = concepts.mapping(settings, "tags")
    values = ["a;b", None, "b"] if "delimiter" in settings else [[["a"], None, ["b"]], None, [[], ["b"]]]
    links = concepts.Links(elements, {"a": 0, "b": 1})
    for place, value in zip([2, 0, 1], values, strict=True):
        links.add([place], [value])
    work, code = links.finish()
    assert (work.tolist(), list(code), list(links.met)) == ([2, 2, 1], [0, 1, 1], [2, 0, 1])


def test_a_path_that_is_none_is_refused():
    with pytest.raises(UserError, match="no path"):
        concepts.mapping(NESTED | {"path": "a..b"}, "tags")
