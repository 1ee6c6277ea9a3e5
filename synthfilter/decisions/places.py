"""The places of documents in the random order, found in one pass over all of them."""

from collections.abc import Sequence
from typing import NamedTuple, Optional

import numpy as np


class Place(NamedTuple):
    """Where a document stands among those of its origin that the mixture chose from.

    Attributes:
      place: From 1 on.
      of: How many there are.
      taken: How many of them are in the set: the first ones.
    """

    place: int
    of: int
    taken: int


class PlaceCounter:
    """Finds the places of some documents while all pass by in parts.

    Args:
      order: Order hashes of these documents (`core.hashing.order_hash`).
      origin: Of each.
    """

    def __init__(self, order: Sequence[int], origin: Sequence[str]) -> None:
        """Starts to count."""
        self._order = np.array(order, np.uint64)
        self._origin = list(origin)
        self._before = np.zeros(len(order), np.int64)
        self._counts: dict[tuple[str, bool], int] = {}
        self._last_taken: dict[str, int] = {}
        self._first_left: dict[str, int] = {}

    def add(self, origin: str, order: np.ndarray, taken: bool) -> None:
        """Counts documents of one origin, all in the set or all left by the mixture.

        Args:
          origin: Theirs.
          order: Their order hashes, each document once, uint64.
          taken: Whether they are in the set.
        """
        if not len(order):
            return
        key = (origin, taken)
        self._counts[key] = self._counts.get(key, 0) + len(order)
        if taken:
            last = self._last_taken.get(origin, 0)
            self._last_taken[origin] = max(last, int(order.max()))
        else:
            first = self._first_left.get(origin, 1 << 64)
            self._first_left[origin] = min(first, int(order.min()))
        mine = np.array([who == origin for who in self._origin], bool)
        before = np.searchsorted(np.sort(order), self._order[mine])
        self._before[mine] += before

    def places(self) -> list[Optional[Place]]:
        """Returns the place of each document.

        None where the mixture took another part of its origin than the first in this
        order: then it has chosen by something else, too.
        """
        found: list[Optional[Place]] = []
        for origin, before in zip(self._origin, self._before.tolist(), strict=True):
            taken, left = (
                self._counts.get((origin, which), 0) for which in (True, False)
            )
            last = self._last_taken.get(origin, -1)
            if last >= self._first_left.get(origin, 1 << 64):
                found.append(None)
            else:
                found.append(Place(before + 1, taken + left, taken))
        return found
