"""A service of embeddings that fails in every way such services fail, and keeps account of what it was paid for.

It speaks HTTP/1.1 over raw asyncio streams, so that many connections cost little. Each request meets the fault that is
next in the script, or one drawn from the mix, or none. A text is paid for when its vector left here sound in an answer
that a client can use: a client that asks for it again pays twice, and `Account.again` holds it.

    with FaultServer(mix={"500": 0.1}, seed=3) as server: ...   # in a thread
    with apart(latency=0.2) as server: ...                      # in a process of its own
"""

import asyncio
import base64
import contextlib
import dataclasses
import email.utils
import hashlib
import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, deque

import numpy as np

WIDTH = 8
ROW_FAULTS = ("nan", "zero", "long")  # one row of the answer is worthless, the others are sound
FALSE_ANSWERS = (  # nothing in the answer can be trusted
    "wrong dimension",
    "one wrong dimension",
    "missing row",
    "surplus row",
    "duplicate row",
    "wrong model",
    "truncated json",
    "malformed json",
    "nan in json",
    "other json",
)
OUTAGES = ("429 seconds", "429 date", "429", "408", "500", "502 html", "503", "hang", "drop before", "drop in body")
HARMLESS = ("shuffled", "float")  # odd, but right
HOPELESS = ("401", "403", "insufficient_quota", "404")
FAULTS = (*OUTAGES, *FALSE_ANSWERS, *ROW_FAULTS, *HARMLESS, *HOPELESS)


def vectors(texts, width=WIDTH):
    """Unit vectors that are the texts' own: float32 (n, width), from a hash of each text."""
    digests = b"".join(hashlib.shake_128(text.encode()).digest(2 * width) for text in texts)
    values = np.frombuffer(digests, "<i2").reshape(len(texts), width).astype(np.float32) + np.float32(0.5)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@dataclasses.dataclass
class Settings:
    """How the service behaves. Seconds throughout; a minute is `window` seconds long, for tests in a hurry.

    script: faults of the first requests, in the order they come, None for none; then: the fault of all later ones;
    mix: probability of each fault where neither says one; poison: texts that hold it are refused, with all that came in
    the same request; curse: texts that hold it get NaN in an answer that is sound otherwise; retry_after: what 429 asks
    for; noise: standard deviation of what is added to each value anew in each answer, as services on many machines do;
    starting: seconds without anyone listening, then those of HTTP 503; echo: repeat the key that was sent in whatever
    goes wrong; headers: tell the limits; told: limits to tell, (requests, tokens), other than those that are enforced;
    bytes_per_token: of a text's tokens, rounded up; tokenizer: a name of tiktoken's that counts them instead; keep:
    whether the account holds the texts, or counts alone.
    """

    width: int = WIDTH
    latency: float = 0.0
    script: list = dataclasses.field(default_factory=list)
    then: str | None = None
    mix: dict = dataclasses.field(default_factory=dict)
    seed: int = 0
    poison: str | None = None
    curse: str | None = None
    retry_after: float = 1.0
    hang: float = 30.0
    noise: float = 0.0
    starting: tuple = (0.0, 0.0)
    echo: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    window: float = 60.0
    headers: bool = False
    told: tuple | None = None
    bytes_per_token: float = 1.0
    tokenizer: str | None = None
    keep: bool = True


class Account:
    """What happened.

    requests: (seconds, texts, fault or None) of each; paid: Counter of the texts whose sound vectors left; again: texts
    that were asked for after they had been paid for; tokens: billed; refused: requests above the limits; most: the most
    requests at work at once; faults: Counter; connections: the number that were opened.
    """

    def __init__(self):
        self.requests, self.again = [], []
        self.paid, self.faults = Counter(), Counter()
        self.tokens = self.refused = self.most = self.at_work = self.connections = self.count = 0
        self.first = self.last = None  # when a request was let in

    def sent(self):
        """Counter of all texts that were asked for."""
        return Counter(text for _, texts, _ in self.requests for text in texts)


class Fail(Exception):
    """Ends the connection."""


class Core:
    """The service itself, in an event loop."""

    def __init__(self, settings):
        self.settings, self.account = settings, Account()
        self._random = random.Random(settings.seed)
        self._numbers = np.random.default_rng(settings.seed)
        self._admitted = deque()  # (when, tokens) within the window
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        self.port = self._socket.getsockname()[1]
        self._tasks = set()

    async def serve(self, stop, ready):
        """Serve until the event `stop`; calls `ready` once that will be so."""
        refusing, unavailable = self.settings.starting
        self._available = time.monotonic() + refusing + unavailable
        if refusing:
            ready()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), refusing)
        server = await asyncio.start_server(self._connection, sock=self._socket, limit=2**20, backlog=512)
        if not refusing:
            ready()
        await stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connection(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        asyncio.current_task().add_done_callback(self._tasks.discard)
        self.account.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                start, *lines = head.split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                await self._answer(start.split(" "), headers, body, writer)
        except (Fail, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, start, headers, body, writer):
        if start[1] == "/account":
            return await _send(writer, 200, self._told_account())
        if start[1] == "/change":
            for name, value in json.loads(body).items():
                setattr(self.settings, name, value)
            return await _send(writer, 200, b"{}")
        if start[1] == "/forget":
            self.account = Account()
            return await _send(writer, 200, b"{}")
        if start[:2] != ["POST", "/v1/embeddings"]:
            return await _send(writer, 404, _error("no such address"))
        arrived = time.monotonic()
        account = self.account
        account.at_work += 1
        account.most = max(account.most, account.at_work)
        try:
            await self._embed(json.loads(body), headers, writer, arrived)
        finally:
            account.at_work -= 1

    async def _embed(self, request, headers, writer, arrived):
        settings, account = self.settings, self.account
        texts = request["input"]
        texts = [texts] if isinstance(texts, str) else texts
        tokens = sum(self._tokens(text) for text in texts)
        fault = self._next_fault(arrived, texts, tokens)
        account.count += 1
        if settings.keep:
            account.requests.append((arrived, texts, fault))
            account.again += [text for text in texts if text in account.paid]
        if fault:
            account.faults[fault] += 1
        key = headers.get("authorization", "") if settings.echo else ""
        more = self._limit_headers(arrived)
        if fault in _STATUS:
            status, said, code = _STATUS[fault]
            if fault == "429 seconds" or (fault == "over limit" and settings.retry_after is not None):
                more["Retry-After"] = f"{settings.retry_after:g}"
            if fault == "429 date":
                more["Retry-After"] = email.utils.formatdate(time.time() + settings.retry_after, usegmt=True)
            await asyncio.sleep(min(settings.latency, 0.02))
            return await _send(writer, status, _error(f"{said} {key}".strip(), code), more)
        if fault == "502 html":
            return await _send(writer, 502, f"<html><h1>502 Bad Gateway</h1>{key}</html>".encode(), more)
        if fault == "hang":
            await asyncio.sleep(settings.hang)
            raise Fail
        if fault == "drop before":
            raise Fail
        answer, sound = self._body(request, texts, tokens, fault, key)
        await asyncio.sleep(arrived + settings.latency - time.monotonic())
        if fault == "drop in body":
            writer.write(_head(200, len(answer), more) + answer[: len(answer) // 2])
            await writer.drain()
            raise Fail
        # Entered first: the client may be done with the answer, and ask again, before `drain` returns.
        if settings.keep:
            account.paid.update(sound)
        account.tokens += tokens
        await _send(writer, 200, answer, more)

    def _next_fault(self, arrived, texts, tokens):
        settings = self.settings
        if arrived < self._available:
            return "503"
        if settings.poison is not None and any(settings.poison in text for text in texts):
            return "poison"
        if any(not text for text in texts):
            return "empty"
        if not self._room(arrived, tokens):
            return "over limit"
        fault = None
        if settings.script:
            fault = settings.script.pop(0)
        elif settings.then:
            fault = settings.then
        elif settings.mix:
            draw = self._random.random()
            for fault, share in settings.mix.items():
                draw -= share
                if draw < 0:
                    return fault
            fault = None
        return fault

    def _room(self, now, tokens):
        """Whether a request may come in, and if so note it."""
        settings, admitted, account = self.settings, self._admitted, self.account
        while admitted and admitted[0][0] <= now - settings.window:
            admitted.popleft()
        over = settings.requests_per_minute is not None and len(admitted) + 1 > settings.requests_per_minute
        over |= settings.tokens_per_minute is not None and (
            sum(own for _, own in admitted) + tokens > settings.tokens_per_minute
        )
        if over:
            account.refused += 1
            return False
        admitted.append((now, tokens))
        account.first = account.first or now
        account.last = now
        return True

    def _limit_headers(self, now):
        settings = self.settings
        if not settings.headers:
            return {}
        requests, tokens = settings.told or (settings.requests_per_minute, settings.tokens_per_minute)
        used = {"requests": len(self._admitted), "tokens": sum(own for _, own in self._admitted)}
        reset = f"{max(0.0, self._admitted[0][0] + settings.window - now):.3f}s" if self._admitted else "0s"
        found = {}
        for kind, limit in (("requests", requests), ("tokens", tokens)):
            if limit is not None:
                found[f"x-ratelimit-limit-{kind}"] = str(limit)
                found[f"x-ratelimit-remaining-{kind}"] = str(max(0, limit - used[kind]))
                found[f"x-ratelimit-reset-{kind}"] = reset
        return found

    def _tokens(self, text):
        if self.settings.tokenizer:
            import tiktoken

            return len(tiktoken.get_encoding(self.settings.tokenizer).encode_ordinary(text))
        return int(-(-len(text.encode()) // self.settings.bytes_per_token))

    def _body(self, request, texts, tokens, fault, key):
        """The answer's bytes, and the texts whose vectors in it are sound."""
        settings = self.settings
        width = request.get("dimensions") or settings.width
        values = vectors(texts, width)
        if settings.noise:
            values = values + self._numbers.normal(0, settings.noise, values.shape).astype(np.float32)
        bad = self._random.randrange(len(texts)) if fault in (*ROW_FAULTS, *FALSE_ANSWERS) else None
        rows, sound = list(values), [] if fault in FALSE_ANSWERS else texts
        if fault in ROW_FAULTS:
            rows[bad] = rows[bad] * {"nan": np.float32(np.nan), "zero": np.float32(0), "long": np.float32(40)}[fault]
            sound = [text for i, text in enumerate(texts) if i != bad]
        if settings.curse:
            cursed = [settings.curse in text for text in texts]
            rows = [row * np.float32(np.nan) if own else row for row, own in zip(rows, cursed, strict=True)]
            sound = [text for text in sound if settings.curse not in text]
        if fault == "wrong dimension":
            rows = [row[: max(1, width // 2)] for row in rows]
        if fault == "one wrong dimension":
            rows[bad] = rows[bad][: width - 1]
        indices = list(range(len(rows)))
        if fault == "shuffled":
            self._random.shuffle(indices)
        if fault == "missing row":
            del indices[bad]
        if fault == "surplus row":
            rows.append(rows[0])
            indices.append(len(texts))
        if fault == "duplicate row":
            # One text has two rows, the next none; of a single text, an index that is none.
            rows = [*rows, rows[bad]]
            if len(texts) > 1:
                indices[(bad + 1) % len(texts)] = bad
            else:
                indices = [0, 0]
        plain = fault in ("float", "nan in json") or request.get("encoding_format") != "base64"
        if plain:
            written = [json.dumps(row.tolist()) for row in rows]  # NaN is written as such, which is no JSON
        else:
            written = [f'"{base64.b64encode(row.astype("<f4", copy=False)).decode()}"' for row in rows]
        if fault == "nan in json":
            written[bad] = written[bad].replace("[", "[NaN, ", 1)
        model = f"another-model{key.removeprefix('Bearer ')}" if fault == "wrong model" else request["model"]
        data = ",".join(f'{{"object":"embedding","index":{i},"embedding":{written[i]}}}' for i in indices)
        tail = f'"model":{json.dumps(model)},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}'
        answer = f'{{"object":"list","data":[{data}],{tail}}}'.encode()
        if fault == "truncated json":
            answer = answer[: int(len(answer) * self._random.uniform(0.1, 0.95))]
        if fault == "malformed json":
            answer = b"<html>" + answer
        if fault == "other json":
            answer = json.dumps({"result": f"fine {key}"}).encode()
        return answer, sound

    def _told_account(self):
        account = self.account
        plain = {
            "requests": [(when, len(texts), fault) for when, texts, fault in account.requests],
            "paid": len(account.paid),
            "again": len(account.again),
            "faults": account.faults,
            "seconds": (account.last or 0) - (account.first or 0),
        }
        for name in ("tokens", "refused", "most", "connections", "count"):
            plain[name] = getattr(account, name)
        return json.dumps(plain).encode()


class FaultServer:
    """The service in a thread, from `with` to its end; keywords as the fields of Settings.

    Attributes: url, settings (may be changed at any time) and account, which `forget` makes anew.
    """

    def __init__(self, **settings):
        self.settings = Settings(**settings)
        self._core = Core(self.settings)
        self.url = f"http://127.0.0.1:{self._core.port}/v1"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    @property
    def account(self):
        return self._core.account

    def forget(self):
        """Begin a new account; what was paid for so far no longer counts. Returns the old one."""
        old, self._core.account = self._core.account, Account()
        return old

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self):
        async def main():
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await self._core.serve(self._stop, self._ready.set)

        asyncio.run(main())


class Apart:
    """A service in another process: url; `account()` as a dict of plain values; `change` of settings; `forget`."""

    def __init__(self, port):
        self._port, self.url = port, f"http://127.0.0.1:{port}/v1"

    def account(self):
        return self._ask("/account")

    def change(self, **settings):
        self._ask("/change", json.dumps(settings))

    def forget(self):
        self._ask("/forget")

    def _ask(self, path, body=""):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request("POST", path, body)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@contextlib.contextmanager
def apart(**settings):
    """The service in a process of its own, whose work does not count as the client's; keywords as of Settings."""
    command = [sys.executable, __file__, json.dumps(settings)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Apart(int(process.stdout.readline()))
    finally:
        process.communicate()  # the end of its input ends it


_STATUS = {
    "429 seconds": (429, "Rate limit reached", "rate_limit_exceeded"),
    "429 date": (429, "Rate limit reached", "rate_limit_exceeded"),
    "429": (429, "Rate limit reached", "rate_limit_exceeded"),
    "over limit": (429, "Rate limit reached", "rate_limit_exceeded"),
    "408": (408, "request took too long to arrive", None),
    "500": (500, "The server had an error while processing your request", "server_error"),
    "503": (503, "overloaded, or just starting", None),
    "poison": (400, "This input cannot be embedded", "invalid_input"),
    "empty": (400, "'$.input' is invalid", "invalid_input"),
    "401": (401, "Incorrect API key provided", "invalid_api_key"),
    "403": (403, "No access from here", "unsupported_country"),
    "404": (404, "The model does not exist", "model_not_found"),
    "insufficient_quota": (429, "You exceeded your current quota", "insufficient_quota"),
}
_REASONS = {200: "OK", 429: "Too Many Requests", 400: "Bad Request"}


def _error(message, code=None):
    kind = "insufficient_quota" if code == "insufficient_quota" else "some_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


def _head(status, length, headers):
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Other')}", "Content-Type: application/json"]
    lines += [f"Content-Length: {length}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _send(writer, status, body, headers=None):
    writer.write(_head(status, len(body), headers or {}))
    writer.write(body)
    await writer.drain()


def _main():
    """Serve as the first argument says, until the input ends; the port is printed."""
    core = Core(Settings(**json.loads(sys.argv[1])))

    async def main():
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def watch():
            sys.stdin.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=watch, daemon=True).start()
        await core.serve(stop, lambda: print(core.port, flush=True))

    asyncio.run(main())


if __name__ == "__main__":
    _main()
