"""Samples the n-grams of text, at next to no cost where it is scored anyway.

N-grams are of one to three tokens of the tokenisation `words` over canonical text, case
kept, within a document, without the end of the line. Their hashes are fastText's, which
a linear model of such tokens has at hand for all documents at once; whatever else
scores, the same text has the same n-grams.
"""

from collections.abc import Sequence
from typing import TypeGuard

import numpy as np
import pyarrow as pa

from synthfilter.core.hashing import mix
from synthfilter.core.ngrams import NAMES, NgramRows
from synthfilter.core.samples import ALL
from synthfilter.core.text import text_buffers
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.detector import Detector, FastTextDetector
from synthfilter.detection.fasttext_hash import word_hashes
from synthfilter.detection.linear import NEXT_WORD, LinearModel, chunk_rows
from synthfilter.detection.tokens import (
    PADDING,
    WORDS,
    token_bounds,
    tokens_per_document,
)

# Sums of products of 32-bit hashes are not uniform: their multiples are in the first
# byte, by which most n-grams are left out at the price of one multiplication, and what
# is kept has its other bytes mixed.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MIXED = np.uint64((1 << 56) - 1)


def score_and_sample(
    detector: Detector, normalised: pa.Array, below: Sequence[int]
) -> tuple[np.ndarray, NgramRows]:
    """Returns what `detector.score` returns, and the n-grams of each text.

    Args:
      detector: Whose tokens are the n-grams', if it makes such.
      normalised: A string column as `core.text.normalise` returns it.
      below: For each of `NAMES`, up to which hash to keep; at least 2^56.
    """
    if isinstance(detector, FastTextDetector) and detector.settings.canonical:
        model = detector.model
        if _makes_ngrams(model):
            sampler = _Sampler(below)
            evidence = model.evidence(canonicalise(normalised), sampler.add)
            return detector.settings.calibrate(evidence), sampler.rows(evidence.tokens)
    return detector.score(normalised), sample_text(normalised, below)


def sample_text(normalised: pa.Array, below: Sequence[int]) -> NgramRows:
    """Returns the n-grams of each text; see `score_and_sample`."""
    data, offsets = text_buffers(canonicalise(normalised))
    sampler = _Sampler(below)
    tokens = np.zeros(len(offsets) - 1, np.int64)
    for row, until in chunk_rows(offsets):
        bounds = offsets[row : until + 1]
        text, bounds = data[bounds[0] : bounds[-1]], bounds - bounds[0]
        start, end = token_bounds(text, bounds, WORDS)
        padded = np.concatenate([text, np.zeros(PADDING, np.uint8)])
        hashes = word_hashes(padded, start, end)
        tokens[row:until] = np.diff(tokens_per_document(start, bounds))
        sampler.add(1, hashes)
        gram = hashes
        for n in range(2, len(NAMES) + 1):
            gram = gram[:-1] * NEXT_WORD + hashes[n - 1 :]
            sampler.add(n, gram)
    return sampler.rows(tokens)


class _Sampler:
    """Gathers n-grams as they are made: chunk by chunk, and in each n by n."""

    def __init__(self, below: Sequence[int]) -> None:
        """Keeps the bounds."""
        self._below = tuple(below)
        self._start = self._seen = 0
        # For each n: in each chunk, where n-grams that are kept begin, and their hash.
        self._found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in NAMES]

    def add(self, n: int, gram: np.ndarray) -> None:
        """Takes the n-grams of a chunk, after those of fewer tokens.

        Args:
          n: Tokens in each.
          gram: uint64, fastText's hash of the n tokens from each on, whatever document
            they are in.
        """
        if n > len(NAMES):
            return
        if n == 1:
            self._start, self._seen = self._seen, self._seen + len(gram)
        spread, below = gram * _SPREAD, self._below[n - 1]
        if below < ALL:
            at = np.flatnonzero(spread < np.uint64(below))
        else:
            at = np.arange(len(spread))
        self._found[n - 1].append((at + self._start, spread[at]))

    def rows(self, tokens: np.ndarray) -> NgramRows:
        """Returns all that was taken, without what crosses into the next document.

        Args:
          tokens: How many each document has.
        """
        ends = np.cumsum(tokens)
        nothing = (np.zeros(0, np.int64), np.zeros(0, np.uint64))
        hashes, sizes = [], []
        for n, found in enumerate(self._found, 1):
            at, spread = map(np.concatenate, zip(*(found or [nothing]), strict=True))
            counts = np.diff(np.searchsorted(at, ends), prepend=0)
            if n > 1:
                inside = at + n <= np.repeat(ends, counts)
                at, spread = at[inside], spread[inside]
                counts = np.diff(np.searchsorted(at, ends), prepend=0)
            sizes.append(counts.astype(np.int32))
            hashes.append((spread & ~_MIXED) | (mix(spread) & _MIXED))
        taken = tuple(hashes), tuple(sizes)
        return NgramRows(tokens.astype(np.int32), *taken, self._below)


def _makes_ngrams(model: object) -> TypeGuard[LinearModel]:
    """Returns whether a model makes the n-grams that are sampled."""
    return (
        isinstance(model, LinearModel)
        and model.tokens == WORDS
        and model.order >= len(NAMES)
    )
