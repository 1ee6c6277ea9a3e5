"""Shards: documents read again by address, with what was decided about them."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema
from synthfilter.core.batches import column, set_column
from synthfilter.core.claims import tell_origin
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import document_ids, hex_hashes
from synthfilter.core.schema import Origin, Reason
from synthfilter.core.secrets import redact, redact_column
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents
from synthfilter.outputs.parquet import FileRecord, write_parquet

_ORIGIN_TEXT = pa.array(schema.ORIGIN_NAMES)
_REASON_TEXT = pa.array(schema.REASON_NAMES)

# What is read of a document again.
_READ = tuple(
    name
    for name in schema.DOCUMENT.names
    if name in schema.SHARD.names and name != schema.ORIGIN
)

# Is shown documents with what was decided about them, row by row.
Show = Callable[[pa.RecordBatch, pa.RecordBatch], None]


@dataclasses.dataclass
class ShardRows:
    """The rows of one shard as they are read: batches and, for kept rows, their order.

    Attributes:
      kept: Batches of `schema.SHARD`.
      decisions: The decisions of the rows of `kept`, batch by batch.
      rejected: Batches of `schema.REJECTED`.
      dead: Batches of `schema.DEAD_LETTER`.
      unwritten: Dead letters that are only counted.
    """

    kept: list[pa.RecordBatch] = dataclasses.field(default_factory=list)
    decisions: list[pa.RecordBatch] = dataclasses.field(default_factory=list)
    rejected: list[pa.RecordBatch] = dataclasses.field(default_factory=list)
    dead: list[pa.RecordBatch] = dataclasses.field(default_factory=list)
    unwritten: int = 0


def read_block_rows(
    rows: ShardRows,
    block: Block,
    facts: pa.RecordBatch,
    decisions: pa.RecordBatch,
    build_id: str,
    evidence: Callable[[pa.RecordBatch], pa.Array],
    rejected_text: bool,
    show: Show,
    unwritten: np.ndarray | None = None,
) -> None:
    """Adds the decided documents of one block to the rows of a shard.

    Args:
      rows: The shard's rows so far.
      block: Where to read the documents.
      facts: Facts of all rows of the block.
      decisions: `schema.DECISION` rows of this block that belong to the shard.
      build_id: Of this build.
      evidence: What to say beside the reasons of `schema.DECISION` rows.
      rejected_text: Whether rejected documents keep their text.
      show: Is shown `schema.SHARD` rows, `schema.REJECTED` rows with their text, and
        `schema.DEAD_LETTER` rows.
      unwritten: Which rows of the block are dead letters that are only counted; None
        for none.

    Raises:
      UserError: a document cannot be read any more.
    """
    decisions = decisions.take(pc.array_sort_indices(decisions.column(schema.ROW)))
    if unwritten is not None and unwritten.any():
        only_counted = unwritten[column(decisions, schema.ROW)]
        rows.unwritten += int(only_counted.sum())
        decisions = decisions.filter(pa.array(~only_counted))
    facts = facts.take(decisions.column(schema.ROW))
    dead = pa.array(column(decisions, schema.REASON) == Reason.DEAD_LETTER)
    if pc.any(dead).as_py():
        rows.dead.append(_dead_letters(block, facts.filter(dead)))
        show(rows.dead[-1], decisions.filter(dead))
        alive = pc.invert(dead)
        facts, decisions = facts.filter(alive), decisions.filter(alive)
    at = 0
    wanted = column(decisions, schema.ROW).astype(np.int64)
    for documents in read_documents(block, _READ, wanted):
        known, told = (
            each.slice(at, documents.num_rows) for each in (facts, decisions)
        )
        at += documents.num_rows
        _check_unchanged(documents, known, block)
        table = _told_rows(documents, known, told, build_id)
        _add_rows(rows, table, told, evidence, rejected_text, show)


def _add_rows(
    rows: ShardRows,
    table: pa.RecordBatch,
    decisions: pa.RecordBatch,
    evidence: Callable[[pa.RecordBatch], pa.Array],
    rejected_text: bool,
    show: Show,
) -> None:
    """Adds documents, as `schema.SHARD` rows, to what is kept or rejected."""
    keep = pa.array(column(decisions, schema.REASON) == Reason.KEPT)
    kept = table.filter(keep)
    if kept.num_rows:
        rows.kept.append(kept)
        rows.decisions.append(decisions.filter(keep))
        show(kept, rows.decisions[-1])
    if kept.num_rows < table.num_rows:
        drop = pc.invert(keep)
        left_out = decisions.filter(drop)
        rejected = _rejected(table.filter(drop), left_out, evidence)
        show(rejected, left_out)
        if not rejected_text:
            nothing = pa.nulls(rejected.num_rows, pa.large_string())
            rejected = set_column(rejected, schema.TEXT, nothing)
        rows.rejected.append(rejected)


def _check_unchanged(
    documents: pa.RecordBatch, facts: pa.RecordBatch, block: Block
) -> None:
    """Raises UserError if what is read now is not what the facts were computed from."""
    failed = documents.column(schema.ERROR).drop_null()
    size = pc.binary_length(documents.column(schema.TEXT))
    changed = not pc.all(pc.equal(size, facts.column(schema.BYTES))).as_py()
    if len(failed) or changed:
        said = failed[0] if len(failed) else "a text has another length"
        raise UserError(
            f"{block.file} was read once, and now: {said}; build again when the "
            "file is whole and nothing changes it"
        )


def _told_rows(
    documents: pa.RecordBatch,
    facts: pa.RecordBatch,
    decisions: pa.RecordBatch,
    build_id: str,
) -> pa.RecordBatch:
    """Returns documents with their facts and decisions as rows of `schema.SHARD`."""
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    origin = column(decisions, schema.ORIGIN)
    known = {name: documents.column(name) for name in documents.schema.names}
    human = pa.array(origin == Origin.HUMAN)
    known[schema.ID] = document_ids(known[schema.ID], known[schema.SOURCE], hi, lo)
    known[schema.ORIGIN] = _ORIGIN_TEXT.take(pa.array(origin))
    known[schema.ORIGIN_EVIDENCE] = tell_origin(
        column(decisions, schema.CLAIMS), origin
    )
    depth = column(decisions, schema.DEPTH)
    found = pa.array(depth - 1, mask=depth == 0)
    declared_depth = pc.coalesce(found, known[schema.SYNTH_GENERATION])
    known[schema.SYNTH_GENERATION] = pc.if_else(
        human, pa.scalar(0, pa.int32()), declared_depth
    )
    known[schema.AI_SCORE] = pc.if_else(
        pc.is_nan(facts.column(schema.AI_SCORE)),
        pa.scalar(None, pa.float32()),
        facts.column(schema.AI_SCORE),
    )
    known[schema.CONTENT_HASH] = hex_hashes(hi, lo)
    known[schema.BUILD_ID] = pa.repeat(pa.scalar(build_id), len(origin))
    return pa.RecordBatch.from_arrays(
        [known[name] for name in schema.SHARD.names], schema=schema.SHARD
    )


def _rejected(
    table: pa.RecordBatch,
    decisions: pa.RecordBatch,
    evidence: Callable[[pa.RecordBatch], pa.Array],
) -> pa.RecordBatch:
    """Returns the rows with reason and evidence, as `schema.REJECTED`."""
    reason = decisions.column(schema.REASON)
    columns = [*table.columns, _REASON_TEXT.take(reason), evidence(decisions)]
    return pa.RecordBatch.from_arrays(columns, schema=schema.REJECTED)


def _dead_letters(block: Block, facts: pa.RecordBatch) -> pa.RecordBatch:
    """Returns `schema.DEAD_LETTER` rows for facts that carry an error."""
    rows = facts.num_rows
    return pa.RecordBatch.from_arrays(
        [
            pa.repeat(pa.scalar(redact(block.file)), rows),
            facts.column(schema.POSITION),
            pa.repeat(pa.scalar("read"), rows),
            redact_column(facts.column(schema.ERROR)),
        ],
        schema=schema.DEAD_LETTER,
    )


def write_shard(
    rows: ShardRows, folder: str, shard: int, shards: int, mark: str = ""
) -> Iterator[FileRecord]:
    """Writes what a shard holds, each kind to its folder; a kind without rows, not.

    Args:
      rows: What it holds.
      folder: Where to write.
      shard: Its number.
      shards: How many there are.
      mark: At the end of the files' names (`manifest.Target`).
    """
    number = f"{shard:05d}-of-{shards:05d}{mark}.parquet"
    if rows.kept:
        told = [np.concatenate([column(d, n) for d in rows.decisions]) for n in _SORT]
        copies = np.concatenate([column(d, schema.COPIES) for d in rows.decisions])
        each = np.repeat(np.arange(len(copies)), copies)
        yield write_parquet(folder, f"data/train-{number}", rows.kept, told, each)
    for kind, batches in (("rejected", rows.rejected), ("dead_letter", rows.dead)):
        if batches:
            count = sum(batch.num_rows for batch in batches)
            in_order = [np.arange(count)]
            yield write_parquet(folder, f"{kind}/part-{number}", batches, in_order)


_SORT = (schema.ORDER, schema.IDENTITY, schema.BLOCK, schema.ROW)
