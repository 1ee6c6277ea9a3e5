"""Documents that share an id in a build, and not their text: counted."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import (
    GatherBatches,
    Keyed,
    column,
    concat_batches,
    split_by_key,
)
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions.same_ids import SameIds, add_same_ids, find_same_ids
from synthfilter.inputs.blocks import Block


def count_same_ids(annotated: beam.PCollection, partitions: int) -> beam.PCollection:
    """Returns the one `SameIds` of all documents with text, a reference set's aside.

    Args:
      annotated: `(Block, facts)`.
      partitions: Into how many parts documents are split.
    """
    return (
        annotated
        | "NameContents" >> beam.Map(name_contents)
        | "GatherNames" >> beam.ParDo(GatherBatches()).with_output_types(pa.RecordBatch)
        | "SplitByIdentity"
        >> beam.FlatMap(split_by_identity, partitions).with_output_types(Keyed)
        | "SameIdentity" >> beam.GroupByKey()
        | "FindSameIds" >> beam.Map(find_in_partition)
        | "AddSameIds" >> beam.CombineGlobally(add_same_ids)
    )


def name_contents(element: tuple[Block, pa.RecordBatch]) -> pa.RecordBatch:
    """Returns the hashes of id and content of the documents of a block."""
    block, facts = element
    counted = column(facts, schema.REASON) == Reason.KEPT
    counted &= block.declared != Origin.REFERENCE
    return facts.select([schema.IDENTITY, schema.CONTENT_LO]).filter(pa.array(counted))


def split_by_identity(batch: pa.RecordBatch, partitions: int) -> Iterator[Keyed]:
    """Yields `(partition, rows)`; all documents of one id are in one partition."""
    part = column(batch, schema.IDENTITY) % np.uint64(partitions)
    yield from split_by_key(batch, part.astype(np.int64))


def find_in_partition(element: tuple[int, Iterable[pa.RecordBatch]]) -> SameIds:
    """Returns the counts of one partition."""
    batch = concat_batches(element[1])
    return find_same_ids(*(column(batch, n) for n in batch.schema.names))
