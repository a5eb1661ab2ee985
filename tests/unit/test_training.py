"""Training: honest figures, the same bytes twice, nothing lost in the file, odd shapes survived."""

import gzip
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import nn

from crosswalk import descent, training
from crosswalk.encoders import ENCODERS
from crosswalk.errors import UserError
from crosswalk.items import average_by_group
from crosswalk.lexical import Hashing
from crosswalk.pairs import unit_pairs
from crosswalk.significance import own_p_values

SCRIPTS = Path(__file__).parents[2] / "scripts"


def embeddings(n=300, width=48, *, factors=10, seed=0):
    """Unit rows around an offset, of falling spectrum with heavy tails, as embeddings have."""
    rng = np.random.default_rng(seed)
    strengths = rng.laplace(size=(n, factors)) / np.sqrt(np.arange(1, factors + 1))
    x = strengths @ rng.standard_normal((factors, width)) + 0.3 * rng.standard_normal((n, width))
    x += rng.standard_normal(width)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def train(x=None, **settings):
    options = {"encoder": "topk", "dim": 8, "seed": 0, "epochs": 5} | settings
    return training.train(embeddings() if x is None else x, **options)


def weights(trained):
    return {name: value.numpy().tobytes() for name, value in trained.model.state_dict().items()}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_same_seed_same_bytes_and_another_seed_others(encoder, tmp_path):
    first, again, other = train(encoder=encoder), train(encoder=encoder), train(encoder=encoder, seed=1)
    assert weights(first) == weights(again)
    assert first.history.equals(again.history)
    biases = {"encoder.bias", "decoder.bias"} if encoder == "ica" else set()  # its rows have mean 0
    assert all(value != weights(other)[name] for name, value in weights(first).items() if name not in biases)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_callers_random_numbers_are_left_alone(encoder):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(encoder=encoder, epochs=1)
    assert torch.get_rng_state().equal(before)


def test_rows_are_shuffled_anew_in_each_epoch():
    seen = []
    model = training.build("dense", 4, 2, seed=0)
    error = model.squared_error
    model.squared_error = lambda batch, total: seen.append(batch[:, 0].tolist()) or error(batch, total)
    x = torch.arange(40.0).reshape(10, 4)
    list(descent.fit(model, x, descent.Schedule(10, 1e-3, 1e-3, True), seed=0, epochs=2))
    assert seen[0] != seen[1] != x[:, 0].tolist()
    assert sorted(seen[0]) == sorted(seen[1]) == x[:, 0].tolist()


def test_as_published_recipe_takes_the_notebooks_steps():
    x = torch.from_numpy(training.standardise(embeddings(70), *training.moments(embeddings(70))))
    model = training.build("dense", 48, 8, seed=0)
    published = nn.Sequential(nn.Linear(48, 8), nn.ReLU(), nn.Sigmoid(), nn.Linear(8, 48))
    published[0].load_state_dict(model.encoder.state_dict())
    published[3].load_state_dict(model.decoder.state_dict())
    optimiser, order = torch.optim.Adam(published.parameters(), lr=1e-3), []
    error = model.squared_error
    model.squared_error = lambda batch, total: order.append(batch.clone()) or error(batch, total)
    plan = descent.schedule(70, 48, encoder="dense", dim=8, batch_size=32, learning_rate=1e-3)
    list(descent.fit(model, x, plan, seed=0, epochs=3))
    assert [len(batch) for batch in order] == [32, 32, 6] * 3
    for batch in order:
        optimiser.zero_grad()
        nn.functional.mse_loss(published(batch), batch).backward()
        optimiser.step()
    torch.testing.assert_close(model.encoder.weight, published[0].weight, atol=1e-4, rtol=0)
    torch.testing.assert_close(model.decoder.weight, published[3].weight, atol=1e-4, rtol=0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_last_history_row_is_what_anyone_would_compute(encoder):
    x = embeddings()
    trained = train(x, encoder=encoder, epochs=30)
    spread = x.std(0, dtype=float)
    scale = spread if encoder == "dense" else np.sqrt(np.mean(spread**2))
    standard = (x.astype(float) - x.mean(0, dtype=float)) / scale
    codes = training.encode(trained, x)
    error = np.mean((training.decode(trained, codes) - standard) ** 2)
    last = trained.history.iloc[-1]
    assert last.reconstruction_error == pytest.approx(error, rel=1e-4)
    assert last.explained_variance == pytest.approx(1 - error / standard.var(), abs=1e-4)
    off = codes == 0 if encoder in ("linear", "ica") else codes <= trained.model.floor
    assert last.dead_units == off.all(0).sum()
    if encoder != "ica":  # whose loss is how normal its units are
        assert last.loss == pytest.approx(error, rel=1e-4)


def test_history_has_a_row_for_each_epoch_and_its_running_figures_lead_to_the_last():
    history = train(encoder="dense", epochs=40).history
    assert list(history) == ["epoch", "loss", "reconstruction_error", "explained_variance", "dead_units"]
    assert history.epoch.tolist() == list(range(1, 41))
    assert history.reconstruction_error.iloc[-2] == pytest.approx(history.reconstruction_error.iloc[-1], rel=0.02)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_reconstruction_beats_the_mean_and_leaves_no_unit_dead(encoder):
    last = train(encoder=encoder, epochs=60).history.iloc[-1]
    assert last.explained_variance > 0.3
    assert last.dead_units == 0


def test_a_unit_that_died_is_brought_back():
    x = torch.from_numpy(training.standardise(embeddings(), *training.moments(embeddings())))
    model = training.build("topk", 48, 8, seed=0)
    with torch.no_grad():
        model.encoder.bias[3] = -10
    plan = descent.schedule(*x.shape, encoder="topk", dim=8)
    history = list(descent.fit(model, x, plan, seed=0, epochs=100))
    assert history[0]["dead_units"] == 1
    assert history[-1]["dead_units"] == 0


def silenced(*units, dim=8, n=300):
    """Standardised rows, and a sparse model some of whose units can never be on of themselves."""
    x = torch.from_numpy(training.standardise(embeddings(n), *training.moments(embeddings(n))))
    model = training.build("topk", 48, dim, seed=0)
    with torch.no_grad():
        model.encoder.bias[list(units)] = -1000
    return x, model


@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 40])
@pytest.mark.parametrize("rate", [None, 1e-3])
def test_no_unit_is_dead_at_the_end_however_short_the_training(epochs, rate):
    x, model = silenced(1, 4, 5)
    plan = descent.schedule(*x.shape, encoder="topk", dim=8, learning_rate=rate)
    history = list(descent.fit(model, x, plan, seed=0, epochs=epochs))
    codes = model.encode(x)
    assert history[-1]["dead_units"] == 0
    assert (codes > 0).any(0).all() and ((codes > 0).sum(1) <= 2).all()
    restored = float((model.decode(codes) - x).detach().square().mean())
    assert history[-1]["reconstruction_error"] == pytest.approx(restored, rel=1e-4)


def test_a_dead_unit_reads_a_row_that_was_reconstructed_worst():
    x, model = silenced(6)
    errors = (model(x) - x).detach().square().sum(1)
    worst = int(errors.argmax())
    given = descent.give_rows(model, x, torch.arange(8) == 6)
    assert given.tolist() == [unit == 6 for unit in range(8)]
    assert model.encode(x)[worst, 6] > 0
    assert float((model(x[[worst]]) - x[worst]).detach().square().sum()) < float(errors[worst])
    torch.testing.assert_close(model.decoder.weight.norm(dim=0), torch.ones(8))


def test_the_optimiser_forgets_a_unit_that_was_given_a_row_and_no_other():
    x, model = silenced(6)
    adam = torch.optim.Adam(model.parameters())
    (model(x) - x).square().mean().backward()
    adam.step()
    for weight in model.parameters():
        adam.state[weight]["exp_avg"].fill_(1)
        adam.state[weight]["exp_avg_sq"].fill_(1)
    descent.give_rows(model, x, torch.arange(8) == 6, adam)
    kept = (torch.arange(8) != 6).float()
    for key in ("exp_avg", "exp_avg_sq"):
        torch.testing.assert_close(adam.state[model.encoder.bias][key], kept)
        torch.testing.assert_close(adam.state[model.encoder.weight][key], kept[:, None].expand(8, 48))
        torch.testing.assert_close(adam.state[model.decoder.weight][key], kept.expand(48, 8))
        assert adam.state[model.decoder.bias][key].all()


def test_matryoshka_lets_the_first_units_do_alone():
    x = embeddings()
    standard = training.standardise(x, *training.moments(x, each=False))

    def alone(trained, units):
        codes = training.encode(trained, x)
        codes[:, units:] = 0
        return float(np.mean((training.decode(trained, codes) - standard) ** 2))

    plain, nested = (train(x, dim=16, active=4, epochs=40, matryoshka=m) for m in (False, True))
    assert alone(nested, 4) < 0.97 * alone(plain, 4)
    assert 1 - alone(nested, 16) > 0.9 * (1 - alone(plain, 16))  # which costs little
    assert nested.history.dead_units.iloc[-1] == 0


def test_matryoshka_is_remembered_in_the_file(tmp_path):
    for matryoshka in (False, True):
        training.save(tmp_path / "model", train(epochs=1, matryoshka=matryoshka))
        assert training.load(tmp_path / "model").model.matryoshka == matryoshka


@pytest.mark.parametrize("encoder", ["linear", "ica"])
def test_linear_encoders_reach_what_principal_components_explain(encoder):
    x = embeddings(600)
    standard = (x - x.mean(0)).astype(float)
    values = np.linalg.eigvalsh(standard.T @ standard)[::-1]
    explained = train(x, encoder=encoder, epochs=60).history.explained_variance.iloc[-1]
    assert explained == pytest.approx(values[:8].sum() / values.sum(), abs=0.01 if encoder == "linear" else 1e-5)


def test_independent_units_beyond_the_rank_are_off_and_the_rest_uncorrelated():
    x = np.random.default_rng(0).laplace(size=(100, 3)) @ np.random.default_rng(1).standard_normal((3, 10))
    trained = train(x, encoder="ica", dim=8, epochs=50)
    codes = training.encode(trained, x)
    np.testing.assert_allclose(np.cov(codes[:, :3].T, bias=True), np.eye(3), atol=1e-4)
    assert not codes[:, 3:].any()
    assert trained.history.dead_units.iloc[-1] == 5


def replicated(seed=0):
    """Rows and texts; and the same, each row one to five times, in another order."""
    x, rng = embeddings(120), np.random.default_rng(seed)
    texts = np.array([f"text {i}" for i in range(120)], dtype=object)
    again = rng.permutation(np.repeat(np.arange(120), rng.integers(1, 6, 120)))
    return texts, x, again


@pytest.mark.parametrize("encoder", ENCODERS)
def test_copies_of_rows_and_their_order_change_no_weight_and_no_code(encoder):
    texts, x, again = replicated()
    settings = {"encoder": encoder, "dim": 6, "seed": 2, "epochs": 3}
    once, codes, first = training.train_texts(texts, x, **settings)
    often, copies, _ = training.train_texts(texts[again], x[again], **settings)
    assert weights(once) == weights(often)
    assert copies.tobytes() == codes[again].tobytes()
    assert sorted(first) == list(range(120))
    plain = training.train(x[again], **settings)
    assert weights(plain) != weights(often)  # or the claim would be empty


def test_replicating_every_reply_changes_no_p_of_a_pair_of_units():
    rng = np.random.default_rng(3)
    common = rng.exponential(size=(60, 4))
    groups = np.repeat(np.arange(60), 2)
    x = common @ rng.standard_normal((4, 24)) + 0.5 * rng.standard_normal((60, 24))
    y = common[groups] @ rng.standard_normal((4, 24)) + 0.5 * rng.standard_normal((120, 24))
    items = [f"i{i}" for i in range(60)]

    def tested(copies):
        own = np.repeat(np.arange(120), copies)
        settings = {"encoder": "topk", "dim": 4, "seed": 0, "epochs": 10}
        _, x_codes, _ = training.train_texts(np.array(items, dtype=object), x, **settings)
        texts = np.array([f"r{i}" for i in own], dtype=object)
        _, y_codes, _ = training.train_texts(texts, y[own], **settings)
        means = average_by_group(y_codes, [items[groups[i]] for i in own], items)
        found = unit_pairs(x_codes, means, np.arange(60), count=6, permutations=99, bootstrap=99, seed=0)
        return found.r, own_p_values(found.r, found.null)

    r, p = tested(1)
    r_copies, p_copies = tested(5)
    np.testing.assert_allclose(r_copies, r, atol=1e-9)
    np.testing.assert_array_equal(p_copies, p)
    assert p.min() < 0.05


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("batch_size", [1, 60, 1000])
def test_batches_of_one_row_and_larger_than_the_data_survive(encoder, batch_size):
    trained = train(embeddings(61), encoder=encoder, batch_size=batch_size, epochs=2)
    assert np.isfinite(trained.history.to_numpy()).all()
    assert all(torch.isfinite(weight).all() for weight in trained.model.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_constant_columns_read_zero_and_do_no_harm(encoder):
    x = embeddings()
    x[:, 3], x[:, 4] = 0.1, 0
    x[::2, 3] = np.nextafter(np.float32(0.1), np.float32(1))
    trained = train(x, encoder=encoder, epochs=30)
    standard = training.standardise(x, trained.mean, trained.scale)
    assert np.abs(standard[:, [3, 4]]).max() < 1e-6
    assert trained.history.explained_variance.iloc[-1] > 0.3
    constant = train(np.ones((40, 6), np.float32), encoder=encoder, dim=2, epochs=2)
    assert np.isfinite(constant.history.to_numpy()).all()


def test_but_for_the_published_encoder_columns_keep_their_proportions():
    x = embeddings() * np.linspace(0.1, 3, embeddings().shape[1], dtype=np.float32)
    for encoder in ENCODERS:
        found = train(x, encoder=encoder, epochs=1)
        rows = training.standardise(x, found.mean, found.scale)
        spread = rows.std(0) / x.std(0)
        assert (np.ptp(spread) < 1e-5 * spread.mean()) == (encoder != "dense")
        assert np.square(rows).mean() == pytest.approx(1, rel=1e-4)


def test_standardisation_can_be_undone():
    x = embeddings() * 3 + 7
    mean, scale = training.moments(x)
    standard = training.standardise(x, mean, scale)
    np.testing.assert_allclose(standard.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(0), 1, rtol=1e-5)
    np.testing.assert_allclose(standard * scale + mean, x, rtol=1e-6)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_saved_and_loaded_gives_identical_codes(encoder, tmp_path):
    trained = train(encoder=encoder, active=3, seed=11)
    training.save(tmp_path / "model.safetensors", trained)
    loaded = training.load(tmp_path / "model.safetensors")
    codes = training.encode(trained, embeddings())
    assert codes.dtype == np.float32
    assert codes.shape == (300, 8)
    assert codes.tobytes() == training.encode(loaded, embeddings()).tobytes()
    assert loaded.seed == 11


def test_metadata_name_the_encoder_and_stand_in_order(tmp_path):
    training.save(tmp_path / "model", train(seed=11))
    with safe_open(tmp_path / "model", framework="np") as file:
        metadata = file.metadata()
    history = metadata.pop("history")
    assert metadata == {"encoder": "topk", "width": "48", "dim": "8", "active": "2", "seed": "11"}
    assert len(history) == 64
    header = (tmp_path / "model").read_bytes()[:200].decode("latin-1")
    places = [header.index(f'"{key}"') for key in ("active", "dim", "encoder", "history", "seed", "width")]
    assert places == sorted(places)


@pytest.mark.slow
def test_file_has_the_same_bytes_from_another_process(tmp_path):
    code = (
        "import numpy as np, sys; from crosswalk import training;"
        "x = np.random.default_rng(0).standard_normal((40, 6));"
        "training.save(sys.argv[1], training.train(x, encoder='topk', dim=4, seed=0, epochs=2))"
    )
    for name in "ab":
        environment = os.environ | {"PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=environment)
    assert len({(tmp_path / name).read_bytes() for name in "ab"}) == 1


def test_encoding_does_not_depend_on_the_chunk(monkeypatch):
    trained = train()
    codes = training.encode(trained, embeddings())
    monkeypatch.setattr(training, "CHUNK", 7)
    np.testing.assert_allclose(training.encode(trained, embeddings()), codes, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(bad):
    x = embeddings()
    x[17, 5] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        train(x)


def test_too_few_rows_are_refused_with_the_keys_to_change():
    train(embeddings(16), dim=8, epochs=1)
    with pytest.raises(UserError, match=r"15 rows.*`sample\.n`.*`encode\.dims`"):
        train(embeddings(15), dim=8)


def test_copies_of_a_text_are_not_rows_to_learn_from():
    with pytest.raises(UserError, match=r"15 distinct texts.*at least 16"):
        training.train_texts([str(i % 15) for i in range(60)], embeddings(15)[np.arange(60) % 15], encoder="ica", dim=8)


def test_more_active_units_than_units_are_refused():
    with pytest.raises(UserError, match=r"`encode\.active` is 9"):
        train(active=9)


@pytest.mark.parametrize(("dim", "active"), [(2, 1), (8, 2), (32, 8), (64, 8)])
def test_a_quarter_of_the_units_is_active_and_at_most_eight(dim, active):
    assert training.build("topk", 10, dim).active == active


@pytest.mark.parametrize("n", [4, 33, 100, 1000, 1025, 5000, 200_000])
def test_default_batches_are_even(n):
    size = descent.schedule(n, 48, encoder="dense", dim=8).batch_size
    last = n % size or size
    assert last > size - -(-n // size)
    assert size <= 1100


def test_rate_rises_falls_and_ends_near_nothing():
    factors = [descent._factor(step, 200) for step in range(1, 201)]
    assert max(factors) == 1
    assert factors.index(1) == 9
    assert factors[0] == pytest.approx(0.1)
    assert 0 < factors[-1] < 0.01
    assert descent._factor(1, 1) == 1


@pytest.mark.parametrize(("encoder", "epochs"), [("dense", 20), ("topk", 60)])
def test_default_schedule_ends_below_the_published_recipe_in_no_more_epochs(encoder, epochs):
    x = embeddings(600)
    published = train(x, encoder=encoder, epochs=60, batch_size=32, learning_rate=1e-3).history
    ours = train(x, encoder=encoder, epochs=epochs).history
    assert ours.reconstruction_error.iloc[-1] <= published.reconstruction_error.iloc[-1]


def lines(path, count, *keys):
    """Texts from the first lines of a file of JSON."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [" ".join(str(row.get(key) or "") for key in keys) for row in map(json.loads, islice(file, count))]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["papers", "reviews", "artworks", "resumes", "occupations"])
def test_no_unit_is_dead_at_the_end_on_real_texts(real_data, source):
    texts = {
        "papers": lambda: lines(real_data / "reviews/papers.jsonl.gz", 400, "title", "description"),
        "reviews": lambda: lines(real_data / "reviews/reviews.jsonl.gz", 400, "review_text"),
        "artworks": lambda: lines(real_data / "artworks/works.jsonl.gz", 400, "title", "physicalDescription"),
        "resumes": lambda: pd.read_csv(real_data / "resumes/resumes.csv.gz", nrows=400)["Resume_str"].tolist(),
        "occupations": lambda: pd.read_csv(real_data / "occupations/esco.csv", nrows=400)["description"].tolist(),
    }[source]()
    vectors = Hashing(dimensions=96, seed=0).embed(texts).vectors
    for dim, matryoshka in ((8, False), (64, False), (64, True)):
        settings = {"encoder": "topk", "dim": dim, "seed": 0, "epochs": 30, "matryoshka": matryoshka}
        trained, codes, _ = training.train_texts(texts, vectors, **settings)
        assert trained.history.dead_units.iloc[-1] == 0
        assert (codes > 0).any(0).all()
