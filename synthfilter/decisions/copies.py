"""Exact copies: which documents have the same text, and which of them stays."""

from collections.abc import Sequence

import numpy as np

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin

KEEP_RULES = ("reviewed", "human", "longest", "oldest")

# Rules share the 64 bits of a rank: one for the reference set, one for the archive, one
# for reviewed, one for human, 31 for the size and these for the time.
_TIME_BITS = 29
_TICK_MS = 20_000
_FIRST_TICK = -268_233_120  # the year 1800


def parse_keep(keep: Sequence[str]) -> list[str]:
    """Returns the rules that `["human", "longest"]` or `["human,longest"]` names.

    Raises:
      UserError: one is unknown or comes twice.
    """
    rules = [rule.strip() for part in keep for rule in part.split(",")]
    if len(set(rules)) != len(rules) or not set(rules) <= set(KEEP_RULES):
        raise UserError(
            f"keep takes each of {', '.join(KEEP_RULES)} at most once; "
            f"got {', '.join(rules)}"
        )
    return rules


def find_exact_copies(
    content_hi: np.ndarray,
    content_lo: np.ndarray,
    words: np.ndarray,
    rank: Sequence[np.ndarray],
) -> np.ndarray:
    """Returns which documents are copies of a document that ranks higher.

    Documents are copies when the 128-bit hash of their normalised text and its number
    of words agree. Of each set of copies exactly one is not marked, the same one in
    any order of the input as long as the ranks differ.

    Args:
      content_hi: Upper halves of the content hashes, uint64.
      content_lo: Lower halves.
      words: Number of words of each document.
      rank: Keys, the most important first; the lowest value stays.
    """
    copies = np.zeros(len(content_hi), bool)
    order = np.argsort(content_hi)
    equal = content_hi[order][1:] == content_hi[order][:-1]
    # Few documents share even half of a hash; only those are sorted in full.
    shared = np.zeros(len(order), bool)
    shared[1:] |= equal
    shared[:-1] |= equal
    some = order[shared]
    if not len(some):
        return copies
    content = (content_hi[some], content_lo[some], words[some])
    keys = [key[some] for key in reversed(rank)]
    inside = np.lexsort([*keys, *reversed(content)])
    again = np.ones(len(some), bool)
    again[0] = False
    for part in content:
        again[1:] &= part[inside][1:] == part[inside][:-1]
    copies[some[inside[again]]] = True
    return copies


def rank_documents(
    keep: Sequence[str],
    declared: np.ndarray,
    origin: np.ndarray,
    reviewed: np.ndarray,
    size: np.ndarray,
    created: np.ndarray,
) -> np.ndarray:
    """Returns the rank of each document among its copies, uint64; the lowest stays.

    Documents of a reference set have ranks below `schema.RANK_CORE`, those of the
    archive below `schema.RANK_OTHERS`.

    Args:
      keep: Rules of `KEEP_RULES`, the most important first.
      declared: `Origin` codes as declared.
      origin: `Origin` codes as decided.
      reviewed: Whether somebody has read and approved each.
      size: Bytes of the text as it came, below 2 GiB.
      created: Milliseconds since 1970; unknown times are the largest int64. Told apart
        to twenty seconds, between the years 1800 and 2140.
    """
    longest = np.iinfo(np.int32).max - size.astype(np.int64)
    oldest = np.clip(created // _TICK_MS - _FIRST_TICK, 0, (1 << _TIME_BITS) - 1)
    keys = {
        "reviewed": (1, reviewed == 0),
        "human": (1, origin != Origin.HUMAN),
        "longest": (31, longest),
        "oldest": (_TIME_BITS, oldest),
    }
    rank = (declared != Origin.REFERENCE).astype(np.uint64) << np.uint64(1)
    rank |= (declared != Origin.CORE).astype(np.uint64)
    used = 2
    for bits, values in (keys[rule] for rule in keep):
        rank = (rank << np.uint64(bits)) | values.astype(np.uint64)
        used += bits
    return rank << np.uint64(64 - used)
