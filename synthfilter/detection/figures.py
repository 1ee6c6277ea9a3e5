"""Rates with their uncertainty: by threshold and by group."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthfilter.core.intervals import effective_size, wilson_interval
from synthfilter.detection.calibration import TARGET_FPRS
from synthfilter.detection.evaluation import auroc, threshold_at_fpr
from synthfilter.detection.lengths import BAND_STARTS, length_bands


def rate_at_least(
    scores: np.ndarray,
    threshold: float | np.ndarray,
    weight: np.ndarray | None = None,
) -> dict[str, Any] | None:
    """Returns which share of scores reach a threshold, as JSON; None of no scores.

    Args:
      scores: None NaN.
      threshold: One for all, or one for each.
      weight: How many documents each score stands for; None: all the same.
    """
    if not len(scores):
        return None
    reached = scores >= threshold
    hits, size = float(reached.sum()), float(len(scores))
    if weight is not None:
        size = effective_size(weight)
        hits = float(np.average(reached, weights=weight)) * size
    low, high = wilson_interval(hits, size)
    return {"rate": hits / size, "low": low, "high": high, "of": len(scores)}


def rate_name(fpr: float) -> str:
    """Returns a false-positive rate as the key that files have for it, as 0.01."""
    return str(float(fpr))


def find_thresholds(
    human: np.ndarray,
    needed: float = 1.0,
    fprs: Sequence[float] = TARGET_FPRS,
    weight: np.ndarray | None = None,
) -> dict[float, float]:
    """Returns the threshold for each false-positive rate that can be measured.

    Args:
      human: Scores of human documents, none NaN.
      needed: How many of them must be allowed to score above, at least.
      fprs: The rates.
      weight: How many documents each score stands for; None: all the same.
    """
    return {
        fpr: threshold_at_fpr(human, fpr, weight)
        for fpr in fprs
        if _is_enough(human, weight, fpr, needed)
    }


def thresholds_by_length(
    human: np.ndarray,
    words: np.ndarray,
    fpr: float,
    needed: float = 1.0,
    weight: np.ndarray | None = None,
) -> dict[int, float]:
    """Returns thresholds by the first number of words that they hold for.

    Neighbouring bands of `lengths.BANDS` are one until there are enough documents, so
    that every document is in a band of which the rate was measured, and all together
    keep it.

    Args:
      human: Scores of human documents, none NaN.
      words: Their lengths.
      fpr: The false-positive rate of each band.
      needed: How many documents of a band must be allowed to score above, at least.
      weight: How many documents each score stands for; None: all the same.

    Returns:
      The first key is 0; nothing where all together are not enough.
    """
    band = length_bands(words)

    def of(numbers: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
        rows = np.isin(band, numbers)
        return human[rows], None if weight is None else weight[rows]

    joined: list[list[int]] = []
    waiting: list[int] = []
    for number in range(len(BAND_STARTS)):
        waiting.append(number)
        if _is_enough(*of(waiting), fpr, needed):
            joined.append(waiting)
            waiting = []
    if joined:
        joined[-1] += waiting
    found = {}
    for numbers in joined:
        scores, weights = of(numbers)
        found[BAND_STARTS[numbers[0]]] = threshold_at_fpr(scores, fpr, weights)
    return found


def _is_enough(
    human: np.ndarray, weight: np.ndarray | None, fpr: float, needed: float
) -> bool:
    """Returns whether human scores say as much as a rate needs."""
    return count_effective(human, weight) >= documents_needed(fpr, needed)


def count_effective(scores: np.ndarray, weight: np.ndarray | None) -> int:
    """Returns as how many unweighted scores these say as much."""
    if weight is None:
        return len(scores)
    return int(effective_size(weight) + 1e-6)


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


def name_profiles(
    sources: np.ndarray,
    domains: np.ndarray,
    kinds: np.ndarray,
    synthetic: np.ndarray,
    most: int = 100,
) -> np.ndarray:
    """Returns the name under which each document is counted in `core.profiles`.

    That of its source and domain, and of the kind or generator of machine text: scores
    differ by these as much as by the source.

    Args:
      sources: Object, None where there is none; as the next two.
      domains: See there.
      kinds: See there.
      synthetic: bool, who wrote each.
      most: Of more names than these of one class the smaller ones are one.
    """
    rows = zip(sources, domains, kinds, synthetic.tolist(), strict=True)
    parts = [row[: 3 if row[3] else 2] for row in rows]
    said = [" / ".join(str(name) for name in row if name) for row in parts]
    named = np.array([name or "(no source)" for name in said], object)
    for kind in (False, True):
        mine = np.flatnonzero(synthetic == kind)
        for name, rows_of in group_rows(named[mine], most).items():
            named[mine[rows_of]] = name
    return named


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
