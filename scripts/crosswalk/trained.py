"""The models of a recommender that rules of their own train, read back."""

from crosswalk import factorisation, ials, label_tree, published_recommender, text_network
from crosswalk.files import read_json

METHODS = {"softmax": factorisation, "ials": ials}


def load_trained(source, *, method):
    """The trained members among the inputs of a rule: dict of name to model.

    source: named files, of which `tree`, `network`, `factorisation`, or `points` with `chosen`, and `as_published` are
    read if they are there; method: of the factorisation, "softmax" or "ials".
    """
    found = {}
    if source.get("tree"):
        found["tree"] = label_tree.LabelTree.load(source.tree)
    if source.get("network"):
        found["network"] = text_network.load(source.network)
    if source.get("chosen"):
        place = read_json(source.chosen)["place"]
        found["factorisation"] = METHODS[method].load(list(source.points)[place])
    if source.get("factorisation"):
        found["factorisation"] = METHODS[method].load(source.factorisation)
    if source.get("as_published"):
        found["as_published"] = published_recommender.load(source.as_published)
    return found


def fit_factorisation(fitting, *, method, dim, epochs, batch_size, prior, learning_rate, seed):
    """Learn vectors by one of METHODS; arguments as in the config. Returns the model, its history and its facts."""
    if method == "ials":
        model = ials.fit(fitting, dim=dim, iterations=epochs, seed=seed)
    else:
        model = factorisation.fit(
            fitting,
            dim=dim,
            epochs=epochs,
            batch_size=batch_size,
            prior=prior,
            learning_rate=learning_rate,
            seed=seed,
        )
    return model, model.history, model.facts
