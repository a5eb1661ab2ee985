"""What the report tells in full of a recommender: works with their suggestions, subjects with those like them."""

import numpy as np
import pandas as pd

from crosswalk.drawing import rank

EXAMPLES = (("few", 2), ("many", 2), ("none", 2))  # works told in full, by how many subjects they have
MANY = 3  # subjects from which a work has many
FREQUENT, SIMILAR = 9, 6  # subjects whose similar ones are told, and how many of these


def examples(suggestions: pd.DataFrame, links, labels, rows: pd.DataFrame) -> list[dict]:
    """A few works with their texts, the subjects they have, and what is suggested, the best first.

    suggestions: as in the file; links: csr (n, S), rows those of the collection; labels: of the S subjects; rows: table
    of the collection. Returns dicts of id, text, has (labels) and suggested (rows of suggestions).
    """
    places, labels = pd.Index(rows["id"]), np.asarray(labels, dtype=object)
    there = places.get_indexer(pd.unique(suggestions["work_id"].dropna()))
    there = np.sort(there[(there >= 0) & (there < links.shape[0])])
    told = []
    for work in drawn(places[there].tolist(), np.diff(links.indptr)[there]):
        row = int(places.get_loc(work))
        own = suggestions[suggestions["work_id"] == work].sort_values("rank", kind="stable")
        has = links.indices[links.indptr[row] : links.indptr[row + 1]]
        told.append(
            {
                "id": work,
                "text": rows["text"].iloc[row],
                "has": sorted(str(labels[i]) for i in has if i < len(labels)),
                "suggested": own.to_dict("records"),
            }
        )
    return told


def drawn(ids, borne) -> list[str]:
    """Ids of the works that the page tells in full: of those with few, with many and without subjects, drawn by id.

    ids: of works that have suggestions, or all; borne: how many subjects each bears, int (n,).
    """
    order = sorted(range(len(ids)), key=lambda i: (rank(str(ids[i])), ids[i]))
    kinds = {"none": [], "few": [], "many": []}
    for i in order:
        kinds["none" if not borne[i] else "few" if borne[i] < MANY else "many"].append(ids[i])
    return [work for kind, count in EXAMPLES for work in kinds[kind][:count]]


def similar(table: pd.DataFrame, subjects: pd.DataFrame) -> list[dict]:
    """For the subjects that most works bear, those most similar to them.

    table: similar_subjects as in the file; subjects: id, label, works. Returns dicts of subject_id, label, works and
    similar (rows of the table).
    """
    table = table[table["rank"].notna()]
    works = subjects.drop_duplicates("id").set_index("id")["works"]
    frequent = table[["subject_id", "label"]].drop_duplicates("subject_id")
    frequent = frequent.assign(works=works.reindex(frequent["subject_id"]).to_numpy())
    frequent = frequent.sort_values(["works", "label"], ascending=[False, True], kind="stable").head(FREQUENT)
    near = dict(list(table.sort_values("rank", kind="stable").groupby("subject_id")))
    return [
        row | {"similar": near[row["subject_id"]].head(SIMILAR).to_dict("records")}
        for row in frequent.to_dict("records")
    ]
