"""What every Snakemake entry script starts with: a log in its file and on the screen, errors included."""

import logging
import os
import sys

from crosswalk.errors import UserError


def start(snakemake):
    """Send logging, warnings and uncaught errors to the rule's log file and to the screen.

    snakemake: the object Snakemake hands to a script. Returns the rule's logger.
    A UserError is shown as its message alone; any other error keeps its traceback.
    """
    logging.basicConfig(
        level=os.environ.get("CROSSWALK_LOG", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        handlers=[logging.FileHandler(snakemake.log[0], mode="w", encoding="utf-8"), logging.StreamHandler()],
        force=True,
    )
    logging.captureWarnings(True)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "matplotlib", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    log = logging.getLogger(snakemake.rule)

    def hook(kind, error, traceback):
        if issubclass(kind, UserError):
            log.error("%s", error)
        else:
            log.error("%s: %s", kind.__name__, error, exc_info=(kind, error, traceback))

    sys.excepthook = hook
    return log


def device(snakemake):
    """ "cuda" if the job was given an accelerator and torch sees one, else "cpu"."""
    if not snakemake.resources.get("gpu", 0):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
