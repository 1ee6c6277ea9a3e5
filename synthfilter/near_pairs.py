"""Pairs of candidates, and where each is compared.

A document with very many partners, the best of a crowd, is a hub. Pairs without hubs
are compared in cells: parts of all of these, of which those of one document lie
together as far as possible.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.hashing import distinct, find_sorted
from synthfilter.decisions import near

MAX_PARTNERS = 1024
"""Documents that one is paired with; with more it is a hub."""

# Pairs of several partitions that are held before doubles among them go.
_WAITING_PAIRS = 1 << 22

FIRST = "first"
SECOND = "second"

# The documents of a part of all bands, the pairs of these (rows of them), and those
# that are not in all pairs.
Found = tuple[pa.RecordBatch, pa.RecordBatch, pa.RecordBatch]


class Groups(NamedTuple):
    """The documents that are to be compared, and with which.

    Attributes:
      order: Their places in the order, which stand for them; uint64, sorted.
      crowded: Which of them may have candidates that they are not paired with.
      pairs: int32 rows of `order` [pairs, 2]: those compared in cells; from
        `with_hubs` on, by the document, a document and a hub, the largest first.
      with_hubs: Where pairs with hubs start.
      cell: int32, where each pair before that is compared.
      members: Documents, as rows of `order`, and the cells that they go to, int32
        [members, 2], sorted.
    """

    order: np.ndarray
    crowded: np.ndarray
    pairs: np.ndarray
    with_hubs: int
    cell: np.ndarray
    members: np.ndarray

    @property
    def hubs(self) -> np.ndarray:
        """Returns the order of the documents with very many partners."""
        return self.order[distinct([self.pairs[self.with_hubs :, 1]])]


def pair_batches(found: near.Candidates) -> Found:
    """Returns candidates as batches; a pair has two numbers of 32 bits."""
    order = distinct([found.pairs.ravel()])
    first, second = np.searchsorted(order, found.pairs.T).astype(np.int32)
    return (
        pa.RecordBatch.from_pydict({schema.ORDER: order}),
        pa.RecordBatch.from_pydict({FIRST: first, SECOND: second}),
        pa.RecordBatch.from_pydict({schema.ORDER: found.crowded}),
    )


def group_pairs(_: None, found: Iterable[Found], cells: int) -> Groups:
    """Returns where pairs are compared.

    Args:
      found: Of parts of all bands; see `pair_batches`.
      cells: In how many cells at most.
    """
    order, rows, crowded = _merge_pairs(found)
    partners = np.bincount(rows[:, 0], minlength=len(order))
    partners += np.bincount(rows[:, 1], minlength=len(order))
    hub = partners > MAX_PARTNERS
    has_hub = hub[rows[:, 0]] | hub[rows[:, 1]]
    inside, with_hubs = rows[~has_hub], _by_hub(rows[has_hub], partners, hub)
    cell = _cells(inside, len(order), cells)
    members = [distinct([side.astype(np.int64) * cells + cell]) for side in inside.T]
    return Groups(
        order,
        find_sorted(crowded, order) >= 0,
        # All workers get them, and search their columns: few bytes, side by side.
        np.asfortranarray(np.concatenate([inside, with_hubs])),
        len(inside),
        cell,
        np.stack(np.divmod(distinct(members), cells)).astype(np.int32).T,
    )


def _merge_pairs(found: Iterable[Found]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns all documents, the distinct pairs of their rows, sorted, and the crowded.

    The pairs are int32 [pairs, 2].
    """
    parts = list(found)
    order, crowded = (
        distinct([np.zeros(0, np.uint64), *(column(p[i], schema.ORDER) for p in parts)])
        for i in (0, 2)
    )
    codes, more, waiting = np.zeros(0, np.int64), list[np.ndarray](), 0
    for mine, pairs, _ in parts:
        row = np.searchsorted(order, column(mine, schema.ORDER))
        more.append(row[column(pairs, FIRST)] * len(order) + row[column(pairs, SECOND)])
        waiting += pairs.num_rows
        # Two documents may share bands in several partitions: those of a boilerplate
        # in most of them.
        if waiting > max(len(codes), _WAITING_PAIRS):
            codes, more, waiting = distinct([codes, *more]), [], 0
    codes = distinct([codes, *more])
    return order, _divide(codes, len(order)), crowded


def _by_hub(pairs: np.ndarray, partners: np.ndarray, hub: np.ndarray) -> np.ndarray:
    """Returns pairs as a document and a hub, by the document, the largest hub first.

    Args:
      pairs: int32 rows of documents [pairs, 2], of which one at least is a hub.
      partners: How many each document has.
      hub: Whether it is one.
    """
    largest = np.flatnonzero(hub)
    largest = largest[np.argsort(-partners[largest], kind="stable")]
    place = np.zeros(len(hub), np.int64)
    place[largest] = np.arange(len(largest))
    turned = hub[pairs[:, 0]]
    document = np.where(turned, pairs[:, 1], pairs[:, 0]).astype(np.int64)
    other = np.where(turned, pairs[:, 0], pairs[:, 1])
    pairs = _divide(np.sort(document * len(largest) + place[other]), len(largest))
    pairs[:, 1] = largest[pairs[:, 1]]
    return pairs


def _divide(codes: np.ndarray, by: int) -> np.ndarray:
    """Returns quotients and remainders, int32 [codes, 2]."""
    parts = np.empty((len(codes), 2), np.int32)
    np.floor_divide(codes, max(by, 1), out=parts[:, 0], casting="unsafe")
    np.remainder(codes, max(by, 1), out=parts[:, 1], casting="unsafe")
    return parts


def _cells(pairs: np.ndarray, documents: int, cells: int) -> np.ndarray:
    """Returns the cell of each pair: few for the pairs of any one document.

    It is that of the lowest that the higher document is paired with, so that documents
    of which each is paired with each meet in one.
    """
    lowest = np.arange(documents, dtype=np.int32)
    np.minimum.at(lowest, pairs[:, 1], pairs[:, 0])
    return lowest[pairs[:, 1]] % cells
