"""Lengths in words: the bands that figures are taken in, thresholds that follow them.

Short text carries little evidence, so one threshold gives it another false-positive
rate than long text.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthfilter.core.bands import BAND_STARTS as BAND_STARTS
from synthfilter.core.bands import BANDS as BANDS
from synthfilter.core.bands import length_bands as length_bands


@dataclasses.dataclass(frozen=True)
class Threshold:
    """The score from which on a document counts as machine text, by its length.

    Attributes:
      starts: First number of words of each band of lengths, rising from 0.
      values: The threshold of each band; neighbours differ.
      source: Who says so, for people.
    """

    starts: tuple[int, ...]
    values: tuple[float, ...]
    source: str

    @classmethod
    def constant(cls, value: float, source: str) -> "Threshold":
        """Returns the same threshold for every length."""
        return cls((0,), (value,), source)

    @classmethod
    def by_length(
        cls, overall: float, bands: Mapping[int, float], source: str
    ) -> "Threshold":
        """Returns a threshold from those of bands of lengths.

        Args:
          overall: Of documents shorter than every band.
          bands: By the first number of words; holds until the next band.
          source: Who says so, for people.
        """
        starts, values = [0], [overall]
        for start, value in sorted(bands.items()):
            if start == 0:
                values[0] = value
            elif value != values[-1]:
                starts.append(start)
                values.append(value)
        return cls(tuple(starts), tuple(values), source)

    @classmethod
    def from_json(cls, found: Any, source: str) -> "Threshold":
        """Returns the threshold that `as_json` wrote.

        Raises:
          TypeError, ValueError: As `read_bands`.
        """
        bands = found if isinstance(found, Mapping) else {"0": found}
        return cls.by_length(0.0, read_bands(bands), source)

    @property
    def value(self) -> float:
        """The threshold of the longest documents."""
        return self.values[-1]

    def bands_of(self, words: np.ndarray) -> np.ndarray:
        """Returns the index in `values` for each length in words."""
        return _bands(self.starts, words)

    def of(self, words: np.ndarray) -> np.ndarray:
        """Returns the threshold for each length in words.

        Args:
          words: Whole numbers from 0 on.

        Returns:
          float32, as scores are, so that a score equal to its threshold reaches it.
        """
        return np.array(self.values, np.float32)[self.bands_of(words)]

    def as_json(self) -> float | dict[str, float]:
        """Returns the one value, or the values by first number of words."""
        return self.values[0] if len(self.values) == 1 else self.as_bands()

    def as_bands(self) -> dict[str, float]:
        """Returns the values by first number of words."""
        return {str(s): v for s, v in zip(self.starts, self.values, strict=True)}

    def __str__(self) -> str:
        """Returns `0.8878`, or `0.95 under 50 words, 0.91 from 50, 0.8878 from 100`."""
        said = [f"{value:.4g}" for value in self.values]
        if len(said) > 1:
            rest = zip(said[1:], self.starts[1:], strict=True)
            said = [f"{said[0]} under {self.starts[1]} words"]
            said += [f"{value} from {start}" for value, start in rest]
        return ", ".join(said)


def read_bands(found: Any) -> dict[int, float]:
    """Returns thresholds by first number of words, from JSON.

    Raises:
      TypeError: It is no object, or a threshold is no number.
      ValueError: A key is no whole number from 0 on.
    """
    if not isinstance(found, Mapping):
        raise TypeError(f"expected an object of words to threshold, got {found!r:.60}")
    bands = {}
    for words, value in found.items():
        if not str(words).isdecimal():
            raise ValueError(f"expected a number of words, got {words!r:.60}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"expected a number, got {value!r:.60}")
        bands[int(words)] = float(value)
    return bands


def _bands(starts: Sequence[int], words: np.ndarray) -> np.ndarray:
    return np.searchsorted(starts, words, side="right") - 1
