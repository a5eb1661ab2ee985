"""The page tells a matching to its end: who, why and how sure; only the statement where there is nothing to tell."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_page import HOSTILE, Parsed, Run

from crosswalk import match_figures
from crosswalk.files import write_csv, write_json, write_parquet, write_vectors
from crosswalk.match_examples import examples
from crosswalk.match_sections import Matching, match_section
from crosswalk.page import render
from crosswalk.relate_sections import Study
from crosswalk.sections import Collection

BLOCKS = ("embedding", "words", "queries")
REASONS = ("no b is nearer than <b>chance</b>", "nothing in it can be compared")


def collection(name, count, *, seed=0):
    rng = np.random.default_rng(seed)
    texts = HOSTILE + [f"{name} {i} says plain words" for i in range(len(HOSTILE), count)]
    ids = [f"{name}-{i:05}" for i in range(count)]
    place = rng.normal(size=(count, 2))
    facts = {
        "clusters": 2,
        "elbow_rows": count,
        "components": 2,
        "rows": count,
        "dimensions": 4,
        "explained": [0.4, 0.2],
    }
    return Collection(
        name,
        pd.DataFrame({"id": ids, "group": ids, "text": texts}),
        {"read": count, "kept": count, "rejected": {}, "cut": 0, "source": []},
        {"cut": 0},
        rng.normal(size=(count, 4)),
        {"provider": "local", "model": "hashing"},
        pd.DataFrame({"k": [1, 2], "inertia": [2.0, 1.0]}),
        pd.DataFrame({"pc1": place[:, 0], "pc2": place[:, 1], "cluster": 1 + np.arange(count) % 2}),
        facts,
        pd.DataFrame(columns=["space"]),
        [],
    )


class World:
    """Two collections and a matching of them with made-up numbers; `page()` renders it."""

    def __init__(self, n=60, m=40, *, alone=6, topics=5, name="resumes_jobs", ids=None):
        rng = np.random.default_rng(1)
        self.collections = [collection("resumes", n), collection("jobs", m, seed=1)]
        a, b = ids or [c.rows["id"].tolist() for c in self.collections]
        self.config = {
            "title": "Resumes & <jobs>",
            "collections": {"resumes": {}, "jobs": {}},
            "match": {name: {"a": "resumes", "b": "jobs", "method": "blocks"}},
        }
        has = np.arange(n) >= alone
        shares = rng.normal(0.8, 0.4, size=(n, len(BLOCKS)))
        matches = pd.DataFrame(
            {
                "a_id": a, "b_id": [b[i % m] if ok else "" for i, ok in enumerate(has)], "score": shares.sum(axis=1),
                "cosine": 0.5, "margin": np.where(has, rng.permutation(n) / n, np.nan), "choice": 1 + np.arange(n) % 3,
                "mutual": has & (np.arange(n) % 2 == 0), "chance": 0.001,
                **{f"share_{block}": values for block, values in zip(BLOCKS, shares.T, strict=True)},
                "terms": "python, <i>sql</i>", "topic": 1 + np.arange(n) % topics, "level": 1,
                "reason": ["" if ok else REASONS[i % 2] for i, ok in enumerate(has)],
            }
        )  # fmt: skip
        near = [(row, rank, b[(i + rank - 1) % m], 3.0 - rank, 0.4) for i, row in enumerate(a) for rank in (1, 2, 3)]
        plane = pd.DataFrame(rng.normal(size=(n + m, 4)), columns=["x_before", "y_before", "x_after", "y_after"])
        mixtures = rng.dirichlet(np.full(topics, 0.2), size=n + m).astype(np.float32)
        words = [f"first{i}, <u>second{i}</u>, third{i}, fourth{i}" for i in range(topics)]
        measures = [("truth", 50, 0.5), ("truth, confidence = 2", 20, 0.6), ("labels", 55, 0.7)]
        self.matching = Matching(
            name=name,
            diagnostics={
                "rows": [n, m], "identifiable": True, "statement": "54 of 60 rows have a partner <tt>.",
                "regime": "same model", "agreement": {"observed": 0.61, "null": 0.02, "p": 0.000999, "rows": 44},
                "assignment": {"mode": "capacity", "capacity": 2, "solver": "flow", "total": 99.0, "bound": 100.0},
                "stability": {"weights": 0.91, "seed": None}, "chance": {"threshold": 1.25, "level": 0.05},
                "alignment": {"method": "none", "statement": "each side is centred", "details": {"shift": 0.12345}},
                "recursion": ["topics"],
            },
            matches=matches,
            candidates=pd.DataFrame(near, columns=["a_id", "rank", "b_id", "score", "cosine"]),
            topics=pd.DataFrame({"topic": np.arange(1, topics + 1), "side": "both", "keywords": words, "share_a": 0.2,
                                 "share_b": 0.3, "coherence": 0.11}),
            topic_models=pd.DataFrame({"engine": ["lda", "nmf"], "topics": 5, "coherence": [0.1, 0.2],
                                       "diversity": 0.9, "coverage": 0.5, "side": "both", "chosen": [False, True]}),
            weights=pd.DataFrame({"embedding": [1.0, 0.5], "words": [0.5, 1.0], "agreement": [0.4, 0.6], "same": 0.3,
                                  "chosen_from": [False, True]}),
            blocks=pd.DataFrame({"block": BLOCKS, "kind": "dense", "weight": [1.0, 0.5, 0.2],
                                 "given": ["auto", "0.5", "0.2"], "columns": 4, "agreement": [0.5, np.nan, 0.2],
                                 "same": 0.3}),
            map=pd.concat([pd.DataFrame({"side": ["a"] * n + ["b"] * m, "id": a + b}), plane], axis=1),
            evaluation=pd.DataFrame(
                [{"scorer": s, "measure": measure, "n": rows, "hit_at_1": hit, "low": hit - 0.1, "high": hit + 0.1,
                  "hit_at_10": np.nan if s == "assignment" else 0.9, "mrr": 0.7, "chance": 0.025, "bound": 0.95}
                 for measure, rows, hit in measures for s in ("embedding", "all blocks", "assignment")]
            ),
            a_mixtures=mixtures[:n],
            b_mixtures=mixtures[n:],
        )  # fmt: skip

    def change(self, **changed):
        facts = {key: changed.pop(key) for key in list(changed) if key in ("identifiable", "agreement", "regime")}
        facts = self.matching.diagnostics | facts
        self.matching = replace(self.matching, diagnostics=facts, **changed)
        return self

    def settings(self, **settings):
        self.config["match"][self.matching.name] |= settings
        return self

    def separate(self):
        """Topics of each side, of which the second of a has no partner and b's are in another order."""
        both = self.matching.topics
        a = both.assign(
            side="a", share_b=np.nan, partner=[3.0, np.nan, 1.0, 2.0, 5.0], cosine=[0.9, np.nan, 0.8, 0.7, 0.6]
        )
        b = both.assign(side="b", share_a=np.nan, partner=[3.0, 4.0, 1.0, np.nan, 5.0], cosine=0.5)
        b["keywords"] = [f"other{i}" for i in range(len(b))]
        mixtures = {f"{side}_mixtures": getattr(self.matching, f"{side}_mixtures")[:, :4] for side in "ab"}
        models = self.matching.topic_models.assign(side=["a", "b"])
        return self.change(topics=pd.concat([a, b], ignore_index=True), topic_models=models, **mixtures)

    def section(self):
        by_name = {c.name: c for c in self.collections}
        return match_section(self.matching, by_name, self.config["match"][self.matching.name])

    def page(self, studies=()):
        return render(self.collections, list(studies), [self.matching], config=self.config, provenance={})


def part(html, anchor):
    """The text of one section of a page."""
    return Parsed(re.search(rf'<section id="{anchor}">.*?</section>', html, re.DOTALL)[0]).text


@pytest.fixture(scope="module")
def html():
    return World().page()


@pytest.fixture(scope="module")
def parsed(html):
    return Parsed(html)


def test_first_screen_says_what_was_asked_and_found(html):
    text = part(html, "match-resumes_jobs")
    assert "which of the 40 jobs corresponds to each of the 60 resumes?" in text
    assert "54 of 60 resumes have a partner" in text and "6 resumes stay alone" in text
    assert "40 of 40 jobs are one, 14 more than once" in text
    assert "observed 0.61 by chance 0.02" in text and "44 texts were cut in two" in text
    assert "3 no b is nearer than <b>chance</b> 3 nothing in it can be compared" in text
    assert "54 of 60 rows have a partner <tt>." in text


def test_hostile_texts_stay_texts(parsed, html):
    assert not {"script", "iframe", "object", "tt", "u", "form"} & set(parsed.elements)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert "python, <i>sql</i>" in parsed.text and "<u>second1</u>" in parsed.text
    assert "\x00" not in html


def test_nothing_is_asked_from_outside_and_links_arrive(parsed, html):
    for value in parsed.values("src", "href"):
        assert value.startswith(("#", "data:image/png;base64,")) or value == "data:,"
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for value in parsed.values("href") if value.startswith("#")}
    assert wanted | set(re.findall(r"url\(#([^)]*)\)", html)) <= set(ids)
    assert {"match-resumes_jobs-1", "match-resumes_jobs-measured", "match-resumes_jobs-examples"} <= wanted


def test_every_figure_has_words_for_it(parsed):
    drawings = [value for tag, name, value in parsed.attributes if (tag, name) == ("div", "aria-label")]
    assert len(drawings) == parsed.elements.count("svg") and all(drawings)
    assert any("with lines between 54 partners" in words for words in drawings)


def test_same_arguments_give_same_bytes(html):
    assert World().page() == html


def test_order_of_the_tables_rows_changes_no_byte(html):
    world = World()
    tables = ("matches", "candidates", "map")
    mixed = {name: getattr(world.matching, name).sample(frac=1, random_state=3) for name in tables}
    assert world.change(**mixed).page() == html


def test_mixtures_belong_to_the_rows_of_the_collection():
    drawn = World().section()["topic_maps"]
    world = World()
    first = world.collections[0]
    world.collections[0] = replace(first, rows=first.rows.iloc[::-1].reset_index(drop=True))
    assert world.section()["topic_maps"] != drawn
    assert world.change(a_mixtures=world.matching.a_mixtures[::-1]).section()["topic_maps"] == drawn


def test_unknown_numbers_are_dashes(parsed):
    assert not re.search(r"\b(nan|NaN|None|NaT|inf)\b", parsed.text)
    assert not [v for v in parsed.values("style", "d", "alt", "aria-label") if re.search(r"\bnan\b", v)]


def test_not_identifiable_means_no_map_and_no_pairs():
    world = World().change(identifiable=False, agreement={"observed": 0.02, "null": 0.02, "p": 0.5, "rows": 44})
    html = world.page()
    text = part(html, "match-resumes_jobs") + part(html, "match-resumes_jobs-details")
    assert "No match can be made out" in text and world.matching.diagnostics["statement"] in text
    assert "alignment.anchors" in text and "What to try" in text
    assert "have a partner." not in text.replace("rows have a partner", "") and "Matches and their reasons" not in text
    section = world.section()
    assert section["clouds"] is section["topic_maps"] is None and not section["examples"]
    assert 'class="clouds"' not in html and "resumes-00010" not in html


def test_advice_names_only_what_the_config_does_not_do():
    world = World().change(identifiable=False, regime="anchors").settings(weights={"words": 0, "topics": 1})
    advice = " ".join(world.section()["advice"])
    assert "more anchors" in advice and "Give pairs known" not in advice
    assert "weights.words" in advice and "weights.topics" not in advice


def test_page_of_relations_and_matches_tells_both(html):
    empty = pd.DataFrame()
    study = Study(
        "ties",
        empty,
        empty,
        empty,
        pd.DataFrame(columns=["encoder", "dim", "seed", "median_r"]),
        pd.DataFrame({"family": ["axes"] * 7}),
        empty,
        {},
    )
    world = World()
    config = {"x": "resumes", "y": "jobs", "method": "cross_fitted", "folds": 5, "permutations": 99, "alpha": 0.05}
    world.config |= {"relate": {"ties": config}, "report": {}}
    both = world.page([study])
    text = Parsed(both).text
    assert "None of the 7 candidates held up" in text
    assert part(both, "match-resumes_jobs") == part(html, "match-resumes_jobs")
    assert "This run asked for" not in text + Parsed(html).text


@pytest.mark.parametrize("identifiable", [True, False])
def test_files_of_a_run_give_the_page(tmp_path, identifiable):
    run = Run(tmp_path, dims=(4,), encoders=()).relate(confirmed=1, others=0)
    ids = [pd.read_parquet(path)["id"].tolist() for path in run.input["rows"]]
    m = World(60, 120, ids=ids).matching
    if not identifiable:
        m = replace(m, **{name: getattr(m, name).iloc[:0] for name in ("matches", "candidates", "map", "evaluation")})
    write_json(tmp_path / "diagnostics.json", m.diagnostics | {"identifiable": identifiable})
    for name in ("matches", "candidates", "map"):
        write_parquet(tmp_path / f"{name}.parquet", getattr(m, name))
    for name in ("topics", "topic_models", "weights", "blocks", "evaluation"):
        write_csv(tmp_path / f"{name}.csv", getattr(m, name))
    for side, own, mixtures in zip("ab", ids, (m.a_mixtures, m.b_mixtures), strict=True):
        write_vectors(tmp_path / f"{side}_topics.arrow", own, mixtures, column="topics")
    run.input |= {
        f"match_{path.stem}": [str(path)] for path in sorted(tmp_path.glob("*.*")) if path.stem != "provenance"
    }
    run.params["matchings"] = ["found"]
    run.config["match"] = {"found": {"a": "papers", "b": "reviews", "method": "blocks"}}
    text = Parsed(run.page("page.html")).text
    assert "which of the 120 reviews corresponds to each of the 60 papers?" in text
    assert ("54 of 60 papers have a partner" in text) == identifiable == ("No match can be made out" not in text)
    assert not re.search(r"\b(nan|NaN|None)\b", text)


def test_published_way_is_called_no_match_and_not_tested():
    world = World().separate().settings(method="as_published")
    world.change(topics=world.matching.topics.assign(partner=np.nan, cosine=np.nan))
    world.change(agreement={"observed": None, "null": None, "p": None, "rows": 0})
    html = world.page()
    text = Parsed(html).text
    assert "The published way, not a match." in text and "Not at all: nothing here was tested." in text
    assert "is the distance of two rows" in text and "adds up what the blocks say" not in text
    legend = Parsed(re.search(r'<ol class="legend">.*?</ol>', html, re.DOTALL)[0]).text
    assert re.search(r"2 resumes first1.*; jobs other1 ", legend)


def test_examples_are_strong_middling_weak_and_alone():
    told = World().section()["examples"]
    kinds = [e["kind"] for e in told]
    assert [kinds.count(kind) for kind in ("strongest", "middling", "weakest", "unmatched")] == [5, 3, 2, 3]
    strong = [e for e in told if e["kind"] == "strongest"]
    assert all(e["mutual"] for e in strong) and len({e["b_id"] for e in strong}) == 5
    margins = {kind: [e["margin"] for e in told if e["kind"] == kind] for kind in ("strongest", "middling", "weakest")}
    assert min(margins["strongest"]) > max(margins["middling"]) > min(margins["middling"]) > max(margins["weakest"])
    assert {e["reason"] for e in told if e["kind"] == "unmatched"} == set(REASONS)
    assert len({e["a_id"] for e in told}) == 13


def test_no_partner_is_shown_twice_among_the_clearest():
    world = World()
    best = world.matching.matches["margin"].nlargest(4).index
    world.matching.matches.loc[best, "b_id"] = "jobs-00001"
    world.matching.matches.loc[best, "mutual"] = True
    strong = [e["b_id"] for e in world.section()["strongest"]]
    assert len(strong) == len(set(strong)) == 5 and strong[0] == "jobs-00001"


def test_few_rows_are_told_once_each():
    world = World(n=7, m=6, alone=1)
    told = world.section()["examples"]
    assert sorted(e["a_id"] for e in told) == sorted(world.matching.matches["a_id"])


def test_reasons_of_an_example_stand_beside_it(html):
    shown = Parsed(re.search(r'<article class="example" id="match-resumes_jobs-1">.*?</article>', html, re.DOTALL)[0])
    assert "each other’s first choice" in shown.text and "as near by chance 0.0010" in shown.text
    assert "Both say python, <i>sql</i>" in shown.text and re.search(r"Both are of topic [1-5] \(first", shown.text)
    assert "Who came next" in shown.text and "agrees on 1 of 1 levels" in shown.text
    assert re.search(r"embedding −?\d\.\d\d words −?\d\.\d\d queries", shown.text)


def test_partner_is_not_among_those_who_came_next():
    for e in World().section()["examples"]:
        assert e["b_id"] not in [other["b_id"] for other in e["others"]] and e["others"]


def test_block_that_speaks_against_a_pair_takes_no_part_of_the_bar():
    one = {"a_id": ["x"], "b_id": ["y"], "score": [2.0], "margin": [1.0]}
    shares = {"share_embedding": [1.5], "share_words": [-0.5], "share_queries": [0.5]}
    texts = {"a": pd.Series({"x": "one"}), "b": pd.Series({"y": "other"})}
    none = pd.DataFrame(columns=["a_id", "rank", "b_id"])
    [told] = examples(pd.DataFrame(one | shares), none, {}, list(BLOCKS), texts)
    assert [(s["block"], s["width"]) for s in told["shares"]] == [("embedding", 75), ("words", 0), ("queries", 25)]
    assert told["shares"][1]["value"] == -0.5


def test_topics_show_shares_of_both_sides_and_the_models_tried(html):
    text = part(html, "match-resumes_jobs-details")
    assert "1 first0, <u>second0</u>, third0, fourth0 20 30 0.11" in text
    assert re.search(r"LDA 5 0\.100 0\.90 0\.50 NMF 5 0\.200 0\.90 0\.50 chosen", text)


def test_topics_of_each_side_are_told_in_pairs():
    html = World().separate().page()
    text = part(html, "match-resumes_jobs-details")
    assert "2 first2, <u>second2</u>, third2, fourth2 20 other0 30 0.80" in text
    assert "2 topics of one side without a partner" in text and "resumes LDA" in text
    legend = Parsed(re.search(r'<ol class="legend">.*?</ol>', html, re.DOTALL)[0]).text
    assert re.search(r"1 resumes first0.*; jobs other2 2 resumes first2.*; jobs other0 3 ", legend)
    assert "first1" not in legend and "other3" not in legend


def test_matching_without_topics_still_gives_a_page():
    world = World()
    none = world.matching.topics.iloc[:0]
    empty = np.empty((60, 0), np.float32)
    world.change(topics=none, topic_models=none, a_mixtures=empty, b_mixtures=empty[:40])
    assert "Keywords" not in Parsed(world.page()).text


def test_tables_that_may_be_empty_leave_no_trace():
    world = World()
    evaluation, weights = (getattr(world.matching, name).iloc[:0] for name in ("evaluation", "weights"))
    text = Parsed(world.change(evaluation=evaluation, weights=weights).page()).text
    assert "Measured" not in text and "combinations of weights" not in text and "Held against" not in text


def test_measures_say_what_is_measured(html):
    text = part(html, "match-resumes_jobs-details")
    assert "Pairs known to be right, used to measure and for nothing else: the share of resumes" in text
    assert "The same, only where confidence = 2." in text
    assert "the share of resumes whose first choice has the label that means the same" in text
    assert "assignment 50 50 40 to 60 – 0.700 2.5 95" in text
    assert "<b>assignment</b>" in html and "<b>all blocks</b>" not in html


def test_total_stands_against_its_bound(html):
    text = part(html, "match-resumes_jobs-details")
    assert "99.000 against a proven bound of 100.000: no assignment is better by more than 1 %" in text
    assert "none is taken more than 2 times" in text and "91 % of the rows keep their nearest" in text
    assert "of the pairs above it, no more than 5.0 % should be as near as rows pieced together at random" in text
    assert "shift 0.123" in text and "Each side is centred." in part(html, "match-resumes_jobs")


def test_threshold_that_was_given_promises_nothing_about_chance():
    text = Parsed(World().settings(assignment={"unmatched": 1.25}).page()).text
    assert "score below which a row stays alone" in text and "expected to be chance" not in text


def test_agreement_that_was_not_measured_is_not_shown():
    text = Parsed(World().change(agreement={"observed": None, "null": None, "p": None, "rows": 0}).page()).text
    assert "was not measured" in text and "observed" not in text


def test_map_without_a_common_space_before_has_one_panel():
    world = World()
    world.change(map=world.matching.map.assign(x_before=np.nan, y_before=np.nan))
    assert list(world.section()["clouds"]["panels"]) == ["after"]


def test_sides_of_different_width_are_said_to_be_apart_before():
    world = World()
    assert "on its own first two" not in Parsed(world.page()).text
    world.collections[1] = replace(world.collections[1], vectors=world.collections[1].vectors[:, :3])
    assert "Before, each cloud on its own first two principal components" in Parsed(world.page()).text


def test_lines_join_partners_whatever_the_order_of_the_map():
    world = World(n=12, m=10, alone=0)
    plane, partner = world.matching.map, world.matching.matches.set_index("a_id")["b_id"]
    b = plane[plane["side"] == "b"].set_index("id")
    for column in ("x_after", "y_after"):  # every a lies where its partner does, so every line has no length
        own = plane["side"] == "a"
        plane.loc[own, column] = b[column].reindex(partner.reindex(plane.loc[own, "id"])).to_numpy()
    drawn = world.change(map=plane.sample(frac=1, random_state=1)).section()["clouds"]["panels"]["after"]
    lines = re.search(r'<path d="([^"]*)"[^>]*stroke-width: 0\.7', drawn)[1]
    assert lines.count("M") == lines.count("h0") == 12


def test_large_sides_are_drawn_by_lot_with_every_line_ending_at_a_row():
    world = World(n=2400, m=1600, alone=0)
    clouds = world.section()["clouds"]
    assert clouds["lines"] == match_figures.LINES and clouds["matched"] == 2400
    assert clouds["shown"] == {"a": (1500, 2400), "b": (1500, 1600)}
    assert "1,500 of 2,400 resumes are drawn, by lot" in Parsed(world.page()).text


@pytest.mark.slow
def test_page_of_twenty_thousand_rows_a_side_is_below_five_megabytes():
    assert len(World(n=20000, m=20000, topics=32).page().encode()) < 5e6
