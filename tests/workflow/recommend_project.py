"""A study that suggests the missing subjects of works of our own making, to run Snakemake on."""

from project import Project
from taggings import COLUMN, NESTED, SEPARATOR, TABLE, links, rows, world, write_csv, write_jsonl

WORKS, UNTAGGED, FRESH = 260, 0.1, 14
MADE = {"themes": 6, "each": 6, "of": 2, "bears": 5, "noise": 0.03, "hierarchy": True, "synonyms": True, "seed": 3}
QUICK = {"members": ["popularity", "text_knn"], "model": "text_knn"}  # a recommender that trains next to nothing
FACTORS = {"dim": [8, 16], "epochs": 6, "batch_size": 64, "prior": [[], ["text", "hierarchy", "labels"]]}


def tagged():
    """The works of the collection: some have no subjects."""
    return world(WORKS, untagged=UNTAGGED, **MADE)


def fresh(*, start=1000, works=FRESH):
    """More works of the same world."""
    return world(works, start=start, **MADE)


def collection(path, **more):
    """The entry of a collection in the config."""
    return {"source": {"path": path}, "id": "id", "text": {"columns": ["description"]}, "keep": ["title"], **more}


def recommender(**more):
    """An entry of `recommend`, of the nested works unless others are named."""
    split = {"known": 0.5, "new": 0.3}
    return {"works": "works", "tags": NESTED, "broader": {"separator": SEPARATOR}, "split": split, **more}


def listed(**more):
    """The same works with their subjects in a column of text."""
    return recommender(works="listed", tags=COLUMN, **more)


def linked(**more):
    """The same works with their subjects in a table of links."""
    return recommender(tags=TABLE, **more)


def config(**recommenders):
    """The config of a study with the given entries of `recommend`, and the collections that they name."""
    collections = {"works": collection("works.jsonl"), "listed": collection("listed.csv")}
    named = {own["works"] for own in recommenders.values()}
    return {
        "title": "Missing subjects",
        "pathvars": {"results": "results/missing"},
        "seed": 7,
        "collections": {name: own for name, own in collections.items() if name in named},
        "embedding": {"provider": "hashing", "dimensions": 32},
        "recommend": recommenders,
    }


class RecommendProject(Project):
    """A copy of the project with works and their subjects in three shapes, and two files of new works."""

    def __init__(self, folder, **recommenders):
        super().__init__(folder, items=0)
        made = tagged()
        write_jsonl(self.folder / "works.jsonl", made)
        write_csv(self.folder / "listed.csv", rows(made, "column"))
        write_csv(self.folder / "links.csv", links(made))
        write_jsonl(self.folder / "may.jsonl", fresh().without_subjects())
        write_jsonl(self.folder / "june.jsonl", fresh(start=2000))
        self.config = config(**recommenders)

    def recommended(self, name):
        """The folder of a recommender."""
        return self.results / "recommend" / name
