"""The report: one self-contained HTML page of a run, made from the files that the run wrote.

Every text goes through the template's escaping; the page asks for nothing from outside and runs no script.
"""

import itertools
import json
import re
from collections import Counter
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup, escape

from crosswalk.match_sections import match_section
from crosswalk.recommend_sections import recommend_section
from crosswalk.relate_sections import study_section
from crosswalk.sections import collection_section, known

FOUND_FIRST = 8  # relations on the first screen; the rest unfolds
TEXT_CHARS = 2000  # characters of an example text; 20 texts a relation would otherwise fill megabytes
EXCERPT_CHARS = 220
NAMES = re.compile(r"(\(rather than )?\{([^{}]*)\}(\))?")  # how `naming` writes the names of a trait's ends


def render(collections, studies, matchings=(), recommenders=(), *, config, provenance):
    """Write the page.

    collections: list of Collection; studies, matchings, recommenders: lists of Study, Matching and Recommender, perhaps
    none of any; config: the merged config; provenance: dict.
    Returns HTML as str, the same for the same arguments. All are in the order of the page.
    """
    by_name = {c.name: c for c in collections}
    told = [
        study_section(s, by_name, config["relate"][s.name], config["report"], first=i == 0)
        for i, s in enumerate(studies)
    ]
    record = {key: _yaml(value) for key, value in provenance.items() if key not in ("config", "packages", "platform")}
    return _template().render(
        title=config.get("title") or " and ".join(_words(c.name) for c in collections),
        reasons=_reasons(collections),
        collections=[collection_section(c, config["collections"][c.name]) for c in collections],
        studies=_told_apart(told),
        matchings=_told_apart([match_section(m, by_name, config["match"][m.name]) for m in matchings]),
        recommenders=_told_apart([recommend_section(r, by_name, config["recommend"][r.name]) for r in recommenders]),
        # The record's config names no home folder.
        config=_yaml(provenance.get("config", config)),
        platform=provenance.get("platform", {}),
        packages=provenance.get("packages", {}),
        record=record,
    )


def _told_apart(sections):
    """The sections, those with one heading told apart by their names in the config."""
    times = Counter(section["heading"] for section in sections)
    for section in sections:
        if times[section["heading"]] > 1:
            section["heading"] += f" ({_words(section['name'])})"
    return sections


def _reasons(collections):
    """Every reason for which a row was rejected anywhere, the commonest first."""
    total = Counter()
    for c in collections:
        total.update(c.counts.get("rejected") or {})
    return sorted(total, key=lambda reason: (-total[reason], reason))


def _yaml(value):
    plain = json.loads(json.dumps(value, default=str))  # whatever kind of dict it was
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (_number, _whole, _chance, _percent, _cut, _marked, _words, _code)
    environment.filters |= {"inline": _inline()} | {show.__name__[1:]: show for show in shown}
    environment.tests["known"] = known
    environment.globals |= {"EXCERPT": EXCERPT_CHARS, "FIRST": FOUND_FIRST, "LONGEST": TEXT_CHARS}
    return environment.get_template("page.html.j2")


def _inline():
    """A filter that gives a figure ids that no other figure of the page has."""
    count = itertools.count(1)

    def inline(svg):
        return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>f{next(count)}-", svg)

    return inline


def _number(value, digits=2):
    """A number for people: a true minus, a dash where it is not known."""
    if not known(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−" if text.strip("-0.") else "")


def _whole(value):
    return f"{int(value):,}" if known(value) else "–"


def _chance(value):
    """A probability: as many digits as it has, never 0."""
    if not known(value):
        return "–"
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def _percent(share):
    """A share for people: a decimal where there are less than ten."""
    if not known(share):
        return "–"
    return f"{100 * share:.1f}" if 100 * share < 9.95 else f"{100 * share:.0f}"


def _marked(sentence):
    """A relation's sentence with names in bold instead of braces and what they are set against faint; all escaped."""
    marked, end = Markup(""), 0
    for found in NAMES.finditer(str(sentence)):
        marked += escape(sentence[end : found.start()])
        contrast, name, close = found.groups(default="")
        form = '<span class="soft">{0}{1}{2}</span>' if contrast else "{0}<b>{1}</b>{2}"
        marked += Markup(form).format(contrast, name, close)
        end = found.end()
    return marked + escape(sentence[end:])


def _code(sentence):
    """A sentence with what stands in backticks as code; all escaped."""
    parts = [escape(part) for part in str(sentence).split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def _cut(text, length=TEXT_CHARS):
    """The start of a text, ended at a word; what a browser could misread as control is left out."""
    text = "".join(c for c in str(text) if c in "\n\t" or not (ord(c) < 32 or 127 <= ord(c) < 160))
    if len(text) <= length:
        return text
    start = text[:length]
    return (start.rsplit(None, 1)[0] if " " in start[-60:] else start) + "\u00a0…"


def _words(name):
    return str(name).replace("_", " ")
