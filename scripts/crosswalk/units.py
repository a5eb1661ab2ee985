"""Numbers of units as a config has them: integers, or `auto`, with which each collection has its own. Imports nothing,
as whatever reads a config needs it.
"""

AUTO = "auto"
CANDIDATES = (8, 16, 32, 64, 128)  # that `auto` chooses among


def baseline(encoder, dim):
    """The name of the principal components that an encoder stands beside: as many as it has units."""
    return f"pca-{encoder}-{AUTO}" if dim == AUTO else f"pca-{dim}"


def most(encode):
    """Units of the largest encoder that a checked config's `encode` insists on, 0 for none."""
    return max(CANDIDATES[0] if dim == AUTO else dim for dim in encode["dims"]) if encode["encoders"] else 0


def fewest(encode):
    """Units that `active` ones may at most be: those of the smallest encoder. `auto` passes over numbers below them."""
    return min(CANDIDATES[-1] if dim == AUTO else dim for dim in encode["dims"])
