"""Crowds: what is near their best goes for it, before any pairs are sought.

A crowd are the very many documents that share a band. One that ranks before all others
in *every* band that it has stays, whatever is near it, since a document goes only for a
better one. It leads its crowds: they are compared with it as they are read, and what is
near it is in no pair. So of a boilerplate in a million documents nothing is held but a
number for each.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsDict, AsIter, AsSingleton

from synthfilter.core import progress, schema
from synthfilter.core.batches import column, concat_batches
from synthfilter.core.hashing import distinct, find_sorted
from synthfilter.decisions import near
from synthfilter.decisions.minhash import Bands, ranges
from synthfilter.dropped import drop_rows, may_drop, places
from synthfilter.inputs.blocks import Block
from synthfilter.near_bands import OfBlock, cut_bands
from synthfilter.near_groups import TOLD, gather_read, read_shingles, shingles_of

_NONE = np.zeros(0, np.uint64)


class Leaders(NamedTuple):
    """Documents that are first in bands.

    Attributes:
      where: Order and rank of each.
      keys: Their band keys, uint64 [documents, bands].
    """

    where: pa.RecordBatch
    keys: np.ndarray


class Followers(NamedTuple):
    """Documents of a block that are near leaders.

    Attributes:
      order: Of each document, as often as there are leaders that it is near.
      leader: The leader, as a row of `Leaders`.
      similarity: To the leader.
      beaten: Rows of leaders that are not first in all their bands.
    """

    order: np.ndarray
    leader: np.ndarray
    similarity: np.ndarray
    beaten: np.ndarray


def drop_followers(
    by_block: beam.PCollection,
    blocks: beam.PCollection,
    signatures_path: Callable[[Block], str],
    bands: Bands,
    crowds: beam.PCollection,
    threshold: float,
    shingle_words: int,
    beats: Optional[str],
) -> beam.PCollection:
    """Returns one batch of `DROPPED` rows, by the order: what is near leaders.

    Args:
      by_block: Row, order and rank of the documents of each block.
      blocks: `(key, Block)`.
      signatures_path: Where the signatures of a block are.
      bands: How they are cut.
      crowds: See `near_bands.find_crowds`.
      threshold: Least Jaccard similarity of near copies.
      shingle_words: Words in a shingle.
      beats: Folder for progress, None for none.
    """
    start = by_block.pipeline | "Crowds" >> beam.Create([None])
    best = by_block | "FindBest" >> beam.FlatMap(
        find_best, AsDict(blocks), signatures_path, bands, AsSingleton(crowds)
    )
    leaders = start | "ChooseLeaders" >> beam.Map(
        choose_leaders, AsIter(best), AsSingleton(crowds)
    )
    read = by_block | "ReadLeaders" >> beam.FlatMap(
        read_leaders, AsDict(blocks), AsSingleton(leaders), shingle_words
    )
    read = start | "GatherLeaders" >> beam.Map(gather_read, AsIter(read))
    followers = by_block | "FindFollowers" >> beam.FlatMap(
        find_followers,
        AsDict(blocks),
        signatures_path,
        bands,
        AsSingleton(leaders),
        AsSingleton(read),
        threshold,
        shingle_words,
        beats,
    )
    return start | "SettleFollowers" >> beam.Map(
        settle_followers, AsIter(followers), AsSingleton(read)
    )


def find_best(
    element: OfBlock,
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    bands: Bands,
    crowds: np.ndarray,
) -> Iterator[Leaders]:
    """Yields the documents that are first of their block in any of the crowds."""
    if not len(crowds):
        return
    where, keys = cut_bands(element, blocks, signatures_path, bands)
    _, first = _find_first(where, keys, crowds)
    rows = np.flatnonzero(first.any(axis=1))
    told = where.select([schema.ORDER, schema.RANK])
    yield Leaders(told.take(pa.array(rows)), keys[rows])


def choose_leaders(_: None, best: Iterable[Leaders], crowds: np.ndarray) -> Leaders:
    """Returns those that are first in all crowds that they are in, by the order."""
    parts = list(best)
    none = pa.RecordBatch.from_pydict({schema.ORDER: _NONE, schema.RANK: _NONE})
    if not parts:
        return Leaders(none, _NONE[:, None])
    where = concat_batches([part.where for part in parts])
    keys = np.concatenate([part.keys for part in parts])
    mine, first = _find_first(where, keys, crowds)
    rows = np.flatnonzero((mine == first).all(axis=1))
    rows = rows[np.argsort(column(where, schema.ORDER)[rows])]
    return Leaders(where.take(pa.array(rows)), keys[rows])


def _find_first(
    where: pa.RecordBatch, keys: np.ndarray, crowds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which bands of documents are crowds, and in which each is the first."""
    crowd = find_sorted(crowds, keys.ravel()).reshape(keys.shape)
    mine = crowd >= 0
    place = np.broadcast_to(places(where)[:, None], keys.shape)
    least = np.full(len(crowds), where.num_rows)
    np.minimum.at(least, crowd[mine], place[mine])
    return mine, mine & (least[crowd] == place)


def read_leaders(
    element: OfBlock,
    blocks: Mapping[int, Block],
    leaders: Leaders,
    shingle_words: int,
) -> Iterator[pa.RecordBatch]:
    """Yields the `READ` rows of leaders."""
    order = column(leaders.where, schema.ORDER)
    return read_shingles(element, blocks, order, shingle_words)


def find_followers(
    element: OfBlock,
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    bands: Bands,
    leaders: Leaders,
    read: pa.RecordBatch,
    threshold: float,
    shingle_words: int,
    beats: Optional[str],
) -> Iterator[Followers]:
    """Yields what of a block is near leaders, and which of these it beats.

    Args:
      element: The block's key, and row, order and rank of its documents.
      blocks: By key.
      signatures_path: Where the signatures of a block are.
      bands: How they are cut.
      leaders: See `choose_leaders`.
      read: `READ` rows of these.
      threshold: Least similarity of near copies.
      shingle_words: Words in a shingle.
      beats: Folder for progress, None for none.
    """
    if not leaders.where.num_rows:
        return
    began = time.thread_time()
    where, keys = cut_bands(element, blocks, signatures_path, bands)
    row, leader = _find_meetings(keys, leaders.keys)
    told = where.select(leaders.where.schema.names)
    both = concat_batches([told, leaders.where])
    pairs = np.stack([row, where.num_rows + leader], axis=1)
    order, other = column(both, schema.ORDER)[pairs].T
    better = np.subtract(*places(both)[pairs].T) < 0
    yield Followers(_NONE, _NONE, _NONE, leader[better & (order != other)])
    wanted = ~better & (order != other) & may_drop(column(both, schema.RANK), pairs)
    order, leader = order[wanted], leader[wanted]
    for part in read_shingles(
        (element[0], [where]), blocks, distinct([order]), shingle_words
    ):
        alike = _compare(part, order, read, leader)
        near_by = alike >= threshold
        yield Followers(order[near_by], leader[near_by], alike[near_by], leader[:0])
    size = blocks[element[0]].bytes
    progress.beat(beats, "compare", 1, size, seconds=time.thread_time() - began)


def _find_meetings(
    keys: np.ndarray, others: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of keys and of others [rows, bands] that share one, once."""
    known = np.argsort(others, axis=None)
    value = others.ravel()[known]
    first = np.searchsorted(value, keys.ravel())
    count = np.searchsorted(value, keys.ravel(), "right") - first
    row = np.repeat(np.arange(keys.size) // keys.shape[1], count)
    other = known[ranges(first, count)] // others.shape[1]
    return np.divmod(distinct([row * len(others) + other]), len(others))


def _compare(
    part: pa.RecordBatch, order: np.ndarray, read: pa.RecordBatch, leader: np.ndarray
) -> np.ndarray:
    """Returns how similar documents are to leaders; 0 of those that are not in a part.

    Args:
      part: `READ` rows of some of the documents.
      order: Of each document.
      read: `READ` rows of all leaders.
      leader: The row of these to compare each document with.
    """
    at = np.argsort(column(part, schema.ORDER))
    place = find_sorted(column(part, schema.ORDER)[at], order)
    here = np.flatnonzero(place >= 0)
    rows = np.stack([at[place[here]], part.num_rows + leader[here]], axis=1)
    similarity = np.zeros(len(order))
    both = shingles_of(concat_batches([part, read]))
    similarity[here] = near.true_similarity(both, rows)
    return similarity


def settle_followers(
    _: None, found: Iterable[Followers], read: pa.RecordBatch
) -> pa.RecordBatch:
    """Returns the `DROPPED` rows of what is near leaders that nothing beats.

    Args:
      found: See `find_followers`.
      read: `READ` rows of all leaders.
    """
    parts = [Followers(_NONE, _NONE, _NONE, _NONE), *found]
    order, leader, similarity, beaten = map(np.concatenate, zip(*parts, strict=True))
    firm = np.ones(read.num_rows, bool)
    firm[beaten.astype(np.int64)] = False
    leader = leader.astype(np.int64)
    stays = np.flatnonzero(firm[leader])
    # Of the leaders that it is near it names the most similar, or the best of these.
    by = [places(read)[leader[stays]], -similarity[stays], order[stays]]
    at = stays[np.lexsort(by)]
    at = at[np.append(True, order[at][1:] != order[at][:-1])[: len(at)]]
    kept = read.select(TOLD.names).take(pa.array(leader[at]))
    return drop_rows(order[at], kept, similarity[at])


def leave_out(
    element: OfBlock, dropped: pa.RecordBatch
) -> tuple[int, list[pa.RecordBatch]]:
    """Returns a block's documents without those in `DROPPED` rows by the order."""
    key, batches = element
    where = concat_batches(batches)
    gone = column(dropped, schema.ORDER)
    left = find_sorted(gone, column(where, schema.ORDER)) < 0
    return key, [where.filter(pa.array(left))]
