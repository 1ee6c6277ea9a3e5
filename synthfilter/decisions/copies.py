"""Exact copies: which documents have the same text, and which of them stays."""

from collections.abc import Sequence

import numpy as np

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin

KEEP_RULES = ("human", "longest", "oldest")


def check_keep(keep: Sequence[str]) -> None:
    """Raises UserError unless every rule is known and none comes twice."""
    if len(set(keep)) != len(keep) or not set(keep) <= set(KEEP_RULES):
        raise UserError(
            f"keep takes each of {', '.join(KEEP_RULES)} at most once; "
            f"got {', '.join(keep)}"
        )


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


def rank_keys(
    keep: Sequence[str],
    origin: np.ndarray,
    size: np.ndarray,
    created: np.ndarray,
    last: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Returns the keys by which copies are ranked, for `find_exact_copies`.

    Args:
      keep: Rules of `KEEP_RULES`, the most important first.
      origin: `Origin` codes.
      size: Bytes of the text as it came.
      created: Milliseconds since 1970; unknown times are the largest int64.
      last: Keys that decide what the rules leave open.
    """
    keys = {
        "human": (origin != Origin.HUMAN).astype(np.uint8),
        "longest": -size.astype(np.int64),
        "oldest": created,
    }
    return [*(keys[rule] for rule in keep), *last]
