"""What the detector saw: of documents whose origin is its question, and of the others.

From this, the synthetic text is estimated that hides among the first (`prevalence`).
"""

import dataclasses
from collections.abc import Iterable

import numpy as np

from synthfilter.core.bands import BANDS, length_bands
from synthfilter.core.hashing import mix
from synthfilter.core.profiles import BINS, length_bins, score_bins
from synthfilter.decisions.prevalence import SHAPE

# A suspicion is 0 without a score; else one more than the bin of the score, and these
# if the score has reached the threshold, and if the origin is the detector's question.
_FLAGGED, _ASKED = np.uint16(128), np.uint16(256)
_BIN = _FLAGGED - np.uint16(1)

# A cell is a length, a bin of the score, and whether the score reached the threshold.
_CELLS = int(np.prod(SHAPE))
# A row's key is that of its group but for the last bits, which are the cell.
_CELL_BITS = 12
_CELL_MASK = np.uint64((1 << _CELL_BITS) - 1)


def suspicion(score: np.ndarray, flagged: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Returns what the detector saw of each document, uint16; 0 without a score.

    Args:
      score: float32 in [0, 1], or NaN.
      flagged: Whether it has reached the threshold.
      asked: Whether the origin is the detector's question.
    """
    scored = ~np.isnan(score)
    code = 1 + score_bins(np.where(scored, score, np.float32(0))).astype(np.uint16)
    return np.where(scored, code + _FLAGGED * flagged + _ASKED * asked, np.uint16(0))


def is_asked(suspicions: np.ndarray) -> np.ndarray:
    """Returns whether the origin of each document is the detector's question."""
    return suspicions >= _ASKED


def unask(suspicions: np.ndarray, settled: np.ndarray) -> np.ndarray:
    """Returns the suspicions, no question where the origin is settled otherwise."""
    return np.where(settled, suspicions & ~_ASKED, suspicions)


def group_keys(declared: np.ndarray, source_key: np.ndarray) -> np.ndarray:
    """Returns the key of the group of each document: its declared origin and source.

    Args:
      declared: `Origin` codes.
      source_key: Source of each, uint64.
    """
    return mix(source_key + declared.astype(np.uint64)) & ~_CELL_MASK


@dataclasses.dataclass
class Survey:
    """Sums over documents; surveys of parts add up to that of the whole.

    Attributes:
      cells: int64 [rows, 4], sorted by the first: key of group and cell (bits of a
        uint64), documents that copies left, their weight, and the part of the weight
        that is still in.
      settled: Weight still in, of documents that are no question of the detector's:
        int64 [human or synthetic].
      known: How many of these got which score, int64 [human or synthetic, BANDS, BINS].
    """

    cells: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 4), np.int64)
    )
    settled: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(2, np.int64)
    )
    known: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((2, len(BANDS), BINS), np.int64)
    )


def survey(
    group_key: np.ndarray,
    words: np.ndarray,
    suspicions: np.ndarray,
    origin: np.ndarray,
    weight: np.ndarray,
    alive: np.ndarray,
) -> Survey:
    """Returns the survey of documents that copies left, in or out by their score.

    Args:
      group_key: See `group_keys`.
      words: Length of each.
      suspicions: See `suspicion`.
      origin: `Origin` codes, human or synthetic.
      weight: In the unit of the shares.
      alive: Which are still in; the others were left out for their score.
    """
    asked = is_asked(suspicions)
    still = np.where(alive, weight, 0).astype(np.int64)
    settled = np.bincount(origin[~asked], still[~asked], 2)[:2].astype(np.int64)
    key = group_key[asked] | cell_numbers(words[asked], suspicions[asked])
    rows = np.stack(
        [
            key.view(np.int64),
            np.ones(len(key), np.int64),
            weight[asked].astype(np.int64),
            still[asked],
        ],
        axis=1,
    )
    known = ~asked & (suspicions > 0)
    seen = count_scores(words[known], suspicions[known], origin[known])
    return Survey(add_weights(rows), settled, seen)


def count_scores(
    words: np.ndarray, suspicions: np.ndarray, origin: np.ndarray
) -> np.ndarray:
    """Returns how many documents got which score, int64 [origins, BANDS, BINS].

    Args:
      words: Length of each.
      suspicions: See `suspicion`; none is 0.
      origin: `Origin` codes, human or synthetic.
    """
    counts = np.zeros((2, len(BANDS), BINS), np.int64)
    np.add.at(counts, (origin, length_bands(words), _bins(suspicions)), 1)
    return counts


def add_surveys(parts: Iterable[Survey]) -> Survey:
    """Returns the survey of all parts together."""
    parts = [Survey(), *parts]
    return Survey(
        add_weights(np.concatenate([part.cells for part in parts])),
        np.sum([part.settled for part in parts], axis=0),
        np.sum([part.known for part in parts], axis=0),
    )


def cell_numbers(words: np.ndarray, suspicions: np.ndarray) -> np.ndarray:
    """Returns the number of the cell of each document, uint64."""
    flagged = (suspicions & _FLAGGED > 0).astype(np.int64)
    place = (length_bins(words), _bins(suspicions), flagged)
    return np.ravel_multi_index(place, SHAPE).astype(np.uint64)


def _bins(suspicions: np.ndarray) -> np.ndarray:
    """Returns the bin of the score that each document got."""
    return (suspicions & _BIN).astype(np.int64) - 1


def add_weights(rows: np.ndarray) -> np.ndarray:
    """Adds up the rows of each key, which is the first column; sorted by it."""
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.flatnonzero(np.append(True, rows[1:, 0] != rows[:-1, 0]))
    total = np.add.reduceat(rows, first)
    total[:, 0] = rows[first, 0]
    return total


@dataclasses.dataclass(frozen=True, eq=False)
class Groups:
    """The groups that are told apart: the largest; all others are one more, the last.

    Attributes:
      keys: uint64, rising.
    """

    keys: np.ndarray

    @classmethod
    def largest(cls, cells: np.ndarray, most: int) -> "Groups":
        """Returns the groups of the most documents in `Survey.cells`."""
        key = cells[:, 0].view(np.uint64) & ~_CELL_MASK
        keys, at = np.unique(key, return_inverse=True)
        size = np.bincount(at, cells[:, 1], len(keys))
        # Of equally large ones the lower key, whatever the order of the input.
        chosen = np.lexsort([keys, -size])[:most]
        return cls(np.sort(keys[chosen]))

    @property
    def count(self) -> int:
        """The number of groups, that of all others included."""
        return len(self.keys) + 1

    def number(self, group_key: np.ndarray) -> np.ndarray:
        """Returns the number of each key's group."""
        if not len(self.keys):
            return np.zeros(len(group_key), np.int64)
        at = np.minimum(np.searchsorted(self.keys, group_key), len(self.keys) - 1)
        return np.where(self.keys[at] == group_key, at, len(self.keys))

    def table(self, key: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Returns sums of values by group and cell: int64 [groups, *SHAPE].

        Args:
          key: Of group and cell, uint64.
          values: int64.
        """
        place = self.number(key & ~_CELL_MASK) * _CELLS
        place += (key & _CELL_MASK).astype(np.int64)
        found = np.zeros(self.count * _CELLS, np.int64)
        np.add.at(found, place, values)
        return found.reshape(self.count, *SHAPE)

    def look_up(
        self,
        table: np.ndarray,
        group_key: np.ndarray,
        words: np.ndarray,
        suspicions: np.ndarray,
    ) -> np.ndarray:
        """Returns the value of a table [groups, *SHAPE] for each document.

        Those that are no question of the detector's get 0.
        """
        asked = is_asked(suspicions)
        found = np.zeros(len(words), table.dtype)
        cell = cell_numbers(words[asked], suspicions[asked]).astype(np.int64)
        number = self.number(group_key[asked])
        found[asked] = table.reshape(self.count, _CELLS)[number, cell]
        return found
