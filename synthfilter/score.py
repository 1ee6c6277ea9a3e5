"""Scores one file: every row, in order, with what the detector says of it."""

import dataclasses
import itertools
import tempfile
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.annotate import COLUMNS, annotate
from synthfilter.console import Reporter
from synthfilter.core import schema, storage
from synthfilter.core.batches import column, set_column
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import hex_hashes
from synthfilter.core.schema import Origin, Reason
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import check_threshold_options, choose_threshold
from synthfilter.inputs.blocks import Block, list_inputs, open_file, read_columns
from synthfilter.inputs.documents import conform, raw_batches
from synthfilter.inputs.fields import describe, map_fields, parse_fields


@dataclasses.dataclass(kw_only=True)
class ScoreFile:
    """Adds ai_score, origin and content_hash to the rows of a file.

    Args:
      output: Parquet file to write.
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      threshold: Score from which on a document counts as machine text, 0 to 1;
        without it, the detector's own.
      target_fpr: Instead of a threshold: the share of human documents that may score
        as machine text, such as 0.01.
      calibration: File of synthfilter calibrate that has the thresholds for target_fpr;
        without it, the detector's own table.
      fields: Columns that hold a field, as NAME=COLUMN, such as text=body, a path such
        as text=pages[].body, or a chat, text=messages with chat_roles= and
        chat_template=.
      max_document_bytes: Longer documents are not scored.
    """

    output: str
    detector: Optional[str] = None
    threshold: Optional[float] = None
    target_fpr: Optional[float] = None
    calibration: Optional[str] = None
    fields: list[str] = dataclasses.field(default_factory=list)
    max_document_bytes: int = 10_000_000

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        check_threshold_options(self.threshold, self.target_fpr, self.calibration)
        parse_fields(self.fields)

    def run(self, path: str, reporter: Reporter) -> str:
        """Scores the file and returns a line about what came out.

        Raises:
          UserError: the input is not one readable file, or the output exists.
        """
        if storage.exists(self.output):
            raise UserError(f"output {self.output!r} exists; name a new file")
        files = list_inputs({Origin.UNKNOWN: [path]})
        if len(files) > 1:
            raise UserError(f"score takes one file, {path!r} names {len(files)}")
        detector = load_detector(self.detector)
        threshold = choose_threshold(
            detector, self.threshold, self.target_fpr, self.calibration
        )
        reporter.say(f"machine text from score {threshold}, {threshold.source}")
        with tempfile.TemporaryDirectory(prefix="synthfilter-") as spool:
            chosen = parse_fields(self.fields)
            found = list(
                open_file(files[0], chosen, spool, 2 * self.max_document_bytes)
            )
            _check_readable(found, path)
            columns = read_columns(files[0])
            mapping = map_fields(columns, chosen, path) if columns.names else {}
            reporter.say(f"fields: {describe(mapping, columns) or 'none readable'}")
            counts = self._write(self._score_rows(found, detector, threshold))
        if counts is None:
            raise UserError(f"{path}: no records; nothing to score")
        return f"{self.output}: {counts}"

    def _write(self, batches: Iterator[pa.RecordBatch]) -> str | None:
        """Writes all batches to the output; returns counts, None if there is none."""
        first = next(batches, None)
        if first is None:
            return None
        rows = synthetic = unscored = 0
        with (
            storage.staged(self.output) as draft,
            pq.ParquetWriter(draft, first.schema, compression="zstd") as writer,
        ):
            for batch in itertools.chain([first], batches):
                writer.write_batch(batch)
                origin = batch.column(schema.ORIGIN)
                rows += len(origin)
                unscored += origin.null_count
                synthetic += pc.sum(pc.equal(origin, "synthetic")).as_py() or 0
        return (
            f"{rows:,} rows, {synthetic:,} scored as machine text, "
            f"{unscored:,} without a score"
        )

    def _score_rows(
        self, found: list[Block], detector: Detector, threshold: Threshold
    ) -> Iterator[pa.RecordBatch]:
        """Yields the rows of all blocks with the new columns."""
        for block in found:
            row = block.first_row
            for batch in _read_block(block):
                numbers = np.arange(row, row + batch.num_rows)
                documents = conform(batch, block, COLUMNS, numbers)
                facts = annotate(documents, detector, self.max_document_bytes)
                yield add_scores(batch, facts, documents, threshold)
                row += batch.num_rows


def _read_block(block: Block) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a block as its file has them.

    Raises:
      UserError: the file is damaged.
    """
    try:
        with storage.open_parquet(block.path) as file:
            yield from raw_batches(file, block, None)
    except (OSError, pa.ArrowException) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"{block.file}: unreadable Parquet: {said}") from error


def add_scores(
    batch: pa.RecordBatch,
    facts: pa.RecordBatch,
    documents: pa.RecordBatch,
    threshold: Threshold,
) -> pa.RecordBatch:
    """Returns the batch with ai_score, origin, content_hash and error.

    Rows that have no score have no origin either; the error says why, where reading
    was the reason.
    """
    score = column(facts, schema.AI_SCORE)
    reason = column(facts, schema.REASON)
    origin = np.where(
        score >= threshold.of(column(facts, schema.WORDS)),
        Origin.SYNTHETIC,
        Origin.HUMAN,
    )
    unscored = np.isnan(score) | (reason != Reason.KEPT)
    names = np.array(schema.ORIGIN_NAMES, object)[origin]
    hashes = hex_hashes(
        column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    )
    added: dict[str, Any] = {
        schema.AI_SCORE: pa.array(score, mask=unscored),
        schema.ORIGIN: pa.array(names, pa.string(), mask=unscored),
        schema.CONTENT_HASH: hashes,
        schema.ERROR: documents.column(schema.ERROR),
    }
    for name, values in added.items():
        batch = set_column(batch, name, values)
    return batch


def _check_readable(found: list[Block], path: str) -> None:
    """Raises UserError when the only block stands for a file that cannot be read."""
    if len(found) == 1 and found[0].path.endswith("-error.parquet"):
        with storage.open_parquet(found[0].path) as file:
            error = file.read(columns=[schema.ERROR]).column(0)[0].as_py()
        raise UserError(f"{path}: {error}")
