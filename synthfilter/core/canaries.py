"""When the score of a fixed text counts as moved."""

TOLERANCE = 1e-4
"""Scores of one model differ in the last digits between machines, no more."""


def differs(score: float | None, expected: float | None) -> bool:
    """Returns whether a score is another one than expected; None is no score."""
    if score is None or expected is None:
        return score is not expected
    return abs(score - expected) > TOLERANCE
