import numpy as np
import pytest

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions.origin import check_policy, judge

HUMAN, SYNTHETIC, UNKNOWN = Origin
KEPT, EMPTY = Reason.KEPT, Reason.UNUSABLE_EMPTY
NAN = float("nan")

#           declared,  score, unusable
CASES = [
    (HUMAN, 0.1, KEPT),
    (HUMAN, 0.5, KEPT),
    (HUMAN, NAN, EMPTY),
    (SYNTHETIC, 0.1, KEPT),
    (SYNTHETIC, 0.9, KEPT),
    (SYNTHETIC, 0.95, KEPT),
    (UNKNOWN, 0.4, KEPT),
    (UNKNOWN, 0.6, KEPT),
    (UNKNOWN, NAN, EMPTY),
]


def judged(
    flagged_human: str, max_ai_score: float | None = None
) -> tuple[list[int], list[int]]:
    declared, score, unusable = zip(*CASES, strict=True)
    origin, reason = judge(
        np.array(declared, np.uint8),
        np.array(score, np.float32),
        np.array(unusable, np.uint8),
        0.5,
        flagged_human,
        max_ai_score,
    )
    assert origin.dtype == reason.dtype == np.uint8
    return origin.tolist(), reason.tolist()


PLAIN = [HUMAN] * 3 + [SYNTHETIC] * 3 + [HUMAN, SYNTHETIC, HUMAN]
USABLE = [KEPT, KEPT, EMPTY, KEPT, KEPT, KEPT, KEPT, KEPT, EMPTY]


def test_human_documents_that_score_as_machine_text_can_stay_human() -> None:
    assert judged("keep") == (PLAIN, USABLE)


def test_they_can_be_counted_as_synthetic() -> None:
    assert judged("reclassify") == ([HUMAN, SYNTHETIC, *PLAIN[2:]], USABLE)


def test_they_can_be_dropped() -> None:
    dropped = [KEPT, Reason.HUMAN_SCORED_SYNTHETIC, *USABLE[2:]]
    assert judged("drop") == (PLAIN, dropped)


def test_declared_synthetic_documents_above_the_limit_are_dropped() -> None:
    dropped = [*USABLE[:5], Reason.SCORE_TOO_HIGH, *USABLE[6:]]
    assert judged("keep", 0.9) == (PLAIN, dropped)


def test_what_is_unusable_keeps_that_reason() -> None:
    found = judge(
        np.array([HUMAN, SYNTHETIC], np.uint8),
        np.array([0.9, 0.9], np.float32),
        np.array([Reason.DEAD_LETTER] * 2, np.uint8),
        0.5,
        "drop",
        0.1,
    )
    assert found[1].tolist() == [Reason.DEAD_LETTER] * 2


def test_judging_changes_nothing_that_it_was_given() -> None:
    unusable = np.array([KEPT], np.uint8)
    score = np.array([0.9], np.float32)
    judge(np.array([HUMAN], np.uint8), score, unusable, 0.5, "drop", None)
    assert unusable.tolist() == [KEPT]


def test_an_unknown_policy_is_an_error_that_names_the_known_ones() -> None:
    check_policy("drop")
    with pytest.raises(UserError, match="reclassify, drop, keep, got 'remove'"):
        check_policy("remove")
