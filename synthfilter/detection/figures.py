"""Rates with their uncertainty: by threshold, by length, by group."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from synthfilter.detection.calibration import TARGET_FPRS
from synthfilter.detection.evaluation import auroc, threshold_at_fpr

BAND_STARTS = (0, 50, 100, 200, 400)
BANDS = ("under 50", "50 to 99", "100 to 199", "200 to 399", "400 and more")
"""Lengths in words; `BAND_STARTS` has the first of each."""

_Z = 1.959963984540054
"""Of a two-sided 95% interval."""


def length_bands(words: np.ndarray) -> np.ndarray:
    """Returns the index in `BANDS` of each length."""
    return np.searchsorted(BAND_STARTS, words, side="right") - 1


def wilson_interval(hits: int, of: int) -> tuple[float, float]:
    """Returns the 95% interval of a rate (Wilson 1927); (0, 1) where `of` is 0."""
    if not of:
        return 0.0, 1.0
    share, slack = hits / of, _Z * _Z / of
    middle = (share + slack / 2) / (1 + slack)
    half = math.sqrt(share * (1 - share) * slack + slack * slack / 4) / (1 + slack)
    # Rounding must not push the bounds of 0 and 1 hits past the rate itself.
    return min(max(0.0, middle - half), share), max(min(1.0, middle + half), share)


def rate_at_least(scores: np.ndarray, threshold: float) -> dict[str, Any] | None:
    """Returns which share of scores reach a threshold, as JSON; None of no scores."""
    if not len(scores):
        return None
    hits = int((scores >= threshold).sum())
    low, high = wilson_interval(hits, len(scores))
    return {"rate": hits / len(scores), "low": low, "high": high, "of": len(scores)}


def rate_name(fpr: float) -> str:
    """Returns a false-positive rate as the key that files have for it, as 0.01."""
    return f"{fpr:g}"


def find_thresholds(human: np.ndarray, needed: float = 1.0) -> dict[float, float]:
    """Returns the threshold for each of `TARGET_FPRS` that can be measured.

    Args:
      human: Scores of human documents, none NaN.
      needed: How many of them must be allowed to score above, at least.
    """
    return {
        fpr: threshold_at_fpr(human, fpr)
        for fpr in TARGET_FPRS
        if len(human) >= documents_needed(fpr, needed)
    }


def documents_needed(fpr: float, needed: float = 1.0) -> int:
    """Returns how many human documents a false-positive rate needs."""
    return int(np.ceil(needed / fpr - 1e-9))


def group_rows(values: np.ndarray, most: int = 100) -> dict[str, np.ndarray]:
    """Returns the rows of each group, by name; those without one are in none.

    Args:
      values: The name of each row's group, or None; object.
      most: Of more groups than these the smaller ones are one, `(N others)`.
    """
    named = np.flatnonzero([value is not None for value in values])
    names, group, size = np.unique(
        values[named], return_inverse=True, return_counts=True
    )
    large = np.sort(np.argsort(-size, kind="stable")[:most])
    order = np.argsort(group, kind="stable")
    parts = np.split(named[order], np.cumsum(size)[:-1]) if len(names) else []
    found = {str(names[i]): parts[i] for i in large.tolist()}
    small = ~np.isin(group, large)
    if small.any():
        found[f"({len(names) - len(large):,} others)"] = named[small]
    return found


def measure_group(
    human: np.ndarray, synthetic: np.ndarray, thresholds: Mapping[float, float]
) -> dict[str, Any]:
    """Returns the figures of one group of documents, as JSON; None where unknown.

    Args:
      human: Scores of the human documents, none NaN; may be empty.
      synthetic: Scores of the machine-written ones; may be empty.
      thresholds: By false-positive rate; the same for all groups.

    Returns:
      The numbers of documents, AUROC, the rates at those thresholds, and the share
      detected at thresholds of the group's own.
    """
    area = auroc(human, synthetic)
    return {
        "human": len(human),
        "synthetic": len(synthetic),
        "auroc": None if np.isnan(area) else area,
        "at": {
            rate_name(fpr): {
                "fpr": rate_at_least(human, threshold),
                "tpr": rate_at_least(synthetic, threshold),
            }
            for fpr, threshold in thresholds.items()
        },
        "at_own": {
            rate_name(fpr): {
                "threshold": threshold,
                "tpr": rate_at_least(synthetic, threshold),
            }
            for fpr, threshold in find_thresholds(human).items()
            if len(synthetic)
        },
    }


def roc_points(
    human: np.ndarray, synthetic: np.ndarray, most: int = 400
) -> tuple[np.ndarray, np.ndarray]:
    """Returns false- and true-positive rates from (0, 0) to (1, 1).

    Args:
      human: Scores, at least one.
      synthetic: Scores, at least one.
      most: About how many points; the first ones, where rates are low, all stay.
    """
    cuts = np.unique(np.concatenate([human, synthetic]))[::-1]
    false = 1 - np.searchsorted(np.sort(human), cuts, "left") / len(human)
    true = 1 - np.searchsorted(np.sort(synthetic), cuts, "left") / len(synthetic)
    if len(cuts) > most:
        last = len(cuts) - 1
        chosen = [np.linspace(0, last, most // 2), np.geomspace(1, last, most // 2)]
        kept = np.unique(np.concatenate(chosen).astype(int))
        false, true = false[kept], true[kept]
    return np.append(0.0, false), np.append(0.0, true)
