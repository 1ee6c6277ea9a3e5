"""Which threshold and profiles to use: given, the detector's, or a calibration's."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.profiles import (
    HUMAN,
    SYNTHETIC,
    Profiles,
    join_profiles,
    read_profiles,
)
from synthfilter.detection.detector import Detector, threshold_at
from synthfilter.detection.lengths import Threshold, read_bands

FORMAT = "synthfilter calibration"
FORMAT_VERSION = 2
AS_GIVEN = "as given"

# Just above 1, where human documents score 1.
_ABOVE_ALL = 1.001


def identify(detector: Detector) -> dict[str, str]:
    """Returns what tells the scores of one detector from another's, for files."""
    return {
        "name": detector.name,
        "sha256": detector.sha256,
        "scores_key": detector.scores_key,
    }


def check_threshold_options(
    threshold: float | None, target_fpr: float | None, calibration: str | None
) -> None:
    """Checks the three options against each other; reads nothing.

    Raises:
      UserError: A value is out of range, or two options contradict each other.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise UserError(f"threshold must be between 0 and 1, got {threshold}")
    if target_fpr is not None and not 0 < target_fpr < 1:
        raise UserError(f"target_fpr must be above 0 and below 1, got {target_fpr}")
    if threshold is not None and target_fpr is not None:
        raise UserError("threshold and target_fpr both set the threshold; give one")
    if calibration is not None and target_fpr is None:
        raise UserError(
            "calibration needs target_fpr, the false-positive rate to look up in it"
        )


def choose_threshold(
    detector: Detector,
    threshold: float | None,
    target_fpr: float | None,
    calibration: str | None,
) -> Threshold:
    """Returns the threshold that the options ask for.

    Args:
      detector: The detector in use.
      threshold: Taken as it is.
      target_fpr: The false-positive rate to look up.
      calibration: File to look it up in; None for the detector's own table.

    Raises:
      UserError: As `check_threshold_options`; or the calibration cannot be read, is
        another detector's, or no threshold was measured at the rate.
    """
    check_threshold_options(threshold, target_fpr, calibration)
    if threshold is not None:
        return Threshold.constant(float(threshold), AS_GIVEN)
    if target_fpr is None:
        return detector.threshold
    try:
        if calibration is None:
            return detector.threshold_at(target_fpr)
        data = storage.read_bytes(calibration)
        table = read_thresholds(data, calibration, detector)
        return threshold_at(table, target_fpr, calibration)
    except ValueError as error:
        raise UserError(str(error)) from error


def choose_profiles(detector: Detector, calibration: str | None) -> Profiles | None:
    """Returns what scores look like on text of known origin; None: nobody knows.

    A calibration on human and machine-written text says it all. One on human text only
    replaces the detector's human sources, and its machine-written ones stay.

    Args:
      detector: The detector in use.
      calibration: File of `synthfilter calibrate`; None for the detector's own.

    Raises:
      UserError: The calibration cannot be read, or is another detector's.
    """
    if calibration is None:
        return detector.profiles
    found = _read_calibration(storage.read_bytes(calibration), calibration, detector)
    if found.get("profiles") is None:
        return detector.profiles
    try:
        measured = read_profiles(found["profiles"], own=True)
    except (TypeError, ValueError) as error:
        raise UserError(f"{calibration}: profiles: {error}") from error
    if measured.of(SYNTHETIC).sources:
        return measured
    if detector.profiles is None:
        return None
    return join_profiles([measured.of(HUMAN), detector.profiles.of(SYNTHETIC)])


def read_thresholds(
    data: bytes, name: str, detector: Detector
) -> dict[float, Threshold]:
    """Returns the thresholds by false-positive rate of a calibration file.

    Args:
      data: The file's bytes.
      name: What error messages call it.
      detector: Whose scores it must be about.

    Raises:
      UserError: It is no calibration, or that of another detector.
    """
    found = _read_calibration(data, name, detector)
    digest = hashlib.sha256(data).hexdigest()[:16]
    source = f"{name.rsplit('/', 1)[-1]} (sha256 {digest})"
    return _thresholds(found.get("thresholds"), name, source)


def _read_calibration(data: bytes, name: str, detector: Detector) -> Mapping[str, Any]:
    """Returns the content of a calibration file; see `read_thresholds`."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name}: expected a calibration, got {error}") from error
    kind = (found.get("format"), found.get("version")) if _is_map(found) else None
    if kind != (FORMAT, FORMAT_VERSION):
        raise UserError(
            f"{name}: expected a file that synthfilter calibrate of this version "
            f"wrote, got {str(kind)[:80] if kind else type(found).__name__}"
        )
    about = found.get("detector")
    key = about.get("scores_key") if _is_map(about) else None
    if key != detector.scores_key:
        other = about.get("name") if _is_map(about) else None
        raise UserError(
            f"{name} calibrates other scores (of {str(other)[:80]!r}) than those of "
            f"{detector.name!r}; calibrate again with this detector"
        )
    return found


def _thresholds(table: Any, name: str, source: str) -> dict[float, Threshold]:
    try:
        pairs = {
            float(fpr): Threshold.by_length(
                float(row["threshold"]),
                read_bands(row["by_length"]),
                f"{source} at FPR {float(fpr):g}",
            )
            for fpr, row in table.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{name}: thresholds cannot be read: {error!r}") from error
    values = [value for found in pairs.values() for value in found.values]
    if not all(0 <= value <= _ABOVE_ALL for value in values):
        raise UserError(f"{name}: expected thresholds between 0 and 1, got {values}")
    return pairs


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)
