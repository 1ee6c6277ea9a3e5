"""Who wrote a document, and the first reasons for leaving one out."""

import numpy as np

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason

FLAGGED_HUMAN_POLICIES = ("reclassify", "drop", "keep")
LANGUAGE_POLICIES = ("declared", "drop")


def check_policy(flagged_human: str) -> None:
    """Raises UserError unless the policy is known."""
    _check_choice("flagged_human", flagged_human, FLAGGED_HUMAN_POLICIES)


def check_language_policy(language_policy: str) -> None:
    """Raises UserError unless the policy is known."""
    _check_choice("language_policy", language_policy, LANGUAGE_POLICIES)


def judge(
    declared: np.ndarray,
    score: np.ndarray,
    unusable: np.ndarray,
    threshold: np.ndarray,
    flagged_human: str,
    max_ai_score: float | None,
    language_policy: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the origin and the reason so far (KEPT: still in) of each document.

    Args:
      declared: `Origin` codes as the user declared them.
      score: float32 in [0, 1], the higher the more like machine text; NaN = the
        detector cannot tell.
      unusable: `Reason` codes found while reading; KEPT where there is none.
      threshold: float32; from this score on each document counts as machine text.
      flagged_human: What to do with declared human documents that do: `reclassify`
        as synthetic, `drop`, or `keep` as human.
      max_ai_score: Declared synthetic documents above it are dropped; None = none are.
      language_policy: What to do with declared documents without a score: `declared`
        leaves them as they are, `drop` drops them. Without a score and a declared
        origin a document is neither and is always dropped. Nobody scores a reference
        set.
    """
    flagged = score >= threshold
    origin = np.where(
        declared == Origin.UNKNOWN,
        np.where(flagged, Origin.SYNTHETIC, Origin.HUMAN),
        np.where(declared == Origin.CORE, Origin.HUMAN, declared),
    )
    suspects = flagged & (declared == Origin.HUMAN)
    reason = unusable.copy()
    unscorable = np.isnan(score)
    if language_policy == "declared":
        unscorable &= declared == Origin.UNKNOWN
    unscorable &= ~np.isin(declared, (Origin.REFERENCE, Origin.CORE))
    reason[unscorable & (reason == Reason.KEPT)] = Reason.UNSCORABLE
    if flagged_human == "reclassify":
        origin = np.where(suspects, Origin.SYNTHETIC, origin)
    elif flagged_human == "drop":
        reason[suspects & (reason == Reason.KEPT)] = Reason.HUMAN_SCORED_SYNTHETIC
    if max_ai_score is not None:
        high = (declared == Origin.SYNTHETIC) & (score > max_ai_score)
        reason[high & (reason == Reason.KEPT)] = Reason.SCORE_TOO_HIGH
    return origin.astype(np.uint8), reason


def _check_choice(option: str, chosen: str, known: tuple[str, ...]) -> None:
    if chosen not in known:
        raise UserError(f"{option} must be one of {', '.join(known)}, got {chosen!r}")
