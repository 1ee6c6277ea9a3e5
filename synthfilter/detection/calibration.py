"""From document logits to probabilities and thresholds."""

import numpy as np

from synthfilter.detection.evaluation import threshold_at_fpr

TARGET_FPRS = (0.05, 0.01, 0.001)
_STEPS = 100
_SMALL_SOURCE = 100


def fit_logistic(
    logit: np.ndarray, synthetic: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, float]:
    """Returns slope and intercept that turn logits to probabilities (Platt 1999).

    Both classes weigh the same whatever their sizes, so the probability is that of a
    document drawn from equally many human and machine-written ones.

    Args:
      logit: float64, from a model that did not see the documents.
      synthetic: bool, the class of each document.
      weight: How much each counts within its class; None: all the same.

    Raises:
      ValueError: A class is empty, a logit is not finite, or higher logits do not mean
        machine-written.
    """
    if not synthetic.any() or synthetic.all():
        raise ValueError("expected documents of both classes to calibrate on, got one")
    if not np.isfinite(logit).all():
        raise ValueError("expected finite logits to calibrate on, got NaN or infinity")
    weight = np.ones(len(logit)) if weight is None else weight
    machine, human = weight[synthetic].sum(), weight[~synthetic].sum()
    weight = weight * np.where(synthetic, 0.5 / machine, 0.5 / human)
    scale = float(logit.std()) or 1.0
    design = np.stack([logit / scale, np.ones(len(logit))])
    # So weak a prior that it only matters when the classes do not overlap.
    ridge = np.diag([1e-6, 0.0])
    line = np.zeros(2)
    for _ in range(_STEPS):
        share = 1 / (1 + np.exp(-line @ design))
        gradient = design @ (weight * (share - synthetic)) + ridge @ line
        curvature = (design * (weight * share * (1 - share))) @ design.T + ridge
        step = np.linalg.solve(curvature, gradient)
        line -= np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-12:
            break
    if line[0] <= 0:
        raise ValueError("expected higher logits in machine-written text, got lower")
    return float(line[0] / scale), float(line[1])


def measured_thresholds(
    scores: np.ndarray,
    synthetic: np.ndarray,
    sources: np.ndarray,
    fprs: tuple[float, ...] = TARGET_FPRS,
) -> dict[float, float]:
    """Returns the score threshold for each false-positive rate.

    The rate is the mean over sources, not over documents: what is to be expected of
    text from one source more, however many documents the known ones gave.

    Args:
      scores: NaN where a document has none.
      synthetic: bool, the class of each document.
      sources: Where each is from.
      fprs: The rates.
    """
    human = ~synthetic & ~np.isnan(scores)
    weights = source_weights(sources[human])
    return {fpr: threshold_at_fpr(scores[human], fpr, weights) for fpr in fprs}


def source_weights(sources: np.ndarray) -> np.ndarray:
    """Returns weights that make sources count the same, however large.

    Those of fewer than 100 documents count as one source together.
    """
    _, number, size = np.unique(
        sources.astype(str), return_inverse=True, return_counts=True
    )
    small = size[number] < _SMALL_SOURCE
    return np.where(small, 1 / max(small.sum(), 1), 1 / size[number])
