"""What the JSON beside a model file says about its use."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from synthfilter.core.profiles import Profiles, read_profiles
from synthfilter.detection.lengths import Threshold, read_bands
from synthfilter.detection.linear import Evidence
from synthfilter.detection.tokens import SPACES, check_tokenisation

DEFAULT_FPR = 0.01
# So that no product of what a JSON says overflows.
_LARGEST_COUNT, _STEEPEST = 2**31 - 1, 1e6


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """How to use a model; the defaults fit any plain two-label fastText model.

    The score of a document of n tokens is the probability
    `sigmoid(slope * logit * min(n, length_cap) ** length_exponent + intercept)`.

    Attributes:
      name: For people; None takes the file's name.
      sha256: What the model's bytes must hash to; None for any.
      tokens: How text is cut, one of `tokens.TOKENISATIONS`.
      canonical: Whether text is made canonical first.
      length_exponent: How evidence grows with length; 0 for not at all.
      length_cap: Tokens from which on it does not grow.
      min_tokens: A document with fewer has no score.
      min_known_share: A document of whose tokens a smaller share is in the vocabulary
        has no score: it is in another language, say.
      min_word_share: A document of whose tokens a smaller share are words, and not
        numbers or marks, has no score: it is a table or code, say.
      slope: Of the logistic calibration.
      intercept: Of the logistic calibration.
      thresholds: Score thresholds by measured false-positive rate.
      thresholds_by_length: The same for bands of lengths, of some of these rates: by
        rate, and then by the first number of words of a band.
      threshold: The default threshold; None takes that at a rate of 1%, else 0.5.
      labels: Further label names, `{"synthetic": [...], "human": [...]}`.
      canaries: What the texts in `canary_texts` must score, None for no score. Like the
        profiles it changes no score, so it is in no key.
      profiles: What the scores look like on text of sources that the model did not
        see; None where nobody knows. It changes no score, so it is in no key.
    """

    name: str | None = None
    sha256: str | None = None
    tokens: str = SPACES
    canonical: bool = False
    length_exponent: float = 0.0
    length_cap: int = 400
    min_tokens: int = 1
    min_known_share: float = 0.0
    min_word_share: float = 0.0
    slope: float = 1.0
    intercept: float = 0.0
    thresholds: Mapping[float, float] = dataclasses.field(default_factory=dict)
    thresholds_by_length: Mapping[float, Mapping[int, float]] = dataclasses.field(
        default_factory=dict
    )
    threshold: float | None = None
    labels: Mapping[str, list[str]] = dataclasses.field(default_factory=dict)
    canaries: Mapping[str, float | None] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )
    profiles: Profiles | None = dataclasses.field(
        default=None, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Checks every field; raises ValueError for the first that is wrong."""
        check_tokenisation(self.tokens)
        for field in ("length_exponent", "slope", "intercept"):
            _check(math.isfinite(getattr(self, field)), field, "a number", self)
        _check(0 <= self.length_exponent <= 4, "length_exponent", "in [0, 4]", self)
        for field in ("length_cap", "min_tokens"):
            inside = 1 <= getattr(self, field) <= _LARGEST_COUNT
            _check(inside, field, f"from 1 to {_LARGEST_COUNT:,}", self)
        for field in ("min_known_share", "min_word_share"):
            _check(0 <= getattr(self, field) <= 1, field, "in [0, 1]", self)
        _check(0 < self.slope <= _STEEPEST, "slope", f"in (0, {_STEEPEST:g}]", self)
        inside = abs(self.intercept) <= _STEEPEST
        _check(inside, "intercept", f"within {_STEEPEST:g} of 0", self)
        shares = [*self.thresholds, *self.thresholds.values()]
        _check(all(0 <= x <= 1 for x in shares), "thresholds", "in [0, 1]", self)
        bands = self.thresholds_by_length
        shares = [value for band in bands.values() for value in band.values()]
        inside = all(0 <= x <= 1 for x in shares)
        _check(inside, "thresholds_by_length", "in [0, 1]", self)
        known = set(bands) <= set(self.thresholds)
        _check(known, "thresholds_by_length", "at rates that thresholds has", self)
        _check(
            self.threshold is None or 0 <= self.threshold <= 1,
            "threshold",
            "in [0, 1]",
            self,
        )

    @property
    def default_threshold(self) -> float:
        """The threshold to use unless another is asked for."""
        if self.threshold is not None:
            return self.threshold
        return self.thresholds.get(DEFAULT_FPR, 0.5)

    @property
    def measured_thresholds(self) -> dict[float, Threshold]:
        """The thresholds by false-positive rate, each by length where it is known."""
        return {
            fpr: Threshold.by_length(
                overall,
                self.thresholds_by_length.get(fpr, {}),
                measured_source(fpr),
            )
            for fpr, overall in self.thresholds.items()
        }

    def document_logit(self, evidence: Evidence) -> np.ndarray:
        """Returns what the calibration sees: the logit, grown with length."""
        length = np.minimum(evidence.tokens, self.length_cap)
        return evidence.logit * length.astype(np.float64) ** self.length_exponent

    def is_scorable(self, evidence: Evidence) -> np.ndarray:
        """Returns for which documents the model has enough to go by."""
        known, tokens = evidence.known, evidence.tokens
        enough = (known > 0) & (tokens >= self.min_tokens)
        enough &= evidence.words >= self.min_word_share * tokens
        return enough & (known >= self.min_known_share * tokens)

    def calibrate(self, evidence: Evidence) -> np.ndarray:
        """Returns float32 probabilities; NaN where `is_scorable` does not hold."""
        logit = self.slope * self.document_logit(evidence) + self.intercept
        with np.errstate(over="ignore"):
            score = (1 / (1 + np.exp(-logit))).astype(np.float32)
        score[~self.is_scorable(evidence)] = np.nan
        return score


def measured_source(fpr: float) -> str:
    """Returns what people are told of a threshold that the detector itself has."""
    return f"the detector's at FPR {fpr:g}"


def read_settings(data: bytes, name: str) -> DetectorSettings:
    """Returns the settings in a JSON file; keys that it does not know are for people.

    Args:
      data: The file's bytes.
      name: What error messages call it.

    Raises:
      ValueError: Not a JSON object, or a field of the wrong type or value.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: expected JSON, got {error}") from error
    if not isinstance(raw, dict):
        raise ValueError(f"{name}: expected a JSON object, got {type(raw).__name__}")
    readers: dict[str, Callable[[Any], Any]] = {
        "name": _text,
        "sha256": _text,
        "tokens": _text,
        "canonical": _flag,
        "length_cap": _count,
        "min_tokens": _count,
        "min_known_share": _number,
        "min_word_share": _number,
        "length_exponent": _number,
        "slope": _number,
        "intercept": _number,
        "threshold": _number,
        "thresholds": _rates,
        "thresholds_by_length": _rates_by_length,
        "labels": _names,
        "canaries": _scores_by_name,
        "profiles": read_profiles,
    }
    fields = {}
    for key, read in readers.items():
        if raw.get(key) is not None:
            try:
                fields[key] = read(raw[key])
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"{name}: {key}: {error}") from error
    try:
        return DetectorSettings(**fields)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check(holds: bool, field: str, expected: str, settings: DetectorSettings) -> None:
    if not holds:
        raise ValueError(f"{field} must be {expected}, got {getattr(settings, field)}")


def _typed(value: Any, kind: type | tuple[type, ...], expected: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {expected}, got {value!r:.60}")
    return value


def _text(value: Any) -> str:
    return _typed(value, str, "a string")


def _flag(value: Any) -> bool:
    return _typed(value, bool, "true or false")


def _count(value: Any) -> int:
    return _typed(value, int, "a whole number")


def _number(value: Any) -> float:
    return float(_typed(value, (int, float), "a number"))


def _rates(value: Any) -> dict[float, float]:
    items = _typed(value, dict, "an object of rate to threshold").items()
    return {float(rate): _number(threshold) for rate, threshold in items}


def _rates_by_length(value: Any) -> dict[float, dict[int, float]]:
    items = _typed(value, dict, "an object of rate to thresholds").items()
    return {float(rate): read_bands(bands) for rate, bands in items}


def _scores_by_name(value: Any) -> dict[str, float | None]:
    items = _typed(value, dict, "an object of text's name to score").items()
    scores = {name: None if score is None else _number(score) for name, score in items}
    if not all(score is None or 0 <= score <= 1 for score in scores.values()):
        raise ValueError(f"expected scores in [0, 1], got {scores!r:.60}")
    return scores


def _names(value: Any) -> dict[str, list[str]]:
    names = _typed(value, dict, "an object of two lists")
    if not set(names) <= {"synthetic", "human"}:
        raise ValueError(f"expected the keys synthetic and human, got {list(names)}")
    return {
        side: [_text(name) for name in _typed(listed, list, "a list of names")]
        for side, listed in names.items()
    }
