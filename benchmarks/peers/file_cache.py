"""Run by the peers' Python: LangChain's CacheBackedEmbeddings over a store of files, filled and then asked again.

Given texts (n,) and vectors float32 (n, d), which stand for the paid service's answers.
Saves seconds (2,): CPU of the first run, which fills the cache, and of the second, which finds all in it, and calls,
the texts that the second one asked the service for.
"""

import sys
import tempfile
import time

import numpy as np
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_classic.storage import LocalFileStore
from langchain_core.embeddings import Embeddings


class Paid(Embeddings):
    """A service whose answers cost nothing but looking them up."""

    def __init__(self, texts, vectors):
        self._known, self.asked = dict(zip(texts, vectors.tolist(), strict=True)), 0

    def embed_documents(self, texts):
        self.asked += len(texts)
        return [self._known[text] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def main(given, made):
    with np.load(given, allow_pickle=False) as file:
        texts, vectors = file["texts"].tolist(), file["vectors"]
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            service = Paid(texts, vectors)
            began = time.process_time()
            cache = CacheBackedEmbeddings.from_bytes_store(
                service, LocalFileStore(folder), namespace="bench", key_encoder="blake2b"
            )
            found = np.array(cache.embed_documents(texts), np.float32)
            seconds.append(time.process_time() - began)
    assert np.array_equal(found, vectors)
    np.savez(made, seconds=seconds, calls=service.asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
