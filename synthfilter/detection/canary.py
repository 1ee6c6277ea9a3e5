"""Fixed texts that every build scores, so that a detector that changed is seen.

The same detector gives the same text the same score, for ever. Where it does not, the
model file, its settings, the code around it or the machine is no longer what it was,
and scores of two builds cannot be compared. A canary's text is never changed: a new
text gets a new name.
"""

import math
from typing import Any

import numpy as np
import pyarrow as pa

from synthfilter.core.canaries import differs
from synthfilter.core.text import normalise
from synthfilter.detection.canary_texts import CANARIES
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.detector import Detector
from synthfilter.detection.linear import LinearModel
from synthfilter.detection.settings import DetectorSettings


def canary_scores(detector: Detector) -> list[dict[str, Any]]:
    """Returns the name and the score of each canary; None where it has no score.

    And what it must score, None where nobody has said, and whether it moved from that.
    """
    scores = _round(detector.score(_column()))
    pinned = detector.canaries
    return [
        {
            "name": name,
            "score": score,
            "expected": pinned.get(name),
            "moved": name in pinned and differs(score, pinned[name]),
        }
        for name, score in scores.items()
    ]


def pin_canaries(
    model: LinearModel, settings: DetectorSettings
) -> dict[str, float | None]:
    """Returns what the canaries score, to be pinned in the JSON beside a model.

    Args:
      model: That was trained.
      settings: That its JSON will say; text is made canonical.
    """
    return _round(settings.calibrate(model.evidence(canonicalise(_column()))))


def _column() -> pa.Array:
    return normalise(pa.array([*CANARIES.values()], pa.string()))


def _round(scores: np.ndarray) -> dict[str, float | None]:
    return {
        name: None if math.isnan(score) else round(float(score), 6)
        for name, score in zip(CANARIES, scores, strict=True)
    }
