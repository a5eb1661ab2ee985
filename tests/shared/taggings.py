"""Planted worlds of tagged works: a few themes are behind the subjects that works bear and the words of their texts."""

import csv
import json
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from crosswalk import features, splits
from crosswalk.recommend_study import Works

ENTRY = {
    "works": "works",
    "model": "stack",
    "members": ["popularity", "item_knn", "ease", "text_knn", "label_match"],
    "item_knn": {"neighbours": 50, "shrinkage": 5},
    "ease": {"penalty": 10.0, "max_gb": 1.0},
    "text_knn": {"neighbours": 20, "power": 2.0},
}
NESTED = {"path": "subjects[].concepts[]", "id": "id", "label": "label"}
COLUMN = {"path": "tags", "id": None, "delimiter": "; "}
TABLE = {"source": {"path": "links.csv"}, "work": "work", "id": "subject", "label": "label"}
SEPARATOR = "--"
STARTS, ENDS = list("bdfgklmnprstvz"), ["an", "ek", "il", "om", "ur", "ash", "eth", "oss"]


class World(NamedTuple):
    """Works and what is true of them.

    ids, texts: n strings; bears: n sorted lists of subjects, numbers; labels: S strings; themes: n lists of numbers;
    synonyms: whether some concepts have a second id.
    """

    ids: list
    texts: list
    bears: list
    labels: list
    themes: list
    synonyms: bool = False

    def some(self, keep):
        """The works whose number is kept."""
        parts = ([own[i] for i in keep] for own in (self.ids, self.texts, self.bears))
        ids, texts, bears = parts
        return self._replace(ids=ids, texts=texts, bears=bears, themes=[self.themes[i] for i in keep])

    def without_subjects(self):
        """The same works before anybody tagged them."""
        return self._replace(bears=[[] for _ in self.ids])

    @property
    def links(self):
        """csr (n, S) float32 with sorted indices."""
        rows = np.repeat(np.arange(len(self.ids)), [len(own) for own in self.bears])
        columns = np.array([one for own in self.bears for one in own], np.int64)
        links = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(self.ids), len(self.labels)))
        links.sort_indices()
        return links


def word(number):
    """A word of our own for each number from 0 to 12,543; neighbours are not alike."""
    syllables = divmod(number * 5323 % (len(STARTS) * len(ENDS)) ** 2, len(STARTS) * len(ENDS))
    return "".join(STARTS[one % len(STARTS)] + ENDS[one // len(STARTS)] for one in syllables)


def world(
    works=200, *, themes=8, each=8, of=2, bears=6, words=12, noise=0.0, untagged=0.0, said=0.3, steep=0.0,
    hierarchy=False, synonyms=False, seed=0, start=0,
):  # fmt: skip
    """Draw a World.

    themes: how many there are, each with `each` subjects and twelve words; of: themes of a work; bears: subjects of a
    work, all of its themes but for the share `noise`, which is any; words: that a text has, so shared; untagged: share
    of the works without subjects; said: share of a work's subjects whose label stands in its text; steep: how much more
    frequent the first subjects of a theme are (0: all alike); hierarchy: labels are "theme--subject", and the theme is
    a subject of its works itself; start: number of the first work, by which more of one world can be drawn.
    """
    labels = [f"{word(7 * (each * t + s) + 3)} {word(900 + s)}" for t in range(themes) for s in range(each)]
    broad = [f"{word(2000 + t)} studies" for t in range(themes)]
    labels = [f"{broad[i // each]}{SEPARATOR}{own}" for i, own in enumerate(labels)] + broad if hierarchy else labels
    weights = np.arange(1, each + 1) ** -float(steep)
    found = World([], [], [], labels, [], synonyms)
    for number in range(start, start + works):
        rng = np.random.default_rng([seed, number])
        own = sorted(rng.choice(themes, of, replace=False).tolist())
        chance = np.zeros(themes * each)
        for theme in own:
            chance[theme * each : (theme + 1) * each] = weights
        borne = set(rng.choice(themes * each, bears, replace=False, p=chance / chance.sum()).tolist())
        borne = {int(rng.integers(themes * each)) if rng.random() < noise else one for one in borne}
        told = [word(3000 + 12 * int(rng.choice(own)) + int(rng.integers(12))) for _ in range(words)]
        told = [word(5000 + int(rng.integers(80))) if rng.random() < noise else one for one in told]
        told += [part for one in sorted(borne) if rng.random() < said for part in labels[one].split(SEPARATOR)[-1:]]
        rng.shuffle(told)
        borne |= {themes * each + one // each for one in borne} if hierarchy else set()
        found.ids.append(f"w-{number:05}")
        found.texts.append(" ".join(told))
        found.bears.append([] if rng.random() < untagged else sorted(borne))
        found.themes.append(own)
    return found


def works_of(made, *, fitted=None, min_df=2):
    """The Works of a World, with the terms of its texts; fitted: Features to use instead of its own."""
    model = fitted or features.fit(made.texts, ngrams=1, min_df=min_df)
    return Works(made.ids, made.texts, made.links, model.transform(made.texts), made.labels)


def hide(works, *, known=0.4, new=0.2, count=1, seed=0):
    """The role of each link: uint8 (links,)."""
    return splits.split(works.links, known=known, new=new, hide=count, seed=seed, ids=works.ids, name="subjects")


def concept_id(made, subject, number):
    """The id of a subject; with synonyms every third has a second id, which every other work gives."""
    second = made.synonyms and subject % 3 == 0 and number % 2
    return f"{'t' if second else 's'}{subject:03}"


def rows(made, shape="nested"):
    """The rows of a source: nested as in the catalogue of a library, or with a column of text."""
    for number, (own, text, borne) in enumerate(zip(made.ids, made.texts, made.bears, strict=True)):
        row = {"id": own, "title": f"Work {own}", "description": text}
        if shape == "column":
            yield row | {"tags": COLUMN["delimiter"].join(made.labels[one] for one in borne)}
        else:
            concepts = [{"id": concept_id(made, one, number), "label": made.labels[one], "type": "c"} for one in borne]
            yield row | {"subjects": [{"label": one["label"], "concepts": [one]} for one in concepts]}


def links(made):
    """The rows of a table of links."""
    for number, (own, borne) in enumerate(zip(made.ids, made.bears, strict=True)):
        for one in borne:
            yield {"work": own, "subject": concept_id(made, one, number), "label": made.labels[one]}


def write_jsonl(path, made, *, also=()):
    """Write a World as JSON lines with nested subjects; also: lines or rows of any kind that stand behind."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in [*rows(made), *also]]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_csv(path, table):
    """Write rows, of which there must be one, as a csv file."""
    table = list(table)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    return path
