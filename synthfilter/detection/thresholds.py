"""Which threshold to use: given, the detector's own, or measured by a calibration."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.detection.detector import Detector, threshold_at

FORMAT = "synthfilter calibration"
FORMAT_VERSION = 1


class Threshold(NamedTuple):
    """A score from which on documents count as machine text, and who says so."""

    value: float
    source: str


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
        return Threshold(threshold, "as given")
    if target_fpr is None:
        return Threshold(detector.threshold, "the detector's default")
    try:
        if calibration is None:
            found = detector.threshold_at(target_fpr)
            return Threshold(found, f"the detector's at FPR {target_fpr:g}")
        data = storage.read_bytes(calibration)
        table = read_thresholds(data, calibration, detector)
        found = threshold_at(table, target_fpr, calibration)
    except ValueError as error:
        raise UserError(str(error)) from error
    digest = hashlib.sha256(data).hexdigest()[:16]
    name = calibration.rsplit("/", 1)[-1]
    return Threshold(found, f"{name} (sha256 {digest}) at FPR {target_fpr:g}")


def read_thresholds(data: bytes, name: str, detector: Detector) -> dict[float, float]:
    """Returns the thresholds by false-positive rate of a calibration file.

    Args:
      data: The file's bytes.
      name: What error messages call it.
      detector: Whose scores it must be about.

    Raises:
      UserError: It is no calibration, or that of another detector.
    """
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
    return _thresholds(found.get("thresholds"), name)


def _thresholds(table: Any, name: str) -> dict[float, float]:
    try:
        pairs = {
            float(fpr): float(row["threshold"])
            for fpr, row in table.items()
            if row is not None
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{name}: thresholds cannot be read: {error!r}") from error
    if not all(0 <= x <= 1.001 for pair in pairs.items() for x in pair):
        raise UserError(f"{name}: expected thresholds between 0 and 1, got {pairs}")
    return pairs


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)
