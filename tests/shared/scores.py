"""Scores for tests that need no features to make them."""

import numpy as np


class Matrix:
    """Scores that are all at hand."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)
        self.shape = self.values.shape

    def rows(self, start, stop):
        return self.values[start:stop]
