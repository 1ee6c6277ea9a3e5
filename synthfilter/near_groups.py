"""Pairs of candidates are compared: with hubs as they are read, others in cells.

Hubs are read first and handed to all workers, so that a crowd is compared with its best
as it is read. The shingles of others meet in cells (`near_pairs`). Only what is alike
goes on, and of that only numbers.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

import numpy as np
import pyarrow as pa

from synthfilter.core import progress, schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.hashing import find_sorted, hash_texts
from synthfilter.core.text import normalise
from synthfilter.decisions import near
from synthfilter.decisions.minhash import Shingles, ranges, shingle_hashes
from synthfilter.dropped import may_drop
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents
from synthfilter.near_pairs import Groups

SHINGLES = "shingles"
PAIR = "pair"

TOLD = pa.schema(
    [
        (schema.ORDER, pa.uint64()),
        (schema.RANK, pa.uint64()),
        (schema.CONTENT_HI, pa.uint64()),
        (schema.CONTENT_LO, pa.uint64()),
        (schema.BLOCK, pa.int64()),
        (schema.ROW, pa.int32()),
    ]
)
READ = pa.schema(
    [
        *TOLD,
        # Their upper halves: two texts of 1,000 words share one by chance in 10,000.
        (SHINGLES, pa.large_list(pa.uint32())),
    ]
)
ALIKE = pa.schema([(PAIR, pa.int64()), (schema.SIMILARITY, pa.float64())])

NO_READ, NO_ALIKE = (pa.RecordBatch.from_pylist([], schema=s) for s in (READ, ALIKE))
NOTHING_COMPARED = NO_READ.select(TOLD.names), NO_ALIKE

NO_CELL = -1
"""The cell of documents that are compared with hubs alone."""

# A cell, and the `READ` and `ALIKE` rows that go there.
Compared = tuple[int, tuple[pa.RecordBatch, pa.RecordBatch]]


def read_shingles(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    wanted: np.ndarray,
    shingle_words: int,
) -> Iterator[pa.RecordBatch]:
    """Yields `READ` rows of a block.

    Args:
      element: The block's key, and row, order and rank of its documents.
      blocks: By key.
      wanted: Order of the documents that are read, sorted.
      shingle_words: Words in a shingle.
    """
    key, batches = element
    where = concat_batches(batches)
    mine = find_sorted(wanted, column(where, schema.ORDER)) >= 0
    where = where.filter(pa.array(mine)).sort_by(schema.ROW)
    rows = column(where, schema.ROW).astype(np.int64)
    begin = 0
    for documents in read_documents(blocks[key], (schema.TEXT,), rows):
        told = where.slice(begin, documents.num_rows)
        begin += documents.num_rows
        normal = normalise(documents.column(schema.TEXT))
        hi, lo = hash_texts(normal)
        hashes, offsets = shingle_hashes(normal, shingle_words)
        upper = pa.array((hashes >> np.uint64(32)).astype(np.uint32))
        values = {
            **{name: told.column(name) for name in told.schema.names},
            schema.CONTENT_HI: hi,
            schema.CONTENT_LO: lo,
            schema.BLOCK: np.full(told.num_rows, key),
            SHINGLES: pa.LargeListArray.from_arrays(pa.array(offsets), upper),
        }
        yield pa.RecordBatch.from_pydict(values, schema=READ)


def read_hubs(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    groups: Groups,
    shingle_words: int,
) -> Iterator[pa.RecordBatch]:
    """Yields the `READ` rows of hubs."""
    return read_shingles(element, blocks, groups.hubs, shingle_words)


def read_candidates(
    element: tuple[int, Iterable[pa.RecordBatch]],
    blocks: Mapping[int, Block],
    groups: Groups,
    hubs: pa.RecordBatch,
    threshold: float,
    shingle_words: int,
    beats: Optional[str],
) -> Iterator[Compared]:
    """Yields, by cell, the `READ` rows of a block and what of them is like a hub.

    Args:
      element: The block's key, and row, order and rank of its documents.
      blocks: By key.
      groups: What is to be compared.
      hubs: `READ` rows of all hubs, see `gather_read`.
      threshold: Least similarity of near copies.
      shingle_words: Words in a shingle.
      beats: Folder for progress, None for none.
    """
    began = time.thread_time()
    compared = 0
    for read in read_shingles(element, blocks, groups.order, shingle_words):
        compared += read.num_rows
        at = np.searchsorted(groups.order, column(read, schema.ORDER))
        at = at.astype(np.int32)
        alike, gone = _compare_with_hubs(read, at, groups, hubs, threshold)
        rows, cell = _cells_of(groups, at, ~gone)
        for key, part in split_by_key(read.take(pa.array(rows)), cell):
            yield key, (part, NO_ALIKE)
        # What is near a hub, or has hubs alone, needs its shingles no more.
        alone = np.ones(len(at), bool)
        alone[rows] = False
        if alone.any() or alike.num_rows:
            yield NO_CELL, (_without_shingles(read.filter(pa.array(alone))), alike)
    if compared:
        seconds = time.thread_time() - began
        size = blocks[element[0]].bytes
        progress.beat(beats, "compare", 1, size, seconds=seconds)


def _cells_of(
    groups: Groups, at: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which of the wanted documents goes where, as often as it has cells."""
    document, cell = groups.members.T
    first = np.searchsorted(document, at)
    count = (np.searchsorted(document, at, "right") - first) * wanted
    return np.repeat(np.arange(len(at)), count), cell[ranges(first, count)]


def _compare_with_hubs(
    read: pa.RecordBatch,
    at: np.ndarray,
    groups: Groups,
    hubs: pa.RecordBatch,
    threshold: float,
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns the `ALIKE` rows of `READ` rows, and which of these are near a hub.

    Each is compared with the largest of its hubs. It may well go for that one; only if
    it does not, it is compared with the others. See `later_pairs`.

    Args:
      read: `READ` rows.
      at: Their rows in `groups`.
      groups: What is to be compared.
      hubs: `READ` rows of all hubs.
      threshold: Least similarity of near copies.
    """
    document, hub = groups.pairs[groups.with_hubs :].T
    first = np.searchsorted(document, at)
    count = np.searchsorted(document, at, "right") - first
    parts, gone = [NO_ALIKE], np.zeros(len(at), bool)
    largest = (count > 0).astype(np.int64)
    for skip, number in ((0, largest), (1, count - largest)):
        number = number * ~gone
        pair = ranges(first + skip, number)
        used, other = np.unique(hub[pair], return_inverse=True)
        place = find_sorted(column(hubs, schema.ORDER), groups.order[used])
        both = concat_batches([read, hubs.take(pa.array(place))])
        rows = np.stack([np.repeat(np.arange(len(at)), number), len(at) + other], 1)
        alike = _compare(both, rows, groups.with_hubs + pair, threshold)
        parts.append(alike)
        if not skip:
            found = np.sort(column(alike, PAIR))
            gone = find_sorted(found, groups.with_hubs + first) >= 0
            # Of who has no hub, the place is that of another.
            gone &= count > 0
    return concat_batches(parts), gone


def split_pairs(groups: Groups, alike: pa.RecordBatch, rank: np.ndarray) -> near.Pairs:
    """Returns which pairs were compared, and which may be later.

    Of a document that is near its largest hub, no other pair was.

    Args:
      groups: All pairs.
      alike: `ALIKE` rows of all that were compared.
      rank: Of each document.
    """
    similarity = np.zeros(len(groups.pairs))
    similarity[column(alike, PAIR)] = column(alike, schema.SIMILARITY)
    document = groups.pairs[groups.with_hubs :, 0]
    largest = np.ones(len(document), bool)
    largest[1:] = document[1:] != document[:-1]
    gone = np.zeros(len(groups.order), bool)
    gone[document[largest & (similarity[groups.with_hubs :] > 0)]] = True
    compared = np.empty(len(groups.pairs), bool)
    compared[: groups.with_hubs] = ~gone[groups.pairs[: groups.with_hubs]].any(axis=1)
    compared[groups.with_hubs :] = largest | ~gone[document]
    later = groups.pairs[~compared]
    return near.Pairs(
        groups.pairs[compared],
        similarity[compared],
        later[may_drop(rank, later)],
        groups.crowded,
    )


def _compare(
    read: pa.RecordBatch, rows: np.ndarray, pair: np.ndarray, threshold: float
) -> pa.RecordBatch:
    """Returns the `ALIKE` rows of pairs.

    Args:
      read: `READ` rows.
      rows: Rows of these [pairs, 2].
      pair: Number of each pair in `Groups.pairs`.
      threshold: Least similarity of near copies.
    """
    wanted = may_drop(column(read, schema.RANK), rows)
    similarity = near.true_similarity(shingles_of(read), rows[wanted])
    alike = similarity >= threshold
    values = {PAIR: pair[wanted][alike], schema.SIMILARITY: similarity[alike]}
    return pa.RecordBatch.from_pydict(values, schema=ALIKE)


def _without_shingles(read: pa.RecordBatch) -> pa.RecordBatch:
    """Returns `READ` rows with no shingles."""
    nowhere = pa.array(np.zeros(read.num_rows + 1, np.int64))
    none = pa.LargeListArray.from_arrays(nowhere, pa.array([], pa.uint32()))
    return pa.RecordBatch.from_arrays([*read.columns[:-1], none], schema=READ)


def gather_read(_: None, read: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns `READ` rows by the order, each document once."""
    return each_once(concat_batches([NO_READ, *read]))


def each_once(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Returns rows of documents by the order, each once, of several the best."""
    at = np.lexsort([column(rows, name) for name in (schema.RANK, schema.ORDER)])
    order = column(rows, schema.ORDER)[at]
    return rows.take(pa.array(at[np.append(True, order[1:] != order[:-1])[: len(at)]]))


def compare_cell(
    element: tuple[int, Iterable[tuple[pa.RecordBatch, pa.RecordBatch]]],
    groups: Groups,
    threshold: float,
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Returns the `TOLD` rows of documents, and the `ALIKE` rows of their pairs."""
    cell, parts = element
    batches, known = zip(*parts, strict=True)
    read = concat_batches(batches)
    order = column(read, schema.ORDER)
    at = np.argsort(order)
    pair = np.flatnonzero(groups.cell == cell)
    place = find_sorted(order[at], groups.order[groups.pairs[pair]])
    # Of those that are not here, each is near a hub.
    here = (place >= 0).all(axis=1)
    alike = _compare(read, at[place[here]], pair[here], threshold)
    return read.select(TOLD.names), concat_batches([*known, alike])


def shingles_of(read: pa.RecordBatch) -> Shingles:
    """Returns the shingles of `READ` rows."""
    lists = read.column(SHINGLES)
    offsets = lists.offsets.to_numpy()
    return Shingles(lists.flatten().to_numpy(), offsets - offsets[0])
