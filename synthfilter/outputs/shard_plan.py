"""Which shard each row of each block goes to: a function, the same everywhere.

The blocks of each declared origin are laid on a line in random order, each as long
as the bytes that it is expected to keep; shard s takes the s-th of n equal pieces of
every line. So each shard has its part of every origin, is read from whole blocks but
for one or two of each line, and no document has to travel to find its shard.
"""

import dataclasses
import math

import numpy as np

from synthfilter.core.hashing import mix
from synthfilter.core.schema import SLICE_BITS, SLICES_PER_BLOCK, slice_keys

# More than one shard: leaves room for chance, so that none exceeds the maximum.
_MARGIN = 1.1


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """Where each slice of each block lies on its line, in [0, 1].

    Attributes:
      shards: Number of shards.
      key: Slice keys (`schema.slice_keys`), ascending, int64.
      rows: Number of rows of each.
      start: Where each begins, float64.
      stop: Where each ends.
    """

    shards: int
    key: np.ndarray
    rows: np.ndarray
    start: np.ndarray
    stop: np.ndarray


def count_shards(total_bytes: float, max_shard_bytes: int) -> int:
    """Returns the number of shards for so many bytes of text."""
    if total_bytes <= max_shard_bytes:
        return 1
    return math.ceil(total_bytes * _MARGIN / max_shard_bytes)


def plan_shards(
    key: np.ndarray,
    declared: np.ndarray,
    rows: np.ndarray,
    expected_bytes: np.ndarray,
    max_shard_bytes: int,
    seed: int,
) -> ShardPlan:
    """Returns the plan for the slices of all blocks.

    Args:
      key: Slice keys, ascending, int64.
      declared: Declared origin of each slice.
      rows: Number of rows of each.
      expected_bytes: Bytes of text that each is expected to add to the set.
      max_shard_bytes: Bytes of text that a shard may hold.
      seed: Of the random order of blocks.
    """
    start, stop = np.zeros(len(key)), np.zeros(len(key))
    block = (key // SLICES_PER_BLOCK).astype(np.uint64)
    order = mix(block ^ mix(np.array([seed & (2**64 - 1)], np.uint64)))
    for group in np.unique(declared):
        line = np.flatnonzero(declared == group)
        line = line[np.lexsort([key[line], order[line]])]
        length = expected_bytes[line].astype(np.float64)
        if not length.any():
            length = rows[line].astype(np.float64)
        ends = np.cumsum(length) / length.sum()
        start[line[1:]], stop[line] = ends[:-1], ends
    shards = count_shards(float(expected_bytes.sum()), max_shard_bytes)
    return ShardPlan(shards, key, rows, start, stop)


def shard_of(plan: ShardPlan, block: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Returns the shard of each row, int64; the plan knows all blocks."""
    at = np.searchsorted(plan.key, slice_keys(block, row))
    part = ((row & ((1 << SLICE_BITS) - 1)) + 0.5) / plan.rows[at]
    place = plan.start[at] + (plan.stop[at] - plan.start[at]) * part
    return np.minimum((place * plan.shards).astype(np.int64), plan.shards - 1)
