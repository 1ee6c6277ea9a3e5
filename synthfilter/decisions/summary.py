"""What must be known of all documents before any can be chosen; small at any size."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from synthfilter.core.books import empty_books
from synthfilter.core.schema import COPY_REASONS, Reason

_MIN_SOURCE = 20


def _no_rows(columns: int = 3) -> np.ndarray:
    return np.zeros((0, columns), np.int64)


@dataclasses.dataclass
class Summary:
    """Sums over documents; summaries of parts add up to that of the whole.

    Attributes:
      books: As in `core.books`, before the mixture.
      weights: Weight still in, by cell and part of the order; see `cells.histogram`.
      slices: int64 [slices, 3], sorted by key: key (`slice_keys`), declared origin and
        rows.
      sources: int64 [sources, 4], sorted by key: key (bits of a uint64), all documents,
        those that went as copies, and those that went for another reason.
    """

    books: np.ndarray = dataclasses.field(default_factory=empty_books)
    weights: np.ndarray = dataclasses.field(default_factory=_no_rows)
    slices: np.ndarray = dataclasses.field(default_factory=_no_rows)
    sources: np.ndarray = dataclasses.field(default_factory=lambda: _no_rows(4))


def add_summaries(parts: Iterable[Summary]) -> Summary:
    """Returns the summary of all parts together."""
    parts = list(parts) or [Summary()]
    return Summary(
        books=sum((part.books for part in parts), empty_books()),
        weights=_sum_by_key(np.concatenate([part.weights for part in parts]), 2, 2),
        slices=_sum_by_key(np.concatenate([part.slices for part in parts]), 2),
        sources=_sum_by_key(np.concatenate([part.sources for part in parts]), 1),
    )


def sum_slices(slice_key: np.ndarray, declared: np.ndarray) -> np.ndarray:
    """Returns the rows of `Summary.slices` for some documents.

    Args:
      slice_key: Slice of each document.
      declared: Declared origin of each.
    """
    rows = np.ones((len(slice_key), 3), np.int64)
    rows[:, 0], rows[:, 1] = slice_key, declared
    return _sum_by_key(rows, 2)


def sum_chosen(slice_key: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns the bytes of each slice: int64 [slices, 2], sorted by key.

    Args:
      slice_key: Slice of each document.
      size: Bytes of each that are in the set.
    """
    return _sum_by_key(np.stack([slice_key, size], axis=1), 1)


def add_chosen(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Returns what `sum_chosen` returns for all documents together."""
    return _sum_by_key(np.concatenate([np.zeros((0, 2), np.int64), *parts]), 1)


def sum_sources(source_key: np.ndarray, reason: np.ndarray) -> np.ndarray:
    """Returns the rows of `Summary.sources` for some documents.

    Args:
      source_key: Source of each, uint64.
      reason: `Reason` code of each.
    """
    copy = np.isin(reason, COPY_REASONS)
    rows = np.ones((len(reason), 4), np.int64)
    rows[:, 0] = source_key.view(np.int64)
    rows[:, 2], rows[:, 3] = copy, ~copy & (reason != Reason.KEPT)
    return _sum_by_key(rows, 1)


def heavy_losses(sources: np.ndarray, most: float) -> np.ndarray:
    """Returns the rows of `Summary.sources` that have lost more than a share.

    Sources of fewer than 20 documents are not looked at.
    """
    _, documents, copies, others = sources.T
    lost = copies + others
    return sources[(documents >= _MIN_SOURCE) & (lost > most * documents)]


def _sum_by_key(rows: np.ndarray, same: int, keys: int = 1) -> np.ndarray:
    """Adds up the rows of one key, which is the first column or more.

    Args:
      rows: int64 [rows, columns].
      same: How many columns, from the first on, are not added up.
      keys: How many columns are the key.
    """
    if not len(rows):
        return rows
    rows = rows[np.lexsort(rows[:, :keys].T[::-1])]
    changed = (rows[1:, :keys] != rows[:-1, :keys]).any(axis=1)
    first = np.flatnonzero(np.append(True, changed))
    total = np.add.reduceat(rows, first)
    total[:, :same] = rows[first, :same]
    return total
