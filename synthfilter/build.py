"""A build, top to bottom: files in, a mixed and accounted-for set out.

    inputs -> blocks -> facts -> copies -> summary -> mixture -> shards -> manifest

Text is read twice and never shuffled; what travels is facts, as Arrow batches.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
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
from synthfilter.decisions import copies, decide, mixture, origin
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.thresholds import (
    Threshold,
    check_threshold_options,
    choose_threshold,
)
from synthfilter.inputs.blocks import Block, InputFile, OpenFiles, list_inputs
from synthfilter.inputs.fields import parse_fields
from synthfilter.inputs.sidecars import facts_path
from synthfilter.mixing import plan_mixture, sum_up
from synthfilter.outputs import manifest
from synthfilter.publish import (
    WriteShard,
    choose_shards,
    commit_build,
    plan_layout,
)

# Facts are decided on in partitions of about this much input.
_PARTITION_BYTES = 256 << 20


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
      calibration: File of synthfilter calibrate that has the threshold for target_fpr;
        without it, the detector's own table.
      flagged_human: What to do with declared human documents that score as machine
        text: reclassify (as synthetic), drop or keep.
      max_ai_score: Drop declared synthetic documents that score above this.
      keep: Which of several copies stays, the most important rule first.
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
    max_ai_score: Optional[float] = None
    keep: list[str] = dataclasses.field(default_factory=lambda: list(copies.KEEP_RULES))
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
        copies.check_keep(self.keep)
        parse_fields(self.fields)

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
            }
        )

    def cache_folder(self) -> str:
        """Returns the folder for facts that outlive the build."""
        beside = storage.join(storage.parent(self.output), ".synthfilter-cache")
        return self.cache or beside

    def choose_threshold(self, detector: Detector) -> Threshold:
        """Returns the score from which on documents count as machine text."""
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
        options = _content_options(self, detector, threshold.value)
        found = self._open(root, inputs, beats)
        annotated = self._annotate(found, beats)
        decided = self._decide(annotated, _partitions(inputs), options["threshold"])
        summary = sum_up(decided, self.unit)
        plan, bounds = plan_mixture(
            decided,
            summary,
            self.unit,
            self.synthetic_fraction,
            self.max_synthetic_fraction,
            self.target_size,
            self.on_shortage,
        )
        digest = (
            annotated
            | "Digest" >> beam.Map(digest_block)
            | "AddDigests" >> beam.CombineGlobally(hashing.add_digests)
        )
        layout = summary | "PlanShards" >> beam.Map(
            plan_layout,
            AsSingleton(plan),
            AsSingleton(digest),
            self.max_shard_bytes,
            self.seed,
            options,
        )
        chosen = decided | "Choose" >> beam.FlatMap(
            choose_shards, AsSingleton(plan), AsDict(bounds), AsSingleton(layout)
        ).with_output_types(Keyed)
        evidence = self._evidence(threshold.value)
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
            self.detector, self.max_document_bytes, self._facts_folder(), beats
        )
        return (
            found
            | "SpreadBlocks" >> beam.Reshuffle()
            | "Annotate" >> beam.ParDo(annotate)
        )

    def _decide(
        self, annotated: beam.PCollection, partitions: int, threshold: float
    ) -> beam.PCollection:
        """Facts to decided documents, but for the mixture."""
        return (
            annotated
            | "Judge"
            >> beam.Map(judge_block, threshold, self.flagged_human, self.max_ai_score)
            | "GatherFacts"
            >> beam.ParDo(GatherBatches()).with_output_types(pa.RecordBatch)
            | "ByContent"
            >> beam.FlatMap(decide.split_by_content, partitions).with_output_types(
                Keyed
            )
            | "SameContent" >> beam.GroupByKey()
            | "SettleCopies" >> beam.Map(settle_copies, self.keep, self.seed)
        )

    def _write(
        self,
        chosen: beam.PCollection,
        found: beam.PCollection,
        layout: beam.PCollection,
        detector: Detector,
        evidence: dict[Reason, str],
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
            self.output, self.seed, where, evidence, self.rejected_text, beats
        )
        blocks = AsDict(found | "KeyBlocks" >> beam.Map(key_block))
        return (
            chosen
            | "ByShard" >> beam.GroupByKey()
            | "WriteShards" >> beam.ParDo(writer, blocks, AsSingleton(layout))
        )

    def _facts_folder(self) -> str:
        return storage.join(self.cache_folder(), "facts")

    def _evidence(self, threshold: float) -> dict[Reason, str]:
        """Returns what to say beside the reasons that options are behind."""
        return {
            Reason.UNUSABLE_TOO_LONG: f"max_document_bytes={self.max_document_bytes}",
            Reason.HUMAN_SCORED_SYNTHETIC: f"threshold={threshold}",
            Reason.SCORE_TOO_HIGH: f"max_ai_score={self.max_ai_score}",
        }


def _partitions(inputs: Sequence[InputFile]) -> int:
    """Returns into how many parts facts are split by content."""
    return 4 + sum(file.bytes for file in inputs) // _PARTITION_BYTES


def _content_options(
    build: Build, detector: Detector, threshold: float
) -> dict[str, Any]:
    """Returns what the content of a set depends on besides its input."""
    # The threshold says it all, wherever it is from.
    places = {"output", "human", "synthetic", "unknown", "cache"}
    places |= {"target_fpr", "calibration"}
    options = {
        field.name: getattr(build, field.name)
        for field in dataclasses.fields(build)
        if field.name not in places
    }
    return {**options, "threshold": threshold, "detector": detector.scores_key}


def key_block(block: Block) -> tuple[int, Block]:
    """Returns the block under its key."""
    return block.key, block


def judge_block(
    element: tuple[Block, pa.RecordBatch],
    threshold: float,
    flagged_human: str,
    max_ai_score: float | None,
) -> pa.RecordBatch:
    """Returns the judged rows of a block; see `decide.judge_facts`."""
    block, facts = element
    return decide.judge_facts(
        facts, block.key, block.declared, threshold, flagged_human, max_ai_score
    )


def digest_block(element: tuple[Block, pa.RecordBatch]) -> str:
    """Returns the digest of all documents of a block."""
    block, facts = element
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    return hashing.content_digest(hi, lo, np.full(len(hi), block.declared, np.uint8))


def settle_copies(
    element: tuple[int, Iterable[pa.RecordBatch]], keep: Sequence[str], seed: int
) -> pa.RecordBatch:
    """Returns the decided rows of a partition; see `decide.settle_copies`."""
    return decide.settle_copies(element[1], keep, seed)
