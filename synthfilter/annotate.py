"""Text becomes facts: scores, hashes and sizes, computed once and kept in sidecars."""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import progress, schema
from synthfilter.core.batches import concat_batches
from synthfilter.core.hashing import document_ids, hash_texts
from synthfilter.core.schema import Reason
from synthfilter.core.text import normalise, text_buffers
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.sidecars import (
    facts_path,
    find_facts,
    no_facts,
    save_facts,
)

# Columns that facts are computed from.
COLUMNS = (schema.ID, schema.TEXT, schema.SOURCE, schema.CREATED)

# Text is normalised, hashed and scored in pieces: large enough that calls cost little,
# small enough for the processor's cache (of 0.5 to 4 MB, 2 was fastest).
_PIECE_BYTES = 1 << 21


class AnnotateBlocks(beam.DoFn):
    """Yields each block with its facts, from its sidecar or computed and kept there.

    Args:
      detector: What `load_detector` takes.
      max_document_bytes: Longer documents get a reason instead of a score.
      cache: Folder of the sidecars.
      beats: Folder for progress, None for none.
    """

    def __init__(
        self,
        detector: str | None,
        max_document_bytes: int,
        cache: str,
        beats: str | None,
    ) -> None:
        """Keeps the options; the model loads in `setup`."""
        self._path = detector
        self._max_bytes = max_document_bytes
        self._cache = cache
        self._beats = beats

    def setup(self) -> None:
        """Loads the detector, once a process."""
        self._detector = load_detector(self._path)

    def process(self, block: Block) -> Iterator[tuple[Block, pa.RecordBatch]]:
        """Yields `(block, facts)`."""
        path = facts_path(
            block, self._cache, self._detector.scores_key, self._max_bytes
        )
        facts = find_facts(path, block.rows)
        if facts is None:
            facts = annotate_block(block, self._detector, self._max_bytes)
            save_facts(facts, path)
        progress.beat(self._beats, "score", 1, block.bytes)
        yield block, facts


def annotate_block(
    block: Block, detector: Detector, max_document_bytes: int
) -> pa.RecordBatch:
    """Returns the facts of all rows of a block, in order."""
    batches = [
        annotate(batch, detector, max_document_bytes)
        for batch in read_documents(block, COLUMNS)
    ]
    return concat_batches(batches or [no_facts()])


def annotate(
    documents: pa.RecordBatch, detector: Detector | None, max_document_bytes: int
) -> pa.RecordBatch:
    """Returns the facts (`schema.FACTS`) of documents, row by row, without text.

    Args:
      documents: A batch of `COLUMNS`, `error` and `position`.
      detector: Scores the text; None leaves the scores at NaN.
      max_document_bytes: Longer documents get a reason instead of a score.
    """
    if not documents.num_rows:
        return no_facts()
    text = documents.column(schema.TEXT)
    _, offsets = text_buffers(text)
    sizes = np.diff(offsets)
    error = documents.column(schema.ERROR)
    too_long = sizes > max_document_bytes
    if too_long.any():
        text = pc.if_else(pa.array(too_long), pa.scalar(None, text.type), text)
        _, offsets = text_buffers(text)
    pieces = [
        _measure(text.slice(start, stop - start), detector)
        for start, stop in _pieces(offsets)
    ]
    hi, lo, words, score = (
        np.concatenate(parts) for parts in zip(*pieces, strict=True)
    )
    reason = np.where(words == 0, Reason.UNUSABLE_EMPTY, Reason.KEPT)
    reason = np.where(too_long, Reason.UNUSABLE_TOO_LONG, reason)
    reason = np.where(error.is_valid().to_numpy(False), Reason.DEAD_LETTER, reason)
    names = document_ids(
        documents.column(schema.ID), documents.column(schema.SOURCE), hi, lo
    )
    values = {
        schema.CONTENT_HI: hi,
        schema.CONTENT_LO: lo,
        schema.IDENTITY: hash_texts(names)[1],
        schema.AI_SCORE: score,
        schema.BYTES: sizes.astype(np.int32),
        schema.WORDS: words,
        schema.CREATED: parse_times(documents.column(schema.CREATED)),
        schema.REASON: reason.astype(np.uint8),
        schema.ERROR: error,
        schema.POSITION: documents.column(schema.POSITION),
    }
    arrays = [pa.array(values[name]) for name in schema.FACTS.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.FACTS)


def parse_times(created: pa.Array) -> pa.Array:
    """Returns milliseconds since 1970 (UTC) of ISO dates; null for anything else."""
    if created.null_count == len(created):
        return pa.nulls(len(created), pa.int64())
    text = pc.replace_substring(created, "T", " ")
    moment = pc.strptime(
        pc.utf8_slice_codeunits(text, 0, 19), "%Y-%m-%d %H:%M:%S", "ms", True
    )
    day = pc.strptime(pc.utf8_slice_codeunits(text, 0, 10), "%Y-%m-%d", "ms", True)
    return pc.coalesce(moment, day).cast(pa.int64())


def _pieces(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields row ranges of about `_PIECE_BYTES` of text, at least one row each."""
    start, rows = 0, len(offsets) - 1
    while start < rows:
        stop = np.searchsorted(offsets, offsets[start] + _PIECE_BYTES, side="right") - 1
        stop = min(max(int(stop), start + 1), rows)
        yield start, stop
        start = stop


def _measure(
    text: pa.Array, detector: Detector | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns content hash (hi, lo), number of words and score of each text."""
    normal = normalise(text)
    hi, lo = hash_texts(normal)
    spaces = pc.count_substring(normal, " ").to_numpy().astype(np.int32)
    filled = np.diff(text_buffers(normal)[1]) > 0
    nothing = np.full(len(normal), np.nan, np.float32)
    score = nothing if detector is None else detector.score(normal)
    return hi, lo, spaces + filled, score
