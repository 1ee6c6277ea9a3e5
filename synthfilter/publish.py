"""Decisions to a published set: the shard of each document, its files, the manifest.

Where decisions and outputs meet, for `build`.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import books, hashing, progress, schema
from synthfilter.core.archive import ArchiveFile
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.claims import count_conflicts, no_conflicts
from synthfilter.core.errors import ShortageError
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions import decide
from synthfilter.decisions.cells import Bounds
from synthfilter.decisions.groups import Grouping, find_fresh, find_groups
from synthfilter.decisions.summary import Summary
from synthfilter.decisions.survey import add_weights, cell_numbers, group_keys
from synthfilter.decisions.truth import Truth, tell_prevalence, tell_shares
from synthfilter.detection.lengths import Threshold
from synthfilter.identity import BuildIdentity
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_facts, load_signatures
from synthfilter.ledger.archive import commit_archive
from synthfilter.ledger.commit import commit_use
from synthfilter.outputs import manifest
from synthfilter.outputs.manifest import ShardRecord
from synthfilter.outputs.shard_plan import ShardPlan, plan_shards, shard_of
from synthfilter.outputs.shards import ShardRows, read_block_rows, write_shard
from synthfilter.outputs.uses import read_written, write_uses
from synthfilter.version import __version__


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the set is called and where each of its rows goes."""

    build_id: str
    shards: ShardPlan


def plan_layout(
    summary: Summary,
    chosen: np.ndarray,
    identity: BuildIdentity,
    max_shard_bytes: int,
    seed: int,
) -> Layout:
    """Returns the build's id and the plan of its shards.

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
      output: The output folder.
      seed: Of the random order.
      unit: Of the shares.
      grouping: How the mixture tells documents apart.
      facts_path: Where the facts of a block are.
      evidence: What to say beside the reasons of `schema.DECISION` rows.
      rejected_text: Whether rejected documents keep their text.
      signatures_path: Where the signatures of a block are, if a ledger is to be told
        what is written; else None.
      beats: Folder for progress, None for none.
    """

    def __init__(
        self,
        output: str,
        seed: int,
        unit: str,
        grouping: Grouping,
        facts_path: Callable[[Block], str],
        evidence: Callable[[pa.RecordBatch], pa.Array],
        rejected_text: bool,
        signatures_path: Callable[[Block], str] | None,
        beats: str | None,
    ) -> None:
        """Keeps the options."""
        self._output = output
        self._seed = seed
        self._unit = unit
        self._grouping = grouping
        self._facts_path = facts_path
        self._evidence = evidence
        self._rejected_text = rejected_text
        self._signatures_path = signatures_path
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
        signatures: list[np.ndarray] = []
        entered = books.empty_books()
        written = np.zeros((2, len(schema.UNITS)), np.int64)
        unscored = np.zeros(len(Origin), np.int64)
        conflicts = no_conflicts()
        asked = [np.zeros((0, 2), np.int64)]
        groups = no_groups(self._grouping)
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
            if self._signatures_path is not None:
                signed = load_signatures(self._signatures_path(block))
                seen = len(signatures)
                for told in rows.decisions[seen:]:
                    signatures.append(signed[column(told, schema.ROW)])
            entered += decide.count_books(decisions)
            amounts, digest = measure_written(decisions, facts)
            written += amounts
            groups += measure_groups(decisions, facts, self._grouping)
            unscored += count_unscored(decisions, facts)
            conflicts += count_conflicts(
                column(decisions, schema.CLAIMS), column(decisions, schema.ORIGIN)
            )
            asked.append(measure_asked(decisions, facts, self._unit))
            digests.append(digest)
        count = layout.shards.shards
        files = tuple(write_shard(rows, self._output, shard, count))
        uses = None
        if self._signatures_path is not None:
            uses = write_uses(rows.kept, signatures, self._output, shard)
        # Text of this size would otherwise stay with the process from shard to shard.
        del rows
        pa.default_memory_pool().release_unused()
        progress.beat(self._beats, "write", 1, int(written[:, 1].sum()), count)
        digest = hashing.add_digests(digests)
        yield ShardRecord(
            files,
            entered,
            written,
            digest,
            unscored,
            conflicts,
            add_weights(np.concatenate(asked)),
            uses,
            groups,
        )


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


def measure_asked(
    decisions: pa.RecordBatch, facts: pa.RecordBatch, unit: str
) -> np.ndarray:
    """Returns what is written of one block whose origin is the detector's question.

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: All facts of the block, in order.
      unit: Of the weights.

    Returns:
      int64 [rows, 2]: key of group and cell, weight, repeated documents each time.
    """
    suspicions = column(decisions, schema.SUSPICION)
    copies = column(decisions, schema.COPIES).astype(np.int64)
    mine = (suspicions > 0) & (copies > 0)
    row = pa.array(column(decisions, schema.ROW)[mine])
    key = group_keys(
        column(decisions, schema.DECLARED)[mine],
        hashing.hash_names(facts.column(schema.SOURCE).take(row)),
    )
    words = column(decisions, schema.WORDS)[mine]
    key |= cell_numbers(words, suspicions[mine])
    weight = decide.weights(decisions, unit)[mine] * copies[mine]
    return add_weights(np.stack([key.view(np.int64), weight], axis=1))


def no_groups(grouping: Grouping) -> np.ndarray:
    """Returns the amounts of nothing: int64 [groups and fresh documents, unit]."""
    return np.zeros((len(grouping.names) + 1, len(schema.UNITS)), np.int64)


def measure_groups(
    decisions: pa.RecordBatch, facts: pa.RecordBatch, grouping: Grouping
) -> np.ndarray:
    """Returns what is written of one block by group, and of fresh documents."""
    amounts = no_groups(grouping)
    if grouping.is_plain():
        return amounts
    copies = column(decisions, schema.COPIES)
    mine = facts.take(decisions.column(schema.ROW))
    declared, origin = (
        column(decisions, name) for name in (schema.DECLARED, schema.ORIGIN)
    )
    group = find_groups(mine, declared, origin, grouping)
    fresh = np.zeros(len(group), bool)
    if grouping.fresh_from is not None:
        fresh = find_fresh(mine, group, grouping.fresh_from)
    kept = copies > 0
    for i, unit in enumerate(schema.UNITS):
        weight = copies * decide.weights(decisions, unit).astype(np.int64)
        size = len(grouping.names)
        amounts[:-1, i] = np.bincount(group[kept], weight[kept], size)
        amounts[-1, i] = weight[fresh].sum()
    return amounts


def count_unscored(decisions: pa.RecordBatch, facts: pa.RecordBatch) -> np.ndarray:
    """Returns how many documents with text have no score: int64 [declared origin].

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: All facts of the block, in order.
    """
    score = column(facts, schema.AI_SCORE)[column(decisions, schema.ROW)]
    text = ~np.isin(column(decisions, schema.REASON), schema.UNUSABLE)
    declared = column(decisions, schema.DECLARED)[text & np.isnan(score)]
    return np.bincount(declared, minlength=len(Origin))


def unscored_shares(written: Sequence[ShardRecord]) -> dict[str, dict[str, Any]]:
    """Returns how many of the documents with text have no score, by declared origin."""
    total = sum((shard.books for shard in written), books.empty_books())
    docs = total[..., schema.UNITS.index("docs")].sum(axis=1)
    docs[:, list(schema.UNUSABLE)] = 0
    unscored = sum(
        (shard.unscored for shard in written), np.zeros(len(Origin), np.int64)
    )
    found = {}
    for who in schema.WRITTEN:
        count, of = int(unscored[who]), int(docs[who].sum())
        share = count / of if of else None
        found[schema.ORIGIN_NAMES[who]] = {"docs": count, "of": of, "share": share}
    return found


def tell_evidence(
    decisions: pa.RecordBatch,
    threshold: Threshold,
    options: Mapping[Reason, str],
    conflicts: Sequence[str],
) -> pa.Array:
    """Returns what to say beside the reasons of `schema.DECISION` rows.

    Args:
      decisions: The rows.
      threshold: That human documents have reached.
      options: What to say of the options behind other reasons.
      conflicts: What to say of conflicts about human and about synthetic documents.
    """
    reason = column(decisions, schema.REASON)
    said = pa.array([options.get(each) for each in Reason], pa.string())
    said = said.take(decisions.column(schema.REASON))
    reached = pa.array([f"threshold={value}" for value in threshold.values])
    bands = threshold.bands_of(column(decisions, schema.WORDS))
    flagged = pa.array(reason == Reason.HUMAN_SCORED_SYNTHETIC)
    said = pc.if_else(flagged, reached.take(pa.array(bands)), said)
    disputed = pa.array(reason == Reason.CONFLICT)
    origin = decisions.column(schema.ORIGIN)
    said = pc.if_else(disputed, pa.array(conflicts, pa.string()).take(origin), said)
    similarity = column(decisions, schema.SIMILARITY)
    match = hashing.hex_hashes(
        column(decisions, schema.MATCH_HI), column(decisions, schema.MATCH_LO)
    )
    exact = (reason == Reason.EXACT_COPY).tolist()
    near = [
        "" if same else f" similarity {value:.3f}"
        for same, value in zip(exact, similarity.tolist(), strict=True)
    ]
    match = pc.binary_join_element_wise(match, pa.array(near, pa.string()), "")
    said = pc.if_else(pa.array(similarity > 0), match, said)
    reused = np.isin(reason, (Reason.USED_BEFORE, Reason.TOO_DEEP))
    if not reused.any():
        return said
    return pc.replace_with_mask(
        said, pa.array(reused), tell_reuse(decisions.filter(pa.array(reused)))
    )


def tell_reuse(decisions: pa.RecordBatch) -> pa.Array:
    """Returns what to say of documents that were used before, or are too deep."""
    names = (schema.MATCH_BUILD, schema.USES, schema.DEPTH)
    told = zip(*(column(decisions, name).tolist() for name in names), strict=True)
    match = hashing.hex_hashes(
        column(decisions, schema.MATCH_HI), column(decisions, schema.MATCH_LO)
    ).to_pylist()
    said = []
    for (build, uses, depth), text in zip(told, match, strict=True):
        line = f"generation={depth - 1 if depth else 'unknown'}"
        if uses:
            line = f"build={build:016x} uses={uses} {line} hash={text}"
        said.append(line)
    return pa.array(said, pa.string())


def commit_build(
    _: None,
    written: Iterable[ShardRecord],
    found: Iterable[Block],
    plan: decide.MixturePlan,
    layout: Layout,
    truth: Truth,
    names: Iterable[tuple[str, str]],
    archive: Iterable[ArchiveFile],
    output: str,
    options: Mapping[str, Any],
    detector: Mapping[str, str],
    ledger: str | None,
    near_copies: Mapping[str, int] | None,
    grouping: Grouping,
) -> dict[str, Any]:
    """Checks the books, publishes the manifest, tells the ledger; returns the manifest.

    A build that dies before the end leaves its mark on the output; run again it makes
    the same set, and the ledger counts it once.

    Raises:
      ShortageError: not one document fits into the size asked for.
    """
    found, written, archive = list(found), list(written), list(archive)
    if not any(shard.written.any() for shard in written):
        raise ShortageError(
            "the set would be empty: no single document is small enough for the "
            "target_size and share asked for; raise target_size"
        )
    made = manifest.make_manifest(
        build_id=layout.build_id,
        version=__version__,
        options=options,
        detector={**detector, "unscored": unscored_shares(written)},
        inputs=describe_inputs(found),
        shards=written,
        rows_read=sum(b.rows for b in found if b.declared != Origin.REFERENCE),
        limited_by=plan.targets.limited_by,
        prevalence=tell_prevalence(truth, dict(names)),
        shares={
            **tell_estimate(truth, written, options),
            **describe_groups(written, plan, grouping, options),
        },
        near_copies=near_copies,
        core=tell_archive(archive),
    )
    manifest.commit(output, made)
    uses = [shard.uses for shard in written if shard.uses is not None]
    if ledger is not None:
        now = datetime.datetime.now(datetime.timezone.utc)
        commit_use(ledger, layout.build_id, read_written(output, uses), now)
        if archive:
            commit_archive(ledger, archive, layout.build_id, now)
    manifest.release(output)
    return made


def tell_estimate(
    truth: Truth, written: Sequence[ShardRecord], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what the manifest says of the share of a set that is really synthetic.

    Args:
      truth: What is likely.
      written: What is in the set.
      options: That the content depends on.
    """
    asked_for = (
        options["synthetic_fraction"],
        options["max_synthetic_fraction"],
        options["mixture"].get("synthetic"),
    )
    asked = np.concatenate([np.zeros((0, 2), np.int64), *(s.asked for s in written)])
    at = schema.UNITS.index(options["unit"])
    human, synthetic = (
        sum(int(shard.written[who, at]) for shard in written)
        for who in (Origin.HUMAN, Origin.SYNTHETIC)
    )
    return {
        "asked": next((share for share in asked_for if share is not None), None),
        "counts": options["count"],
        **tell_shares(truth, asked, human, synthetic),
    }


def tell_archive(archive: Iterable[ArchiveFile]) -> dict[str, Any] | None:
    """Returns what the manifest says of the archive; None where there is none."""
    files = sorted(archive, key=lambda file: file.name)
    if not files:
        return None
    return {
        "digest": hashing.add_digests(file.digest for file in files),
        **{
            name: sum(getattr(file, name) for file in files)
            for name in ("documents", "bytes", "words")
        },
        "files": [dataclasses.asdict(file) for file in files],
    }


def describe_groups(
    written: Sequence[ShardRecord],
    plan: decide.MixturePlan,
    grouping: Grouping,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns what the manifest says of groups and fresh documents, if asked for."""
    got = sum((shard.groups for shard in written), no_groups(grouping))
    said: dict[str, Any] = {}
    if options["mixture"]:
        said["groups"] = {
            name: {
                "asked": target.asked,
                "available": target.available,
                "got": _by_unit(got[grouping.names.index(name)]),
            }
            for name, target in plan.targets.groups.items()
        }
    if options["min_fresh"] is not None:
        unit = schema.UNITS.index(options["unit"])
        whole = sum(int(shard.written[:, unit].sum()) for shard in written)
        said["fresh"] = {
            "after": options["fresh_after"],
            "asked": options["min_fresh"],
            "share": int(got[-1, unit]) / whole,
            "got": _by_unit(got[-1]),
        }
    return said


def _by_unit(amounts: np.ndarray) -> dict[str, int]:
    return dict(zip(schema.UNITS, amounts.tolist(), strict=True))


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
