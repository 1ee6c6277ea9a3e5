"""Text becomes facts: scores, hashes and sizes, computed once and kept in sidecars."""

import time
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import claims, progress, schema
from synthfilter.core.batches import concat_batches
from synthfilter.core.hashing import document_ids, hash_texts
from synthfilter.core.schema import Evidence, Origin, Reason
from synthfilter.core.text import count_words, normalise, text_buffers
from synthfilter.core.times import parse_times
from synthfilter.decisions.minhash import PERMUTATIONS, shingle_hashes, signatures
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.marks import find_marks
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.sidecars import (
    facts_path,
    find_facts,
    find_signatures,
    no_facts,
    save_facts,
    save_signatures,
    signatures_path,
    was_readable,
)

# Columns that facts are computed from.
COLUMNS = (
    schema.ID,
    schema.TEXT,
    schema.SOURCE,
    schema.CREATED,
    schema.REVIEWED,
    schema.SYNTH_GENERATION,
    schema.PARENT_IDS,
    schema.CLAIMS,
    schema.URL,
    schema.LANGUAGE,
    schema.CATEGORY,
    schema.WEIGHT,
)

# Text is normalised, hashed and scored in pieces: large enough that calls cost little,
# small enough for the processor's cache (of 0.5 to 4 MB, 2 was fastest).
_PIECE_BYTES = 1 << 21


class AnnotateBlocks(beam.DoFn):
    """Yields each block with its facts, from its sidecar or computed and kept there.

    Signatures are computed in the same reading and kept in their sidecar alone.

    Args:
      detector: What `load_detector` takes.
      max_document_bytes: Longer documents get a reason instead of a score.
      shingle_words: Words in a shingle of the signatures; None for no signatures.
      cache: Folder of the sidecars.
      beats: Folder for progress, None for none.
    """

    def __init__(
        self,
        detector: str | None,
        max_document_bytes: int,
        shingle_words: int | None,
        cache: str,
        beats: str | None,
    ) -> None:
        """Keeps the options; the model loads in `setup`."""
        self._path = detector
        self._max_bytes = max_document_bytes
        self._shingle_words = shingle_words
        self._cache = cache
        self._beats = beats

    def setup(self) -> None:
        """Loads the detector, once a process."""
        self._detector = load_detector(self._path)

    def process(self, block: Block) -> Iterator[tuple[Block, pa.RecordBatch]]:
        """Yields `(block, facts)`."""
        began = time.thread_time()
        key, max_bytes = scores_key(block, self._detector), self._max_bytes
        path = facts_path(block, self._cache, key, max_bytes)
        facts = find_facts(path, block.rows)
        signed = self._shingle_words
        if signed is not None:
            beside = signatures_path(block, self._cache, signed, max_bytes)
            if find_signatures(beside, block.rows) is not None:
                signed = None
        if facts is None or signed is not None:
            scored = facts is None and block.declared != Origin.REFERENCE
            detector = self._detector if scored else None
            found, made = annotate_block(block, detector, max_bytes, signed)
            if facts is None:
                facts = found
                save_facts(facts, path)
            if signed is not None:
                save_signatures(made, beside, was_readable(found))
        seconds = time.thread_time() - began
        progress.beat(self._beats, "score", 1, block.bytes, seconds=seconds)
        yield block, facts


def scores_key(block: Block, detector: Detector) -> str:
    """Returns what the scores of a block are known by; a reference set has none."""
    return "" if block.declared == Origin.REFERENCE else detector.scores_key


def annotate_block(
    block: Block,
    detector: Detector | None,
    max_document_bytes: int,
    shingle_words: int | None = None,
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns the facts and the signatures of all rows of a block, in order."""
    parts = [
        annotate_and_sign(batch, detector, max_document_bytes, shingle_words)
        for batch in read_documents(block, COLUMNS)
    ]
    facts, signed = zip(*parts, strict=True) if parts else ((), ())
    return (
        concat_batches(facts or [no_facts()]),
        np.concatenate(signed or [no_signatures()]),
    )


def annotate(
    documents: pa.RecordBatch, detector: Detector | None, max_document_bytes: int
) -> pa.RecordBatch:
    """Returns the facts of documents alone; see `annotate_and_sign`."""
    return annotate_and_sign(documents, detector, max_document_bytes, None)[0]


def annotate_and_sign(
    documents: pa.RecordBatch,
    detector: Detector | None,
    max_document_bytes: int,
    shingle_words: int | None,
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns the facts (`schema.FACTS`) of documents, row by row, without text.

    And their signatures, uint16 [documents, permutations].

    Args:
      documents: A batch of `COLUMNS`, `error` and `position`.
      detector: Scores the text; None leaves the scores at NaN.
      max_document_bytes: Longer documents get a reason instead of a score.
      shingle_words: Words in a shingle of the signatures; None for empty ones.
    """
    if not documents.num_rows:
        return no_facts(), no_signatures()
    text = documents.column(schema.TEXT)
    _, offsets = text_buffers(text)
    sizes = np.diff(offsets)
    error = documents.column(schema.ERROR)
    too_long = sizes > max_document_bytes
    if too_long.any():
        text = pc.if_else(pa.array(too_long), pa.scalar(None, text.type), text)
        _, offsets = text_buffers(text)
    pieces = [
        _measure(text.slice(start, stop - start), detector, shingle_words)
        for start, stop in _pieces(offsets)
    ]
    hi, lo, words, score, signed = (
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
        schema.REVIEWED: _as_uint8(documents.column(schema.REVIEWED)),
        schema.SOURCE: documents.column(schema.SOURCE),
        schema.CLAIMS: _claims(documents.column(schema.CLAIMS), text),
        schema.URL: documents.column(schema.URL),
        schema.LANGUAGE: documents.column(schema.LANGUAGE),
        schema.CATEGORY: documents.column(schema.CATEGORY),
        schema.WEIGHT: _weights(documents.column(schema.WEIGHT)),
        schema.SYNTH_GENERATION: documents.column(schema.SYNTH_GENERATION),
        schema.PARENTS: hash_parents(documents.column(schema.PARENT_IDS)),
        schema.REASON: reason.astype(np.uint8),
        schema.ERROR: error,
        schema.POSITION: documents.column(schema.POSITION),
    }
    arrays = [pa.array(values[name]) for name in schema.FACTS.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.FACTS), signed


def hash_parents(parents: pa.Array) -> pa.Array:
    """Returns the hashes of the ids in each list, as documents' own ids are hashed."""
    given = pc.fill_null(parents.flatten(), "")
    sizes = pc.fill_null(pc.list_value_length(parents), 0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(hash_texts(given)[1]))


def _as_uint8(flags: pa.Array) -> pa.Array:
    """Returns truth values as 0 and 1; what is null is 0."""
    return flags.fill_null(False).cast(pa.uint8())


def no_signatures() -> np.ndarray:
    """Returns the signatures of no documents."""
    return np.zeros((0, PERMUTATIONS), np.uint16)


def _claims(given: pa.Array, text: pa.Array) -> np.ndarray:
    """Returns the claims of columns with those of marks in the text, uint16.

    Any mark that says machine is enough, wherever it stands.
    """
    told = given.fill_null(0).to_numpy()
    marks = np.maximum(claims.claim_of(told, Evidence.MARK), find_marks(text))
    return claims.with_claim(told, Evidence.MARK, marks)


def _weights(given: pa.Array) -> pa.Array:
    """Returns weights without nulls; what is missing, negative or no number is 1."""
    sane = pc.and_(pc.is_finite(given), pc.greater_equal(given, 0)).fill_null(False)
    return pc.if_else(sane, given, pa.scalar(1, pa.float32()))


def _pieces(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields row ranges of about `_PIECE_BYTES` of text, at least one row each."""
    start, rows = 0, len(offsets) - 1
    while start < rows:
        stop = np.searchsorted(offsets, offsets[start] + _PIECE_BYTES, side="right") - 1
        stop = min(max(int(stop), start + 1), rows)
        yield start, stop
        start = stop


def _measure(
    text: pa.Array, detector: Detector | None, shingle_words: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns content hash (hi, lo), words, score and signature of each text."""
    normal = normalise(text)
    hi, lo = hash_texts(normal)
    score = np.full(len(normal), np.nan, np.float32)
    if detector is not None:
        score = detector.score(normal)
    signed = no_signatures()
    if shingle_words is not None:
        signed = signatures(shingle_hashes(normal, shingle_words))
    return hi, lo, count_words(normal), score, signed
