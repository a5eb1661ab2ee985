"""What every client of a paid service does alike: ask, judge a failure, wait, ask again, and never tell the key.

The official client sends the requests, without its own repetitions, whose pauses are too short for a busy service.
"""

import email.utils
import itertools
import logging
import random
import time

import openai

from crosswalk.credentials import KEY_VARIABLE, service_address, service_key
from crosswalk.errors import UserError

log = logging.getLogger(__name__)

TRIES = 5
FIRST_WAIT, LONGEST_WAIT, LONGEST_ASKED = 0.5, 30.0, 120.0  # seconds
TIMEOUT = 120.0  # seconds for one request
HOPELESS = {
    "insufficient_quota": "the account has no quota left: see its billing page",
    "billing_hard_limit_reached": "the account's spending limit is reached: see its billing page",
}


class WrongAnswer(UserError):
    """The service answers, but never what was asked for."""


class Service:
    """One model of a service that speaks as OpenAI's does.

    what: it gives, for messages ("embeddings"); at: the config's key that holds its settings; instead: value of
    `provider` there that needs no key; model: its name; base_url, organization: as in the config.
    Attributes: url; client, the official one. Raises UserError, before any request, as `credentials` does.
    """

    def __init__(self, what, *, at, instead, model, base_url=None, organization=None):
        self.url = service_address(base_url, at=at)
        self._key = service_key(at=at, instead=instead)
        self._what, self._at, self._model = what, at, model
        self.client = openai.OpenAI(
            api_key=self._key, base_url=self.url, organization=organization, timeout=TIMEOUT, max_retries=0
        )

    def call(self, ask, *, wrong=TRIES):
        """What `ask` returns, and how many requests that took.

        ask: sends one request and checks the answer; ValueError says that it is wrong. wrong: wrong answers that are
        put up with. A refused connection, a busy or failing service and a wrong answer are tried again, with growing
        pauses or the one that the service asks for. Raises UserError that names the last fault, and at once if trying
        again is vain; it is a WrongAnswer if the last answer was one.
        """
        for attempt in itertools.count(1):
            kind = UserError
            try:
                return ask(), attempt
            except (openai.APIStatusError, openai.APIConnectionError) as error:
                wait, fault = self._judge(error)
            except ValueError as error:
                wait, fault, kind, wrong = None, f"a wrong answer: {error}", WrongAnswer, wrong - 1
            if attempt == TRIES or not wrong:
                tries = f"{attempt} {'tries' if attempt > 1 else 'try'}"
                raise self._error(f"gave up after {tries}, the last one with {fault}", kind) from None
            wait = wait or min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT) * random.uniform(0.75, 1)
            log.warning("%s, try %d of %d: %s; again in %.1f s", self.url, attempt, TRIES, self._safe(fault), wait)
            time.sleep(wait)

    def _judge(self, error):
        """Seconds to wait before the next try, None for our own choice, and the fault; UserError if there is no use."""
        if isinstance(error, openai.APITimeoutError):
            return None, f"no answer within {TIMEOUT:.0f} s"
        if isinstance(error, openai.APIConnectionError):
            return None, f"no connection ({error.__cause__ or error})"
        status, said = error.status_code, _said(error)
        if error.code in HOPELESS or error.type in HOPELESS:
            raise self._error(HOPELESS.get(error.code) or HOPELESS[error.type]) from None
        if status in (401, 403):
            raise self._error(
                f"the key in {KEY_VARIABLE} is refused (HTTP {status}: {said}). Set a valid one."
            ) from None
        if status == 404:
            raise self._error(
                f"it has no model {self._model!r}, or no {self._what} at this address (HTTP 404: {said}). "
                f"Check {self._at}.model and {self._at}.base_url."
            ) from None
        if status not in (408, 409, 425, 429) and status < 500:
            raise self._error(f"the request is refused (HTTP {status}: {said}).") from None
        wait = _asked_wait(error.response.headers)
        if wait is not None and wait > LONGEST_ASKED:
            raise self._error(
                f"it asks to come back in {wait:.0f} s (HTTP {status}: {said}). Run again then."
            ) from None
        return wait, f"HTTP {status}: {said}"

    def _error(self, what, kind=UserError):
        return kind(f"{self._at} service {self.url}: {self._safe(what)}")

    def _safe(self, text):
        return text.replace(self._key, "***")


def check_model(asked, answered):
    """Raise ValueError if another model answered; a folder before a name, or a version after it, may differ."""
    if not answered:
        return
    short, wanted = answered.removesuffix("/").split("/")[-1], asked.split("/")[-1]
    if short != wanted and not (short.startswith(wanted) and short[len(wanted)] in "-:@_."):
        raise ValueError(f"the model {answered!r} answered instead of {asked!r}")


def _said(error):
    text = error.body.get("message") if isinstance(error.body, dict) else None
    return " ".join(str(text or error.message).split())[:300]


def _asked_wait(headers):
    """Seconds of a Retry-After header, which may be a number or a date; None without one that can be read."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
