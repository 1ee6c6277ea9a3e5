"""Scores a text column with a linear fastText model, all documents at once.

The arithmetic is fastText's: a document is the mean of the weights of its known words
and of all its word n-grams; the line ends with the word `</s>`, which takes part in
n-grams; an n-gram's hash grows by `h * 116049371 + next` in 64 bits and finds its
weight modulo the bucket count. With one float a feature that mean is the logit.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from synthfilter.core.text import text_buffers
from synthfilter.detection.fasttext_hash import word_hashes
from synthfilter.detection.fasttext_model import FastTextModel, fold
from synthfilter.detection.tokens import (
    PADDING,
    check_tokenisation,
    token_bounds,
    tokens_per_document,
    words_per_document,
)
from synthfilter.detection.word_table import WordTable, concatenated

CHUNK_BYTES = 1 << 18
"""Text per step; small enough that the arrays of one step stay in the cache."""

NEXT_WORD = np.uint64(116049371)
"""What the hash of an n-gram is multiplied by before that of the next word is added."""

_END_OF_LINE = b"</s>"
_NOT_COUNTED = np.zeros(0, np.int64)

Visit = Callable[[int, np.ndarray], None]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a model says about each document of a column.

    Attributes:
      logit: float64 log odds that the text is machine-written; NaN when no feature
        of the document is in the model.
      tokens: int64, tokens in the document.
      known: int64, those of them that are in the vocabulary.
      words: int64, those of them that are words (`tokens.words_per_document`); all of
        them where it is left out.
    """

    logit: np.ndarray
    tokens: np.ndarray
    known: np.ndarray
    words: np.ndarray = dataclasses.field(default_factory=lambda: _NOT_COUNTED)

    def __post_init__(self) -> None:
        """Takes every token for a word where words were not counted."""
        if self.words is _NOT_COUNTED:
            object.__setattr__(self, "words", self.tokens)


def chunk_rows(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields row ranges of about `CHUNK_BYTES` of text, at least one row each."""
    row, rows = 0, len(offsets) - 1
    while row < rows:
        until = np.searchsorted(offsets, offsets[row] + CHUNK_BYTES, side="right")
        until = max(int(until) - 1, row + 1)
        yield row, until
        row = until


class LinearModel:
    """A folded two-label fastText model, evaluated in numpy.

    Attributes:
      tokens: How text is cut, one of `tokens.TOKENISATIONS`.
      order: Words in its longest n-grams.
    """

    def __init__(self, model: FastTextModel, synthetic: int, tokens: str) -> None:
        """Folds the model if it is not yet, and builds its lookup tables.

        Args:
          model: A model for which `is_linear` holds.
          synthetic: Index of the synthetic label in `model.labels`.
          tokens: How text is cut, one of `tokens.TOKENISATIONS`.

        Raises:
          ValueError: The model is not linear, weighs all features the same, or
            `tokens` is unknown.
        """
        check_tokenisation(tokens)
        folded = fold(model, synthetic)
        assert folded.input is not None
        weights = folded.input[:, 0]
        if not np.ptp(weights):
            raise ValueError(
                f"expected weights that tell features apart, got {weights[0]:g} for "
                "all; fetch the file again or train the model anew"
            )
        self.tokens = tokens
        self.order = model.args.word_ngrams
        self._table = WordTable(model.words)
        size = self._table.size
        # One entry more than words: the weight and hash of a word outside.
        self._word_weight = np.append(weights[:size], np.float32(0))
        self._word_hash = np.append(
            word_hashes(*concatenated(model.words)), np.uint64(0)
        )
        self._ngram_weight = np.ascontiguousarray(weights[size:])
        self._end_hash = word_hashes(*concatenated([_END_OF_LINE]))[0]
        end = [i for i, word in enumerate(model.words) if word == _END_OF_LINE]
        self._end_weight = float(weights[end[0]]) if end else None

    def evidence(self, column: pa.Array, visit: Visit | None = None) -> Evidence:
        """Returns the evidence for each text of a string column, nulls as empty.

        A document is never split: memory grows to about 20 times the longest one.

        Args:
          column: The texts.
          visit: Called for one chunk of documents after the other, and for n from 1 to
            `order`, with n and the hash of the n tokens from each token of the chunk
            on, whatever document they are in.
        """
        data, offsets = text_buffers(column)
        parts = []
        for row, until in chunk_rows(offsets):
            begin, end = offsets[row], offsets[until]
            bounds = offsets[row : until + 1] - begin
            parts.append(self._evidence(data[begin:end], bounds, visit))
        if not parts:
            empty = np.zeros(0, np.int64)
            return Evidence(np.zeros(0), empty, empty, empty)
        columns = zip(*map(dataclasses.astuple, parts), strict=True)
        return Evidence(*map(np.concatenate, columns))

    def _evidence(
        self, data: np.ndarray, offsets: np.ndarray, visit: Visit | None
    ) -> Evidence:
        """Returns the evidence for documents that are looked at in one step."""
        padded = np.concatenate([data, np.zeros(PADDING, np.uint8)])
        start, end = token_bounds(data, offsets, self.tokens)
        first = tokens_per_document(start, offsets)
        ids = self._table.find(padded, start, end)
        unknown = np.flatnonzero(ids == self._table.size)
        hashes = self._word_hash.take(ids)
        hashes[unknown] = word_hashes(padded, start[unknown], end[unknown])
        weight = self._word_weight.take(ids)
        tokens = np.diff(first)
        known = tokens - np.diff(np.searchsorted(unknown, first))
        words = words_per_document(data, start, end, first, self.tokens)
        total, grams = self._sum_features(weight, hashes, first, visit)
        count = known + grams
        if self._end_weight is not None:
            total += self._end_weight
            count += 1
        with np.errstate(invalid="ignore"):
            logit = np.where(count > 0, total / count, np.nan)
        return Evidence(logit, tokens, known, words)

    def _sum_features(
        self,
        weight: np.ndarray,
        hashes: np.ndarray,
        first: np.ndarray,
        visit: Visit | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns each document's sum of weights and its number of n-grams.

        Args:
          weight: float32 weight of each token.
          hashes: uint64 hash of each token.
          first: First token of each document, and their total.
          visit: As for `evidence`.
        """
        tokens = np.diff(first)
        last = first[1:]
        extra = np.zeros(len(tokens))
        grams = np.zeros(len(tokens), np.int64)
        gram = hashes
        if visit is not None:
            visit(1, gram)
        for n in range(1, self.order):
            # The n-gram of the document's last n tokens and the end of the line.
            rows = np.flatnonzero(tokens >= n)
            at_end = gram[last[rows] - n] * NEXT_WORD + self._end_hash
            extra[rows] += self._ngram_weights(at_end)
            grams += np.maximum(tokens + 1 - n, 0)
            gram = gram[:-1] * NEXT_WORD + hashes[n:]
            if visit is not None:
                visit(n + 1, gram)
            values = self._ngram_weights(gram)
            for back in range(1, n + 1):  # what would cross into the next document
                cross = first[1:-1] - back
                values[cross[(cross >= 0) & (cross < len(values))]] = 0
            weight[: len(values)] += values
        filled = np.flatnonzero(tokens)
        total = np.zeros(len(tokens))
        if len(filled):
            total[filled] = np.add.reduceat(weight.astype(np.float64), first[filled])
        return total + extra, grams

    def _ngram_weights(self, gram: np.ndarray) -> np.ndarray:
        """Returns the weights of n-grams by their hashes."""
        buckets = len(self._ngram_weight)
        if buckets & (buckets - 1) == 0:
            index = gram & np.uint64(buckets - 1)
        else:
            index = gram % np.uint64(buckets)
        return self._ngram_weight.take(index.view(np.int64))
