"""Near copies are decided: once, and again where a crowd was not compared in full.

A crowd shares a band with too many others for all to be compared. Most of it are near
copies of its best; what is left then is read again, and compared with each other.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches, set_column, split_by_key
from synthfilter.decisions import near
from synthfilter.decisions.minhash import band_keys, choose_bands
from synthfilter.dropped import drop_rows, may_drop, places
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_signatures
from synthfilter.near_groups import (
    NOTHING_COMPARED,
    each_once,
    gather_read,
    read_shingles,
    shingles_of,
    split_pairs,
)
from synthfilter.near_pairs import Groups

_MINE = "mine"


def resolve_near_copies(
    _: None,
    compared: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
    groups: Groups,
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    threshold: float,
    shingle_words: int,
) -> tuple[pa.RecordBatch, int]:
    """Returns the `DROPPED` rows, and how many kept documents may have near copies.

    Args:
      compared: See `compare_cell`.
      groups: What was compared.
      blocks: By key.
      signatures_path: Where the signatures of a block are.
      threshold: Least similarity of near copies.
      shingle_words: Words in a shingle.
    """
    told, alike = zip(NOTHING_COMPARED, *compared, strict=True)
    documents, found = each_once(concat_batches(told)), concat_batches(alike)
    pairs = split_pairs(groups, found, column(documents, schema.RANK))
    crowd = Crowd(
        documents, groups.crowded, blocks, signatures_path, threshold, shingle_words
    )
    resolved, crowded = near.resolve_in_rounds(
        pairs, places(documents), threshold, crowd
    )
    order = column(documents, schema.ORDER)[resolved.dropped]
    kept = documents.take(pa.array(resolved.kept))
    return drop_rows(order, kept, resolved.similarity), len(crowded)


class Crowd(near.Search):
    """Reads again what is kept of crowds.

    Args:
      documents: `TOLD` rows by the order.
      crowded: Which of them share a band with too many others.
      blocks: By key.
      signatures_path: Where the signatures of a block are.
      threshold: Least similarity of near copies.
      shingle_words: Words in a shingle.
    """

    def __init__(
        self,
        documents: pa.RecordBatch,
        crowded: np.ndarray,
        blocks: Mapping[int, Block],
        signatures_path: Callable[[Block], str],
        threshold: float,
        shingle_words: int,
    ) -> None:
        """Keeps what it needs; nothing is read yet."""
        self._documents = documents
        self._place = places(documents)
        self._blocks = blocks
        self._signatures_path = signatures_path
        self._bands = choose_bands(threshold)
        self._shingle_words = shingle_words
        # Of the crowd, once they are known: most of it goes before they are read.
        self._keys = np.zeros((np.count_nonzero(crowded), self._bands.bands), "u8")
        self._known = np.zeros(len(self._keys), bool)
        self._number = np.cumsum(crowded) - 1

    def candidates(self, rows: np.ndarray) -> near.Candidates:
        """Returns pairs of some of the crowd."""
        mine = self._number[rows]
        self._read_keys(rows[~self._known[mine]])
        rows = np.repeat(rows, self._bands.bands)
        found = near.candidate_pairs(
            self._keys[mine].ravel(), rows, near.MAX_BUCKET, self._place[rows]
        )
        wanted = may_drop(column(self._documents, schema.RANK), found.pairs)
        return near.Candidates(found.pairs[wanted], found.crowded)

    def _read_keys(self, rows: np.ndarray) -> None:
        """Reads the signatures of some of the crowd."""
        mine = self._number[rows]
        for key, part in self._by_block(rows, **{_MINE: mine}):
            minima = load_signatures(self._signatures_path(self._blocks[key]))
            minima = minima[column(part, schema.ROW)]
            self._keys[column(part, _MINE)] = band_keys(minima, self._bands)
        self._known[mine] = True

    def similarity(self, pairs: np.ndarray) -> np.ndarray:
        """Returns how similar documents are; their texts are read for it."""
        order = column(self._documents, schema.ORDER)
        rows = np.unique(pairs)
        parts = [
            part
            for key, where in self._by_block(rows)
            for part in read_shingles(
                (key, [where]), self._blocks, order[rows], self._shingle_words
            )
        ]
        read = gather_read(None, parts)
        return near.true_similarity(shingles_of(read), np.searchsorted(rows, pairs))

    def _by_block(
        self, rows: np.ndarray, **more: np.ndarray
    ) -> Iterable[tuple[int, pa.RecordBatch]]:
        """Yields, by block, where documents are, and more columns of them."""
        where = self._documents.take(pa.array(rows))
        named = where.select([schema.ROW, schema.ORDER, schema.RANK])
        for name, values in more.items():
            named = set_column(named, name, pa.array(values))
        return split_by_key(named, column(where, schema.BLOCK))
