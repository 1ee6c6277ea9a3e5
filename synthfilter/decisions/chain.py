"""Why the evidence of one document decided as it did, for people."""

from typing import NamedTuple, Optional

from synthfilter.core.claims import deciding, hits
from synthfilter.core.schema import Evidence, Origin, Says
from synthfilter.decisions.origin import (
    INHERENT,
    OriginRules,
    policy_option,
    settle_claims,
)

DECIDES = "decides"
AGREES = "agrees"
OVERRULED = "overruled"
AGAINST = "against"
REJECTS = "rejects"


class Link(NamedTuple):
    """One piece of evidence, and what came of it.

    Attributes:
      evidence: Which.
      says: What it says.
      role: It `decides`; `agrees` with what does; was `overruled` by it, though it
        comes before; is `against` it, without effect on who counts as the author; or
        `rejects` the document.
      option: The rule by which it was overruled, or by which what is against it did
        not overrule; None for none.
      backed_by: The evidence that agrees with the first, so that this one, against
        both, overrules neither.
    """

    evidence: Evidence
    says: Says
    role: str
    option: Optional[str] = None
    backed_by: Optional[Evidence] = None


def trace(claims: int, origin: int, rules: OriginRules) -> list[Link]:
    """Returns what is said of one document, in the order of the chain.

    Args:
      claims: See `core.claims`.
      origin: `Origin` that it counts as.
      rules: What conflicts do.
    """
    said = hits(claims)
    judged = [hit for hit in said if hit[1] != Says.REJECT]
    by = deciding(claims, origin)
    settled = settle_claims(claims, rules)
    if judged and settled.origin == origin:
        by = settled.by
    wanted = Says.HUMAN if origin == Origin.HUMAN else Says.SYNTHETIC
    links = []
    for evidence, says in said:
        if says == Says.REJECT:
            links.append(Link(evidence, says, REJECTS))
        elif evidence == by:
            links.append(Link(evidence, says, DECIDES))
        elif says == wanted:
            links.append(Link(evidence, says, AGREES))
        elif by is not None and evidence < by:
            option = _option(judged[0], by)
            links.append(Link(evidence, says, OVERRULED, option))
        else:
            backing = _backing(judged, evidence)
            option = None if backing else _option(judged[0], evidence)
            links.append(Link(evidence, says, AGAINST, option, backing))
    return links


def _option(first: tuple[Evidence, Says], other: Evidence) -> Optional[str]:
    """Returns the rule on other evidence; people are overruled by none."""
    return None if first[0] == Evidence.REVIEW else policy_option(*first, other)


def _backing(
    judged: list[tuple[Evidence, Says]], other: Evidence
) -> Optional[Evidence]:
    """Returns what backs the first against other evidence, if anything does."""
    first = judged[0]
    return next(
        (
            each
            for each, says in judged[1:]
            if each in INHERENT and each < other and says == first[1]
        ),
        None,
    )
