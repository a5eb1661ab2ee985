"""How few rows and items are too few: apart from the code that needs them, so that they can be checked early."""

from crosswalk.recommend_config import reads_vectors

LEAST_ITEMS = 10  # of a collection: below it neither a map, nor a fold, nor a test means anything
LEAST_ITEMS_A_FOLD = 4  # on average: the correlation of three points is near 1 whatever they are
FEWEST_ANCHORS = 3  # pairs that can tell one rotation from another
ROWS_PER_UNIT = 2  # with fewer an encoder learns rows by heart


def encoded(config):
    """Names of the collections that encoders are trained on, in their order: those whose codes something uses.

    These are the sides of `relate` and of what `match` does as published; all where a config asks for nothing.
    """
    users = [(entry["x"], entry["y"]) for entry in config["relate"].values()]
    matchings = config.get("match", {}).values()
    users += [(entry["a"], entry["b"]) for entry in matchings if entry["method"] == "as_published"]
    used = {name for pair in users for name in pair}
    nothing = not any(config.get(capability) for capability in ("relate", "match", "recommend"))
    return [name for name in config["collections"] if name in used or nothing]


def embedded(config):
    """Names of the collections that are embedded, in their order: all but those that are only works of recommenders
    which read no embedding. Works by the hundred thousand need not be paid for in vain.
    """
    used = {entry[side] for entry in config["relate"].values() for side in "xy"}
    used |= {entry[side] for entry in config.get("match", {}).values() for side in "ab"}
    recommenders = config.get("recommend", {}).values()
    used |= {entry["works"] for entry in recommenders if reads_vectors(entry)}
    only_read = {entry["works"] for entry in recommenders} - used
    return [name for name in config["collections"] if name not in only_read]
