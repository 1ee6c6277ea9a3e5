"""Text becomes facts: scores, hashes and sizes, computed once and kept in sidecars."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import claims, progress, schema
from synthfilter.core.batches import concat_batches
from synthfilter.core.hashing import document_ids, hash_texts
from synthfilter.core.ngrams import NgramRows, concat_rows, sampling_bounds
from synthfilter.core.schema import Evidence, Origin, Reason
from synthfilter.core.text import count_words, normalise, text_buffers
from synthfilter.core.times import parse_times
from synthfilter.decisions.minhash import PERMUTATIONS, shingle_hashes, signatures
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.marks import find_marks
from synthfilter.detection.ngrams import sample_text, score_and_sample
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.sidecars import (
    facts_path,
    find_facts,
    find_ngrams,
    find_signatures,
    ngrams_path,
    no_facts,
    save_facts,
    save_ngrams,
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


class Annotated(NamedTuple):
    """What was computed of documents, row by row.

    Attributes:
      facts: `schema.FACTS`.
      signatures: uint16 [documents, permutations]; without rows if none were wanted.
      ngrams: Their n-grams; None if none were wanted.
    """

    facts: pa.RecordBatch
    signatures: np.ndarray
    ngrams: NgramRows | None


class AnnotateBlocks(beam.DoFn):
    """Yields each block with its facts, from its sidecar or computed and kept there.

    Signatures and n-grams are computed in the same reading and kept in their sidecars
    alone.

    Args:
      detector: What `load_detector` takes.
      max_document_bytes: Longer documents get a reason instead of a score.
      shingle_words: Words in a shingle of the signatures; None for no signatures.
      cache: Folder of the sidecars.
      beats: Folder for progress, None for none.
      ngrams: Whether to sample n-grams; a reference set, never written, has none.
    """

    def __init__(
        self,
        detector: str | None,
        max_document_bytes: int,
        shingle_words: int | None,
        cache: str,
        beats: str | None,
        ngrams: bool = False,
    ) -> None:
        """Keeps the options; the model loads in `setup`."""
        self._path = detector
        self._max_bytes = max_document_bytes
        self._shingle_words = shingle_words
        self._cache = cache
        self._beats = beats
        self._ngrams = ngrams

    def setup(self) -> None:
        """Loads the detector, once a process."""
        self._detector = load_detector(self._path)

    def process(self, block: Block) -> Iterator[tuple[Block, pa.RecordBatch]]:
        """Yields `(block, facts)`."""
        began = time.thread_time()
        key = scores_key(block, self._detector)
        path = facts_path(block, self._cache, key, self._max_bytes)
        facts = find_facts(path, block.rows)
        signed, below = self._missing(block)
        if facts is None or signed is not None or below is not None:
            scored = facts is None and block.declared != Origin.REFERENCE
            detector = self._detector if scored else None
            made = annotate_block(block, detector, self._max_bytes, signed, below)
            if facts is None:
                facts = made.facts
                save_facts(facts, path)
            readable = was_readable(made.facts)
            if signed is not None:
                beside = signatures_path(block, self._cache, signed, self._max_bytes)
                save_signatures(made.signatures, beside, readable)
            if made.ngrams is not None:
                beside = ngrams_path(block, self._cache, self._max_bytes)
                save_ngrams(made.ngrams, beside, readable)
        seconds = time.thread_time() - began
        progress.beat(self._beats, "score", 1, block.bytes, seconds=seconds)
        yield block, facts

    def _missing(self, block: Block) -> tuple[int | None, tuple[int, ...] | None]:
        """Returns the words in a shingle and the bounds of n-grams to be computed.

        None for what is not wanted, or is there.
        """
        signed, below = self._shingle_words, None
        if signed is not None:
            beside = signatures_path(block, self._cache, signed, self._max_bytes)
            if find_signatures(beside, block.rows) is not None:
                signed = None
        if self._ngrams and block.declared != Origin.REFERENCE:
            beside = ngrams_path(block, self._cache, self._max_bytes)
            if find_ngrams(beside, block.rows) is None:
                below = sampling_bounds(block.bytes)
        return signed, below


def scores_key(block: Block, detector: Detector) -> str:
    """Returns what the scores of a block are known by; a reference set has none."""
    return "" if block.declared == Origin.REFERENCE else detector.scores_key


def annotate_block(
    block: Block,
    detector: Detector | None,
    max_document_bytes: int,
    shingle_words: int | None = None,
    below: Sequence[int] | None = None,
) -> Annotated:
    """Returns what is computed of all rows of a block, in order; see `annotate_all`."""
    parts = [
        annotate_all(batch, detector, max_document_bytes, shingle_words, below)
        for batch in read_documents(block, COLUMNS)
    ]
    return Annotated(
        concat_batches([part.facts for part in parts] or [no_facts()]),
        np.concatenate([part.signatures for part in parts] or [no_signatures()]),
        _join_ngrams([part.ngrams for part in parts], below),
    )


def _join_ngrams(
    parts: Iterable[NgramRows | None], below: Sequence[int] | None
) -> NgramRows | None:
    """Returns the n-grams of all parts; None if none were wanted."""
    if below is None:
        return None
    return concat_rows([part for part in parts if part is not None], below)


def annotate(
    documents: pa.RecordBatch, detector: Detector | None, max_document_bytes: int
) -> pa.RecordBatch:
    """Returns the facts of documents alone; see `annotate_all`."""
    return annotate_all(documents, detector, max_document_bytes).facts


def annotate_all(
    documents: pa.RecordBatch,
    detector: Detector | None,
    max_document_bytes: int,
    shingle_words: int | None = None,
    below: Sequence[int] | None = None,
) -> Annotated:
    """Returns the facts, signatures and n-grams of documents, without their text.

    Args:
      documents: A batch of `COLUMNS`, `error` and `position`.
      detector: Scores the text; None leaves the scores at NaN.
      max_document_bytes: Longer documents get a reason instead of a score.
      shingle_words: Words in a shingle of the signatures; None for no signatures.
      below: Up to which hash to keep n-grams, as `sampling_bounds` returns it; None for
        no n-grams.
    """
    if not documents.num_rows:
        return Annotated(no_facts(), no_signatures(), _join_ngrams((), below))
    text = documents.column(schema.TEXT)
    _, offsets = text_buffers(text)
    sizes = np.diff(offsets)
    error = documents.column(schema.ERROR)
    too_long = sizes > max_document_bytes
    if too_long.any():
        text = pc.if_else(pa.array(too_long), pa.scalar(None, text.type), text)
        _, offsets = text_buffers(text)
    pieces = [
        _measure(text.slice(start, stop - start), detector, shingle_words, below)
        for start, stop in _pieces(offsets)
    ]
    *measured, ngrams = zip(*pieces, strict=True)
    hi, lo, words, score, signed = map(np.concatenate, measured)
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
        schema.REASON: _reasons(words, too_long, error),
        schema.ERROR: error,
        schema.POSITION: documents.column(schema.POSITION),
    }
    arrays = [pa.array(values[name]) for name in schema.FACTS.names]
    facts = pa.RecordBatch.from_arrays(arrays, schema=schema.FACTS)
    return Annotated(facts, signed, _join_ngrams(ngrams, below))


def _reasons(words: np.ndarray, too_long: np.ndarray, error: pa.Array) -> np.ndarray:
    """Returns why documents are not usable, `KEPT` for those that are, uint8."""
    reason = np.where(words == 0, Reason.UNUSABLE_EMPTY, Reason.KEPT)
    reason = np.where(too_long, Reason.UNUSABLE_TOO_LONG, reason)
    dead = error.is_valid().to_numpy(False)
    return np.where(dead, Reason.DEAD_LETTER, reason).astype(np.uint8)


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
    """Returns the claims of columns with those of marks in the text, uint32.

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
    text: pa.Array,
    detector: Detector | None,
    shingle_words: int | None,
    below: Sequence[int] | None,
) -> tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, NgramRows | None
]:
    """Returns content hash (hi, lo), words, score, signature, n-grams of each text."""
    normal = normalise(text)
    hi, lo = hash_texts(normal)
    score = np.full(len(normal), np.nan, np.float32)
    ngrams = None
    if detector is not None and below is not None:
        score, ngrams = score_and_sample(detector, normal, below)
    elif detector is not None:
        score = detector.score(normal)
    elif below is not None:
        ngrams = sample_text(normal, below)
    signed = no_signatures()
    if shingle_words is not None:
        signed = signatures(shingle_hashes(normal, shingle_words))
    return hi, lo, count_words(normal), score, signed, ngrams
