"""What every client of a paid service does alike: ask, judge a failure, wait, ask again, and never tell the key.

The official client sends the requests, without its own repetitions, whose pauses are too short for a busy service. All
requests of a service live on one event loop in a thread of its own; the rest of the program knows no asyncio.
"""

import asyncio
import contextlib
import email.utils
import itertools
import logging
import queue
import random
import threading
import time

import openai

from crosswalk.credentials import KEY_VARIABLE, service_address, service_key
from crosswalk.errors import UserError
from crosswalk.pacing import Pacer

log = logging.getLogger(__name__)

LIMITS = {"concurrency": 8, "requests_per_minute": None, "tokens_per_minute": None, "patience": 900.0, "timeout": 120.0}
WRONG = 3  # wrong answers to one request that are put up with: each may have been paid for
TRIES = 8  # of one request while others are answered: then it is this one that cannot be
FIRST_PATIENCE = 60.0  # seconds for a service that was never there: its address may be wrong
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds
HOPELESS = {
    "insufficient_quota": "the account has no quota left: see its billing page",
    "billing_hard_limit_reached": "the account's spending limit is reached: see its billing page",
}
PASSING = (408, 409, 425, 429)  # besides 500 and above


def now():
    """Seconds of a clock that only runs forwards."""
    return time.monotonic()


async def nap(seconds):
    """Wait, and let other requests go on."""
    await asyncio.sleep(seconds)


class WrongAnswer(UserError):
    """The service answers, but never what was asked for."""


class Refused(UserError):
    """The service will not answer this request, whenever it is asked; another it may."""


class Service:
    """One model of a service that speaks as OpenAI's does.

    what: it gives, for messages ("embeddings"); at: the config's key that holds its settings; instead: value of
    `provider` there that needs no key; model: its name; base_url, organization: as in the config; limits: dict of
    concurrency (requests at once), requests_per_minute, tokens_per_minute (None: as the service says), patience
    (seconds of an outage, or of a pause asked for, that are waited out) and timeout (seconds of one request).
    Attributes: url; client, the official one. Raises UserError, before any request, as `credentials` does.
    """

    def __init__(self, what, *, at, instead, model, base_url=None, organization=None, limits=None):
        self.url = service_address(base_url, at=at)
        self.limits = {**LIMITS, **{key: value for key, value in (limits or {}).items() if value is not None}}
        self._key = service_key(at=at, instead=instead)
        self._what, self._at, self._model = what, at, model
        self.client = openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self.url,
            organization=organization,
            timeout=self.limits["timeout"],
            max_retries=0,
        )
        self._pacer = Pacer(
            requests=self.limits["requests_per_minute"],
            tokens=self.limits["tokens_per_minute"],
            clock=lambda: now(),
            sleep=lambda seconds: nap(seconds),
        )
        self._answers, self._failing_since, self._ending = 0, None, False
        self._running = None

    def run(self, request):
        """The result of a coroutine, run on the service's loop."""
        return asyncio.run_coroutine_threadsafe(request, self._loop()).result()

    def stream(self, jobs, work):
        """Yield what `work(job, put)`, a coroutine, puts for each of the jobs, as it comes.

        The first job goes alone, so that a service that answers nobody is asked once; then `concurrency` are under way,
        counted until the caller has taken all of a job's results and comes back. Once one fails no other begins; those
        under way are awaited and yielded, and then the first failure is raised.
        """
        results, over, end = queue.SimpleQueue(), object(), object()
        loop, slots = self._loop(), asyncio.Semaphore(self.limits["concurrency"])

        async def pump():
            running, failures = set(), []

            def finish(task):
                running.discard(task)
                if not task.cancelled() and (error := task.exception()):
                    failures.append(error)
                    self._ending = True
                results.put(over)

            try:
                for job in jobs:
                    await slots.acquire()
                    if failures:
                        break
                    task = asyncio.create_task(work(job, results.put))
                    running.add(task)
                    task.add_done_callback(finish)
                    if not self._answers:
                        await asyncio.wait([task])
                while running:
                    await asyncio.wait(running)
                    await asyncio.sleep(0)  # for the callbacks
            finally:
                for task in running:
                    task.cancel()
                results.put(end)
            if failures:
                raise failures[0]

        self._ending = False
        pumping = asyncio.run_coroutine_threadsafe(pump(), loop)
        try:
            while (result := results.get()) is not end:
                if result is over:
                    loop.call_soon_threadsafe(slots.release)
                else:
                    yield result
            pumping.result()
        finally:
            pumping.cancel()

    async def call(self, ask, *, tokens=0, billed=(), wrong=WRONG):
        """What `await ask()` returns, and how many requests that took.

        ask: sends one request and checks the answer; ValueError says that it is wrong. tokens: what it will take, or a
        bound, for pacing; billed: list to which `ask` adds what each answer says that it took, which then counts
        instead; wrong: wrong answers that are put up with. A refused connection, a busy or failing service and a wrong
        answer are tried again, with growing pauses or the one that the service asks for, as long as the service answers
        others or its patience lasts. Raises UserError that names the last fault, and at once if trying again is vain:
        Refused if that may be up to this request, WrongAnswer if the last answer was wrong.
        """
        others = None
        for attempt in itertools.count(1):
            asked = None
            try:
                result = await self._ask_in_turn(ask, tokens, billed)
            except (openai.APIStatusError, openai.APIConnectionError) as error:
                asked, fault = self._judge(error)
                busy, absent = getattr(error, "status_code", None) == 429, isinstance(error, openai.APIConnectionError)
            except ValueError as error:
                fault, busy, absent, wrong = f"a wrong answer: {error}", False, False, wrong - 1
                if not wrong:
                    raise self.error(f"gave up after {attempt} tries, the last one with {fault}", WrongAnswer) from None
            else:
                self._answers, self._failing_since = self._answers + 1, None
                return result, attempt
            at = now()
            others = self._answers if others is None else others
            self._failing_since = at if self._failing_since is None else self._failing_since
            failing = at - self._failing_since
            patience = self.limits["patience"]
            if absent and not self._answers:
                patience = min(patience, FIRST_PATIENCE)
            vain = self._ending or failing > patience or (attempt >= TRIES and self._answers > others)
            if vain:
                raise self.error(
                    f"gave up after {attempt} tries in {failing:.0f} s, the last one with {fault}"
                ) from None
            wait = min(FIRST_WAIT * 2 ** min(attempt - 1, 20), LONGEST_WAIT) * random.uniform(0.5, 1)
            if asked is not None:
                # No wait at all, as a clock that is behind ours makes of a date, would be too little.
                wait = max(wait, asked + random.uniform(0, min(1.0, asked / 10)))
            log.warning("%s, try %d: %s; again in %.1f s", self.url, attempt, self._safe(fault), wait)
            if busy:
                self._pacer.refused()
            if busy or asked is not None:
                self._pacer.pause(wait)
            else:
                await nap(wait)

    async def _ask_in_turn(self, ask, tokens, billed):
        sent, answers = await self._pacer.turn(tokens), len(billed)
        try:
            return await ask()
        finally:
            if len(billed) > answers and billed[-1]:
                self._pacer.correct(sent, billed[-1])

    def heard(self, headers):
        """Take in the headers of an answer, which may tell the limits of the service."""
        self._pacer.answered(headers)

    def error(self, what, kind=UserError):
        """The error that names the service and says what is amiss, without the key."""
        return kind(f"{self._at} service {self.url}: {self._safe(what)}")

    def _loop(self):
        if self._running is None:
            self._running = asyncio.new_event_loop()
            threading.Thread(target=self._running.run_forever, name=f"{self._at} service", daemon=True).start()
        return self._running

    def _judge(self, error):
        """Seconds that the service asks to wait, or None, and the fault; UserError if there is no use."""
        if isinstance(error, openai.APITimeoutError):
            return None, f"no answer within {self.limits['timeout']:g} s"
        if isinstance(error, openai.APIConnectionError):
            return None, f"no connection ({error.__cause__ or error})"
        status, said = error.status_code, said_by(error)
        if error.code in HOPELESS or error.type in HOPELESS:
            raise self.error(HOPELESS.get(error.code) or HOPELESS[error.type]) from None
        if status in (401, 403):
            raise self.error(
                f"the key in {KEY_VARIABLE} is refused (HTTP {status}: {said}). Set a valid one."
            ) from None
        if status == 404:
            raise self.error(
                f"it has no model {self._model!r}, or no {self._what} at this address (HTTP 404: {said}). "
                f"Check {self._at}.model and {self._at}.base_url."
            ) from None
        if status not in PASSING and status < 500:
            raise self.error(f"the request is refused (HTTP {status}: {said}).", Refused) from None
        wait = asked_wait(error.response.headers)
        if wait is not None and wait > self.limits["patience"]:
            raise self.error(
                f"it asks to come back in {wait:.0f} s, longer than {self._at}.limits.patience (HTTP {status}: {said})."
                " Run again then: what was bought is kept."
            ) from None
        return wait, f"HTTP {status}: {said}"

    def _safe(self, text):
        return text.replace(self._key, "***")


def check_model(asked, answered):
    """Raise ValueError if another model answered; a folder before a name, or a version after it, may differ."""
    if not answered:
        return
    short, wanted = answered.removesuffix("/").split("/")[-1], asked.split("/")[-1]
    if short != wanted and not (short.startswith(wanted) and short[len(wanted)] in "-:@_."):
        raise ValueError(f"the model {answered!r} answered instead of {asked!r}")


def said_by(error):
    """What the service says in an error, in one line of at most 300 characters."""
    text = error.body.get("message") if isinstance(error.body, dict) else None
    return " ".join(str(text or error.message).split())[:300]


def asked_wait(headers):
    """Seconds of a Retry-After header, which may be a number or a date; None without one that can be read."""
    value = headers.get("retry-after")
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
