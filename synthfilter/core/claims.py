"""What each piece of evidence says about who wrote a document, in one number.

Two bits for each `Evidence`, the first in the chain lowest: a `Says` code.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from synthfilter.core.hashing import distinct
from synthfilter.core.schema import (
    EVIDENCE_NAMES,
    SAYS_NAMES,
    Evidence,
    Origin,
    Says,
)

_BITS = 2
_MASK = np.uint32((1 << _BITS) - 1)


def pack(says: Mapping[Evidence, np.ndarray], rows: int) -> np.ndarray:
    """Returns the claims of documents, uint32, from the `Says` codes of each evidence.

    Args:
      says: `Says` codes of all documents; evidence that is not named says nothing.
      rows: Number of documents.
    """
    claims = np.zeros(rows, np.uint32)
    for evidence, codes in says.items():
        claims = with_claim(claims, evidence, codes)
    return claims


def pack_one(says: Mapping[Evidence, Says]) -> int:
    """Returns the claims of one document, as `pack` does."""
    return sum(int(code) << _BITS * evidence for evidence, code in says.items())


def claim_of(claims: np.ndarray, evidence: Evidence) -> np.ndarray:
    """Returns what one piece of evidence says of each document: `Says` codes, uint8."""
    return ((claims >> np.uint32(_BITS * evidence)) & _MASK).astype(np.uint8)


def with_claim(
    claims: np.ndarray, evidence: Evidence, says: np.ndarray | Says
) -> np.ndarray:
    """Returns the claims with what one piece of evidence says in place of before.

    Args:
      claims: uint32.
      evidence: Which.
      says: `Says` codes, or one for all.
    """
    shift = np.uint32(_BITS * evidence)
    codes = np.asarray(says).astype(np.uint32) & _MASK
    return (claims & ~(_MASK << shift)) | (codes << shift)


def join_claims(claims: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Returns for each document what is said of all documents of its group.

    Where they disagree within one piece of evidence, synthetic goes before human, and
    reject before both.

    Args:
      claims: uint32, the documents of a group in a row.
      first: Whether each is the first of its group.
    """
    starts = np.flatnonzero(first)
    joined = np.zeros(len(starts), claims.dtype)
    for evidence in Evidence if len(starts) else ():
        most = np.maximum.reduceat(claim_of(claims, evidence), starts)
        joined = with_claim(joined, evidence, most)
    return joined[np.cumsum(first) - 1]


def hits(claims: int) -> list[tuple[Evidence, Says]]:
    """Returns what is said of one document, in the order of the chain."""
    said = [(each, Says(claims >> _BITS * each & 3)) for each in Evidence]
    return [(evidence, says) for evidence, says in said if says]


def deciding(claims: int, origin: int) -> Evidence | None:
    """Returns the evidence by which one document has its origin; None: by none."""
    wanted = _SAYS_OF.get(origin)
    return next((each for each, says in hits(claims) if says == wanted), None)


def tell_origin(claims: np.ndarray, origin: np.ndarray) -> pa.Array:
    """Returns all hits, the deciding one first: `detector=synthetic declared=human`.

    Args:
      claims: Of each document, uint32.
      origin: `Origin` code of each.
    """
    # The claims, then 8 bits of the origin.
    codes = claims.astype(np.uint64) << np.uint64(8) | origin.astype(np.uint64)
    known = distinct([codes])
    told = pa.array([_tell_first(*divmod(int(c), 256)) for c in known], pa.string())
    return told.take(pa.array(np.searchsorted(known, codes)))


def count_conflicts(claims: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Returns how often evidence decided against other evidence.

    Returns:
      int64 [origin decided, deciding evidence, evidence that says the opposite].
    """
    counts = no_conflicts()
    codes = claims.astype(np.uint64) << np.uint64(8) | origin.astype(np.uint64)
    known, times = np.unique(codes, return_counts=True)
    for code, number in zip(known.tolist(), times.tolist(), strict=True):
        said, who = divmod(code, 256)
        by = deciding(said, who)
        for other, says in hits(said) if by is not None else ():
            if says not in (Says.REJECT, _SAYS_OF[who]):
                counts[who, by, other] += number
    return counts


def no_conflicts() -> np.ndarray:
    """Returns the conflicts of no documents."""
    return np.zeros((len(_SAYS_OF), len(Evidence), len(Evidence)), np.int64)


_SAYS_OF: dict[int, Says] = {
    Origin.HUMAN: Says.HUMAN,
    Origin.SYNTHETIC: Says.SYNTHETIC,
}


def _tell_first(claims: int, origin: int) -> str:
    said = hits(claims)
    by = deciding(claims, origin)
    said.sort(key=lambda hit: hit[0] != by)
    return " ".join(f"{EVIDENCE_NAMES[e]}={SAYS_NAMES[s]}" for e, s in said)


def tell_claims(claims: np.ndarray) -> pa.Array:
    """Returns all hits in the order of the chain: `declared=human detector=synthetic`.

    A document of which nothing says anything has an empty string.
    """
    known = distinct([claims.astype(np.uint32)])
    told = pa.array([_tell(int(value)) for value in known], pa.string())
    return told.take(pa.array(np.searchsorted(known, claims)))


def _tell(claims: int) -> str:
    said = [(name, claims >> _BITS * i & 3) for i, name in enumerate(EVIDENCE_NAMES)]
    return " ".join(f"{name}={SAYS_NAMES[says]}" for name, says in said if says)
