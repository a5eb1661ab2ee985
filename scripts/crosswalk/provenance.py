"""What made a result: the versions of code and packages, the inputs, the settings, the cost; how to repeat it."""

import ast
import copy
import hashlib
import json
import math
import os
import platform
import re
import shlex
import subprocess
import textwrap
import urllib.parse
from functools import cache
from importlib import metadata
from pathlib import Path

import yaml

from crosswalk.credentials import KEY_VARIABLE, URL_VARIABLE
from crosswalk.paths import source_paths

_VARIABLE = re.compile(r"\$\{?(\w+)")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)[^#;=]*(?:==\s*([^\s#;]+))?")


def code_version(script, *, root, extra=()):
    """Hash of a script, of every project module it imports and of the extra files.

    script: path of a Python file; root: folder that project imports are relative to; extra: other files (templates).
    Taken from the syntax tree without docstrings, so comments, layout and prose do not count.
    Returns 16 hexadecimal digits.
    """
    root, digest = Path(root), hashlib.blake2b(digest_size=8)
    todo, seen = [Path(script)], set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += _parsed(path, root)[1]
    for path in sorted(seen):
        digest.update(f"{path.relative_to(root)}\0{_parsed(path, root)[0]}\0".encode())
    for path in extra:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


@cache
def _parsed(path, root):
    """A module's code as the syntax tree has it, and the project files it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = []
        for name in names:
            base = root.joinpath(*name.split("."))
            imported |= {p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()}
        has_body = isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if has_body and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree), frozenset(imported)


def package_versions(requirements):
    """Installed version of each package that a requirements file names; those not installed are left out."""
    versions = {}
    for name in pinned(requirements):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return dict(sorted(versions.items()))


def pinned(requirements, *, until=None):
    """The packages that a requirements file names, each with the version it is pinned to, or "" without one.

    until: a line (a comment) behind which nothing is read.
    """
    lines = Path(requirements).read_text(encoding="utf-8").splitlines()
    found = map(_REQUIREMENT.match, lines[: lines.index(until)] if until in lines else lines)
    return {match[1]: match[2] or "" for match in found if match}


def release(root):
    """Version of the project in a folder and, where the folder is a git repository of its own, its commit.

    Returns a dict with version (as CITATION.cff has it), commit, and changed: whether files differ from that commit.
    None stands for what cannot be told.
    """
    try:
        version = yaml.safe_load(Path(root, "CITATION.cff").read_text(encoding="utf-8"))["version"]
    except (OSError, KeyError, yaml.YAMLError):
        version = None

    def git(*words):
        command = ["git", "-C", str(root), "--no-optional-locks", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != Path(root).resolve():
            raise OSError
        commit, changed = git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        commit = changed = None
    return {"version": version, "commit": commit, "changed": changed}


def platform_facts():
    """Python, system and machine, as far as they can change a result."""
    return {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}


def timings(folder, names):
    """Time and peak memory of the steps whose benchmark files are there and complete.

    folder: of Snakemake's benchmark files; names: their paths below it, without the ending.
    Returns a dict of name to a dict of seconds and, where it was measured, peak_mb.
    """
    found = {}
    for name in sorted(names):
        try:
            lines = (Path(folder) / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        cells = dict(zip(lines[0].split("\t"), lines[-1].split("\t"), strict=False)) if lines else {}
        measured = {"seconds": _finite(cells.get("s")), "peak_mb": _finite(cells.get("max_rss"))}
        if measured["seconds"] is not None:
            found[name] = {key: value for key, value in measured.items() if value is not None}
    return found


def public_url(url):
    """An address without user, query and fragment, which may hold a signature: for logs and records."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?...' if parts.query else ''}"


def public_config(config, *, root):
    """A copy of a checked config that names no home folder and holds no signed address.

    root: the working folder. Its files are named relative to it, those outside by their file name alone. Paths that
    start with a variable or with `~/` stay as they are written.
    """

    def public(path):
        if path.startswith(("$", "~/")):
            return path
        full = Path(os.path.normpath(Path(root, path)))
        return str(full.relative_to(root)) if full.is_relative_to(root) else full.name

    config = copy.deepcopy(config)
    config["cache"] = public(config["cache"])
    if "pathvars" in config:
        config["pathvars"] = {key: public(path) for key, path in config["pathvars"].items()}
    for collection in config["collections"].values():
        if "url" in collection["source"]:
            collection["source"]["url"] = public_url(collection["source"]["url"])
    for _, holder, key in _files(config):
        holder[key] = _each(public, holder[key])
    return config


def repeating_config(config, *, root, home):
    """A config that makes the same results again, and what has to be known besides.

    config: a checked config; root: the working folder; home: the user's home folder. Files in the working folder are
    named relative to it and files in the home folder by `~/`; others, the cache and the folders of results are named
    as they were given. Users, queries and fragments of addresses may be secret and are left out.
    Returns the config, its keys in the order given, and the names of keys with an address that is not whole.
    """
    home = Path(home) if Path(home) != Path(home).parent else None

    def local(path, home=None):
        full = Path(os.path.normpath(path))
        if full.is_relative_to(root):
            return str(full.relative_to(root))
        return f"~/{full.relative_to(home)}" if home and full.is_relative_to(home) else path

    config, cut = _plain(config), []
    config["cache"] = local(config["cache"])
    if "pathvars" in config:
        config["pathvars"] = {key: local(path) for key, path in config["pathvars"].items()}
    for name, collection in config["collections"].items():
        url = collection["source"].get("url")
        if url is not None and public_url(url) != url:
            collection["source"]["url"] = public_url(url)
            cut.append(f"collections.{name}.source.url")
    for _, holder, key in _files(config):
        holder[key] = _each(lambda path: local(path, home), holder[key])
    return config, cut


def named_files(config):
    """The files that a config names besides the sources of its collections: a dict of key to a list of paths."""
    named = {name: source_paths({"path": holder[key]}) for name, holder, key in _files(config)}
    return {name: paths for name, paths in named.items() if not name.startswith("collections.")}


def repeatable(config, record, *, path, cut, pins, direct, environment):
    """The text of a config file that makes the same results again; its head says how, and with what.

    config, cut: from `repeating_config`; record: what provenance.json holds; path: where the text will be; pins: the
    packages of the lock with their versions; direct: those that the project imports itself; environment: variables.
    """
    made, installed, facts = record["crosswalk"], record["packages"], record["platform"]
    version, back = f"Crosswalk {made['version'] or '(version unknown)'}", "make .venv/ready"
    if made["commit"]:
        back = f"git checkout {made['commit']} && {back}"
        version += f", commit {made['commit']}{', with changes that were not committed' if made['changed'] else ''}"
    other = [f"{name} {v} (lock: {pins[name]})" for name, v in installed.items() if pins.get(name, v) != v]
    lines = [
        "The settings of these results. They make the same results again:",
        "",
        f"  cp {shlex.quote(str(path))} again.yaml",
        "  snakemake --cores 2 --configfile again.yaml",
        "",
        *_wrapped(
            "This writes to the same folder, and runs only what is not there. To keep both, name another folder in "
            "the copy (pathvars.results). Then `python scripts/compare_provenance.py OLD NEW`, with the two folders, "
            "says what they were made from that is not the same."
        ),
        "",
        *_wrapped(f"Made by {version}; Python {facts['python']}, {facts['system']}, {facts['machine']}; with"),
        *_wrapped(", ".join(f"{name} {installed[name]}" for name in direct if name in installed), "  "),
        "All packages, and a digest of the code of each step, are in provenance.json. To have them again:",
        f"  {back}   # installs envs/requirements.lock",
        *(_wrapped(f"Other than the lock says, there were {', '.join(other)}.") if other else []),
        "",
        "Read were, with their sha256:",
        *(f"  {name} {value}" for name, value in inputs_of(record)),
    ]
    needed = _needed(config, cut, environment)
    if needed:
        lines += ["", "Not in this file, and needed:", *(line for one in needed for line in _wrapped(one, "  "))]
    rooted = [name for name, path in _paths(config) if any(Path(one).is_absolute() for one in _listed(path))]
    if rooted:
        lines += ["", *_wrapped(f"Paths of the machine they were made on: {', '.join(rooted)}.")]
    # What is not printable could end the comment.
    head = ("".join(c if c.isprintable() else "?" for c in f"# {line}".rstrip()) for line in lines)
    return "\n".join(head) + "\n\n" + yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120)


def differences(old, new):
    """What is not the same in two records that two runs left in provenance.json, as sentences; none if all is.

    Compared are the version, the inputs, the settings but for folders, Python and system, packages, and code.
    """
    found = []
    for key in ("version", "commit", "changed"):
        before, after = (record.get("crosswalk", {}).get(key) for record in (old, new))
        if before != after:
            label = "files changed since the commit" if key == "changed" else key
            found.append(f"Crosswalk, {label}: {_shown(before)} before, {_shown(after)} now")
    inputs = [dict(inputs_of(record)) for record in (old, new)]
    found += _changes(*inputs, "input {}", lambda *_: "has other content now")
    settings = [_flat(record.get("config", {})) for record in (old, new)]
    found += _changes(*settings, "setting {}")
    found += _changes(old.get("platform", {}), new.get("platform", {}), "{}")
    found += _changes(old.get("packages", {}), new.get("packages", {}), "package {}")
    codes = [record.get("code", {}) for record in (old, new)]
    other = sorted(name for name in codes[0].keys() | codes[1].keys() if codes[0].get(name) != codes[1].get(name))
    if other:
        found.append(f"code: that of {', '.join(other)} is not the same")
    return found


def inputs_of(record):
    """Name and sha256 of each file that was read, of what provenance.json holds."""
    for name, counts in record.get("collections", {}).items():
        for file, value in zip(counts["source"], counts["sha256"], strict=True):
            yield f"collections.{name} {file}", value
    for name, files in record.get("files", {}).items():
        for file, value in files.items():
            yield f"{name} {file}", value


def _files(config):
    """Where a config names files: the key's name, the dict that has it, and its key; the value is a path or a list."""
    places = [(f"collections.{name}.source", one["source"]) for name, one in config["collections"].items()]
    for name, entry in config.get("match", {}).items():
        places.append((f"match.{name}.truth", entry.get("truth")))
        places.append((f"match.{name}.alignment.anchors", entry.get("alignment", {}).get("anchors")))
    for name, entry in config.get("recommend", {}).items():
        places.append((f"recommend.{name}.tags.source", entry["tags"].get("source")))
        places.append((f"recommend.{name}.broader", entry.get("broader")))
    found = [(f"{name}.path", holder, "path") for name, holder in places if holder and "path" in holder]
    for name, entry in config.get("recommend", {}).items():
        new = entry.setdefault("new", {})
        found += [(f"recommend.{name}.new.{file}", new, file) for file in new]
    return found


def _paths(config):
    """Name and value of each key with a path, folders included."""
    yield "cache", config["cache"]
    yield from ((f"pathvars.{key}", path) for key, path in config.get("pathvars", {}).items())
    yield from ((name, holder[key]) for name, holder, key in _files(config))


def _listed(value):
    """A path, or a list of them, as a list."""
    return [value] if isinstance(value, str) else value


def _each(change, value):
    """A path, or each of a list of paths, changed."""
    return change(value) if isinstance(value, str) else [change(path) for path in value]


def _plain(value):
    """A copy of a config, of nothing but dicts, lists and single values."""
    if isinstance(value, dict):
        return {key: _plain(sub) for key, sub in value.items()}
    return [_plain(sub) for sub in value] if isinstance(value, list) else value


def _needed(config, cut, environment):
    """What whoever repeats a run has to bring along, as sentences."""
    needed = [
        f"{name}: what stood before the name of the host or behind `?` may be secret and was not kept" for name in cut
    ]
    variables = {name for _, path in _paths(config) for one in _listed(path) for name in _VARIABLE.findall(one)}
    needed += [
        f"${name} in the environment: the folder of the files that are named by it" for name in sorted(variables)
    ]
    if _asks(config):
        needed.append(f"${KEY_VARIABLE} in the environment; what is still in the cache is not paid for again")
        if environment.get(URL_VARIABLE):
            needed.append(f"${URL_VARIABLE} in the environment, as it was set")
    return needed


def _asks(config):
    """Whether anything in a config asks a paid service."""
    if isinstance(config, dict):
        return config.get("provider") == "openai" or any(_asks(value) for value in config.values())
    return False


def _flat(config, name=""):
    """The settings that can change a result, by dotted name."""
    if not isinstance(config, dict):
        return {name: config}
    parts = ((f"{name}.{key}" if name else key, value) for key, value in config.items())
    return {k: v for key, value in parts if key not in ("pathvars", "cache") for k, v in _flat(value, key).items()}


def _changes(old, new, label, tell=None):
    """A sentence for each key that is new, gone or has another value."""
    tell = tell or (lambda before, after: f"{_shown(before)} before, {_shown(after)} now")
    sentences = []
    for key in sorted(old.keys() | new.keys()):
        name = label.format(key)
        if key not in new:
            sentences.append(f"{name}: not there any more")
        elif key not in old:
            sentences.append(f"{name}: was not there before")
        elif old[key] != new[key]:
            sentences.append(f"{name}: {tell(old[key], new[key])}")
    return sentences


def _shown(value):
    return "unknown" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _wrapped(text, indent=""):
    return textwrap.wrap(text, 117, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _finite(text):
    """A number that Snakemake wrote, or None where it wrote none."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
