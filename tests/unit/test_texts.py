"""A row as one text, and values as strings."""

import datetime

import msgspec
import pytest

from crosswalk import texts
from crosswalk.errors import UserError


def render(row, **settings):
    template = texts.Template({"columns": list(row), **settings})
    return template.render(template.values(row))


def test_html_entities_become_characters_before_anything_is_stripped():
    row = {"a": "R&amp;D &lt;b&gt; caf&eacute;"}
    assert texts.Template({"columns": ["a"]}).values(row) == ["R&amp;D &lt;b&gt; caf&eacute;"]
    assert texts.Template({"columns": ["a"], "unescape": True, "strip": ["<b> "]}).values(row) == ["R&D café"]


def test_notebook_form():
    row = {"title": "Dune", "description": "Sand."}
    text = "This is a SUMMARY: title: Dune|description: Sand."
    assert render(row, preamble="This is a SUMMARY: ", labels=True, separator="|") == (text, False)


def test_absent_columns_leave_no_label_and_no_separator():
    row = {"a": None, "b": "x", "c": float("nan"), "d": " ", "e": "y"}
    assert render(row, labels=True) == ("b: x\ne: y", False)
    template = texts.Template({"columns": ["gone", "b"]})
    assert template.render(template.values(row)) == ("x", False)


@pytest.mark.parametrize("row", [{"a": None}, {"a": ""}, {"a": " \n", "b": []}, {"a": "SUMMARY: x"}])
def test_text_of_preamble_and_labels_alone_is_empty(row):
    assert render(row, preamble="A book: ", labels=True, strip=["SUMMARY.*"]) == ("", False)


def test_strip_works_on_each_column_before_the_join():
    row = {"a": "SUMMARY\nsays it\n\nPROS\ngood", "b": "SUMMARY\n\nrest"}
    assert render(row, strip=[r"(?s)^SUMMARY.*?\n\n", "PROS\n"], separator=" / ") == ("good / rest", False)


def test_text_is_cut_and_the_cut_is_told():
    assert render({"a": "abcdef"}, preamble="> ", max_chars=5) == ("> abc", True)
    assert render({"a": "abcdef"}, max_chars=6) == ("abcdef", False)
    assert render({"a": "x" * 20_000}, max_chars=None) == ("x" * 20_000, False)
    assert render({"a": "x" * 20_000}) == ("x" * 10_000, True)


def test_faulty_pattern_names_its_key():
    with pytest.raises(UserError, match=r"text.strip: '\(' is not a regular expression"):
        texts.Template({"columns": ["a"], "strip": ["("]})


def test_nested_values_read_like_text():
    assert texts.plain(["a", None, "b"]) == "a, b"
    assert texts.plain({"name": "art", "count": 3, "note": None}) == "name: art, count: 3"
    assert texts.plain([{"name": "art"}, {"name": "war"}]) == "name: art; name: war"
    assert (texts.plain(True), texts.plain(4), texts.plain(4.5)) == ("true", "4", "4.5")
    assert texts.plain(datetime.date(2020, 1, 2)) == "2020-01-02"


def test_stored_values_keep_their_structure():
    shelves = [{"name": "été", "count": 3}]
    assert texts.stored(shelves) == '[{"name":"été","count":3}]'
    raw = msgspec.json.decode('{"x": [ {"name": "\\u00e9t\\u00e9", "count": 3} ]}', type=dict[str, msgspec.Raw])["x"]
    assert texts.stored(raw) == texts.stored(shelves)
    assert texts.stored(msgspec.Raw(b'"word"')) == "word"
    assert texts.stored({"day": datetime.date(2020, 1, 2)}) == '{"day":"2020-01-02"}'
    assert texts.stored(None) is None
    assert texts.stored(float("nan")) is None
    assert texts.stored(msgspec.Raw(b"null")) is None


def test_one_id_from_every_format():
    assert [texts.identifier(value) for value in (7, 7.0, "7", " 7 ")] == ["7"] * 4
    assert [texts.identifier(value) for value in (None, float("nan"), "", " ", True, [1], {})] == [""] * 7
    assert texts.identifier("007") == "007"
