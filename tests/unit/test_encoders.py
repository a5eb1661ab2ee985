"""The networks: what they compute, and what they keep true while they are trained."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from crosswalk import training
from crosswalk.encoders import ENCODERS


def rows(n, width, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def scrambled(encoder, width=12, dim=6, active=2):
    """An autoencoder none of whose weights is at a special value."""
    model = training.build(encoder, width, dim, active=active, seed=1)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return model


def test_dense_is_the_notebooks_network():
    model = training.build("dense", 12, 4, seed=3)
    published = nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Sigmoid(), nn.Linear(4, 12))
    published[0].load_state_dict(model.encoder.state_dict())
    published[3].load_state_dict(model.decoder.state_dict())
    x = rows(20, 12)
    torch.testing.assert_close(model(x), published(x))
    torch.testing.assert_close(model.encode(x), published[:3](x))


def test_initial_weights_spread_like_those_of_linear():
    for layer in (model := training.build("dense", 1000, 10, seed=0)).encoder, model.decoder:
        bound = layer.in_features**-0.5
        for weight in (layer.weight, layer.bias):
            assert weight.abs().max() <= bound * 1.00001
        assert float(layer.weight.std().detach()) == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("n", [1, 7])
def test_shortcut_gives_the_same_error_and_gradients_as_the_reconstruction(encoder, n):
    model, x = scrambled(encoder), rows(n, 12)
    squared, codes = model.squared_error(x, x.square().sum())
    squared.backward()
    gradients = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    plain = (model(x) - x).square().sum()
    plain.backward()
    torch.testing.assert_close(squared, plain, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(codes, model.encode(x))
    for ours, weight in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(ours, weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_nested_error_is_the_mean_over_what_the_first_units_leave(encoder):
    model, x = scrambled(encoder), rows(7, 12)
    whole, mean, codes = model.nested_error(x, x.square().sum(), [1, 3, 6])
    mean.backward()
    gradients = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    errors = []
    for units in (1, 3, 6):
        first = (torch.arange(6) < units) * model.encode(x)
        errors.append((model.decode(first) - x).square().sum())
    torch.stack(errors).mean().backward()
    torch.testing.assert_close(whole, errors[-1], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(mean, torch.stack(errors).mean(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(codes, model.encode(x))
    for ours, weight in zip(gradients, model.parameters(), strict=True):
        torch.testing.assert_close(ours, weight.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dim", "prefixes"), [(2, [1, 2]), (8, [2, 4, 8]), (64, [16, 32, 64])])
def test_matryoshka_nests_a_quarter_and_a_half_of_the_units(dim, prefixes):
    assert training.build("topk", 10, dim, matryoshka=True).prefixes == prefixes
    assert training.build("topk", 10, dim).prefixes == [dim]


def test_a_unit_that_is_given_a_row_is_on_for_it_with_the_strength_asked_for():
    model, x = scrambled("topk"), rows(20, 12)
    residual = (x[4] - model(x)[4]).detach()
    model.reinitialise(3, x[4], residual, torch.tensor(50.0))
    assert float(model.encode(x)[4, 3].detach()) == pytest.approx(50, rel=1e-4)
    torch.testing.assert_close(model.decoder.weight[:, 3], residual / residual.norm())


def test_topk_keeps_the_strongest_units_and_no_more():
    model, x = scrambled("topk", dim=6, active=2), rows(50, 12)
    codes, z = model.encode(x), (x - model.decoder.bias) @ model.encoder.weight.T + model.encoder.bias
    assert (codes >= 0).all()
    assert ((codes > 0).sum(1) <= 2).all()
    for code, strength in zip(codes, z, strict=True):
        strongest = strength.argsort(descending=True)[:2]
        torch.testing.assert_close(code[strongest], strength[strongest].relu())


def test_topk_decoder_starts_as_the_encoders_transpose_with_unit_atoms():
    model = training.build("topk", 40, 8, seed=0)
    torch.testing.assert_close(model.decoder.weight, model.encoder.weight.T)
    torch.testing.assert_close(model.decoder.weight.norm(dim=0), torch.ones(8))


def test_atoms_have_unit_norm_after_training_and_the_gradient_never_points_along_them():
    x = np.random.default_rng(0).standard_normal((60, 12))
    trained = training.train(x, encoder="topk", dim=6, seed=0, epochs=3)
    torch.testing.assert_close(trained.model.decoder.weight.norm(dim=0), torch.ones(6))
    model = scrambled("topk")
    model.normalise()
    batch = rows(30, 12)
    model.squared_error(batch, batch.square().sum())[0].backward()
    assert (model.decoder.weight.grad * model.decoder.weight).sum(0).abs().max() > 0.1
    model.straighten()
    torch.testing.assert_close(
        (model.decoder.weight.grad * model.decoder.weight).sum(0), torch.zeros(6), atol=1e-4, rtol=0
    )


def test_auxiliary_loss_moves_dead_units_only():
    model, x = scrambled("topk"), rows(40, 12)
    dead = torch.tensor([False, True, False, False, True, False])
    model.dead_error(x, model.encode(x), dead, 3).backward()
    moved = model.encoder.weight.grad.abs().sum(1) > 0
    assert moved.equal(dead)


def test_pre_bias_is_taken_off_and_put_back():
    model, x = scrambled("topk"), rows(10, 12)
    moved = training.build("topk", 12, 6, active=2, seed=1)
    moved.load_state_dict(model.state_dict())
    with torch.no_grad():
        moved.decoder.bias += 5
    torch.testing.assert_close(moved.encode(x + 5), model.encode(x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moved(x + 5), model(x) + 5, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1])
def test_topk_recovers_a_planted_sparse_dictionary(seed):
    rng = np.random.default_rng(seed)
    atoms = rng.standard_normal((16, 64))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = (rng.random((3000, 16)) < 2 / 16) * rng.uniform(1, 2, (3000, 16))
    x = codes @ atoms + 0.01 * rng.standard_normal((3000, 64))
    trained = training.train(x, encoder="topk", dim=16, active=4, seed=seed, epochs=40)
    planted = atoms / trained.scale
    planted /= np.linalg.norm(planted, axis=1, keepdims=True)
    cosine = planted @ trained.model.decoder.weight.detach().numpy()
    found = cosine[linear_sum_assignment(-cosine)]
    assert (found > 0.9).mean() >= 0.9
