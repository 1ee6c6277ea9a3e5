"""Who wrote a document, by all that says something about it, and what follows.

Evidence stands in a chain (`schema.Evidence`). The first that says something decides,
unless a rule lets a later one that says the opposite overrule it.

A text has one origin: what is said of any of its copies counts for all. So what is said
is gathered first (`weigh`), joined over copies (`share_claims`), and only then settled
(`settle`).
"""

import dataclasses
import enum
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.claims import hits, join_claims, with_claim
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import distinct
from synthfilter.core.schema import Evidence, Origin, Reason, Says
from synthfilter.decisions.copies import sort_shared
from synthfilter.decisions.url_lists import UrlList, match_urls
from synthfilter.decisions.verdicts import Effective, find_verdicts

CONFLICT_POLICIES = ("reclassify", "drop", "keep")
LANGUAGE_POLICIES = ("declared", "drop")

# Evidence that a document itself, its place or its past gives: no mere declaration.
_DECLARATIONS = (Evidence.DECLARED, Evidence.COLUMN)
INHERENT = (
    Evidence.MARK,
    Evidence.PRODUCER,
    Evidence.URL,
    Evidence.LEDGER,
    Evidence.DATE,
    Evidence.NEAR_LEDGER,
)


# What is known of a text without its origin, and may leave it out once that is known.
UNSETTLED = (Reason.KEPT, Reason.UNSCORABLE, Reason.SCORE_TOO_HIGH)
# What a document of these is was settled when it was declared.
FIXED = (Origin.REFERENCE, Origin.CORE)


@dataclasses.dataclass(frozen=True)
class OriginRules:
    """What conflicts and scores do to a document.

    Attributes:
      flagged_human: What to do with documents declared human that score as machine
        text: `reclassify` as synthetic, `drop`, or `keep` as human. Nothing is done
        where a mark, a URL or a date says human, too.
      marked_human: The same for those whose mark, producer or URL, or the ledger, says
        synthetic.
      early_synthetic: What to do with documents that are synthetic by declaration or
        mark, and human by their date.
      language_policy: What to do without a score: `declared` leaves documents as other
        evidence has them, `drop` drops them. Without any evidence a document is neither
        and always goes.
      max_ai_score: Synthetic documents above it go, unless a person or the detector
        says that they are; None = none do.
    """

    flagged_human: str = "reclassify"
    marked_human: str = "reclassify"
    early_synthetic: str = "keep"
    language_policy: str = "declared"
    max_ai_score: float | None = None

    def __post_init__(self) -> None:
        """Raises UserError unless each policy is known."""
        for name in ("flagged_human", "marked_human", "early_synthetic"):
            check_choice(name, getattr(self, name), CONFLICT_POLICIES)
        check_choice("language_policy", self.language_policy, LANGUAGE_POLICIES)

    def policy(self, first: Evidence, says: Says, other: Evidence) -> str:
        """Returns what happens when other evidence contradicts the first."""
        option = policy_option(first, says, other)
        return "keep" if option is None else getattr(self, option)


def policy_option(first: Evidence, says: Says, other: Evidence) -> str | None:
    """Returns the rule on other evidence that contradicts the first; None for none."""
    if says == Says.HUMAN and first in _DECLARATIONS:
        if other == Evidence.DETECTOR:
            return "flagged_human"
        if other in INHERENT:
            return "marked_human"
    if says == Says.SYNTHETIC and other == Evidence.DATE:
        return "early_synthetic"
    return None


@dataclasses.dataclass(frozen=True)
class OutsideEvidence:
    """What is known of documents besides what they say themselves.

    Attributes:
      human_urls: Addresses of human text; None for none.
      synthetic_urls: Addresses of machine text, which go before.
      human_before: Text created before it is human; milliseconds since 1970, None for
        no such time.
      verdicts: Of people; None for none.
    """

    human_urls: UrlList | None = None
    synthetic_urls: UrlList | None = None
    human_before: int | None = None
    verdicts: Effective | None = None

    def add(
        self,
        claims: np.ndarray,
        url: pa.Array,
        created: pa.Array,
        content_hi: np.ndarray,
        content_lo: np.ndarray,
    ) -> np.ndarray:
        """Returns the claims of documents with what is known besides.

        Args:
          claims: As `core.claims` packs them.
          url: Of each document, or null.
          created: Milliseconds since 1970, or null.
          content_hi: Upper halves of their content hashes.
          content_lo: Lower halves.
        """
        for urls, says in (
            (self.human_urls, Says.HUMAN),
            (self.synthetic_urls, Says.SYNTHETIC),
        ):
            if urls is not None:
                claims = _claim_where(claims, Evidence.URL, match_urls(url, urls), says)
        if self.human_before is not None:
            times = created.fill_null(np.iinfo(np.int64).max).to_numpy()
            early = times < self.human_before
            claims = _claim_where(claims, Evidence.DATE, early, Says.HUMAN)
        if self.verdicts is not None:
            said = find_verdicts(self.verdicts, content_hi, content_lo)
            claims = with_claim(claims, Evidence.REVIEW, said)
        return claims


class Ground(enum.IntEnum):
    """What an origin rests on, the firmest first."""

    EVIDENCE = 0  # people, a mark, columns, a list, a ledger, a date
    DECLARATION = 1  # the flag of its file or a column `origin`, and nothing else
    SCORE = 2  # the detector's word, or its silence


class Settled(NamedTuple):
    """What follows from all that is said of one document.

    Attributes:
      origin: `Origin`, human or synthetic.
      reason: `Reason` to go, KEPT for none.
      by: The evidence that decides.
      open: Whether the detector's word decides, or might have.
      ground: What the origin rests on.
    """

    origin: Origin
    reason: Reason
    by: Evidence
    open: bool
    ground: Ground


class Judgement(NamedTuple):
    """What is decided about documents from all that is said of their origins.

    Attributes:
      origin: `Origin` codes, uint8.
      reason: `Reason` codes so far, uint8; KEPT: still in.
      claims: All that was said, the detector's word included, uint32.
      open: Whether the detector's word decides, or might have: what it misses and
        flags wrongly is to be estimated.
      ground: `Ground` codes, uint8.
    """

    origin: np.ndarray
    reason: np.ndarray
    claims: np.ndarray
    open: np.ndarray
    ground: np.ndarray


def judge(
    declared: np.ndarray,
    claims: np.ndarray,
    score: np.ndarray,
    unusable: np.ndarray,
    threshold: np.ndarray,
    rules: OriginRules,
) -> Judgement:
    """Returns origin and reason of each document by itself, whatever its copies say.

    Args:
      declared: See `weigh`, and so on.
      claims: What everything but declaration and detector says, uint32.
      score: float32.
      unusable: `Reason` codes.
      threshold: float32.
      rules: What conflicts and scores do.
    """
    claims, reason = weigh(
        declared, claims, score, unusable, threshold, rules.max_ai_score
    )
    return settle(declared, claims, reason, rules)


def weigh(
    declared: np.ndarray,
    claims: np.ndarray,
    score: np.ndarray,
    unusable: np.ndarray,
    threshold: np.ndarray,
    max_ai_score: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the claims of documents, and what their text alone is left out for.

    Of the reasons those in `UNSETTLED` wait for the origin: `UNSCORABLE` where there is
    no score, `SCORE_TOO_HIGH` where it is above the limit, whoever wrote the text.

    Args:
      declared: `Origin` codes as the user declared them. What is of a reference set or
        of the archive stays that; of the others, a declaration is a claim.
      claims: What everything but declaration and detector says, uint32.
      score: float32 in [0, 1], the higher the more like machine text; NaN = the
        detector cannot tell.
      unusable: `Reason` codes found while reading; KEPT where there is none.
      threshold: float32; from this score on each document counts as machine text.
      max_ai_score: See `OriginRules`.
    """
    said = np.array([_SAYS.get(who, Says.NOTHING) for who in Origin], np.uint8)
    claims = with_claim(claims, Evidence.DECLARED, said[declared])
    flagged = score >= threshold
    claims = _claim_where(claims, Evidence.DETECTOR, flagged, Says.SYNTHETIC)
    reason = np.where(np.isnan(score), np.uint8(Reason.UNSCORABLE), np.uint8(0))
    if max_ai_score is not None:
        reason[score > max_ai_score] = Reason.SCORE_TOO_HIGH
    return claims, np.where(unusable == Reason.KEPT, reason, unusable)


def share_claims(
    content_hi: np.ndarray,
    content_lo: np.ndarray,
    claims: np.ndarray,
    lends: np.ndarray,
    takes: np.ndarray,
) -> np.ndarray:
    """Returns the claims of documents with those of all copies of the same text.

    Where copies disagree within one piece of evidence, synthetic goes before human.

    Args:
      content_hi: Upper halves of the content hashes, uint64.
      content_lo: Lower halves.
      claims: What is said of each document, uint32.
      lends: Of which documents that counts for their copies.
      takes: For which it counts what is said of their copies; these lend, too.
    """
    rows, first = sort_shared(content_hi, content_lo)
    shared = claims.copy()
    shared[rows] = join_claims(np.where(lends, claims, 0)[rows], first)
    return np.where(takes, shared, claims)


def settle(
    declared: np.ndarray, claims: np.ndarray, reason: np.ndarray, rules: OriginRules
) -> Judgement:
    """Returns origin and reason of each document, by all that is said of it.

    Args:
      declared: See `weigh`.
      claims: What `weigh` returned, with those of copies, if there are any.
      reason: What it returned.
      rules: What conflicts and scores do.
    """
    unscored = np.isin(reason, (Reason.UNSCORABLE, *schema.UNUSABLE))
    # Not to be flagged says little of a text: it counts where nothing else is said.
    alone = (claims == 0) & ~unscored
    claims = _claim_where(claims, Evidence.DETECTOR, alone, Says.HUMAN)
    codes = distinct([claims])
    settled = [settle_claims(int(code), rules) for code in codes]
    at = np.searchsorted(codes, claims)
    origin, left_out, by, open_, ground = (
        np.array([each[i] for each in settled], np.uint8)[at] for i in range(5)
    )
    if rules.language_policy == "drop":
        unscored_too = (reason == Reason.UNSCORABLE) & (by != Evidence.REVIEW)
        left_out[unscored_too & (left_out != Reason.REJECTED_BY_REVIEW)] = (
            Reason.UNSCORABLE
        )
    high = (reason == Reason.SCORE_TOO_HIGH) & (origin == Origin.SYNTHETIC)
    high &= ~np.isin(by, (Evidence.REVIEW, Evidence.DETECTOR))
    left_out[high & (left_out == Reason.KEPT)] = Reason.SCORE_TOO_HIGH
    fixed = np.isin(declared, FIXED)
    left_out[fixed] = Reason.KEPT
    origin[declared == Origin.REFERENCE] = Origin.REFERENCE
    origin[declared == Origin.CORE] = Origin.HUMAN
    left_out = np.where(np.isin(reason, UNSETTLED), left_out, reason)
    asked = open_.astype(bool) & ~unscored & ~fixed
    return Judgement(origin, left_out, claims, asked, ground)


def settle_claims(claims: int, rules: OriginRules) -> Settled:
    """Returns what follows from all that is said of one document.

    Args:
      claims: Of one document, the detector's word included.
      rules: What conflicts do.
    """
    said = hits(claims)
    rejected = (Evidence.REVIEW, Says.REJECT) in said
    said = [hit for hit in said if hit[1] != Says.REJECT]
    if not said:
        reason = Reason.REJECTED_BY_REVIEW if rejected else Reason.UNSCORABLE
        return Settled(Origin.HUMAN, reason, Evidence.DETECTOR, False, Ground.SCORE)
    by, says = said[0]
    reason = Reason.KEPT
    if by != Evidence.REVIEW:
        by, says, reason = _resolve(said, rules)
    if rejected:
        reason = Reason.REJECTED_BY_REVIEW
    backed = any(e in INHERENT and s == says for e, s in said)
    doubted = by in _DECLARATIONS and says == Says.HUMAN
    doubted &= rules.flagged_human != "keep" and not backed
    origin = Origin.HUMAN if says == Says.HUMAN else Origin.SYNTHETIC
    scored = by == Evidence.DETECTOR
    ground = Ground.SCORE if scored else Ground.EVIDENCE
    # Human text is firmly declared if something else says so, too, or nothing may
    # overrule it. What is declared synthetic never is: a near copy may be its source.
    firm = says == Says.HUMAN and (backed or rules.marked_human == "keep")
    if by in _DECLARATIONS and not firm:
        ground = Ground.DECLARATION
    return Settled(origin, reason, by, scored or doubted, ground)


def _resolve(
    said: list[tuple[Evidence, Says]], rules: OriginRules
) -> tuple[Evidence, Says, Reason]:
    """Returns the evidence that decides, what it says, and the reason to go, if any."""
    first, says = said[0]
    for other, otherwise in said[1:]:
        if otherwise == says:
            if other in INHERENT:
                # Two that agree are not overruled by a third.
                break
            continue
        policy = rules.policy(first, says, other)
        if policy == "reclassify":
            return other, otherwise, Reason.KEPT
        if policy == "drop":
            scored = other == Evidence.DETECTOR
            reason = Reason.HUMAN_SCORED_SYNTHETIC if scored else Reason.CONFLICT
            return first, says, reason
    return first, says, Reason.KEPT


_SAYS = {
    Origin.HUMAN: Says.HUMAN,
    Origin.CORE: Says.HUMAN,
    Origin.SYNTHETIC: Says.SYNTHETIC,
}


def _claim_where(
    claims: np.ndarray, evidence: Evidence, where: np.ndarray, says: Says
) -> np.ndarray:
    """Returns the claims with what the evidence says in some places."""
    return np.where(where, with_claim(claims, evidence, says), claims)


def check_choice(option: str, chosen: str, known: tuple[str, ...]) -> None:
    """Raises UserError unless what was chosen for an option is known."""
    if chosen not in known:
        raise UserError(f"{option} must be one of {', '.join(known)}, got {chosen!r}")
