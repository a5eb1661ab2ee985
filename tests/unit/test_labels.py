"""Labels are read in each way that sources write them."""

import json

import pandas as pd
import pytest

from crosswalk.errors import UserError
from crosswalk.labels import labelled

VALUES = [
    "mystery",
    '["mystery", "romance"]',
    json.dumps([{"name": "mystery", "count": "11"}, {"name": "romance", "count": 10}]),
    json.dumps([{"name": "romance", "count": "many"}, {"name": "mystery"}]),
    "[romance] and mystery",
    "romance",
    None,
    float("nan"),
]


def test_labels_are_read_from_values_lists_and_counts():
    contrast = {"column": "shelves", "values": ["mystery", "romance"], "min_count": 10}
    a, b = labelled(pd.Series(VALUES, dtype=object), contrast=contrast)
    assert a.tolist() == [True, True, True, False, False, False, False, False]
    assert b.tolist() == [False, True, False, False, False, True, False, False]


def test_label_of_no_row_is_answered_with_those_there_are():
    with pytest.raises(UserError, match=r"no row has 'mistery' in column 'shelves'.*'mystery' \(3 rows\)"):
        labelled(VALUES, contrast={"column": "shelves", "values": ["mistery", "romance"], "min_count": 0})
