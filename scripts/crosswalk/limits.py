"""How few rows and items are too few: apart from the code that needs them, so that they can be checked early."""

LEAST_ITEMS = 10  # of a collection: below it neither a map, nor a fold, nor a test means anything
LEAST_ITEMS_A_FOLD = 4  # on average: the correlation of three points is near 1 whatever they are
FEWEST_ANCHORS = 3  # pairs that can tell one rotation from another
ROWS_PER_UNIT = 2  # with fewer an encoder learns rows by heart


def largest_encoder(encode):
    """Units of the largest encoder of a checked config's `encode`, 0 for none."""
    return max(encode["dims"]) if encode["encoders"] else 0


def encoded(config):
    """Names of the collections that encoders are trained on, in their order: those whose codes something uses.

    These are the sides of `relate` and of what `match` does as published; all where a config asks for neither.
    """
    users = [(entry["x"], entry["y"]) for entry in config["relate"].values()]
    matchings = config.get("match", {}).values()
    users += [(entry["a"], entry["b"]) for entry in matchings if entry["method"] == "as_published"]
    used = {name for pair in users for name in pair}
    nothing = not config["relate"] and not matchings
    return [name for name in config["collections"] if name in used or nothing]
