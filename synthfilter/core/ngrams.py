"""The n-grams of documents as they are kept: of each document, a sample by hash."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from synthfilter.core.samples import ALL

NAMES = ("words", "bigrams", "trigrams")
"""Of one, two and three tokens each, in this order wherever there is one of each."""

# What a block keeps hardly grows with it: everything of 32 KB on disk, one n-gram in
# 256 from 4 MB on. Distinct words are fewer, so of these eight times as many are kept.
_WHOLE_BITS = 15
_MOST_BITS = 8
_MORE_BITS = (3, 0, 0)


@dataclasses.dataclass(frozen=True)
class NgramRows:
    """The n-grams of some documents, row by row.

    Attributes:
      tokens: int32, tokens of each document. It has n - 1 fewer n-grams than tokens,
        or none.
      hashes: For each of `NAMES`, uint64 hashes of the n-grams that were kept, in the
        order of the documents and within; one that comes twice is there twice.
      sizes: For each, int32, how many of them each document has.
      below: For each, every n-gram whose hash is below it is there, and no other.
    """

    tokens: np.ndarray
    hashes: tuple[np.ndarray, ...]
    sizes: tuple[np.ndarray, ...]
    below: tuple[int, ...]


def sampling_bounds(block_bytes: int) -> tuple[int, ...]:
    """Returns below which hash the n-grams of a block are kept, for each of `NAMES`.

    Powers of two, so that few different ones meet in a set: what a set knows is what
    the least of them leaves.

    Args:
      block_bytes: Size of the block on disk.
    """
    bits = (max(block_bytes - 1, 0) >> _WHOLE_BITS).bit_length()
    bits = min(bits, _MOST_BITS)
    return tuple(ALL >> max(bits - more, 0) for more in _MORE_BITS)


def concat_rows(parts: Iterable[NgramRows], below: Sequence[int]) -> NgramRows:
    """Returns the rows of all parts, one part after another.

    Args:
      parts: Kept below the same bounds; there may be none.
      below: These bounds.
    """
    parts = list(parts)
    nothing = [np.zeros(0, np.int32)]
    orders = range(len(NAMES))
    return NgramRows(
        np.concatenate([part.tokens for part in parts] or nothing),
        tuple(
            np.concatenate([p.hashes[i] for p in parts] or [np.zeros(0, np.uint64)])
            for i in orders
        ),
        tuple(np.concatenate([p.sizes[i] for p in parts] or nothing) for i in orders),
        tuple(below),
    )
