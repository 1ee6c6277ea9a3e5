"""Loads a detector by path or class and turns text into scores.

A detector is a fastText model file with, beside it under the same name, an optional
.json that says how to use it; or a class `package.module:Class`.
"""

import dataclasses
import functools
import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.profiles import Profiles
from synthfilter.core.text import normalise
from synthfilter.detection.canary_texts import CANARIES
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.fasttext_model import synthetic_labels
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.library import LibraryModel
from synthfilter.detection.library_trial import trial_lines, try_model
from synthfilter.detection.linear import Evidence, LinearModel
from synthfilter.detection.settings import (
    DEFAULT_FPR,
    DetectorSettings,
    measured_source,
    read_settings,
)

PIN = "#sha256="
"""What stands between a model's path and the checksum that it must have."""

_PACKAGE = Path(__file__).resolve().parent.parent
DEFAULT_FOLDERS = (_PACKAGE / "models", _PACKAGE.parent / "models")
DEFAULT_NAME = "detector.bin"
DEFAULT_SOURCE = "the detector's default"


class Detector(Protocol):
    """What every detector offers.

    Attributes:
      name: For people; in reports and manifests.
      sha256: Of the model file, or of the class's name and version.
      scores_key: Another value means other scores; facts are cached under it.
      threshold: From which score on a document counts as machine text, by default.
      labels: The labels that the model knows.
      profiles: What its scores look like on text of known origin; None: unknown.
      canaries: What fixed texts must score; empty: nobody has said.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102

    @property
    def scores_key(self) -> str: ...  # noqa: D102

    @property
    def threshold(self) -> Threshold: ...  # noqa: D102

    @property
    def labels(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def profiles(self) -> Profiles | None: ...  # noqa: D102

    @property
    def canaries(self) -> Mapping[str, float | None]: ...  # noqa: D102

    def threshold_at(self, fpr: float) -> Threshold:
        """Returns the threshold whose measured false-positive rate is `fpr`."""
        ...

    def score(self, normalised: pa.Array) -> np.ndarray:
        """Returns float32 scores in [0, 1], NaN for text that cannot be scored."""
        ...


class _Model(Protocol):
    def evidence(self, column: pa.Array) -> Evidence: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastTextDetector:
    """A fastText model with its calibration; see `Detector` for the attributes."""

    name: str
    sha256: str
    labels: tuple[str, ...]
    settings: DetectorSettings
    model: _Model

    @property
    def threshold(self) -> Threshold:
        """From which score on a document counts as machine text, by default."""
        own = Threshold.constant(self.settings.default_threshold, DEFAULT_SOURCE)
        if self.settings.threshold is not None:
            return own
        measured = self.settings.measured_thresholds.get(DEFAULT_FPR, own)
        return dataclasses.replace(measured, source=DEFAULT_SOURCE)

    @property
    def scores_key(self) -> str:
        """Changes with the model and with all in its JSON that changes a score."""
        said = f"{self.sha256} {self.settings!r}"
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def profiles(self) -> Profiles | None:
        """What the scores look like on text of known origin, by the JSON."""
        return self.settings.profiles

    @property
    def canaries(self) -> Mapping[str, float | None]:
        """What fixed texts must score, by the JSON."""
        return self.settings.canaries

    def threshold_at(self, fpr: float) -> Threshold:
        """Returns the threshold whose measured false-positive rate is `fpr`.

        Raises:
          ValueError: None was measured at that rate.
        """
        return threshold_at(self.settings.measured_thresholds, fpr, self.name)

    def score(self, normalised: pa.Array) -> np.ndarray:
        """Returns the probability that each text is machine-written.

        Under equally many human and machine-written documents. NaN where there is too
        little to go by (`DetectorSettings.is_scorable`), as in empty text.

        Args:
          normalised: A string column as `core.text.normalise` returns it.
        """
        text = canonicalise(normalised) if self.settings.canonical else normalised
        evidence = self.model.evidence(text)
        return self.settings.calibrate(evidence)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassDetector:
    """A user's class, with what it leaves out filled in and its scores checked."""

    name: str
    sha256: str
    threshold: Threshold
    labels: tuple[str, ...]
    instance: Any

    @property
    def scores_key(self) -> str:
        """Changes with the class's name and version."""
        return self.sha256

    @property
    def profiles(self) -> Profiles | None:
        """A class has none; `synthfilter calibrate` measures them."""
        return None

    @property
    def canaries(self) -> Mapping[str, float | None]:
        """A class says nothing; builds are compared with the one before."""
        return {}

    def threshold_at(self, fpr: float) -> Threshold:
        """Returns the threshold at that rate, if the class has a method for it.

        Raises:
          ValueError: The class knows none.
        """
        own = getattr(self.instance, "threshold_at", None)
        if own is None:
            return threshold_at({}, fpr, self.name)
        return Threshold.constant(float(own(fpr)), measured_source(fpr))

    def score(self, normalised: pa.Array) -> np.ndarray:
        """Returns the class's scores.

        Raises:
          ValueError: They are not one number in [0, 1] or NaN for each text.
        """
        scores = np.asarray(self.instance.score(normalised), np.float32)
        known = scores[~np.isnan(scores)]
        if scores.shape != (len(normalised),) or ((known < 0) | (known > 1)).any():
            raise ValueError(
                f"{self.name}: expected {len(normalised)} scores in [0, 1] or NaN, got "
                f"shape {scores.shape} from {known.min(initial=0)} to "
                f"{known.max(initial=0)}"
            )
        return scores


def load_detector(path: str | None = None) -> Detector:
    """Returns the detector that `path` names.

    Args:
      path: None for the shipped model; a fastText .bin or .ftz on any filesystem, with
        `#sha256=` and its checksum behind it if it must be that very file; or
        `package.module:Class`, called without arguments, whose `score(column)` returns
        a number in [0, 1] or NaN for each text and which may have `name`, `version`,
        `threshold`, `threshold_at` and `labels`.

    Raises:
      UserError: The file, its JSON or the class is not what it must be.
    """
    try:
        if path is None:
            return _load_model(default_model_path())
        if _names_class(path):
            return _load_class(path)
        place, pinned, digest = path.partition(PIN)
        return _load_model(place, digest.lower() if pinned else None)
    except ValueError as error:
        raise UserError(str(error)) from error


def default_model_path() -> str:
    """Returns where the shipped model lies: in the package or in the repository.

    Raises:
      ValueError: It is in neither place.
    """
    for folder in DEFAULT_FOLDERS:
        if (folder / DEFAULT_NAME).is_file():
            return str(folder / DEFAULT_NAME)
    raise ValueError(
        f"expected the shipped detector {DEFAULT_NAME} in "
        f"{' or '.join(map(str, DEFAULT_FOLDERS))}, found none; install the package "
        "anew or name a detector"
    )


def threshold_at(
    thresholds: Mapping[float, Threshold], fpr: float, name: str
) -> Threshold:
    """Returns the threshold measured at a false-positive rate.

    Raises:
      ValueError: There is none at that rate.
    """
    for rate, threshold in thresholds.items():
        if np.isclose(rate, fpr, rtol=1e-9, atol=0):
            return threshold
    known = ", ".join(f"{rate:g}" for rate in sorted(thresholds)) or "none"
    raise ValueError(
        f"{name} has thresholds measured at false-positive rates {known}, not at "
        f"{fpr:g}; give a threshold, or calibrate it on human text of your own"
    )


def _load_model(path: str, pinned: str | None = None) -> FastTextDetector:
    """Loads a model file and the JSON beside it."""
    data = storage.read_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    if pinned not in (None, digest):
        raise ValueError(
            f"{path}: expected sha256 {pinned!r:.80}, got {digest}; fetch the model "
            "again, or name the new checksum if the change was meant"
        )
    stem = path.rsplit(".", 1)[0] if path.endswith((".bin", ".ftz")) else path
    beside = f"{stem}.json"
    settings = DetectorSettings()
    if storage.exists(beside):
        settings = read_settings(storage.read_bytes(beside), beside)
    if settings.sha256 not in (None, digest):
        raise ValueError(
            f"{path}: expected sha256 {settings.sha256} by {beside}, got {digest}; "
            "fetch the model again, or correct the JSON if the change was meant"
        )
    parsed = parse(data, path)
    is_synthetic = synthetic_labels(parsed.labels, settings.labels)
    model: _Model
    if parsed.is_linear:
        model = _linear_model(data, path, is_synthetic.index(True), settings.tokens)
    else:
        pairs = zip(parsed.labels, is_synthetic, strict=True)
        names = tuple(label for label, yes in pairs if yes)
        lines = trial_lines(parsed, [*CANARIES.values()])
        trial = try_model(data, path, names, lines)
        model = LibraryModel(data, names, settings.tokens, trial, path)
    return FastTextDetector(
        name=settings.name or path.rsplit("/", 1)[-1],
        sha256=digest,
        labels=parsed.labels,
        settings=settings,
        model=model,
    )


# A process needs the same model in several places; its tables exist once.
@functools.lru_cache(maxsize=2)
def _linear_model(data: bytes, path: str, synthetic: int, tokens: str) -> LinearModel:
    return LinearModel(parse(data, path), synthetic, tokens)


def _names_class(path: str) -> bool:
    """Returns whether the text has the form `package.module:Class`."""
    module, colon, name = path.partition(":")
    parts = [*module.split("."), *name.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def _load_class(path: str) -> ClassDetector:
    """Imports and calls the class, and tries it on two texts."""
    module_name, _, class_name = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in class_name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"expected a detector class at {path}, got {error}; check the spelling and "
            "that the module is installed on every worker"
        ) from error
    instance = found()
    if not callable(getattr(instance, "score", None)):
        raise ValueError(f"{path}: expected a method score(column), found none")
    version = str(getattr(instance, "version", ""))
    detector = ClassDetector(
        name=str(getattr(instance, "name", path)),
        sha256=hashlib.sha256(json.dumps([path, version]).encode()).hexdigest(),
        threshold=Threshold.constant(
            float(getattr(instance, "threshold", 0.5)), DEFAULT_SOURCE
        ),
        labels=tuple(getattr(instance, "labels", ("human", "synthetic"))),
        instance=instance,
    )
    detector.score(normalise(pa.array(["One text.", "And another one."])))
    return detector
