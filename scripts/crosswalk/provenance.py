"""What made a result: the versions of code and packages, the inputs, the settings, what it cost."""

import ast
import copy
import hashlib
import math
import os
import platform
import urllib.parse
from functools import cache
from importlib import metadata
from pathlib import Path


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
    for line in Path(requirements).read_text(encoding="utf-8").splitlines():
        name = line.split("#")[0].split(";")[0].partition("==")[0].strip()
        if name:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return dict(sorted(versions.items()))


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
        source = collection["source"]
        if "url" in source:
            source["url"] = public_url(source["url"])
        if "path" in source:
            one = isinstance(source["path"], str)
            source["path"] = public(source["path"]) if one else [public(path) for path in source["path"]]
    for matching in config.get("match", {}).values():
        for table in (matching.get("truth"), matching.get("alignment", {}).get("anchors")):
            if table:
                table["path"] = public(table["path"])
    for entry in config.get("recommend", {}).values():
        for table in (entry["tags"].get("source") or {}, entry.get("broader", {})):
            if "path" in table:
                one = isinstance(table["path"], str)
                table["path"] = public(table["path"]) if one else [public(path) for path in table["path"]]
        entry["new"] = {file: public(path) for file, path in entry.get("new", {}).items()}
    return config


def _finite(text):
    """A number that Snakemake wrote, or None where it wrote none."""
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
