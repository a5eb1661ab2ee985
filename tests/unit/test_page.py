"""The report tells a run to its end, whatever its texts hold, and asks for nothing from outside."""

import json
import logging
import re
import runpy
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from safetensors.numpy import load_file, save_file

from crosswalk.files import write_csv, write_json, write_parquet, write_vectors
from crosswalk.power import power_table
from crosswalk.relate_sections import drawn

HOSTILE = [
    "<script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)>",
    "\"quotes\" 'single' `ticks` </textarea></style></title> --> ]]> {{ 7 * 7 }} {% raw %} &amp; $x^2$",
    "‏שלום עולם مرحبا بالعالم ‮reversed‬ and back",
    "emoji 👩‍🚀🧪🏳️‍🌈 and 漢字 and a\x00b\x1bc",
    "A long text about nothing much. " * 320,
]
WIDTH, ITEMS, REPLIES, TESTED = 24, 60, 2, 57
# What was folded into a relation, for its number's remainder by three.
ALSO = (None, "axes 3-3; topk-8/seed-42 1-2; topk-8/seed-42 <b>-4; dense-8/seed-42 5-5", "axes 4-4")


class Run:
    """A run's files with made-up numbers; `page()` renders them through the entry script."""

    def __init__(self, folder, *, items=ITEMS, width=WIDTH, dims=(4, 8), encoders=("dense", "topk"), seeds=(42,)):
        self.folder, self.rng, self.width, self.items = folder, np.random.default_rng(3), width, items
        self.settings = {"clusters": 5, "max_clusters": 8, "weights": 10}
        self.input = {key: [] for key in _LISTS}
        self.params = {
            key: [] for key in ("collections", "encodings", "choices", "relations", "correlations", "matchings")
        }
        self.params["told"] = {key: [] for key in _TOLD}
        self.config = {"title": "Papers & <reviews>", "collections": {}, "relate": {}, "report": self.settings}
        self.encodings = [(e, d, s) for e in encoders for d in dims for s in seeds]
        self.collection("papers", items)
        self.collection("reviews", items * REPLIES, link="papers")
        record = {
            "packages": {"numpy": "2.4"},
            "platform": {"python": "3.11"},
            "collections": {"papers": {"sha": "ab"}},
        }
        write_json(folder / "provenance.json", record)

    def collection(self, name, count, link=None):
        rng = self.rng
        ids = [f"{name}-{i}" for i in range(count)]
        texts = HOSTILE + [f"{name} {i}: " + "plain words here " * (i % 40) for i in range(len(HOSTILE), count)]
        groups = [f"papers-{i % self.items}" for i in range(count)]
        label = [json.dumps(["odd" if i % 2 else "<b>even</b>"]) for i in range(count)]
        centres = rng.normal(size=(6, self.width))
        vectors = centres[rng.integers(0, 6, count)] + rng.normal(size=(count, self.width))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = pd.DataFrame({"id": ids, "group": groups, "text": texts, "label": label})
        write_parquet(self.add("rows", f"collections/{name}.parquet"), rows)
        counts = {"read": count + 31, "kept": count, "rejected": {"empty text": 30, "a <b> reason": 1}, "cut": 1}
        write_json(self.add("counts", f"collections/{name}.counts.json"), counts | {"source": ["<i>file.jsonl.gz"]})
        usage = {"texts": count, "distinct": count - 2, "cached": 5, "embedded": count - 7, "tokens": 1234, "cut": 0}
        write_json(self.add("usage", f"embeddings/{name}.usage.json"), usage | {"requests": 1, "seconds": 2.5})
        about = {"provider": "local", "model": "all-MiniLM-L6-v2", "dimensions": self.width}
        write_vectors(self.add("vectors", f"embeddings/{name}.arrow"), ids, vectors, metadata=about)
        codes = []
        for encoder, dim, seed in self.encodings:
            self.params["encodings"].append([name, encoder, dim, seed])
            place = f"encodings/{name}/{encoder}-{dim}/seed-{seed}"
            dim = 6 if dim == "auto" else dim
            weight = rng.normal(size=(dim, self.width)).astype(np.float32)
            scale = vectors.std(0).astype(np.float32)
            code = ((vectors - vectors.mean(0)) / scale @ weight.T / self.width).astype(np.float32)
            codes.append(self.add("codes", f"{place}/encoding.arrow"))
            write_vectors(codes[-1], ids, code, column="code")
            model = {"mean": vectors.mean(0).astype(np.float32), "scale": scale}
            model |= {"encoder.weight": weight, "decoder.weight": np.ascontiguousarray(weight.T)}
            model |= {"encoder.bias": np.zeros(dim, np.float32), "decoder.bias": np.zeros(self.width, np.float32)}
            save_file(model, self.add("models", f"{place}/model.safetensors"))
            epoch = np.arange(1, 101)
            loss = dim**-0.3 * (0.3 + np.exp(-epoch / 9)) + 0.004 * rng.random(100)
            history = {"epoch": epoch, "loss": loss, "reconstruction_error": loss, "explained_variance": 1 - loss}
            write_csv(self.add("histories", f"{place}/history.csv"), pd.DataFrame(history).assign(dead_units=1))
        config = {"contrast": {"column": "label", "values": ["odd", "<b>even</b>"], "min_count": 0}}
        self.config["collections"][name] = config | ({"link": {"to": link}} if link else {})
        self.params["collections"].append(name)
        given = Named(rows=self.input["rows"][-1], vectors=self.input["vectors"][-1], codes=codes)
        output = Named({k: self.add(k, f"describe/{name}/{k}.{e}") for k, e in _DESCRIBED.items()})
        entry("describe", given, output, SimpleNamespace(settings=self.settings, seed=42))
        names = ["{}-{}/seed-{}".format(*e) for e in self.encodings]
        compared = SimpleNamespace(names=names, contrast=config["contrast"])
        entry("contrast", given, [self.add("contrast", f"describe/{name}/contrast.csv")], compared)

    def relate(
        self, name="papers_reviews", *, confirmed=6, others=3, method="cross_fitted", beyond=(0.1, 0.4), lists=None,
        phrases=(), changed=None, units=None, least=0.12,
    ):  # fmt: skip
        """A relation with a plain list; lists: further ones, name -> (confirmed, others); phrases: (x, y) of the list
        "focus", in order; changed: columns of the first relation that are not as the others'; units: of y's codes, if
        not as many as x's; least: least r that could have been confirmed."""
        rng, sizes = self.rng, {"plain": (confirmed, others), **(lists or {})}
        of = np.repeat([*sizes], [sum(size) for size in sizes.values()])
        sure = np.concatenate([np.arange(sum(size)) < size[0] for size in sizes.values()]).astype(bool)
        total = len(of)
        number = np.arange(1, total + 1)
        r = np.linspace(0.68, 0.05, total)
        tested = np.nan if method == "as_published" else 1.0
        kind = np.where(of == "focus", "focus", np.where(number % 3 == 0, "pair", "axis"))
        encoder = np.where(kind == "pair", "topk-8/seed-42", "axes").astype(object)
        encoder[of == "focus"] = [f"focus-{i + 1}-xy" for i in range((of == "focus").sum())][::-1]
        relations = pd.DataFrame(
            {
                "relation": number, "list": of, "kind": kind, "encoder": encoder,
                "x_unit": number % 4, "y_unit": (number + 1) % 4, "r": r, "r_low": (r - 0.07) * tested,
                "r_high": (r + 0.07) * tested, "p": np.where(sure, 0.000999, 0.3) * tested,
                "q": np.where(sure, 0.004, 0.6) * tested, "confirmed": sure,
                "strict": sure & (number <= confirmed // 2),
                "n": self.items, "echo": np.linspace(0.9, 0.1, total), "beyond": np.linspace(*beyond, total),
                "stability": 0.8, "also": [ALSO[n % 3] for n in number],
                "x_high": "reinforcement, policy, <script>", "x_low": "graph, node", "y_high": "baselines, 漢字",
                "y_low": "theory, proof", "x_fidelity": 0.91, "y_fidelity": np.nan,
                "sentence": [f"Papers about {{policy, <script>{n}</script>}} (rather than {{graph, node}}) tend to get "
                             "reviews about {baselines} (rather than {theory}) <iframe>; r = .61 on unseen"
                             for n in number],
                "x_high_ids": "a|b", "x_low_ids": "a", "y_high_ids": "a", "y_low_ids": "b",
            }
        )  # fmt: skip
        if method == "as_published":
            relations = relations.drop(columns="list")
        else:
            cautions = {"leak": 0.02, "r_unquoted": r, "explained_by": "x.venue", "r_given": r, "confounded": False}
            seeds = np.where(kind == "pair", 0.44, np.nan)
            relations = relations.assign(**cautions, seed_stability_x=seeds, seed_stability_y=seeds)
        for column, value in (changed or {}).items():
            relations[column] = [value, *(relations[column] if column in relations else [None] * total)[1:]]
        ends = [
            (n, side, end, rank, f"id-{rank}", 1.0, HOSTILE[(rank + n) % 5] + "x" * int(n))
            for n in number for side in "xy" for end in ("high", "low") for rank in range(1, 6)
        ]  # fmt: skip
        scores = []
        for n, effect in zip(number, r, strict=True):
            x = rng.normal(size=self.items)
            y = effect * x + np.sqrt(1 - effect**2) * rng.normal(size=len(x))
            seen = (np.arange(self.items) % 5 > 1) & (kind[n - 1] == "pair")  # chosen on three fifths of the items
            score = {"relation": n, "id": "i", "block": "b", "x_score": x, "y_score": y}
            scores.append(pd.DataFrame(score).assign(held_out=~seen & (method != "as_published")))
        none = pd.DataFrame(columns=["relation", "id", "block", "x_score", "y_score", "held_out"])
        base = f"relate/{name}"
        write_parquet(self.add("relations", f"{base}/relations.parquet"), relations)
        columns = ["relation", "side", "end", "rank", "id", "score", "text"]
        write_parquet(self.add("ends", f"{base}/ends.parquet"), pd.DataFrame(ends, columns=columns))
        write_parquet(self.add("scores", f"{base}/scores.parquet"), pd.concat(scores) if scores else none)
        rows = []
        for encoder, dim, seed in self.encodings:
            self.params["correlations"].append([name, encoder, dim, seed])
            path = self.add("correlations", f"{base}/correlation/{encoder}-{dim}/seed-{seed}.arrow")
            rows.append((encoder, dim, seed, 40, 12, 0.2 + len(rows) / 100, 10, 0.22, 0.4, np.nan))
            dim = 6 if dim == "auto" else dim
            wide = dim if units is None else units
            matrix = np.corrcoef(rng.normal(size=(dim + wide, 300)))
            matrix[0, -1] = matrix[-1, 0] = 0.99
            names = [f"x{i}" for i in range(dim)] + [f"y{i}" for i in range(wide)]
            write_vectors(path, names, matrix, column="correlation")
        compared = pd.DataFrame(rows, columns=list(_ENCODERS))
        self.params["relations"].append(name)
        settings = {"x": "papers", "y": "reviews", "method": method, "folds": 5, "permutations": 1000, "alpha": 0.05}
        self.config["relate"][name] = settings | {"axes": 12, "components": None, "verb": "tend to get"}
        if method == "as_published":
            write_csv(self.add("tested", f"{base}/tested.csv"), pd.DataFrame(columns=["family"]))
        else:
            compared = compared.assign(
                held_out_x=0.31, held_out_y=0.29, pca_held_out_x=0.42, pca_held_out_y=np.nan, dead_units_x=0,
                dead_units_y=3, units_x=8, units_y=16, seed_stability_x=0.61, seed_stability_y=0.72,
            )  # fmt: skip
            self._evidence(name, sizes, phrases, least)
        write_csv(self.add("encoders", f"{base}/encoders.csv"), compared)
        self.yardstick(f"{base}/retrieval.csv")
        return self

    def _evidence(self, name, sizes, phrases, least):
        """What a tested relation leaves besides its relations."""
        base, tests = f"relate/{name}", []
        for of in sizes:
            family = [f"focus-{i}-xy" for i in range(1, len(phrases) + 1)] if of == "focus" else ["axes"] * TESTED
            own = pd.DataFrame({"family": family, "r": np.linspace(-0.1, 0.6, len(family)), "n": self.items})
            own = own.assign(list=of, q=0.2, confirmed=own["r"] > 0.3, strict=False, view_of=-1, stability=0.42)
            tests.append(own.assign(null_sd=0.05, worlds=1000, p_floor=1e-4, blocks=self.items))
        tested = pd.concat(tests, ignore_index=True)
        write_csv(self.add("tested", f"{base}/tested.csv"), tested)
        power = power_table(tested)
        power["least_r_list"] = least
        write_csv(self.add("power", f"{base}/power.csv"), power)
        write_json(self.add("searches", f"{base}/searches.json"), {"left_out": ["no <concepts>: `topk` is missing"]})
        of_side = {"texts": 60, "equal": 2, "near": 3, "largest": 2, "stock": 1}
        grouping = {
            "items": self.items, "blocks": 12, "blocks_of_level": [58, 30, 12], "largest_block": 9, "level": 2,
            "levels": {"x": 2, "y": 0}, "enough_blocks": False, "copies": {"x": of_side, "y": of_side},
            "covariates": {
                "x.venue": {"use": "watched", "kind": "words"}, "y.length": {"use": "listed", "kind": "number"},
                "y.<b>notes</b>": {"use": "left out", "left_out": "its values are texts"},
            },
        }  # fmt: skip
        write_json(self.add("grouping", f"{base}/items.json"), grouping)
        quoted = {"items_quoted": 7, "items_leaking": 1, "run": 8, "longest": 21}
        write_json(self.add("quotations", f"{base}/quotations.json"), quoted)
        for key in ("power", "searches", "grouping", "quotations"):
            self.params["told"][key].append(name)
        for of in sizes.keys() - {"focus"}:
            path = self.add("axes", f"{base}/{of}/axes/axes.json")
            write_json(path, {"overlap": [0.3, 0.4, 0.55], "rotated": 3})
            self.params["told"]["axes"].append([name, of])
        if "beyond" in sizes:
            echo = {"removed": 4, "width": self.width, "of_x": 0.6, "of_y": 0.25}
            write_json(self.add("echo", f"{base}/beyond/echo.json"), echo)
            self.params["told"]["echo"].append(name)
        if phrases:
            rows = [(f"focus-{i}-xy", x, y) for i, (x, y) in enumerate(phrases, start=1)]
            table = pd.DataFrame(rows, columns=["family", "x_phrase", "y_phrase"])
            write_csv(self.add("phrases", f"{base}/focus/phrases.csv"), table)
            self.params["told"]["phrases"].append(name)

    def yardstick(self, path="relate/papers_reviews/retrieval.csv", *, own=0.71, words=0.83):
        """Write how often a review finds its paper by the embedding and, unless they are None, by the words."""
        found = {"all-MiniLM-L6-v2": own} | ({} if words is None else {"tf-idf": words, "both": 0.85})
        table = pd.DataFrame({"embedding": found.keys(), "dimensions": self.width, "recall_at_1": found.values()})
        table = table.assign(low=table["recall_at_1"] - 0.01, high=table["recall_at_1"] + 0.01, recall_at_10=0.9)
        path = str(self.folder / path)
        if path not in self.input["retrieval"]:
            self.add("retrieval", path)
        write_csv(path, table.assign(mrr=0.77, items=self.items, rows=self.items * REPLIES))
        return self

    def add(self, key, path):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if key in self.input:
            self.input[key].append(str(path))
        return str(path)

    def page(self, name="report.html"):
        given = {**self.input, "provenance": str(self.folder / "provenance.json")}
        path = self.folder / name
        params = {"recommenders": [], "embedded": self.params["collections"], **self.params}
        entry("report", Named(given), [str(path)], SimpleNamespace(**params, config=self.config))
        return path.read_text(encoding="utf-8")


_DESCRIBED = {"inertia": "csv", "map": "parquet", "facts": "json"}
_LISTS = (
    *("power", "searches", "grouping", "quotations", "axes", "echo", "phrases"),
    *("rows", "counts", "usage", "vectors", "inertia", "map", "facts", "contrast", "histories", "models", "codes"),
    "choices",
    *("relations", "ends", "scores", "encoders", "correlations", "tested", "retrieval"),
)
_TOLD = ("power", "searches", "grouping", "quotations", "axes", "echo", "phrases")
_ENCODERS = (
    *("encoder", "dim", "seed", "tested", "confirmed", "median_r", "pca_confirmed", "pca_median_r"),
    *("explained_variance_x", "explained_variance_y"),
)


class Named(dict):
    """Values by key and by attribute, as Snakemake hands them over."""

    __getattr__ = dict.__getitem__


def entry(script, given, output, params):
    snakemake = SimpleNamespace(input=given, output=output, params=params, rule=script, log=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crosswalk.job.start", lambda _: logging.getLogger(script))
        runpy.run_path(str(ROOT / "scripts" / f"{script}.py"), init_globals={"snakemake": snakemake})


def section(html, number):
    """The part of a page that tells one relation."""
    return re.search(rf'<article[^>]* id="relation-{number}">.*?</article>', html, re.DOTALL)[0]


class Parsed(HTMLParser):
    """Elements, attributes, ids and visible text of a page."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.shown, self.open = [], [], [], []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.shown))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.open.append(tag)

    def handle_endtag(self, tag):
        self.open = self.open[: len(self.open) - self.open[::-1].index(tag) - 1] if tag in self.open else self.open

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.shown.append(data)

    def values(self, *names):
        return [value for _, name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("run"))
    run.relate(confirmed=4, others=2)
    run.html = run.page()
    run.parsed = Parsed(run.html)
    return run


def test_hostile_texts_stay_texts(run):
    assert not {"script", "iframe", "object", "embed", "form", "base"} & set(run.parsed.elements)
    assert not [name for _, name, _ in run.parsed.attributes if name.startswith("on")]
    assert run.parsed.elements.count("title") == run.parsed.elements.count("style") == 1
    assert "<script>alert('x')</script>" in run.parsed.text
    assert "{{ 7 * 7 }}" in run.parsed.text
    assert "\x00" not in run.html and "\x1b" not in run.html


def test_nothing_is_asked_from_outside(run):
    for value in run.parsed.values("src", "href", "srcset", "data", "action", "poster"):
        assert value.startswith(("#", "data:image/png;base64,")) or value == "data:,"
    for style in [*run.parsed.values("style"), *re.findall(r"<style.*?</style>", run.html, re.DOTALL)]:
        assert "@import" not in style
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", style))
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("meta", "content", policy) in run.parsed.attributes


def test_ids_are_unique_and_links_arrive(run):
    ids = run.parsed.values("id")
    assert len(ids) == len(set(ids))
    assert {f"relation-{n}" for n in range(1, 5)} <= set(ids)
    wanted = {value[1:] for value in run.parsed.values("href") if value.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", run.html))
    assert wanted <= set(ids)


def test_every_picture_has_words_for_it(run):
    pictures = [value for tag, name, value in run.parsed.attributes if (tag, name) == ("img", "alt")]
    assert len(pictures) == run.parsed.elements.count("img") and all(pictures)
    drawings = [value for tag, name, value in run.parsed.attributes if (tag, name) == ("div", "aria-label")]
    assert len(drawings) == run.parsed.elements.count("svg") and all(drawings)


def test_same_files_give_same_bytes(run):
    assert run.page("again.html") == run.html


def test_numbers_of_units_left_open_are_told_with_what_each_was_worth(tmp_path):
    run = Run(tmp_path, dims=(4, "auto"), encoders=("topk",)).relate(confirmed=1, others=0)
    table = pd.DataFrame(
        {"units": [8, 16, 32], "held_out": [0.4, 0.5, 0.52], "pca_held_out": 0.6, "stability": [0.7, 0.8, 0.3],
         "merit": [0.28, 0.4, 0.156], "chosen": [False, True, False]}
    )  # fmt: skip
    for name in ("papers", "reviews"):
        write_csv(run.add("choices", f"encodings/{name}/topk-auto/units.csv"), table)
        run.params["choices"].append([name, "topk"])
    page = run.page()
    assert page.count("The number of units was left open") == 2 and "topk-auto/seed-42" in page


def test_unknown_numbers_are_dashes(run):
    assert not re.search(r"\b(nan|NaN|None|NaT|inf)\b", run.parsed.text)
    assert not [v for v in run.parsed.values("style", "d", "x", "y", "alt", "aria-label") if re.search(r"\bnan\b", v)]


def test_first_screen_says_what_was_found(run):
    start = run.parsed.text[: run.parsed.text.index("What was read and what was dropped")]
    assert re.search(r"57 candidates tested 4 distinct relations confirmed 2 of them strictly", start)
    assert start.index("<script>1") < start.index("<script>2") < start.index("<script>4") < start.index("Not findings")
    assert "Nothing was confirmed" not in start
    assert "r = .61" not in start  # the figures stand beside the sentence, once


def test_names_stand_in_bold_and_what_they_are_set_against_is_faint(run):
    assert "Papers about <b>policy, &lt;script&gt;1&lt;/script&gt;</b> <span" in run.html
    assert '<span class="soft">(rather than graph, node)</span> tend to get reviews about <b>baselines</b>' in run.html
    assert "{policy" not in run.parsed.text


def test_how_sure_tells_which_papers_chose_and_which_measured(run):
    text = run.parsed.text
    assert "Axes are measured on each of 5 parts of the papers in turn, by what was fitted on the others" in text
    assert "pairs of units are chosen on 3 of the 5 parts and measured on the other 2." in text
    assert "of the confirmed , no more than 5 % are expected to be false" in text.replace("Of the", "of the")


def test_scatter_shows_only_items_that_the_search_did_not_see(run):
    pair, axis = (section(run.html, number) for number in (3, 1))
    assert "scores of units are ranks" in pair and "ranks" not in axis
    assert pair.count("h0") == 24 and "The 24 of 60 papers that the search did not see" in pair
    assert axis.count("h0") == 60 and "All 60 papers, each scored by a search that did not see it" in axis


def test_scores_of_an_older_run_all_count_as_held_out(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",)).relate(confirmed=3, others=0)
    path = run.input["scores"][0]
    write_parquet(path, pd.read_parquet(path).drop(columns="held_out"))
    assert section(run.page(), 3).count("h0") == 60


def test_what_was_folded_in_is_counted_and_unfolds(run):
    many, one, none = (section(run.html, number) for number in (1, 2, 3))
    assert "also found as 1 axis and 3 pairs of units in 2 encodings</summary>" in many
    assert "<li>topk-8/seed-42: 1-2, &lt;b&gt;-4</li>" in many
    assert "also found as 1 axis" in one and "also found" not in none


def test_stability_is_told_for_what_it_is(run):
    assert "likeness of the axis when found in halves that share none of the papers" in section(run.html, 1)
    assert "share of the folds in which its correlation has its sign" in section(run.html, 3)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """A study of three lists; of the phrases, the last is not confirmed."""
    run = Run(tmp_path_factory.mktemp("lists"), dims=(4,), seeds=(1,), encoders=("topk",))
    phrases = [("kind <b>words</b>", None), (None, "{novelty}"), ("depth", "rigour")]
    run.relate(confirmed=3, others=1, lists={"beyond": (2, 1), "focus": (2, 1)}, phrases=phrases)
    run.html = run.page()
    run.parsed = Parsed(run.html)
    return run


def test_what_y_says_beyond_x_stands_beside_the_plain_list(lists):
    start = lists.parsed.text[: lists.parsed.text.index("What was tested, and what")]
    told = [start.index(title) for title in ("What goes with what, strongest first", "Beyond the echo")]
    assert told == sorted(told)
    assert "3 distinct relations confirmed 1 of them strictly 2 confirmed beyond the echo" in start
    assert "after the 4 directions in which papers differ most had been taken out of the reviews" in start
    assert "Of the 3 relations of the other list, 3 are mostly reviews repeating the papers" in start
    beyond = start[told[1] : start.index("The phrases that were asked for")]
    assert beyond.index("<script>5") < beyond.index("<script>6") < beyond.index("Not findings")
    assert "<script>3" not in beyond


def test_the_list_beyond_the_echo_keeps_the_order_of_the_table(tmp_path):
    """What is new leads it, and not what is strong."""
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",))
    run.relate(confirmed=3, others=1, lists={"beyond": (2, 1)})
    (path,) = tmp_path.rglob("relations.parquet")
    table = pd.read_parquet(path)
    table.loc[table["relation"] == 6, "r"] = 0.6  # stronger than the one before it
    table.to_parquet(path)
    text = Parsed(run.page()).text
    beyond = text[text.index("Beyond the echo") : text.index("What was tested, and what")]
    assert beyond.index("<script>5") < beyond.index("<script>6")


def test_phrases_are_answered_in_the_order_asked_whatever_the_answer(lists):
    start = lists.parsed.text[: lists.parsed.text.index("How sure")]
    told = start[start.index("The phrases that were asked for") :]
    said = [
        "Papers nearer to “kind <b>words</b>” : nothing in reviews is known to go with it",
        "tend to get reviews nearer to “novelty”",
        "Papers nearer to “depth” tend to get reviews nearer to “rigour”",
    ]
    assert [told.index(words) for words in said] == sorted(told.index(words) for words in said)
    assert "2 of 3 phrases go with something" in start
    assert told.count("not found") == 1


def test_a_phrase_that_goes_with_less_of_the_other_is_told_so(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",))
    run.relate(confirmed=1, others=0, lists={"focus": (2, 0)}, phrases=[("depth", "rigour"), ("wit", "length")])
    path = run.input["phrases"][0]
    write_csv(path, pd.read_csv(path).assign(sign=[-1, 1]))
    text = Parsed(run.page()).text
    assert "“depth” tend to get reviews farther from “rigour”" in text
    assert "“wit” tend to get reviews nearer to “length”" in text


def test_what_was_tested_says_what_could_have_been_found(lists):
    text = lists.parsed.text[lists.parsed.text.index("What was tested, and what") :]
    assert "Beyond the echo, a lone relation would have been confirmed four times in five if its r" in text
    assert "were 0.12 or more" in text
    assert "axes 57 24 0 0.60 0.200 1,000" in text
    assert "phrases 3 1 0 0.60 0.200 1,000" in text
    assert "Left out: no <concepts>: topk is missing" in text


def test_too_few_shuffled_worlds_are_told(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",)).relate(confirmed=0, others=1, least=np.nan)
    text = Parsed(run.page()).text
    assert "1,000 shuffled worlds leave no p small enough for 57 candidates" in text


def test_grouping_and_covariates_are_told(run):
    text = run.parsed.text
    assert "60 papers make 12 blocks, held out and shuffled as wholes; the largest holds 9." in text
    assert "finest first: 30, 12 blocks; level 2 is used" in text
    assert "Of 60 texts of papers, 2 equal another’s and 3 nearly do" in text
    assert "few blocks Tests can tell little apart" in text and "one large block It holds 15 %" in text
    assert "before any search: length of reviews" in text
    assert "explain a relation: venue of papers" in text and "<b>notes</b> of reviews is left out" in text
    assert "7 papers are quoted in their reviews (8 words or more in a row, 21 at most), 1 of them at length" in text


def test_axes_are_told_as_views_of_a_space(run):
    text = run.parsed.text
    assert (
        "the spaces of 3 axes have 55 % in common; spaces drawn at random among 12 components would have 25 %" in text
    )
    assert "A single axis comes back with a median correlation of 0.42" in text


def test_encoders_stand_beside_components_on_rows_they_have_not_seen(run):
    assert re.search(r"topk-8/seed-42 8 31 % 42 % 0 0.61 16 29 % – ?% 3 0.72", run.parsed.text)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"confounded": True, "r_given": 0.11}, "venue of papers explains part of it"),
        ({"r_unquoted": 0.2}, "rests on quotation"),
    ],
)
def test_what_else_may_account_for_a_relation_is_seen_at_first(tmp_path, changed, words):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",))
    text = Parsed(run.relate(confirmed=2, others=0, changed=changed).page()).text
    assert words in text[: text.index("How sure")]
    assert text.count(words) == 2  # of the first relation alone: in the list and in its section


def test_cautions_of_a_relation_are_told_in_its_section(run):
    pair, axis = (Parsed(section(run.html, number)).text for number in (3, 1))
    assert "2.0 % of the reviews’ text is quoted from the papers; without those that quote at length, r = 0.68" in axis
    assert "r = 0.68 with venue of papers held fixed" in axis
    assert "0.44 papers, 0.44 reviews correlation of its units with those that another seed finds" in pair
    assert "another seed" not in axis
    assert "pair: unit 3 of papers and unit 0 of reviews in topk-8/seed-42" in pair
    assert "axis 2: a direction in which papers differ, and the one of reviews that goes with it" in axis


def test_fidelity_of_an_end_and_who_named_it_are_shown_where_known(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",))
    run.relate(
        confirmed=2,
        others=0,
        changed={
            "x_high_fidelity": 0.87,
            "x_high_fidelity_from": 0.8,
            "x_high_fidelity_to": 0.93,
            "named_by": "a model",
        },
    )
    html = run.page()
    assert "fits 0.87 (0.80 to 0.93)" in Parsed(section(html, 1)).text and "named by a model" in section(html, 1)
    assert "fits" not in section(html, 2) and "named by" not in section(html, 2)


def test_concepts_are_told_by_the_side_that_has_the_unit(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",))
    changed = {"kind": "concept", "encoder": "concepts-topk-4/seed-1", "x_unit": -1, "y_unit": 3}
    also = "concepts-topk-4/seed-1 -1-2; concepts-topk-4/seed-1 1--1"
    text = Parsed(section(run.relate(confirmed=1, others=0, changed=changed | {"also": also}).page(), 1)).text
    assert "concept: unit 3 of reviews in topk-4/seed-1, and where papers shift to when it is active" in text
    assert "also found as 2 concepts concepts of topk-4/seed-1: 2 of reviews, 1 of papers" in text


def test_sides_may_have_different_numbers_of_units(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(42,), encoders=("topk",)).relate(confirmed=0, others=0, units=7)
    path = run.input["models"][1]  # that of the reviews
    save_file(load_file(path) | {"encoder.weight": np.ones((7, WIDTH), np.float32)}, path)
    assert "4 and 7 units strongest: 0 with 6, r 0.99" in Parsed(run.page()).text


def test_every_list_has_its_share_of_the_sections():
    lists = [[{"n": n} for n in range(size)] for size in (9, 1, 3)]
    assert [len(own) for own in (drawn(lists, 6), drawn(lists, 99))] == [6, 13]
    assert [r["n"] for r in drawn(lists, 6)] == [0, 1, 2, 0, 0, 1]


def test_embedding_is_held_against_the_words(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=()).relate(confirmed=1, others=0)
    text = Parsed(run.page()).text
    assert "each of 120 reviews looks for its own among 60 by cosine" in text
    assert "This one does not: word counts do better." in text
    assert "all-MiniLM-L6-v2 24 71 % 70 to 72 90 % 0.77" in text
    assert "chance 1.7 % 17 % 0.08" in text
    assert "This one beats them." in Parsed(run.yardstick(own=0.86).page()).text
    assert "not beyond doubt" in Parsed(run.yardstick(own=0.84).page()).text
    assert "word counts" not in Parsed(run.yardstick(words=None).page()).text


def test_long_texts_are_folded_and_cut(run):
    assert run.html.count("A long text about nothing much. " * 60) > 0
    assert "A long text about nothing much. " * 70 not in run.html
    assert run.parsed.elements.count("details") > 20


def test_dropped_rows_are_told_by_reason(run):
    assert "Rows read 91 151 Kept 60 120" in run.parsed.text
    assert "Rejected: empty text 30 30 Rejected: a <b> reason 1 1 Texts cut 1 1" in run.parsed.text


def test_nothing_confirmed_is_said_plainly(tmp_path):
    text = Parsed(Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",)).relate(confirmed=0, others=2).page()).text
    said = [text.index(part) for part in ("Nothing was confirmed", "Strongest of what was not confirmed", "<script>1")]
    assert said == sorted(said)
    assert "None of these is confirmed" in text


def test_empty_list_of_relations_still_gives_a_page(tmp_path):
    text = Parsed(Run(tmp_path, dims=(4,), seeds=(1,), encoders=()).relate(confirmed=0, others=0).page()).text
    assert "Nothing was confirmed" in text


def test_run_without_relations_still_gives_a_page(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",))
    del run.config["relate"]
    assert "This run asked for no relation and no match" in Parsed(run.page()).text


def test_published_way_is_called_no_test(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",)).relate(confirmed=3, others=1, method="as_published")
    text = Parsed(run.page()).text
    assert text.index("not a valid test") < text.index("<script>1")
    assert "All 60 papers, nothing held out" in text
    assert "candidates tested" not in text and "strictly" not in text and "Confirmed relations" not in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_second_study_has_anchors_of_its_own(tmp_path):
    run = Run(tmp_path, dims=(4,), seeds=(1,), encoders=("topk",)).relate(confirmed=1, others=0)
    ids = Parsed(run.relate("again", confirmed=1, others=0).page()).values("id")
    assert len(ids) == len(set(ids)) and {"relation-1", "again-relation-1"} <= set(ids)


@pytest.mark.slow
def test_page_of_a_thousand_items_is_below_five_megabytes(tmp_path):
    run = Run(tmp_path, items=1000, width=384, dims=(8, 16, 32, 64)).relate(confirmed=30, others=5)
    assert len(run.page().encode()) < 5e6
