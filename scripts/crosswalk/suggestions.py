"""The table of suggestions: one row for each work and subject it may be missing, written batch by batch."""

from contextlib import ExitStack

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crosswalk import files
from crosswalk.tags import fold

GROUP = 1 << 16  # rows of a row group
SCHEMA = pa.schema(
    [
        ("work_id", pa.string()),
        ("rank", pa.int32()),
        ("subject_id", pa.string()),
        ("label", pa.string()),
        ("score", pa.float32()),
        ("probability", pa.float32()),
        ("reason", pa.string()),
        ("like", pa.string()),
        ("with", pa.string()),
        ("words", pa.string()),
    ]
)
REASON = {"reason": "reason", "like_works": "like", "with_subjects": "with", "words": "words"}


def meanings(labels):
    """A number for each label, shared by those that differ in capitals, white space or composition alone; int64 (S,).

    This is `same` of `ranking.top`.
    """
    return np.unique(np.array([fold(label) for label in labels], dtype=object), return_inverse=True)[1]


class Suggestions:
    """Makes the rows of suggestions. subjects: table of S subjects, of which `id` and `label` are used."""

    def __init__(self, subjects):
        self.ids, self.labels = (np.asarray(subjects[column], dtype=object) for column in ("id", "label"))
        self.same = meanings(self.labels)

    def rows(self, ids, ranked, scores, probabilities, *, borne, reasons=None):
        """The suggestions for b works as a DataFrame with the columns of SCHEMA, in the order of `ids`, then by rank.

        ids: b strings; ranked: int (b, k), subjects from the best on, -1 where there is none; scores, probabilities:
        float (b, k), of these subjects; borne: csr (b, S), the subjects that the works bear; reasons: what
        `Reasons.table` says of the same lists.
        Raises ValueError if shapes do not fit, a score is not finite, a probability is not within 0 and 1, or a work is
        suggested a subject or a label that it bears, or one of them twice.
        """
        ranked, scores, probabilities = (np.asarray(own) for own in (ranked, scores, probabilities))
        shape = (len(ids), ranked.shape[1])
        if {ranked.shape, scores.shape, probabilities.shape} != {shape} or borne.shape != (len(ids), len(self.ids)):
            raise ValueError(
                f"{len(ids)} works, lists of {ranked.shape}, scores of {scores.shape}, probabilities of "
                f"{probabilities.shape} and links of {borne.shape} do not fit"
            )
        work, place = np.nonzero(ranked >= 0)
        subject, score, probability = (own[work, place] for own in (ranked, scores, probabilities))
        if not np.isfinite(score).all() or not ((probability >= 0) & (probability <= 1)).all():
            raise ValueError("a score is not finite, or a probability is not within 0 and 1")
        self._refuse_known(ids, work, subject, borne)
        table = {
            "work_id": np.asarray(ids, dtype=object)[work],
            "rank": (place + 1).astype(np.int32),
            "subject_id": self.ids[subject],
            "label": self.labels[subject],
            "score": score.astype(np.float32),
            "probability": probability.astype(np.float32),
        }
        for column, name in REASON.items():
            table[name] = np.full(len(work), "", dtype=object) if reasons is None else reasons[column].to_numpy()
        return pd.DataFrame(table).astype({name: "str" for name in SCHEMA.names if SCHEMA.field(name).type == "string"})

    def _refuse_known(self, ids, work, subject, borne):
        """Raise ValueError if a suggestion means what the work bears, or what another suggestion for it means."""
        count = max(len(self.ids), 1)
        own, has = borne.nonzero()
        suggested = work.astype(np.int64) * count + self.same[subject]
        known = np.isin(suggested, own.astype(np.int64) * count + self.same[has])
        order = np.argsort(suggested, kind="stable")
        twice = np.zeros(len(suggested), bool)
        twice[order[1:]] = np.diff(suggested[order]) == 0
        for fault, words in ((known, "which it bears"), (twice, "twice")):
            if fault.any():
                i = int(fault.argmax())
                raise ValueError(f'work "{ids[work[i]]}" is suggested "{self.labels[subject[i]]}", {words}')


class Writer:
    """Writes suggestions to a CSV file and a Parquet file, of which neither is there until both are whole.

    A context; what is appended is held until it makes up a row group, so that memory does not grow with the works, and
    the bytes do not depend on how the works were cut into batches.
    """

    def __init__(self, *, csv, parquet):
        self.csv, self.parquet, self.rows = csv, parquet, 0

    def __enter__(self):
        with ExitStack() as stack:
            self._csv = stack.enter_context(files.atomic(self.csv, "w"))
            file = stack.enter_context(files.atomic(self.parquet))
            self._table = stack.enter_context(pq.ParquetWriter(file, SCHEMA, compression="zstd"))
            self._held = SCHEMA.empty_table()
            pd.DataFrame(columns=SCHEMA.names).to_csv(self._csv, index=False, lineterminator="\n")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            return self._stack.__exit__(*error)
        with self._stack:
            self._table.write_table(self._held.combine_chunks())
        return None

    def append(self, rows):
        """Write what `Suggestions.rows` returned."""
        rows.to_csv(self._csv, index=False, header=False, float_format="%.6g", lineterminator="\n")
        self._held = pa.concat_tables([self._held, pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False)])
        while len(self._held) >= GROUP:
            self._table.write_table(self._held.slice(0, GROUP).combine_chunks())
            self._held = self._held.slice(GROUP)
        self.rows += len(rows)
