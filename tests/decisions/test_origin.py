from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.core.claims import pack, pack_one, tell_claims
from synthfilter.core.errors import UserError
from synthfilter.core.schema import WRITTEN, Evidence, Origin, Reason, Says
from synthfilter.core.verdicts import Verdict
from synthfilter.decisions.origin import (
    Ground,
    Judgement,
    OriginRules,
    OutsideEvidence,
    judge,
    settle_claims,
)
from synthfilter.decisions.url_lists import read_url_list
from synthfilter.decisions.verdicts import Effective

HUMAN, SYNTHETIC, UNKNOWN, *_ = Origin
KEPT, EMPTY = Reason.KEPT, Reason.UNUSABLE_EMPTY
NAN = float("nan")
HALF = 0.5

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


def judge_all(
    documents: list[tuple[Origin, float, Reason]],
    rules: OriginRules,
    said: list[dict[Evidence, Says]] | None = None,
) -> Judgement:
    declared, score, unusable = zip(*documents, strict=True)
    claims = np.zeros(len(documents), np.uint32)
    for row, each in enumerate(said or []):
        codes = {evidence: np.array([says]) for evidence, says in each.items()}
        claims[row] = pack(codes, 1)[0]
    found = judge(
        np.array(declared, np.uint8),
        claims,
        np.array(score, np.float32),
        np.array(unusable, np.uint8),
        np.full(len(documents), HALF, np.float32),
        rules,
    )
    assert found.origin.dtype == found.reason.dtype == np.uint8
    return found


def judged(**rules: Any) -> tuple[list[int], list[int]]:
    found = judge_all(CASES, OriginRules(**rules))
    return found.origin.tolist(), found.reason.tolist()


def judge_one(
    declared: Origin, score: float, said: dict[Evidence, Says], **rules: Any
) -> tuple[Origin, Reason, str]:
    found = judge_all([(declared, score, KEPT)], OriginRules(**rules), [said])
    told = tell_claims(found.claims)[0].as_py()
    return Origin(found.origin[0]), Reason(found.reason[0]), told


PLAIN = [HUMAN] * 3 + [SYNTHETIC] * 3 + [HUMAN, SYNTHETIC, HUMAN]
USABLE = [KEPT, KEPT, EMPTY, KEPT, KEPT, KEPT, KEPT, KEPT, EMPTY]


def test_human_documents_that_score_as_machine_text_can_stay_human() -> None:
    assert judged(flagged_human="keep") == (PLAIN, USABLE)


def test_they_can_be_counted_as_synthetic() -> None:
    assert judged() == ([HUMAN, SYNTHETIC, *PLAIN[2:]], USABLE)


def test_they_can_be_dropped() -> None:
    dropped = [KEPT, Reason.HUMAN_SCORED_SYNTHETIC, *USABLE[2:]]
    assert judged(flagged_human="drop") == (PLAIN, dropped)


def test_declared_synthetic_documents_above_the_limit_are_dropped() -> None:
    dropped = [*USABLE[:5], Reason.SCORE_TOO_HIGH, *USABLE[6:]]
    assert judged(flagged_human="keep", max_ai_score=0.9) == (PLAIN, dropped)


def test_what_is_unusable_keeps_that_reason() -> None:
    dead = Reason.DEAD_LETTER
    documents = [(HUMAN, 0.9, dead), (SYNTHETIC, 0.9, dead)]
    rules = OriginRules("drop", "drop", "drop", "drop", 0.1)
    assert judge_all(documents, rules).reason.tolist() == [dead, dead]


def test_judging_changes_nothing_that_it_was_given() -> None:
    given_arrays = [
        np.array([HUMAN], np.uint8),
        np.array([0], np.uint32),
        np.array([0.9], np.float32),
        np.array([KEPT], np.uint8),
        np.array([HALF], np.float32),
    ]
    before = [array.copy() for array in given_arrays]
    judge(*given_arrays, OriginRules("drop"))
    for array, copy in zip(given_arrays, before, strict=True):
        assert array.tolist() == copy.tolist()


def test_each_document_is_compared_with_its_own_threshold() -> None:
    found = judge(
        np.full(3, UNKNOWN, np.uint8),
        np.zeros(3, np.uint32),
        np.array([0.7, 0.7, 0.7], np.float32),
        np.zeros(3, np.uint8),
        np.array([0.9, 0.7, 0.5], np.float32),
        OriginRules(),
    )
    assert found.origin.tolist() == [HUMAN, SYNTHETIC, SYNTHETIC]


WITH_SCORES = [who for who in WRITTEN if who != Origin.CORE]


@pytest.mark.parametrize(
    ("policy", "left_out"), [("declared", [UNKNOWN]), ("drop", WITH_SCORES)]
)
def test_documents_without_a_score_follow_the_language_policy(
    policy: str, left_out: list[Origin]
) -> None:
    documents = [(who, NAN, why) for why in (KEPT, EMPTY) for who in Origin]
    found = judge_all(documents, OriginRules(language_policy=policy, max_ai_score=0.1))
    assert found.origin[:2].tolist() == [HUMAN, SYNTHETIC]
    assert found.reason.tolist() == [
        *(Reason.UNSCORABLE if each in left_out else KEPT for each in Origin),
        *[EMPTY] * len(Origin),
    ]


@pytest.mark.parametrize("fixed", [Origin.REFERENCE, Origin.CORE])
@pytest.mark.parametrize("policy", ["declared", "drop"])
def test_a_reference_set_and_the_archive_need_no_score(
    policy: str, fixed: Origin
) -> None:
    documents = [(fixed, NAN, KEPT), (fixed, NAN, EMPTY), (fixed, 0.9, KEPT)]
    rules = OriginRules("drop", "drop", "drop", policy, 0.1)
    found = judge_all(documents, rules)
    stays = HUMAN if fixed == Origin.CORE else fixed
    assert found.origin.tolist() == [stays] * 3
    assert found.reason.tolist() == [KEPT, EMPTY, KEPT]
    assert not found.open.any()


def test_no_document_is_judged_to_nothing() -> None:
    none, scores = np.zeros(0, np.uint8), np.zeros(0, np.float32)
    found = judge(none, none.astype(np.uint32), scores, none, scores, OriginRules())
    assert [len(part) for part in found] == [0, 0, 0, 0, 0]


CHAIN = [*Evidence][:-1]


@pytest.mark.parametrize("first", CHAIN)
def test_the_first_in_the_chain_that_says_something_decides(first: Evidence) -> None:
    # Declarations and dates have rules of their own, which here leave them alone.
    rules = {"flagged_human": "keep", "marked_human": "keep"}
    for says, opposite in ((Says.HUMAN, Says.SYNTHETIC), (Says.SYNTHETIC, Says.HUMAN)):
        said = {other: opposite for other in CHAIN if other > first} | {first: says}
        declared = UNKNOWN
        if Evidence.DECLARED in said:
            declared = HUMAN if said[Evidence.DECLARED] == Says.HUMAN else SYNTHETIC
        origin, reason, _ = judge_one(declared, 0.9, said, **rules)
        assert origin == (HUMAN if says == Says.HUMAN else SYNTHETIC)
        assert reason == KEPT


def test_all_that_is_said_is_kept() -> None:
    said = {Evidence.URL: Says.HUMAN, Evidence.MARK: Says.SYNTHETIC}
    assert judge_one(HUMAN, 0.9, said)[2] == (
        "declared=human mark=synthetic url=human detector=synthetic"
    )
    # That a text was not flagged is only said where nothing else is.
    assert judge_one(UNKNOWN, 0.1, {})[2] == "detector=human"
    assert judge_one(HUMAN, 0.1, {})[2] == "declared=human"


@pytest.mark.parametrize("backing", [Evidence.MARK, Evidence.URL, Evidence.DATE])
def test_two_that_agree_are_not_overruled_by_the_detector(backing: Evidence) -> None:
    assert judge_one(HUMAN, 0.9, {})[0] == SYNTHETIC
    assert judge_one(HUMAN, 0.9, {backing: Says.HUMAN})[0] == HUMAN
    # A column says no more than the flag.
    assert judge_one(HUMAN, 0.9, {Evidence.COLUMN: Says.HUMAN})[0] == SYNTHETIC


@pytest.mark.parametrize("mark", [Evidence.MARK, Evidence.PRODUCER, Evidence.URL])
@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        ("reclassify", (SYNTHETIC, KEPT)),
        ("drop", (HUMAN, Reason.CONFLICT)),
        ("keep", (HUMAN, KEPT)),
    ],
)
def test_marked_human_documents_follow_their_policy(
    mark: Evidence, policy: str, outcome: tuple[Origin, Reason]
) -> None:
    found = judge_one(HUMAN, 0.1, {mark: Says.SYNTHETIC}, marked_human=policy)
    assert found[:2] == outcome


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        ("reclassify", (HUMAN, KEPT)),
        ("drop", (SYNTHETIC, Reason.CONFLICT)),
        ("keep", (SYNTHETIC, KEPT)),
    ],
)
def test_synthetic_documents_with_early_dates_follow_their_policy(
    policy: str, outcome: tuple[Origin, Reason]
) -> None:
    early = {Evidence.DATE: Says.HUMAN}
    assert judge_one(SYNTHETIC, 0.1, early, early_synthetic=policy)[:2] == outcome
    marked = early | {Evidence.MARK: Says.SYNTHETIC}
    assert judge_one(UNKNOWN, 0.1, marked, early_synthetic=policy)[:2] == outcome


@pytest.mark.parametrize("score", [0.1, 0.9, NAN])
@pytest.mark.parametrize("declared", [HUMAN, SYNTHETIC, UNKNOWN])
def test_what_a_person_said_overrides_everything(
    declared: Origin, score: float
) -> None:
    rules = {
        "flagged_human": "drop",
        "marked_human": "drop",
        "early_synthetic": "drop",
        "language_policy": "drop",
        "max_ai_score": 0.05,
    }
    other = {Evidence.MARK: Says.SYNTHETIC, Evidence.DATE: Says.HUMAN}
    for says, origin in ((Says.HUMAN, HUMAN), (Says.SYNTHETIC, SYNTHETIC)):
        said = {**other, Evidence.REVIEW: says}
        assert judge_one(declared, score, said, **rules)[:2] == (origin, KEPT)
    said = {**other, Evidence.REVIEW: Says.REJECT}
    assert judge_one(declared, score, said, **rules)[1] == Reason.REJECTED_BY_REVIEW


def test_only_what_rests_on_the_detector_is_open() -> None:
    documents = [
        (UNKNOWN, 0.1, KEPT),
        (UNKNOWN, 0.9, KEPT),
        (HUMAN, 0.1, KEPT),
        (HUMAN, 0.9, KEPT),
        (SYNTHETIC, 0.9, KEPT),
        (UNKNOWN, NAN, KEPT),
        (HUMAN, NAN, KEPT),
    ]
    found = judge_all(documents, OriginRules()).open.tolist()
    assert found == [True, True, True, True, False, False, False]
    # Who believes a declaration more than the detector has no question for it.
    trusted = judge_all(documents, OriginRules("keep")).open.tolist()
    assert trusted == [True, True, False, False, False, False, False]
    dated = [{Evidence.DATE: Says.HUMAN}] * len(documents)
    assert not judge_all(documents, OriginRules(), dated).open.any()
    # Those that go for their score show how much the detector flags.
    assert judge_all(documents, OriginRules("drop")).open.tolist() == found


def test_outside_evidence_is_added_to_what_documents_say() -> None:
    outside = OutsideEvidence(
        human_urls=read_url_list(["paper.example"]),
        synthetic_urls=read_url_list(["paper.example/robots"]),
        human_before=1000,
        verdicts=Effective(
            np.array([7], np.uint64),
            np.array([8], np.uint64),
            np.array([Verdict.REJECT], np.uint8),
            "",
        ),
    )
    url = ["https://paper.example/a", "https://paper.example/robots/b", None, None]
    claims = outside.add(
        np.array([0, 0, 0, 0b100000], np.uint32),
        pa.array(url),
        pa.array([None, 1000, 999, None], pa.int64()),
        np.array([1, 2, 3, 7], np.uint64),
        np.array([1, 2, 3, 8], np.uint64),
    )
    assert tell_claims(claims).to_pylist() == [
        "url=human",
        "url=synthetic",
        "date=human",
        "review=reject column=synthetic",
    ]


def test_verdicts_are_what_evidence_says() -> None:
    # They come as their codes.
    assert [*Verdict] == [*Says]


def test_nothing_known_adds_nothing() -> None:
    claims = np.array([0, 5], np.uint32)
    none = pa.nulls(2, pa.string())
    hashes = np.zeros(2, np.uint64)
    found = OutsideEvidence().add(claims, none, none.cast(pa.int64()), hashes, hashes)
    assert found.tolist() == [0, 5]


@pytest.mark.parametrize("name", ["flagged_human", "marked_human", "early_synthetic"])
def test_an_unknown_policy_is_an_error_that_names_the_known_ones(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be .* drop, keep, got 'remove'"):
        OriginRules(**{name: "remove"})
    with pytest.raises(UserError, match="language_policy must be one of declared, dr"):
        OriginRules(language_policy="keep")


@pytest.mark.parametrize(
    ("claims", "ground"),
    [
        ({}, Ground.SCORE),
        ({Evidence.DETECTOR: Says.SYNTHETIC}, Ground.SCORE),
        ({Evidence.DECLARED: Says.HUMAN}, Ground.DECLARATION),
        ({Evidence.DECLARED: Says.HUMAN, Evidence.DATE: Says.HUMAN}, Ground.EVIDENCE),
        (
            {Evidence.DECLARED: Says.SYNTHETIC, Evidence.PRODUCER: Says.SYNTHETIC},
            Ground.DECLARATION,
        ),
        ({Evidence.COLUMN: Says.SYNTHETIC}, Ground.DECLARATION),
        ({Evidence.PRODUCER: Says.SYNTHETIC}, Ground.EVIDENCE),
        ({Evidence.NEAR_LEDGER: Says.SYNTHETIC}, Ground.EVIDENCE),
        # A mark overrules the declaration, so that it is what decides.
        (
            {Evidence.DECLARED: Says.HUMAN, Evidence.MARK: Says.SYNTHETIC},
            Ground.EVIDENCE,
        ),
        (
            {Evidence.DECLARED: Says.HUMAN, Evidence.DETECTOR: Says.SYNTHETIC},
            Ground.SCORE,
        ),
    ],
)
def test_what_an_origin_rests_on_is_what_decides_it(
    claims: dict[Evidence, Says], ground: Ground
) -> None:
    assert settle_claims(pack_one(claims), OriginRules()).ground == ground


def test_a_declaration_that_nothing_overrules_is_firm() -> None:
    declared = pack_one({Evidence.DECLARED: Says.HUMAN})
    rules = OriginRules(marked_human="keep")
    assert settle_claims(declared, rules).ground == Ground.EVIDENCE


def test_a_near_copy_in_a_ledger_is_believed_after_a_date_and_before_a_score() -> None:
    near = {Evidence.NEAR_LEDGER: Says.SYNTHETIC}
    dated = pack_one({Evidence.DATE: Says.HUMAN, **near})
    assert settle_claims(dated, OriginRules())[:3] == (HUMAN, KEPT, Evidence.DATE)
    told = pack_one({Evidence.DECLARED: Says.HUMAN, Evidence.DATE: Says.HUMAN, **near})
    assert settle_claims(told, OriginRules()).origin == HUMAN
    declared = pack_one({Evidence.DECLARED: Says.HUMAN, **near})
    assert settle_claims(declared, OriginRules()).origin == SYNTHETIC
