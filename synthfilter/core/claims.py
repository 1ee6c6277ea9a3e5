"""What each piece of evidence says about who wrote a document, in one number.

Two bits for each `Evidence`, the first in the chain lowest: a `Says` code.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from synthfilter.core.hashing import distinct
from synthfilter.core.schema import EVIDENCE_NAMES, SAYS_NAMES, Evidence, Says

_BITS = 2
_MASK = np.uint16((1 << _BITS) - 1)


def pack(says: Mapping[Evidence, np.ndarray], rows: int) -> np.ndarray:
    """Returns the claims of documents, uint16, from the `Says` codes of each evidence.

    Args:
      says: `Says` codes of all documents; evidence that is not named says nothing.
      rows: Number of documents.
    """
    claims = np.zeros(rows, np.uint16)
    for evidence, codes in says.items():
        claims = with_claim(claims, evidence, codes)
    return claims


def claim_of(claims: np.ndarray, evidence: Evidence) -> np.ndarray:
    """Returns what one piece of evidence says of each document: `Says` codes, uint8."""
    return ((claims >> np.uint16(_BITS * evidence)) & _MASK).astype(np.uint8)


def with_claim(
    claims: np.ndarray, evidence: Evidence, says: np.ndarray | Says
) -> np.ndarray:
    """Returns the claims with what one piece of evidence says in place of before.

    Args:
      claims: uint16.
      evidence: Which.
      says: `Says` codes, or one for all.
    """
    shift = np.uint16(_BITS * evidence)
    codes = np.asarray(says).astype(np.uint16) & _MASK
    return (claims & ~(_MASK << shift)) | (codes << shift)


def tell_claims(claims: np.ndarray) -> pa.Array:
    """Returns all hits in the order of the chain: `declared=human detector=synthetic`.

    A document of which nothing says anything has an empty string.
    """
    known = distinct([claims.astype(np.uint16)])
    told = pa.array([_tell(int(value)) for value in known], pa.string())
    return told.take(pa.array(np.searchsorted(known, claims)))


def _tell(claims: int) -> str:
    said = [(name, claims >> _BITS * i & 3) for i, name in enumerate(EVIDENCE_NAMES)]
    return " ".join(f"{name}={SAYS_NAMES[says]}" for name, says in said if says)
