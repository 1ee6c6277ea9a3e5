"""Cells: the documents among which a choice is made, and exactly which are chosen.

A cell is what a group has in a stratum, fresh documents and the archive apart. Its
documents stand in a random but fixed order; those before a bound are kept, as many as
the target weight takes (bottom-k sampling). The bound is found in two steps that need
little memory at any size: a histogram of weight over the order, then the documents of
the one bin in which the target falls.
"""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

BIN_BITS = 12
BINS = 1 << BIN_BITS
_BIN_SHIFT = np.uint64(64 - BIN_BITS)

# The code of a cell in its stratum: its group, and two bits.
FRESH_BIT, CORE_BIT = 2, 1
_GROUP_SHIFT = 2


class Cells(NamedTuple):
    """Cells with a weight each, sorted by stratum and code; arrays of int64.

    Attributes:
      stratum: Key of the stratum.
      code: See `cell_codes`.
      weight: Weight of the documents.
    """

    stratum: np.ndarray
    code: np.ndarray
    weight: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """How far it is settled which documents of each cell are in; arrays by cell.

    Attributes:
      stratum: Keys of the strata, sorted.
      cell: Stratum, as a place among those, and code in one number, sorted.
      copies: How often every document is in the set, int32.
      bin: The bin of the order in which the choice of further ones ends; `BINS` where
        it takes none or all.
      rest: The weight to choose within the bin.
      up: Whether the document at the end is in, so that the weight is reached.
    """

    stratum: np.ndarray
    cell: np.ndarray
    copies: np.ndarray
    bin: np.ndarray
    rest: np.ndarray
    up: np.ndarray

    def find(self, stratum: np.ndarray, code: np.ndarray) -> np.ndarray:
        """Returns the place of each document's cell."""
        place = np.searchsorted(self.stratum, stratum) if len(self.stratum) > 1 else 0
        return np.searchsorted(self.cell, _number(place, code))


@dataclasses.dataclass(frozen=True, eq=False)
class Bounds:
    """Where the choice ends in some cells; arrays by cell.

    Attributes:
      cell: Place of the cell in the `Choice`.
      key: Place in the order of the document at the end.
      order: Its order hash.
      identity: Its identity.
    """

    cell: np.ndarray
    key: np.ndarray
    order: np.ndarray
    identity: np.ndarray


def cell_code(group: int, fresh: bool, core: bool) -> int:
    """Returns the code of a cell."""
    return group << _GROUP_SHIFT | FRESH_BIT * fresh | CORE_BIT * core


def cell_codes(group: np.ndarray, fresh: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Returns the code of each document's cell in its stratum, int64."""
    code = group.astype(np.int64) << _GROUP_SHIFT
    return code + FRESH_BIT * (fresh != 0) + CORE_BIT * core


def histogram(
    stratum: np.ndarray, code: np.ndarray, key: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Returns the weight by cell and part of the order.

    Returns:
      int64 [rows, 3], sorted: stratum, code and bin in one number, weight. Only rows
      with documents.
    """
    if not len(code):
        return np.zeros((0, 3), np.int64)
    strata, place = stratum[:1], np.int64(0)
    if (stratum != stratum[0]).any():
        strata, place = np.unique(stratum, return_inverse=True)
    codes = np.flatnonzero(np.bincount(code))
    rank = np.zeros(codes[-1] + 1, np.int64)
    rank[codes] = np.arange(len(codes))
    cell = (place * len(codes) + rank[code]) * BINS + bins(key)
    size = len(strata) * len(codes) * BINS
    if size <= 2 * len(code) + (1 << 16):
        total = np.bincount(cell, weight, size)
        cell = np.flatnonzero(total if weight.all() else np.bincount(cell, None, size))
        total = total[cell].astype(np.int64)
    else:
        order = np.argsort(cell, kind="stable")
        cell = cell[order]
        first = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
        total = np.add.reduceat(weight[order].astype(np.int64), first)
        cell = cell[first]
    upper, part = np.divmod(cell, BINS)
    where, which = np.divmod(upper, len(codes))
    return np.stack([strata[where], codes[which] * BINS + part, total], axis=1)


def bins(key: np.ndarray) -> np.ndarray:
    """Returns the bin of the histogram that each place in the order is in."""
    return (key >> _BIN_SHIFT).astype(np.int64)


def sum_cells(weights: np.ndarray) -> Cells:
    """Returns the cells of a whole histogram."""
    first = _starts(weights)
    total = np.add.reduceat(weights[:, 2], first) if len(first) else weights[:, 2]
    return Cells(weights[first, 0], weights[first, 1] >> BIN_BITS, total)


def settle_choice(
    weights: np.ndarray, cells: Cells, target: np.ndarray, up: np.ndarray
) -> Choice:
    """Returns which documents are in, to a bin of each cell.

    Args:
      weights: The whole histogram.
      cells: Its cells.
      target: The weight that each is to have.
      up: Whether it is to be reached, rather than not exceeded.
    """
    stratum, place = np.unique(cells.stratum, return_inverse=True)
    copies, rest = np.divmod(target, np.maximum(cells.weight, 1))
    total = np.cumsum(weights[:, 2])
    before = np.cumsum(cells.weight) - cells.weight
    wanted = before + rest
    cut = np.where(
        up, np.searchsorted(total, wanted), np.searchsorted(total, wanted, "right")
    )
    some = rest > 0
    at = cut[some]
    bin_of, left = np.full(len(rest), BINS), np.zeros(len(rest), np.int64)
    bin_of[some] = weights[at, 1] & (BINS - 1)
    left[some] = wanted[some] - (total[at] - weights[at, 2])
    cell = _number(place, cells.code)
    return Choice(stratum, cell, copies.astype(np.int32), bin_of, left, up)


def find_bounds(
    choice: Choice,
    cell: np.ndarray,
    key: np.ndarray,
    order: np.ndarray,
    identity: np.ndarray,
    weight: np.ndarray,
) -> Bounds:
    """Returns where the choice ends in each cell.

    Args:
      choice: What is settled.
      cell: Place of the cell in `choice` of every document of the bins where it ends.
      key: Place in the order of each.
      order: Order hash of each; decides between equal keys.
      identity: Decides between equal order hashes.
      weight: Weight of each.
    """
    at = np.lexsort([identity, order, key, cell])
    ordered = cell[at]
    total = np.cumsum(weight[at].astype(np.int64))
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    which = ordered[first]
    wanted = np.append(0, total)[first] + choice.rest[which]
    cut = np.where(
        choice.up[which],
        np.searchsorted(total, wanted),
        np.searchsorted(total, wanted, "right"),
    )
    end = at[cut]
    return Bounds(which, key[end], order[end], identity[end])


def join_bounds(parts: Iterable[Bounds]) -> Bounds:
    """Returns the bounds of all parts."""
    parts = list(parts)
    none = np.zeros(0, np.uint64)
    return Bounds(
        np.concatenate([np.zeros(0, np.int64), *(part.cell for part in parts)]),
        np.concatenate([none, *(part.key for part in parts)]),
        np.concatenate([none, *(part.order for part in parts)]),
        np.concatenate([none, *(part.identity for part in parts)]),
    )


def count_copies(
    choice: Choice,
    bounds: Bounds,
    cell: np.ndarray,
    key: np.ndarray,
    order: np.ndarray,
    identity: np.ndarray,
) -> np.ndarray:
    """Returns how often each document is in the set, int32.

    Args:
      choice: What is settled to a bin.
      bounds: Where it ends there.
      cell: Place of each document's cell in `choice`.
      key: Place of each in the order.
      order: Order hash of each.
      identity: Decides between equal order hashes.
    """
    # Before the first place of all stands nothing: no bound.
    ends = np.zeros((3, len(choice.cell)), np.uint64)
    ends[:, bounds.cell] = bounds.key, bounds.order, bounds.identity
    end = ends[0][cell]
    before = key < end
    same = np.flatnonzero(key == end)
    if len(same):
        at = cell[same]
        high, low = ends[1][at], ends[2][at]
        mine, own = order[same], identity[same]
        last = (mine == high) & (own == low) & choice.up[at]
        last &= np.isin(at, bounds.cell)
        before[same] = (mine < high) | ((mine == high) & (own < low)) | last
    return choice.copies[cell] + before


def _number(place: np.ndarray | int, code: np.ndarray) -> np.ndarray:
    """Returns stratum and code in one number."""
    return (np.asarray(place, np.int64) << 12) + code


def _starts(weights: np.ndarray) -> np.ndarray:
    """Returns the first row of every cell of a histogram."""
    cell = np.stack([weights[:, 0], weights[:, 1] >> BIN_BITS])
    changed = (cell[:, 1:] != cell[:, :-1]).any(axis=0)
    return np.flatnonzero(np.append(True, changed)[: len(weights)])
