"""Fixed texts that every build scores, so that a detector that changed is seen.

The same detector gives the same text the same score, for ever. Where it does not, the
model file, its settings, the code around it or the machine is no longer what it was,
and scores of two builds cannot be compared. A canary's text is never changed: a new
text gets a new name.
"""

import math
from typing import Any

import pyarrow as pa

from synthfilter.core.text import normalise
from synthfilter.detection.canary_texts import CANARIES
from synthfilter.detection.detector import Detector


def canary_scores(detector: Detector) -> list[dict[str, Any]]:
    """Returns the name and the score of each canary; None where it has no score."""
    texts = pa.array([*CANARIES.values()], pa.string())
    scores = detector.score(normalise(texts))
    return [
        {"name": name, "score": None if math.isnan(score) else round(float(score), 6)}
        for name, score in zip(CANARIES, scores, strict=True)
    ]
