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

from synthfilter.core.errors import UserError
from synthfilter.core.text import text_buffers
from synthfilter.detection import library_child
from synthfilter.detection.library_trial import Trial, check_same
from synthfilter.detection.linear import CHUNK_BYTES, Evidence
from synthfilter.detection.tokens import (
    token_bounds,
    token_lines,
    tokens_per_document,
    words_per_document,
)


class LibraryModel:
    """A fastText model of any kind; only the bytes travel when it is pickled."""

    def __init__(
        self,
        data: bytes,
        synthetic: Sequence[str],
        tokens: str,
        trial: Trial | None = None,
        name: str = "model",
    ) -> None:
        """Keeps the bytes; the library loads them at the first use.

        Args:
          data: A model file that `fasttext_model.parse` accepts.
          synthetic: The labels that mean machine-written; their probabilities add up.
          tokens: How text is cut, one of `tokens.TOKENISATIONS`.
          trial: What `library_trial.try_model` found; None: whoever made the bytes is
            trusted.
          name: What error messages call it.
        """
        self._data, self._synthetic, self._tokens = data, set(synthetic), tokens
        self._trial, self._name = trial, name
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
        """Returns the probability of machine-written text; NaN without a feature.

        Raises:
          UserError: The model gives what is no probability.
        """
        if self._loaded is None:
            self._load()
        text = line.decode("utf-8", "replace")
        try:
            score = library_child.score(self._loaded, text, self._synthetic)
        except RuntimeError as error:  # fastText's own check for NaN.
            raise UserError(f"{self._name}: {error}; {library_child.ADVICE}") from error
        if score == float("inf"):
            raise UserError(
                f"{self._name}: expected probabilities, got NaN; {library_child.ADVICE}"
            )
        return score

    def _load(self) -> None:
        """Loads the model.

        Raises:
          UserError: It gives other scores than in its trial.
        """
        loaded = load_library_model(self._data)
        if self._trial is not None:
            scores = [
                library_child.score(loaded, line, self._synthetic)
                for line in self._trial.lines
            ]
            check_same(self._trial, scores, self._name)
        self._loaded = loaded


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
