"""What must be known of all documents before any can be chosen; small at any size."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from synthfilter.core.books import empty_books
from synthfilter.core.schema import COPY_REASONS, Reason
from synthfilter.decisions.mixture import BINS

_MIN_SOURCE = 20


@dataclasses.dataclass
class Summary:
    """Sums over documents; summaries of parts add up to that of the whole.

    Attributes:
      books: As in `core.books`, before the mixture.
      weights: Weight still in, by origin and part of the order: int64 [2, BINS].
      slices: int64 [slices, 5], sorted by key: key (`slice_keys`), declared origin,
        rows, and the human and the synthetic bytes that are still in.
      sources: int64 [sources, 3], sorted by key: key (bits of a uint64), documents that
        filters left, and those of them that are copies of another.
    """

    books: np.ndarray = dataclasses.field(default_factory=empty_books)
    weights: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((2, BINS), np.int64)
    )
    slices: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 5), np.int64)
    )
    sources: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 3), np.int64)
    )


def add_summaries(parts: Iterable[Summary]) -> Summary:
    """Returns the summary of all parts together."""
    parts = list(parts) or [Summary()]
    return Summary(
        books=sum((part.books for part in parts), empty_books()),
        weights=np.sum([part.weights for part in parts], axis=0),
        slices=_sum_by_key(np.concatenate([part.slices for part in parts]), 2),
        sources=_sum_by_key(np.concatenate([part.sources for part in parts]), 1),
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
    return _sum_by_key(rows, 2)


def sum_sources(source_key: np.ndarray, reason: np.ndarray) -> np.ndarray:
    """Returns the rows of `Summary.sources` for some documents.

    Args:
      source_key: Source of each, uint64.
      reason: `Reason` code of each.
    """
    copy = np.isin(reason, COPY_REASONS)
    rows = np.zeros((len(reason), 3), np.int64)
    rows[:, 0] = source_key.view(np.int64)
    rows[:, 1], rows[:, 2] = copy | (reason == Reason.KEPT), copy
    return _sum_by_key(rows, 1)


def heavy_losses(sources: np.ndarray, most: float) -> np.ndarray:
    """Returns the rows of `Summary.sources` that have lost more than a share.

    Sources of fewer than 20 documents are not looked at.
    """
    _, documents, lost = sources.T
    return sources[(documents >= _MIN_SOURCE) & (lost > most * documents)]


def _sum_by_key(rows: np.ndarray, same: int) -> np.ndarray:
    """Adds up the rows of one key, which is the first column.

    Args:
      rows: int64 [rows, columns].
      same: How many columns, from the first on, are not added up.
    """
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.flatnonzero(np.append(True, rows[1:, 0] != rows[:-1, 0]))
    total = np.add.reduceat(rows, first)
    total[:, :same] = rows[first, :same]
    return total
