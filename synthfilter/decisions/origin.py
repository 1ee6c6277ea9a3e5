"""Who wrote a document, and the first reasons for leaving one out."""

import numpy as np

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason

FLAGGED_HUMAN_POLICIES = ("reclassify", "drop", "keep")


def check_policy(flagged_human: str) -> None:
    """Raises UserError unless the policy is known."""
    if flagged_human not in FLAGGED_HUMAN_POLICIES:
        raise UserError(
            f"flagged_human must be one of {', '.join(FLAGGED_HUMAN_POLICIES)}, "
            f"got {flagged_human!r}"
        )


def judge(
    declared: np.ndarray,
    score: np.ndarray,
    unusable: np.ndarray,
    threshold: float,
    flagged_human: str,
    max_ai_score: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the origin and the reason so far (KEPT: still in) of each document.

    Args:
      declared: `Origin` codes as the user declared them.
      score: float32 in [0, 1], the higher the more like machine text; NaN = the
        detector cannot tell.
      unusable: `Reason` codes found while reading; KEPT where there is none.
      threshold: From this score on a document counts as machine text.
      flagged_human: What to do with declared human documents that do: `reclassify`
        as synthetic, `drop`, or `keep` as human.
      max_ai_score: Declared synthetic documents above it are dropped; None = none are.
    """
    flagged = score >= threshold
    origin = np.where(
        declared == Origin.UNKNOWN,
        np.where(flagged, Origin.SYNTHETIC, Origin.HUMAN),
        declared,
    )
    suspects = flagged & (declared == Origin.HUMAN)
    reason = unusable.copy()
    unscorable = np.isnan(score) & (declared == Origin.UNKNOWN)
    reason[unscorable & (reason == Reason.KEPT)] = Reason.UNSCORABLE
    if flagged_human == "reclassify":
        origin = np.where(suspects, Origin.SYNTHETIC, origin)
    elif flagged_human == "drop":
        reason[suspects & (reason == Reason.KEPT)] = Reason.HUMAN_SCORED_SYNTHETIC
    if max_ai_score is not None:
        high = (declared == Origin.SYNTHETIC) & (score > max_ai_score)
        reason[high & (reason == Reason.KEPT)] = Reason.SCORE_TOO_HIGH
    return origin.astype(np.uint8), reason
