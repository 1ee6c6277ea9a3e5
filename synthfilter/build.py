"""A build, top to bottom: files in, a mixed and accounted-for set out.

    inputs -> blocks -> facts -> copies -> summary -> mixture -> shards -> manifest

Text is read twice and never shuffled; what travels is facts, as Arrow batches.
"""

import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from synthfilter.annotate import AnnotateBlocks
from synthfilter.archive import check_archive, digest_archive
from synthfilter.build_options import (
    CardOptions,
    CopyOptions,
    InputOptions,
    MixtureOptions,
    OriginOptions,
    OutputOptions,
    ReportOptions,
    ReuseOptions,
)
from synthfilter.core import hashing, schema, storage
from synthfilter.core.batches import (
    GatherBatches,
    Keyed,
    concat_batches,
)
from synthfilter.core.errors import UserError
from synthfilter.core.profiles import Profiles
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions import decide, minhash, texts
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.decisions.summary import add_chosen
from synthfilter.decisions.verdicts import check_max_error
from synthfilter.detection.canary import canary_scores
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import choose_profiles, choose_threshold
from synthfilter.evidence import read_outside_evidence
from synthfilter.generations import find_lineage
from synthfilter.identity import content_options, identify_build
from synthfilter.inputs.blocks import (
    Block,
    InputFile,
    OpenFiles,
    find_expected,
    list_inputs,
)
from synthfilter.inputs.fields import parse_fields
from synthfilter.inputs.sidecars import facts_path, ngrams_path, signatures_path
from synthfilter.insight.figures import add_figures
from synthfilter.ledger.verdicts import read_verdicts
from synthfilter.letters import check_dead_letters, count_letters
from synthfilter.mixing import plan_mixture, sum_up
from synthfilter.near import drop_near_copies
from synthfilter.near_origin import claim_near_uses
from synthfilter.options import check_types, describe_inherited
from synthfilter.outputs import manifest
from synthfilter.outputs.commit import Target, find_target
from synthfilter.per_block import digest_block, judge_block, key_block
from synthfilter.publish import (
    WriteShard,
    choose_shards,
    commit_build,
    plan_layout,
)
from synthfilter.reasons import tell_evidence
from synthfilter.reference import drop_shared_ngrams
from synthfilter.reporting import Publication, read_sketches, tell_maker
from synthfilter.reuse import (
    ReuseRules,
    drop_near_uses,
    settle_and_mark,
)
from synthfilter.same_ids import count_same_ids
from synthfilter.sources import check_sources
from synthfilter.truth import find_truth, name_groups, true_shares

# Facts are decided on in partitions of about this much input.
_PARTITION_BYTES = 256 << 20
# What a document takes in a file, about; only memory depends on it.
_DOCUMENT_BYTES = 1000
# The ledger is read for near copies once for each part of about this much input.
_LEDGER_BYTES = 1 << 30


class _Mixed(NamedTuple):
    """What is known of all documents once they are decided on; each one element.

    Attributes:
      truth: The one `Truth`.
      archive: `ArchiveFile`s.
      summary: The one `Summary`.
      plan: The one `MixturePlan`.
      bounds: The one `Bounds`.
    """

    truth: beam.PCollection
    archive: beam.PCollection
    summary: beam.PCollection
    plan: beam.PCollection
    bounds: beam.PCollection


# The order of the fields is that of the bases, from the last to the first.
@describe_inherited
@dataclasses.dataclass(kw_only=True)
class Build(
    CardOptions,
    ReportOptions,
    OutputOptions,
    MixtureOptions,
    ReuseOptions,
    CopyOptions,
    OriginOptions,
    InputOptions,
    beam.PTransform,
):
    """Builds a training set: scores, removes copies, mixes, writes, keeps the books.

    Applied to a pipeline; the result is a collection with one element, the manifest.
    """

    # Beam YAML's name for a transform that stands at the beginning.
    _yaml_requires_inputs = False

    def __post_init__(self) -> None:
        """Checks every option; reads nothing."""
        check_types(self)
        self.check_card()
        self.check_report()
        self.check_output()
        self.check_input()
        self.check_mixture()
        self.check_origin()
        self.check_copies()
        self.check_reuse()
        if self.against_ngrams is not None and not self.against:
            raise UserError("against_ngrams needs against, the text to compare with")

    def expand(self, root: Any) -> beam.PCollection:
        """Wires the build into a pipeline; lists the inputs and claims the output."""
        inputs = self.list_inputs()
        self.check_reviews()
        self.check_previous()
        manifest.claim_output(self.output, self.overwrite)
        return self.build_from(root, inputs)

    def list_inputs(self) -> list[InputFile]:
        """Returns the input files; raises UserError for a pattern without any."""
        return list_inputs(
            {
                Origin.HUMAN: self.human,
                Origin.SYNTHETIC: self.synthetic,
                Origin.UNKNOWN: self.unknown,
                Origin.REFERENCE: self.against,
                Origin.CORE: self.core,
            }
        )

    def check_reviews(self) -> None:
        """Raises ShortageError if reviewers found too many errors, or saw too few."""
        if self.max_error is not None and self.ledger is not None:
            check_max_error(read_verdicts(self.ledger), self.max_error)

    def check_previous(self) -> None:
        """Raises UserError unless the set can be compared with `previous`."""
        if self.previous is not None:
            read_sketches(self.previous)

    def cache_folder(self) -> str:
        """Returns the folder for facts that outlive the build."""
        beside = storage.join(storage.parent(self.output), ".synthfilter-cache")
        return self.cache or beside

    def choose_threshold(self, detector: Detector) -> Threshold:
        """Returns from which score on documents count as machine text."""
        return choose_threshold(
            detector, self.threshold, self.target_fpr, self.calibration
        )

    def outside_evidence(self) -> OutsideEvidence:
        """Returns what lists, dates and reviewers say of origins."""
        return read_outside_evidence(
            self.human_urls, self.synthetic_urls, self.human_before, self.ledger
        )

    def build_from(
        self,
        root: Any,
        inputs: Sequence[InputFile],
        beats: Optional[str] = None,
        workers: Optional[int] = None,
    ) -> beam.PCollection:
        """Wires the build of files that are already listed.

        Args:
          root: The pipeline.
          inputs: What `list_inputs` returned.
          beats: Folder for progress, None for none.
          workers: Processes that it will run in, None if the runner decides.
        """
        detector = load_detector(self.detector)
        threshold = self.choose_threshold(detector)
        outside = self.outside_evidence()
        profiles = choose_profiles(detector, self.calibration)
        target = find_target(self.output, self.overwrite)
        options = content_options(self, detector, threshold, outside, profiles)
        found = self._open(root, inputs, beats)
        annotated = self._annotate(found, beats)
        letters = annotated | "CountLetters" >> beam.Map(count_letters)
        partitions = _partitions(inputs)
        digest = (
            annotated
            | "Digest" >> beam.Map(digest_block)
            | "AddDigests" >> beam.CombineGlobally(hashing.add_digests)
        )
        identity = digest | "IdentifyBuild" >> beam.Map(
            identify_build, options, self.ledger
        )
        settled = self._settle(annotated, identity, partitions, threshold, outside)
        decided, capped = self._decide(settled, found, identity, inputs, beats)
        decided, mixed = self._mix(decided, annotated, letters, profiles)
        expected = (
            decided
            | "CountChosen"
            >> beam.Map(
                decide.count_chosen, AsSingleton(mixed.plan), AsSingleton(mixed.bounds)
            )
            | "AddChosen" >> beam.CombineGlobally(add_chosen)
        )
        layout = mixed.summary | "PlanShards" >> beam.Map(
            plan_layout,
            AsSingleton(expected),
            AsSingleton(identity),
            self.max_shard_bytes,
            self.seed,
        )
        chosen = decided | "Choose" >> beam.FlatMap(
            choose_shards,
            AsSingleton(mixed.plan),
            AsSingleton(mixed.bounds),
            AsSingleton(layout),
        ).with_output_types(Keyed)
        names = annotated | "NameGroups" >> beam.FlatMap(
            name_groups, AsSingleton(mixed.truth)
        )
        written = self._write(
            chosen, found, layout, letters, target, detector, threshold, beats
        )
        figures = (
            written
            | "Figures" >> beam.Values()
            | "AddFigures" >> beam.CombineGlobally(add_figures)
        )
        published = self._publication(
            target, detector, threshold, options, beats, workers
        )
        return (
            root
            | "Manifest" >> beam.Create([None])
            | "Commit"
            >> beam.Map(
                commit_build,
                AsIter(written | "Records" >> beam.Keys()),
                AsSingleton(figures),
                AsIter(found),
                AsDict(letters),
                AsSingleton(mixed.plan),
                AsSingleton(layout),
                AsSingleton(mixed.truth),
                AsIter(names),
                AsIter(mixed.archive),
                self._near_copies(capped),
                AsSingleton(count_same_ids(annotated, partitions)),
                published,
            )
        )

    def _publication(
        self,
        target: Target,
        detector: Detector,
        threshold: Threshold,
        options: Mapping[str, Any],
        beats: Optional[str],
        workers: Optional[int],
    ) -> Publication:
        """Returns what is known of the set before anything is read."""
        started = datetime.datetime.now(datetime.timezone.utc)
        return Publication(
            target=target,
            options={
                **options,
                "threshold_from": threshold.source,
                "target_fpr": self.target_fpr,
            },
            detector={"name": detector.name, "sha256": detector.sha256},
            canaries=canary_scores(detector),
            thresholds=threshold.values,
            grouping=self.grouping(),
            ledger=self.ledger,
            previous=self.previous,
            maker=tell_maker(self, self.output, started),
            started=started,
            workers=workers,
            beats=beats,
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
                    find_expected(inputs, self.expected_records),
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
            self.facts_folder(),
            beats,
            ngrams=True,
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
        outside: OutsideEvidence,
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
                self.max_ai_score,
                outside,
                self.keep,
                self.grouping(),
            )
            | "GatherFacts"
            >> beam.ParDo(GatherBatches()).with_output_types(pa.RecordBatch)
            | "ByContent"
            >> beam.FlatMap(texts.split_by_content, partitions).with_output_types(Keyed)
            | "SameContent" >> beam.GroupByKey()
        )
        if self.ledger is None and self.max_generation is None:
            return by_content | "SettleCopies" >> beam.Map(
                settle_partition, self.settling()
            )
        return by_content | "SettleUses" >> beam.Map(
            settle_and_mark,
            self.settling(),
            self.reuse_rules(),
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
                parts = 1 + sum(file.bytes for file in inputs) // _LEDGER_BYTES
                settled = claim_near_uses(
                    settled,
                    blocks,
                    identity,
                    self.signatures_path(),
                    self.near_duplicates,
                    self.origin_rules(),
                    self.settling_near(),
                    parts,
                )
                if self.reuse_rules().limited:
                    # First, so that a near copy names a document that stays.
                    settled = drop_near_uses(
                        settled,
                        blocks,
                        identity,
                        self.signatures_path(),
                        self.near_duplicates,
                        self.reuse_rules(),
                        parts,
                    )
            settled, capped = drop_near_copies(
                settled,
                blocks,
                self.signatures_path(),
                self.near_duplicates,
                self.shingle_words,
                _partitions(inputs),
                sum(file.bytes for file in inputs) // _DOCUMENT_BYTES,
                beats,
            )
        return settled | "LeaveReference" >> beam.Map(decide.leave_reference), capped

    def _mix(
        self,
        decided: beam.PCollection,
        annotated: beam.PCollection,
        letters: beam.PCollection,
        profiles: Optional[Profiles],
    ) -> tuple[beam.PCollection, _Mixed]:
        """Decided documents, without those too suspect to stay, and what is chosen."""
        decided, truth = find_truth(
            decided,
            profiles,
            self.unit,
            self.held_fraction(),
            self.on_hidden,
        )
        archive = digest_archive(annotated)
        weighted = schema.WEIGHT in parse_fields(self.fields)
        summary = check_archive(
            sum_up(decided, self.unit, weighted),
            archive,
            self.ledger,
            self.replace_core,
        )
        summary = check_dead_letters(summary, letters, self.max_dead_letters)
        summary = check_sources(summary, annotated, self.max_source_loss)
        plan, bounds = plan_mixture(
            decided,
            summary,
            self.rules(),
            weighted,
            truth | "TrueShares" >> beam.Map(true_shares, self.count == "estimated"),
        )
        return decided, _Mixed(truth, archive, summary, plan, bounds)

    def held_fraction(self) -> Optional[float]:
        """Returns the synthetic share to hold by estimate; None where none is."""
        if self.count == "declared":
            return None
        return self.rules().held_fraction()

    def settling(self) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
        """Returns `texts.settle_texts` with the options of the build."""
        return functools.partial(
            texts.settle_texts,
            rules=self.origin_rules(),
            keep=self.keep,
            grouping=self.grouping(),
            seed=self.seed,
        )

    def settling_near(self) -> Callable[[pa.RecordBatch, np.ndarray], pa.RecordBatch]:
        """Returns `texts.settle_near` with the options of the build."""
        return functools.partial(
            texts.settle_near,
            rules=self.origin_rules(),
            keep=self.keep,
            grouping=self.grouping(),
        )

    def reuse_rules(self) -> ReuseRules:
        """Returns what earlier use leaves a document out."""
        return ReuseRules(
            self.max_uses, self.max_generation, self.cap_human, self.unknown_generation
        )

    def _signs(self) -> bool:
        """Returns whether signatures are needed, to compare or for the ledger."""
        return self.near_duplicates is not None or self.ledger is not None

    def signatures_path(self) -> Callable[[Block], str]:
        """Returns what tells where the signatures of a block are."""
        return functools.partial(
            signatures_path,
            folder=self.facts_folder(),
            shingle_words=self.shingle_words,
            max_bytes=self.max_document_bytes,
        )

    def _write(
        self,
        chosen: beam.PCollection,
        found: beam.PCollection,
        layout: beam.PCollection,
        letters: beam.PCollection,
        target: Target,
        detector: Detector,
        threshold: Threshold,
        beats: Optional[str],
    ) -> beam.PCollection:
        """Verdicts by shard to written files."""
        evidence = functools.partial(
            tell_evidence,
            threshold=threshold,
            options=self._evidence(),
            conflicts=(
                f"marked_human={self.marked_human}",
                f"early_synthetic={self.early_synthetic}",
            ),
        )
        where = functools.partial(
            facts_path,
            folder=self.facts_folder(),
            scores_key=detector.scores_key,
            max_bytes=self.max_document_bytes,
        )
        writer = WriteShard(
            target,
            self.seed,
            self.unit,
            self.grouping(),
            where,
            functools.partial(
                ngrams_path,
                folder=self.facts_folder(),
                max_bytes=self.max_document_bytes,
            ),
            evidence,
            self.rejected_text,
            self.dead_letters_per_file,
            self.excerpt,
            None if self.ledger is None else self.signatures_path(),
            beats,
        )
        blocks = AsDict(found | "KeyBlocks" >> beam.Map(key_block))
        return (
            chosen
            | "ByShard" >> beam.GroupByKey()
            | "WriteShards"
            >> beam.ParDo(writer, blocks, AsSingleton(layout), AsDict(letters))
        )

    def _near_copies(self, capped: Optional[beam.PCollection]) -> Any:
        """Returns what the manifest says of near copies; None if none were sought."""
        if capped is None or self.near_duplicates is None:
            return None
        bands = minhash.choose_bands(self.near_duplicates)
        return AsSingleton(
            capped | "TellNearCopies" >> beam.Map(tell_near_copies, *bands)
        )

    def facts_folder(self) -> str:
        """Returns the folder of the sidecars."""
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


def tell_near_copies(capped: int, bands: int, rows: int) -> dict[str, int]:
    """Returns how near copies were sought, as it stands in the manifest."""
    return {"bands": bands, "rows": rows, "not_compared_with_all": capped}


def settle_partition(
    element: tuple[int, Iterable[pa.RecordBatch]],
    settle: Callable[[pa.RecordBatch], pa.RecordBatch],
) -> pa.RecordBatch:
    """Returns the settled rows of a partition; see `texts.settle_texts`."""
    return settle(concat_batches(element[1]))
