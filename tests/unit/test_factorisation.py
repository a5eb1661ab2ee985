"""Vectors find what was planted, learn from what is known beforehand and from nothing else, and answer new works."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from crosswalk import batches, factor_training, factorisation, factors, priors, softmax
from crosswalk.recommender import Fitting, Queries

THEMES, EACH = 10, 8
SUBJECTS = THEMES * EACH
SMALL = {"dim": 16, "epochs": 12, "learning_rate": 0.02}


def planted(works, *, themes=THEMES, seed=0):
    """Works of two themes, each with 5 of the subjects of both, and one subject hidden of each work.

    Texts have five terms of each theme's ten; vectors say the themes, with noise; each theme is a place on a path, and
    its first subject is broader than the others. Labels name the theme.
    """
    rng = np.random.default_rng(seed)
    dense, terms = np.zeros((works, themes * EACH), np.float32), np.zeros((works, themes * 10), np.float32)
    own = np.array([rng.choice(themes, 2, replace=False) for _ in range(works)])
    places = np.zeros((works, themes), np.float32)
    for row in range(works):
        places[row, own[row]] = 1
        for theme in own[row]:
            dense[row, EACH * theme + rng.choice(EACH, 5, replace=False)] = 1
            terms[row, 10 * theme + rng.choice(10, 5, replace=False)] = 1
    hidden = np.array([rng.choice(np.flatnonzero(row)) for row in dense])
    whole = csr_array(dense)
    dense[np.arange(works), hidden] = 0
    broader = np.zeros((themes * EACH, themes * EACH), np.float32)
    for subject in range(themes * EACH):
        if subject % EACH:
            broader[subject, subject - subject % EACH] = 1
    fitting = Fitting(
        links=csr_array(dense),
        features=csr_array(terms / np.linalg.norm(terms, axis=1, keepdims=True)),
        labels=[f"theme{i // EACH} subject{i}" for i in range(themes * EACH)],
        vectors=(places + 0.1 * rng.standard_normal(places.shape)).astype(np.float32),
        broader=csr_array(broader),
        paths=csr_array(places),
    )
    return fitting, hidden, whole


def queries(fitting, rows, *, links=None, new=False):
    return Queries(
        links=fitting.links[rows] if links is None else links,
        features=fitting.features[rows],
        rows=np.full(len(rows), -1) if new else np.asarray(rows),
        texts=[""] * len(rows),
        vectors=None if fitting.vectors is None else fitting.vectors[rows],
        paths=None if fitting.paths is None else fitting.paths[rows],
    )


def empty(rows, subjects=SUBJECTS):
    return csr_array((len(rows), subjects), dtype=np.float32)


def recall(model, asked, hidden):
    scores = np.where(asked.links.toarray() > 0, -np.inf, model.score(asked))
    return (np.argsort(-scores, axis=1)[:, :10] == hidden[:, None]).any(axis=1).mean()


WORLD, HIDDEN, WHOLE = planted(500)
ALL = np.arange(500)


def test_a_planted_set_is_recovered_from_links_alone():
    model = factorisation.fit(WORLD, prior=(), **SMALL)
    assert recall(model, queries(WORLD, ALL), HIDDEN) >= 0.95
    assert model.facts["gates"] == {}


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"works": "free"}, {"loss": "sampled", "sampled": 60}])
def test_a_larger_planted_set_is_recovered(options):
    world, hidden, _ = planted(4000, themes=50)
    model = factorisation.fit(world, prior=(), dim=64, epochs=20, batch_size=128, **options)
    assert recall(model, queries(world, np.arange(4000)), hidden) >= 0.95


def test_new_works_are_answered_from_their_text_alone():
    world = dataclasses.replace(WORLD, links=WORLD.links[:400], features=WORLD.features[:400])
    model = factorisation.fit(world, prior=("text",), **SMALL)
    asked = Queries(empty(ALL[400:]), WORLD.features[400:], np.full(100, -1), [""] * 100)
    best = np.argsort(-model.score(asked), axis=1)[:, :10]
    borne = np.take_along_axis(WHOLE[400:].toarray(), best, axis=1)
    # Of the 16 subjects of a work's two themes it bears 10: the ten best can be right in 62.5 % at most by skill.
    assert borne.mean() > 0.55
    mute = dataclasses.replace(asked, features=csr_array(WORLD.features[400:].shape, dtype=np.float32))
    assert np.ptp(model.score(mute), axis=0).max() < 1e-6


@pytest.mark.parametrize("prior", ["vectors", "hierarchy"])
def test_new_works_are_answered_from_what_else_they_bring(prior):
    model = factorisation.fit(WORLD, prior=(prior,), **SMALL)
    best = np.argsort(-model.score(queries(WORLD, ALL, links=empty(ALL), new=True)), axis=1)[:, :10]
    assert np.take_along_axis(WHOLE.toarray(), best, axis=1).mean() > 0.55


def test_a_changed_work_is_answered_as_it_is_now():
    model = factorisation.fit(WORLD, prior=(), **SMALL)
    changed = np.zeros((1, SUBJECTS), np.float32)
    changed[0, [0, 1, 2, 3]] = 1
    best = np.argsort(-model.score(queries(WORLD, [7], links=csr_array(changed))))[0, :4]
    assert set(best) == {4, 5, 6, 7}


def test_every_gate_moves_and_none_is_there_that_was_not_asked_for():
    everything = factorisation.fit(WORLD, prior=priors.PRIORS, dim=8, epochs=2)
    assert set(everything.facts["gates"]) == {"text", "vectors", "paths", "hierarchy", "labels"}
    assert all(abs(gate - 1) > 1e-3 for gate in everything.facts["gates"].values())
    plain = {name for name, _ in factorisation.build(WORLD, dim=8, prior=()).named_parameters()}
    added = {
        "text": {"terms", "gates.text"},
        "vectors": {"projection", "gates.vectors"},
        "hierarchy": {"places", "gates.hierarchy", "gates.paths"},
        "labels": {"inward.words", "outward.words", "gates.labels"},
    }
    for prior, names in added.items():
        own = {name for name, _ in factorisation.build(WORLD, dim=8, prior=(prior,)).named_parameters()}
        assert own - plain == names
        assert plain <= own


def test_a_prior_of_which_nothing_is_known_has_no_parameters():
    bare = Fitting(links=WORLD.links, features=csr_array((500, 0), dtype=np.float32), labels=["one"] * 0)
    assert priors.wanted(bare, priors.PRIORS) == []
    with pytest.raises(ValueError, match="unknown prior colour"):
        priors.wanted(WORLD, ["text", "colour"])


def test_broader_subjects_teach_the_narrower_ones():
    # A subject that no work bears is near its siblings only through the broader one.
    dense = WORLD.links.toarray()
    dense[:, 5] = 0
    world = dataclasses.replace(WORLD, links=csr_array(dense))
    near = []
    for prior in ((), ("hierarchy",)):
        vectors = factorisation.fit(world, prior=prior, **SMALL).vectors_of_subjects()
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        near.append(unit[5] @ unit[0])
    assert near[1] > near[0] + 0.3


def test_words_of_labels_count_only_where_labels_share_them():
    matrix = priors.words_of_labels(["Red house", "red boat", "sea", "Boat house", ""])
    np.testing.assert_allclose(matrix.toarray() ** 2, [[0, 0.5, 0.5], [0.5, 0, 0.5], [0, 0, 0], [0.5, 0.5, 0], [0] * 3])


def test_only_the_terms_of_most_works_have_vectors():
    features = csr_array(np.array([[1, 0, 1, 0], [1, 0, 1, 1], [0, 0, 1, 1]], np.float32))
    assert priors.chosen_terms(features, most=2).tolist() == [0, -1, 1, -1]
    assert priors.chosen_terms(features).tolist() == [0, -1, 1, 2]


def test_a_seed_decides_every_byte_whatever_the_threads(tmp_path):
    before = torch.get_num_threads()
    for name, seed, threads in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        torch.set_num_threads(threads)
        torch.manual_seed(threads)
        model = factorisation.fit(WORLD, prior=priors.PRIORS, dim=8, epochs=2, dropout=0.1, seed=seed)
        assert torch.get_num_threads() == threads
        model.save(tmp_path / name)
    torch.set_num_threads(before)
    contents = [(tmp_path / name).read_bytes() for name in "abc"]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_threads_are_one_inside_and_as_before_outside():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with pytest.raises(KeyError), factors.one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_a_new_work_gets_no_old_works_vector():
    model = factorisation.fit(WORLD, prior=(), works="free", dim=8, epochs=1)
    scores = model.score(queries(WORLD, [0, 0], links=empty([0, 0]), new=True))
    with torch.no_grad():
        model.net.free[0] += 5
    np.testing.assert_array_equal(model.score(queries(WORLD, [0, 0], links=empty([0, 0]), new=True)), scores)


@pytest.mark.parametrize("works", ["folded", "free"])
def test_what_is_saved_answers_alike(works, tmp_path):
    model = factorisation.fit(WORLD, prior=priors.PRIORS, works=works, dim=8, epochs=2)
    model.save(tmp_path / "model.safetensors")
    found = factorisation.load(tmp_path / "model.safetensors")
    for asked in (queries(WORLD, ALL), queries(WORLD, ALL, links=empty(ALL), new=True)):
        np.testing.assert_array_equal(found.score(asked), model.score(asked))
    assert found.facts == model.facts


def test_scores_are_probabilities_of_what_a_work_does_not_bear():
    asked = queries(WORLD, ALL[:50])
    scores = factorisation.fit(WORLD, dim=8, epochs=1).score(asked)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert not scores[asked.links.toarray() > 0].any()
    full = queries(WORLD, [0], links=csr_array(np.ones((1, SUBJECTS), np.float32)))
    assert not factorisation.fit(WORLD, dim=8, epochs=1).score(full).any()


def test_history_tells_of_links_that_were_held_back():
    model = factorisation.fit(WORLD, prior=(), **SMALL)
    assert list(model.history) == ["epoch", "loss", "log_loss", "recall_at_10"]
    assert model.history["recall_at_10"].iloc[-1] > model.history["recall_at_10"].iloc[0]
    assert model.facts["recall_at_10"] == model.history["recall_at_10"].max()
    shown, held = factor_training.hold_back(WORLD.links, rng=np.random.default_rng(0))
    lost = WORLD.links - shown
    lost.eliminate_zeros()
    assert len(held.rows) == 25
    np.testing.assert_array_equal(np.stack(lost.nonzero()), [held.rows, held.subjects])


def test_training_ends_early_and_goes_back_to_its_best_epoch(monkeypatch):
    recalls = iter([0.2, 0.5, 0.4, 0.3, 0.9])
    seen = []

    def check(net, fitting, held):
        seen.append(net.bias.detach().clone())
        return 1.0, next(recalls)

    monkeypatch.setattr(factor_training, "check", check)
    model = factorisation.fit(WORLD, prior=(), dim=8, epochs=5)
    assert len(model.history) == 4
    assert model.facts["epoch"] == 2
    torch.testing.assert_close(model.net.bias.detach(), seen[1], rtol=0, atol=0)


def test_too_few_works_to_check_are_learned_from_to_the_end():
    world, *_ = planted(100)
    model = factorisation.fit(world, prior=(), dim=8, epochs=3)
    assert len(model.history) == 3
    assert model.facts["recall_at_10"] is None


def test_fewer_works_than_a_batch_are_learned_all_the_same():
    world, *_ = planted(30)
    model = factorisation.fit(world, prior=(), dim=8, epochs=20, batch_size=512)
    assert model.history["loss"].iloc[-1] < model.history["loss"].iloc[0] - 0.1


def test_gradient_of_the_softmax_is_that_of_automatic_differentiation():
    works, subjects, bias = (
        torch.randn(*shape, dtype=torch.float64) for shape in ((30, 4), (SUBJECTS, 4), (SUBJECTS,))
    )
    values = [x.requires_grad_() for x in (works, subjects, bias)]
    part = batches.take(WORLD.links, ALL[:30])
    rows, columns, weights = softmax.targets(part)
    plain = -(torch.log_softmax(works @ subjects.T + bias, 1)[rows, columns] * weights).sum() / 30
    ours = softmax.cross_entropy(*values, softmax.targets(part))
    torch.testing.assert_close(ours, plain)
    for own, expected in zip(torch.autograd.grad(ours, values), torch.autograd.grad(plain, values), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=1e-8)


def test_loss_of_hopeless_targets_stays_finite():
    part = batches.take(csr_array(np.array([[1, 0]], np.float32)), np.array([0]))
    loss = softmax.cross_entropy(
        torch.zeros(1, 2), torch.zeros(2, 2), torch.tensor([-500.0, 0.0]), softmax.targets(part)
    )
    assert float(loss) == pytest.approx(-np.log(softmax.LEAST), rel=1e-3)


def test_drawn_subjects_give_the_loss_of_all_on_average():
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    links = csr_array((rng.random((400, 300)) < 0.5 / np.arange(1, 301)).astype(np.float32))
    links = links[np.flatnonzero(np.diff(links.indptr))]
    works = torch.randn(links.shape[0], 4, generator=generator)
    subjects, bias = torch.randn(300, 4, generator=generator) / 2, torch.zeros(300)
    counts = np.bincount(links.indices, minlength=300)
    sampler = softmax.Sampler(counts, links.shape[0], size=60)
    full, drawn_losses, naive = [], [], []
    for batch in [
        b for _ in range(60) for b in batches.epoch(links, np.arange(links.shape[0]), batch_size=40, rng=rng)
    ]:
        own = torch.from_numpy(batch.rows)
        full.append(softmax.cross_entropy(works[own], subjects, bias, softmax.targets(batch.links)))
        drawn = sampler.draw(batch.links, rng=rng)
        assert len(drawn.subjects) < 200
        some = torch.from_numpy(drawn.subjects)
        told = softmax.targets(batch.links, among=drawn.subjects)
        drawn_losses.append(
            softmax.cross_entropy(works[own], subjects[some], bias[some], told, log_chance=drawn.log_chance)
        )
        naive.append(softmax.cross_entropy(works[own], subjects[some], bias[some], told))
    full, drawn_losses, naive = (float(torch.stack(x).mean()) for x in (full, drawn_losses, naive))
    assert abs(drawn_losses - full) < 0.05
    assert abs(naive - full) > 0.3


def test_sampled_softmax_finds_nearly_what_the_full_one_finds():
    found = [
        recall(factorisation.fit(WORLD, prior=(), loss=loss, sampled=30, **SMALL), queries(WORLD, ALL), HIDDEN)
        for loss in ("softmax", "sampled")
    ]
    assert found[1] > found[0] - 0.05


def test_the_number_of_subjects_decides_which_softmax(monkeypatch):
    used = []
    monkeypatch.setattr(
        factorisation,
        "train",
        lambda net, own, held, sampler, **_: (
            used.append(sampler) or [{"epoch": 1, "loss": 1.0, "log_loss": 1.0, "recall_at_10": 0.5}]
        ),
    )
    factorisation.fit(WORLD, dim=4)
    monkeypatch.setattr(factorisation, "FULL", SUBJECTS - 1)
    factorisation.fit(WORLD, dim=4)
    assert used[0] is None
    assert isinstance(used[1], softmax.Sampler)


@pytest.mark.parametrize(
    "wrong", [{"loss": "bce"}, {"works": "fixed"}, {"dim": 0}, {"epochs": 0}, {"dropout": 1.0}, {"learning_rate": 0.0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=r"there are|above 0"):
        factorisation.fit(WORLD, **wrong)


def test_nothing_to_learn_from_is_said():
    with pytest.raises(ValueError, match="nothing to learn"):
        factorisation.fit(dataclasses.replace(WORLD, links=csr_array((500, SUBJECTS), dtype=np.float32)))
