"""The Batch API of OpenAI for embeddings: half the price for a day's patience, and never paid for twice.

Requests are uploaded as a file of JSON lines, a batch is made of it, and its answers are fetched once it has ended
(https://platform.openai.com/docs/guides/batch). A journal beside the cache remembers each batch from before it exists
until its answers are kept, so that a run that dies, at whatever moment, is taken up by the next one.
"""

import hashlib
import itertools
import logging
import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import msgspec
import numpy as np
import openai
from tqdm import tqdm

from crosswalk.batch_journal import Journal, Journals, mendable, split
from crosswalk.batch_lines import Outcome, Part, read_outcome
from crosswalk.batch_run import Run, cut, tell
from crosswalk.budget import Budget
from crosswalk.credentials import KEY_VARIABLE, service_address, service_key
from crosswalk.embedding import Answer
from crosswalk.embedding_body import read_vectors
from crosswalk.errors import UserError
from crosswalk.service import HOPELESS, PASSING, asked_wait, said_by
from crosswalk.store import text_keys

log = logging.getLogger(__name__)

ENDPOINT, WINDOW = "/v1/embeddings", "24h"
LIMITS = {
    "texts": 1000,  # a request line; a line is answered or refused as a whole
    "tokens": 300_000,  # a request line, as online
    "inputs": 50_000,  # texts a batch
    "bytes": 200_000_000,  # a file
    "queue_tokens": None,  # that may wait at the service at once; None: found out by being refused
    "patience": 900,  # seconds: the longest outage and the longest Retry-After that are waited out
}
FIRST_POLL, LONGEST_POLL, GROWTH = 2.0, 60.0, 1.5  # seconds between two looks at a batch, and how they grow
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds before a failed request is sent again
FIRST_PATIENCE = 60  # seconds, until the service has answered once: an address that is wrong stays wrong
SETTLE = 30.0  # seconds until a batch that was made without our hearing of it is surely listed
TIMEOUT, FILE_TIMEOUT = 120.0, 900.0  # seconds for one request, and for one with a file
GROUP = 1000  # vectors that are handed on, and kept, in one go
READS = 3  # times that a file of answers is fetched if lines of it cannot be read
KEPT = 30 * 86400  # seconds that the service keeps a file of a batch
REFUSED = frozenset({400, 413, 422})  # of a request whose text is at fault
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
QUEUE_FULL = "token_limit_exceeded"
AGAIN = "Run again to ask for them."
CURES = {
    "batch_expired": f"The service did not come to them within {WINDOW}. {AGAIN}",
    "batch_cancelled": f"The batch was cancelled. {AGAIN}",
    QUEUE_FULL: "The account may not queue that many tokens: wait for its other batches to end, or set "
    "embedding.batch.queue_tokens to what its limits page says.",
}


class BatchAPI:
    """Embeddings by batches.

    model: its name at the service; folder: of the journals, one for all runs that share a cache; dimensions: to ask
    for, None for the model's own; width: of the vectors that are expected, None for `dimensions` or what the first
    answer has; base_url, organization: as in the config; limits: dict that overrides LIMITS; sizes: function of a list
    of texts that gives the tokens of each, or a bound (default: their bytes).
    Raises UserError, before any request, as `credentials` does.
    """

    def __init__(
        self,
        *,
        model: str,
        folder: str | Path,
        dimensions: int | None = None,
        width: int | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        limits: dict | None = None,
        sizes: Callable[[list[str]], list[int]] | None = None,
    ):
        self.url = service_address(base_url, at="embedding")
        self._key = service_key(at="embedding", instead="local")
        self._client = openai.OpenAI(
            api_key=self._key, base_url=self.url, organization=organization, timeout=TIMEOUT, max_retries=0
        )
        self._limits = {**LIMITS, **{key: value for key, value in (limits or {}).items() if value is not None}}
        self._sizes = sizes or (lambda texts: [len(text.encode()) for text in texts])
        self._request = {"model": model, "encoding_format": "base64"}
        if dimensions:
            self._request["dimensions"] = dimensions
        self._model, self._width = model, width or dimensions
        self._journals = Journals(Path(folder), f"{self.url} {model} {dimensions}")
        self._reached = False

    def answers(self, texts: list[str], *, budget: Budget | None = None) -> Iterator[tuple[np.ndarray, Answer]]:
        """The vectors of texts, as the service gives them.

        texts: n distinct strings, none empty; budget: a `Budget`: what it allows is submitted.
        Yields (rows, Answer): int64 (k,), which of the texts, and float32 (k, d) unit rows. Texts that a batch of an
        earlier run holds are not submitted again. What was yielded must be kept before the next is asked for: the
        journal then forgets it.
        Raises UserError: at once if the service cannot be reached or refuses the key, else, once every batch has ended
        and all answers are yielded, if texts have none. It names some of them, why, and what to do.
        """
        run = Run(texts, self._sizes(texts), self._limits["queue_tokens"], Budget() if budget is None else budget)
        try:
            with tqdm(desc="batches", unit="request", disable=None, leave=False) as bar:
                yield from self._until_all_ended(run, bar)
        except (KeyboardInterrupt, GeneratorExit):
            if run.active:
                log.warning(
                    "stopped waiting for %s, which the service goes on with. A rerun goes on waiting, and pays nothing "
                    "again (%s).",
                    ", ".join(run.active),
                    self._journals.folder,
                )
            raise
        if run.faults:
            error = self._error(run.told())
            if run.stopped is None:
                raise error
            log.warning("%s", error)
        if run.stopped is not None:
            raise run.stopped

    def forget(self, texts: list[str]) -> None:
        """Let the journals forget texts whose vectors are kept.

        A run that died after it kept an answer, and before it asked for the next one, left them there. Without this
        call they do no harm: a journal that nobody wants is removed when the service has dropped its answers.
        """
        journals = self._journals.read()
        keys = {key.tobytes().hex() for key in text_keys(texts)} if journals else set()
        for journal in journals:
            if journal.batch is not None:
                held = (key for joined in journal.lines.values() for key in split(joined))
                self._journals.drop(journal, [key for key in held if key in keys])

    def _until_all_ended(self, run, bar):
        pause = FIRST_POLL
        while True:
            if run.waiting:
                with self._journals.alone():
                    self._attach(run)
                    self._submit(run)
            if not run.active:
                return
            ended = []
            for work in list(run.active.values()):
                batch = self._retrieve(work)
                tell(work, batch)
                if batch.status in ENDED:
                    yield from self._collect(run, work, batch)
                    run.end(work)
                    ended.append(work)
            bar.total = sum(work.total for work in (*run.active.values(), *ended))
            bar.n = sum(work.done for work in (*run.active.values(), *ended))
            bar.refresh()
            pause = FIRST_POLL if ended else pause
            if run.active:
                time.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_POLL)

    def _attach(self, run):
        """Wait for the batches of other runs that hold texts of this one; find those whose maker died too early."""
        run.unsent = {}
        for journal in self._journals.read():
            if journal.batch is None and journal.sent is not None and (found := self._find(journal)):
                journal.batch = found
                self._journals.write(journal)
            if journal.batch is None:  # never made, so never paid for; its file may serve again
                self._journals.remove(journal)
                run.unsent[journal.digest] = journal.file
                continue
            rows = 0 if journal.batch in run.active else run.attach(journal)
            if rows:
                log.info("batch %s of an earlier run holds %d of the texts: waiting for it", journal.batch, rows)
            elif time.time() - journal.time > KEPT:
                self._journals.remove(journal)

    def _submit(self, run):
        """Make batches of the texts that no batch holds, as many as may wait at once."""
        while run.waiting and run.stopped is None:
            with self._journals.scratch() as file:
                with mendable(self._journals.folder):
                    lines, digest, tokens = self._fill(file, run)
                    file.flush()
                if not lines:
                    return
                journal = Journal(
                    service=self._journals.service,
                    digest=digest,
                    attempt=uuid.uuid4().hex,
                    time=time.time(),
                    lines=lines,
                    file=run.unsent.pop(digest, None),
                )
                self._journals.write(journal)
                if journal.file is None or not self._has(journal.file):
                    journal.file = self._upload(file, digest)
                    self._journals.write(journal)
            journal.batch = self._create(journal)
            self._journals.write(journal)
            rows = run.attach(journal, reserved=tokens)
            log.info("batch %s: %d texts in %d requests, submitted", journal.batch, rows, len(lines))

    def _fill(self, file, run):
        """Write as many request lines as one batch may hold, and reserve their tokens.

        Returns {custom_id: keys}, the digest of the file and the tokens.
        """
        lines, sums, rows, size, tokens = {}, hashlib.sha256(self._journals.service.encode()), 0, 0, 0
        room = None if run.room is None else run.room - sum(work.tokens for work in run.active.values())
        for line in cut(run, self._limits):
            keys = "".join(run.keys[row] for row in line)
            name = hashlib.blake2b(keys.encode(), digest_size=16).hexdigest()
            body = {**self._request, "input": [run.texts[row] for row in line]}
            request = msgspec.json.encode({"custom_id": name, "method": "POST", "url": ENDPOINT, "body": body}) + b"\n"
            more = sum(run.sizes[row] for row in line)
            if room is not None and tokens + more > room and (lines or run.active):
                break
            if lines and (rows + len(line) > self._limits["inputs"] or size + len(request) > self._limits["bytes"]):
                break
            if not run.may_spend(more):
                break
            file.write(request)
            sums.update(request)
            lines[name] = keys
            rows, size, tokens = rows + len(line), size + len(request), tokens + more
        return lines, sums.hexdigest(), tokens

    def _collect(self, run, work, batch):
        """Yield what a batch that has ended answered, and put down why its other texts have no vector."""
        if batch.status == "failed":
            self._failed(run, work, batch)
            return
        left, parts = dict(work.lines), []
        for name, outcome in self._outcomes(batch, left):
            parts.append(self._judge_line(run, work, left.pop(name), outcome))
            work.billed += parts[-1].tokens
            if sum(len(part.rows) for part in parts) >= GROUP:
                yield from self._hand_on(run, work, parts)
                parts = []
        yield from self._hand_on(run, work, parts)
        reason = {"expired": CURES["batch_expired"], "cancelled": CURES["batch_cancelled"]}.get(
            batch.status, f"The service says that the batch is completed, but gives no readable answer. {AGAIN}"
        )
        keys = work.own(key for keys in left.values() for key in keys)
        run.fault(reason, (work.rows[key] for key in keys))
        self._journals.drop(work.journal, keys)

    def _hand_on(self, run, work, parts):
        full = [part for part in parts if len(part.rows)]
        if full:
            rows = np.concatenate([part.rows for part in full])
            vectors = np.concatenate([part.vectors for part in full])
            yield rows, Answer(vectors, tokens=sum(part.tokens for part in full), requests=len(full))
        # Only now, when the caller has kept them, may the journal forget them.
        self._journals.drop(work.journal, [key for part in parts for key in part.over])

    def _judge_line(self, run, work, keys, outcome):
        """The part of an answered line that is wanted and sound; what is not becomes a fault of the run."""
        own = work.own(keys)
        rows = [work.rows[key] for key in own]
        nothing = Part(np.empty(0, np.int64), None, 0, own)
        status, body, said, code = read_outcome(outcome)
        if said is not None:
            if status in REFUSED and len(keys) > 1 and (work.some or work.total == 1):
                # One bad text spoils its line, at no charge: each is asked for once more on its own. Where every line
                # is refused it is no text that is bad.
                run.again(rows, alone=True)
                log.warning("%d texts were refused together (%s); each is asked for alone", len(keys), self._safe(said))
            else:
                run.fault(CURES.get(code) or f"{self._safe(said)}. {_cure(status)}", rows)
            return nothing
        try:
            vectors, faults, tokens = read_vectors(body, count=len(keys), model=self._model, dimensions=self._width)
        except ValueError as error:
            run.fault(f"A wrong answer: {error}. {AGAIN}", rows)
            return nothing
        mine, sound = np.array([key in work.rows for key in keys]), np.array([fault is None for fault in faults])
        if not sound.all():
            why = next(filter(None, faults))
            run.fault(f"A wrong answer: {why}. {AGAIN}", np.array(rows)[~sound[mine]].tolist())
        self._width = self._width or vectors.shape[1]
        return Part(np.array(rows, np.int64)[sound[mine]], vectors[sound & mine], tokens, own)

    def _failed(self, run, work, batch):
        """A batch that was not begun, which costs nothing: told, or made smaller if the queue had no room for it."""
        errors = (batch.errors.data if batch.errors else None) or []
        self._journals.drop(work.journal, [key for keys in work.journal.lines.values() for key in split(keys)])
        if any(error.code == QUEUE_FULL for error in errors) and run.make_room(work):
            log.warning("batch %s: the queue has no room for it; from now on fewer texts wait at once", batch.id)
            run.again(work.rows.values())
            return
        told = [
            f"{f'line {error.line}: ' if error.line else ''}{error.message or error.code}" for error in errors[:3]
        ] or ["no reason given"]
        cure = next((CURES[error.code] for error in errors if error.code in CURES), "Mend that and run again.")
        # What has not been submitted would fare no better.
        rows = [*work.rows.values(), *run.waiting]
        run.fault(f"Batch {batch.id} was refused before it began ({self._safe('; '.join(told))}). {cure}", rows)
        run.waiting.clear()

    def _outcomes(self, batch, left):
        """(custom_id, Outcome) of every line of the two files of a batch that is among `left`; in any order."""
        for turn in range(READS):
            unread = 0
            for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
                with self._journals.scratch() as file:
                    if not self._download(file_id, file):
                        continue
                    for line in file:
                        try:
                            outcome = msgspec.json.decode(line, type=Outcome) if line.strip() else None
                        except msgspec.MsgspecError:
                            unread += 1
                            continue
                        if outcome and outcome.custom_id in left:
                            yield outcome.custom_id, outcome
            if not left or not unread:
                return
            log.warning("batch %s: %d lines cannot be read, fetch %d of %d", batch.id, unread, turn + 1, READS)

    # What is asked of the service, each through `_call`.

    def _upload(self, file, digest):
        def ask():
            file.seek(0)
            name = f"crosswalk-{digest[:16]}.jsonl"
            return _sure(self._client.files.create(file=(name, file), purpose="batch", timeout=FILE_TIMEOUT)).id

        return self._call(ask)

    def _has(self, file_id):
        try:
            return bool(self._call(lambda: _sure(self._client.files.retrieve(file_id))))
        except _Absent:
            return False

    def _create(self, journal):
        """The id of the batch of an uploaded file; one that was made without our hearing of it is found again."""

        def ask():
            if journal.sent is not None and (found := self._find(journal)):
                return found
            journal.sent = time.time()
            self._journals.write(journal)
            batch = self._client.batches.create(
                input_file_id=journal.file,
                endpoint=ENDPOINT,
                completion_window=WINDOW,
                metadata={"crosswalk": journal.digest, "attempt": journal.attempt},
            )
            return _sure(batch).id

        return self._call(ask)

    def _find(self, journal):
        """The id of the batch that a journal's maker asked for, or None if there is none."""
        time.sleep(min(max(journal.sent + SETTLE - time.time(), 0.0), SETTLE))
        page = self._call(lambda: _sure(self._client.batches.list(limit=100), "data"))
        while True:
            for batch in page.data:
                if (batch.metadata or {}).get("attempt") == journal.attempt:
                    return batch.id
            if not page.has_next_page():
                return None
            page = self._call(lambda page=page: _sure(page.get_next_page(), "data"))

    def _retrieve(self, work):
        try:
            return self._call(lambda: _sure(self._client.batches.retrieve(work.journal.batch), "status"))
        except _Absent:
            raise self._error(
                f"it knows no batch {work.journal.batch}, which {self._journals.path(work.journal)} waits for: another "
                f"account or project made it, or it was removed. Use the key that it was made with, or delete that "
                f"file to ask, and pay, again."
            ) from None

    def _download(self, file_id, file):
        """Fetch a file of answers; False if the service keeps it no longer."""

        def ask():
            file.seek(0)
            file.truncate()
            with (
                mendable(self._journals.folder),
                self._client.files.with_streaming_response.content(file_id, timeout=FILE_TIMEOUT) as response,
            ):
                for piece in response.iter_bytes(1 << 20):
                    file.write(piece)
            file.seek(0)
            return True

        try:
            return self._call(ask)
        except _Absent:
            log.warning("%s: the file %s is no longer kept", self.url, file_id)
            return False

    def _call(self, ask):
        """What `ask` returns; an outage, a busy service and garbage are waited out, up to `patience`."""
        waited = 0.0
        for turn in itertools.count():
            asked = 0.0
            try:
                found = ask()
                self._reached = True
                return found
            except openai.APIStatusError as error:
                asked, fault = self._judge(error)
            except openai.APITimeoutError:
                fault = "no answer in time"
            except (openai.APIConnectionError, httpx2.HTTPError) as error:
                fault = f"no connection ({error.__cause__ or error})"
            except (openai.APIResponseValidationError, ValueError) as error:
                fault = f"an answer that is not of the Batch API ({error})"
            # No pause at all, as a clock that is behind ours makes of a date, would be too little.
            wait = max(asked or 0.0, min(FIRST_WAIT * 2**turn, LONGEST_WAIT) * random.uniform(0.75, 1))
            patience = self._limits["patience"] if self._reached else min(self._limits["patience"], FIRST_PATIENCE)
            if waited + wait > patience:
                raise self._error(
                    f"gave up after {turn + 1} tries, the last one with {fault}. Run again later: batches that were "
                    f"submitted are not lost, nor paid for again."
                )
            log.warning("%s: %s; again in %.0f s", self.url, self._safe(fault), wait)
            time.sleep(wait)
            waited += wait

    def _judge(self, error):
        """Seconds that the service asks to wait, or None, and the fault; raises UserError if waiting is vain."""
        status, said = error.status_code, said_by(error)
        hopeless = HOPELESS.get(error.code) or HOPELESS.get(error.type)
        if hopeless:
            raise self._error(hopeless) from None
        if status in (401, 403):
            raise self._error(
                f"the key in {KEY_VARIABLE} is refused (HTTP {status}: {said}). Set a valid one; batches that were "
                f"submitted are then waited for."
            ) from None
        if status == 404 and "/files/" not in error.request.url.path and "/batches/" not in error.request.url.path:
            raise self._error(
                f"it has no Batch API at this address (HTTP 404: {said}). Check embedding.base_url, or set "
                f"embedding.mode to online."
            ) from None
        if status == 404:
            raise _Absent
        if status not in PASSING and status < 500:
            raise self._error(f"the request is refused (HTTP {status}: {said}).") from None
        return asked_wait(error.response.headers), f"HTTP {status}: {said}"

    def _error(self, what):
        return UserError(f"embedding service {self.url}: {self._safe(what)}")

    def _safe(self, text):
        return str(text).replace(self._key, "***")


class _Absent(Exception):
    """The service does not know what it is asked about."""


def _cure(status):
    if status in REFUSED:
        return "Mend such texts or leave them out, and run again."
    return AGAIN


def _sure(answer, field="id"):
    """The answer, if it has what every such answer has: garbage with HTTP 200 is not an answer."""
    if isinstance(answer, str) or getattr(answer, field, None) is None:
        raise ValueError(f"no {field!r} in it")
    return answer
