"""Look after the cache: see what is in it, check it, make it small, clear it out.

examples:
  python scripts/cache.py info                        what is kept, of which model, and what it cost
  python scripts/cache.py verify                      read everything and check it against its checksums
  python scripts/cache.py compact                     merge many small files into few
  python scripts/cache.py prune --model MODEL         list what would be deleted
  python scripts/cache.py prune --model MODEL --yes   delete it

Readers and writers may be at work meanwhile. On a network file system, run compact and prune only while no other
machine uses the cache. The exit code is 0 if all is well, 1 if something is damaged, 2 if the command cannot be done.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tqdm import tqdm

from crosswalk import store_care
from crosswalk.errors import UserError


def main(arguments=None):
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.run is prune and not (options.model or options.older_than_days or options.damaged or options.unfinished):
        parser.error("say what to prune: --model, --older-than-days, --damaged or --unfinished")
    cache = Path(options.cache)
    if not cache.is_dir():
        if options.json:
            print("{}")
        print(f"{cache}: no cache there: nothing was embedded yet, or --cache should say where it is.", file=sys.stderr)
        return 0
    try:
        return options.run(cache, options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def info(cache, options):
    """What is in the cache."""
    found = store_care.info(cache / "embeddings")
    head = ["namespace", "model", "provider", "dimensions", "files", "vectors", "twice", "size", "tokens", "written"]
    rows = [
        [
            one["namespace"][:8],
            str(one["model"]),
            str(one["provider"]),
            str(one["dimensions"] or "?"),
            f"{one['segments']:,}",
            f"{one['vectors']:,}",
            f"{one['duplicates']:,}",
            _size(one["bytes"]),
            f"{one['tokens']:,}",
            _span(one["oldest"], one["newest"]),
        ]
        for one in found
    ]
    lines = _table([head, *rows]) if rows else [f"{cache}: no vectors."]
    for one in found:
        lines += [f"{one['namespace'][:8]}  tokens of {study}: {n:,}" for study, n in one["spent"].items() if study]
        lines += [f"{one['namespace'][:8]}  damaged: {name}" for name in one["damaged"]]
        lines += [f"{one['namespace'][:8]}  unfinished, or being written: {name}" for name in one["unfinished"]]
    others = _others(cache)
    lines += [f"{name}: {one['files']:,} files, {_size(one['bytes'])}" for name, one in others.items()]
    _show(options, {"embeddings": found, "others": others}, *lines)
    return int(any(one["damaged"] for one in found))


def verify(cache, options):
    """Whether everything in the cache is as it was written."""
    found = store_care.verify(cache / "embeddings", progress=lambda todo: tqdm(todo, unit="file", disable=None))
    read = f"{found.files:,} files, {found.vectors:,} vectors, {_size(found.bytes)}"
    lines = [f"{read}: {len(found.damage):,} damaged" if found.damage else f"{read}: all sound"]
    lines += [
        f"{cache / 'embeddings' / one.namespace / one.file}: {one.what}"
        + (f"; {one.sound:,} vectors in it are sound and stay in use" if one.sound else "")
        for one in found.damage
    ]
    if found.damage:
        lines.append(
            "What is damaged is never used: a run asks for it again. `prune --damaged` lists the files to delete."
        )
    _show(options, {**found._asdict(), "damage": [one._asdict() for one in found.damage]}, *lines)
    return int(bool(found.damage))


def compact(cache, options):
    """Many small files into few."""
    done = store_care.compact(cache / "embeddings", vectors=options.vectors, settled=options.settled)
    lines = [
        f"{one.namespace[:8]}  {one.segments[0]:,} -> {one.segments[1]:,} files, "
        f"{_size(one.bytes[0])} -> {_size(one.bytes[1])}"
        for one in done
    ]
    _show(options, [one._asdict() for one in done], *(lines or [f"{cache}: no vectors."]))
    return 0


def prune(cache, options):
    """Delete what is not wanted, or list it."""
    done = store_care.prune(
        cache / "embeddings",
        model=options.model,
        older_than_days=options.older_than_days,
        damaged=options.damaged,
        unfinished=options.unfinished,
        delete=options.yes,
    )
    lines = [f"{one.namespace[:8]}  {one.file}: {one.why}; {one.vectors:,} vectors, {_size(one.bytes)}" for one in done]
    total = (
        f"{len(done):,} files, {sum(one.vectors for one in done):,} vectors, {_size(sum(one.bytes for one in done))}"
    )
    lines.append(f"{total} deleted" if options.yes else f"{total} would be deleted; --yes deletes them")
    _show(options, {"deleted": options.yes, "files": [one._asdict() for one in done]}, *lines)
    return 0


def _parser():
    about, examples = __doc__.split("\n\n", 1)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cache", default="cache", help="the folder that the config calls `cache` (default: %(default)s)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser = argparse.ArgumentParser(
        description=about, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="info|verify|compact|prune")

    def command(run, text):
        made = commands.add_parser(run.__name__, parents=[common], help=text, description=text)
        made.set_defaults(run=run)
        return made

    command(info, "List the stores of vectors: model, files, vectors, size, tokens, age. Exit code 1 on damaged files.")
    command(verify, "Read every byte and check it against the checksums. Exit code 1 on damage.")
    merging = command(
        compact, "Merge small files into few. A kill at any moment loses nothing; damaged files are left."
    )
    merging.add_argument(
        "--vectors", type=_positive, default=store_care.VECTORS, help="of a merged file, at most (default: %(default)s)"
    )
    merging.add_argument(
        "--settled",
        type=float,
        default=store_care.SETTLED,
        metavar="SECONDS",
        help="leave files that are younger, as writers may still add older ones (default: %(default)s)",
    )
    pruning = command(
        prune,
        "List the files that meet all conditions, and with --yes delete them. What they cost is forgotten with them.",
    )
    pruning.add_argument("--model", help="only what this model made")
    pruning.add_argument(
        "--older-than-days",
        type=_positive,
        metavar="DAYS",
        help="only files all of whose vectors were written longer ago",
    )
    pruning.add_argument("--damaged", action="store_true", help="only damaged files, and what is sound in them")
    pruning.add_argument(
        "--unfinished", action="store_true", help="only what killed writers left behind, once it is a day old"
    )
    pruning.add_argument("--yes", action="store_true", help="delete; without it nothing is")
    return parser


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _others(cache):
    """Files and bytes of the other folders of the cache."""
    found = {}
    for folder in sorted(path for path in cache.iterdir() if path.is_dir() and path.name != "embeddings"):
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        found[folder.name] = {"files": len(sizes), "bytes": sum(sizes)}
    return found


def _show(options, value, *lines):
    if options.json:
        print(json.dumps(value, indent=2, sort_keys=True))
    else:
        print(*lines, sep="\n")


def _table(rows):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = [0, 1, 2, len(widths) - 1]  # to the left; numbers to the right
    return [
        "  ".join(
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _size(number):
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.4g} GB"


def _span(oldest, newest):
    if oldest is None:
        return "never"
    first, last = (time.strftime("%Y-%m-%d", time.localtime(at)) for at in (oldest, newest))
    return first if first == last else f"{first} to {last}"


if __name__ == "__main__":
    sys.exit(main())
