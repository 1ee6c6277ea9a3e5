"""A dry run: what a build would come to, estimated from a sample; writes nothing."""

import collections
import dataclasses
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.annotate import COLUMNS, annotate
from synthfilter.build import Build
from synthfilter.console import count
from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions import decide, mixture, texts
from synthfilter.decisions.cells import Cells
from synthfilter.decisions.copies import find_exact_copies
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.detection.detector import Detector
from synthfilter.detection.lengths import Threshold
from synthfilter.inputs.blocks import InputFile
from synthfilter.inputs.fields import parse_fields
from synthfilter.inputs.sampling import Sample, sample_file
from synthfilter.outputs.shard_plan import count_shards

_SAMPLED_FILES = 8
_SAMPLED_DOCUMENTS = 500
# Beam's start and its bookkeeping on a laptop.
_FIXED_SECONDS = 3.0


class _Place(NamedTuple):
    """A cell, by stratum and code, and an origin."""

    stratum: int
    code: int
    origin: int


@dataclasses.dataclass
class _Group:
    """What a sample says of all the files of one declared origin."""

    declared: Origin
    documents: float = 0.0
    unusable: float = 0.0
    unscored: float = 0.0
    filtered: float = 0.0
    copies: float = 0.0
    # Weight that is still in, by cell and decided origin, in each unit.
    alive: dict[_Place, np.ndarray] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    bytes: float = 0.0


def estimate_build(
    build: Build, inputs: Sequence[InputFile], detector: Detector
) -> list[str]:
    """Returns lines that say what a build would read, keep, write and take.

    Raises:
      ShortageError: as the build itself would.
    """
    threshold = build.choose_threshold(detector)
    outside = build.outside_evidence()
    groups = []
    for who in Origin:
        files = [file for file in inputs if file.declared == who]
        groups.append(_estimate_group(build, files, detector, threshold, outside, who))
    groups = [group for group in groups if group.documents]
    kept, targets = _plan(build, groups)
    return [*_describe_groups(groups), *_describe_set(build, groups, kept, targets)]


def _plan(build: Build, groups: Sequence[_Group]) -> tuple[np.ndarray, mixture.Targets]:
    """Returns what is kept, by origin and unit, and the targets of the mixture."""
    unit = schema.UNITS.index(build.unit)
    available: collections.Counter[tuple[int, int]] = collections.Counter()
    for group in groups:
        for place, amounts in group.alive.items():
            available[place[:2]] += amounts[unit]
    places = sorted(available)
    rows = [(*place, int(available[place])) for place in places]
    cells = Cells(*np.array(rows, np.int64).reshape(-1, 3).T)
    targets = mixture.plan_targets(cells, build.rules())
    part = {
        place: target / weight if weight else 0.0
        for place, target, weight in zip(
            places, targets.weight.tolist(), cells.weight.tolist(), strict=True
        )
    }
    kept = np.zeros((2, len(schema.UNITS)))
    for group in groups:
        for place, amounts in group.alive.items():
            kept[place.origin] += amounts * part[place[:2]]
    return kept, targets


def _estimate_group(
    build: Build,
    files: Sequence[InputFile],
    detector: Detector,
    threshold: Threshold,
    outside: OutsideEvidence,
    who: Origin,
) -> _Group:
    """Scales what a few files hold to all files of a declared origin, by their size."""
    group = _Group(who)
    step = max(1, len(files) // _SAMPLED_FILES)
    chosen = parse_fields(build.fields)
    sampled = files[::step]
    size = sum(file.bytes for file in sampled)
    scale = sum(file.bytes for file in files) / size if size else 1.0
    for file in sampled:
        sample = sample_file(
            file, chosen, COLUMNS, _SAMPLED_DOCUMENTS, 2 * build.max_document_bytes
        )
        if sample is not None:
            rows = scale * sample.rows
            _add_sample(group, sample, rows, build, detector, threshold, outside)
    return group


def _add_sample(
    group: _Group,
    sample: Sample,
    rows: float,
    build: Build,
    detector: Detector,
    threshold: Threshold,
    outside: OutsideEvidence,
) -> None:
    """Adds what a sample of one file says of `rows` documents like it."""
    start = time.perf_counter()
    scorer = None if group.declared == Origin.REFERENCE else detector
    facts = annotate(sample.documents, scorer, build.max_document_bytes)
    seconds = sample.seconds + time.perf_counter() - start + _write_seconds(sample)
    judged = _judge(facts, group.declared, build, threshold, outside)
    reason = column(judged, schema.REASON)
    seen = judged.num_rows
    weight = rows / seen
    alive = reason == Reason.KEPT
    copies = find_exact_copies(
        column(judged, schema.CONTENT_HI)[alive],
        column(judged, schema.CONTENT_LO)[alive],
        column(judged, schema.WORDS)[alive],
        [column(judged, schema.ROW)[alive]],
    )
    # Of the pairs in the file, a sample of a part p has only p * p.
    share = min(float(copies.sum()) / seen * weight, 0.9)
    unusable = np.isin(reason, schema.UNUSABLE)
    unscored = ~unusable & np.isnan(column(facts, schema.AI_SCORE))
    group.documents += rows
    group.unusable += float(unusable.sum()) * weight
    group.unscored += float(unscored.sum()) * weight
    group.filtered += float((~alive & ~unusable).sum()) * weight
    group.copies += share * rows
    _add_alive(group, judged, weight * (1 - share))
    group.seconds += seconds * weight
    group.bytes += float(column(judged, schema.BYTES).sum()) * weight


def _judge(
    facts: pa.RecordBatch,
    declared: Origin,
    build: Build,
    threshold: Threshold,
    outside: OutsideEvidence,
) -> pa.RecordBatch:
    judged = decide.judge_facts(
        facts,
        0,
        declared,
        threshold.of(column(facts, schema.WORDS)),
        build.max_ai_score,
        outside,
        build.keep,
        build.grouping(),
    )
    return texts.settle_origins(
        judged, build.origin_rules(), build.keep, build.grouping()
    )


def _add_alive(group: _Group, judged: pa.RecordBatch, times: float) -> None:
    """Adds what is still in of a sample that stands for so many times its weight."""
    mixed = decide.keep_alive(judged)
    mixed = mixed.filter(pc.not_equal(mixed.column(schema.GROUP), schema.NO_GROUP))
    amounts = np.stack([decide.weights(mixed, unit) for unit in schema.UNITS], axis=1)
    places = zip(
        column(mixed, schema.STRATUM).tolist(),
        decide.cell_codes(mixed).tolist(),
        column(mixed, schema.ORIGIN).tolist(),
        strict=True,
    )
    for place, amount in zip(places, amounts, strict=True):
        seen = group.alive.setdefault(_Place(*place), np.zeros(len(schema.UNITS)))
        seen += amount * times


def _write_seconds(sample: Sample) -> float:
    """Returns how long the sample takes to write as Parquet, in memory."""
    start = time.perf_counter()
    table = pa.Table.from_batches([concat_batches([sample.documents])])
    pq.write_table(table, pa.BufferOutputStream(), compression="zstd")
    return time.perf_counter() - start


def _describe_groups(groups: Sequence[_Group]) -> list[str]:
    lines = []
    for group in groups:
        line = (
            f"{group.declared.name.lower()}: about {group.documents:,.0f} documents "
            f"({group.bytes / 1e6:,.1f} MB of text); unusable {group.unusable:,.0f}"
        )
        if group.declared != Origin.REFERENCE:
            line += (
                f", without a score {group.unscored:,.0f}, "
                f"filtered {group.filtered:,.0f}, exact copies within files about "
                f"{group.copies:,.0f} (other copies show only in the build)"
            )
        lines.append(line)
    return lines


def _describe_set(
    build: Build,
    groups: Sequence[_Group],
    kept: np.ndarray,
    targets: mixture.Targets,
) -> list[str]:
    unit = schema.UNITS.index(build.unit)
    total = kept[:, unit].sum()
    share = kept[Origin.SYNTHETIC, unit] / total if total else 0.0
    text = kept[:, schema.UNITS.index("bytes")].sum()
    seconds = _FIXED_SECONDS + sum(group.seconds for group in groups)
    limit = f"; limited by {targets.limited_by}" if targets.limited_by else ""
    return [
        f"set: about {kept[:, 0].sum():,.0f} documents, {total:,.0f} {build.unit}, "
        f"counted synthetic share {share:.1%} of {build.unit}{limit}",
        f"output: about {count(count_shards(text, build.max_shard_bytes), 'shard')}, "
        f"{text / 1e6:,.1f} MB of text; time: about {seconds:,.0f} s on one core",
        "dry run: nothing was written, and no hidden machine text was estimated",
    ]
