"""Runs of words that documents share with a reference set, such as a benchmark's."""

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsSingleton

from synthfilter.core import schema
from synthfilter.core.batches import column, set_column
from synthfilter.core.hashing import distinct
from synthfilter.core.schema import Origin, Reason
from synthfilter.core.text import normalise
from synthfilter.decisions.minhash import shingle_hashes
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents

_Facts = tuple[Block, pa.RecordBatch]


def drop_shared_ngrams(annotated: beam.PCollection, words: int) -> beam.PCollection:
    """Returns `(Block, facts)` where what shares a run of words has that as a reason.

    Args:
      annotated: `(Block, facts)`, those of the reference set among them.
      words: Words in a run; a document of fewer is compared whole.
    """
    known = (
        annotated
        | "ReferenceNgrams" >> beam.FlatMap(reference_ngrams, words)
        | "AllNgrams" >> beam.CombineGlobally(distinct)
    )
    return annotated | "DropSharedNgrams" >> beam.Map(
        mark_shared, AsSingleton(known), words
    )


def reference_ngrams(element: _Facts, words: int) -> list[np.ndarray]:
    """Returns the hashes of all runs in a block, if it is of a reference set."""
    block, _ = element
    if block.declared != Origin.REFERENCE:
        return []
    found = [
        distinct([_ngrams(batch.column(schema.TEXT), words)[0]])
        for batch in read_documents(block, (schema.TEXT,))
    ]
    return [distinct(found)]


def mark_shared(element: _Facts, known: np.ndarray, words: int) -> _Facts:
    """Returns a block's facts with the reason where a document has a known run."""
    block, facts = element
    if block.declared == Origin.REFERENCE:
        return element
    shared = np.concatenate(
        [
            np.zeros(0, bool),
            *(
                has_known(batch.column(schema.TEXT), known, words)
                for batch in read_documents(block, (schema.TEXT,))
            ),
        ]
    )
    reason = column(facts, schema.REASON)
    reason = np.where(shared & (reason == Reason.KEPT), Reason.SHARED_NGRAMS, reason)
    return block, set_column(facts, schema.REASON, pa.array(reason.astype(np.uint8)))


def has_known(text: pa.Array, known: np.ndarray, words: int) -> np.ndarray:
    """Returns which documents have a run whose hash is among the sorted ones.

    Args:
      text: Of the documents.
      known: uint64, sorted.
      words: Words in a run. A document of fewer is compared whole.
    """
    hashes, document = _ngrams(text, words)
    shared = np.zeros(len(text), bool)
    if len(known):
        at = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        shared[document[known[at] == hashes]] = True
    return shared


def _ngrams(text: pa.Array, words: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hash of each run of words, and which document it is of."""
    hashes, offsets = shingle_hashes(normalise(text), words)
    return hashes, np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
