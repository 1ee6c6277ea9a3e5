"""Near copies: which documents to compare, how similar they are, and which stay.

Bands of signatures (see `minhash`) give candidates, candidates are compared exactly,
and the rule is greedy by rank: a document is dropped when it is a near copy of one that
is kept. There is no transitive closure: what is similar only to a dropped document
stays.
"""

from typing import NamedTuple, Protocol

import numpy as np

from synthfilter.core.hashing import distinct, find_sorted, mix
from synthfilter.decisions.minhash import Shingles, ranges, split_rows

MAX_BUCKET = 256
"""Documents of one band that all others of it are compared with."""
MAX_CROWD = 1 << 17
"""Documents kept of all crowds that are searched again; more are not alike."""

# What is looked at in one step; of shingles, so few that the arrays fit the cache.
_CHUNK_PAIRS = 1 << 20
_CHUNK_SHINGLES = 1 << 17


class Candidates(NamedTuple):
    """Documents to compare.

    Attributes:
      pairs: The documents' ids [pairs, 2], the lower one first; each pair once, sorted.
      crowded: Ids of the documents left out of some pairs, because too many share one
        of their keys; sorted.
    """

    pairs: np.ndarray
    crowded: np.ndarray


class Resolution(NamedTuple):
    """The documents that are dropped, in the order of their rows.

    Attributes:
      dropped: int64 rows.
      kept: The row, kept, that each is a near copy of.
      similarity: How similar the two are.
    """

    dropped: np.ndarray
    kept: np.ndarray
    similarity: np.ndarray


def candidate_pairs(
    key: np.ndarray,
    document: np.ndarray,
    max_bucket: int,
    rank: np.ndarray | None = None,
) -> Candidates:
    """Returns the documents that share a key, in pairs.

    Of the documents of one key, in the order of their rank, each is paired with those
    before it, but with no more than the first `max_bucket`; where more share the key,
    with so many fewer that their pairs do not become more, down to the first. So a
    boilerplate in a million documents is a million pairs for each of its keys. Of many
    near copies of one text the best is then still compared with every other, and
    `resolve_greedily` drops all the others. That takes the same rank there and here:
    by any other order the best document would meet few of its copies, and those that
    it does not meet would stay.

    The order of rows does not matter; the same row may come more than once.

    Args:
      key: uint64 band keys.
      document: Id of the document that each is of; int64 or uint64.
      max_bucket: Documents of one key that all others are compared with, at least 1;
        fewer of keys that more documents share.
      rank: Of each row's document, the lowest first; None: a hash of the id. Ties are
        decided by that hash.

    Raises:
      ValueError: `max_bucket` is less than 1.
    """
    if max_bucket < 1:
        raise ValueError(f"max_bucket must be at least 1, got {max_bucket}")
    ids, member, key = _ranked_rows(key, document, rank)
    first = np.flatnonzero(_changes(key))
    size = np.diff(first, append=len(key))
    start = np.repeat(first, size)
    place = np.arange(len(key)) - start
    most = np.clip(max_bucket * (max_bucket + 1) // size, 1, max_bucket)
    most = np.repeat(most, size)
    # The one document that comes right after the first `most` has met them all.
    apart = (place >= most) & (np.repeat(size, size) > most + 1)
    pairs = _distinct_pairs(member, start, np.minimum(place, most), len(ids))
    return Candidates(ids[pairs], ids[distinct([member[apart]])])


def _ranked_rows(
    key: np.ndarray, document: np.ndarray, rank: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the rows whose key several rows have, by key and rank, each once.

    Returns:
      `(ids, member, key)`: the distinct documents; of each row the number of its
      document among them, and its key.
    """
    order = np.argsort(key)
    change = _changes(key[order])
    # Few keys come more than once; only those are sorted in full.
    rows = order[~(change & np.append(change[1:], True))]
    ids = distinct([document[rows]])
    member = np.searchsorted(ids, document[rows])
    by_rank = [mix(ids.astype(np.uint64))]
    if rank is not None:
        best = np.full(len(ids), np.iinfo(rank.dtype).max, rank.dtype)
        np.minimum.at(best, member, rank[rows])
        by_rank.append(best)
    ranked = np.lexsort(by_rank)
    place = np.empty(len(ids), np.int64)
    place[ranked] = np.arange(len(ids))
    # Rows of one key lie together already, so that a number says which it is; sorting
    # numbers takes a tenth of the time of sorting by columns.
    changed = _changes(key[rows])
    codes = np.cumsum(changed) - 1
    codes *= len(ids)
    codes += place[member]
    at, place = np.divmod(distinct([codes]), max(len(ids), 1))
    return ids, ranked[place], key[rows][changed][at]


def _changes(values: np.ndarray) -> np.ndarray:
    """Returns where a value differs from the one before; the first one does."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def _distinct_pairs(
    member: np.ndarray, start: np.ndarray, count: np.ndarray, members: int
) -> np.ndarray:
    """Returns the distinct pairs of each row with `count` rows from `start` on.

    Args:
      member: Number of each row's document, below `members`.
      start: First row to pair each row with.
      count: How many to pair it with.
      members: Number of documents.
    """
    offsets = np.concatenate([[0], np.cumsum(count)])
    found = np.zeros(0, np.int64)
    more: list[np.ndarray] = []
    waiting = 0
    for begin, end in split_rows(offsets, _CHUNK_PAIRS):
        one = np.repeat(member[begin:end], count[begin:end])
        other = member[ranges(start[begin:end], count[begin:end])]
        more.append(np.minimum(one, other) * members + np.maximum(one, other))
        waiting += len(one)
        # Now and then, so that pairs found by several keys are not held as often.
        if waiting > len(found) + _CHUNK_PAIRS:
            found, more, waiting = distinct([found, *more]), [], 0
    found = distinct([found, *more])
    return np.stack(np.divmod(found, max(members, 1)), axis=1)


def true_similarity(shingles: Shingles, pairs: np.ndarray) -> np.ndarray:
    """Returns the Jaccard similarity of the shingle sets of each pair, float64.

    A document without shingles has similarity 0 to all, itself included.

    Args:
      shingles: Of all documents.
      pairs: Rows of `shingles` [pairs, 2].
    """
    size = np.diff(shingles.offsets)[pairs]
    similarity = np.zeros(len(pairs))
    filled = np.flatnonzero(size.all(axis=1))
    pairs, size = pairs[filled], size[filled]
    offsets = np.concatenate([[0], np.cumsum(size.sum(axis=1))])
    for begin, end in split_rows(offsets, _CHUNK_SHINGLES):
        similarity[filled[begin:end]] = _similarity(
            shingles.hashes, shingles.offsets[pairs[begin:end]], size[begin:end]
        )
    return similarity


def _similarity(hashes: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns the similarity of each pair, all in one step.

    Args:
      hashes: Of all documents.
      start: Where the shingles of both documents start [pairs, 2].
      size: How many they are, at least 1.
    """
    side = np.repeat(np.tile(np.array([1, 2], np.uint8), len(size)), size.ravel())
    # Two at least go into each pair, so 16 bits count the pairs of a step.
    pair = np.repeat(np.arange(len(size), dtype=np.uint16), size.sum(axis=1))
    value = hashes[ranges(start.ravel(), size.ravel())]
    order = np.argsort(value)
    order = order[np.argsort(pair[order], kind="stable")]
    value, pair = value[order], pair[order]
    first = np.flatnonzero(_changes(value) | _changes(pair))
    sides = np.bitwise_or.reduceat(side[order], first)
    union = np.bincount(pair[first], minlength=len(size))
    return np.bincount(pair[first[sides == 3]], minlength=len(size)) / union


def resolve_greedily(
    pairs: np.ndarray, similarity: np.ndarray, rank: np.ndarray, threshold: float
) -> Resolution:
    """Returns the documents to drop, going through all from the best to the worst.

    A document is dropped if it is at or above the threshold with one that is kept; of
    those it names the most similar, of the equally similar the best. The result does
    not depend on the order of pairs.

    Args:
      pairs: Rows [pairs, 2]; a row's pair with itself says nothing.
      similarity: Of each pair.
      rank: Of each row, the lowest is the best; no two rows have the same.
      threshold: Least similarity of near copies.
    """
    near = (similarity >= threshold) & (pairs[:, 0] != pairs[:, 1])
    pairs, similarity = pairs[near], similarity[near]
    swap = rank[pairs[:, 0]] > rank[pairs[:, 1]]
    better = np.where(swap, pairs[:, 1], pairs[:, 0])
    worse = np.where(swap, pairs[:, 0], pairs[:, 1])
    # By the time that a pair's better document is looked at, all pairs in which it is
    # the worse one have been. Linear; the comparisons cost far more.
    order = np.lexsort([rank[better], -similarity, rank[worse]])
    better, worse, similarity = better[order], worse[order], similarity[order]
    out = bytearray(len(rank))
    chosen = []
    for index, (high, low) in enumerate(zip(better.data, worse.data, strict=True)):
        if not out[high] and not out[low]:
            out[low] = True
            chosen.append(index)
    found = np.array(chosen, np.int64)
    found = found[np.argsort(worse[found])]
    return Resolution(worse[found], better[found], similarity[found])


class Pairs(NamedTuple):
    """Pairs of rows, and what is known of them.

    Attributes:
      compared: Rows [pairs, 2].
      similarity: Of each of these.
      later: Rows of other pairs, which matter if both are kept.
      crowded: bool, of each row, whether it may be in pairs that are not here.
    """

    compared: np.ndarray
    similarity: np.ndarray
    later: np.ndarray
    crowded: np.ndarray


class Search(Protocol):
    """Finds and compares what is crowded."""

    def candidates(self, rows: np.ndarray) -> Candidates:
        """Returns pairs of some of the crowded rows, the lower one first."""

    def similarity(self, pairs: np.ndarray) -> np.ndarray:
        """Returns the similarity of each pair of rows [pairs, 2]."""


def resolve_in_rounds(
    pairs: Pairs, rank: np.ndarray, threshold: float, search: Search
) -> tuple[Resolution, np.ndarray]:
    """Returns the documents to drop, and rows of those kept that are crowded even then.

    After a round of `resolve_greedily`, pairs that were not compared are, if both their
    documents are kept: those that were put off, then candidates that are sought anew
    among the crowded. All is decided again, until there is nothing new. Then no two
    documents that are kept and were compared are near copies, and each that is dropped
    is near one that is kept: the same as if all had been compared, as what is dropped
    decides nothing. Only where many that are kept share a key and are not alike are
    there pairs that were never compared; more than `MAX_CROWD` of them are not looked
    at again.

    Args:
      pairs: What was compared, and what was not.
      rank: Of each row; see `resolve_greedily`.
      threshold: Least similarity of near copies.
      search: Finds and compares more.
    """
    compared, similarity, later, crowded = pairs
    while True:
        found = resolve_greedily(compared, similarity, rank, threshold)
        kept = np.ones(len(rank), bool)
        kept[found.dropped] = False
        now = kept[later].all(axis=1)
        new, later = later[now], later[~now]
        if not len(new):
            rows = np.flatnonzero(kept & crowded)
            if len(rows) > MAX_CROWD:
                return found, rows
            again, apart = search.candidates(rows)
            new = _without(again, compared[kept[compared].all(axis=1)], len(rank))
            if not len(new):
                return found, apart
        compared = np.concatenate([compared, new])
        similarity = np.concatenate([similarity, search.similarity(new)])


def _without(pairs: np.ndarray, others: np.ndarray, rows: int) -> np.ndarray:
    """Returns the pairs that are not among others, whichever row comes first."""
    one, other = (
        part.min(axis=1).astype(np.int64) * rows + part.max(axis=1)
        for part in (pairs, others)
    )
    return pairs[find_sorted(distinct([other]), one) < 0]
