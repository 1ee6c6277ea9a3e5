"""The transforms for pipelines that people already have.

    scored = documents | sf.Score()
    unique = scored | sf.Deduplicate()
    mixed = unique["kept"] | sf.Mix(synthetic_fraction=0.3)
    mixed["kept"] | sf.WriteShards("gs://bucket/set")

Collections of dicts, schema'd Rows or pyarrow RecordBatches. There is no address to
read a document again by, so it travels: once to find copies, once to its shard.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsSingleton

from synthfilter.annotate import COLUMNS, annotate
from synthfilter.build_options import MixtureOptions
from synthfilter.core import hashing, schema
from synthfilter.core.batches import Keyed, column, concat_batches, split_by_key
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions import copies, decide, texts
from synthfilter.decisions.cells import Bounds
from synthfilter.decisions.groups import (
    PLAIN,
    Grouping,
    settle_groups,
    tell_groups,
)
from synthfilter.decisions.origin import OriginRules
from synthfilter.detection.detector import load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import (
    AS_GIVEN,
    check_threshold_options,
    choose_threshold,
)
from synthfilter.elements import (
    TEXT_LIMIT,
    Packing,
    as_batches,
    carry,
    hash_rows,
    packing_of,
    split_carried,
)
from synthfilter.inputs.fields import parse_fields
from synthfilter.mixing import plan_mixture, sum_up
from synthfilter.options import check_types, describe_inherited
from synthfilter.scoring import score_documents

_PARTITIONS = 64


@dataclasses.dataclass(kw_only=True)
class Score(beam.PTransform):
    """Adds ai_score, origin and content_hash to each document.

    A document that already has an origin, human or synthetic, keeps it; one that is
    marked as machine text, in itself or by its producer's columns, is synthetic; the
    detector decides about the others. One without text to score gets null for score
    and, if nothing else tells it, for origin.

    Args:
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      threshold: Score from which on a document counts as machine text, 0 to 1;
        without it, the detector's own.
      target_fpr: Instead of a threshold: the share of human documents that may score
        as machine text, such as 0.01.
      calibration: File of synthfilter calibrate that has the thresholds for target_fpr;
        without it, the detector's own table. Read when the pipeline is made.
      language_policy: What to do with documents that have an origin and that the
        detector cannot score, being too short, in another language, tables or code:
        declared (they keep it) or drop (they lose it, and Mix leaves them out).
      fields: Fields of the documents, as NAME=FIELD, such as text=body.
    """

    detector: Optional[str] = None
    threshold: Optional[float] = None
    target_fpr: Optional[float] = None
    calibration: Optional[str] = None
    language_policy: str = "declared"
    fields: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        """Checks the options; loads nothing."""
        check_types(self)
        check_threshold_options(self.threshold, self.target_fpr, self.calibration)
        OriginRules(language_policy=self.language_policy)
        parse_fields(self.fields)

    def expand(self, documents: beam.PCollection) -> beam.PCollection:
        """Returns the documents with their new fields."""
        packing = packing_of(documents.element_type, parse_fields(self.fields))
        added = {
            schema.AI_SCORE: Optional[float],
            schema.ORIGIN: Optional[str],
            schema.CONTENT_HASH: Optional[str],
        }
        return as_batches(documents, packing) | "ScoreBatches" >> beam.ParDo(
            _ScoreBatch(packing, self.detector, self._threshold(), self.language_policy)
        ).with_output_types(packing.output_type(added))

    def _threshold(self) -> Optional[Threshold]:
        """Returns the threshold if the options set it; None for the detector's own."""
        if self.threshold is not None:
            return Threshold.constant(self.threshold, AS_GIVEN)
        if self.target_fpr is None:
            return None
        return choose_threshold(
            load_detector(self.detector), None, self.target_fpr, self.calibration
        )


class _ScoreBatch(beam.DoFn):
    """Yields the elements of a batch with their scores."""

    def __init__(
        self,
        packing: Packing,
        detector: Optional[str],
        threshold: Optional[Threshold],
        language_policy: str,
    ) -> None:
        self._packing = packing
        self._path = detector
        self._threshold = threshold
        self._policy = language_policy

    def setup(self) -> None:
        self._detector = load_detector(self._path)

    def process(self, elements: Any) -> Iterator[Any]:
        added = score_documents(
            self._packing.documents(elements, COLUMNS),
            self._packing.origins(elements),
            self._detector,
            self._threshold or self._detector.threshold,
            self._policy,
        )
        _count("score", added[schema.ORIGIN])
        yield from self._packing.extend(elements, added)


@dataclasses.dataclass(kw_only=True)
class Deduplicate(beam.PTransform):
    """Splits documents into `kept` and `dropped`, the exact copies of kept ones.

    Dropped documents have a reason and, as evidence, the content hash that they share
    with a kept one; documents without text are dropped, too. The same documents are
    kept on any runner.

    Args:
      keep: Which of several copies stays, the most important rule first: reviewed (a
        field of that name is true), human, longest, oldest.
      fields: Fields of the documents, as NAME=FIELD, such as text=body.
    """

    keep: list[str] = dataclasses.field(default_factory=lambda: list(copies.KEEP_RULES))
    fields: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        """Checks the options."""
        check_types(self)
        self.keep = copies.parse_keep(self.keep)
        parse_fields(self.fields)

    def expand(self, documents: beam.PCollection) -> Any:
        """Returns `{"kept": ..., "dropped": ...}`."""
        packing = packing_of(documents.element_type, parse_fields(self.fields))
        settled = (
            as_batches(documents, packing)
            | "Carry"
            >> beam.Map(carry_documents, packing, self.keep).with_output_types(
                pa.RecordBatch
            )
            | "ByContent"
            >> beam.FlatMap(split_carried_by_content).with_output_types(Keyed)
            | "SameContent" >> beam.GroupByKey()
            | "SettleCopies"
            >> beam.Map(settle_carried).with_output_types(pa.RecordBatch)
        )
        return _kept_and_dropped(settled, packing)


@describe_inherited
@dataclasses.dataclass(kw_only=True)
class Mix(MixtureOptions, beam.PTransform):
    """Splits documents into `kept`, a mixture with the share asked for, and `dropped`.

    Documents need an origin, human or synthetic, as `Score` gives them; those without
    are dropped as unscorable. Which of the others stay is a random choice by seed and
    content: the same on any runner.

    Args:
      fields: Fields of the documents, as NAME=FIELD, such as text=body.
    """

    fields: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        """Checks the options."""
        check_types(self)
        self.check_mixture()
        parse_fields(self.fields)

    def expand(self, documents: beam.PCollection) -> Any:
        """Returns `{"kept": ..., "dropped": ...}`."""
        packing = packing_of(documents.element_type, parse_fields(self.fields))
        carried = (
            as_batches(documents, packing)
            | "Carry"
            >> beam.Map(
                carry_documents, packing, (), self.grouping()
            ).with_output_types(pa.RecordBatch)
            | "Order"
            >> beam.Map(order_carried, self.seed).with_output_types(pa.RecordBatch)
        )
        facts = carried | "Facts" >> beam.Map(decided_facts).with_output_types(
            pa.RecordBatch
        )
        weighted = schema.WEIGHT in parse_fields(self.fields)
        summary = sum_up(facts, self.unit, weighted)
        plan, bounds = plan_mixture(facts, summary, self.rules(), weighted)
        chosen = carried | "Choose" >> beam.Map(
            choose_carried, AsSingleton(plan), AsSingleton(bounds)
        ).with_output_types(pa.RecordBatch)
        return _kept_and_dropped(chosen, packing)


def _kept_and_dropped(
    settled: beam.PCollection, packing: Packing
) -> dict[str, beam.PCollection]:
    added = {schema.REASON: str, schema.EVIDENCE: Optional[str]}
    return {
        "kept": settled
        | "Kept"
        >> beam.FlatMap(unpack_kept, packing).with_output_types(
            packing.output_type({})
        ),
        "dropped": settled
        | "Dropped"
        >> beam.FlatMap(unpack_dropped, packing).with_output_types(
            packing.output_type(added)
        ),
    }


def carry_documents(
    elements: Any, packing: Packing, keep: Sequence[str], grouping: Grouping = PLAIN
) -> pa.RecordBatch:
    """Returns the elements with what is decided on beside them (`schema.JUDGED`)."""
    documents = packing.documents(elements, COLUMNS)
    facts = annotate(documents, None, TEXT_LIMIT)
    payload = packing.payload(elements)
    origin = packing.origins(elements)
    known = {name: facts.column(name) for name in schema.FACTS.names}
    groups = tell_groups(facts, grouping)
    reason = column(facts, schema.REASON)
    told = (groups[schema.GROUP], groups[schema.FRESH], origin, origin, reason)
    rank = decide.rank_facts(facts, origin, keep)
    known |= {
        # What tells copies with the same id apart, instead of an address.
        schema.BLOCK: hash_rows(payload).view(np.int64),
        schema.ROW: np.zeros(len(origin), np.int32),
        # All of them were told by whoever made the elements.
        schema.RANK: copies.rank_origins(keep, rank, origin, 0),
        schema.SOURCE_KEY: hashing.hash_names(facts.column(schema.SOURCE)),
        schema.DECLARED: origin,
        schema.ORIGIN: origin,
        # What was said of origins is settled in this one.
        schema.SUSPICION: np.zeros(len(origin), np.uint16),
        **groups,
        **settle_groups(*told, grouping),
    }
    return carry(payload, {name: known[name] for name in schema.JUDGED.names})


def split_carried_by_content(
    carried: pa.RecordBatch,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(partition, rows)`; documents of the same text meet in one partition."""
    _, judged = split_carried(carried)
    return split_by_key(carried, texts.content_partitions(judged, _PARTITIONS))


def settle_carried(element: tuple[int, Iterable[pa.RecordBatch]]) -> pa.RecordBatch:
    """Returns payloads with decisions: kept, or a reason and the evidence."""
    payload, judged = split_carried(concat_batches(element[1]))
    decided = texts.settle_copies([judged], 0)
    reason = column(decided, schema.REASON)
    match = hashing.hex_hashes(
        column(decided, schema.MATCH_HI), column(decided, schema.MATCH_LO)
    )
    is_copy = pa.array(column(decided, schema.SIMILARITY) > 0)
    evidence = pc.if_else(is_copy, match, pa.scalar(None, pa.string()))
    return _with_decision(
        "deduplicate", payload, reason, reason == Reason.KEPT, evidence
    )


def order_carried(carried: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Returns payloads with facts for the mixture (`schema.DECIDED`).

    A document without an origin cannot be counted on either side: it is out.
    """
    payload, judged = split_carried(carried)
    reason, origin = column(judged, schema.REASON), column(judged, schema.ORIGIN)
    nobodys = origin == Origin.UNKNOWN
    reason = np.where(nobodys & (reason == Reason.KEPT), Reason.UNSCORABLE, reason)
    hi, lo = column(judged, schema.CONTENT_HI), column(judged, schema.CONTENT_LO)
    apart = column(judged, schema.BLOCK).view(np.uint64)
    known = {name: judged.column(name) for name in judged.schema.names}
    known |= {
        schema.ORDER: hashing.order_hash(hi, lo, seed),
        schema.IDENTITY: hashing.mix(column(judged, schema.IDENTITY) ^ apart),
        schema.BLOCK: np.zeros(len(hi), np.int64),
        schema.ORIGIN: np.where(nobodys, Origin.HUMAN, origin).astype(np.uint8),
        schema.REASON: reason.astype(np.uint8),
        schema.MATCH_HI: np.zeros(len(hi), np.uint64),
        schema.MATCH_LO: np.zeros(len(hi), np.uint64),
        schema.SIMILARITY: np.zeros(len(hi), np.float32),
        schema.MATCH_BUILD: np.zeros(len(hi), np.uint64),
        schema.USES: np.zeros(len(hi), np.int32),
        schema.DEPTH: np.zeros(len(hi), np.int32),
    }
    return carry(payload, {name: known[name] for name in schema.DECIDED.names})


def decided_facts(carried: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the facts of a carried batch alone."""
    return split_carried(carried)[1]


def choose_carried(
    carried: pa.RecordBatch,
    plan: decide.MixturePlan,
    bounds: Bounds,
) -> pa.RecordBatch:
    """Returns payloads with decisions: how often kept, or a reason."""
    payload, decided = split_carried(carried)
    decisions = decide.choose(decided, plan, bounds)
    evidence = pa.nulls(payload.num_rows, pa.string())
    return _with_decision(
        "mix",
        payload,
        column(decisions, schema.REASON),
        column(decisions, schema.COPIES),
        evidence,
    )


def _with_decision(
    stage: str,
    payload: pa.RecordBatch,
    reason: np.ndarray,
    times: np.ndarray,
    evidence: pa.Array,
) -> pa.RecordBatch:
    names = pa.array(np.array(schema.REASON_NAMES, object)[reason], pa.string())
    _count(stage, names)
    facts = {
        schema.COPIES: times.astype(np.int32),
        schema.REASON: names,
        schema.EVIDENCE: evidence,
    }
    return carry(payload, facts)


def _count(stage: str, values: pa.Array) -> None:
    """Adds to the runner's counters `STAGE_VALUE` of the namespace synthfilter."""
    for found in pc.value_counts(values).to_pylist():
        name = f"{stage}_{found['values'] or 'unknown'}"
        Metrics.counter("synthfilter", name).inc(found["counts"])


def unpack_kept(settled: pa.RecordBatch, packing: Packing) -> Iterator[Any]:
    """Yields the kept elements as they came, repeated ones several times."""
    payload, facts = split_carried(settled)
    times = column(facts, schema.COPIES)
    rows = pa.array(np.repeat(np.arange(len(times)), times))
    if len(rows):
        yield from packing.unpack(payload.take(rows), {})


def unpack_dropped(settled: pa.RecordBatch, packing: Packing) -> Iterator[Any]:
    """Yields the dropped elements with reason and evidence."""
    payload, facts = split_carried(settled)
    rows = pa.array(column(facts, schema.COPIES) == 0)
    payload, facts = payload.filter(rows), facts.filter(rows)
    if payload.num_rows:
        added = {n: facts.column(n) for n in (schema.REASON, schema.EVIDENCE)}
        yield from packing.unpack(payload, added)
