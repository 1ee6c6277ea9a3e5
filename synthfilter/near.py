"""Near copies as Beam steps: which of the documents that are left go, and for which.

    rows by block -> bands of signatures -> pairs -> groups -> shingles -> dropped

Signatures come from sidecars. Only documents that share a band with another are read
again, and each group of such documents is compared and resolved in one place.
"""

import copy
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from synthfilter.core import progress, schema
from synthfilter.core.batches import (
    Keyed,
    column,
    concat_batches,
    split_by_key,
)
from synthfilter.core.hashing import distinct, hash_texts, mix
from synthfilter.core.schema import Reason
from synthfilter.core.text import normalise
from synthfilter.decisions import near
from synthfilter.decisions.minhash import (
    Bands,
    Shingles,
    band_keys,
    choose_bands,
    shingle_hashes,
)
from synthfilter.decisions.repeated import RepeatedKeys
from synthfilter.dropped import drop_pairs, find_sorted, mark_dropped, may_drop
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.sidecars import load_signatures

MAX_BUCKET = 256
"""Documents of one band that all others of it are compared with."""
MAX_GROUP = 1 << 18
"""Documents of one group of candidates that are compared; more are counted."""

# Pairs of several partitions that are held before doubles among them go.
_WAITING_PAIRS = 1 << 22

KEY = "key"
FIRST = "first"
SECOND = "second"
SHINGLES = "shingles"

_WHERE = pa.schema(
    [(schema.ROW, pa.int32()), (schema.ORDER, pa.uint64()), (schema.RANK, pa.uint64())]
)
READ = pa.schema(
    [
        (schema.ORDER, pa.uint64()),
        (schema.RANK, pa.uint64()),
        (schema.CONTENT_HI, pa.uint64()),
        (schema.CONTENT_LO, pa.uint64()),
        # Their upper halves: two texts of 1,000 words share one by chance in 10,000.
        (SHINGLES, pa.large_list(pa.uint32())),
    ]
)


class Groups(NamedTuple):
    """The documents that are to be compared, and with which.

    Attributes:
      order: Their places in the order, which stand for them; uint64, sorted.
      partition: int64, where each is compared.
      pairs: Rows of `order` [pairs, 2].
      capped: How many documents were not compared with all that they might have been.
    """

    order: np.ndarray
    partition: np.ndarray
    pairs: np.ndarray
    capped: int


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

    And the number of documents that were not compared with all candidates.

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
    dropped = (
        by_block
        | "ReadCandidates"
        >> beam.FlatMap(
            read_candidates, AsDict(blocks), AsSingleton(groups), shingle_words, beats
        ).with_output_types(Keyed)
        | "SameGroup" >> beam.GroupByKey()
        | "Resolve" >> beam.Map(resolve_group, AsSingleton(groups), threshold)
    )
    marked = settled | "DropNearCopies" >> beam.Map(mark_dropped, AsIter(dropped))
    return marked, groups | "CountCapped" >> beam.Map(lambda found: found.capped)


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
    """Returns `(pairs, capped)` of the documents that share a band."""
    rows = concat_batches(element[1])
    found = near.candidate_pairs(
        column(rows, KEY),
        column(rows, schema.ORDER),
        MAX_BUCKET,
        column(rows, schema.RANK),
    )
    return pair_batches(found)


def pair_batches(found: near.Candidates) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Returns pairs and capped documents as batches."""
    pairs = {FIRST: found.pairs[:, 0], SECOND: found.pairs[:, 1]}
    capped = {schema.ORDER: found.capped}
    return pa.RecordBatch.from_pydict(pairs), pa.RecordBatch.from_pydict(capped)


def group_pairs(
    _: None,
    found: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
    partitions: int,
) -> Groups:
    """Returns the groups of documents that pairs tie together."""
    capped: list[np.ndarray] = []
    pairs, more = np.zeros((0, 2), np.uint64), list[np.ndarray]()
    waiting = 0
    for batch, left in found:
        capped = [distinct([*capped, column(left, schema.ORDER)])]
        more.append(np.stack([column(batch, FIRST), column(batch, SECOND)], axis=1))
        waiting += len(more[-1])
        # Two documents may share bands in several partitions: those of a boilerplate
        # in most of them.
        if waiting > max(len(pairs), _WAITING_PAIRS):
            pairs, more, waiting = _distinct_rows([pairs, *more]), [], 0
    pairs = _distinct_rows([pairs, *more])
    order, rows = np.unique(pairs, return_inverse=True)
    rows = rows.reshape(-1, 2)
    group = near.connected_components(rows)[1]
    size = np.bincount(group)
    place = np.empty(len(order), np.int64)
    inside = np.lexsort([mix(order), group])
    place[inside] = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
    beyond = place >= MAX_GROUP
    rows = rows[~beyond[rows].any(axis=1)]
    left_out = distinct([*capped, order[beyond]])
    return Groups(order, group % partitions, rows, len(left_out))


def _distinct_rows(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the distinct rows of arrays with two columns, sorted."""
    rows = np.concatenate(parts)
    rows = rows[np.lexsort([rows[:, 1], rows[:, 0]])]
    changed = np.ones(len(rows), bool)
    changed[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return rows[changed]


def read_candidates(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    groups: Groups,
    shingle_words: int,
    beats: Optional[str],
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(partition, shingles)` of the documents of a block that have a pair."""
    began = time.thread_time()
    key, batches = element
    where = concat_batches(batches)
    at = find_sorted(groups.order, column(where, schema.ORDER))
    where = where.filter(pa.array(at >= 0))
    if not where.num_rows:
        return
    where = where.sort_by(schema.ROW)
    at = find_sorted(groups.order, column(where, schema.ORDER))
    partition = groups.partition[at]
    rows = column(where, schema.ROW).astype(np.int64)
    begin = 0
    for documents in read_documents(blocks[key], (schema.TEXT,), rows):
        part = slice(begin, begin + documents.num_rows)
        begin = part.stop
        told = where.slice(part.start, documents.num_rows)
        yield from split_by_key(
            _shingled(documents.column(schema.TEXT), told, shingle_words),
            partition[part],
        )
    seconds = time.thread_time() - began
    progress.beat(beats, "compare", 1, blocks[key].bytes, seconds=seconds)


def _shingled(text: pa.Array, where: pa.RecordBatch, words: int) -> pa.RecordBatch:
    """Returns `READ` rows of documents."""
    normal = normalise(text)
    hi, lo = hash_texts(normal)
    hashes, offsets = shingle_hashes(normal, words)
    upper = (hashes >> np.uint64(32)).astype(np.uint32)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(upper))
    told = [where.column(schema.ORDER), where.column(schema.RANK)]
    return pa.RecordBatch.from_arrays(
        [*told, pa.array(hi), pa.array(lo), lists], schema=READ
    )


def resolve_group(
    element: tuple[int, Iterable[pa.RecordBatch]], groups: Groups, threshold: float
) -> pa.RecordBatch:
    """Returns the `DROPPED` rows of a partition; see `drop_pairs`."""
    partition, batches = element
    read = concat_batches(batches)
    read = read.take(pa.array(np.argsort(column(read, schema.ORDER))))
    order = column(read, schema.ORDER)
    # Documents of a group are all in one partition.
    mine = groups.pairs[groups.partition[groups.pairs[:, 0]] == partition]
    rows = np.searchsorted(order, groups.order[mine])
    rows = rows[may_drop(column(read, schema.RANK), rows)]
    similarity = near.true_similarity(shingles_of(read), rows)
    return drop_pairs(read, rows, similarity, threshold)


def shingles_of(read: pa.RecordBatch) -> Shingles:
    """Returns the shingles of `READ` rows."""
    lists = read.column(SHINGLES)
    offsets = lists.offsets.to_numpy()
    return Shingles(lists.flatten().to_numpy(), offsets - offsets[0])
