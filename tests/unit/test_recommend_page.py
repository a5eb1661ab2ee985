"""The page tells of a recommender how good it is and what it suggests; of what is not there, that it is not."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from test_match_page import collection
from test_page import Parsed, Run

from crosswalk import recommend_figures as figures
from crosswalk.files import write_csv, write_json, write_parquet
from crosswalk.interactions import write_links
from crosswalk.page import render
from crosswalk.recommend_examples import drawn
from crosswalk.recommend_sections import MODELS, TABLES, Recommender, prior_words, recommend_section

LABELS = ["portraits", "<b>boats</b> & sea", "‏שלום", "漢字 and 👩‍🚀", "a\x00b\x1bc", '‘id="x" url(#y)', *"ghijkl"]
RECALL = {"stack": 0.77, "tree": 0.69, "text_knn": 0.66, "item_knn": 0.57, "popularity": 0.25, "label_match": 0.2}
NEW = {"stack": 0.70, "tree": 0.67, "text_knn": 0.63, "popularity": 0.25}
REASON = "works like this have it: <i>“Boats off Dover”</i>; goes with seascapes"


def judged(recall, scenario, n, works="all", *, shift=0.0):
    rows = []
    for name, value in recall.items():
        value -= shift
        row = {"scenario": scenario, "works": works, "model": name, "n": n}
        for key, share in (("recall_at_1", 0.5), ("recall_at_5", 0.8), ("recall_at_10", 1), ("precision_at_5", 0.16)):
            row |= {key: share * value, f"{key}_low": share * value - 0.01, f"{key}_high": share * value + 0.01}
        gap = recall["stack"] - recall[name]
        row |= {"ndcg_at_10": 0.8 * value, "mrr": 0.7 * value, "tail_recall_at_10": 0.4 * value, "coverage": 0.61}
        row |= {"ece": 0.012 if name == "stack" else np.nan}
        if name != "stack":
            row |= {"difference": gap, "difference_low": gap - 0.009, "difference_high": gap + 0.009}
        rows.append(row)
    return rows


class World:
    """A collection and a recommender of its subjects with made-up numbers; `page()` renders it."""

    def __init__(self, n=60, *, points=None, sweep=True, labels=None, name="subjects", ids=None):
        rng = np.random.default_rng(2)
        labels = labels or LABELS
        self.collections = [collection("works", n)]
        ids = ids or self.collections[0].rows["id"].tolist()
        self.config = {
            "title": "Works",
            "collections": {"works": {}},
            "recommend": {name: {"works": "works", "model": "stack"}},
        }
        held = rng.random((n, len(labels))) < 0.25
        held[::6] = False
        held[1::6] = False
        held[1::6, 0] = True
        links = csr_array(held.astype(np.float32))
        subjects = pd.DataFrame({"id": [f"s{i:02}" for i in range(len(labels))], "label": labels, "works": held.sum(0)})
        suggestions = [
            (work, rank, f"s{s:02}", labels[s], 3.0 - rank, 0.9 / rank, REASON if rank == 1 else None)
            for i, work in enumerate(ids)
            for rank, s in enumerate(np.flatnonzero(~held[i])[:4], 1)
        ]
        history = [
            (f"dim-{dim}/epochs-20/batch-512/prior-{prior}", epoch, 9 / epoch + 5 / dim, 0.1 + 0.01 * abs(epoch - 12),
             0.6 - 0.5 / epoch - 1 / dim)
            for dim in (16, 64, 128) for prior in ("none", "text-labels") for epoch in range(1, 21)
        ]  # fmt: skip
        swept = [
            (f"dim-{dim}/epochs-20/batch-512/prior-{prior}", dim, 20, 512, prior, 0.6 - 1 / dim - cost,
             0.58 - 1 / dim - cost, 0.62 - 1 / dim - cost, 0.2)
            for dim in (16, 64, 128) for prior, cost in (("none", 0.1), ("text-labels", 0.0))
        ]  # fmt: skip
        bins = np.linspace(0.05, 0.95, 10)
        told = [
            (s, i, p, p - shift, p - shift - 0.03, p - shift + 0.03, 200)
            for s, shift in (("known", 0.0), ("new", 0.02))
            for i, p in enumerate(bins)
        ]
        ablation = [
            ("none", 0.52, 0.25, 0),
            ("text", 0.58, 0.6, 0.8),
            ("hierarchy", 0.54, 0.26, 0.3),
            ("all", 0.6, 0.62, 0.9),
        ]
        own = rng.normal(size=(points or n, 2)) + 6 * rng.integers(0, 4, (points or n, 1))
        place = rng.normal(size=(len(labels), 2))
        similar = [
            (f"s{s:02}", label, rank, f"s{(s + rank) % 12:02}", labels[(s + rank) % len(labels)], 0.9 / rank)
            for s, label in enumerate(labels)
            for rank in (1, 2, 3)
        ]
        rows = judged(RECALL, "known", 2000) + judged(RECALL, "known", 1280, "without twins", shift=0.06)
        rows += judged(NEW, "new", 1900) + judged(NEW, "new", 1210, "without twins", shift=0.05)
        weights = [
            ("known", "tree", 0.5),
            ("known", "item_knn", 0.3),
            ("known", "label_match", -0.1),
            ("new", "tree", 0.9),
        ]
        map_works = pd.DataFrame({"id": (ids * 9999)[: points or n], "x": own[:, 0], "y": own[:, 1]})
        map_labels = [("works", labels[i % len(labels)], *own[i]) for i in range(3)]
        map_labels += [("subjects", labels[i], *place[i]) for i in range(6)]
        self.recommender = Recommender(
            name=name,
            diagnostics={
                "works": n, "tagged": 50, "subjects": len(labels), "links": 180, "model": "stack",
                "hidden": {"test_known": 2000, "test_new": 1900}, "members": ["tree", "item_knn"],
                "left_out": {"ease": "18,613 subjects need 2.8 GB <tt>"},
                "statement": "The stack finds 77 % <tt>.",
            },
            counts={"rows": 61, "concepts_without_id": 3, "left_out": {"not an object <u>": 1, "no id": 4}, "a": []},
            links=links,
            evaluation=pd.DataFrame(rows),
            reliability=pd.DataFrame(told, columns=TABLES["reliability"]),
            history=pd.DataFrame(history, columns=TABLES["history"]),
            sweep=pd.DataFrame(swept, columns=TABLES["sweep"]),
            ablation=pd.DataFrame(ablation, columns=["prior", "recall_at_10_known", "recall_at_10_new", "gate_text"]),
            weights=pd.DataFrame(weights, columns=TABLES["weights"]),
            suggestions=pd.DataFrame(suggestions, columns=TABLES["suggestions"]),
            subjects=subjects,
            map_works=map_works,
            map_subjects=subjects.assign(x=place[:, 0], y=place[:, 1]),
            map_labels=pd.DataFrame(map_labels, columns=TABLES["map_labels"]),
            similar_subjects=pd.DataFrame(similar, columns=TABLES["similar_subjects"]),
        )  # fmt: skip

    def change(self, **changed):
        facts = self.recommender.diagnostics | changed.pop("diagnostics", {})
        self.recommender = replace(self.recommender, diagnostics=facts, **changed)
        return self

    def only(self, *names):
        """Leave all tables but some empty, as a run leaves what it was not asked for."""
        none = {name: getattr(self.recommender, name).iloc[:0] for name in TABLES if name not in names}
        return self.change(**none)

    def section(self):
        by_name = {c.name: c for c in self.collections}
        return recommend_section(self.recommender, by_name, self.config["recommend"][self.recommender.name])

    def page(self):
        return render(self.collections, [], [], [self.recommender], config=self.config, provenance={})


def part(html, anchor):
    """The text of one section of a page."""
    return Parsed(re.search(rf'<section id="{anchor}">.*?</section>', html, re.DOTALL)[0]).text


@pytest.fixture(scope="module")
def html():
    return World().page()


@pytest.fixture(scope="module")
def parsed(html):
    return Parsed(html)


def test_first_screen_says_what_was_asked_and_how_good_it_is(html):
    text = part(html, "recommend-subjects")
    assert "which subjects are the 60 works missing? 50 of them have some: 180 links to 12 subjects." in text
    assert "77.0 % of the hidden subjects are found (76.0 to 78.0)" in text
    assert "70.0 % of those of new works (69.0 to 71.0)" in text and "1.2 points that probabilities are off" in text
    assert "some subjects of 2,000 of them were hidden" in text and "all subjects of 1,900 of them were hidden" in text
    assert "The stack finds 77 % <tt>." in text


def test_popularity_and_item_knn_always_stand_beside_the_stack(html):
    text = part(html, "recommend-subjects")
    assert "stack 77.0 % 76.0 to 78.0 71.0 % label tree 69.0 % 68.0 to 70.0 63.0 % item-kNN 57.0 %" in text
    assert "Better than item-kNN, by 20.0 points (19.1 to 20.9)." in text
    assert "Better than popularity, by 52.0 points (51.1 to 52.9)." in text
    assert "text-kNN 66.0" not in text  # neither the best other model nor a yardstick


def test_what_was_read_left_out_and_hidden_is_told(html):
    text = part(html, "recommend-subjects")
    assert "61 rows 3 concepts without id 4 left out: no id 1 left out: not an object <u>" in text
    assert "EASE 18,613 subjects need 2.8 GB <tt>" in text and "2,000 test known 1,900 test new" in text


def test_all_models_stand_in_tables_for_known_and_for_new_works(html):
    text = part(html, "recommend-subjects-details")
    known, new = text.split("Works with subjects Model")[1].split("New works Model")
    assert "stack 77.0 (76.0 to 78.0) 71.0 – 38.5 61.6 12.3 0.616 0.539 30.8 61.0 0.012" in known
    assert "label match 20.0 (19.0 to 21.0) 14.0 57.0 (56.1 to 57.9)" in known
    assert (
        "label tree 67.0 (66.0 to 68.0) 62.0 3.0 (2.1 to 3.9)" in new and "item-kNN" not in new.split("In percent")[0]
    )
    assert "as published" not in text
    told = World().only("evaluation").section()["evaluation"]
    assert [row["model"] for row in told["known"]["rows"]] == list(RECALL)
    assert [row["model"] for row in told["new"]["rows"]] == list(NEW)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.03, "Better than label tree, by 2.0 points (1.0 to 3.0)."),
     (-0.03, -0.01, "Worse than label tree, by 2.0 points (1.0 to 3.0)."),
     (-0.01, 0.03, "Neither better nor worse than label tree beyond doubt: +1.0 points (−1.0 to 3.0)."),
     (np.nan, np.nan, "Whether it is better than label tree was not tested.")],
)  # fmt: skip
def test_words_of_a_difference_follow_its_interval(low, high, words):
    world = World().only("evaluation")
    table = world.recommender.evaluation
    table.loc[table["model"] == "tree", ["difference", "difference_low", "difference_high"]] = (
        (low + high) / 2,
        low,
        high,
    )
    assert words in part(world.page(), "recommend-subjects")


def test_chosen_model_need_not_be_the_best():
    world = World().only("evaluation").change(diagnostics={"model": "item_knn"})
    told = world.section()["evaluation"]["known"]
    assert told["chosen"]["model"] == "item_knn" and told["other"]["model"] == "stack"
    assert [row["model"] for row in told["beside"]] == ["stack", "item_knn", "popularity"]
    text = part(world.page(), "recommend-subjects")
    assert "The item-kNN itself was not judged here." in text  # new works: it answers none


def test_examples_show_what_a_work_has_and_what_is_suggested(html):
    world = World()
    told = world.section()["examples"]
    assert [min(len(e["has"]), 3) for e in told] == [1, 1, 3, 3, 0, 0]
    for e in told:
        assert e["suggested"][0]["rank"] == 1 and not set(e["has"]) & {s["label"] for s in e["suggested"]}
    text = part(html, "recommend-subjects-details")
    assert "Has already: portraits <b>boats</b> & sea 90.0 % works like this have it: <i>“Boats off Dover”</i>" in text
    assert text.count("Has no subjects yet: suggested from its text alone.") == 2


def test_draw_of_examples_depends_on_ids_alone():
    ids, borne = [f"w{i}" for i in range(50)], np.arange(50) % 5
    chosen = drawn(ids, borne)
    order = np.random.default_rng(0).permutation(50)
    assert drawn([ids[i] for i in order], borne[order]) == chosen
    assert [int(borne[ids.index(work)]) // 3 + bool(borne[ids.index(work)]) for work in chosen] == [1, 1, 2, 2, 0, 0]
    assert drawn([], np.array([], int)) == []


def test_hostile_labels_stay_text(parsed, html):
    assert not {"script", "iframe", "object", "tt", "u", "form"} & set(parsed.elements)
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on")]
    assert "<b>boats</b> & sea" in parsed.text and "漢字 and 👩‍🚀" in parsed.text
    assert "\x00" not in html and "\x1b" not in html
    names = Parsed("".join(re.findall(r'<g class="names">.*?</g>', html, re.DOTALL)))
    assert (
        set(names.elements) == {"g", "text"} and "<b>boats</b> & sea" in names.text and 'id="x" url(#y)' in names.text
    )


def test_nothing_is_asked_from_outside_and_links_arrive(parsed):
    for value in parsed.values("src", "href", "xlink:href"):
        assert value.startswith(("#", "data:image/png;base64,")) or value == "data:,"
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    wanted = {value[1:] for value in parsed.values("href") if value.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", " ".join(parsed.values("clip-path", "fill", "mask", "style"))))
    assert "recommend-subjects" in wanted <= set(ids)


def test_every_figure_has_words_for_it(parsed):
    drawings = [value for tag, name, value in parsed.attributes if (tag, name) == ("div", "aria-label")]
    assert len(drawings) == parsed.elements.count("svg") and all(drawings)
    assert any(words.startswith("Map of 60 works; its dense places: portraits, ") for words in drawings)


def test_same_arguments_give_same_bytes(html):
    assert World().page() == html


def test_order_of_the_tables_rows_changes_no_byte(html):
    world = World()
    tables = ("evaluation", "reliability", "history", "sweep", "suggestions", "similar_subjects")
    mixed = {name: getattr(world.recommender, name).sample(frac=1, random_state=3) for name in tables}
    assert world.change(**mixed).page() == html


def test_unknown_numbers_are_dashes(parsed):
    assert not re.search(r"\b(nan|NaN|None|NaT|inf)\b", parsed.text)
    assert not [v for v in parsed.values("style", "d", "alt", "aria-label") if re.search(r"\bnan\b", v)]


ABSENT = (
    *("No model was judged", "Probabilities were not checked", "No factorisation was trained"),
    *("There was nothing to compare", "so its worth is not told", "Nothing was weighed", "There are no maps"),
    *("Nothing is suggested for any of the works", "No two were compared", "Nothing was counted"),
)


@pytest.mark.parametrize("columns", [True, False])
def test_what_is_absent_is_said_to_be_absent(html, columns):
    world = World().only()
    none = {} if columns else {name: pd.DataFrame() for name in TABLES}
    empty = {"diagnostics": {}, "counts": {}, "links": csr_array((60, 0), dtype=np.float32)}
    world.recommender = replace(world.recommender, **empty, **none)
    text, whole = Parsed(world.page()).text, Parsed(html).text
    assert "which subjects are the 60 works missing?" in text
    assert text.count("nothing was hidden of any, so nothing can be told of them") == 2
    assert [words for words in ABSENT if words not in text or words in whole] == []
    assert not re.search(r"\b(nan|NaN|None)\b", text)


def test_what_is_there_is_told_though_the_rest_is_absent():
    for name, words in (("weights", "label tree 0.50 0.90"), ("ablation", "nothing 52.0 25.0"), ("sweep", "59.2")):
        text = part(World().only(name).page(), "recommend-subjects-details")
        assert words in text and sum(absent in text for absent in ABSENT) == len(ABSENT) - 3, name


def test_known_works_alone_are_told_alone():
    world = World().only("evaluation")
    table = world.recommender.evaluation
    text = part(world.change(evaluation=table[table["scenario"] == "known"]).page(), "recommend-subjects")
    assert "New works: nothing was hidden of any" in text and "77.0 % of the hidden subjects" in text


def test_without_twins_is_no_column_where_nothing_is_known_of_twins():
    world = World().only("evaluation")
    assert "Without twins" in Parsed(world.page()).text
    table = world.recommender.evaluation
    assert "Without twins" not in Parsed(world.change(evaluation=table[table["works"] == "all"]).page()).text


def test_sweep_shows_the_settings_that_vary_and_names_the_others(html):
    text = part(html, "recommend-subjects-details")
    assert "Dimensions Known beforehand Recall@10 95 % Log loss 128 text + labels 59.2 57.2 to 61.2" in text
    assert "The same for all: epochs 20, works in a batch 512." in text
    drawn_ = World().section()["sweep"]["figure"]
    assert drawn_.count("recall@10, %") == 2 and "epochs" not in drawn_


def test_chosen_point_of_a_sweep_is_bold_wherever_it_stands():
    world = World().only("sweep")
    table = world.recommender.sweep
    html = world.change(sweep=table.assign(chosen=table.index == 2, recall_at_10_new=0.333)).page()
    rows = re.findall(r"<tr><td class=\"n\">(?:16|64|128)</td>.*?</tr>", html)
    assert ["<b>" in row for row in rows].count(True) == 1 and all("33.3" in row for row in rows)
    assert "<b>48.4</b>" in html and "Bold: the point in use" in html


def test_one_point_is_no_sweep():
    world = World().only("sweep")
    assert "There was nothing to compare" in Parsed(world.change(sweep=world.recommender.sweep.iloc[:1]).page()).text


def test_training_of_many_points_shows_the_best():
    world = World()
    history = world.recommender.history
    more = [history[history["epoch"] < 3].assign(point=f"dim-{dim}/epochs-2", recall_at_10=0.01) for dim in range(5)]
    shown = world.change(history=pd.concat([*more, history])).section()["training"]
    assert (shown["points"], shown["shown"]) == (11, figures.LINES)
    assert "dim 128" in shown["loss"] and "epochs 2<" not in shown["loss"]


def test_training_without_a_log_loss_draws_the_loss():
    world = World()
    shown = world.change(history=world.recommender.history.assign(log_loss=np.nan, recall_at_10=np.nan)).section()
    assert ">loss<" in shown["training"]["loss"] and "log loss" not in shown["training"]["loss"]
    assert shown["training"]["recall"] is None


def test_ablation_names_priors_and_their_gates(html):
    text = part(html, "recommend-subjects-details")
    assert "Gate: words of the works nothing 52.0 25.0 0.00 words of the works 58.0 60.0 0.80 broader subjects" in text
    assert (
        prior_words("text+labels") == prior_words("text-labels") == "words of the works, words of the subjects’ labels"
    )
    assert prior_words(None) == prior_words("none") == "nothing"


def test_weights_below_zero_are_told_apart():
    rows = {row["member"]["key"]: row for row in World().section()["weights"]["rows"]}
    assert list(rows) == ["tree", "item_knn", "label_match"]
    assert rows["label_match"]["weight"]["known"] == -0.1 and rows["tree"]["bar"] == {
        "known": 100 * 0.5 / 0.9,
        "new": 100,
    }


def test_subjects_that_most_works_bear_are_told_with_those_like_them():
    world = World()
    told = world.section()["similar"]
    assert len(told) == 9 and [len(one["similar"]) for one in told] == [3] * 9
    works = [one["works"] for one in told]
    assert works == sorted(works, reverse=True) and works[0] == world.recommender.subjects["works"].max()


def test_names_on_a_map_neither_overlap_nor_leave_it():
    labels = [f"a label of some length {i}" for i in range(40)]
    rng = np.random.default_rng(0)
    places = np.vstack([[[194, 166]] * 10, rng.uniform(0, [389, 331], size=(30, 2))])
    found = figures.laid_out(labels, places)
    assert 5 <= len(found) < 40 and found[0]["label"] == labels[0]
    boxes = np.array([(f["x"], f["y"]) for f in found])
    half = figures.TYPE * figures.LETTER * len(labels[0]) / 2
    for i, one in enumerate(boxes):
        other = np.abs(boxes[i + 1 :] - one)
        assert ((other[:, 0] >= 2 * half - 0.2) | (other[:, 1] >= figures.TYPE * figures.LINE - 0.2)).all()
        assert half <= one[0] <= 72 * figures.WIDTH - half and 0 <= one[1] <= 72 * figures.HEIGHT


def test_names_stand_where_their_places_are():
    points = np.array([[0.0, 0.0], [10.0, 4.0], [5.0, 2.0]])
    found = {n["label"]: n for n in figures.named_map(points, [("low", 0, 0), ("high", 10, 4), ("middle", 5, 2)]).names}
    assert found["low"]["x"] < found["middle"]["x"] < found["high"]["x"]
    assert found["low"]["y"] > found["middle"]["y"] > found["high"]["y"]  # y runs down on a page
    assert found["middle"]["x"] == pytest.approx(72 * figures.WIDTH / 2, abs=1)
    assert found["middle"]["y"] == pytest.approx(72 * figures.HEIGHT / 2, abs=1)


def test_names_are_cut_and_cleared_of_control_characters():
    assert figures.shortened("a\x00b\n c") == "a b c"
    assert figures.shortened("x" * 80) == "x" * (figures.LONGEST - 1) + "…"


@pytest.mark.parametrize(("name", "other"), [("map_works", "map_subjects"), ("map_subjects", "map_works")])
def test_one_map_without_the_other_is_shown_alone(name, other):
    world = World().only(name)
    html = world.page()
    assert list(world.section()["maps"]) == [name.removeprefix("map_")]
    assert ("The larger a dot" in html) == (name == "map_subjects") and html.count('<svg class="places"') == 1


def test_works_that_are_not_drawn_are_counted():
    world = World().only("map_works")
    world.change(map_works=world.recommender.map_works.iloc[:40])
    assert "40 of 60 works are drawn" in Parsed(world.page()).text


def test_two_recommenders_on_one_page_are_told_apart():
    first, second = World().only("map_works"), World(name="forms").only("map_works")
    config = first.config | {"recommend": first.config["recommend"] | second.config["recommend"]}
    html = render(first.collections, [], [], [first.recommender, second.recommender], config=config, provenance={})
    ids = Parsed(html).values("id")
    assert len(ids) == len(set(ids)) and {"recommend-subjects", "recommend-forms"} <= set(ids)
    assert "Asked: which forms are the 60 works missing?" in Parsed(html).text


def test_every_model_of_the_config_has_words():
    members = {"stack", "popularity", "item_knn", "ease", "factorisation", "text_knn", "tree", "label_match"}
    members |= {"vector_knn", "network"}
    assert members <= set(MODELS) and all(name and does for name, does in MODELS.values())


@pytest.mark.parametrize("suggested", [True, False])
def test_files_of_a_run_give_the_page(tmp_path, suggested):
    run = Run(tmp_path, dims=(4,), encoders=()).relate(confirmed=1, others=0)
    ids = pd.read_parquet(run.input["rows"][0])["id"].tolist()
    r = World(len(ids), ids=ids, labels=["NA", *LABELS[1:]]).recommender
    if not suggested:
        r = replace(r, suggestions=r.suggestions.iloc[:0])
    for name in ("diagnostics", "counts"):
        write_json(tmp_path / f"{name}.json", getattr(r, name))
        run.input[f"recommend_{name}"] = [str(tmp_path / f"{name}.json")]
    for name in TABLES:
        csv = name in ("evaluation", "reliability", "history", "sweep", "ablation", "weights", "map_labels")
        path = tmp_path / f"{name}.{'csv' if csv else 'parquet'}"
        (write_csv if csv else write_parquet)(path, getattr(r, name))
        run.input[f"recommend_{name}"] = [str(path)]
    write_links(tmp_path / "links.safetensors", r.links)
    write_parquet(tmp_path / "works.parquet", pd.DataFrame({"id": ids}))
    run.input["recommend_links"] = [str(tmp_path / "links.safetensors")]
    run.input["recommend_works"] = [str(tmp_path / "works.parquet")]
    run.params["recommenders"] = ["subjects"]
    run.config["recommend"] = {"subjects": {"works": "papers"}}
    html = run.page("page.html")
    text = Parsed(html).text
    assert re.search(r'<g class="names"><text[^>]*>NA</text>', html)  # a name, and not an unknown number
    assert "which subjects are the 60 papers missing?" in text and "stack 77.0 % 76.0 to 78.0" in text
    assert ("Has already:" in text) == suggested == ("Nothing is suggested" not in text)
    assert not re.search(r"\b(nan|NaN|None)\b", text)


@pytest.mark.slow
def test_page_of_twenty_thousand_works_is_below_three_megabytes():
    assert len(World(n=20000, points=20000).page().encode()) < 3e6
