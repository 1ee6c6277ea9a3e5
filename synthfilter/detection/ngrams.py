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
        first = tokens_per_document(start, bounds)
        tokens[row:until] = np.diff(first)
        sampler.add(1, hashes, first)
        gram = hashes
        for n in range(2, len(NAMES) + 1):
            gram = gram[:-1] * NEXT_WORD + hashes[n - 1 :]
            sampler.add(n, gram, first)
    return sampler.rows(tokens)


def sample_ngrams(
    n: int, gram: np.ndarray, first: np.ndarray, below: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hashes below a bound, and how many of them each document has.

    Args:
      n: Tokens in each n-gram.
      gram: uint64, fastText's hash of the n tokens from each on, whatever document
        they are in.
      first: First token of each document, and their total.
      below: Up to which hash to keep; a power of two, at least 2^56.
    """
    spread = gram * _SPREAD
    if below < ALL:
        at = np.flatnonzero(spread < np.uint64(below))
    else:
        at = np.arange(len(spread))
    cut = np.searchsorted(at, first)
    sizes = np.diff(cut).astype(np.int32)
    crossing = np.flatnonzero(at + n > np.repeat(first[1:], sizes))
    if len(crossing):
        at = np.delete(at, crossing)
        row = np.searchsorted(cut, crossing, side="right") - 1
        sizes -= np.bincount(row, minlength=len(sizes)).astype(np.int32)
    found = spread[at]
    return (found & ~_MIXED) | (mix(found) & _MIXED), sizes


class _Sampler:
    """Gathers n-grams as they are made: chunk by chunk, and in each n by n."""

    def __init__(self, below: Sequence[int]) -> None:
        """Keeps the bounds."""
        self._below = tuple(below)
        self._found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in NAMES]

    def add(self, n: int, gram: np.ndarray, first: np.ndarray) -> None:
        """Takes the n-grams of some documents; see `sample_ngrams`."""
        if n <= len(NAMES):
            below = self._below[n - 1]
            self._found[n - 1].append(sample_ngrams(n, gram, first, below))

    def rows(self, tokens: np.ndarray) -> NgramRows:
        """Returns all that was taken.

        Args:
          tokens: How many each document has.
        """
        nothing = (np.zeros(0, np.uint64), np.zeros(0, np.int32))
        pairs = [zip(*(found or [nothing]), strict=True) for found in self._found]
        hashes, sizes = zip(*(map(np.concatenate, pair) for pair in pairs), strict=True)
        return NgramRows(tokens.astype(np.int32), hashes, sizes, self._below)


def _makes_ngrams(model: object) -> TypeGuard[LinearModel]:
    """Returns whether a model makes the n-grams that are sampled."""
    return (
        isinstance(model, LinearModel)
        and model.tokens == WORDS
        and model.order >= len(NAMES)
    )
