"""Why evidence decided, checked against the decisions themselves."""

from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.claims import hits, pack_one
from synthfilter.core.schema import Evidence, Origin, Reason, Says
from synthfilter.decisions.chain import trace
from synthfilter.decisions.origin import (
    CONFLICT_POLICIES,
    OriginRules,
    settle_claims,
)

H, S = Says.HUMAN, Says.SYNTHETIC
CLAIMS = st.dictionaries(st.sampled_from(Evidence), st.sampled_from([H, S])).map(
    pack_one
)
POLICY = st.sampled_from(CONFLICT_POLICIES)
RULES = st.builds(OriginRules, POLICY, POLICY, POLICY)


@given(CLAIMS, RULES)
def test_what_decides_and_the_rule_behind_it_are_those_of_the_decision(
    claims, rules
) -> None:
    origin, reason, by, *_ = settle_claims(claims, rules)
    links = trace(claims, origin, rules)
    assert [(link.evidence, link.says) for link in links] == hits(claims)
    assert [link.evidence for link in links if link.role == "decides"] == (
        [by] if links else []
    )
    for link in links:
        value = link.option and getattr(rules, link.option)
        says = {Origin.HUMAN: H, Origin.SYNTHETIC: S}[origin]
        assert (link.says == says) == (link.role in ("decides", "agrees"))
        if link.evidence < by and link.says != says and link == links[0]:
            assert (link.role, value) == ("overruled", "reclassify")
    if reason in (Reason.CONFLICT, Reason.HUMAN_SCORED_SYNTHETIC):
        dropped = [x for x in links if x.option and getattr(rules, x.option) == "drop"]
        assert dropped


def test_evidence_that_is_backed_is_not_overruled_and_the_backing_is_named() -> None:
    says = {Evidence.DECLARED: H, Evidence.DATE: H, Evidence.DETECTOR: S}
    links = trace(pack_one(says), Origin.HUMAN, OriginRules())
    assert [link.role for link in links] == ["decides", "agrees", "against"]
    assert links[2].backed_by == Evidence.DATE
    assert links[2].option is None


def test_people_are_overruled_by_no_rule() -> None:
    says = {Evidence.REVIEW: S, Evidence.DATE: H}
    links = trace(pack_one(says), Origin.SYNTHETIC, OriginRules())
    assert [(link.role, link.option) for link in links] == [
        ("decides", None),
        ("against", None),
    ]


def test_nothing_said_is_no_chain() -> None:
    assert trace(0, Origin.HUMAN, OriginRules()) == []
