"""Pairs of candidates: where they are compared, and how similar they are.

A document with very many partners, the best of a crowd, is read first and handed to all
workers, so that the crowd is compared with it as it is read. The shingles of others
meet in cells: parts of all pairs, of which those of one document lie together as far as
possible. Only what is alike goes on, and of that only numbers.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

import numpy as np
import pyarrow as pa

from synthfilter.core import progress, schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.hashing import distinct, find_sorted, hash_texts
from synthfilter.core.text import normalise
from synthfilter.decisions import near
from synthfilter.decisions.minhash import Shingles, ranges, shingle_hashes
from synthfilter.dropped import may_drop
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import read_documents

MAX_PARTNERS = 1024
"""Documents that one is paired with; with more it is a hub."""

# Pairs of several partitions that are held before doubles among them go.
_WAITING_PAIRS = 1 << 22

FIRST = "first"
SECOND = "second"
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


class Groups(NamedTuple):
    """The documents that are to be compared, and with which.

    Attributes:
      order: Their places in the order, which stand for them; uint64, sorted.
      crowded: Which of them may have candidates that they are not paired with.
      pairs: int32 rows of `order` [pairs, 2]: those compared in cells; from
        `with_hubs` on, by the document, a document and a hub, the largest first.
      with_hubs: Where pairs with hubs start.
      cell: int32, where each pair before that is compared.
      members: Documents, as rows of `order`, and the cells that they go to, int32
        [members, 2], sorted.
    """

    order: np.ndarray
    crowded: np.ndarray
    pairs: np.ndarray
    with_hubs: int
    cell: np.ndarray
    members: np.ndarray

    @property
    def hubs(self) -> np.ndarray:
        """Returns the order of the documents with very many partners."""
        return self.order[distinct([self.pairs[self.with_hubs :, 1]])]


def group_pairs(
    _: None,
    found: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
    cells: int,
) -> Groups:
    """Returns where pairs are compared.

    Args:
      found: Pairs and crowded documents of parts of all bands; see `find_pairs`.
      cells: In how many cells at most.
    """
    pairs, crowded = _merge_pairs(found)
    order = distinct([pairs.ravel()])
    # All workers get them, and search their columns: few bytes, side by side.
    rows = np.searchsorted(order, pairs).astype(np.int32)
    partners = np.bincount(rows.ravel(), minlength=len(order))
    hub = partners > MAX_PARTNERS
    has_hub = hub[rows].any(axis=1)
    inside, with_hubs = rows[~has_hub], rows[has_hub]
    turned = hub[with_hubs[:, 0]]
    with_hubs[turned] = with_hubs[turned, ::-1]
    document, other = with_hubs.T
    with_hubs = with_hubs[np.lexsort([other, -partners[other], document])]
    cell = _cells(inside, len(order), cells)
    members = [distinct([side.astype(np.int64) * cells + cell]) for side in inside.T]
    return Groups(
        order,
        find_sorted(crowded, order) >= 0,
        np.asfortranarray(np.concatenate([inside, with_hubs])),
        len(inside),
        cell,
        np.stack(np.divmod(distinct(members), cells)).astype(np.int32).T,
    )


def _merge_pairs(
    found: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct pairs [pairs, 2] and crowded documents of all parts."""
    crowded = np.zeros(0, np.uint64)
    pairs, more = np.zeros((0, 2), np.uint64), list[np.ndarray]()
    waiting = 0
    for batch, crowd in found:
        crowded = distinct([crowded, column(crowd, schema.ORDER)])
        more.append(np.stack([column(batch, FIRST), column(batch, SECOND)], axis=1))
        waiting += len(more[-1])
        # Two documents may share bands in several partitions: those of a boilerplate
        # in most of them.
        if waiting > max(len(pairs), _WAITING_PAIRS):
            pairs, more, waiting = _distinct_rows([pairs, *more]), [], 0
    return _distinct_rows([pairs, *more]), crowded


def _cells(pairs: np.ndarray, documents: int, cells: int) -> np.ndarray:
    """Returns the cell of each pair: few for the pairs of any one document.

    It is that of the lowest that the higher document is paired with, so that documents
    of which each is paired with each meet in one.
    """
    lowest = np.arange(documents, dtype=np.int32)
    np.minimum.at(lowest, pairs[:, 1], pairs[:, 0])
    return lowest[pairs[:, 1]] % cells


def _distinct_rows(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the distinct rows of arrays with two columns, sorted."""
    rows = np.concatenate(parts)
    rows = rows[np.lexsort([rows[:, 1], rows[:, 0]])]
    changed = np.ones(len(rows), bool)
    changed[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return rows[changed]


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
