"""Finds the vocabulary entries of many tokens at once.

A token of up to 16 bytes is known exactly by two overlapping 8-byte loads and its
length; these are mixed to one 64-bit key, for up to 8 bytes without loss. The keys
stand in an open-addressing table with linear probing. Longer tokens are looked up by
their bytes in a dict.
"""

from collections.abc import Sequence

import numpy as np

from synthfilter.detection.fasttext_hash import load8

_U64 = np.uint64
_SPREAD = _U64(0x9E3779B97F4A7C15)
_MIX = (_U64(0xC2B2AE3D27D4EB4F), _U64(0xBF58476D1CE4E5B9))
_LOW_BYTES = np.array([(1 << 8 * k) - 1 for k in range(9)], np.uint64)
_LONGEST_KEYED = 16
_SLOTS_PER_WORD = 4


class WordTable:
    """A vocabulary of byte strings, without NUL, as a table to look tokens up in.

    Attributes:
      size: How many words it holds; also the id of a token outside.
    """

    def __init__(self, words: Sequence[bytes]) -> None:
        """Builds the table.

        Args:
          words: Distinct words; the id of each is its position.
        """
        self.size = len(words)
        self._long = {w: i for i, w in enumerate(words) if len(w) > _LONGEST_KEYED}
        self._longest = max(map(len, self._long), default=0)
        padded, start, end = concatenated(words)
        rows = np.flatnonzero(end - start <= _LONGEST_KEYED)
        key = _keys(padded, start[rows], end[rows])
        bits = max(int(_SLOTS_PER_WORD * len(key)).bit_length(), 4)
        self._shift = _U64(64 - bits)
        self._key = np.zeros(1 << bits, np.uint64)
        self._id = np.full(1 << bits, self.size, np.int32)
        self._insert(key, rows)

    def _insert(self, key: np.ndarray, ids: np.ndarray) -> None:
        """Puts each key into the first free slot from its own on; lower ids first."""
        slot = self._slots(key)
        while len(key):
            self._id[slot[::-1]] = np.where(
                self._id[slot] == self.size, ids, self._id[slot]
            )[::-1]
            placed = self._id[slot] == ids
            self._key[slot[placed]] = key[placed]
            key, ids = key[~placed], ids[~placed]
            slot = (slot[~placed] + 1) & (len(self._key) - 1)

    def _slots(self, key: np.ndarray) -> np.ndarray:
        return ((key * _SPREAD) >> self._shift).view(np.int64)

    def find(
        self, padded: np.ndarray, start: np.ndarray, end: np.ndarray
    ) -> np.ndarray:
        """Returns the id of each token, `size` for those outside the vocabulary.

        Args:
          padded: Bytes with `tokens.PADDING` more than the last token needs.
          start: First byte of each token.
          end: Byte after the last of each token.
        """
        key = _keys(padded, start, end)
        slot = self._slots(key)
        found = self._id.take(slot)
        probing = np.flatnonzero((self._key.take(slot) != key) & (found < self.size))
        slot, key = slot[probing], key[probing]
        while len(probing):
            slot = (slot + 1) & (len(self._key) - 1)
            ids = self._id[slot]
            found[probing] = ids
            on = (self._key[slot] != key) & (ids < self.size)
            probing, slot, key = probing[on], slot[on], key[on]
        self._find_long(padded, start, end, found)
        return found

    def _find_long(
        self, padded: np.ndarray, start: np.ndarray, end: np.ndarray, found: np.ndarray
    ) -> None:
        """Looks up the tokens that a key does not describe, in place."""
        length = end - start
        rows = np.flatnonzero(length > _LONGEST_KEYED)
        found[rows] = self.size
        rows = rows[length[rows] <= self._longest]
        ids = [
            self._long.get(padded[a:b].tobytes(), self.size)
            for a, b in zip(start[rows].tolist(), end[rows].tolist(), strict=True)
        ]
        found[rows] = ids


def concatenated(
    words: Sequence[bytes],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the bytes of all words, padded, and where each starts and ends."""
    end = np.cumsum([len(word) for word in words], dtype=np.int64)
    start = np.concatenate([[0], end[:-1]]).astype(np.int64)[: len(words)]
    return np.frombuffer(b"".join(words) + bytes(16), np.uint8), start, end


def _keys(padded: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns a 64-bit key of each token; above 16 bytes only of parts of it."""
    length = end - start
    key = load8(padded, start)
    key &= _LOW_BYTES.take(length, mode="clip")
    rows = np.flatnonzero(length > 8)
    tail = load8(padded, end[rows] - 8) + length[rows].view(np.uint64)
    mixed = (key[rows] ^ (key[rows] >> _U64(32))) * _MIX[0] + tail
    mixed = (mixed ^ (mixed >> _U64(29))) * _MIX[1]
    key[rows] = mixed ^ (mixed >> _U64(32))
    return key
