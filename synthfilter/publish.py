"""Decisions to a published set: the shard of each document, its files, the manifest.

Where decisions and outputs meet, for `build`.
"""

import dataclasses
import datetime
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from synthfilter.core import progress, schema
from synthfilter.core.archive import ArchiveFile
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.errors import ShortageError
from synthfilter.core.schema import Origin
from synthfilter.decisions import decide
from synthfilter.decisions.cells import Bounds
from synthfilter.decisions.groups import Grouping
from synthfilter.decisions.letters import Letters, find_unwritten
from synthfilter.decisions.same_ids import SameIds
from synthfilter.decisions.summary import Summary
from synthfilter.decisions.truth import Truth, tell_prevalence
from synthfilter.identity import BuildIdentity
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_facts, load_ngrams, load_signatures
from synthfilter.insight.figures import (
    Figures,
    add_figures,
    measure_documents,
    measure_texts,
    top_sources,
)
from synthfilter.ledger.archive import commit_archive
from synthfilter.ledger.commit import commit_use
from synthfilter.measured import (
    describe_groups,
    describe_inputs,
    measure_block,
    measure_figures,
    tell_archive,
    tell_estimate,
    unscored_shares,
)
from synthfilter.outputs import manifest
from synthfilter.outputs.commit import Target, check_written, commit, release
from synthfilter.outputs.manifest import ShardRecord, add_records
from synthfilter.outputs.shard_plan import ShardPlan, plan_shards, shard_of
from synthfilter.outputs.shards import ShardRows, read_block_rows, write_shard
from synthfilter.outputs.uses import read_written, write_uses
from synthfilter.reporting import Publication, show_report, write_report
from synthfilter.version import __version__


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the set is called and where each of its rows goes.

    Attributes:
      build_id: Of the build.
      shards: The plan of its shards.
      sources: Keys of the sources that the report tells by name, uint64, ascending.
    """

    build_id: str
    shards: ShardPlan
    sources: np.ndarray


def plan_layout(
    summary: Summary,
    chosen: np.ndarray,
    identity: BuildIdentity,
    max_shard_bytes: int,
    seed: int,
) -> Layout:
    """Returns the build's id, the plan of its shards, and which sources have names.

    Args:
      summary: Of all documents.
      chosen: Bytes of each slice that are in the set; see `decide.count_chosen`.
      identity: Which build this is.
      max_shard_bytes: Bytes of text that a shard may hold.
      seed: Of the random order of blocks.
    """
    key, declared, rows = summary.slices.T
    return Layout(
        identity.build_id,
        plan_shards(key, declared, rows, chosen[:, 1], max_shard_bytes, seed),
        top_sources(summary.sources[:, 0].view(np.uint64), summary.sources[:, 1]),
    )


def choose_shards(
    decided: pa.RecordBatch,
    plan: decide.MixturePlan,
    bounds: Bounds,
    layout: Layout,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(shard, verdicts)`."""
    verdicts = decide.choose(decided, plan, bounds).select(schema.VERDICT.names)
    block, row = column(verdicts, schema.BLOCK), column(verdicts, schema.ROW)
    return split_by_key(verdicts, shard_of(layout.shards, block, row))


class WriteShard(beam.DoFn):
    """Writes the files of one shard and yields what became of its documents.

    Args:
      target: Where the build is made.
      seed: Of the random order.
      unit: Of the shares.
      grouping: How the mixture tells documents apart.
      facts_path: Where the facts of a block are.
      ngrams_path: Where its n-grams are.
      evidence: What to say beside the reasons of `schema.DECISION` rows.
      rejected_text: Whether rejected documents keep their text.
      letters_per_file: Dead letters of one input file that are written at most.
      excerpt: Characters of the text of examples in the report.
      signatures_path: Where the signatures of a block are, if a ledger is to be told
        what is written; else None.
      beats: Folder for progress, None for none.
    """

    def __init__(
        self,
        target: Target,
        seed: int,
        unit: str,
        grouping: Grouping,
        facts_path: Callable[[Block], str],
        ngrams_path: Callable[[Block], str],
        evidence: Callable[[pa.RecordBatch], pa.Array],
        rejected_text: bool,
        letters_per_file: int,
        excerpt: int,
        signatures_path: Callable[[Block], str] | None,
        beats: str | None,
    ) -> None:
        """Keeps the options."""
        self._target = target
        self._seed = seed
        self._unit = unit
        self._grouping = grouping
        self._facts_path = facts_path
        self._ngrams_path = ngrams_path
        self._evidence = evidence
        self._rejected_text = rejected_text
        self._letters_per_file = letters_per_file
        self._excerpt = excerpt
        self._signatures_path = signatures_path
        self._beats = beats

    def process(
        self,
        element: tuple[int, Iterable[pa.RecordBatch]],
        blocks: Mapping[int, Block],
        layout: Layout,
        letters: Mapping[int, Letters],
    ) -> Iterator[tuple[ShardRecord, Figures]]:
        """Yields record and figures of a shard of `schema.VERDICT` rows."""
        began = time.thread_time()
        shard, batches = element
        verdicts = concat_batches(batches)
        rows = ShardRows()
        signatures: list[np.ndarray] = []
        records = []
        figures = Figures()
        for key, part in split_by_key(verdicts, column(verdicts, schema.BLOCK)):
            record, seen = self._read_block(
                rows, signatures, blocks[key], part, layout, letters
            )
            records.append(record)
            figures = add_figures([figures, seen])
        figures = add_figures([figures, measure_texts(rows.kept)])
        total = add_records(records)
        count = layout.shards.shards
        uses = None
        folder = self._target.folder
        with manifest.writing(self._target.output):
            files = tuple(write_shard(rows, folder, shard, count, self._target.mark))
            if self._signatures_path is not None:
                uses = write_uses(rows.kept, signatures, folder, shard)
        unwritten = rows.unwritten
        # Text of this size would otherwise stay with the process from shard to shard.
        del rows
        pa.default_memory_pool().release_unused()
        size = int(total.written[:, schema.UNITS.index("bytes")].sum())
        seconds = time.thread_time() - began
        progress.beat(self._beats, "write", 1, size, count, seconds)
        yield (
            dataclasses.replace(total, files=files, uses=uses, unwritten=unwritten),
            figures,
        )

    def _read_block(
        self,
        rows: ShardRows,
        signatures: list[np.ndarray],
        block: Block,
        verdicts: pa.RecordBatch,
        layout: Layout,
        letters: Mapping[int, Letters],
    ) -> tuple[ShardRecord, Figures]:
        """Adds the documents of one block; returns what became of them, and figures.

        Args:
          rows: Of the shard, so far.
          signatures: Of its kept rows, so far; stays empty without a ledger.
          block: Where to read.
          verdicts: `schema.VERDICT` rows of the block that belong to the shard.
          layout: Of the set.
          letters: Dead letters, by block.
        """
        facts = load_facts(self._facts_path(block))
        decisions = decide.complete_verdicts(
            verdicts, facts, block.declared, self._seed
        )
        seen: list[Figures] = []
        read_block_rows(
            rows,
            block,
            facts,
            decisions,
            layout.build_id,
            self._evidence,
            self._rejected_text,
            functools.partial(self._see, seen),
            find_unwritten(
                letters,
                block.key,
                column(facts, schema.REASON),
                self._letters_per_file,
            ),
        )
        ngrams = load_ngrams(self._ngrams_path(block))
        seen.append(
            measure_figures(decisions, facts, ngrams, self._grouping, layout.sources)
        )
        if self._signatures_path is not None:
            signed = load_signatures(self._signatures_path(block))
            for told in rows.decisions[len(signatures) :]:
                signatures.append(signed[column(told, schema.ROW)])
        record = measure_block(decisions, facts, self._unit, self._grouping)
        return record, add_figures(seen)

    def _see(
        self, seen: list[Figures], documents: pa.RecordBatch, decisions: pa.RecordBatch
    ) -> None:
        """Adds what rows of documents say to the figures."""
        seen.append(measure_documents(documents, decisions, self._excerpt))


def commit_build(
    _: None,
    written: Iterable[ShardRecord],
    figures: Figures,
    found: Iterable[Block],
    letters: Mapping[int, Letters],
    plan: decide.MixturePlan,
    layout: Layout,
    truth: Truth,
    names: Iterable[tuple[str, str]],
    archive: Iterable[ArchiveFile],
    near_copies: Mapping[str, int] | None,
    same_ids: SameIds,
    published: Publication,
) -> dict[str, Any]:
    """Checks books and files, tells the ledger, publishes report and manifest.

    Returns the manifest.

    A build that dies before the end leaves its mark on the output; run again it makes
    the same set, and the ledger counts it once. No set is published of which the ledger
    does not know.

    Raises:
      ShortageError: not one document fits into the size asked for.
    """
    found, written, archive = list(found), list(written), list(archive)
    total = add_records(written)
    if not total.written.any():
        raise ShortageError(
            "the set would be empty: no single document is small enough for the "
            "target_size and share asked for; raise target_size"
        )
    options = published.options
    made = manifest.make_manifest(
        build_id=layout.build_id,
        version=__version__,
        options=options,
        detector={**published.detector, "unscored": unscored_shares(total)},
        inputs=describe_inputs(found, letters),
        total=total,
        rows_read=sum(b.rows for b in found if b.declared != Origin.REFERENCE),
        limited_by=plan.targets.limited_by,
        prevalence=tell_prevalence(truth, dict(names)),
        shares={
            **tell_estimate(truth, total, options),
            **describe_groups(total, plan, published.grouping, options),
        },
        near_copies=near_copies,
        core=tell_archive(archive),
        same_ids=dataclasses.asdict(same_ids),
    )
    target = published.target
    with manifest.writing(target.output):
        report = write_report(published, made, figures, layout.sources)
        check_written(target.folder, made)
    _tell_ledger(published, layout.build_id, written, archive)
    with manifest.writing(target.output):
        commit(target, made)
        show_report(target.output, made, report)
        release(target)
    return made


def _tell_ledger(
    published: Publication,
    build_id: str,
    written: Iterable[ShardRecord],
    archive: Iterable[ArchiveFile],
) -> None:
    """Tells the ledger, if there is one, what the build used."""
    ledger = published.ledger
    if ledger is None:
        return
    now = datetime.datetime.now(datetime.timezone.utc)
    uses = [shard.uses for shard in written if shard.uses is not None]
    commit_use(ledger, build_id, read_written(published.target.folder, uses), now)
    if archive:
        commit_archive(ledger, archive, build_id, now)
