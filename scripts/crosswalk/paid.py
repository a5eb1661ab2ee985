"""Texts to vectors as the jobs of a workflow do it: with the store, the budget and the study that belong to them."""

from crosswalk.budget import Budget, study_of, token_limit
from crosswalk.embedding import embed, open_embedder, open_store
from crosswalk.job import device
from crosswalk.models import embedding_of


class Embedding:
    """The embedding of a collection, for one job.

    job: the `snakemake` of a script, of whose config the model, the cache and the budget are read, not of its params:
    what changes no vector re-runs nothing; collection: name; lexical: files of the TF-IDF model, none for others.
    Attribute: embedder. Raises UserError, before any request, as `open_embedder` does.
    """

    def __init__(self, job, collection, *, lexical):
        settings = embedding_of(job.config, collection)
        self.embedder = open_embedder(
            settings,
            lexical=list(lexical) or None,
            device=device(job),
            threads=job.threads,
            seed=job.params.seed,
            cache=job.config["cache"],
        )
        store = open_store(self.embedder, job.config["cache"], precision=settings["precision"])
        study = study_of(job.config.get("pathvars", {}).get("results", "results"))
        limit = token_limit(self.embedder.namespace["model"], settings)
        budget = Budget(limit, spent=0 if store is None else store.spent(study))
        self._options = {"store": store, "budget": budget, "study": study}

    def __call__(self, texts):
        """A `Result`, as of `embedding.embed`."""
        return embed(texts, self.embedder, **self._options)
