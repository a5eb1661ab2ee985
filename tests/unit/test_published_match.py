"""The notebook's way to match is repeated faithfully: it works if row i is row i's partner, and is at chance if not."""

import hashlib
import logging

import numpy as np
import pytest
import scipy.spatial

from crosswalk import files
from crosswalk.anchors import Maps, load_maps
from crosswalk.errors import UserError
from crosswalk.published_match import CUT_OFF, Side, align_rows, pair_rows, run, standardise
from crosswalk.published_tables import tables_from
from crosswalk.published_topics import topics_apart
from crosswalk.truth import Truth

SETTINGS = {"tokens": "pattern", "stop_words": [], "min_df": 1, "max_df": 1.0, "number": [3, 5], "engine": "nmf"}
THEMES = (
    "harbour vessel anchor sailor captain voyage",
    "oven flour dough baker pastry yeast",
    "violin concert melody chorus rhythm tempo",
)
WORDS = {
    "topics": {"a": [[("sea", 0.5)], [("oven", 0.5)]], "b": [[("loaf", 0.5)], [("ship", 0.5)]]},
    "coherence": {"a": [0.1, 0.2], "b": [0.3, 0.4]},
    "engine": {"a": "lda", "b": "lda"},
    "words": 4,
    "bridge": [],
}


def planted(n=120, m=120, seed=0):
    """Two sides whose row i is the same thing, seen in two rotated spaces with a little noise."""
    rng = np.random.default_rng(seed)
    things = rng.normal(size=(max(n, m), 8))
    turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    seen = {"a": things[:n], "b": (things @ turn)[:m]}
    return {
        side: Side(
            np.array([f"{side}{i}" for i in range(len(rows))], dtype=object),
            rows + 0.1 * rng.normal(size=rows.shape),
            rng.dirichlet([1, 1], size=len(rows)),
        )
        for side, rows in seen.items()
    }


def shuffled(side, seed=1):
    order = np.random.default_rng(seed).permutation(len(side.ids))
    return Side(*(part[order] for part in side))


def truth_of(sides):
    """a5 belongs to b5 wherever it stands."""
    place = {row[1:]: j for j, row in enumerate(sides["b"].ids)}
    rows = [i for i, row in enumerate(sides["a"].ids) if row[1:] in place]
    right = [np.array([place[sides["a"].ids[i][1:]]]) for i in rows]
    return Truth("truth", rows, np.arange(len(place)), right)


def matched(sides, truths=None, seed=7):
    truths = [truth_of(sides)] if truths is None else truths
    found = run(sides, WORDS, truths, names=["cooks", "jobs"], encoding="dense-8/seed-7", seed=seed, key="match.m")
    return found, tables_from(found, sides, WORDS, top=5, encoding="dense-8/seed-7")


def hits(found, scorer="as published"):
    return found.evaluation.set_index("scorer").loc[scorer, "hit_at_1"]


def test_rows_that_correspond_are_found_and_shuffled_rows_are_at_chance():
    sides = planted()
    found, tables = matched(sides)
    assert hits(found) > 0.95 and hits(found, "assignment") > 0.95
    assert tables["matches"]["mutual"].mean() > 0.9 and (tables["matches"]["choice"] >= 1).all()
    mixed, tables = matched(sides | {"b": shuffled(sides["b"])})
    assert hits(mixed) < 0.05 and hits(mixed, "assignment") < 0.05
    assert (tables["matches"]["b_id"] != "").all()  # and yet everybody gets a partner


def test_disparity_tells_shuffled_rows_from_corresponding_ones():
    sides = planted()
    facts = matched(sides)[0].diagnostics["alignment"]["details"]
    assert facts["disparity"] < 0.5 < facts["disparity_of_noise"] and facts["disparity_of_shuffled_rows"] > 0.5
    again = matched(sides, seed=8)[0].diagnostics["alignment"]["details"]
    assert again["disparity"] == facts["disparity"] and again["disparity_of_noise"] != facts["disparity_of_noise"]
    mixed = matched(sides | {"b": shuffled(sides["b"])})[0].diagnostics
    facts = mixed["alignment"]["details"]
    assert facts["disparity"] == pytest.approx(facts["disparity_of_noise"], abs=0.05)
    assert facts["disparity"] == pytest.approx(facts["disparity_of_shuffled_rows"], abs=0.05)
    assert f"{facts['disparity']:.3f}" in mixed["statement"] and "do not correspond" in mixed["statement"]


def test_another_order_of_rows_changes_most_matches():
    sides = planted()
    first, other = (
        matched(sides | {"b": shuffled(sides["b"], seed)})[1]["matches"].set_index("a_id")["b_id"] for seed in (1, 2)
    )
    assert (first == other).mean() < 0.1
    mixed = matched(sides | {"b": shuffled(sides["b"])})[0].diagnostics
    assert mixed["stability"]["order"] < 0.1 and "another order" in mixed["statement"]


def test_share_that_keeps_its_partner_is_that_of_a_matching_in_another_order():
    sides, told, found = planted(8, 10), [], []
    first = matched(sides)[1]["matches"]["b_id"]
    for seed in range(6):
        told.append(matched(sides, seed=seed)[0].diagnostics["stability"]["order"])
        other = matched(sides | {"b": shuffled(sides["b"], seed)})[1]["matches"]["b_id"]
        found.append((first == other).mean())
    assert told == found and any(told)


@pytest.mark.parametrize(("n", "m"), [(40, 60), (60, 40), (50, 50)])
def test_larger_side_is_cut_to_the_smaller(n, m):
    sides = planted(n, m)
    found, tables = matched(sides)
    matches, least = tables["matches"], min(n, m)
    assert matches["a_id"].tolist() == sides["a"].ids.tolist()
    assert sorted(matches["b_id"][:least]) == sorted(sides["b"].ids[:least])
    assert (matches["b_id"][least:] == "").all() and (matches["reason"][least:] == CUT_OFF).all()
    assert (matches["reason"][:least] == "").all() and matches["score"].notna().sum() == least
    assert (matches["choice"][least:] == 0).all() and not matches["mutual"][least:].any()
    assert found.diagnostics["matched"] == least and found.diagnostics["rows"] == [n, m]
    assert sum(found.diagnostics["unmatched"].values()) == n - least
    assert len(tables["map"]) == 2 * least and np.isfinite(tables["map"].filter(regex="^[xy]_")).all(axis=None)
    assert tables["candidates"].groupby("a_id").size().eq(5).all()


def test_truth_that_is_cut_off_cannot_be_found_and_lowers_the_bound():
    sides = planted(40, 60)
    sides["b"] = Side(*(part[::-1] for part in sides["b"]))  # b0 to b19 stand last and go; b20 to b39 stay
    found, _ = matched(sides)
    rows = found.evaluation.set_index("scorer")
    assert rows.loc["as published", "bound"] == pytest.approx(20 / 40)
    assert rows.loc["as published", "n"] == 40 and rows.loc["as published", "hit_at_1"] <= 0.5
    assert rows.loc["as published", "chance"] == pytest.approx(0.5 / 40)


def test_truth_of_rows_that_are_all_cut_off_is_left_out(caplog):
    sides = planted(60, 40)
    with caplog.at_level(logging.WARNING):
        found, _ = matched(sides, [Truth("truth", [50, 51], np.arange(40), [np.array([0]), np.array([1])])])
    assert found.evaluation.empty and "not measured" in caplog.text


def test_alignment_and_pairs_are_those_of_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 30, 5)) + 2
    left, right, disparity = scipy.spatial.procrustes(a, b)
    aligned = align_rows(a, b)
    assert aligned.disparity == pytest.approx(disparity)
    partner, distances = pair_rows(aligned)
    plain = np.linalg.norm(left[:, None] - right[None], axis=2)
    rows, columns = scipy.optimize.linear_sum_assignment(plain)
    np.testing.assert_array_equal(partner, columns[rows.argsort()])
    np.testing.assert_allclose(distances, plain * np.sqrt(30))


def test_saved_maps_do_to_any_row_what_the_alignment_did(tmp_path):
    sides = planted(40, 60)
    found, _ = matched(sides)
    tensors = Maps(*found.aligned.maps, {}).tensors()
    for side, transform, moved in zip("ab", load_maps(tensors), (found.aligned.a, found.aligned.b), strict=True):
        np.testing.assert_allclose(transform.apply(sides[side].columns[:40]), moved, atol=1e-12)


def test_margin_candidates_and_choice_agree_with_the_distances():
    found, tables = matched({side: shuffled(own, i) for i, (side, own) in enumerate(planted(30, 30).items())})
    for i, row in enumerate(tables["matches"].itertuples()):
        others = np.delete(found.distances[i], found.partner[i])
        own = found.distances[i, found.partner[i]]
        assert row.score == pytest.approx(-own) and row.margin == pytest.approx(others.min() - own)
        assert row.choice == 1 + (others < own).sum()
        assert row.mutual == (own == found.distances[i].min() == found.distances[:, found.partner[i]].min())
    listed = tables["candidates"][tables["candidates"]["a_id"] == tables["matches"]["a_id"][0]]
    best = np.argsort(found.distances[0])[:5]
    np.testing.assert_allclose(listed["score"], -found.distances[0, best])
    assert listed["rank"].tolist() == [1, 2, 3, 4, 5]


def digests(folder, sides, seed):
    found, tables = matched(sides, seed=seed)
    for name, table in tables.items():
        files.write_parquet(folder / f"{name}.parquet", table)
        files.write_csv(folder / f"{name}.csv", table)
    files.write_json(folder / "diagnostics.json", found.diagnostics)
    files.write_tensors(folder / "maps.safetensors", Maps(*found.aligned.maps, {}).tensors())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_same_seed_same_bytes_and_another_seed_other_noise(tmp_path):
    one, same, other = (digests(tmp_path / str(i), planted(30, 45), seed) for i, seed in enumerate((7, 7, 8)))
    assert one == same
    assert one["diagnostics.json"] != other["diagnostics.json"] and one["matches.csv"] == other["matches.csv"]


def test_tables_have_the_columns_of_the_default_method():
    _, tables = matched(planted(30, 20))
    told = [
        "a_id",
        "b_id",
        "score",
        "cosine",
        "margin",
        "choice",
        "mutual",
        "chance",
        "terms",
        "topic",
        "level",
        "reason",
    ]
    assert list(tables["matches"]) == told
    assert list(tables["candidates"]) == ["a_id", "rank", "b_id", "score", "cosine"]
    assert list(tables["blocks"]["block"]) == ["code", "topics"] and tables["blocks"]["columns"].tolist() == [8, 2]
    assert tables["weights"].empty and list(tables["weights"]) == ["agreement", "same", "chosen_from"]
    assert list(tables["map"]) == ["side", "id", "x_before", "y_before", "x_after", "y_after", "topic"]
    assert tables["topics"]["side"].tolist() == ["a", "a", "b", "b"] and tables["topics"]["partner"].isna().all()


def texts(counts, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(THEMES[i % 3].split(), size=12)) for i in range(counts)]


def test_each_side_has_an_lda_of_its_own_with_the_first_number_of_topics(tmp_path):
    both = {"a": texts(30, 0), "b": [text.upper().replace("BAKER", "brewer") for text in texts(21, 1)]}
    fits = topics_apart(both, settings=SETTINGS, seed=3, folder=tmp_path, key="match.m.topics")
    assert fits.models["engine"].tolist() == ["lda", "lda"] and fits.models["side"].tolist() == ["a", "b"]
    assert fits.models["chosen"].all() and fits.models["topics"].tolist() == [3, 3]
    told = ["engine", "topics", "coherence", "diversity", "coverage", "score", "chosen", "side"]
    assert list(fits.models) == told
    for side, rows in both.items():
        assert fits.mixtures[side].shape == (len(rows), 3)
        np.testing.assert_allclose(fits.mixtures[side].sum(axis=1), 1)
    used = {side: {word for topic in fits.words["topics"][side] for word, _ in topic} for side in "ab"}
    assert "brewer" in used["b"] - used["a"] and "baker" in used["a"] - used["b"]
    again = topics_apart(both, settings=SETTINGS, seed=3, folder=tmp_path, key="match.m.topics")
    assert all(np.array_equal(fits.mixtures[side], again.mixtures[side]) for side in "ab") and fits.words == again.words


def test_words_of_one_side_do_not_count_for_the_other(tmp_path):
    both = {"a": texts(40, 0), "b": texts(40, 1)}
    for own in both.values():
        own[0] += " unicorn"  # once on each side, twice in all
    fits = topics_apart(both, settings=SETTINGS | {"min_df": 2}, seed=3, folder=tmp_path, key="match.m.topics")
    assert fits.words["words"] == len(" ".join(THEMES).split())


def test_too_many_topics_name_the_setting(tmp_path):
    both = {"a": texts(30, 0), "b": texts(4, 1)}
    with pytest.raises(UserError, match=r"match\.m\.topics\.number"):
        topics_apart(both, settings=SETTINGS | {"number": 9}, seed=3, folder=tmp_path, key="match.m.topics")


def test_standardised_columns_weigh_the_same_and_constant_ones_nothing():
    rows = np.random.default_rng(0).normal(size=(20, 3)) * [1, 100, 0] + 5
    done = standardise(rows)
    np.testing.assert_allclose(done.std(axis=0), [1, 1, 0])
    np.testing.assert_allclose(done.mean(axis=0), 0, atol=1e-12)


def test_sides_of_different_widths_are_refused_with_a_cure():
    sides = planted()
    sides["b"] = sides["b"]._replace(codes=sides["b"].codes[:, :5])
    with pytest.raises(UserError, match=r"match\.m: .* 10 and 7 columns.*encode\.encoders"):
        matched(sides)


def test_rows_that_are_all_alike_are_refused():
    sides = planted()
    same = Side(sides["a"].ids, np.full_like(sides["a"].codes, 0.3), np.full_like(sides["a"].mixtures, 0.5))
    with pytest.raises(UserError, match="cooks that take part are all alike"):
        matched(sides | {"a": same})


def test_scale_of_the_rows_does_not_make_ties():
    """The clouds have norm 1: without a unit of their own, distances of many rows would differ by less than a tie."""
    small, large = (pair_rows(align_rows(*np.random.default_rng(0).normal(size=(2, k, 4))))[1] for k in (50, 800))
    assert np.median(large) == pytest.approx(np.median(small), rel=0.1)
