"""What remembers batches from before they exist until their answers are kept: small files beside the cache."""

import contextlib
import fcntl
import functools
import logging
import tempfile

import msgspec

from crosswalk import files, store
from crosswalk.errors import UserError

log = logging.getLogger(__name__)

HEX = 32  # characters of a text's key in a journal
mendable = functools.partial(store.mendable, what="the journal of batches")


class Journal(msgspec.Struct):
    """A batch from before it exists until its answers are kept.

    service: what a vector depends on but its text; digest: of the input file; attempt: unique, in the batch's metadata;
    time: when begun; lines: custom_id -> keys of its texts, of lines that are not wholly over; over: keys among these
    whose answers are kept, or will never come; file: id once uploaded; sent: when the batch was last asked for; batch:
    id once that is known.
    """

    service: str
    digest: str
    attempt: str
    time: float
    lines: dict[str, str]
    over: str = ""
    file: str | None = None
    sent: float | None = None
    batch: str | None = None


class Journals:
    """The journals in a folder; service: those of others are left alone."""

    def __init__(self, folder, service):
        self.folder, self.service = folder, service

    def path(self, journal):
        return self.folder / f"{journal.digest[:32]}.json"

    @contextlib.contextmanager
    def alone(self):
        """Hold the folder: of two runs with texts in common one submits, and the other then finds its journal.

        The lock is the kernel's, so it ends with the process. It must not be held while answers are yielded.
        """
        with contextlib.ExitStack() as stack:
            with mendable(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context(open(self.folder / ".lock", "w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                log.warning("%s cannot be locked (%s): let no two jobs embed the same texts", self.folder, error)
            yield

    def read(self):
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                journal = msgspec.json.decode(path.read_bytes(), type=Journal)
            except FileNotFoundError:
                continue
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"{path}: not a journal of a batch ({error}). Delete it; if a batch was waiting for its answers, "
                    f"they will be asked and paid for again."
                ) from None
            if journal.service == self.service:
                found.append(journal)
        return found

    def write(self, journal):
        with mendable(self.folder):
            with files.atomic(self.path(journal)) as file:
                file.write(msgspec.json.encode(journal))
            store.sync_folder(self.folder)

    def remove(self, journal):
        with mendable(self.folder):
            self.path(journal).unlink(missing_ok=True)

    def drop(self, journal, keys):
        """Forget texts whose answers are kept, or will never come; the last one takes the journal with it.

        Texts that this run did not want stay: another run may, and has paid for them.
        """
        if not keys:
            return
        with self.alone():
            try:
                now = msgspec.json.decode(self.path(journal).read_bytes(), type=Journal)
            except (OSError, msgspec.MsgspecError):
                return  # another run that waited for the same batch was first
            if now.attempt != journal.attempt:
                return
            over = {*keys, *split(now.over)}
            now.lines = {name: joined for name, joined in now.lines.items() if not over.issuperset(split(joined))}
            now.over = "".join(key for joined in now.lines.values() for key in split(joined) if key in over)
            if now.lines:
                self.write(now)
            else:
                self.remove(now)

    @contextlib.contextmanager
    def scratch(self):
        """A file without a name, gone when closed, however the process ends."""
        with contextlib.ExitStack() as stack:
            with mendable(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(tempfile.TemporaryFile(dir=self.folder))
            yield file


def split(keys):
    return [keys[start : start + HEX] for start in range(0, len(keys), HEX)]
