"""A server on this machine that answers as OpenAI's Files and Batch APIs do: with a plan for each batch, and faults."""

import contextlib
import email
import email.policy
import http.server
import json
import random
import re
import threading
import time
from collections import Counter

from servers import Server, good

STATUSES = ("validating", "in_progress", "finalizing", "completed")
ENDED = {"completed", "failed", "expired", "cancelled"}


def answered(request, **changes):
    """The output line of a request that worked; changes: fields of the body."""
    body = {**good(request["body"]), **changes}
    response = {"status_code": 200, "request_id": "req_1", "body": body}
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": None}


def refused(request, status=400, message="bad input", code=None):
    """The error line of a request that the model refused."""
    body = {"error": {"message": message, "type": "invalid_request_error", "code": code}}
    response = {"status_code": status, "request_id": "req_1", "body": body}
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": None}


def unreached(request, code="batch_expired"):
    """The error line of a request that the batch did not come to."""
    error = {"code": code, "message": "This request could not be executed before the completion window expired."}
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": None, "error": error}


class BatchService(Server):
    """Speaks /v1/files and /v1/batches.

    plans: for the batches to come, in order, dicts of: statuses (one a look, the last stays), answer (function of a
    request line to an output line, an error line, or None for neither), errors (of a batch that fails), garble
    (function of the bytes of the output file). faults: kind of request ("upload", "file", "create", "list", "retrieve",
    "content") -> list of what to do instead, one a request: an HTTP status or (status, headers, code), "drop" (do
    nothing), "deaf" (do it, but close without an answer), "html", "half" (break off in the body), None (answer well),
    or a function that is called before the request is answered well. afterwards: kind -> list of functions, one a
    request, called once it is done and before it is answered. queue: bytes of text that may wait at once, None
    for any number. delay: seconds before each answer; page: batches of a page of the list.

    billed: Counter of texts, at the moment that a batch of them is made and not refused; asked: Counter of kinds;
    heard: everything that was sent, as bytes.
    """

    def __init__(self, **settings):
        self.plans, self.faults, self.afterwards = [], {}, {}
        self.queue, self.delay, self.page = None, 0.0, 2
        self.files, self.batches, self.billed, self.asked, self.heard = {}, {}, Counter(), Counter(), []
        self.lock, self.random = threading.Lock(), random.Random(0)
        for name, value in settings.items():
            setattr(self, name, value)
        outer = self

        class Handler(_Handler):
            service = outer

        super().__init__(Handler)
        self.url = f"{self.origin}/v1"

    def requests(self, batch):
        """The request lines of a batch."""
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    def upload(self, name, content):
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = content
        return self.about_file(file_id, name)

    def about_file(self, file_id, name="input.jsonl"):
        size = len(self.files[file_id])
        about = {"id": file_id, "object": "file", "bytes": size, "created_at": 1, "filename": name}
        return {**about, "purpose": "batch", "status": "processed"}

    def create(self, asked):
        assert asked["endpoint"] == "/v1/embeddings" and asked["completion_window"] == "24h"
        plan = self.plans.pop(0) if self.plans else {}
        batch = {
            "id": f"batch_{len(self.batches) + 1}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "created_at": int(time.time()),
            "metadata": asked.get("metadata"),
            "status": "validating",
            "plan": {"statuses": list(STATUSES), **plan},
        }
        requests = self.requests(batch)
        batch["size"] = sum(len(text.encode()) for request in requests for text in request["body"]["input"])
        waiting = sum(other["size"] for other in self.batches.values() if other["status"] not in ENDED)
        if self.queue is not None and waiting + batch["size"] > self.queue:
            error = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached for toy-model"}
            batch["plan"] = {"statuses": ["failed"], "errors": [error]}
        self.batches[batch["id"]] = batch
        batch["plan"]["statuses"] = list(batch["plan"]["statuses"])
        batch["request_counts"] = {"total": len(requests), "completed": 0, "failed": 0}
        if batch["plan"]["statuses"][-1] != "failed":
            for request in requests:
                outcome = batch["plan"].get("answer", answered)(request)
                if outcome and outcome["response"] and outcome["response"]["status_code"] == 200:
                    self.billed.update(request["body"]["input"])
        return self.public(batch)

    def look(self, batch):
        """One step on through its statuses."""
        statuses = batch["plan"]["statuses"]
        batch["status"] = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if batch["status"] in ENDED and "ended" not in batch:
            batch["ended"] = True
            self.end(batch)
        return self.public(batch)

    def end(self, batch):
        plan = batch["plan"]
        if batch["status"] == "failed":
            batch["errors"] = {"object": "list", "data": plan.get("errors", [])}
            return
        requests = self.requests(batch)
        outcomes = [plan.get("answer", answered)(request) for request in requests]
        self.random.shuffle(outcomes)
        fine, bad = [], []
        for outcome in filter(None, outcomes):
            ok = outcome["response"] and outcome["response"]["status_code"] == 200
            (fine if ok else bad).append(json.dumps(outcome).encode() + b"\n")
        batch["request_counts"] = {"total": len(requests), "completed": len(fine), "failed": len(bad)}
        for field, lines in (("output_file_id", fine), ("error_file_id", bad)):
            if lines:
                batch[field] = f"file-{len(self.files) + 1}"
                self.files[batch[field]] = b"".join(lines)
        if fine and "garble" in plan:
            self.files[batch["output_file_id"]] = plan["garble"](self.files[batch["output_file_id"]])

    def public(self, batch):
        return {key: value for key, value in batch.items() if key not in ("plan", "size", "ended")}

    def listed(self, after):
        newest = list(self.batches.values())[::-1]
        start = 1 + [batch["id"] for batch in newest].index(after) if after else 0
        part = newest[start : start + self.page]
        more = start + self.page < len(newest)
        return {"object": "list", "data": [self.public(batch) for batch in part], "has_more": more}


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request: its fault if there is one, else what the service says."""

    service: BatchService
    protocol_version = "HTTP/1.1"

    ROUTES = (
        ("upload", "POST", r"/v1/files"),
        ("content", "GET", r"/v1/files/([^/]+)/content"),
        ("file", "GET", r"/v1/files/([^/]+)"),
        ("create", "POST", r"/v1/batches"),
        ("cancel", "POST", r"/v1/batches/([^/]+)/cancel"),
        ("list", "GET", r"/v1/batches(?:\?(.*))?"),
        ("retrieve", "GET", r"/v1/batches/([^/]+)"),
    )

    def do_GET(self):
        self._serve(b"")

    def do_POST(self):
        self._serve(self.rfile.read(int(self.headers["Content-Length"] or 0)) if self._sized() else self._chunks())

    def _sized(self):
        return self.headers["Transfer-Encoding"] != "chunked"

    def _chunks(self):
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _serve(self, sent):
        service = self.service
        kind, match = next(
            (
                (kind, found)
                for kind, method, pattern in self.ROUTES
                if method == self.command and (found := re.fullmatch(pattern, self.path))
            ),
            ("none", None),
        )
        with service.lock:
            service.asked[kind] += 1
            service.heard.append(sent)
            fault = service.faults[kind].pop(0) if service.faults.get(kind) else None
        if service.delay:
            time.sleep(service.delay)
        if callable(fault):
            fault()
            fault = None
        if fault == "drop":
            self.close_connection = True
            return
        if isinstance(fault, int | tuple):
            status, headers, code = fault if isinstance(fault, tuple) else (fault, {}, None)
            error = {"error": {"message": f"no luck {self.headers['Authorization']}", "type": "error", "code": code}}
            self._say(status, json.dumps(error).encode(), headers)
            return
        if fault == "html":
            self._say(200, b"<html>try later</html>", kind="text/html")
            return
        with service.lock:
            status, body = self._answer(kind, match, sent)
        if service.afterwards.get(kind):
            service.afterwards[kind].pop(0)()
        if fault == "deaf":
            self.close_connection = True
            return
        self._say(status, body, half=fault == "half", kind="application/octet-stream" if kind == "content" else None)

    def _answer(self, kind, match, sent):
        service = self.service
        missing = 404, json.dumps({"error": {"message": "no such thing", "code": None}}).encode()
        name = match.group(1) if match and match.groups() else None
        if kind == "none" or (kind in ("content", "file") and name not in service.files):
            return missing
        if kind in ("retrieve", "cancel") and name not in service.batches:
            return missing
        if kind == "content":
            return 200, service.files[name]
        if kind == "upload":
            fields, name, content = self._form(sent)
            assert fields == {"purpose": "batch"} and name.endswith(".jsonl")
            said = service.upload(name, content)
        elif kind == "file":
            said = service.about_file(name)
        elif kind == "create":
            said = service.create(json.loads(sent))
        elif kind == "list":
            said = service.listed(dict(pair.split("=") for pair in (name or "").split("&") if pair).get("after"))
        elif kind == "cancel":
            service.batches[name]["plan"]["statuses"] = ["cancelling", "cancelled"]
            said = service.public(service.batches[name])
        else:
            said = service.look(service.batches[name])
        return 200, json.dumps(said).encode()

    def _form(self, sent):
        head = b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n"
        form = email.message_from_bytes(head + sent, policy=email.policy.HTTP)
        fields, name, content = {}, None, None
        for part in form.iter_parts():
            value = part.get_payload(decode=True)
            if part.get_filename():
                name, content = part.get_filename(), value
            else:
                fields[part.get_param("name", header="content-disposition")] = value.decode()
        return fields, name, content

    def _say(self, status, body, headers=None, *, half=False, kind=None):
        self.send_response(status)
        self.send_header("Content-Type", kind or "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        with contextlib.suppress(OSError):  # who asked may be dead
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if half else body)
        if half:
            self.close_connection = True

    def log_message(self, *_):
        pass
