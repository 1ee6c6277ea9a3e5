"""Documents that go after exact copies are settled: for what, and how they are marked.

Rows name a document by its place in the order, as copies of one text have the same.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches, with_values
from synthfilter.core.hashing import find_sorted, mix
from synthfilter.core.schema import Reason

DROPPED = pa.schema(
    [
        (schema.ORDER, pa.uint64()),
        (schema.REASON, pa.uint8()),
        (schema.MATCH_HI, pa.uint64()),
        (schema.MATCH_LO, pa.uint64()),
        (schema.SIMILARITY, pa.float32()),
        (schema.MATCH_BUILD, pa.uint64()),
        (schema.USES, pa.int32()),
    ]
)


def may_drop(rank: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns in which pairs one document may be dropped for the other.

    Args:
      rank: Of each document.
      rows: Pairs of documents [pairs, 2].
    """
    # Nothing of a reference set is dropped, so that nothing near any of it stays; and
    # of the archive only what is near a reference set, which a build then refuses.
    reference, firm = rank < schema.RANK_CORE, rank < schema.RANK_OTHERS
    core = firm & ~reference
    return ~(reference[rows].all(axis=1) | core[rows].all(axis=1))


def places(read: pa.RecordBatch) -> np.ndarray:
    """Returns the place of each document by order and rank: the best has 0."""
    order, rank = column(read, schema.ORDER), column(read, schema.RANK)
    place = np.empty(len(order), np.int64)
    place[np.lexsort([mix(order), rank])] = np.arange(len(order))
    return place


def drop_rows(
    order: np.ndarray, kept: pa.RecordBatch, similarity: np.ndarray
) -> pa.RecordBatch:
    """Returns the `DROPPED` rows of documents.

    Args:
      order: Of each.
      kept: Rank and content hash of what each goes for.
      similarity: Of the two.
    """
    reference = column(kept, schema.RANK) < schema.RANK_CORE
    values = {
        schema.ORDER: order,
        schema.REASON: np.where(
            reference, Reason.REFERENCE_COPY, Reason.NEAR_COPY
        ).astype(np.uint8),
        schema.MATCH_HI: kept.column(schema.CONTENT_HI),
        schema.MATCH_LO: kept.column(schema.CONTENT_LO),
        schema.SIMILARITY: similarity.astype(np.float32),
        schema.MATCH_BUILD: np.zeros(len(order), np.uint64),
        schema.USES: np.zeros(len(order), np.int32),
    }
    return pa.RecordBatch.from_pydict(values, schema=DROPPED)


def _none_dropped() -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=DROPPED)


def mark_dropped(
    settled: pa.RecordBatch, dropped: Iterable[pa.RecordBatch]
) -> pa.RecordBatch:
    """Returns `schema.DECIDED` rows with reason and match of what is dropped."""
    gone = concat_batches([_none_dropped(), *dropped])
    gone = gone.take(pa.array(np.argsort(column(gone, schema.ORDER))))
    at = find_sorted(column(gone, schema.ORDER), column(settled, schema.ORDER))
    # Exact copies have the order of what they are a copy of, and their reason already.
    alive = column(settled, schema.REASON) == Reason.KEPT
    rows = np.flatnonzero((at >= 0) & alive)
    told = [name for name in DROPPED.names if name != schema.ORDER]
    return with_values(settled, rows, {n: column(gone, n)[at[rows]] for n in told})
