"""Earlier use as Beam steps: what a ledger and declared lineage say of the documents.

The ledger is read as it was when the build was first run, a range of content hashes at
a time, beside the documents of that range; near copies in one pass for each part of
the documents. Neither shuffles the ledger.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from synthfilter.core import schema
from synthfilter.core.batches import (
    Keyed,
    column,
    concat_batches,
    split_by_key,
    with_values,
)
from synthfilter.core.claims import with_claim
from synthfilter.core.schema import Evidence, Origin, Reason, Says
from synthfilter.core.uses import (
    FACTS_OF_USE,
    SIGNATURE,
    hash_halves,
    hashes_of_partition,
    store_signatures,
    stored_signatures,
)
from synthfilter.decisions import near_uses, reuse
from synthfilter.decisions.origin import FIXED, UNSETTLED
from synthfilter.decisions.reuse import Rule, Uses
from synthfilter.dropped import DROPPED, mark_dropped
from synthfilter.generations import Lineage, generation_of
from synthfilter.identity import BuildIdentity, build_number
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_signatures
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import Ledger
from synthfilter.near import left_by_block

_REASON_OF_RULE = np.array([Reason.KEPT, Reason.USED_BEFORE, Reason.TOO_DEEP], np.uint8)
WHERE = (schema.ROW, schema.ORDER, schema.ORIGIN, schema.DEPTH)
_SIGNED = pa.schema(
    [
        (schema.ORDER, pa.uint64()),
        (schema.ORIGIN, pa.uint8()),
        (schema.DEPTH, pa.int32()),
        (SIGNATURE, pa.binary()),
    ]
)


@dataclasses.dataclass(frozen=True)
class ReuseRules:
    """What earlier use leaves a document out; see `decisions.reuse.find_reused`."""

    max_uses: Optional[int]
    max_generation: Optional[int]
    cap_human: bool
    unknown_generation: str

    @property
    def limited(self) -> bool:
        """Returns whether earlier use leaves anything out."""
        return self.max_uses is not None or self.max_generation is not None

    def apply(
        self, origin: np.ndarray, uses: Uses, generation: np.ma.MaskedArray
    ) -> np.ndarray:
        """Returns the `Rule` code of each document."""
        return reuse.find_reused(
            origin,
            uses,
            generation,
            self.max_uses,
            self.max_generation,
            self.cap_human,
            self.unknown_generation,
        )


class Texts(NamedTuple):
    """The texts of a partition that a ledger was asked for.

    Attributes:
      number: Of the text of each document, int64; -1 where none was asked for.
      uses: What the ledger knows of each text.
    """

    number: np.ndarray
    uses: Uses


def settle_and_mark(
    element: tuple[int, Iterable[pa.RecordBatch]],
    settle: Callable[[pa.RecordBatch], pa.RecordBatch],
    rules: ReuseRules,
    partitions: int,
    identity: BuildIdentity,
    known: Lineage,
) -> pa.RecordBatch:
    """Returns the settled rows of a partition, with what was used before left out.

    Args:
      element: `(partition, schema.JUDGED batches)`, split by content.
      settle: `texts.settle_texts` with the options of the build.
      rules: What leaves a document out.
      partitions: Number of partitions.
      identity: Which build this is.
      known: Generations.
    """
    partition, batches = element
    judged = concat_batches(batches)
    span = hashes_of_partition(partition, partitions)
    found = look_up(judged, identity.ledger, span)
    return mark_used(settle(add_evidence(judged, found)), found, rules, known)


def look_up(
    judged: pa.RecordBatch, ledger: Optional[Ledger], span: tuple[str, str]
) -> Texts:
    """Returns what a ledger knows of the texts of a partition.

    Args:
      judged: `schema.JUDGED` rows.
      ledger: As the build sees it; None for none.
      span: The first and the last hash of the partition.
    """
    asked = np.isin(column(judged, schema.REASON), UNSETTLED)
    asked &= ~np.isin(column(judged, schema.DECLARED), FIXED)
    rows = np.flatnonzero(asked)
    hi, lo = (
        column(judged, name)[rows] for name in (schema.CONTENT_HI, schema.CONTENT_LO)
    )
    order = np.lexsort([lo, hi])
    rows, hi, lo = rows[order], hi[order], lo[order]
    first = np.append(True, (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1]))[: len(rows)]
    number = np.full(judged.num_rows, -1)
    number[rows] = np.cumsum(first) - 1
    uses: Iterable[pa.RecordBatch] = ()
    if ledger is not None and len(rows):
        uses = read_uses(ledger, FACTS_OF_USE, span)
    return Texts(number, reuse.find_uses(uses, hi[first], lo[first]))


def add_evidence(judged: pa.RecordBatch, found: Texts) -> pa.RecordBatch:
    """Returns `schema.JUDGED` rows with what the ledger says of their origin."""
    known = np.append(found.uses.synthetic, False)[found.number]
    if not known.any():
        return judged
    rows = np.flatnonzero(known)
    claims = column(judged, schema.CLAIMS)[rows]
    said = with_claim(claims, Evidence.LEDGER, Says.SYNTHETIC)
    return with_values(judged, rows, {schema.CLAIMS: said})


def mark_used(
    decided: pa.RecordBatch, found: Texts, rules: ReuseRules, known: Lineage
) -> pa.RecordBatch:
    """Returns `schema.DECIDED` rows with what was used before left out.

    Args:
      decided: The rows of a partition, in the order of those that were looked up.
      found: What `look_up` returned.
      rules: What leaves a document out.
      known: Generations.
    """
    alive = column(decided, schema.REASON) == Reason.KEPT
    rows = np.flatnonzero(alive & (found.number >= 0))
    uses = found.uses.take(found.number[rows])
    origin = column(decided, schema.ORIGIN)[rows]
    own = generation_of(known, column(decided, schema.IDENTITY)[rows], origin)
    rule = rules.apply(origin, uses, own)
    deepest, unknown = reuse.deeper(uses.generation, own)
    depth = np.where(unknown, 0, deepest + 1).astype(np.int32)
    changed = {schema.DEPTH: depth, schema.REASON: _REASON_OF_RULE[rule]}
    changed |= tell_match(uses, rule)
    return with_values(decided, rows, changed)


def tell_match(uses: Uses, rule: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the earlier use that is behind each rule, as `schema.DECIDED` has it."""
    hi, lo, build = np.zeros((3, len(rule)), np.uint64)
    said = np.flatnonzero((rule != Rule.NONE) & (uses.builds > 0))
    if len(said):
        hi[said], lo[said] = hash_halves(uses.first_hash.take(pa.array(said)))
        names = uses.first_build.take(pa.array(said)).to_pylist()
        build[said] = np.array([build_number(name) for name in names], np.uint64)
    return {
        schema.MATCH_HI: hi,
        schema.MATCH_LO: lo,
        schema.MATCH_BUILD: build,
        schema.USES: uses.builds,
    }


def drop_near_uses(
    settled: beam.PCollection,
    blocks: beam.PCollection,
    identity: beam.PCollection,
    signatures_path: Callable[[Block], str],
    threshold: float,
    rules: ReuseRules,
    parts: int,
) -> beam.PCollection:
    """Returns the `schema.DECIDED` batches with near copies of what was used left out.

    Args:
      settled: `schema.DECIDED` batches.
      blocks: `(key, Block)`.
      identity: The one `BuildIdentity`.
      signatures_path: Where the signatures of a block are.
      threshold: Least similarity of near copies; see `near_uses.least_estimate`.
      rules: What leaves a document out.
      parts: Into how many parts to split the documents; each reads the ledger once.
    """
    dropped = (
        settled
        | "LeftForLedger"
        >> beam.FlatMap(capped_by_block, rules.cap_human).with_output_types(Keyed)
        | "SameBlockForLedger" >> beam.GroupByKey()
        | "Sign"
        >> beam.FlatMap(
            sign_documents, AsDict(blocks), signatures_path, parts
        ).with_output_types(Keyed)
        | "SamePart" >> beam.GroupByKey()
        | "FindNearUses"
        >> beam.Map(
            find_near_uses, AsSingleton(identity), threshold, rules
        ).with_output_types(pa.RecordBatch)
    )
    return settled | "DropNearUses" >> beam.Map(mark_dropped, AsIter(dropped))


def capped_by_block(
    settled: pa.RecordBatch, cap_human: bool
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(block, where)` of the documents still in that rules hold for."""
    capped = ~np.isin(column(settled, schema.DECLARED), FIXED)
    if not cap_human:
        capped &= column(settled, schema.ORIGIN) != Origin.HUMAN
    left = settled.filter(pa.array(capped))
    return left_by_block(left, WHERE)


def sign_documents(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    parts: int,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(part, signed documents)` of one block."""
    key, batches = element
    where = concat_batches(batches)
    signatures = load_signatures(signatures_path(blocks[key]))
    mine = store_signatures(signatures[column(where, schema.ROW)])
    told = [where.column(name) for name in _SIGNED.names[:-1]]
    signed = pa.RecordBatch.from_arrays([*told, mine], schema=_SIGNED)
    # Without a word there is nothing to compare.
    signed = signed.filter(mine.is_valid())
    part = column(signed, schema.ORDER) % np.uint64(parts)
    return split_by_key(signed, part.astype(np.int64))


def find_near_uses(
    element: tuple[int, Iterable[pa.RecordBatch]],
    identity: BuildIdentity,
    threshold: float,
    rules: ReuseRules,
) -> pa.RecordBatch:
    """Returns the `DROPPED` rows of one part of the documents."""
    signed = concat_batches(element[1])
    tally = reuse.UseTally(signed.num_rows)
    if identity.ledger is not None:
        used = read_uses(identity.ledger, (*FACTS_OF_USE, SIGNATURE))
        minima = stored_signatures(signed.column(SIGNATURE))
        least = near_uses.least_estimate(threshold)
        for documents, facts in near_uses.match_rows(used, minima, threshold, least):
            tally.add(documents, facts)
    uses = tally.uses()
    depth = column(signed, schema.DEPTH)
    own = np.ma.MaskedArray(depth - 1, depth == 0)
    rule = rules.apply(column(signed, schema.ORIGIN), uses, own)
    values = {
        schema.ORDER: column(signed, schema.ORDER),
        schema.REASON: _REASON_OF_RULE[rule],
        schema.SIMILARITY: np.zeros(len(rule), np.float32),
        **tell_match(uses, rule),
    }
    found = pa.RecordBatch.from_pydict(values, schema=DROPPED)
    return found.filter(pa.array(rule != Rule.NONE))
