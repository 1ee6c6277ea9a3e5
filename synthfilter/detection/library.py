"""Scores text with the fastText library, for models that are not linear.

Those are models with subwords, quantised matrices, a loss other than softmax or more
than two labels. One call a document; the linear evaluator is several times faster.
"""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from synthfilter.core.text import text_buffers
from synthfilter.detection.linear import CHUNK_BYTES, Evidence
from synthfilter.detection.tokens import (
    token_bounds,
    token_lines,
    tokens_per_document,
    words_per_document,
)

_OFFSET = 1e-5
"""fastText's predict returns exp(log(p + 1e-5))."""


class LibraryModel:
    """A fastText model of any kind; only the bytes travel when it is pickled."""

    def __init__(self, data: bytes, synthetic: Sequence[str], tokens: str) -> None:
        """Keeps the bytes; the library loads them at the first use.

        Args:
          data: A model file that `fasttext_model.parse` accepts.
          synthetic: The labels that mean machine-written; their probabilities add up.
          tokens: How text is cut, one of `tokens.TOKENISATIONS`.
        """
        self._data, self._synthetic, self._tokens = data, frozenset(synthetic), tokens
        self._loaded: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out the loaded model, which cannot be pickled."""
        return {**self.__dict__, "_loaded": None}

    def evidence(self, column: pa.Array) -> Evidence:
        """Returns the evidence for each text of a string column, nulls as empty.

        Every token counts as known: the library does not say which are.
        """
        data, offsets = text_buffers(column)
        tokens, words = np.zeros((2, len(offsets) - 1), np.int64)
        share = np.full(len(tokens), np.nan)
        step = max(1, int(len(tokens) * CHUNK_BYTES / max(len(data), 1)))
        for row in range(0, len(tokens), step):
            cut = offsets[row : row + step + 1]
            text, cut = data[cut[0] : cut[-1]], cut - cut[0]
            start, end = token_bounds(text, cut, self._tokens)
            first = tokens_per_document(start, cut)
            tokens[row : row + step] = np.diff(first)
            words[row : row + step] = words_per_document(
                text, start, end, first, self._tokens
            )
            lines = token_lines(text, start, end, first)
            share[row : row + step] = [self._probability(line) for line in lines]
        with np.errstate(divide="ignore"):
            logit = np.log(share) - np.log1p(-share)
        return Evidence(logit, tokens, tokens, words)

    def _probability(self, line: bytes) -> float:
        """Returns the probability of machine-written text; NaN without a feature."""
        if self._loaded is None:
            self._loaded = load_library_model(self._data)
        text = line.decode("utf-8", "replace") + "\n"
        # Python's own predict() fails on numpy 2; this is what it wraps.
        pairs = self._loaded.f.predict(text, -1, -1.0, "strict")
        if not pairs:
            return float("nan")
        values = [p - _OFFSET for p, label in pairs if label in self._synthetic]
        return min(max(sum(values), 0.0), 1.0)


def load_library_model(data: bytes) -> Any:
    """Returns the model as the fastText library holds it.

    Raises:
      ImportError: No package provides `import fasttext`.
    """
    import fasttext

    handle, path = tempfile.mkstemp(suffix=".bin")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # fastText writes a needless warning to stderr.
        with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
            return fasttext.load_model(path)
    finally:
        os.unlink(path)
