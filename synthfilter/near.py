"""Near copies as Beam steps: which of the documents that are left go, and for which.

    rows by block -> bands of signatures -> pairs -> shingles -> alike -> dropped

Signatures come from sidecars. Only documents that share a band with another are read
again. Pairs are compared in many places (`near_groups`), and decided in one
(`near_rounds`).
"""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from synthfilter.core import schema
from synthfilter.core.batches import (
    Keyed,
    column,
    concat_batches,
    split_by_key,
)
from synthfilter.core.schema import Reason
from synthfilter.decisions import near
from synthfilter.decisions.minhash import Bands, band_keys, choose_bands
from synthfilter.decisions.repeated import RepeatedKeys
from synthfilter.dropped import mark_dropped
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_signatures
from synthfilter.near_groups import (
    FIRST,
    SECOND,
    Compared,
    compare_cell,
    gather_read,
    group_pairs,
    read_candidates,
    read_hubs,
)
from synthfilter.near_rounds import resolve_near_copies

KEY = "key"

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
    sketches = by_block | "CountBands" >> beam.ParDo(
        CountBands(signatures_path, bands, expected * bands.bands), AsDict(blocks)
    )
    start = by_block.pipeline | "NearCopies" >> beam.Create([None])
    repeated = start | "RepeatedBands" >> beam.Map(merge_sketches, AsIter(sketches))
    pairs = (
        by_block
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
    dropped = resolved | "Dropped" >> beam.Map(lambda found: found[0])
    marked = settled | "DropNearCopies" >> beam.Map(mark_dropped, AsIter(dropped))
    return marked, resolved | "CountApart" >> beam.Map(lambda found: found[1])


def left_by_block(
    settled: pa.RecordBatch, names: Sequence[str] = tuple(_WHERE.names)
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(block, named columns)` of the documents that are still in."""
    alive = pa.array(column(settled, schema.REASON) == Reason.KEPT)
    left = settled.filter(alive)
    yield from split_by_key(left.select(names), column(left, schema.BLOCK))


class CountBands(beam.DoFn):
    """Yields one `RepeatedKeys` of the band keys of all blocks of a bundle.

    A combiner would do the same; but some runners carry every key to it.

    Args:
      signatures_path: Where the signatures of a block are.
      bands: How they are cut.
      expected: How many keys there are, about.
    """

    def __init__(
        self, signatures_path: Callable[[Block], str], bands: Bands, expected: int
    ) -> None:
        """Keeps the options; the sketch starts with the bundle."""
        self._signatures_path = signatures_path
        self._bands = bands
        self._expected = expected

    def start_bundle(self) -> None:
        """Starts with no key."""
        self._sketch = RepeatedKeys(self._expected)

    def process(
        self,
        element: tuple[int, Iterable[pa.RecordBatch]],
        blocks: Mapping[int, Block],
    ) -> None:
        """Counts the keys of a block."""
        _, keys = cut_bands(element, blocks, self._signatures_path, self._bands)
        self._sketch.add(keys)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the sketch."""
        window = GlobalWindow()
        yield WindowedValue(self._sketch, window.max_timestamp(), (window,))


def merge_sketches(_: None, parts: Iterable[RepeatedKeys]) -> RepeatedKeys:
    """Returns one sketch of all that were counted."""
    first, *more = list(parts) or [RepeatedKeys(0)]
    # What runners hand in is theirs, and may be handed in again.
    return functools.reduce(RepeatedKeys.merge, more, copy.deepcopy(first)).settled()


def cut_bands(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    bands: Bands,
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns the documents of one block that have words, and their band keys.

    The keys are uint64 [documents, bands].
    """
    key, batches = element
    where = concat_batches(batches)
    signatures = load_signatures(signatures_path(blocks[key]))
    mine = signatures[column(where, schema.ROW)]
    # Without a word there is nothing to compare.
    filled = mine.any(axis=1)
    return where.filter(pa.array(filled)), band_keys(mine[filled], bands)


def split_bands(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    bands: Bands,
    repeated: RepeatedKeys,
    partitions: int,
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(partition, band keys)` of the keys that may come more than once."""
    where, keys = cut_bands(element, blocks, signatures_path, bands)
    rows, band = np.nonzero(repeated.may_repeat(keys))
    again = keys[rows, band]
    found = pa.RecordBatch.from_pydict(
        {
            KEY: again,
            schema.ORDER: column(where, schema.ORDER)[rows],
            schema.RANK: column(where, schema.RANK)[rows],
        }
    )
    return split_by_key(found, (again % np.uint64(partitions)).astype(np.int64))


def find_pairs(
    element: tuple[int, Iterable[pa.RecordBatch]],
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Returns pairs of the documents that share a band, and those not in all pairs."""
    rows = concat_batches(element[1])
    found = near.candidate_pairs(
        column(rows, KEY),
        column(rows, schema.ORDER),
        near.MAX_BUCKET,
        column(rows, schema.RANK),
    )
    return pair_batches(found)


def pair_batches(found: near.Candidates) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Returns pairs and crowded documents as batches."""
    pairs = {FIRST: found.pairs[:, 0], SECOND: found.pairs[:, 1]}
    crowded = {schema.ORDER: found.crowded}
    return pa.RecordBatch.from_pydict(pairs), pa.RecordBatch.from_pydict(crowded)
