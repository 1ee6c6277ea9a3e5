"""What a detector's scores look like on text of known origin, source by source."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xxhash

from synthfilter.core.bands import BAND_STARTS, BANDS, length_bands

BINS = 64
LENGTH_STARTS = (*BAND_STARTS, 800, 1600, 3200, 6400)
"""Lengths in words that are told apart where documents are weighed.

Scores look the same from the last of the bands on. But where the human documents are
books and the others notes, a share of documents is no share of words.
"""
LENGTHS = len(LENGTH_STARTS)
HUMAN, SYNTHETIC = 0, 1
"""Places on the second axis of `Profiles.counts`."""

_REACH = (
    "Intervals hold for machine text that scores like some kind in the detector's "
    "profiles, or like the known documents; text of another kind can hide outside them."
)

_CLASSES = ("human", "synthetic")
_MOST = np.iinfo(np.int64).max // (2 * len(BANDS) * BINS)
# Steps of a quarter in the logit from -7.75 on; the first and last bin are open.
_EDGES = (1 / (1 + np.exp(-0.25 * np.arange(1 - BINS // 2, BINS // 2)))).astype(
    np.float32
)


def score_bins(score: np.ndarray) -> np.ndarray:
    """Returns the bin of each score, uint8; a quarter of the logit wide, ends open.

    Args:
      score: float32 in [0, 1], none NaN.
    """
    return np.searchsorted(_EDGES, score, side="right").astype(np.uint8)


def length_bins(words: np.ndarray) -> np.ndarray:
    """Returns the index in `LENGTH_STARTS` of each length in words."""
    return np.searchsorted(LENGTH_STARTS, words, side="right") - 1


@dataclasses.dataclass(frozen=True, eq=False)
class Profiles:
    """How many documents of each source got which score, by class and length.

    Attributes:
      sources: Names, rising; each once.
      counts: int64 [sources, 2 (human, synthetic), BANDS, BINS].
      own: Of human and of synthetic text, whether it is of the very kind that is to be
        judged, as in a user's calibration; else it only shows how kinds differ.
      known: Documents beside those that are to be judged whose origin is known, int64
        [2, BANDS, BINS]; of no source.
    """

    sources: tuple[str, ...]
    counts: np.ndarray
    own: tuple[bool, bool] = (False, False)
    known: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((len(_CLASSES), len(BANDS), BINS), np.int64)
    )

    def __eq__(self, other: object) -> bool:
        """Returns whether both say the same."""
        return isinstance(other, Profiles) and self._content() == other._content()

    def __hash__(self) -> int:
        """Returns the same for those that say the same."""
        return hash(self._content())

    def _content(self) -> tuple[str, tuple[bool, bool], bytes]:
        return self.digest, self.own, self.known.astype("<i8").tobytes()

    @property
    def digest(self) -> str:
        """Of the counts and names of all sources, 16 hex digits."""
        said = repr(self.sources).encode() + self.counts.astype("<i8").tobytes()
        return xxhash.xxh3_64_hexdigest(said)

    def of(self, kind: int) -> "Profiles":
        """Returns the sources that have documents of a class, and only these."""
        mine = np.flatnonzero(self.counts[:, kind].any(axis=(1, 2)))
        counts = np.zeros_like(self.counts[mine])
        counts[:, kind] = self.counts[mine, kind]
        own = (self.own[HUMAN] and kind == HUMAN, self.own[1] and kind == SYNTHETIC)
        return Profiles(tuple(self.sources[i] for i in mine.tolist()), counts, own)

    def as_json(self) -> dict[str, Any]:
        """Returns by source, class and length the first bin and counts from there."""
        return {
            name: {
                kind: {
                    band: _write(row)
                    for band, row in zip(BANDS, of_kind, strict=True)
                    if row.any()
                }
                for kind, of_kind in zip(_CLASSES, of_source, strict=True)
                if of_kind.any()
            }
            for name, of_source in zip(self.sources, self.counts, strict=True)
        }


def count_profiles(
    score: np.ndarray,
    words: np.ndarray,
    synthetic: np.ndarray,
    sources: Sequence[str] | np.ndarray,
    weight: np.ndarray | None = None,
) -> Profiles:
    """Returns the profiles of documents of known origin.

    Args:
      score: float32 in [0, 1]; documents with NaN are not counted.
      words: The length of each.
      synthetic: bool, who wrote each.
      sources: The name of each one's source.
      weight: How many documents each stands for; None: all the same. Counts are then
        shares of the weight, and add up to the effective size (Kish 1965) by source
        and class.
    """
    known = np.flatnonzero(~np.isnan(score))
    names, source = np.unique(np.asarray(sources).astype(str), return_inverse=True)
    counts = np.zeros((len(names), len(_CLASSES), len(BANDS), BINS), np.int64)
    place = (
        source.reshape(-1)[known],
        synthetic[known].astype(np.int64),
        length_bands(words[known]),
        score_bins(score[known]),
    )
    if weight is None:
        np.add.at(counts, place, 1)
        return Profiles(tuple(names.tolist()), counts)
    weights, squares = np.zeros((2, *counts.shape))
    np.add.at(weights, place, weight[known])
    np.add.at(squares, place, weight[known] ** 2)
    within = (len(names), len(_CLASSES), len(BANDS) * BINS)
    total, square = (
        part.reshape(within).sum(axis=2, keepdims=True) for part in (weights, squares)
    )
    scale = np.divide(total, square, out=np.zeros_like(total), where=square > 0)
    # Rounding the running sum keeps the whole, whatever the parts are.
    running = np.rint(np.cumsum(weights.reshape(within) * scale, axis=2))
    counts = np.diff(running, axis=2, prepend=0).astype(np.int64).reshape(counts.shape)
    return Profiles(tuple(names.tolist()), counts)


def join_profiles(parts: Sequence[Profiles]) -> Profiles:
    """Returns one of all; a source in several has the sum of their counts."""
    names = sorted({name for part in parts for name in part.sources})
    counts = np.zeros((len(names), len(_CLASSES), len(BANDS), BINS), np.int64)
    for part in parts:
        np.add.at(counts, [names.index(name) for name in part.sources], part.counts)
    human, synthetic = (any(part.own[kind] for part in parts) for kind in (0, 1))
    return Profiles(tuple(names), counts, (human, synthetic))


def describe_reach(known: Mapping[str, int] | None) -> list[str]:
    """Returns what an estimate of hidden text knows and does not know, in sentences.

    Args:
      known: Documents of known origin that took part, by class; None: not told.
    """
    said = [f"{docs:,} known to be {name}" for name, docs in (known or {}).items()]
    told = [f"Documents of this build whose scores took part: {', '.join(said)}."]
    return [*(told if said else ()), _REACH]


def read_profiles(found: Any, own: bool = False) -> Profiles:
    """Returns what `Profiles.as_json` wrote.

    Args:
      found: From JSON.
      own: Whether all of it is the user's own, see `Profiles`.

    Raises:
      TypeError: A part is not the object or text that it must be.
      ValueError: A class, length, bin or count is none.
    """
    names = sorted(_object(found, "sources"))
    counts = np.zeros((len(names), len(_CLASSES), len(BANDS), BINS), np.int64)
    for number, name in enumerate(names):
        for kind, bands in _object(found[name], "classes").items():
            of_kind = counts[number, _index(_CLASSES, kind)]
            for band, said in _object(bands, "lengths").items():
                row = of_kind[_index(BANDS, band)]
                first, values = _read(said)
                row[first : first + len(values)] = values
    return Profiles(tuple(names), counts, (own, own))


def _write(row: np.ndarray) -> str:
    filled = np.flatnonzero(row)
    values = row[filled[0] : filled[-1] + 1]
    return f"{filled[0]}: {' '.join(map(str, values.tolist()))}"


def _read(said: Any) -> tuple[int, list[int]]:
    if not isinstance(said, str):
        raise TypeError(f"expected counts as text, got {said!r:.60}")
    first, _, rest = said.partition(":")
    parts = [first.strip(), *rest.split()]
    if not all(part.isdecimal() and len(part) < 19 for part in parts):
        raise ValueError(
            f"expected a bin and counts such as '9: 4 0 1', got {said!r:.60}"
        )
    start, *values = map(int, parts)
    if start + len(values) > BINS or sum(values) > _MOST:
        raise ValueError(
            f"expected counts in {BINS} bins, {_MOST} in all at most, got {said!r:.60}"
        )
    return start, values


def _object(found: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise TypeError(f"expected an object of {what}, got {found!r:.60}")
    return found


def _index(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise ValueError(f"expected one of {', '.join(names)}, got {name!r:.60}")
    return names.index(name)
