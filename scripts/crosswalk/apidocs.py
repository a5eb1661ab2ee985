"""The public documentation of an installed Python package as two linked tables: what can be called, its parameters.

The package is imported and its public modules are walked once; `docstring_parser` reads the parameter sections of
numpydoc, Google and reST docstrings, and reST markup becomes plain prose. Nothing is executed beyond the imports.
"""

import contextlib
import importlib
import inspect
import io
import logging
import pkgutil
import re
import textwrap
import warnings
from typing import NamedTuple

from docstring_parser import ParseError, google, numpydoc, rest

from crosswalk.errors import UserError

logger = logging.getLogger(__name__)

FUNCTION_FIELDS = ("id", "package", "module", "name", "summary", "description")
PARAMETER_FIELDS = ("id", "group", "package", "name", "type", "description")

# Parts of a module's dotted name that mark tests, vendored code and build tools.
PRIVATE_PARTS = frozenset({"conftest", "experimental", "externals", "f2py", "setup", "test", "tests", "testutils"})
# Modules that look public but are deprecated, machinery behind other modules, or copies of another module for another
# device; ".*" stands for everything below a module but not the module.
PRIVATE_MODULES = frozenset(
    {
        *("numpy.char", "numpy.core", "numpy.distutils", "numpy.lib.user_array", "numpy.matlib", "numpy.random.mtrand"),
        *("numpy.testing.*", "numpy.typing", "numpy.version"),
        *("pandas.compat", "pandas.core", "pandas.io", "pandas.util"),
        *("scipy.linalg.cython_blas", "scipy.linalg.cython_lapack", "scipy.misc", "scipy.special.cython_special"),
        *("sklearn.utils.estimator_checks", "sklearn.utils.fixes"),
        *("torch.ao", "torch.backends.*", "torch.contrib", "torch.cpu", "torch.cuda.*", "torch.distributed.*"),
        *("torch.export.*", "torch.fx", "torch.jit.*", "torch.mps", "torch.mtia", "torch.multiprocessing.*"),
        *("torch.nn.cpp", "torch.nn.intrinsic", "torch.nn.qat", "torch.nn.quantizable", "torch.nn.quantized"),
        *("torch.onnx", "torch.package", "torch.quantization", "torch.utils.benchmark", "torch.utils.bundled_inputs"),
        *("torch.utils.collect_env", "torch.utils.data.datapipes", "torch.utils.debug_log", "torch.utils.file_baton"),
        *("torch.utils.hipify", "torch.utils.mobile_optimizer", "torch.utils.model_dump", "torch.utils.tensorboard"),
        *("torch.utils.throughput_benchmark", "torch.xpu"),
    }
)
# Classes that are used through their methods and whose methods say what no function says. The methods of numpy.ndarray
# and torch.Tensor repeat functions ("Refer to numpy.sum"), those of scikit-learn's estimators repeat one another.
METHODS_OF = ("pandas.DataFrame", "pandas.Series", "pandas.Series.str", "pandas.Series.dt")

PARAMETER_SECTIONS = frozenset(
    {"parameters", "other parameters", "keyword parameters", "args", "arguments", "other arguments", "params"}
    | {"keyword args", "keyword arguments", "kwargs", "optional arguments", "optional args", "parameter"}
)
OTHER_SECTIONS = frozenset(
    {"attributes", "example", "examples", "inputs", "input", "methods", "note", "notes", "outputs", "output", "raises"}
    | {"references", "reference", "return", "returns", "see also", "shape", "variables", "warning", "warnings", "warns"}
    | {"yields", "receives", "example usage", "usage", "basic usage", "return value", "example use"}
)
NUMPY_HEAD = re.compile(r"^[ \t]*(?P<title>[A-Za-z][\w /()-]{2,48}?):?[ \t]*\n[ \t]*(?:-{3,}|={3,})[ \t]*$", re.M)
GOOGLE_HEAD = re.compile(r"^[ \t]*(?P<title>[A-Z][A-Za-z]+(?: [A-Za-z]+)?) ?::?[ \t]*$", re.M)
REST_FIELD = re.compile(r"^[ \t]*:(?:param|parameter|type|returns?|rtype|raises)\b[^:\n]*:", re.M)

ROLE = re.compile(r"(?P<role>(?::[A-Za-z][\w+.-]*)+):`(?P<content>[^`]+)`")
LITERAL = re.compile(r"``((?:[^\n]|\n(?!\s*\n))+?)``")
INTERPRETED = re.compile(r"(?<![\w`])`(?=\S)((?:[^`\n]|\n(?!\s*\n))+)(?<=\S)`_{0,2}")
TARGET = re.compile(r"^(.+?)\s*<[^<>]+>$", re.S)
FOOTNOTE = re.compile(r"\s*\[(?:\d+|#\w*|[A-Z][\w-]*)\]_")
EMPTY = re.compile(r"\s*\(\s*\)(?=[\s.,;])")
BOILERPLATE = re.compile(r"(?:^|(?<=[.!?])\s+)Read more in the User Guide\.?$")
LATEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathit|mathcal|operatorname)(?:\{\{([^{}]*)\}\}|\{([^{}]*)\})")
STRONG = re.compile(r"(?<![\w*\\])\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*(?![\w*])")
EMPHASIS = re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*\n]*?[^\s*])\*(?![\w*])")

DIRECTIVE = re.compile(r"^(?P<indent>[ \t]*)\.\.[ \t]+(?:(?P<name>[A-Za-z][\w:+-]*?) ?::(?:[ \t]|$)(?P<rest>.*)|.*)$")
PROSE_DIRECTIVES = frozenset({"attention", "caution", "danger", "hint", "important", "note", "tip", "warning"})
BULLET = re.compile(r"^[ \t]*(?:[-*+•]|\d+[.)]|\(\w\))[ \t]+(?=\S)")
TABLE_LINE = re.compile(r"^[ \t]*(?:={2,}(?:[ \t]+={2,})+|\+[-=+]{3,}|\|.*\||={4,}|-{4,})[ \t]*$")
NAME = re.compile(r"^\*{0,2}[A-Za-z_]\w*$")
GOOGLE_ITEM = re.compile(
    r"^\*{0,2}[A-Za-z_]\w*(?:[ \t]*(?:,|/|and|or)[ \t]*\*{0,2}[A-Za-z_]\w*)*[ \t]*(?:\(.*?\))?[ \t]*:(?!:)"
)
GOOGLE_OPEN = re.compile(r"^\*{0,2}[A-Za-z_]\w*[ \t]*\([^)]*$")
TYPE_GOES_ON = re.compile(r"^[ \t]+(?:default|optional|or|and|of)\b")
ALIAS = re.compile(r"^(?:Alias (?:for|of|to)|See|Refer to|Same as|Equivalent to|In-place version of)\s+\S+$", re.I)
SENTENCE_END = re.compile(r"(?<=[^.\s][.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=[A-Z])")


class Parameter(NamedTuple):
    """One documented parameter: its name without stars, its type as written ("" if none), and its description."""

    name: str
    type: str
    description: str


class Documentation(NamedTuple):
    """What a docstring says, as plain text."""

    summary: str
    description: str
    parameters: list[Parameter]


def walk(package: str) -> tuple[list[dict], list[dict]]:
    """Read the documentation of everything public and callable in a package.

    package: name of an installed package.
    Returns functions (dicts with FUNCTION_FIELDS, one for each function, ufunc or class that says what it does) and
    parameters (dicts with PARAMETER_FIELDS, one for each described parameter; `group` is the function's id), both
    sorted by id. Names that share one docstring are one row, under the shortest name. Exceptions, objects without a
    name of their own (such as scipy.stats.norm), bare pointers to another function and modules that cannot be imported
    are left out. Raises UserError if the package itself cannot be imported.
    """
    functions, parameters, failed = [], [], {}
    with _quietly():
        named = _shortest(_public(package, failed))
    for name, item in sorted(named.items()):
        documentation = read(_docstring(item))
        if not documentation.description or ALIAS.match(documentation.description.rstrip(".")):
            continue
        if inspect.isclass(item) and not documentation.parameters:
            documentation = documentation._replace(parameters=read(_own(item.__init__)).parameters)
        module, _, last = name.rpartition(".")
        row = (name, package, module, last, documentation.summary, documentation.description)
        functions.append(dict(zip(FUNCTION_FIELDS, row, strict=True)))
        for one in documentation.parameters:
            row = (f"{name}:{one.name}", name, package, one.name, one.type, one.description)
            parameters.append(dict(zip(PARAMETER_FIELDS, row, strict=True)))
    parameters.sort(key=lambda row: row["id"])
    for module, error in failed.items():
        logger.info("%s cannot be imported and is left out (%s: %s)", module, type(error).__name__, error)
    logger.info("%s: %d functions and classes, %d parameters", package, len(functions), len(parameters))
    return functions, parameters


def read(docstring: str) -> Documentation:
    """Parse one docstring of numpydoc, Google or reST style into plain text.

    The summary is the first sentence; the description is all prose before the first section, summary included, without
    signature lines, code, displayed formulas, tables and notes on versions. Parameters come in the order they are
    documented, the first of each name, and only those with a description.
    """
    text = _without_signature(inspect.cleandoc(docstring.expandtabs()))
    text = _inline(_without_directives(text))
    intro, bodies, parse = _sections(text)
    paragraphs = _paragraphs(intro)
    summary = SENTENCE_END.split(paragraphs[0], maxsplit=1)[0] if paragraphs else ""
    parameters = {}
    for body in bodies:
        for one in parse(body):
            for part in re.split(r"\s*(?:,|\||/|\band\b|\bor\b)\s*", (one.arg_name or "").replace("\\", "")):
                name = part.strip(" `'\"")
                said = "\n".join(_paragraphs(one.description or ""))
                if NAME.match(name) and said and not _heading(name):
                    parameters.setdefault(name.lstrip("*"), Parameter(name.lstrip("*"), _type(one.type_name), said))
    return Documentation(summary, "\n".join(paragraphs), list(parameters.values()))


@contextlib.contextmanager
def _quietly():
    """Keep what other people's code prints, warns of or logs off the screen."""
    level = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def _modules(package, failed):
    """Yield the public modules of a package, parents first; those that cannot be imported go to `failed` instead."""
    try:
        waiting = [importlib.import_module(package)]
    except Exception as error:
        raise UserError(
            f"source docs: the package {package!r} cannot be imported ({type(error).__name__}: {error}). "
            f"Install it beside Crosswalk (`.venv/bin/pip install {package}`) or take it out of `docs`."
        ) from error
    while waiting:
        module = waiting.pop(0)
        yield module
        if f"{module.__name__}.*" in PRIVATE_MODULES:
            continue
        for found in sorted(pkgutil.iter_modules(getattr(module, "__path__", [])), key=lambda found: found.name):
            name = f"{module.__name__}.{found.name}"
            if found.name.startswith("_") or found.name in PRIVATE_PARTS or name in PRIVATE_MODULES:
                continue
            try:
                waiting.append(importlib.import_module(name))
            except (Exception, SystemExit) as error:
                failed[name] = error


def _public(package, failed):
    """Yield (name, object) for every public name of every public module, and for the methods of METHODS_OF."""
    for module in _modules(package, failed):
        listed = getattr(module, "__all__", None)
        for name in sorted(set(vars(module) if listed is None else listed)):
            item = vars(module).get(name)
            if name.startswith("_") or not _callable(item):
                continue
            home = getattr(item, "__module__", None) or package
            inside = home == module.__name__ or home.startswith(module.__name__ + ".")
            if inside or (listed is not None and home.partition(".")[0] in (package, "builtins")):
                yield f"{module.__name__}.{name}", item
    seen = {}
    for path in METHODS_OF:
        root, *rest = path.split(".")
        if root != package:
            continue
        owner = importlib.import_module(root)
        for part in rest:
            owner = getattr(owner, part, None)
        for name in sorted(dir(owner)):
            item = inspect.getattr_static(owner, name, None)
            item = getattr(item, "__func__", item)
            # What a Series shares with a DataFrame is told once; an accessor's methods are things of their own.
            if (
                not name.startswith("_")
                and inspect.isroutine(item)
                and (len(rest) > 1 or seen.setdefault(name, path) == path)
            ):
                yield f"{path}.{name}", item


def _callable(item):
    if inspect.isclass(item):
        return not issubclass(item, BaseException)
    return callable(item) and isinstance(getattr(item, "__name__", None), str)


def _shortest(named):
    """{name: object}: of all names with one docstring the one with fewest dots, then fewest letters, then the first."""
    best = {}
    for name, item in named:
        text = _docstring(item)
        rank = (name.count("."), len(name), name)
        if text and (text not in best or rank < best[text][0]):
            best[text] = (rank, item)
    return {rank[2]: item for rank, item in best.values()}


def _own(item):
    text = getattr(item, "__doc__", None)
    return text if isinstance(text, str) else ""


def _docstring(item):
    """The object's docstring without what dataclass and Enum put there by themselves."""
    text = _own(item)
    return "" if inspect.isclass(item) and text.startswith(f"{item.__name__}(") and "\n" not in text else text


def _without_signature(text):
    """Drop leading lines such as `add(input, other, *, out=None) -> Tensor`."""
    while match := re.match(r"\s*[A-Za-z_][\w.]*\(", text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        tail = re.compile(r"[ \t]*(?:(?:->|→).*)?(?:\n|$)").match(text, end)
        if depth or not tail:
            break
        text = text[tail.end() :]
    return text.strip("\n")


def _without_directives(text):
    """Drop directives, comments, footnotes and link targets with their bodies; unwrap notes and warnings."""
    kept, skipping = [], None
    for line in text.split("\n"):
        indent = _indent(line)
        if skipping is not None and (not line.strip() or indent > skipping):
            continue
        skipping = None
        match = DIRECTIVE.match(line)
        if not match:
            kept.append(line)
        elif match["name"] in PROSE_DIRECTIVES and any(kept):
            kept.append(match["indent"] + "    " + match["rest"] if match["rest"] else "")
        else:
            skipping = indent
            kept.append("")
    return "\n".join(kept)


def _inline(text):
    """Roles, literals and links as the text a reader of the rendered page sees."""

    def role(match):
        content = match["content"]
        if match["role"] != ":math":
            content = TARGET.sub(r"\1", content)
            content = content[1:].rpartition(".")[2] if content.startswith("~") else content.lstrip("!")
        return content

    text = EMPTY.sub("", FOOTNOTE.sub("", text))
    text = LITERAL.sub(r"\1", ROLE.sub(role, text))
    text = INTERPRETED.sub(lambda match: TARGET.sub(r"\1", match[1]), text)
    return LATEX_TEXT.sub(lambda match: match[1] or match[2] or "", text).replace("\\_", "_")


def _sections(text):
    """(prose before the first section, bodies of the parameter sections, the parser that reads such a body)."""
    heads = [m for m in NUMPY_HEAD.finditer(text) if m["title"].strip().lower() in PARAMETER_SECTIONS | OTHER_SECTIONS]
    if heads:
        heads, parse = list(NUMPY_HEAD.finditer(text)), _numpydoc
    else:
        known = PARAMETER_SECTIONS | OTHER_SECTIONS
        heads = [m for m in GOOGLE_HEAD.finditer(text) if m["title"].lower() in known]
        parse = _google
    if not heads and (field := REST_FIELD.search(text)):
        return text[: field.start()], [text[field.start() :]], _rest
    if not heads:
        return text, [], parse
    ends = [*(head.start() for head in heads[1:]), len(text)]
    bodies = [
        text[head.start() : end].strip("\n")
        for head, end in zip(heads, ends, strict=True)
        if head["title"].strip().lower() in PARAMETER_SECTIONS
    ]
    return text[: heads[0].start()], bodies, parse


def _numpydoc(body):
    """Parameters of a numpydoc section; a type that runs over several lines is joined first.

    `body` starts with the heading and its underline, whose length the parser would insist on.
    """
    lines = []
    for line in textwrap.dedent("\n".join(body.split("\n")[2:])).split("\n"):
        head = lines[-1] if lines else ""
        unclosed = sum(head.count(c) for c in "([{") > sum(head.count(c) for c in ")]}")
        typed = bool(head) and not head[0].isspace() and ":" in head
        goes_on = head.rstrip().endswith(",") and TYPE_GOES_ON.match(line)
        if typed and line.strip() and line[0].isspace() and (unclosed or goes_on):
            lines[-1] = f"{head.rstrip()} {line.strip()}"
        else:
            lines.append(line)
    return numpydoc.parse("Parameters\n----------\n" + "\n".join(lines)).params


def _google(body):
    """Parameters of a Google section, which ends where a line is no further indented than its heading.

    Lines that only look like items are put back into the item before them; `body` starts with the heading.
    """
    heading, *rest = body.split("\n")
    start = next((i for i, line in enumerate(rest) if line.strip()), len(rest))
    if start == len(rest):
        return []
    base, outside = _indent(rest[start]), _indent(heading)
    lines = []
    for line in rest[start:]:
        if line.strip() and _indent(line) <= outside < base:
            break
        inner = line[base:] if _indent(line) >= base else "    " + line.strip()
        if lines and GOOGLE_OPEN.match(lines[-1]) and line.strip():
            lines[-1] = f"{lines[-1].rstrip()} {line.strip()}"
        elif not line.strip() or inner[0].isspace() or GOOGLE_ITEM.match(inner) or GOOGLE_OPEN.match(inner):
            lines.append(inner)
        elif lines:
            lines.append("    " + inner)
    if not lines:
        return []
    try:
        # The parser cleans its text as a docstring: without a first line at the margin it would lose the indentation.
        return google.parse("x\n\nArgs:\n" + textwrap.indent("\n".join(lines), "    ")).params
    except ParseError as error:
        logger.debug("a parameter section cannot be read: %s", error)
        return []


def _rest(body):
    try:
        return rest.parse("x\n\n" + body).params
    except ParseError as error:
        logger.debug("a field list cannot be read: %s", error)
        return []


def _indent(line):
    return len(line) - len(line.lstrip())


def _paragraphs(text):
    """Plain paragraphs of reST: no code, no tables, list items each on a line, white space folded."""
    found, current, indents = [], [], None
    lines = inspect.cleandoc(text).split("\n") if text.strip() else []
    code = literal = False
    for line in [*lines, ""]:
        indent = _indent(line)
        if literal and (not line.strip() or indent > indents):
            if not line.strip() and current:
                found.append(current)
                current = []
            continue
        literal = False
        if not line.strip():
            if current and not any(TABLE_LINE.match(one) for one in current):
                found.append(current)
            current, code = [], False
            continue
        code = code or line.lstrip().startswith(">>>")
        if code:
            continue
        if line.rstrip().endswith("::"):
            literal, indents, line = True, indent, line.rstrip()[:-1]
        current.append(line)
    items = []
    for paragraph in found:
        for number, line in enumerate(paragraph):
            if number == 0 or BULLET.match(line):
                items.append([])
            items[-1].append(BULLET.sub("- ", line).strip() if BULLET.match(line) else line.strip())
    plain = (
        EMPHASIS.sub(r"\1", STRONG.sub(r"\1", " ".join(" ".join(item).replace("`", "").split()))) for item in items
    )
    plain = (BOILERPLATE.sub("", one) for one in plain)
    return [one for one in plain if re.search(r"\w", one)]


def _heading(name):
    """Whether a word before a colon, such as `Warning` or `https`, is none of the parameters."""
    return name in ("cls", "https", "self") or (name[0].isupper() and name.lower() in OTHER_SECTIONS)


def _type(text):
    """The type without what it says of being optional or of the default."""
    text = re.sub(r"[,;]?\s*\(?\b(?:optional|default)\b.*$", "", " ".join(_paragraphs(text or "")), flags=re.S)
    return text.strip(" ,;")
