import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.claims import (
    claim_of,
    count_conflicts,
    hits,
    no_conflicts,
    pack,
    tell_claims,
    tell_origin,
    with_claim,
)
from synthfilter.core.schema import Evidence, Origin, Says

SAID = st.lists(st.dictionaries(st.sampled_from(Evidence), st.sampled_from(Says)))


@given(SAID)
def test_what_is_packed_comes_out(said: list[dict[Evidence, Says]]) -> None:
    codes = {
        evidence: np.array([row.get(evidence, Says.NOTHING) for row in said], np.uint8)
        for evidence in Evidence
    }
    packed = pack(codes, len(said))
    assert packed.dtype == np.uint32
    for evidence in Evidence:
        assert claim_of(packed, evidence).tolist() == codes[evidence].tolist()


@given(SAID, st.sampled_from(Evidence), st.sampled_from(Says))
def test_a_claim_replaces_its_own_and_no_other(
    said: list[dict[Evidence, Says]], evidence: Evidence, says: Says
) -> None:
    codes = {
        each: np.array([row.get(each, 0) for row in said], np.uint8)
        for each in Evidence
    }
    changed = with_claim(pack(codes, len(said)), evidence, says)
    codes[evidence] = np.full(len(said), says, np.uint8)
    assert changed.tolist() == pack(codes, len(said)).tolist()


def test_all_hits_are_told_in_the_order_of_the_chain() -> None:
    says = {
        Evidence.DETECTOR: np.array([2, 1, 0, 2]),
        Evidence.DECLARED: np.array([1, 0, 0, 0]),
        Evidence.REVIEW: np.array([0, 2, 0, 0]),
    }
    assert tell_claims(pack(says, 4)).to_pylist() == [
        "declared=human detector=synthetic",
        "review=synthetic detector=human",
        "",
        "detector=synthetic",
    ]


@pytest.mark.parametrize("rows", [0, 3])
def test_no_evidence_says_nothing(rows: int) -> None:
    packed = pack({}, rows)
    assert packed.tolist() == [0] * rows
    assert tell_claims(packed).to_pylist() == [""] * rows


ONE = st.dictionaries(st.sampled_from(Evidence), st.sampled_from([1, 2]))


def claims_of(said: dict[Evidence, int]) -> np.ndarray:
    return pack({evidence: np.array([says]) for evidence, says in said.items()}, 1)


@given(ONE)
def test_hits_are_what_was_packed_in_the_order_of_the_chain(
    said: dict[Evidence, int],
) -> None:
    assert hits(int(claims_of(said)[0])) == sorted(said.items())


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (Origin.HUMAN, "declared=human column=human detector=synthetic"),
        (Origin.SYNTHETIC, "detector=synthetic declared=human column=human"),
        # The archive and reference sets are what they are whatever is said.
        (Origin.REFERENCE, "declared=human column=human detector=synthetic"),
    ],
)
def test_what_decided_is_told_first(origin: Origin, told: str) -> None:
    said = {Evidence.DECLARED: 1, Evidence.COLUMN: 1, Evidence.DETECTOR: 2}
    found = tell_origin(claims_of(said), np.array([origin], np.uint8))
    assert found.to_pylist() == [told]


def test_of_no_documents_nothing_is_told() -> None:
    none = np.zeros(0, np.uint32)
    assert len(tell_origin(none, none.astype(np.uint8))) == 0
    assert not count_conflicts(none, none.astype(np.uint8)).any()


@given(st.lists(st.tuples(ONE, st.sampled_from([Origin.HUMAN, Origin.SYNTHETIC]))))
def test_conflicts_are_counted_for_each_that_says_the_opposite(
    documents: list[tuple[dict[Evidence, int], Origin]],
) -> None:
    expected = no_conflicts()
    for said, origin in documents:
        agreeing = sorted(e for e, says in said.items() if says == origin + 1)
        for other, says in said.items():
            if agreeing and says != origin + 1:
                expected[origin, agreeing[0], other] += 1
    claims = np.concatenate(
        [np.zeros(0, np.uint32), *(claims_of(s) for s, _ in documents)]
    )
    origins = np.array([origin for _, origin in documents], np.uint8)
    assert count_conflicts(claims, origins).tolist() == expected.tolist()
    half = len(documents) // 2
    parts = (slice(None, half), slice(half, None))
    counted = [count_conflicts(claims[part], origins[part]) for part in parts]
    assert sum(counted).tolist() == expected.tolist()


def test_a_rejection_is_no_conflict() -> None:
    said = {Evidence.REVIEW: 3, Evidence.DECLARED: 1}
    assert not count_conflicts(claims_of(said), np.array([0], np.uint8)).any()
