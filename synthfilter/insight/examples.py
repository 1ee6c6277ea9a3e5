"""Some documents of each reason, and the texts with the most copies, for a report."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.hashing import hex_hashes, mix
from synthfilter.core.schema import Reason

MOST_EXAMPLES = 20
"""Of each reason."""
MOST_CLUSTERS = 1024
# An id or a name that is longer is cut.
_MOST_CHARACTERS = 200

EXCERPT = "excerpt"

EXAMPLE = pa.schema(
    [
        (schema.REASON, pa.string()),
        (schema.ID, pa.string()),
        (schema.SOURCE, pa.string()),
        (schema.ORIGIN, pa.string()),
        (schema.AI_SCORE, pa.float32()),
        (schema.WORDS, pa.int32()),
        (schema.CREATED, pa.string()),
        (schema.EVIDENCE, pa.string()),
        (EXCERPT, pa.string()),
        (schema.ORDER, pa.uint64()),
        (schema.IDENTITY, pa.uint64()),
    ]
)
# By which examples are chosen, and nothing to show.
ORDER = (schema.ORDER, schema.IDENTITY)


@dataclasses.dataclass(frozen=True)
class Clusters:
    """The texts in favour of which most documents were left out as copies.

    Attributes:
      copies: Of `_CLUSTER` rows, the largest first.
      missed: What a text may have more copies than it is counted here; and one that is
        missing, at all.
    """

    copies: pa.Table
    missed: int = 0


NEAR = "near"
_CLUSTER = pa.schema(
    [
        (schema.MATCH_HI, pa.uint64()),
        (schema.MATCH_LO, pa.uint64()),
        (schema.COPIES, pa.int64()),
        (NEAR, pa.int64()),
        (schema.IDENTITY, pa.uint64()),
        (schema.ID, pa.string()),
        (schema.SOURCE, pa.string()),
    ]
)


def no_examples() -> pa.Table:
    """Returns the examples of no documents."""
    return EXAMPLE.empty_table()


def find_examples(
    documents: pa.RecordBatch, decisions: pa.RecordBatch, excerpt: int
) -> pa.Table:
    """Returns some of these documents, at random but always the same.

    Args:
      documents: `schema.SHARD` or `schema.REJECTED` rows, with their text.
      decisions: The `schema.DECISION` rows of the same documents.
      excerpt: Characters of the text to show; 0 shows none.
    """
    order, reason = column(decisions, schema.ORDER), column(decisions, schema.REASON)
    rows = _first_of_each(reason, order, column(decisions, schema.IDENTITY))
    found, told = documents.take(pa.array(rows)), decisions.take(pa.array(rows))
    names = pa.array(schema.REASON_NAMES)
    nothing = pa.nulls(len(rows), pa.string())
    shown = nothing
    if excerpt:
        shown = pc.utf8_slice_codeunits(found.column(schema.TEXT), 0, excerpt)
    rejected = schema.EVIDENCE in found.schema.names
    return pa.table(
        [
            names.take(told.column(schema.REASON)),
            _cut(found.column(schema.ID)),
            _cut(found.column(schema.SOURCE)),
            found.column(schema.ORIGIN),
            found.column(schema.AI_SCORE),
            told.column(schema.WORDS),
            _cut(found.column(schema.CREATED)),
            _cut(found.column(schema.EVIDENCE if rejected else schema.ORIGIN_EVIDENCE)),
            shown.cast(pa.string()),
            *(told.column(name) for name in ORDER),
        ],
        schema=EXAMPLE,
    )


def find_dead_examples(letters: pa.RecordBatch, decisions: pa.RecordBatch) -> pa.Table:
    """Returns some records that could not be read.

    Args:
      letters: `schema.DEAD_LETTER` rows.
      decisions: The `schema.DECISION` rows of the same records.
    """
    address = column(decisions, schema.BLOCK) << 24
    order = mix((address + column(decisions, schema.ROW)).view(np.uint64))
    rows = pa.array(np.argsort(order)[:MOST_EXAMPLES])
    found = letters.take(rows)
    nothing = pa.nulls(found.num_rows, pa.string())
    said = pc.binary_join_element_wise(
        pc.fill_null(found.column(schema.POSITION), ""),
        pc.fill_null(found.column(schema.REASON), ""),
        ": ",
    )
    dead = pa.scalar(schema.REASON_NAMES[Reason.DEAD_LETTER])
    columns = {
        schema.REASON: pa.repeat(dead, found.num_rows),
        schema.ID: _cut(found.column("file")),
        schema.EVIDENCE: _cut(said),
        **dict.fromkeys(ORDER, pa.array(order).take(rows)),
        schema.AI_SCORE: pa.nulls(found.num_rows, pa.float32()),
        schema.WORDS: pa.nulls(found.num_rows, pa.int32()),
    }
    return pa.table(
        [columns.get(name, nothing) for name in EXAMPLE.names], schema=EXAMPLE
    )


def add_examples(parts: Iterable[pa.Table]) -> pa.Table:
    """Returns the examples of all parts together."""
    table = pa.concat_tables(parts).combine_chunks()
    reason = pc.index_in(
        table.column(schema.REASON), value_set=pa.array(schema.REASON_NAMES)
    )
    order, then = (table.column(name).to_numpy() for name in ORDER)
    rows = _first_of_each(reason.to_numpy(), order, then)
    return table.take(pa.array(rows))


def _first_of_each(
    reason: np.ndarray, order: np.ndarray, then: np.ndarray
) -> np.ndarray:
    """Returns the rows of each reason that come first in an order."""
    rows = np.lexsort((then, order, reason))
    told = reason[rows]
    first = np.flatnonzero(np.append(True, told[1:] != told[:-1]))[: len(rows)]
    sizes = np.diff(np.append(first, len(rows)))
    place = np.arange(len(rows)) - np.repeat(first, sizes)
    return rows[place < MOST_EXAMPLES]


def no_clusters() -> Clusters:
    """Returns the clusters of no documents."""
    return Clusters(_CLUSTER.empty_table())


def find_clusters(documents: pa.RecordBatch, decisions: pa.RecordBatch) -> Clusters:
    """Returns the texts of which documents were left out as copies.

    Args:
      documents: Rows with an id and a source.
      decisions: The `schema.DECISION` rows of the same documents.
    """
    reason = column(decisions, schema.REASON)
    mine = pa.array(np.isin(reason, (Reason.EXACT_COPY, Reason.NEAR_COPY)))
    found, told = documents.filter(mine), decisions.filter(mine)
    near = column(told, schema.REASON) == Reason.NEAR_COPY
    table = pa.table(
        [
            told.column(schema.MATCH_HI),
            told.column(schema.MATCH_LO),
            pa.array(np.ones(len(near), np.int64)),
            pa.array(near.astype(np.int64)),
            told.column(schema.IDENTITY),
            _cut(found.column(schema.ID)),
            _cut(found.column(schema.SOURCE)),
        ],
        schema=_CLUSTER,
    )
    return add_clusters([Clusters(table)])


def add_clusters(parts: Iterable[Clusters]) -> Clusters:
    """Returns the clusters of all parts together; the smallest of very many are lost.

    How much a text can have lost so is counted, too.
    """
    parts = list(parts)
    table = pa.concat_tables([part.copies for part in parts]).combine_chunks()
    missed = sum(part.missed for part in parts)
    if not table.num_rows:
        return Clusters(table, missed)
    hi, lo, copies, near, identity = (
        table.column(name).to_numpy() for name in _CLUSTER.names[:5]
    )
    rows = np.lexsort((identity, lo, hi))
    changed = (hi[rows][1:] != hi[rows][:-1]) | (lo[rows][1:] != lo[rows][:-1])
    first = np.flatnonzero(np.append(True, changed))
    totals = np.add.reduceat(np.stack([copies[rows], near[rows]]), first, axis=1)
    largest = np.argsort(-totals[0], kind="stable")
    if len(largest) > MOST_CLUSTERS:
        missed += int(totals[0, largest[MOST_CLUSTERS]])
    largest = largest[:MOST_CLUSTERS]
    found = table.take(pa.array(rows[first[largest]]))
    for name, values in zip((schema.COPIES, NEAR), totals[:, largest], strict=True):
        found = found.set_column(
            _CLUSTER.get_field_index(name), _CLUSTER.field(name), pa.array(values)
        )
    return Clusters(found, missed)


def tell_clusters(clusters: Clusters, most: int) -> dict:
    """Returns the largest clusters as they stand in a report.

    Args:
      clusters: Of all documents.
      most: How many to tell.
    """
    table = clusters.copies.slice(0, most)
    hashes = hex_hashes(
        table.column(schema.MATCH_HI).to_numpy(),
        table.column(schema.MATCH_LO).to_numpy(),
    )
    rows = table.drop_columns([schema.MATCH_HI, schema.MATCH_LO, schema.IDENTITY])
    largest = [
        {schema.CONTENT_HASH: text, **row}
        for text, row in zip(hashes.to_pylist(), rows.to_pylist(), strict=True)
    ]
    return {"largest": largest, "at_most_missed": clusters.missed}


def _cut(column: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(column, 0, _MOST_CHARACTERS)
