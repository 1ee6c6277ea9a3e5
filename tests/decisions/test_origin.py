import numpy as np
import pytest

from synthfilter.core.errors import UserError
from synthfilter.core.schema import WRITTEN, Origin, Reason
from synthfilter.decisions.origin import (
    check_language_policy,
    check_policy,
    judge,
)

HUMAN, SYNTHETIC, UNKNOWN, *_ = Origin
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
HALF = np.float32(0.5)


def judged(
    flagged_human: str, max_ai_score: float | None = None
) -> tuple[list[int], list[int]]:
    declared, score, unusable = zip(*CASES, strict=True)
    origin, reason = judge(
        np.array(declared, np.uint8),
        np.array(score, np.float32),
        np.array(unusable, np.uint8),
        np.full(len(CASES), HALF),
        flagged_human,
        max_ai_score,
        "declared",
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
        np.array([HALF, HALF]),
        "drop",
        0.1,
        "drop",
    )
    assert found[1].tolist() == [Reason.DEAD_LETTER] * 2


def test_judging_changes_nothing_that_it_was_given() -> None:
    unusable = np.array([KEPT], np.uint8)
    score = np.array([0.9], np.float32)
    declared = np.array([HUMAN], np.uint8)
    judge(declared, score, unusable, np.array([HALF]), "drop", None, "drop")
    assert declared.tolist() == [HUMAN]
    assert unusable.tolist() == [KEPT]


def test_each_document_is_compared_with_its_own_threshold() -> None:
    origin, _ = judge(
        np.full(3, UNKNOWN, np.uint8),
        np.array([0.7, 0.7, 0.7], np.float32),
        np.zeros(3, np.uint8),
        np.array([0.9, 0.7, 0.5], np.float32),
        "keep",
        None,
        "declared",
    )
    assert origin.tolist() == [HUMAN, SYNTHETIC, SYNTHETIC]


@pytest.mark.parametrize(
    ("policy", "left_out"), [("declared", [UNKNOWN]), ("drop", [*WRITTEN])]
)
def test_documents_without_a_score_follow_the_language_policy(
    policy: str, left_out: list[Origin]
) -> None:
    declared = np.array([*Origin, *Origin], np.uint8)
    unusable = np.array([KEPT] * 4 + [EMPTY] * 4, np.uint8)
    nothing, threshold = np.full(8, np.nan, np.float32), np.full(8, HALF)
    who, reason = judge(declared, nothing, unusable, threshold, "drop", 0.1, policy)
    assert who[:2].tolist() == [HUMAN, SYNTHETIC]
    assert reason.tolist() == [
        *(Reason.UNSCORABLE if each in left_out else KEPT for each in Origin),
        *[EMPTY] * 4,
    ]


@pytest.mark.parametrize("policy", ["declared", "drop"])
def test_a_reference_set_needs_no_score(policy: str) -> None:
    who, reason = judge(
        np.array([Origin.REFERENCE] * 3, np.uint8),
        np.array([NAN, NAN, 0.9], np.float32),
        np.array([KEPT, EMPTY, KEPT], np.uint8),
        np.full(3, HALF),
        "drop",
        0.1,
        policy,
    )
    assert who.tolist() == [Origin.REFERENCE] * 3
    assert reason.tolist() == [KEPT, EMPTY, KEPT]


def test_no_document_is_judged_to_nothing() -> None:
    none = np.zeros(0, np.uint8)
    scores = np.zeros(0, np.float32)
    who, reason = judge(none, scores, none, scores, "drop", 0.5, "drop")
    assert len(who) == len(reason) == 0


def test_an_unknown_policy_is_an_error_that_names_the_known_ones() -> None:
    check_policy("drop")
    with pytest.raises(UserError, match="reclassify, drop, keep, got 'remove'"):
        check_policy("remove")
    check_language_policy("declared")
    with pytest.raises(UserError, match="language_policy must be one of declared, dr"):
        check_language_policy("keep")
