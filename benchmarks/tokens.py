"""Cut texts into words, beside the notebook's way, which reads the list of stop words anew for every word.

python benchmarks/tokens.py [texts]
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from crosswalk.tokens import nltk_data, tokenize

WORDS = 900  # of a text, about a page and a half
SYLLABLES = ["ba", "ne", "ti", "ro", "su", "ka", "le", "mi", "do", "fa", "ve", "lu", "pra", "sta", "kri"]


def compose(count, *, seed=42):
    """Texts of made-up words, with the stop words and sentences of running English."""
    rng = np.random.default_rng(seed)
    vocabulary = ["".join(rng.choice(SYLLABLES, rng.integers(2, 5))) for _ in range(4000)]
    common = [
        "the",
        "of",
        "and",
        "to",
        "in",
        "a",
        "is",
        "that",
        "for",
        "on",
        "with",
        "as",
        "are",
        "was",
        "by",
        "an",
        "be",
        "this",
        "from",
        "or",
        "which",
        "at",
        "not",
    ]
    texts = []
    for _ in range(count):
        words = [str(rng.choice(common if rng.random() < 0.4 else vocabulary)) for _ in range(WORDS)]
        texts.append(" ".join(word + (". " if i % 17 == 16 else "") for i, word in enumerate(words)))
    return texts


def published(texts):
    """The notebook's way: NLTK's tokens, and its whole list of stop words read from disk for each of them."""
    from nltk.corpus import stopwords
    from nltk.tokenize import word_tokenize

    return [
        [word for word in (token.lower() for token in word_tokenize(text)) if word.isalpha()
         and word not in stopwords.words("english")]
        for text in texts
    ]  # fmt: skip


def timed(function, texts, **options):
    """CPU milliseconds for each text."""
    began = time.process_time()
    function(texts, **options)
    return 1000 * (time.process_time() - began) / len(texts)


def main():
    """Print the times and their ratios."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    texts = compose(count)
    with tempfile.TemporaryDirectory() as folder:
        nltk_data(folder)
        theirs = timed(published, texts[:3])
        pattern = timed(tokenize, texts)
        nltk = timed(tokenize, texts[:100], engine="nltk", folder=folder)
    print(f"{count} texts of {WORDS} words; CPU ms a text")
    print(f"notebook (3 texts)          {theirs:9.2f}")
    print(f"tokens: nltk (100 texts)    {nltk:9.2f}   {theirs / nltk:7.0f} times faster")
    print(f"tokens: pattern             {pattern:9.2f}   {theirs / pattern:7.0f} times faster")


if __name__ == "__main__":
    main()
