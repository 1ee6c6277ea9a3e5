"""Which keys come more than once: a sketch of two bits a slot, mergeable.

Nearly all band keys come once, and such a document has nothing to be compared with. To
know that, before keys travel, costs a few bits a key.
"""

import numpy as np

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_CHUNK_KEYS = 1 << 20
_MIN_BITS, _MAX_BITS = 16, 29


class RepeatedKeys:
    """Says which keys may come more than once: all that do, and few of the others.

    Each key has a slot, shared with others, that knows whether none, one or more of
    its keys have come. Order does not matter.

    Args:
      expected: How many keys will come; has 4 to 8 slots for each, in 128 MB at most.
    """

    def __init__(self, expected: int) -> None:
        """Makes a sketch of nothing."""
        bits = min(max((expected * 4).bit_length(), _MIN_BITS), _MAX_BITS)
        self._shift = np.uint64(64 - bits)
        self._once, self._again = np.zeros((2, (1 << bits) // 8), np.uint8)

    def add(self, keys: np.ndarray) -> None:
        """Counts uint64 keys of any shape."""
        keys = keys.reshape(-1)
        for start in range(0, len(keys), _CHUNK_KEYS):
            slots = np.sort(self._slots(keys[start : start + _CHUNK_KEYS]))
            first = np.append(True, slots[1:] != slots[:-1])[: len(slots)]
            seen = slots[first]
            known = self._has(self._once, seen)
            self._put(self._again, np.concatenate([slots[~first], seen[known]]))
            self._put(self._once, seen)

    def merge(self, other: "RepeatedKeys") -> "RepeatedKeys":
        """Returns this sketch with all that another one of its size has counted."""
        self._again |= other._again | (self._once & other._once)
        self._once |= other._once
        return self

    def settled(self) -> "RepeatedKeys":
        """Returns the sketch in half its memory; nothing more can be counted."""
        self._once = self._once[:0]
        return self

    def may_repeat(self, keys: np.ndarray) -> np.ndarray:
        """Returns which of the uint64 keys may have come more than once."""
        return self._has(self._again, self._slots(keys))

    def _slots(self, keys: np.ndarray) -> np.ndarray:
        return ((keys * _FACTOR) >> self._shift).astype(np.int64)

    @staticmethod
    def _has(bits: np.ndarray, slots: np.ndarray) -> np.ndarray:
        return (bits[slots >> 3] >> (slots & 7).astype(np.uint8)) & 1 != 0

    @staticmethod
    def _put(bits: np.ndarray, slots: np.ndarray) -> None:
        place = np.left_shift(np.uint8(1), (slots & 7).astype(np.uint8))
        np.bitwise_or.at(bits, slots >> 3, place)
