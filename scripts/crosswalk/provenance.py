"""What made a result: the versions of code and packages, the inputs, the settings, what it cost."""

import ast
import hashlib
import os
import platform
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


def file_digest(path):
    """SHA-256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def relative_paths(value, *, root):
    """A copy of a config in which every absolute path is made relative to `root`: a record names no home folder."""
    if isinstance(value, dict):
        return {key: relative_paths(sub, root=root) for key, sub in value.items()}
    if isinstance(value, list | tuple):
        return [relative_paths(sub, root=root) for sub in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return os.path.relpath(value, root)
    return value
