"""Worlds of short texts whose truth we know: works and the replies to them, with links between traits that have words.

Every text is put together from sentences of one pattern or another. A work belongs to a theme (a nuisance cluster that
takes up half of it) and has traits, each with words of its own; a reply has a setting (its own nuisance cluster),
remarks, and a mood from blame to praise. A link makes a trait of works go with a remark or with the mood.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

THEMES = {
    "court of a king": "king queen castle throne knight banner crown herald",
    "space": "planet spaceship galaxy astronaut comet orbit rocket moonbase",
    "city crime": "detective alley gangster warehouse informer pistol precinct burglar",
    "village": "farmer tractor barn cattle harvest ploughman haystack dairy",
    "desert": "caravan dune camel oasis nomad sandstorm bazaar minaret",
    "hospital": "surgeon nurse patient ward clinic stretcher fever bandage",
}
# Traits of works, and what replies remark on: the first words are what a trait is called.
TRAITS = {
    "sea": "sailor harbour lighthouse anchor",
    "law": "courtroom lawyer verdict jury",
    "garden": "orchard rosebush greenhouse hedge",
    "machines": "engine piston gearbox turbine",
    "war": "soldier trench regiment artillery",
    "music": "violin orchestra pianist melody",
    "cooking": "kitchen recipe baker stew",
    "snow": "glacier avalanche blizzard icicle",
    "magic": "wizard sorcery dragon potion",
    "school": "classroom teacher pupil homework",
}
REMARKS = {
    "pace": "tedious dragging sluggish slow",
    "humour": "hilarious jokes comic laughter",
    "grief": "weeping heartbreak tears mourning",
    "fear": "terror nightmares dread chills",
    "print": "paperback typeface misprint binding",
    "price": "bargain refund postage discount",
    "people": "protagonist heroine dialogue motives",
    "ending": "ending twist finale epilogue",
    "translation": "translator translation idioms original",
    "recording": "narrator audiobook recording headphones",
}
PRAISE, BLAME = "wonderful excellent delightful superb", "awful dreadful horrible disappointing"
SETTINGS = {
    "club": "club neighbours biscuits discussion",
    "holiday": "holiday beach suitcase airport",
    "present": "birthday present wrapping nephew",
    "train": "train commute station platform",
}
MOOD = "mood"
ABOUT = [
    "There is a {} and then a {}.",
    "Near the {} we meet the {}.",
    "The {} comes back with the {}.",
    "Nobody forgets the {} or the {}.",
    "A {} leads to another {}.",
]
SAYING = [
    "I noticed the {} and the {}.",
    "For me it was {} and {}.",
    "What stays with me is {}, also {}.",
    "So much {}, so much {}.",
    "My note here says {} and {}.",
]
FEELING = ["It is {} and {}.", "Simply {}, really {}.", "All in all {} and {}.", "How {} this is, how {}."]
FILLING = [
    "Some time goes by.",
    "Then it is evening.",
    "Things go on as they were.",
    "It is not said why.",
    "Others will see it in another way.",
    "That is one part of it.",
]
WORK_SENTENCES, REPLY_SENTENCES = 10, 6
SOME = 0.15  # share of texts in which a trait is mentioned at all: most texts lack most traits
THEMED = 3  # sentences of a work about its theme
COPIED = 12  # words of a quotation


@dataclass(frozen=True)
class TextWorld:
    """Two linked collections of n works and their replies, and what was planted in them.

    works: DataFrame id, text, theme; replies: DataFrame id, group (the work), text, quotes (bool: it quotes its work);
    x_truth, y_truth (n, k): how often a work mentions a planted trait, and its replies the remark, on average; kinds
    (k,): "link"; strengths (k,): correlation of these with its sign, weaker than that of the latent traits; x_words,
    y_words: for each planted pair {"high": set of words, "low": set of words}, the low end being empty where a trait is
    there or is not; mood: number of the pair whose y is the mood, or -1.
    """

    works: pd.DataFrame
    replies: pd.DataFrame
    x_truth: np.ndarray
    y_truth: np.ndarray
    kinds: np.ndarray
    strengths: np.ndarray
    x_words: list
    y_words: list
    mood: int


def text_world(
    *, seed, n=300, replies=3, links=(0.7, -0.7, 0.7, -0.7), mood=None, within=0.6, echo=0.0, quotations=0.0
):
    """Compose a world.

    links: correlation of each trait of works, in the order of TRAITS, with a remark, in that of REMARKS; mood: of one
    more trait with the mood of the replies; within: share of a reply's variance that its work decides; echo: share of
    the replies that speak of their work's theme in the theme's own words; quotations: share that quote their work.
    """
    rng = np.random.default_rng(seed)
    traits, remarks = list(TRAITS), list(REMARKS)
    k = len(links) + (mood is not None)
    if len(links) >= len(remarks) or k >= len(traits):
        raise ValueError(f"at most {len(remarks) - 1} links; one trait and one remark stay free")
    a, b = rng.normal(size=(n, len(traits))), rng.normal(size=(n, len(remarks) + 1))
    partner = [*range(len(links)), *([len(remarks)] if mood is not None else [])]
    strengths = np.array([*links, *([mood] if mood is not None else [])], dtype=np.float64)
    for i, j in enumerate(partner):
        b[:, j] = strengths[i] * a[:, i] + np.sqrt(1 - strengths[i] ** 2) * b[:, j]
    theme = rng.integers(len(THEMES), size=n)
    works = [_work(rng, a[i], list(THEMES.values())[theme[i]]) for i in range(n)]
    x_truth = _times(a[:, :k]).astype(np.float64)
    owner = np.repeat(np.arange(n), replies)
    latent = np.sqrt(within) * b[owner] + np.sqrt(1 - within) * rng.normal(size=(len(owner), b.shape[1]))
    mentioned = np.column_stack([_times(latent[:, :-1]), _times(latent[:, -1]) - _times(-latent[:, -1])])[:, partner]
    y_truth = mentioned.reshape(n, replies, k).mean(1)
    realised = [np.corrcoef(x_truth[:, i], y_truth[:, i])[0, 1] for i in range(k)]
    quoting = rng.random(len(owner)) < quotations
    texts = [
        _reply(rng, latent[r], list(THEMES.values())[theme[i]] if rng.random() < echo else None,
               works[i] if quoting[r] else None)
        for r, i in enumerate(owner)
    ]  # fmt: skip
    names = np.array([f"work-{i}" for i in range(n)], dtype=object)
    return TextWorld(
        works=pd.DataFrame({"id": names, "text": works, "theme": np.array(list(THEMES), dtype=object)[theme]}),
        replies=pd.DataFrame(
            {"id": [f"reply-{r}" for r in range(len(owner))], "group": names[owner], "text": texts, "quotes": quoting}
        ),
        x_truth=x_truth,
        y_truth=y_truth,
        kinds=np.repeat("link", k),
        strengths=np.abs(realised) * np.sign(strengths),
        x_words=[_ends(TRAITS[traits[i]]) for i in range(k)],
        y_words=[_ends(PRAISE, BLAME) if j == len(remarks) else _ends(REMARKS[remarks[j]]) for j in partner],
        mood=len(links) if mood is not None else -1,
    )


def _work(rng, traits, theme):
    said = [_sentence(rng, ABOUT, theme.split()) for _ in range(THEMED)]
    for words in _mentioned(traits, list(TRAITS.values())):
        said += _all_of(rng, ABOUT, words)
    return _text(rng, said, WORK_SENTENCES)


def _reply(rng, latent, theme, quoted):
    said = []
    for words in _mentioned([latent[-1], -latent[-1]], [PRAISE, BLAME]):
        said += _all_of(rng, FEELING, words)
    for words in _mentioned(latent[:-1], list(REMARKS.values())):
        said += _all_of(rng, SAYING, words)
    said.append(_sentence(rng, SAYING, _pick(rng, list(SETTINGS.values())).split()))
    if theme:
        said += [_sentence(rng, ABOUT, theme.split()) for _ in range(2)]
    if quoted:
        words = quoted.split()
        start = int(rng.integers(len(words) - COPIED + 1))
        said.append("It says: " + " ".join(words[start : start + COPIED]) + ".")
    return _text(rng, said, REPLY_SENTENCES)


def _mentioned(latent, words):
    """The words of every trait that a text mentions: the stronger traits, twice if they are very strong."""
    return [own for own, count in zip(words, _times(latent), strict=True) for _ in range(count)]


def _times(latent):
    """How often a trait is mentioned, by how strong it is."""
    latent = np.asarray(latent)
    return (latent > norm.isf(SOME)).astype(int) + (latent > norm.isf(SOME / 3))


def _all_of(rng, patterns, words):
    """Sentences that use all words of a trait, two each: by single words, a mention would be mostly chance."""
    own = rng.permutation(words.split())
    return [_sentence(rng, patterns, own[i : i + 2]) for i in range(0, len(own), 2)]


def _sentence(rng, patterns, words):
    return _pick(rng, patterns).format(*(words[i] for i in rng.permutation(len(words))[:2]))


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def _text(rng, said, least):
    """Sentences in any order, filled up, so that the length of a text tells little."""
    said = said + [_pick(rng, FILLING) for _ in range(least - len(said))]
    return " ".join(said[i] for i in rng.permutation(len(said)))


def _ends(high, low=""):
    return {"high": set(high.split()), "low": set(low.split())}
