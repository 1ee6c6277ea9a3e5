"""What must be known of all documents before any can be chosen; small at any size."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from synthfilter.core.books import empty_books
from synthfilter.decisions.mixture import BINS


@dataclasses.dataclass
class Summary:
    """Sums over documents; summaries of parts add up to that of the whole.

    Attributes:
      books: As in `core.books`, before the mixture.
      weights: Weight still in, by origin and part of the order: int64 [2, BINS].
      slices: int64 [slices, 5], sorted by key: key (`slice_keys`), declared origin,
        rows, and the human and the synthetic bytes that are still in.
    """

    books: np.ndarray = dataclasses.field(default_factory=empty_books)
    weights: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((2, BINS), np.int64)
    )
    slices: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 5), np.int64)
    )


def add_summaries(parts: Iterable[Summary]) -> Summary:
    """Returns the summary of all parts together."""
    parts = list(parts) or [Summary()]
    return Summary(
        books=sum((part.books for part in parts), empty_books()),
        weights=np.sum([part.weights for part in parts], axis=0),
        slices=_sum_by_key(np.concatenate([part.slices for part in parts])),
    )


def sum_slices(
    slice_key: np.ndarray, declared: np.ndarray, origin: np.ndarray, alive: np.ndarray
) -> np.ndarray:
    """Returns the rows of `Summary.slices` for some documents.

    Args:
      slice_key: Slice of each document.
      declared: Declared origin of each.
      origin: Decided origin of each.
      alive: Bytes of each that is still in, else 0.
    """
    rows = np.zeros((len(slice_key), 5), np.int64)
    rows[:, 0], rows[:, 1], rows[:, 2] = slice_key, declared, 1
    rows[np.arange(len(rows)), 3 + origin.astype(np.int64)] = alive
    return _sum_by_key(rows)


def _sum_by_key(rows: np.ndarray) -> np.ndarray:
    """Adds up the rows of one slice; key and declared origin stay."""
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.flatnonzero(np.diff(rows[:, 0], prepend=rows[0, 0] - 1))
    total = np.add.reduceat(rows, first)
    total[:, :2] = rows[first, :2]
    return total
