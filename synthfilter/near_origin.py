"""Origins by near copies, as Beam steps: what a ledger holds as synthetic is near.

    human documents by block -> signatures -> rows of the ledger -> settled again

Only documents that count as human, and would not with such a near copy, are compared.
"""

from collections.abc import Callable, Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from synthfilter.core import schema
from synthfilter.core.batches import Keyed, column, concat_batches
from synthfilter.core.hashing import distinct, find_sorted
from synthfilter.core.uses import SIGNATURE, are_synthetic, stored_signatures
from synthfilter.decisions import near_uses, texts
from synthfilter.decisions.origin import OriginRules
from synthfilter.identity import BuildIdentity
from synthfilter.inputs.blocks import Block
from synthfilter.ledger.read import read_uses
from synthfilter.near import left_by_block
from synthfilter.reuse import WHERE, sign_documents

_TOLD = (schema.CONTENT_HASH, schema.ORIGIN, schema.ORIGIN_EVIDENCE, SIGNATURE)


def claim_near_uses(
    settled: beam.PCollection,
    blocks: beam.PCollection,
    identity: beam.PCollection,
    signatures_path: Callable[[Block], str],
    threshold: float,
    rules: OriginRules,
    settle_near: Callable[[pa.RecordBatch, np.ndarray], pa.RecordBatch],
    parts: int,
) -> beam.PCollection:
    """Returns the batches with near copies of known synthetic text being synthetic.

    Args:
      settled: `schema.DECIDED` batches.
      blocks: `(key, Block)`.
      identity: The one `BuildIdentity`.
      signatures_path: Where the signatures of a block are.
      threshold: Least estimated similarity of near copies.
      rules: What conflicts do to a document.
      settle_near: `texts.settle_near` with the options of the build.
      parts: Into how many parts to split the documents; each reads the ledger once.
    """
    known = (
        settled
        | "HumanByBlock" >> beam.FlatMap(human_by_block, rules).with_output_types(Keyed)
        | "SameBlockForOrigin" >> beam.GroupByKey()
        | "SignHuman"
        >> beam.FlatMap(
            sign_documents, AsDict(blocks), signatures_path, parts
        ).with_output_types(Keyed)
        | "SamePartForOrigin" >> beam.GroupByKey()
        | "FindNearSynthetic"
        >> beam.Map(
            find_near_synthetic, AsSingleton(identity), threshold
        ).with_output_types(pa.RecordBatch)
    )
    return settled | "ClaimNearUses" >> beam.Map(
        claim_near, AsIter(known), settle_near
    ).with_output_types(pa.RecordBatch)


def human_by_block(
    settled: pa.RecordBatch, rules: OriginRules
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(block, where)` of what is human unless a near copy is synthetic."""
    human = settled.filter(pa.array(texts.may_be_near(settled, rules)))
    return left_by_block(human, WHERE)


def find_near_synthetic(
    element: tuple[int, Iterable[pa.RecordBatch]],
    identity: BuildIdentity,
    threshold: float,
) -> pa.RecordBatch:
    """Returns the order of documents that are near copies of known synthetic text.

    Args:
      element: One part of the documents.
      identity: Which build this is.
      threshold: Least estimated similarity of near copies.
    """
    signed = concat_batches(element[1])
    known = np.zeros(signed.num_rows, bool)
    if identity.ledger is not None:
        told = (
            rows.filter(pa.array(are_synthetic(rows)))
            for rows in read_uses(identity.ledger, _TOLD)
        )
        minima = stored_signatures(signed.column(SIGNATURE))
        for documents, _ in near_uses.match_rows(told, minima, threshold, threshold):
            known[documents] = True
    return signed.select([schema.ORDER]).filter(pa.array(known))


def claim_near(
    settled: pa.RecordBatch,
    known: Iterable[pa.RecordBatch],
    settle_near: Callable[[pa.RecordBatch, np.ndarray], pa.RecordBatch],
) -> pa.RecordBatch:
    """Returns `schema.DECIDED` rows with what is known to be near settled again.

    Args:
      settled: The rows.
      known: The order of such documents, as `schema.ORDER`.
      settle_near: `texts.settle_near` with the options of the build.
    """
    orders = distinct([column(part, schema.ORDER) for part in known])
    # Exact copies have the order of what they are a copy of, and one origin.
    return settle_near(settled, find_sorted(orders, column(settled, schema.ORDER)) >= 0)
