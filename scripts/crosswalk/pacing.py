"""When the next request to a service may leave: so many a minute, so many tokens a minute, and not while it is busy.

Two rules stand side by side. Requests leave evenly (virtual scheduling, as in ITU-T I.371), as services refuse bursts;
and within any minute no more leave than the limits, counted back from now, as services count. What the service says of
its limits, in the headers of its answers, holds where it is less than what the config says, or the config says nothing.
"""

import asyncio
import time
from collections import deque

MINUTE = 60.0  # seconds
SAFE = 0.985  # of a limit: the service's clock is not ours, and what leaves evenly may arrive unevenly
SLOWER, FASTER = 0.8, 1.01  # the rate after a refusal for lack of room, and after each answer until it is whole again
LEAST = 0.05  # of a limit: the slowest
LOOK = 0.2  # seconds between two looks at the tokens: what a request took is known only once it is answered


class Pacer:
    """Lets requests leave. For one event loop.

    requests, tokens: limits a minute, None for none; clock, sleep: for tests.
    """

    def __init__(self, *, requests=None, tokens=None, clock=time.monotonic, sleep=asyncio.sleep):
        self._own = {"requests": requests, "tokens": tokens}
        self._told = {"requests": None, "tokens": None}
        self._clock, self._sleep = clock, sleep
        self._free = {"requests": 0.0, "tokens": 0.0}  # from when on the next may leave
        self._sent = deque()  # [when, tokens] of the last minute
        self._paused, self._rate = 0.0, 1.0
        self._turn = asyncio.Lock()

    def limit(self, kind):
        """The limit of "requests" or "tokens" a minute that holds now, or None."""
        known = [limit for limit in (self._own[kind], self._told[kind]) if limit]
        return min(known) if known else None

    async def turn(self, tokens):
        """Wait until a request of so many tokens may leave; it counts from then on. Requests leave in order.

        Returns what `correct` wants.
        """
        async with self._turn:
            while (wait := self._wait(tokens)) > 0:
                await self._sleep(min(wait, LOOK) if self.limit("tokens") else wait)
            now = self._clock()
            sent = [now, tokens]
            self._sent.append(sent)
            for kind, amount in (("requests", 1), ("tokens", tokens)):
                if self.limit(kind):
                    self._free[kind] = max(self._free[kind], now) + amount * MINUTE / (self._allowed(kind) * self._rate)
            return sent

    def correct(self, sent, tokens):
        """A request, `sent` by `turn`, took so many tokens, which may have been no more than a guess."""
        if self.limit("tokens"):
            self._free["tokens"] += (tokens - sent[1]) * MINUTE / (self._allowed("tokens") * self._rate)
        sent[1] = tokens

    def pause(self, seconds):
        """Let no request leave for so many seconds."""
        self._paused = max(self._paused, self._clock() + seconds)

    def refused(self):
        """The service had no room: go slower for a while. Of no effect where no limit is known."""
        self._rate = max(self._rate * SLOWER, LEAST)

    def answered(self, headers):
        """Take in an answer; headers: mapping that may hold x-ratelimit-limit-requests and -tokens."""
        self._rate = min(self._rate * FASTER, 1.0)
        for kind in self._told:
            value = headers.get(f"x-ratelimit-limit-{kind}")
            if value is not None and value.strip().isdigit() and int(value) > 0:
                self._told[kind] = int(value)

    def _allowed(self, kind):
        limit = self.limit(kind)
        return max(limit * SAFE, 1)

    def _wait(self, tokens):
        """Seconds until a request of so many tokens may leave."""
        now = self._clock()
        while self._sent and self._sent[0][0] <= now - MINUTE:
            self._sent.popleft()
        until = [self._paused, *(self._free[kind] for kind in self._free if self.limit(kind))]
        if self.limit("requests") and len(self._sent) >= (most := int(self._allowed("requests"))):
            until.append(self._sent[len(self._sent) - most][0] + MINUTE)
        if self.limit("tokens"):
            # A request above the limit leaves alone, once nothing else counts: no waiting would make it smaller.
            room = max(self._allowed("tokens"), tokens) - tokens - sum(own for _, own in self._sent)
            for when, own in self._sent:
                if room >= 0:
                    break
                room += own
                until.append(when + MINUTE)
        return max(until) - now
