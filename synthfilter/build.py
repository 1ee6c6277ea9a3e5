"""A build, top to bottom: files in, a mixed and accounted-for set out.

    inputs -> blocks -> facts -> copies -> summary -> mixture -> shards -> manifest

Text is read twice and never shuffled; what travels is facts, as Arrow batches.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from synthfilter.annotate import AnnotateBlocks
from synthfilter.core import hashing, schema, storage
from synthfilter.core.batches import (
    GatherBatches,
    Keyed,
    column,
)
from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions import copies, decide, minhash, mixture, origin, reuse
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import check_threshold_options, choose_threshold
from synthfilter.identity import identify_build
from synthfilter.inputs.blocks import Block, InputFile, OpenFiles, list_inputs
from synthfilter.inputs.fields import parse_fields
from synthfilter.inputs.sidecars import facts_path, signatures_path
from synthfilter.mixing import plan_mixture, sum_up
from synthfilter.near import drop_near_copies
from synthfilter.outputs import manifest
from synthfilter.publish import (
    WriteShard,
    choose_shards,
    commit_build,
    plan_layout,
    tell_evidence,
)
from synthfilter.reference import drop_shared_ngrams
from synthfilter.reuse import (
    ReuseRules,
    drop_near_uses,
    find_lineage,
    settle_and_mark,
)
from synthfilter.sources import check_sources

# Facts are decided on in partitions of about this much input.
_PARTITION_BYTES = 256 << 20
_MAX_SHINGLE_WORDS = 100
# What a document takes in a file, about; only memory depends on it.
_DOCUMENT_BYTES = 1000
# The ledger is read for near copies once for each part of about this much input.
_LEDGER_BYTES = 1 << 30


@dataclasses.dataclass(kw_only=True)
class Build(beam.PTransform):
    """Builds a training set: scores, removes copies, mixes, writes, keeps the books.

    Applied to a pipeline; the result is a collection with one element, the manifest.

    Args:
      output: Folder to write to; new or empty.
      human: Paths or globs of text declared human. Parquet, or JSON lines that may be
        compressed (.gz, .zst).
      synthetic: Paths or globs of text declared synthetic.
      unknown: Paths or globs of text of unknown origin; the detector decides.
      synthetic_fraction: Share of synthetic text to reach, 0 to 1.
      max_synthetic_fraction: Share of synthetic text not to exceed, 0 to 1.
      unit: What shares and sizes are counted in: docs, bytes or words.
      target_size: Size of the whole set in that unit; without it, as large as the
        text allows.
      on_shortage: What to do when there is too little text for the share or size:
        shrink the set, fail, or repeat:N (use documents up to N times).
      seed: Of the random choice of documents; the same seed chooses the same ones.
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      threshold: Score from which on a document counts as machine text, 0 to 1;
        without it, the detector's own.
      target_fpr: Instead of a threshold: the share of human documents that may score
        as machine text, such as 0.01.
      calibration: File of synthfilter calibrate that has the thresholds for target_fpr;
        without it, the detector's own table.
      flagged_human: What to do with declared human documents that score as machine
        text: reclassify (as synthetic), drop or keep.
      language_policy: What to do with documents that the detector cannot score, being
        too short, in another language, tables or code: declared (what was declared
        stays so, what was not is left out) or drop (all are left out).
      max_ai_score: Drop declared synthetic documents that score above this.
      keep: Which of several copies stays, the most important rule first: reviewed (a
        field of that name is true), human, longest, oldest.
      near_duplicates: Drop documents of which another, kept one shares at least this
        much, as Jaccard similarity of their word shingles, above 0 to 1; without it,
        only the same text counts as a copy.
      shingle_words: Words in a shingle, by which near copies are compared.
      against: Paths or globs of text that must not be in the set, such as a
        benchmark's; copies are dropped, near copies if near_duplicates is set.
      against_ngrams: Drop documents that share a run of this many words with against,
        too, such as 13.
      max_source_loss: Stop if copies cost a source of 20 or more documents more than
        this share of them, 0 to 1.
      ledger: Folder of the table of what earlier builds used, made if there is none;
        what this build uses is added to it.
      max_uses: Leave synthetic documents out that so many builds in the ledger used
        already, or used a near copy of, if near_duplicates is set.
      max_generation: Leave synthetic documents out that are more rounds of generation
        than this away from human text, by parent_ids, synth_generation or the ledger.
      cap_human: Hold max_uses and max_generation for human documents, too.
      unknown_generation: What to do under max_generation with synthetic documents whose
        generation nobody knows: keep or drop.
      fields: Columns that hold a field, as NAME=COLUMN, such as text=body.
      max_document_bytes: Longer documents are left out.
      max_shard_bytes: Bytes of text in one shard of the output.
      rejected_text: Write the text of documents that were left out, too.
      cache: Folder for scores that later builds use again; without it,
        .synthfilter-cache beside the output folder.
    """

    output: str
    human: list[str] = dataclasses.field(default_factory=list)
    synthetic: list[str] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    synthetic_fraction: Optional[float] = None
    max_synthetic_fraction: Optional[float] = None
    unit: str = "words"
    target_size: Optional[int] = None
    on_shortage: str = "shrink"
    seed: int = 0
    detector: Optional[str] = None
    threshold: Optional[float] = None
    target_fpr: Optional[float] = None
    calibration: Optional[str] = None
    flagged_human: str = "reclassify"
    language_policy: str = "declared"
    max_ai_score: Optional[float] = None
    keep: list[str] = dataclasses.field(default_factory=lambda: list(copies.KEEP_RULES))
    near_duplicates: Optional[float] = None
    shingle_words: int = minhash.SHINGLE_WORDS
    against: list[str] = dataclasses.field(default_factory=list)
    against_ngrams: Optional[int] = None
    max_source_loss: Optional[float] = None
    ledger: Optional[str] = None
    max_uses: Optional[int] = None
    max_generation: Optional[int] = None
    cap_human: bool = False
    unknown_generation: str = "keep"
    fields: list[str] = dataclasses.field(default_factory=list)
    max_document_bytes: int = 10_000_000
    max_shard_bytes: int = 100_000_000
    rejected_text: bool = False
    cache: Optional[str] = None

    def __post_init__(self) -> None:
        """Checks every option; reads nothing."""
        if not self.output:
            raise UserError("output must name a folder, got nothing")
        if not (self.human or self.synthetic or self.unknown):
            raise UserError("name at least one input: --human, --synthetic, --unknown")
        mixture.check_mixture(
            self.synthetic_fraction,
            self.max_synthetic_fraction,
            self.unit,
            self.target_size,
            self.on_shortage,
        )
        check_threshold_options(self.threshold, self.target_fpr, self.calibration)
        mixture.check_fraction("max_ai_score", self.max_ai_score)
        for name in ("max_document_bytes", "max_shard_bytes"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_document_bytes > 2**31 - 1:
            raise UserError("max_document_bytes must be below 2 GiB")
        origin.check_policy(self.flagged_human)
        origin.check_language_policy(self.language_policy)
        self.keep = copies.parse_keep(self.keep)
        self._check_near()
        mixture.check_fraction("max_source_loss", self.max_source_loss)
        parse_fields(self.fields)

    def _check_near(self) -> None:
        """Checks the options about near copies, reference sets and earlier use."""
        if self.near_duplicates is not None:
            minhash.choose_bands(self.near_duplicates)
        for name in ("shingle_words", "against_ngrams"):
            words = getattr(self, name)
            if words is not None and not 1 <= words <= _MAX_SHINGLE_WORDS:
                raise UserError(
                    f"{name} must be from 1 to {_MAX_SHINGLE_WORDS} words, got {words}"
                )
        if self.against_ngrams is not None and not self.against:
            raise UserError("against_ngrams needs against, the text to compare with")
        reuse.check_reuse(self.max_uses, self.max_generation, self.unknown_generation)
        if self.max_uses is not None and self.ledger is None:
            raise UserError("max_uses needs ledger, where earlier uses are counted")

    def expand(self, root: Any) -> beam.PCollection:
        """Wires the build into a pipeline; lists the inputs and claims the output."""
        inputs = self.list_inputs()
        manifest.claim_output(self.output)
        return self.build_from(root, inputs)

    def list_inputs(self) -> list[InputFile]:
        """Returns the input files; raises UserError for a pattern without any."""
        return list_inputs(
            {
                Origin.HUMAN: self.human,
                Origin.SYNTHETIC: self.synthetic,
                Origin.UNKNOWN: self.unknown,
                Origin.REFERENCE: self.against,
            }
        )

    def cache_folder(self) -> str:
        """Returns the folder for facts that outlive the build."""
        beside = storage.join(storage.parent(self.output), ".synthfilter-cache")
        return self.cache or beside

    def choose_threshold(self, detector: Detector) -> Threshold:
        """Returns from which score on documents count as machine text."""
        return choose_threshold(
            detector, self.threshold, self.target_fpr, self.calibration
        )

    def build_from(
        self, root: Any, inputs: Sequence[InputFile], beats: Optional[str] = None
    ) -> beam.PCollection:
        """Wires the build of files that are already listed.

        Args:
          root: The pipeline.
          inputs: What `list_inputs` returned.
          beats: Folder for progress, None for none.
        """
        detector = load_detector(self.detector)
        threshold = self.choose_threshold(detector)
        options = _content_options(self, detector, threshold)
        found = self._open(root, inputs, beats)
        annotated = self._annotate(found, beats)
        partitions = _partitions(inputs)
        digest = (
            annotated
            | "Digest" >> beam.Map(digest_block)
            | "AddDigests" >> beam.CombineGlobally(hashing.add_digests)
        )
        identity = digest | "IdentifyBuild" >> beam.Map(
            identify_build, options, self.ledger
        )
        settled = self._settle(annotated, identity, partitions, threshold)
        decided, capped = self._decide(settled, found, identity, inputs, beats)
        summary = check_sources(
            sum_up(decided, self.unit), annotated, self.max_source_loss
        )
        plan, bounds = plan_mixture(
            decided,
            summary,
            self.unit,
            self.synthetic_fraction,
            self.max_synthetic_fraction,
            self.target_size,
            self.on_shortage,
        )
        layout = summary | "PlanShards" >> beam.Map(
            plan_layout,
            AsSingleton(plan),
            AsSingleton(identity),
            self.max_shard_bytes,
            self.seed,
        )
        chosen = decided | "Choose" >> beam.FlatMap(
            choose_shards, AsSingleton(plan), AsDict(bounds), AsSingleton(layout)
        ).with_output_types(Keyed)
        evidence = functools.partial(
            tell_evidence, threshold=threshold, options=self._evidence()
        )
        written = self._write(chosen, found, layout, detector, evidence, beats)
        return (
            root
            | "Manifest" >> beam.Create([None])
            | "Commit"
            >> beam.Map(
                commit_build,
                AsIter(written),
                AsIter(found),
                AsSingleton(plan),
                AsSingleton(layout),
                self.output,
                {
                    **options,
                    "threshold_from": threshold.source,
                    "target_fpr": self.target_fpr,
                },
                {"name": detector.name, "sha256": detector.sha256},
                self.ledger,
                self._near_copies(capped),
            )
        )

    def _open(
        self, root: Any, inputs: Sequence[InputFile], beats: Optional[str]
    ) -> beam.PCollection:
        """Files to blocks."""
        return (
            root
            | "Inputs" >> beam.Create(inputs, reshuffle=False)
            | "SpreadFiles" >> beam.Reshuffle()
            | "OpenFiles"
            >> beam.ParDo(
                OpenFiles(
                    parse_fields(self.fields),
                    storage.join(self.cache_folder(), "spool"),
                    2 * self.max_document_bytes,
                    beats,
                )
            )
        )

    def _annotate(
        self, found: beam.PCollection, beats: Optional[str]
    ) -> beam.PCollection:
        """Blocks to blocks with their facts."""
        annotate = AnnotateBlocks(
            self.detector,
            self.max_document_bytes,
            self.shingle_words if self._signs() else None,
            self._facts_folder(),
            beats,
        )
        return (
            found
            | "SpreadBlocks" >> beam.Reshuffle()
            | "Annotate" >> beam.ParDo(annotate)
        )

    def _settle(
        self,
        annotated: beam.PCollection,
        identity: beam.PCollection,
        partitions: int,
        threshold: Threshold,
    ) -> beam.PCollection:
        """Facts to documents of which exact copies and earlier uses are settled."""
        if self.against_ngrams is not None:
            annotated = drop_shared_ngrams(annotated, self.against_ngrams)
        by_content = (
            annotated
            | "Judge"
            >> beam.Map(
                judge_block,
                threshold,
                self.flagged_human,
                self.max_ai_score,
                self.language_policy,
                self.keep,
            )
            | "GatherFacts"
            >> beam.ParDo(GatherBatches()).with_output_types(pa.RecordBatch)
            | "ByContent"
            >> beam.FlatMap(decide.split_by_content, partitions).with_output_types(
                Keyed
            )
            | "SameContent" >> beam.GroupByKey()
        )
        if self.ledger is None and self.max_generation is None:
            return by_content | "SettleCopies" >> beam.Map(settle_copies, self.seed)
        return by_content | "SettleUses" >> beam.Map(
            settle_and_mark,
            self.seed,
            self._rules(),
            partitions,
            AsSingleton(identity),
            AsSingleton(find_lineage(annotated, identity)),
        ).with_output_types(pa.RecordBatch)

    def _decide(
        self,
        settled: beam.PCollection,
        found: beam.PCollection,
        identity: beam.PCollection,
        inputs: Sequence[InputFile],
        beats: Optional[str],
    ) -> tuple[beam.PCollection, Optional[beam.PCollection]]:
        """Settled documents to decided ones, but for the mixture.

        And how many of them were not compared with all near copies, if any were.
        """
        capped = None
        if self.near_duplicates is not None:
            blocks = found | "KeyCandidates" >> beam.Map(key_block)
            if self.ledger is not None:
                # First, so that a near copy names a document that stays.
                settled = drop_near_uses(
                    settled,
                    blocks,
                    identity,
                    self._signatures_path(),
                    self.near_duplicates,
                    self._rules(),
                    1 + sum(file.bytes for file in inputs) // _LEDGER_BYTES,
                )
            settled, capped = drop_near_copies(
                settled,
                blocks,
                self._signatures_path(),
                self.near_duplicates,
                self.shingle_words,
                _partitions(inputs),
                sum(file.bytes for file in inputs) // _DOCUMENT_BYTES,
                beats,
            )
        return settled | "LeaveReference" >> beam.Map(decide.leave_reference), capped

    def _rules(self) -> ReuseRules:
        return ReuseRules(
            self.max_uses, self.max_generation, self.cap_human, self.unknown_generation
        )

    def _signs(self) -> bool:
        """Returns whether signatures are needed, to compare or for the ledger."""
        return self.near_duplicates is not None or self.ledger is not None

    def _signatures_path(self) -> Callable[[Block], str]:
        return functools.partial(
            signatures_path,
            folder=self._facts_folder(),
            shingle_words=self.shingle_words,
            max_bytes=self.max_document_bytes,
        )

    def _write(
        self,
        chosen: beam.PCollection,
        found: beam.PCollection,
        layout: beam.PCollection,
        detector: Detector,
        evidence: Callable[[pa.RecordBatch], pa.Array],
        beats: Optional[str],
    ) -> beam.PCollection:
        """Verdicts by shard to written files."""
        where = functools.partial(
            facts_path,
            folder=self._facts_folder(),
            scores_key=detector.scores_key,
            max_bytes=self.max_document_bytes,
        )
        writer = WriteShard(
            self.output,
            self.seed,
            where,
            evidence,
            self.rejected_text,
            None if self.ledger is None else self._signatures_path(),
            beats,
        )
        blocks = AsDict(found | "KeyBlocks" >> beam.Map(key_block))
        return (
            chosen
            | "ByShard" >> beam.GroupByKey()
            | "WriteShards" >> beam.ParDo(writer, blocks, AsSingleton(layout))
        )

    def _near_copies(self, capped: Optional[beam.PCollection]) -> Any:
        """Returns what the manifest says of near copies; None if none were sought."""
        if capped is None or self.near_duplicates is None:
            return None
        bands = minhash.choose_bands(self.near_duplicates)
        return AsSingleton(
            capped | "TellNearCopies" >> beam.Map(tell_near_copies, *bands)
        )

    def _facts_folder(self) -> str:
        return storage.join(self.cache_folder(), "facts")

    def _evidence(self) -> dict[Reason, str]:
        """Returns what to say beside the reasons that options are behind."""
        return {
            Reason.UNUSABLE_TOO_LONG: f"max_document_bytes={self.max_document_bytes}",
            Reason.UNSCORABLE: f"language_policy={self.language_policy}",
            Reason.SCORE_TOO_HIGH: f"max_ai_score={self.max_ai_score}",
            Reason.SHARED_NGRAMS: f"against_ngrams={self.against_ngrams}",
        }


def _partitions(inputs: Sequence[InputFile]) -> int:
    """Returns into how many parts facts are split by content."""
    return 4 + sum(file.bytes for file in inputs) // _PARTITION_BYTES


def _content_options(
    build: Build, detector: Detector, threshold: Threshold
) -> dict[str, Any]:
    """Returns what the content of a set depends on besides its input."""
    # The threshold says it all, wherever it is from.
    places = {"output", "human", "synthetic", "unknown", "against", "cache", "ledger"}
    places |= {"target_fpr", "calibration"}
    options = {
        field.name: getattr(build, field.name)
        for field in dataclasses.fields(build)
        if field.name not in places
    }
    options |= {"threshold": threshold.as_json(), "detector": detector.scores_key}
    return options


def tell_near_copies(capped: int, bands: int, rows: int) -> dict[str, int]:
    """Returns how near copies were sought, as it stands in the manifest."""
    return {"bands": bands, "rows": rows, "not_compared_with_all": capped}


def key_block(block: Block) -> tuple[int, Block]:
    """Returns the block under its key."""
    return block.key, block


def judge_block(
    element: tuple[Block, pa.RecordBatch],
    threshold: Threshold,
    flagged_human: str,
    max_ai_score: float | None,
    language_policy: str,
    keep: Sequence[str],
) -> pa.RecordBatch:
    """Returns the judged rows of a block; see `decide.judge_facts`."""
    block, facts = element
    return decide.judge_facts(
        facts,
        block.key,
        block.declared,
        threshold.of(column(facts, schema.WORDS)),
        flagged_human,
        max_ai_score,
        language_policy,
        keep,
    )


def digest_block(element: tuple[Block, pa.RecordBatch]) -> str:
    """Returns the digest of all documents of a block."""
    block, facts = element
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    return hashing.content_digest(hi, lo, np.full(len(hi), block.declared, np.uint8))


def settle_copies(
    element: tuple[int, Iterable[pa.RecordBatch]], seed: int
) -> pa.RecordBatch:
    """Returns the settled rows of a partition; see `decide.settle_copies`."""
    return decide.settle_copies(element[1], seed)
