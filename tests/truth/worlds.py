"""Numeric worlds whose truth we know: two linked collections of vectors with planted links, or none."""

from dataclasses import dataclass

import numpy as np

COPY_NOISE = 0.05  # standard deviation by which an edition differs from its original in every coordinate


@dataclass(frozen=True)
class World:
    """n items with k planted pairs of factors, links first, then echoes, then what a covariate moves.

    x (n, d); y (n * replies, d) and groups, its items; x_truth, y_truth (n, k), the planted factors; kinds, strengths
    (k,): "link", "echo" or "confounder", and the correlation with its sign; covariate (n,), which moves both factors of
    a confounder (zeros without one); blocks (n,); x_loadings, y_loadings (k, d): unit directions of the factors, so
    that a phrase can be said that means one.
    """

    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    items: np.ndarray
    x_truth: np.ndarray
    y_truth: np.ndarray
    kinds: np.ndarray
    strengths: np.ndarray
    covariate: np.ndarray
    blocks: np.ndarray
    x_loadings: np.ndarray
    y_loadings: np.ndarray


def world(
    *,
    seed,
    n=300,
    replies=5,
    width=64,
    factors=20,
    links=(),
    within=0.3,
    noise=1.0,
    block_size=1,
    block_effect=0.0,
    blends=0,
    echoes=(),
    confounders=(),
    rare=None,
    editions=0,
    constant=0,
):
    """Compose a world.

    links: correlation of each planted pair of factors, negative ones included; within: share of a reply's variance
    that its item decides; noise: standard deviation added to every coordinate; block_size and block_effect: items come
    in blocks that share this much of their factors on either side, independently, so that neighbours look alike
    without any link; a sequence of sizes is gone through again and again. blends: how many of the links, the last,
    hang on two factors of x at once; echoes: correlations of factors that have one direction in x and in y, as a topic
    that replies repeat; confounders: correlations that a covariate brings about by moving a factor of either side;
    rare: share of items that bear a linked trait at all, most having none of it; editions: items, the last, that are
    near copies of the first ones and in one block with them; constant: columns that never change.
    """
    rng, more = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    blocks = _blocks(n, block_size)
    a, b = _factors(rng, n, factors, blocks, block_effect), _factors(rng, n, factors, blocks, block_effect)
    strengths = np.array([*links, *echoes, *confounders], dtype=np.float64)
    kinds = np.repeat(["link", "echo", "confounder"], [len(links), len(echoes), len(confounders)])
    k = len(strengths)
    if k + blends > factors:
        raise ValueError(f"{factors} factors cannot carry {k} planted pairs and {blends} blends")
    if rare is not None:
        a[:, : len(links)], b[:, : len(links)] = (_rare(more, n, len(links), rare) for _ in "ab")
    x_truth = a[:, :k].copy()
    for i in range(blends):
        x_truth[:, len(links) - 1 - i] = (a[:, len(links) - 1 - i] + a[:, factors - 1 - i]) / np.sqrt(2)
    for i in np.flatnonzero(kinds != "confounder"):
        b[:, i] = strengths[i] * x_truth[:, i] + np.sqrt(1 - strengths[i] ** 2) * b[:, i]
    covariate = more.normal(size=n) if len(confounders) else np.zeros(n)
    for i in np.flatnonzero(kinds == "confounder"):
        share = abs(strengths[i])
        a[:, i] = np.sqrt(share) * covariate + np.sqrt(1 - share) * a[:, i]
        b[:, i] = np.sign(strengths[i]) * np.sqrt(share) * covariate + np.sqrt(1 - share) * b[:, i]
        x_truth[:, i] = a[:, i]
    if editions:
        blocks[n - editions :] = blocks[:editions]
        for values in (a, b, x_truth, covariate):
            values[n - editions :] = values[:editions]
    x_loadings = rng.normal(size=(factors, width))
    x = a @ x_loadings + noise * rng.normal(size=(n, width))
    if editions:
        x[n - editions :] = x[:editions] + COPY_NOISE * more.normal(size=(editions, width))
    groups = np.repeat(np.arange(n), replies)
    own = rng.normal(size=(n * replies, factors))
    replies_factors = np.sqrt(within) * b[groups] + np.sqrt(1 - within) * own if within < 1 else b[groups]
    y_loadings = rng.normal(size=(factors, width))
    y_loadings[:k][kinds == "echo"] = x_loadings[:k][kinds == "echo"]
    y = replies_factors @ y_loadings + noise * rng.normal(size=(n * replies, width))
    traits = x_loadings[:k].copy()
    for i in range(blends):
        traits[len(links) - 1 - i] += x_loadings[factors - 1 - i]
    names = np.array([f"item-{i}" for i in range(n)], dtype=object)
    return World(
        x=_with_constants(x, constant),
        y=_with_constants(y, constant),
        groups=names[groups],
        items=names,
        x_truth=x_truth,
        y_truth=b[:, :k],
        kinds=kinds,
        strengths=strengths,
        covariate=covariate,
        blocks=blocks,
        x_loadings=_with_constants(_unit(traits), constant, value=0.0),
        y_loadings=_with_constants(_unit(y_loadings[:k]), constant, value=0.0),
    )


def _blocks(n, size):
    if np.ndim(size) == 0:
        return np.arange(n) // size
    sizes = np.resize(np.asarray(size), n)
    return np.repeat(np.arange(n), sizes)[:n]


def _factors(rng, n, count, blocks, effect):
    # Skewed, as traits of texts are: without that no rotation could tell one factor from another.
    def draw(rows):
        return (rng.exponential(size=(rows, count)) - 1) * rng.choice([-1, 1], size=count)

    shared = draw(blocks.max() + 1)[blocks]
    return np.sqrt(effect) * shared + np.sqrt(1 - effect) * draw(n)


def _rare(rng, n, count, share):
    """Traits of mean 0 and variance 1 that are 0 in most items before they are centred."""
    borne = (rng.random((n, count)) < share) * (1 + rng.exponential(size=(n, count)))
    return (borne - 2 * share) / np.sqrt(5 * share - 4 * share**2)


def _with_constants(rows, count, *, value=3.0):
    return np.hstack([rows, np.full((len(rows), count), value)]) if count else rows


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
