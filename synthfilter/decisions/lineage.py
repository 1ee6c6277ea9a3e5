"""Generations: how many times over a text was made from machine-made text."""

from collections.abc import Iterator

import numpy as np

from synthfilter.core.hashing import distinct
from synthfilter.decisions.minhash import ranges

_DEEPEST = np.iinfo(np.int32).max


def generations(
    identity: np.ndarray,
    parents: np.ndarray,
    parent_offsets: np.ndarray,
    human: np.ndarray,
    declared: np.ma.MaskedArray,
    known_identity: np.ndarray,
    known_generation: np.ma.MaskedArray,
) -> np.ma.MaskedArray:
    """Returns the generation of each document, int32, masked where it is unknown.

    Human documents are of generation 0. Another is one deeper than the deepest of its
    parents whose generation is known; without such a parent it is what it was declared
    to be. A parent is looked for among the documents and among those known before; if
    several have its id, the deepest counts. Parents in a circle say nothing to each
    other, nor do documents between two circles.

    Args:
      identity: uint64 hash of each document's id.
      parents: uint64 hashes of the ids of parents, those of one document side by side.
      parent_offsets: Where each document's start, and their total.
      human: Which documents are human.
      declared: What they say themselves, masked where nothing; below 0 is nothing.
      known_identity: uint64 hashes of ids known before, in any order.
      known_generation: Their generations, masked where unknown.
    """
    undeclared = np.ma.getmaskarray(declared) | (declared.data < 0)
    child = np.repeat(np.arange(len(identity)), np.diff(parent_offsets))
    # One more than the deepest parent so far; 0 stands for none that is known.
    depth = np.zeros(len(identity), np.int64)
    told = ~np.ma.getmaskarray(known_generation)
    at, before = _same_identity(parents, known_identity[told])
    deeper = known_generation.data[told][before].astype(np.int64) + 1
    np.maximum.at(depth, child[at], deeper)
    at, parent = _same_identity(parents, identity)
    family = _Family(parent, child[at], len(identity))
    found = np.zeros(len(identity), np.int64)
    unknown = np.ones(len(identity), bool)
    for ready in family.in_order(human):
        found[ready] = np.where(depth[ready] > 0, depth[ready], declared.data[ready])
        found[ready[human[ready]]] = 0
        unknown[ready] = ~human[ready] & (depth[ready] == 0) & undeclared[ready]
        tellers = ready[~unknown[ready]]
        children, count = family.children_of(tellers)
        np.maximum.at(depth, children, np.repeat(found[tellers] + 1, count))
    found[unknown] = 0
    return np.ma.MaskedArray(np.minimum(found, _DEEPEST).astype(np.int32), unknown)


def _same_identity(
    wanted: np.ndarray, identity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs of equal ids: places in the first, places in the second."""
    order = np.argsort(identity, kind="stable")
    first = np.searchsorted(identity, wanted, sorter=order)
    count = np.searchsorted(identity, wanted, side="right", sorter=order) - first
    return np.repeat(np.arange(len(wanted)), count), order[ranges(first, count)]


class _Family:
    """Who is whose parent among documents, by number.

    Args:
      parents: The parent of each pair.
      children: Its child.
      documents: Their number.
    """

    def __init__(
        self, parents: np.ndarray, children: np.ndarray, documents: int
    ) -> None:
        by_parent = np.argsort(parents, kind="stable")
        by_child = np.argsort(children, kind="stable")
        self._children, self._parents = children[by_parent], parents[by_child]
        self._children_of = np.bincount(parents, minlength=documents)
        self._parents_of = np.bincount(children, minlength=documents)
        self._first_child = np.cumsum(self._children_of) - self._children_of
        self._first_parent = np.cumsum(self._parents_of) - self._parents_of

    def children_of(self, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the children, those of one document side by side, and how many."""
        count = self._children_of[documents]
        return self._children[ranges(self._first_child[documents], count)], count

    def in_order(self, first: np.ndarray) -> Iterator[np.ndarray]:
        """Yields all documents, those that wait for nobody in one step.

        Args:
          first: Those that do not wait for their parents.
        """
        waiting = self._parents_of.copy()
        left = np.ones(len(waiting), bool)
        ready = np.flatnonzero(first | (waiting == 0))
        while left.any():
            if not len(ready):
                ready = self._in_circles(left)
            while len(ready):
                left[ready] = False
                yield ready
                children, _ = self.children_of(ready)
                np.subtract.at(waiting, children, 1)
                ready = distinct([children[left[children] & (waiting[children] == 0)]])

    def _in_circles(self, left: np.ndarray) -> np.ndarray:
        """Returns which of those left are in a circle, or between two."""
        inside = left.copy()
        waiting = self._parents[np.repeat(left, self._parents_of)]
        unmet = np.bincount(waiting, minlength=len(left))
        out = np.flatnonzero(left & (unmet == 0))
        while len(out):
            inside[out] = False
            count = self._parents_of[out]
            parents = self._parents[ranges(self._first_parent[out], count)]
            np.subtract.at(unmet, parents, 1)
            out = distinct([parents[inside[parents] & (unmet[parents] == 0)]])
        return np.flatnonzero(inside)
