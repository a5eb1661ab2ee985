"""Which model embeds which collection: the config's `embedding`, and what a collection sets otherwise."""

# Model and dimensions of each provider where the config names none; a service knows its dimensions itself. Dimensions
# are repeated here because the models' modules take a second to load, which every start of the workflow would wait for.
DEFAULTS = {
    "local": ("all-MiniLM-L6-v2", 384),
    "openai": ("text-embedding-3-small", None),
    "tfidf": ("tfidf-svd", 384),
    "hashing": ("hashing-projection", 384),
}
# What belongs to a provider, and does not carry over to another.
OF_PROVIDER = ("model", "dimensions", "base_url", "organization")


def embedding_of(config, collection):
    """The settings by which a collection is embedded.

    config: checked dict; collection: name of one. Keys that its own `embedding` gives stand instead of those of the
    config's; where it names another provider, nothing of the config's model comes along.
    Returns a new dict with every key of `embedding`.
    """
    shared, own = config["embedding"], config["collections"][collection].get("embedding", {})
    if own.get("provider", shared["provider"]) != shared["provider"]:
        shared = {**shared, **dict.fromkeys(OF_PROVIDER)}
    return {**shared, **own}


def space(settings):
    """What makes vectors comparable: those of two collections are if this is equal.

    settings: from `embedding_of`. Returns (provider, model, dimensions or None, base_url or "").
    """
    model, dimensions = DEFAULTS.get(settings["provider"], (None, None))
    address = (settings["base_url"] or "").rstrip("/")
    return settings["provider"], settings["model"] or model, settings["dimensions"] or dimensions, address


def title(settings):
    """A model in a few words, for messages: `local (all-MiniLM-L6-v2, 384 dimensions)`."""
    provider, model, dimensions, address = space(settings)
    parts = [model or "", f"{dimensions} dimensions" if dimensions else "", address]
    return f"{provider} ({', '.join(filter(None, parts))})"


def embedding_faults(config):
    """Lines for what a schema cannot see in `embedding`, and in what each collection sets otherwise."""
    faults, collections = _model_faults("embedding", config["embedding"], config["embedding"]), config["collections"]
    for name, collection in collections.items():
        faults += _model_faults(
            f"collections.{name}.embedding", embedding_of(config, name), collection.get("embedding", {})
        )
    spaces = {name: space(embedding_of(config, name)) for name in collections}
    widths = {name: dimensions for name, (provider, _, dimensions, _) in spaces.items() if provider == "tfidf"}
    if len(set(widths.values())) > 1:
        at = next(name for name in reversed(widths) if "embedding" in collections[name])
        found = ", ".join(f"{name} {width}" for name, width in widths.items())
        faults.append(
            f"collections.{at}.embedding.dimensions: tfidf is fitted once, on the texts of all collections, and has "
            f"one number of dimensions (found {found}); give the same number or none"
        )
    return faults


def _model_faults(at, settings, given):
    """Faults of one model: settings, all of it; given, the keys that stand at this place of the config."""
    provider = settings["provider"]
    if provider == "openai" or provider not in DEFAULTS:
        return []
    model, dimensions = DEFAULTS[provider]
    faults = [
        f"{at}.{key}: has no effect with provider '{provider}'; set provider: openai"
        for key in ("base_url", "organization")
        if given.get(key)
    ]
    if given.get("model") and given["model"] != model:
        faults.append(
            f"{at}.model: '{provider}' has no model '{given['model']}'; remove it for {model}, or set provider: openai"
        )
    if provider == "local" and given.get("dimensions") and given["dimensions"] != dimensions:
        faults.append(f"{at}.dimensions: {model} has {dimensions}, not {given['dimensions']}; remove it")
    return faults
