"""Coherence, diversity and coverage against values worked out by hand."""

import numpy as np
import pytest
from scipy import sparse

from crosswalk.coherence import coherence, coverage, diversity

# columns: always together, in two of four documents; never with them; in every document; in none
COUNTS = sparse.csr_matrix([[2, 1, 0, 1, 0], [1, 5, 0, 1, 0], [0, 0, 1, 1, 0], [0, 0, 3, 2, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("top", "value"),
    [([0, 1], 1.0), ([0, 2], -1.0), ([0, 3], 0.0), ([0, 4], -1.0), ([3], 0.0), ([3, 3], 0.0), ([0, 1, 2], -1 / 3)],
)
def test_coherence_is_one_together_nothing_by_chance_minus_one_apart(top, value):
    assert coherence(COUNTS, [top]) == pytest.approx([value])


def test_coherence_between_is_npmi_of_documents():
    counts = np.array([[1, 1], [3, 1], [1, 0], [0, 1], [0, 2]])
    expected = np.log((2 / 5) / (3 / 5 * 4 / 5)) / -np.log(2 / 5)
    assert coherence(sparse.csr_matrix(counts), [[0, 1]]) == pytest.approx([expected])


def test_documents_without_a_word_do_not_count():
    assert coherence(COUNTS, [[0, 1], [0, 3]]) == pytest.approx(coherence(COUNTS[:4], [[0, 1], [0, 3]]))


def test_diversity_is_the_share_of_distinct_words():
    assert diversity([[0, 1], [2, 3]]) == 1 and diversity([[0, 1], [1, 0]]) == 0.5 and diversity([[0, 1], [1]]) == 2 / 3
    assert np.isnan(diversity([]))


def test_coverage_asks_for_top_words_of_the_strongest_topic():
    tops = [[0, 1], [2, 3]]
    right, wrong = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]), np.array([[0, 1]] * 5)
    assert coverage(COUNTS, right, tops) == 1
    assert coverage(COUNTS, wrong, tops) == 0.5
    assert coverage(COUNTS, wrong, tops, least=1) == 1
    with pytest.raises(ValueError, match="no document"):
        coverage(COUNTS[4:], right[4:], tops)
