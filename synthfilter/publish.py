"""Decisions to a published set: the shard of each document, its files, the manifest.

Where decisions and outputs meet, for `build`.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import xxhash

from synthfilter.core import books, hashing, progress, schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.errors import ShortageError
from synthfilter.core.schema import Reason
from synthfilter.decisions import decide, mixture
from synthfilter.decisions.summary import Summary
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_facts
from synthfilter.outputs import manifest
from synthfilter.outputs.manifest import ShardRecord
from synthfilter.outputs.shard_plan import ShardPlan, plan_shards, shard_of
from synthfilter.outputs.shards import ShardRows, read_block_rows, write_shard
from synthfilter.version import __version__


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the set is called and where each of its rows goes."""

    build_id: str
    shards: ShardPlan


def plan_layout(
    summary: Summary,
    plan: decide.MixturePlan,
    digest: str,
    max_shard_bytes: int,
    seed: int,
    options: Mapping[str, Any],
) -> Layout:
    """Returns the build's id and the plan of its shards.

    The id depends on what was read and on the options, not on where it was read from.
    """
    key, declared, rows, *alive = summary.slices.T
    expected = np.zeros(len(key))
    for who, have in plan.available.items():
        part = plan.targets.weight[who] / have if have else 0.0
        expected += alive[who] * part
    said = repr((__version__, sorted(options.items()), digest))
    return Layout(
        xxhash.xxh3_64_hexdigest(said.encode()),
        plan_shards(key, declared, rows, expected, max_shard_bytes, seed),
    )


def choose_shards(
    decided: pa.RecordBatch,
    plan: decide.MixturePlan,
    bounds: Mapping[int, mixture.Bound],
    layout: Layout,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(shard, verdicts)`."""
    verdicts = decide.choose(decided, plan, bounds).select(schema.VERDICT.names)
    block, row = column(verdicts, schema.BLOCK), column(verdicts, schema.ROW)
    return split_by_key(verdicts, shard_of(layout.shards, block, row))


class WriteShard(beam.DoFn):
    """Writes the files of one shard and yields what became of its documents.

    Args:
      output: The output folder.
      seed: Of the random order.
      facts_path: Where the facts of a block are.
      evidence: What to say beside a reason, where it is the same for all documents.
      rejected_text: Whether rejected documents keep their text.
      beats: Folder for progress, None for none.
    """

    def __init__(
        self,
        output: str,
        seed: int,
        facts_path: Callable[[Block], str],
        evidence: Mapping[Reason, str],
        rejected_text: bool,
        beats: str | None,
    ) -> None:
        """Keeps the options."""
        self._output = output
        self._seed = seed
        self._facts_path = facts_path
        self._evidence = evidence
        self._rejected_text = rejected_text
        self._beats = beats

    def process(
        self,
        element: tuple[int, Iterable[pa.RecordBatch]],
        blocks: Mapping[int, Block],
        layout: Layout,
    ) -> Iterator[ShardRecord]:
        """Yields the record of a shard of `schema.VERDICT` rows."""
        shard, batches = element
        verdicts = concat_batches(batches)
        rows = ShardRows()
        entered = books.empty_books()
        written = np.zeros((2, len(schema.UNITS)), np.int64)
        digests = []
        for key, part in split_by_key(verdicts, column(verdicts, schema.BLOCK)):
            block = blocks[key]
            facts = load_facts(self._facts_path(block))
            decisions = decide.complete_verdicts(
                part, facts, block.declared, self._seed
            )
            read_block_rows(
                rows,
                block,
                facts,
                decisions,
                layout.build_id,
                self._evidence,
                self._rejected_text,
            )
            entered += decide.count_books(decisions)
            amounts, digest = measure_written(decisions, facts)
            written += amounts
            digests.append(digest)
        count = layout.shards.shards
        files = tuple(write_shard(rows, self._output, shard, count))
        # Text of this size would otherwise stay with the process from shard to shard.
        del rows
        pa.default_memory_pool().release_unused()
        progress.beat(self._beats, "write", 1, int(written[:, 1].sum()), count)
        yield ShardRecord(files, entered, written, hashing.add_digests(digests))


def measure_written(
    decisions: pa.RecordBatch, facts: pa.RecordBatch
) -> tuple[np.ndarray, str]:
    """Returns what is written of one block: int64 [origin, unit], and its digest."""
    copies = column(decisions, schema.COPIES)
    each = np.repeat(np.arange(len(copies)), copies)
    who = column(decisions, schema.ORIGIN)[each]
    amounts = np.zeros((2, len(schema.UNITS)), np.int64)
    for i, unit in enumerate(schema.UNITS):
        weight = decide.weights(decisions, unit)[each]
        amounts[:, i] = np.bincount(who, weight, 2)
    row = column(decisions, schema.ROW)[each]
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    return amounts, hashing.content_digest(hi[row], lo[row], who)


def commit_build(
    _: None,
    written: Iterable[ShardRecord],
    found: Iterable[Block],
    plan: decide.MixturePlan,
    layout: Layout,
    output: str,
    options: Mapping[str, Any],
    detector: Mapping[str, str],
) -> dict[str, Any]:
    """Checks the books, publishes the manifest and returns it.

    Raises:
      ShortageError: not one document fits into the size asked for.
    """
    found, written = list(found), list(written)
    if not any(shard.written.any() for shard in written):
        raise ShortageError(
            "the set would be empty: no single document is small enough for the "
            "target_size and share asked for; raise target_size"
        )
    made = manifest.make_manifest(
        build_id=layout.build_id,
        version=__version__,
        options=options,
        detector=detector,
        inputs=describe_inputs(found),
        shards=written,
        rows_read=sum(block.rows for block in found),
        limited_by=plan.targets.limited_by,
    )
    manifest.commit(output, made)
    return made


def describe_inputs(found: Iterable[Block]) -> list[dict[str, Any]]:
    """Returns what the manifest says of each input file, in the order of the input."""
    files: dict[str, dict[str, Any]] = {}
    for block in sorted(found, key=lambda block: block.key):
        file = files.setdefault(
            block.file,
            {
                "path": block.file,
                "declared": schema.ORIGIN_NAMES[block.declared],
                "fingerprint": block.fingerprint,
                "rows": 0,
            },
        )
        file["rows"] += block.rows
    return list(files.values())
