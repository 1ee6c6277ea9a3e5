"""The decisions, batch by batch: what the transforms of a build apply in this order.

facts -> judge -> (by content) -> settle_copies -> summarise -> bounds -> choose
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from synthfilter.core import books, schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import hash_texts, mix, order_hash
from synthfilter.core.schema import Origin, Reason
from synthfilter.core.uses import partition_of_hash
from synthfilter.decisions import mixture
from synthfilter.decisions.copies import find_exact_copies, rank_documents
from synthfilter.decisions.mixture import Bound, Selection, Shortage, Targets
from synthfilter.decisions.origin import OriginRules, OutsideEvidence, judge
from synthfilter.decisions.summary import Summary, sum_slices, sum_sources
from synthfilter.decisions.survey import suspicion

_NO_TIME = np.iinfo(np.int64).max


def judge_facts(
    facts: pa.RecordBatch,
    block: int,
    declared: Origin,
    threshold: np.ndarray,
    rules: OriginRules,
    outside: OutsideEvidence,
    keep: Sequence[str],
) -> pa.RecordBatch:
    """Returns `schema.JUDGED` rows for the facts of one block.

    Args:
      facts: All facts of the block, in order.
      block: Its key.
      declared: Its declared origin.
      threshold: From which score on each document counts as machine text, float32.
      rules: What conflicts and scores do.
      outside: What is known of origins besides.
      keep: Which of several copies stays, see `copies.rank_documents`.
    """
    rows = facts.num_rows
    named = np.full(rows, declared, np.uint8)
    score = column(facts, schema.AI_SCORE)
    claims = outside.add(
        column(facts, schema.CLAIMS),
        facts.column(schema.URL),
        facts.column(schema.CREATED),
        column(facts, schema.CONTENT_HI),
        column(facts, schema.CONTENT_LO),
    )
    found = judge(named, claims, score, column(facts, schema.REASON), threshold, rules)
    columns = {
        schema.BLOCK: np.full(rows, block, np.int64),
        schema.ROW: np.arange(rows, dtype=np.int32),
        schema.RANK: rank_facts(facts, named, found.origin, keep),
        schema.SOURCE_KEY: source_keys(facts.column(schema.SOURCE)),
        schema.DECLARED: named,
        schema.ORIGIN: found.origin,
        schema.REASON: found.reason,
        schema.CLAIMS: found.claims,
        schema.SUSPICION: suspicion(score, score >= threshold, found.open),
    }
    return pa.RecordBatch.from_arrays(
        [
            pa.array(columns[name]) if name in columns else facts.column(name)
            for name in schema.JUDGED.names
        ],
        schema=schema.JUDGED,
    )


def rank_facts(
    facts: pa.RecordBatch, declared: np.ndarray, who: np.ndarray, keep: Sequence[str]
) -> np.ndarray:
    """Returns the rank of each document among its copies; see `rank_documents`."""
    created = facts.column(schema.CREATED).fill_null(_NO_TIME).to_numpy()
    reviewed, size = column(facts, schema.REVIEWED), column(facts, schema.BYTES)
    return rank_documents(keep, declared, who, reviewed, size, created)


def source_keys(source: pa.Array) -> np.ndarray:
    """Returns a uint64 for each name of a source, 0 for none."""
    coded = source.dictionary_encode()
    names = np.append(hash_texts(coded.dictionary)[0], np.uint64(0))
    return names[coded.indices.fill_null(len(coded.dictionary)).to_numpy()]


def split_by_content(
    judged: pa.RecordBatch, partitions: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(partition, rows)`; documents of the same text meet in one partition."""
    return split_by_key(judged, content_partitions(judged, partitions))


def content_partitions(judged: pa.RecordBatch, partitions: int) -> np.ndarray:
    """Returns the partition of each `schema.JUDGED` row, int64."""
    # What is out already has no copies, and all empty texts would meet in one place.
    out = column(judged, schema.REASON) != Reason.KEPT
    apart = mix(column(judged, schema.BLOCK).view(np.uint64))
    apart = mix(apart + column(judged, schema.ROW).astype(np.uint64))
    key = np.where(out, apart, column(judged, schema.CONTENT_HI))
    return partition_of_hash(key, partitions)


def settle_copies(batches: Iterable[pa.RecordBatch], seed: int) -> pa.RecordBatch:
    """Returns the `schema.DECIDED` rows of one partition.

    Args:
      batches: `schema.JUDGED` rows.
      seed: Of the random order.
    """
    judged = concat_batches(batches)
    value = {name: column(judged, name) for name in schema.JUDGED.names}
    hi, lo = value[schema.CONTENT_HI], value[schema.CONTENT_LO]
    reason = value[schema.REASON].copy()
    still_in = np.flatnonzero(reason == Reason.KEPT)
    rank = [value[n] for n in (schema.RANK, schema.IDENTITY, schema.BLOCK, schema.ROW)]
    copies = find_exact_copies(
        hi[still_in],
        lo[still_in],
        value[schema.WORDS][still_in],
        [key[still_in] for key in rank],
    )
    again = still_in[copies]
    content = mix(hi) ^ lo
    known = content[still_in][value[schema.DECLARED][still_in] == Origin.REFERENCE]
    in_reference = np.isin(content[again], known)
    # The archive stays whole, copies within it included.
    gone = in_reference | (value[schema.DECLARED][again] != Origin.CORE)
    again, in_reference = again[gone], in_reference[gone]
    reason[again] = np.where(in_reference, Reason.REFERENCE_COPY, Reason.EXACT_COPY)
    is_copy = np.zeros(len(reason), np.uint8)
    is_copy[again] = 1
    value |= {
        schema.ORDER: order_hash(hi, lo, seed),
        schema.REASON: reason,
        schema.MATCH_HI: hi * is_copy,
        schema.MATCH_LO: lo * is_copy,
        schema.SIMILARITY: is_copy.astype(np.float32),
        schema.MATCH_BUILD: np.zeros(len(reason), np.uint64),
        schema.USES: np.zeros(len(reason), np.int32),
        schema.DEPTH: np.zeros(len(reason), np.int32),
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(value[name]) for name in schema.DECIDED.names], schema=schema.DECIDED
    )


def leave_reference(decided: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the rows that are no documents of a reference set."""
    mine = column(decided, schema.DECLARED) != Origin.REFERENCE
    return decided if mine.all() else decided.filter(pa.array(mine))


def summarise(decided: pa.RecordBatch, unit: str) -> Summary:
    """Returns the summary of `schema.DECIDED` rows."""
    value = {name: column(decided, name) for name in schema.DECIDED.names}
    alive = value[schema.REASON] == Reason.KEPT
    who = value[schema.ORIGIN]
    return Summary(
        books=count_books(decided),
        weights=mixture.histogram(
            who[alive], value[schema.ORDER][alive], weights(decided, unit)[alive]
        ),
        slices=sum_slices(
            schema.slice_keys(value[schema.BLOCK], value[schema.ROW]),
            value[schema.DECLARED],
            who,
            np.where(alive, value[schema.BYTES], 0),
        ),
        sources=sum_sources(value[schema.SOURCE_KEY], value[schema.REASON]),
    )


def count_books(decisions: pa.RecordBatch) -> np.ndarray:
    """Returns the books of `schema.DECIDED` or `schema.DECISION` rows."""
    names = (schema.DECLARED, schema.ORIGIN, schema.REASON, schema.BYTES, schema.WORDS)
    return books.count(*(column(decisions, name) for name in names))


def weights(rows: pa.RecordBatch, unit: str) -> np.ndarray:
    """Returns what each document weighs in a unit."""
    if unit == "docs":
        return np.ones(rows.num_rows, np.int32)
    return column(rows, {"bytes": schema.BYTES, "words": schema.WORDS}[unit])


@dataclasses.dataclass(frozen=True)
class Boundary:
    """Where the choice among the documents of one origin ends, to a bin.

    Attributes:
      copies: How often every document is in the set.
      bin: The bin of the order in which the choice ends; None: it takes none or all.
      rest: The weight to choose within the bin.
    """

    copies: int
    bin: int | None = None
    rest: int = 0


@dataclasses.dataclass(frozen=True)
class MixturePlan:
    """What the mixture is to be, and how far that settles which documents are in it."""

    available: Mapping[Origin, int]
    targets: Targets
    boundaries: Mapping[Origin, Boundary]


def plan_mixture(
    summary: Summary,
    unit: str,
    synthetic_fraction: float | None,
    max_synthetic_fraction: float | None,
    target_size: int | None,
    shortage: Shortage,
) -> MixturePlan:
    """Returns the plan for what is left after copies; see `mixture.plan_targets`.

    Raises:
      ShortageError: the policy is to fail on a shortage, and there is one; or
        nothing would be kept.
    """
    human, synthetic = (int(part) for part in summary.weights.sum(axis=1))
    available = {Origin.HUMAN: human, Origin.SYNTHETIC: synthetic}
    targets = mixture.plan_targets(
        available,
        synthetic_fraction,
        max_synthetic_fraction,
        target_size,
        shortage,
        unit,
    )
    if not any(targets.weight.values()):
        cause = f" for lack of {targets.limited_by}" if targets.limited_by else ""
        raise ShortageError(
            f"the set would be empty{cause}: {human} human and {synthetic} synthetic "
            f"{unit} are left after filters and copies; see the shares and filters "
            "asked for"
        )
    boundaries = {}
    for who, total in available.items():
        copies, rest = mixture.split_target(targets.weight[who], total)
        cut = mixture.boundary(summary.weights[who], rest)
        boundaries[who] = Boundary(copies, *cut) if cut else Boundary(copies)
    return MixturePlan(available, targets, boundaries)


def boundary_rows(
    decided: pa.RecordBatch, plan: MixturePlan, unit: str
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(origin, rows)` of the documents among which a bound must be found."""
    order = column(decided, schema.ORDER)
    alive = column(decided, schema.REASON) == Reason.KEPT
    for who, boundary in plan.boundaries.items():
        if boundary.bin is None:
            continue
        inside = mixture.bins(order) == boundary.bin
        mine = alive & inside & (column(decided, schema.ORIGIN) == who)
        if mine.any():
            keys = pa.RecordBatch.from_pydict(
                {
                    schema.ORDER: order,
                    schema.IDENTITY: decided.column(schema.IDENTITY),
                    "weight": weights(decided, unit),
                }
            )
            yield int(who), keys.filter(pa.array(mine))


def find_bound(
    element: tuple[int, Iterable[pa.RecordBatch]], plan: MixturePlan
) -> tuple[int, Bound]:
    """Returns `(origin, the first document in order that is no longer chosen)`."""
    who, batches = element
    rows = concat_batches(batches)
    order, identity, weight = (
        column(rows, name) for name in (schema.ORDER, schema.IDENTITY, "weight")
    )
    rest = plan.boundaries[Origin(who)].rest
    return who, mixture.bound_in_bin(order, identity, weight, rest)


def choose(
    decided: pa.RecordBatch, plan: MixturePlan, bounds: Mapping[int, Bound]
) -> pa.RecordBatch:
    """Returns `schema.DECISION` rows: what was still in is kept, or left out now."""
    value = {name: column(decided, name) for name in schema.DECIDED.names}
    alive = value[schema.REASON] == Reason.KEPT
    copies = np.zeros(len(alive), np.int32)
    for who, boundary in plan.boundaries.items():
        mine = alive & (value[schema.ORIGIN] == who)
        selection = Selection(boundary.copies, bounds.get(int(who)))
        copies[mine] = mixture.copies_of(
            value[schema.ORDER][mine], value[schema.IDENTITY][mine], selection
        )
    reason = np.where(alive & (copies == 0), Reason.MIXTURE, value[schema.REASON])
    known = {name: decided.column(name) for name in schema.DECIDED.names}
    known |= {
        schema.REASON: pa.array(reason.astype(np.uint8)),
        schema.COPIES: pa.array(copies),
    }
    return pa.RecordBatch.from_arrays(
        [known[name] for name in schema.DECISION.names], schema=schema.DECISION
    )


def complete_verdicts(
    verdicts: pa.RecordBatch, facts: pa.RecordBatch, declared: Origin, seed: int
) -> pa.RecordBatch:
    """Returns the `schema.DECISION` rows of `schema.VERDICT` rows of one block.

    Args:
      verdicts: What was decided about some documents of the block.
      facts: All facts of the block, in order.
      declared: Its declared origin.
      seed: Of the random order.
    """
    mine = facts.take(verdicts.column(schema.ROW))
    hi, lo = column(mine, schema.CONTENT_HI), column(mine, schema.CONTENT_LO)
    rows = verdicts.num_rows
    known = {name: verdicts.column(name) for name in schema.VERDICT.names}
    known |= {n: mine.column(n) for n in (schema.IDENTITY, schema.BYTES, schema.WORDS)}
    known[schema.ORDER] = pa.array(order_hash(hi, lo, seed))
    known[schema.DECLARED] = pa.array(np.full(rows, declared, np.uint8))
    return pa.RecordBatch.from_arrays(
        [known[name] for name in schema.DECISION.names], schema=schema.DECISION
    )
