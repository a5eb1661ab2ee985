"""Relate, match and recommend across collections of text, through the geometry of their embeddings."""

__version__ = "0.1.0"
