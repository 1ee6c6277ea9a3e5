import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.claims import claim_of, pack, tell_claims, with_claim
from synthfilter.core.schema import Evidence, Says

SAID = st.lists(st.dictionaries(st.sampled_from(Evidence), st.sampled_from(Says)))


@given(SAID)
def test_what_is_packed_comes_out(said: list[dict[Evidence, Says]]) -> None:
    codes = {
        evidence: np.array([row.get(evidence, Says.NOTHING) for row in said], np.uint8)
        for evidence in Evidence
    }
    packed = pack(codes, len(said))
    assert packed.dtype == np.uint16
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
