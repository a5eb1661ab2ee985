"""Training: honest figures, the same bytes twice, nothing lost in the file, odd shapes survived."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from crosswalk import training
from crosswalk.encoders import ENCODERS
from crosswalk.errors import UserError

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
    assert all(value != weights(other)[name] for name, value in weights(first).items())


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
    list(training.fit(model, x, training.Schedule(10, 1e-3, 1e-3, True), seed=0, epochs=2))
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
    plan = training.schedule(70, 48, encoder="dense", dim=8, batch_size=32, learning_rate=1e-3)
    list(training.fit(model, x, plan, seed=0, epochs=3))
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
    standard = (x.astype(float) - x.mean(0, dtype=float)) / x.std(0, dtype=float)
    codes = training.encode(trained, x)
    error = np.mean((training.decode(trained, codes) - standard) ** 2)
    last = trained.history.iloc[-1]
    assert last.reconstruction_error == pytest.approx(error, rel=1e-4)
    assert last.explained_variance == pytest.approx(1 - error / standard.var(), abs=1e-4)
    assert last.dead_units == (codes <= trained.model.floor).all(0).sum()
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
    plan = training.schedule(*x.shape, encoder="topk", dim=8)
    history = list(training.fit(model, x, plan, seed=0, epochs=100))
    assert history[0]["dead_units"] == 1
    assert history[-1]["dead_units"] == 0


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


def test_more_active_units_than_units_are_refused():
    with pytest.raises(UserError, match=r"`encode\.active` is 9"):
        train(active=9)


@pytest.mark.parametrize(("dim", "active"), [(2, 1), (8, 2), (32, 8), (64, 8)])
def test_a_quarter_of_the_units_is_active_and_at_most_eight(dim, active):
    assert training.build("topk", 10, dim).active == active


@pytest.mark.parametrize("n", [4, 33, 100, 1000, 1025, 5000, 200_000])
def test_default_batches_are_even(n):
    size = training.schedule(n, 48, encoder="dense", dim=8).batch_size
    last = n % size or size
    assert last > size - -(-n // size)
    assert size <= 1100


def test_rate_rises_falls_and_ends_near_nothing():
    factors = [training._factor(step, 200) for step in range(1, 201)]
    assert max(factors) == 1
    assert factors.index(1) == 9
    assert factors[0] == pytest.approx(0.1)
    assert 0 < factors[-1] < 0.01
    assert training._factor(1, 1) == 1


@pytest.mark.parametrize(("encoder", "epochs"), [("dense", 20), ("topk", 60)])
def test_default_schedule_ends_below_the_published_recipe_in_no_more_epochs(encoder, epochs):
    x = embeddings(600)
    published = train(x, encoder=encoder, epochs=60, batch_size=32, learning_rate=1e-3).history
    ours = train(x, encoder=encoder, epochs=epochs).history
    assert ours.reconstruction_error.iloc[-1] <= published.reconstruction_error.iloc[-1]
