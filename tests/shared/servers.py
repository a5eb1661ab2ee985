"""Servers on this machine for tests: one of files, two that answer as paid services of embeddings and of chat do."""

import asyncio
import base64
import functools
import http.server
import json
import threading

import numpy as np

from crosswalk import service

WIDTH = 8


class FakeTime:
    """Stands in for the clock and the pauses of `crosswalk.service`; waits: seconds of each pause."""

    def __init__(self, monkeypatch):
        self.now, self.waits = 1000.0, []
        monkeypatch.setattr(service, "now", lambda: self.now)
        monkeypatch.setattr(service, "nap", self.nap)

    async def nap(self, seconds):
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def vector(text, width=WIDTH):
    """A unit vector that is the text's own."""
    values = np.random.default_rng(list(text.encode())).standard_normal(width)
    return (values / np.linalg.norm(values)).astype(np.float32)


def good(request, width=None, model=None):
    """What a service that works answers; width: of its vectors, by default as asked."""
    width = width or request.get("dimensions", WIDTH)
    rows = []
    for index, text in enumerate(request["input"]):
        values = vector(text, width).astype("<f4")
        encoded = request.get("encoding_format") == "base64"
        rows.append({
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(values.tobytes()).decode() if encoded else values.tolist(),
        })  # fmt: skip
    tokens = sum(len(text) for text in request["input"])
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": model or request["model"], "usage": usage}


def said(request, content='{"word": "yes"}', *, refusal=None, finish="stop", model=None):
    """What a chat service that works answers."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return {"object": "chat.completion", "choices": [choice], "model": model or request["model"], "usage": usage}


class Server:
    """A server in a thread, from `with` to its end; origin: its address."""

    def __init__(self, handler):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class EmbeddingService(Server):
    """Speaks /v1/embeddings; `script` holds the answers to give first, one a request, as functions of the request."""

    path, answer = "/v1/embeddings", staticmethod(good)

    def __init__(self):
        self.script, self.requests, self.headers = [], [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(request)
                outer.headers.append(dict(self.headers))
                if self.path != outer.path:
                    self.send_error(404)
                    return
                answer = (outer.script.pop(0) if outer.script else outer.answer)(request)
                if answer is None:
                    self.close_connection = True
                    return
                status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
                body = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(Handler)
        self.url = f"{self.origin}/v1"


class ChatService(EmbeddingService):
    """Speaks /v1/chat/completions in the same way; `answer` may be set to another function of the request."""

    path, answer = "/v1/chat/completions", staticmethod(said)


class FileServer(Server):
    """Serves one file at every address, as its fields say; `asked` has the Range of each request."""

    def __init__(self, data):
        self.data, self.etag, self.ranges, self.drops, self.status, self.asked = data, '"v1"', True, [], 0, []
        super().__init__(functools.partial(_FileHandler, self))


class _FileHandler(http.server.BaseHTTPRequestHandler):
    """Serves `site.data` as the site's fields say, and keeps what was asked."""

    def __init__(self, site, *args):
        self.site = site
        super().__init__(*args)

    def do_GET(self):
        site = self.site
        span = self.headers.get("Range")
        site.asked.append(span)
        if site.status:
            self.send_error(site.status.pop(0) if isinstance(site.status, list) else site.status)
            return
        fresh = self.headers.get("If-Range") in (None, site.etag)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and site.ranges and fresh else 0
        if span and start >= len(site.data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.data)}")
            self.end_headers()
            return
        body = site.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if site.etag:
            self.send_header("ETag", site.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.data) - 1}/{len(site.data)}")
        self.end_headers()
        sent = site.drops.pop(0) if site.drops else len(body)
        self.wfile.write(body[:sent])

    def log_message(self, *_):
        pass
