"""What one call for answers by batches has still to do: texts and batches that wait, and what went wrong."""

import logging
import time

from crosswalk.batch_journal import split
from crosswalk.errors import UserError
from crosswalk.store import text_keys

log = logging.getLogger(__name__)

SAID_EVERY = 600.0  # seconds between two lines in the log about a batch that goes on


class Run:
    """What one call of `answers` has still to do, and what went wrong.

    waiting: rows that no batch holds; alone: rows to be asked for in a line of their own; active: Work by id of batch;
    faults: reason -> rows; room: tokens that may wait at once, None if any number; unsent: file by digest; stopped: the
    error that forbids to submit more, or None.
    """

    def __init__(self, texts, sizes, room, budget):
        self.texts, self.sizes, self.room, self._budget = texts, list(sizes), room, budget
        self.keys = [key.tobytes().hex() for key in text_keys(texts)]
        self.row_of = {key: row for row, key in enumerate(self.keys)}
        if len(self.row_of) != len(texts):
            raise ValueError("texts that are not distinct")
        self.waiting, self.alone = set(range(len(texts))), set()
        self.active, self.faults, self.unsent = {}, {}, {}
        self.stopped = None

    def attach(self, journal, *, reserved=0):
        """Let a batch answer those rows that wait and that it holds; returns their number.

        reserved: tokens of the budget. One of an earlier run is bought already: it counts as spent once it is here.
        """
        over = set(split(journal.over))
        lines, rows = {}, {}
        for name, joined in journal.lines.items():
            keys = split(joined)
            own = {key: row for key in keys if key not in over and (row := self.row_of.get(key)) in self.waiting}
            if own:
                lines[name] = keys
                rows.update(own)
        if rows:
            self.waiting.difference_update(rows.values())
            tokens = sum(self.sizes[row] for row in rows.values())
            self.active[journal.batch] = Work(journal, lines, rows, tokens, reserved)
        return len(rows)

    def may_spend(self, tokens):
        """Reserve tokens of a request line; False, and no more is submitted, if the budget forbids it."""
        try:
            self._budget.reserve(tokens)
        except UserError as error:
            self.stopped = error
        return self.stopped is None

    def end(self, work):
        self._budget.settle(work.reserved, work.billed)
        del self.active[work.journal.batch]

    def again(self, rows, *, alone=False):
        self.waiting.update(rows)
        if alone:
            self.alone.update(rows)

    def fault(self, reason, rows):
        rows = list(rows)
        if rows:
            self.faults.setdefault(reason, []).extend(rows)

    def make_room(self, work):
        """Lower the tokens that may wait at once, after a batch was refused for them; False if it can be no smaller."""
        others = sum(other.tokens for other in self.active.values() if other is not work)
        if not others and len(work.lines) == 1:
            return False
        self.room = max(others, (others + work.tokens) // 2)
        return True

    def told(self):
        """What went wrong, in words."""
        count = sum(map(len, self.faults.values()))
        parts = [f"{count} of {len(self.texts)} texts have no vector; all others are kept."]
        for reason, rows in self.faults.items():
            some = ", ".join(repr(self.texts[row][:40]) for row in sorted(rows)[:3])
            more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
            parts.append(f"{len(rows)} (beginning {some}{more}): {reason}")
        return " ".join(parts)


class Work:
    """A batch that is waited for: its journal, custom_id -> keys of the lines that matter here, and key -> row of those
    texts that it, and no other batch, is to answer; tokens: of these; reserved, billed: tokens of the budget."""

    def __init__(self, journal, lines, rows, tokens, reserved):
        self.journal, self.lines, self.rows, self.tokens = journal, lines, rows, tokens
        self.reserved, self.billed = reserved, 0
        self.done, self.total, self.some, self.said, self.when = 0, len(lines), False, None, 0.0

    def own(self, keys):
        return [key for key in keys if key in self.rows]


def cut(run, limits):
    """Lists of rows, each for one request line, of the rows that wait."""
    line, tokens = [], 0
    for row in sorted(run.waiting):
        full = len(line) == limits["texts"] or tokens + run.sizes[row] > limits["tokens"]
        if line and (full or row in run.alone or line[-1] in run.alone):
            yield line
            line, tokens = [], 0
        line.append(row)
        tokens += run.sizes[row]
    if line:
        yield line


def tell(work, batch):
    """Say how far a batch is: when its status changes, and now and then."""
    counts = batch.request_counts
    if counts is not None and counts.total:
        work.done, work.total = counts.completed + counts.failed, counts.total
        work.some = counts.completed > 0
    if batch.status != work.said or time.monotonic() - work.when > SAID_EVERY:
        log.info("batch %s: %s, %d of %d requests done", batch.id, batch.status, work.done, work.total)
        work.said, work.when = batch.status, time.monotonic()
