"""A build's decisions made again in memory, with another threshold or similarity.

The same functions as in a build, on all facts as one block; nothing is written.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import pyarrow as pa

from synthfilter.archive import check_whole
from synthfilter.core import books as bookkeeping
from synthfilter.core import schema
from synthfilter.core.batches import (
    column,
    concat_batches,
    set_column,
    split_by_key,
)
from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import distinct
from synthfilter.core.schema import Origin, Reason
from synthfilter.core.uses import hashes_of_partition
from synthfilter.decisions import decide, texts
from synthfilter.decisions.cells import join_bounds
from synthfilter.decisions.groups import PLAIN, Grouping
from synthfilter.decisions.origin import OriginRules, OutsideEvidence
from synthfilter.decisions.prevalence import Fitter
from synthfilter.decisions.summary import Summary
from synthfilter.decisions.survey import add_surveys
from synthfilter.decisions.truth import Truth, estimate_truth
from synthfilter.detection.lengths import Threshold
from synthfilter.dropped import mark_dropped
from synthfilter.generations import Lineage, join_lineage, parents_of, tell_lineage
from synthfilter.identity import BuildIdentity
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.fields import parse_fields
from synthfilter.inputs.sidecars import no_facts
from synthfilter.measured import describe_groups, measure_block, tell_estimate
from synthfilter.near_origin import claim_near, find_near_synthetic, human_by_block
from synthfilter.outputs.manifest import ShardRecord
from synthfilter.reuse import (
    Texts,
    add_evidence,
    capped_by_block,
    find_near_uses,
    look_up,
    mark_used,
    sign_documents,
)
from synthfilter.sources import check_losses, name_sources
from synthfilter.stored import StoredBuild
from synthfilter.truth import drop_suspects, survey_batch, true_shares

_NOTHING = OutsideEvidence()
_MOST_FITTERS = 4


class Known(NamedTuple):
    """What is known of documents without the detector; bool, by document.

    Attributes:
      human: That a person wrote it.
      synthetic: That a machine did.
      unknown: Neither.
    """

    human: np.ndarray
    synthetic: np.ndarray
    unknown: np.ndarray


class Filtered(NamedTuple):
    """What a threshold does, before copies and mixture; in documents.

    Attributes:
      human_lost: Known to be human, and no longer in as that, for their scores.
      synthetic_caught: Known to be synthetic, and flagged.
      unknown_flagged: Of unknown origin, and flagged.
    """

    human_lost: int
    synthetic_caught: int
    unknown_flagged: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a build with one setting comes to.

    Attributes:
      books: As they stand in the manifest.
      record: What would be written.
      shares: Estimated share and groups, as in the manifest.
      limited_by: Why the set is not all that was asked for; None if it is.
    """

    books: dict[str, Any]
    record: ShardRecord
    shares: dict[str, Any]
    limited_by: Optional[str]


class Corpus:
    """All facts of a build as one block, a document's row its place in the input.

    Args:
      stored: The build.
      annotated: Its blocks with their facts, in order.
    """

    def __init__(
        self, stored: StoredBuild, annotated: Sequence[tuple[Block, pa.RecordBatch]]
    ) -> None:
        """Adds outside evidence, which no threshold changes."""
        parts = [_with_evidence(facts, stored.outside) for _, facts in annotated]
        facts = concat_batches([no_facts(), *parts])
        source = facts.column(schema.SOURCE).dictionary_encode()
        self.facts = set_column(facts, schema.SOURCE, source)
        sizes = [facts.num_rows for _, facts in annotated]
        self.first_row = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.blocks = [block for block, _ in annotated]
        self.named = {block.key: block for block in self.blocks}

    def parts(self) -> Iterator[tuple[Origin, slice]]:
        """Yields each declared origin with the rows of its documents."""
        # Inputs are in the order of their origins.
        for who in Origin:
            mine = [i for i, one in enumerate(self.blocks) if one.declared == who]
            if mine:
                yield who, slice(self.first_row[mine[0]], self.first_row[mine[-1] + 1])

    def by_block(
        self, where: pa.RecordBatch
    ) -> Iterator[tuple[int, list[pa.RecordBatch]]]:
        """Yields documents by the key of their block, their rows those within it.

        Args:
          where: Has the row of each document among all.
        """
        row = column(where, schema.ROW)
        at = np.searchsorted(self.first_row, row, "right") - 1
        inside = (row - self.first_row[at]).astype(np.int32)
        where = set_column(where, schema.ROW, pa.array(inside))
        for number, part in split_by_key(where, at):
            yield self.blocks[number].key, [part]


def _with_evidence(facts: pa.RecordBatch, outside: OutsideEvidence) -> pa.RecordBatch:
    """Returns facts with all claims but declaration and detector; without addresses."""
    claims = outside.add(
        column(facts, schema.CLAIMS),
        facts.column(schema.URL),
        facts.column(schema.CREATED),
        column(facts, schema.CONTENT_HI),
        column(facts, schema.CONTENT_LO),
    )
    facts = set_column(facts, schema.CLAIMS, pa.array(claims))
    for name in (schema.URL, schema.ERROR, schema.POSITION):
        nothing = pa.nulls(facts.num_rows, pa.string())
        facts = set_column(facts, name, nothing)
    return facts


class Replay:
    """Decides on all documents of a build, with any threshold.

    Args:
      stored: The build.
      annotated: Its blocks with their facts, in order.
      identity: Which build it is, with the ledger as it saw it.
    """

    def __init__(
        self,
        stored: StoredBuild,
        annotated: Sequence[tuple[Block, pa.RecordBatch]],
        identity: BuildIdentity,
    ) -> None:
        """Gathers the facts."""
        self._stored = stored
        self._build = stored.build
        self._identity = identity
        self._weighted = schema.WEIGHT in parse_fields(stored.build.fields)
        # What is known of origins can be another with other copies.
        self._make_fitter = functools.lru_cache(maxsize=_MOST_FITTERS)(Fitter)
        self.corpus = Corpus(stored, annotated)
        self._texts: Optional[Texts] = None
        self.known = self._find_known()
        self._lineage: Optional[Lineage] = None
        if self._build.reuse_rules().limited:
            self._lineage = _find_lineage(annotated, identity)

    def _find_known(self) -> Known:
        """Returns what is known without scores."""
        facts = self.corpus.facts
        size = facts.num_rows
        nothing = pa.array(np.full(size, np.nan, np.float32))
        facts = set_column(facts, schema.AI_SCORE, nothing)
        rules = OriginRules(
            marked_human=self._build.marked_human,
            early_synthetic=self._build.early_synthetic,
        )
        judged = self._judge(facts, np.zeros(size, np.float32), rules, PLAIN)
        origin, reason = (column(judged, n) for n in (schema.ORIGIN, schema.REASON))
        told = reason == Reason.KEPT
        return Known(
            told & (origin == Origin.HUMAN),
            told & (origin == Origin.SYNTHETIC),
            reason == Reason.UNSCORABLE,
        )

    def judge(self, threshold: Threshold) -> pa.RecordBatch:
        """Returns the `schema.JUDGED` rows of all documents, their origins settled."""
        facts = self.corpus.facts
        limits = threshold.of(column(facts, schema.WORDS))
        build = self._build
        return self._judge(facts, limits, build.origin_rules(), build.grouping())

    def _judge(
        self,
        facts: pa.RecordBatch,
        limits: np.ndarray,
        rules: OriginRules,
        grouping: Grouping,
    ) -> pa.RecordBatch:
        """Returns the `schema.JUDGED` rows of all documents, their origins settled."""
        keep = self._build.keep
        parts = [
            decide.judge_facts(
                facts.slice(rows.start, rows.stop - rows.start),
                0,
                who,
                limits[rows],
                rules.max_ai_score,
                _NOTHING,
                keep,
                grouping,
            )
            for who, rows in self.corpus.parts()
        ]
        row = np.arange(facts.num_rows, dtype=np.int32)
        judged = set_column(concat_batches(parts), schema.ROW, pa.array(row))
        judged = add_evidence(judged, self._look_up(judged))
        return texts.settle_origins(judged, rules, keep, grouping)

    def count_filtered(self, threshold: Threshold, judged: pa.RecordBatch) -> Filtered:
        """Returns what a threshold does to what is known of origins."""
        facts = self.corpus.facts
        limits = threshold.of(column(facts, schema.WORDS))
        flagged = column(facts, schema.AI_SCORE) >= limits
        changed = column(judged, schema.ORIGIN) != Origin.HUMAN
        changed |= column(judged, schema.REASON) == Reason.HUMAN_SCORED_SYNTHETIC
        human, synthetic, unknown = self.known
        return Filtered(
            int((human & flagged & changed).sum()),
            int((synthetic & flagged).sum()),
            int((unknown & flagged).sum()),
        )

    def settle(self, judged: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the `schema.DECIDED` rows, copies and what was used before left out.

        But for near copies.
        """
        settled = texts.settle_copies([judged], self._build.seed)
        if self._lineage is None:
            return settled
        rules = self._build.reuse_rules()
        return mark_used(settled, self._look_up(judged), rules, self._lineage)

    def _look_up(self, judged: pa.RecordBatch) -> Texts:
        """Returns what the ledger knows of all texts; read once, with any threshold."""
        if self._texts is None:
            span = hashes_of_partition(0, 1)
            self._texts = look_up(judged, self._identity.ledger, span)
        return self._texts

    def compare_with_ledger(
        self, settled: pa.RecordBatch, similarity: float
    ) -> pa.RecordBatch:
        """Returns the `schema.DECIDED` rows as near copies in the ledger have them.

        Those of synthetic text are synthetic, and those of what was used may be out.

        Args:
          settled: `schema.DECIDED` rows, exact copies settled.
          similarity: Least similarity of near copies.
        """
        if self._identity.ledger is None:
            return settled
        build = self._build
        signed = self._sign(human_by_block(settled, build.origin_rules()))
        if signed:
            known = find_near_synthetic((0, signed), self._identity, similarity)
            settled = claim_near(settled, [known], build.settling_near())
        if self._lineage is None:
            return settled
        rules = build.reuse_rules()
        signed = self._sign(capped_by_block(settled, rules.cap_human))
        if not signed:
            return settled
        used = find_near_uses((0, signed), self._identity, similarity, rules)
        return mark_dropped(settled, [used])

    def _sign(
        self, wanted: Iterable[tuple[int, pa.RecordBatch]]
    ) -> list[pa.RecordBatch]:
        """Returns the documents with their signatures."""
        where, named = self._build.signatures_path(), self.corpus.named
        return [
            part
            for _, rows in wanted
            for element in self.corpus.by_block(rows)
            for _, part in sign_documents(element, named, where, 1)
        ]

    def mix(self, settled: pa.RecordBatch) -> Outcome:
        """Returns what the mixture makes of documents that copies left.

        Raises:
          ShortageError: as the build would.
        """
        build = self._build
        decided = decide.leave_reference(settled)
        survey = add_surveys([survey_batch(decided, build.unit)])
        truth = estimate_truth(
            survey,
            self._stored.profiles,
            build.held_fraction(),
            build.on_hidden,
            self._make_fitter,
        )
        decided = drop_suspects(decided, truth)
        summary = self._sum_up(decided)
        plan = decide.plan_mixture(
            summary,
            build.rules(),
            self._weighted,
            true_shares(truth, build.count == "estimated"),
        )
        bounds = join_bounds(
            decide.find_bounds((part, [rows]), plan)
            for part, rows in decide.boundary_rows(decided, plan)
        )
        return self._measure(decide.choose(decided, plan, bounds), plan, truth)

    def _sum_up(self, decided: pa.RecordBatch) -> Summary:
        """Returns the summary; raises ShortageError where a build would stop."""
        build = self._build
        summary = decide.summarise(decided, build.unit, self._weighted)
        # What the ledger knows of the archive has been checked by the build itself.
        summary = check_whole(summary, (), None)
        most = build.max_source_loss
        if most is None:
            return summary
        blocks, facts = self.corpus.blocks, self.corpus.facts
        names = name_sources((blocks[0], facts), summary, most) if blocks else ()
        return check_losses(summary, names, most)

    def _measure(
        self, decisions: pa.RecordBatch, plan: decide.MixturePlan, truth: Truth
    ) -> Outcome:
        """Returns what became of all documents."""
        grouping, options = self._build.grouping(), self._stored.manifest["options"]
        record = measure_block(decisions, self.corpus.facts, self._build.unit, grouping)
        if not record.written.any():
            raise ShortageError(
                "the set would be empty: no single document is small enough for the "
                "target_size and share asked for"
            )
        return Outcome(
            bookkeeping.as_dict(record.books),
            record,
            {
                **tell_estimate(truth, record, options),
                **describe_groups(record, plan, grouping, options),
            },
            plan.targets.limited_by,
        )


def _find_lineage(
    annotated: Sequence[tuple[Block, pa.RecordBatch]], identity: BuildIdentity
) -> Lineage:
    """Returns the generations of all documents; see `reuse.find_lineage`."""
    wanted = distinct(map(parents_of, annotated))
    told = (tell_lineage(element, wanted) for element in annotated)
    return join_lineage(None, told, wanted, identity)
