"""Earlier use of near copies: which rows of a ledger are similar to new documents.

Three passes, each over a stream. The band keys of all new documents go into a filter of
a few bits a key; of the ledger the rows whose keys may be among them are kept, a small
part; with those each batch of new documents is compared.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core.uses import SIGNATURE, stored_signatures
from synthfilter.decisions.minhash import (
    PERMUTATIONS,
    Bands,
    band_keys,
    choose_bands,
    estimate_similarity,
)

_BITS_PER_KEY = 24
_MIN_BITS_LOG2 = 16
# What is looked at in one step.
_CHUNK_KEYS = 1 << 20
_CHUNK_ROWS = 1 << 14
_CHUNK_PAIRS = 1 << 20
_CHUNK_COMPARED = 1 << 16
_CHUNK_DOCUMENTS = 1 << 14
# Odd numbers: the upper bits of a product with one are a hash of their own.
_FACTORS = (
    0x9E3779B97F4A7C15,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x27D4EB2F165667C5,
)


def match_rows(
    batches: Iterable[pa.RecordBatch],
    signatures: np.ndarray,
    threshold: float,
    least: float,
) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
    """Yields new documents, and for each a row of a ledger that it is a near copy of.

    Args:
      batches: Rows of a ledger with `core.uses.SIGNATURE`.
      signatures: Of all new documents, uint16 [documents, minima].
      threshold: Similarity for which bands are cut.
      least: Least estimated similarity of near copies.
    """
    bands = choose_bands(threshold)
    keys = band_keys(signatures, bands)
    among = KeyFilter(keys.size)
    among.add(keys)
    likely = gather_likely(likely_rows(batches, among, bands))
    if likely is None:
        return
    facts = likely.rows.drop_columns([SIGNATURE])
    for start in range(0, len(signatures), _CHUNK_DOCUMENTS):
        some = signatures[start : start + _CHUNK_DOCUMENTS]
        rows, documents = match_signatures(likely, some, bands, least)
        yield start + documents, facts.take(pa.array(rows))


def least_estimate(threshold: float) -> float:
    """Returns the estimate from which on signatures count as near copies.

    Two standard errors below the threshold: of what is at it 98% are found. The text
    is not at hand to be compared, and to use a text too often is the worse mistake.
    """
    error = math.sqrt(threshold * (1 - threshold) / PERMUTATIONS)
    return threshold - 2 * error


class KeyFilter:
    """Says which keys may be among many: all that are, and few of the others.

    A Bloom filter (Bloom 1970) of four bits a key in 24 to 48 bits a key; of keys that
    are not among them it lets through less than 0.1%.

    Args:
      expected: How many keys will be put in; with more, it lets through more.
    """

    def __init__(self, expected: int) -> None:
        """Makes an empty filter."""
        size = max((expected * _BITS_PER_KEY).bit_length(), _MIN_BITS_LOG2)
        self._shift = np.uint64(64 - size)
        self._bits = np.zeros((1 << size) // 8, np.uint8)

    @property
    def bytes(self) -> int:
        """Returns the size of the filter."""
        return len(self._bits)

    def add(self, keys: np.ndarray) -> None:
        """Puts uint64 keys of any shape in."""
        keys = keys.reshape(-1)
        for start in range(0, len(keys), _CHUNK_KEYS):
            for factor in _FACTORS:
                byte, bit = self._place(keys[start : start + _CHUNK_KEYS], factor)
                np.bitwise_or.at(self._bits, byte, bit)

    def may_have(self, keys: np.ndarray) -> np.ndarray:
        """Returns which of the uint64 keys may be among those that were put in."""
        flat, left = keys.reshape(-1), np.arange(keys.size)
        for factor in _FACTORS:
            byte, bit = self._place(flat[left], factor)
            left = left[(self._bits[byte] & bit) != 0]
        found = np.zeros(keys.size, bool)
        found[left] = True
        return found.reshape(keys.shape)

    def _place(self, keys: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the byte of one bit of each key, and the bit in it."""
        place = (keys * np.uint64(factor)) >> self._shift
        bit = np.left_shift(np.uint8(1), (place & np.uint64(7)).astype(np.uint8))
        return (place >> np.uint64(3)).astype(np.int64), bit


class LikelyRows(NamedTuple):
    """Rows of a ledger that may share a band with a new document.

    Attributes:
      rows: The rows, with their signatures.
      keys: The keys that may be shared, uint64, ascending.
      places: The row of each key, int64.
    """

    rows: pa.RecordBatch
    keys: np.ndarray
    places: np.ndarray


def likely_rows(
    batches: Iterable[pa.RecordBatch], key_filter: KeyFilter, bands: Bands
) -> Iterator[LikelyRows]:
    """Yields the rows of a ledger that may share a band with a new document.

    Args:
      batches: Rows of a ledger with `core.uses.SIGNATURE`; where that is null, they
        are passed over.
      key_filter: Has the band keys of all new documents.
      bands: How signatures are cut, the same as for those.
    """
    for batch in batches:
        if batch.column(SIGNATURE).null_count:
            batch = batch.filter(pc.is_valid(batch.column(SIGNATURE)))
        minima = stored_signatures(batch.column(SIGNATURE))
        for start in range(0, batch.num_rows, _CHUNK_ROWS):
            keys = band_keys(minima[start : start + _CHUNK_ROWS], bands)
            row, band = np.nonzero(key_filter.may_have(keys))
            rows, places = np.unique(row, return_inverse=True)
            if len(rows):
                found = batch.take(pa.array(start + rows))
                yield _by_key(found, keys[row, band], places)


def gather_likely(parts: Iterable[LikelyRows]) -> LikelyRows | None:
    """Returns the rows of all parts together; None if there are no parts."""
    parts = list(parts)
    if not parts:
        return None
    sizes = [part.rows.num_rows for part in parts]
    before = np.repeat(np.cumsum([0, *sizes[:-1]]), [len(p.keys) for p in parts])
    places = np.concatenate([part.places for part in parts]) + before
    keys = np.concatenate([part.keys for part in parts])
    return _by_key(pa.concat_batches([part.rows for part in parts]), keys, places)


def _by_key(rows: pa.RecordBatch, keys: np.ndarray, places: np.ndarray) -> LikelyRows:
    order = np.argsort(keys)
    return LikelyRows(rows, keys[order], places[order])


def match_signatures(
    likely: LikelyRows, signatures: np.ndarray, bands: Bands, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs that are near copies: rows of a ledger, new documents.

    Pairs share a band and are at or above the threshold by estimate; each comes once,
    or a few times where there are very many.

    Args:
      likely: Rows of a ledger and the keys that they may share, best all of them.
      signatures: Of new documents, uint16 [documents, minima]; a batch of them.
      bands: How signatures are cut, the same as for `likely`.
      threshold: Least estimated Jaccard similarity of near copies.
    """
    minima = stored_signatures(likely.rows.column(SIGNATURE))
    keys = band_keys(signatures, bands).reshape(-1)
    order = np.argsort(keys)
    first, count = _find_keys(likely.keys, keys[order])
    found = [np.zeros((2, 0), np.int64)]
    for at, key in _pairs(first, count):
        document = order[key] // bands.bands
        row, document = _distinct_pairs(likely.places[at], document)
        for start in range(0, len(row), _CHUNK_COMPARED):
            some = np.stack([row, document])[:, start : start + _CHUNK_COMPARED]
            alike = estimate_similarity(minima[some[0]], signatures[some[1]])
            found.append(some[:, alike >= threshold])
    row, document = np.concatenate(found, axis=1)
    return row, document


def _find_keys(wanted: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each wanted key starts among the keys, and how many it is.

    Args:
      wanted: uint64, ascending.
      keys: uint64, ascending.
    """
    first = np.searchsorted(keys, wanted)
    inside = np.flatnonzero(first < len(keys))
    hit = inside[keys[first[inside]] == wanted[inside]]
    count = np.zeros(len(wanted), np.int64)
    count[hit] = np.searchsorted(keys, wanted[hit], side="right") - first[hit]
    return first, count


def _pairs(
    first: np.ndarray, count: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields `(i, j)` for all j from `first[i]` on, `count[i]` of them, in steps."""
    ends = np.cumsum(count)
    pairs = int(ends[-1]) if len(ends) else 0
    for start in range(0, pairs, _CHUNK_PAIRS):
        pair = np.arange(start, min(start + _CHUNK_PAIRS, pairs))
        at = np.searchsorted(ends, pair, side="right")
        yield at, first[at] + pair - (ends[at] - count[at])


def _distinct_pairs(
    one: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each pair once: what shares a band often shares most of them."""
    order = np.lexsort([other, one])
    one, other = one[order], other[order]
    fresh = np.ones(len(one), bool)
    fresh[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return one[fresh], other[fresh]
