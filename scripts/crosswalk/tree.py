"""Subjects from the words of a text by trees of labels: one linear classifier at every branch (Omikuji).

Omikuji (Dong, 2019) implements Parabel (Prabhu et al., 2018) in Rust: subjects with similar texts are put together,
half by half, and a work goes down only the branches that suit it. Omikuji draws at random and cannot be seeded, so two
trainings on the same data differ a little, on one thread too. A trained model always answers the same.
"""

import contextlib
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crosswalk import files

log = logging.getLogger(__name__)

TREES = 3
C = 1.0
BEAM = 20
TOP = 100
LOSSES = ("hinge", "log")
DENSE = 0.05  # share of weights above which a branch is kept dense: prediction is then twice as fast


class Tree:
    """A fitted model.

    model: of Omikuji, or None if there was nothing to learn from; subjects, features: S and F; beam: branches followed
    at each level; top: subjects that a query is given a score for.
    """

    def __init__(self, *, model, subjects, features, beam=BEAM, top=TOP):
        self.model, self.subjects, self.features, self.beam, self.top = model, subjects, features, beam, top

    def score(self, queries):
        """Float32 (b, S): for the best `top` subjects the product of the classifiers' answers, averaged over trees.

        0 for all others, and for a work without features.
        """
        rows, out = queries.features, np.zeros((len(queries), self.subjects), np.float32)
        if self.model is None:
            return out
        for i in np.flatnonzero(np.diff(rows.indptr)):
            own = slice(rows.indptr[i], rows.indptr[i + 1])
            pairs = list(zip(rows.indices[own].tolist(), rows.data[own].tolist(), strict=True))
            found = self.model.predict(pairs, beam_size=self.beam, top_k=min(self.top, self.subjects))
            out[i, [subject for subject, _ in found]] = [score for _, score in found]
        return out

    def save(self, folder):
        """Write Omikuji's files and `options.json` to a folder, in place of any that are there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for old in (*folder.glob("tree*.cbor"), *folder.glob("settings.json")):
            old.unlink()
        if self.model is not None:
            with _aside():
                self.model.save(str(folder))
        own = {name: getattr(self, name) for name in ("subjects", "features", "beam", "top")}
        files.write_json(folder / "options.json", own | {"empty": self.model is None})

    @classmethod
    def load(cls, folder):
        """What `save` wrote; answers on one thread.

        Scores may differ in the last bit: Omikuji reads its trees in the folder's order and sums them in that order.
        """
        own = files.read_json(Path(folder) / "options.json")
        return cls(model=None if own.pop("empty") else _load(Path(folder)), **own)


def fit(fitting, *, trees=TREES, loss="hinge", c=C, beam=BEAM, top=TOP, threads=1, folder=None):
    """Train the trees on the works that have subjects and features; Omikuji aborts on others. Returns Tree.

    trees: whose answers are averaged; loss: "hinge" or "log"; c: weight of errors against that of large weights, above
    0; beam, top: see Tree; threads: of training and prediction; folder: where the training file is made for a while.
    """
    if loss not in LOSSES or min(trees, beam, top, threads) < 1 or c <= 0:
        raise ValueError(f"loss {loss!r} of {LOSSES}; c {c} above 0; {trees}, {beam}, {top}, {threads} at least 1")
    links, features = fitting.links, fitting.features
    shape = {"subjects": links.shape[1], "features": features.shape[1], "beam": beam, "top": top}
    works = np.flatnonzero((np.diff(links.indptr) > 0) & (np.diff(features.indptr) > 0))
    if not len(works):
        log.warning("tree: no work has subjects and a text; it says nothing")
        return Tree(model=None, **shape)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        path = Path(name) / "works.txt"
        write_works(path, features[works], links[works])
        with _aside():
            import omikuji

            options = omikuji.Model.default_hyper_param()
            options.n_trees, options.linear_c = trees, c
            options.linear_loss_type = omikuji.LossType[loss.upper()].value
            model = omikuji.Model.train_on_data(str(path), options, n_threads=threads)
            model.densify_weights(DENSE, n_threads=threads)
            model.init_prediction_thread_pool(threads)
    log.info("tree: %d trees from %d works, %d without subjects or text left out, %.0f s",
             trees, len(works), links.shape[0] - len(works), time.monotonic() - started)  # fmt: skip
    return Tree(model=model, **shape)


def write_works(path, features, links):
    """Write works as Omikuji reads them: a line of three sizes, then `subject,subject term:weight term:weight` each.

    features: CSR float32 (n, F), links: CSR (n, S), both without empty rows. Weights are written exactly.
    """
    terms = pc.binary_join_element_wise(_text(features.indices), _text(features.data), ":")
    lines = pc.binary_join_element_wise(_joined(_text(links.indices), links.indptr, ","),
                                        _joined(terms, features.indptr, " "), " ")  # fmt: skip
    with open(path, "w", encoding="ascii", newline="\n") as file:
        file.write(f"{features.shape[0]} {features.shape[1]} {links.shape[1]}\n")
        file.write("\n".join(lines.to_pylist()) + "\n")


def _text(values):
    return pc.cast(pa.array(values), pa.string())


def _joined(strings, indptr, separator):
    """Strings joined row by row, as `indptr` of a CSR matrix parts them."""
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(indptr, pa.int32()), strings), separator)


def _load(folder):
    with _aside():
        import omikuji

        model = omikuji.Model.load(str(folder))
        model.densify_weights(DENSE, n_threads=1)
        model.init_prediction_thread_pool(1)
    return model


@contextlib.contextmanager
def _aside():
    """Take what native code writes to the screen: messages go to the log, progress bars nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
        finally:
            for own, old in zip((1, 2), kept, strict=True):
                os.dup2(old, own)
                os.close(old)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").replace("\r", "\n").split("\n"):
                _, found, message = line.partition("[omikuji::")
                if found:
                    log.debug("omikuji::%s", message.replace("]", ":", 1))
