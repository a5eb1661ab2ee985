"""Numeric worlds whose truth we know: two linked collections of vectors with planted links, or none."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class World:
    """x (n, d); y (n * replies, d) and groups, its items; x_truth, y_truth (n, k), the linked factors; blocks (n,)."""

    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    items: np.ndarray
    x_truth: np.ndarray
    y_truth: np.ndarray
    blocks: np.ndarray


def world(
    *, seed, n=300, replies=5, width=64, factors=20, links=(), within=0.3, noise=1.0, block_size=1, block_effect=0.0
):
    """Compose a world.

    links: correlation of each planted pair of factors, negative ones included; within: share of a reply's variance
    that its item decides; noise: standard deviation added to every coordinate; block_size and block_effect: items come
    in blocks that share this much of their factors on either side, independently, so that neighbours look alike
    without any link.
    """
    rng = np.random.default_rng(seed)
    blocks = np.arange(n) // block_size
    a, b = _factors(rng, n, factors, blocks, block_effect), _factors(rng, n, factors, blocks, block_effect)
    for i, r in enumerate(links):
        b[:, i] = r * a[:, i] + np.sqrt(1 - r * r) * b[:, i]
    x = a @ rng.normal(size=(factors, width)) + noise * rng.normal(size=(n, width))
    groups = np.repeat(np.arange(n), replies)
    own = rng.normal(size=(n * replies, factors))
    replies_factors = np.sqrt(within) * b[groups] + np.sqrt(1 - within) * own if within < 1 else b[groups]
    y = replies_factors @ rng.normal(size=(factors, width)) + noise * rng.normal(size=(n * replies, width))
    k = len(links)
    names = np.array([f"item-{i}" for i in range(n)], dtype=object)
    return World(x=x, y=y, groups=names[groups], items=names, x_truth=a[:, :k], y_truth=b[:, :k], blocks=blocks)


def _factors(rng, n, count, blocks, effect):
    # Skewed, as traits of texts are: without that no rotation could tell one factor from another.
    def draw(rows):
        return (rng.exponential(size=(rows, count)) - 1) * rng.choice([-1, 1], size=count)

    shared = draw(blocks.max() + 1)[blocks]
    return np.sqrt(effect) * shared + np.sqrt(1 - effect) * draw(n)
