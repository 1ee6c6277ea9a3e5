"""Exact copies: which documents have the same text, and which of them stays."""

from collections.abc import Sequence

import numpy as np

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin

KEEP_RULES = ("reviewed", "human", "longest", "oldest")

_HUMAN = "human"
# Rules share the 64 bits of a rank with one for the reference set and one for the
# archive.
_RANK_BITS = {"reviewed": 1, _HUMAN: 3, "longest": 31, "oldest": 27}
_TICK_MS = 80_000
_FIRST_TICK = -67_058_280  # the year 1800


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
    some = _share_half(content_hi)
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


def sort_shared(
    content_hi: np.ndarray, content_lo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the documents whose text others may have, too, equal ones in a row.

    Args:
      content_hi: Upper halves of the content hashes, uint64.
      content_lo: Lower halves.

    Returns:
      Numbers of documents, int64, and whether each is the first of its text.
    """
    some = _share_half(content_hi)
    some = some[np.lexsort([content_lo[some], content_hi[some]])]
    hi, lo = content_hi[some], content_lo[some]
    first = np.ones(len(some), bool)
    first[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    return some, first


def _share_half(content_hi: np.ndarray) -> np.ndarray:
    """Returns the documents that share the upper half of their hash with another.

    Few others do, so that only these need to be sorted in full.
    """
    order = np.argsort(content_hi)
    equal = content_hi[order][1:] == content_hi[order][:-1]
    shared = np.zeros(len(order), bool)
    shared[1:] |= equal
    shared[:-1] |= equal
    return order[shared]


def rank_documents(
    keep: Sequence[str],
    declared: np.ndarray,
    reviewed: np.ndarray,
    size: np.ndarray,
    created: np.ndarray,
) -> np.ndarray:
    """Returns the rank of each document among its copies, uint64; the lowest stays.

    As if all were human; `rank_origins` adds what the origin does. Documents of a
    reference set have ranks below `schema.RANK_CORE`, those of the archive below
    `schema.RANK_OTHERS`.

    Args:
      keep: Rules of `KEEP_RULES`, the most important first.
      declared: `Origin` codes as declared.
      reviewed: Whether somebody has read and approved each.
      size: Bytes of the text as it came, below 2 GiB.
      created: Milliseconds since 1970; unknown times are the largest int64. Told apart
        to eighty seconds, between the years 1800 and 2140.
    """
    longest = np.iinfo(np.int32).max - size.astype(np.int64)
    last = (1 << _RANK_BITS["oldest"]) - 1
    oldest = np.clip(created // _TICK_MS - _FIRST_TICK, 0, last)
    keys = {"reviewed": reviewed == 0, "longest": longest, "oldest": oldest}
    keys[_HUMAN] = np.zeros(len(size), bool)
    rank = (declared != Origin.REFERENCE).astype(np.uint64) << np.uint64(1)
    rank |= (declared != Origin.CORE).astype(np.uint64)
    used = 2
    for rule in keep:
        bits = _RANK_BITS[rule]
        rank = (rank << np.uint64(bits)) | keys[rule].astype(np.uint64)
        used += bits
    return rank << np.uint64(64 - used)


def rank_origins(
    keep: Sequence[str],
    rank: np.ndarray,
    origin: np.ndarray,
    ground: np.ndarray | int,
) -> np.ndarray:
    """Returns the ranks with what the origin of each document does.

    The rule `human` takes what is known before what is not, and only of what is known
    as well human text before synthetic: of a text that a machine is known to have
    written and its copy with two words changed, of which nobody says anything, the
    first stays.

    Args:
      keep: As for `rank_documents`.
      rank: What it returned.
      origin: `Origin` codes as decided.
      ground: What each rests on, `origin.Ground` codes; one number where it is the same
        for all.
    """
    if _HUMAN not in keep:
        return rank
    used = 2 + sum(_RANK_BITS[rule] for rule in keep[: list(keep).index(_HUMAN) + 1])
    shift = np.uint64(64 - used)
    place = (2 * ground + (origin != Origin.HUMAN)).astype(np.uint64)
    most = np.uint64((1 << _RANK_BITS[_HUMAN]) - 1)
    return (rank & ~(most << shift)) | place << shift
