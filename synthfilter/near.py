"""Near copies as Beam steps: which of the documents that are left go, and for which.

    rows by block -> bands of signatures -> pairs -> shingles -> alike -> dropped

Signatures come from sidecars. Only documents that share a band with another are read
again. What is near the best of a crowd goes before any pairs are sought
(`near_crowds`). Pairs (`near_pairs`) are compared in many places
(`near_groups`), and decided in one (`near_rounds`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Optional

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from synthfilter.core import schema
from synthfilter.core.batches import (
    Keyed,
    column,
    concat_batches,
    split_by_key,
)
from synthfilter.core.schema import Reason
from synthfilter.decisions import near
from synthfilter.decisions.minhash import choose_bands
from synthfilter.dropped import mark_dropped
from synthfilter.inputs.blocks import Block
from synthfilter.near_bands import (
    KEY,
    SAMPLE,
    CountBands,
    find_crowds,
    merge_sketches,
    split_bands,
)
from synthfilter.near_crowds import drop_followers, leave_out
from synthfilter.near_groups import (
    Compared,
    compare_cell,
    gather_read,
    read_candidates,
    read_hubs,
)
from synthfilter.near_pairs import Found, group_pairs, pair_batches
from synthfilter.near_rounds import resolve_near_copies

_WHERE = pa.schema(
    [(schema.ROW, pa.int32()), (schema.ORDER, pa.uint64()), (schema.RANK, pa.uint64())]
)


def drop_near_copies(
    settled: beam.PCollection,
    blocks: beam.PCollection,
    signatures_path: Callable[[Block], str],
    threshold: float,
    shingle_words: int,
    partitions: int,
    expected: int,
    beats: Optional[str],
) -> tuple[beam.PCollection, beam.PCollection]:
    """Returns the `schema.DECIDED` batches with near copies left out.

    And how many that are kept were not compared with all candidates.

    Args:
      settled: `schema.DECIDED` batches, exact copies settled.
      blocks: `(key, Block)`.
      signatures_path: Where the signatures of a block are.
      threshold: Least Jaccard similarity of near copies.
      shingle_words: Words in a shingle.
      partitions: Into how many parts to split the work.
      expected: How many documents there are, about.
      beats: Folder for progress, None for none.
    """
    bands = choose_bands(threshold)
    by_block = (
        settled
        | "LeftByBlock" >> beam.FlatMap(left_by_block).with_output_types(Keyed)
        | "SameBlock" >> beam.GroupByKey()
    )
    sketches, sample = by_block | "CountBands" >> beam.ParDo(
        CountBands(signatures_path, bands, expected * bands.bands), AsDict(blocks)
    ).with_outputs(SAMPLE, main=KEY)
    start = by_block.pipeline | "NearCopies" >> beam.Create([None])
    repeated = start | "RepeatedBands" >> beam.Map(merge_sketches, AsIter(sketches))
    followers = drop_followers(
        by_block,
        blocks,
        signatures_path,
        bands,
        start | "FindCrowds" >> beam.Map(find_crowds, AsIter(sample)),
        threshold,
        shingle_words,
        beats,
    )
    pairs = (
        by_block
        | "LeaveFollowers" >> beam.Map(leave_out, AsSingleton(followers))
        | "SplitBands"
        >> beam.FlatMap(
            split_bands,
            AsDict(blocks),
            signatures_path,
            bands,
            AsSingleton(repeated),
            partitions,
        ).with_output_types(Keyed)
        | "SameBand" >> beam.GroupByKey()
        | "FindPairs" >> beam.Map(find_pairs)
    )
    groups = start | "GroupPairs" >> beam.Map(group_pairs, AsIter(pairs), partitions)
    hubs = by_block | "ReadHubs" >> beam.FlatMap(
        read_hubs, AsDict(blocks), AsSingleton(groups), shingle_words
    )
    hubs = start | "GatherHubs" >> beam.Map(gather_read, AsIter(hubs))
    compared = (
        by_block
        | "ReadCandidates"
        >> beam.FlatMap(
            read_candidates,
            AsDict(blocks),
            AsSingleton(groups),
            AsSingleton(hubs),
            threshold,
            shingle_words,
            beats,
        ).with_output_types(Compared)
        | "SameCell" >> beam.GroupByKey()
        | "CompareCell" >> beam.Map(compare_cell, AsSingleton(groups), threshold)
    )
    resolved = start | "Resolve" >> beam.Map(
        resolve_near_copies,
        AsIter(compared),
        AsSingleton(groups),
        AsDict(blocks),
        signatures_path,
        threshold,
        shingle_words,
    )
    dropped = (
        followers,
        resolved | "Dropped" >> beam.Map(lambda found: found[0]),
    ) | "AllDropped" >> beam.Flatten()
    marked = settled | "DropNearCopies" >> beam.Map(mark_dropped, AsIter(dropped))
    return marked, resolved | "CountApart" >> beam.Map(lambda found: found[1])


def left_by_block(
    settled: pa.RecordBatch, names: Sequence[str] = tuple(_WHERE.names)
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(block, named columns)` of the documents that are still in."""
    alive = pa.array(column(settled, schema.REASON) == Reason.KEPT)
    left = settled.filter(alive)
    yield from split_by_key(left.select(names), column(left, schema.BLOCK))


def find_pairs(element: tuple[int, Iterable[pa.RecordBatch]]) -> Found:
    """Returns pairs of the documents that share a band, and those not in all pairs."""
    rows = concat_batches(element[1])
    found = near.candidate_pairs(
        column(rows, KEY),
        column(rows, schema.ORDER),
        near.MAX_BUCKET,
        column(rows, schema.RANK),
    )
    return pair_batches(found)
