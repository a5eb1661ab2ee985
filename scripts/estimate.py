"""Say what embedding the collections will take, before anything is paid."""

from crosswalk.job import start

log = start(snakemake)

from crosswalk.embedding import open_embedder, open_store
from crosswalk.files import read_parquet
from crosswalk.forecast import forecast
from crosswalk.models import embedding_of, title

found = []
for name, path in zip(snakemake.params.collections, snakemake.input.rows, strict=True):
    settings, texts = embedding_of(snakemake.config, name), read_parquet(path)["text"].tolist()
    if settings["provider"] != "openai":
        log.info("%s: %d texts, %d distinct; %s costs nothing", name, len(texts), len(set(texts)), title(settings))
        continue
    embedder = open_embedder(settings, asking=False)
    store = open_store(embedder, snakemake.config["cache"])
    told = forecast(texts, embedder, store=store)
    log.info("%s, by %s: %s", name, title(settings), told)
    found.append(told)
    if told.cut:
        log.info("%s: %d texts are longer than the model reads; it will see only their beginning", name, told.cut)
if len(found) > 1:
    # A text of two collections is bought once, so it is at most so much.
    costs = "" if None in (told.price for told in found) else f", {sum(told.price for told in found):,.4f} US$"
    texts, tokens = (sum(getattr(told, key) for told in found) for key in ("new", "tokens"))
    log.info("in all at most %s texts to embed, %s tokens%s", f"{texts:,}", f"{tokens:,}", costs)
