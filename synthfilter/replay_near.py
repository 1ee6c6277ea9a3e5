"""Near copies of a finished build, for several similarities: compared once.

Which texts are candidates is found for each similarity by its own bands, as a build
does; how similar two texts are is the same for all and computed once. What is left is
to decide, best document first, which goes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.hashing import distinct, find_sorted, order_hash
from synthfilter.core.schema import Reason
from synthfilter.decisions import near
from synthfilter.decisions.minhash import Shingles, choose_bands
from synthfilter.decisions.near import (
    Candidates,
    Pairs,
    candidate_pairs,
    resolve_in_rounds,
    true_similarity,
)
from synthfilter.decisions.repeated import RepeatedKeys
from synthfilter.dropped import drop_rows, mark_dropped, may_drop, places
from synthfilter.inputs.blocks import Block
from synthfilter.near_bands import KEY, cut_bands, split_bands
from synthfilter.near_groups import gather_read, read_shingles, shingles_of
from synthfilter.replay import Corpus

_NONE = np.zeros(0, np.uint64)


class Banded(NamedTuple):
    """Texts to compare for one similarity; texts are their places among all of them.

    Attributes:
      pairs: int64 [pairs, 2] of those that share a band with few others.
      key: Of the bands that many texts share.
      text: A text of each of these.
    """

    pairs: np.ndarray
    key: np.ndarray
    text: np.ndarray


def order_of(facts: pa.RecordBatch, seed: int) -> np.ndarray:
    """Returns the place of each document in the order, uint64."""
    hi, lo = (column(facts, name) for name in (schema.CONTENT_HI, schema.CONTENT_LO))
    return order_hash(hi, lo, seed)


def distinct_texts(facts: pa.RecordBatch, seed: int) -> pa.RecordBatch:
    """Returns one document of each text that could be read: row, order, no rank.

    Args:
      facts: Of all documents.
      seed: Of the random order.
    """
    rows = np.flatnonzero(column(facts, schema.REASON) == Reason.KEPT)
    order = order_of(facts, seed)[rows]
    at = np.argsort(order, kind="stable")
    at = at[np.append(True, order[at][1:] != order[at][:-1])[: len(at)]]
    return pa.RecordBatch.from_pydict(
        {
            schema.ROW: rows[at].astype(np.int32),
            schema.ORDER: order[at],
            # Only of use where bands are crowded, and then known by threshold.
            schema.RANK: np.zeros(len(at), np.uint64),
        }
    )


class NearCopies:
    """Near copies among the texts of a build.

    Args:
      corpus: Of all documents.
      signatures_path: Where the signatures of a block are.
      shingle_words: Words in a shingle.
      seed: Of the random order.
      similarities: Least similarities that will be asked for.
    """

    def __init__(
        self,
        corpus: Corpus,
        signatures_path: Callable[[Block], str],
        shingle_words: int,
        seed: int,
        similarities: Sequence[float],
    ) -> None:
        """Finds the candidates of each similarity, and reads their texts."""
        where = list(corpus.by_block(distinct_texts(corpus.facts, seed)))
        named = corpus.named
        found = {
            similarity: find_candidates(where, named, signatures_path, similarity)
            for similarity in similarities
        }
        # From here on, only texts that are compared with any other count.
        self._order = distinct(
            [one for each in found.values() for one in (each.pairs.ravel(), each.text)]
        )
        self._candidates = {
            similarity: Banded(
                np.searchsorted(self._order, each.pairs),
                each.key,
                np.searchsorted(self._order, each.text),
            )
            for similarity, each in found.items()
        }
        # Which of these texts each document has, -1 for none.
        self._text = find_sorted(self._order, order_of(corpus.facts, seed)).astype(
            np.int32
        )
        self._shingles = self._read(where, named, shingle_words)
        self._known = np.zeros(0, np.int64)
        self._similarity = np.zeros(0)

    def _read(
        self,
        where: Sequence[tuple[int, list[pa.RecordBatch]]],
        blocks: Mapping[int, Block],
        shingle_words: int,
    ) -> Shingles:
        """Returns the shingles of the texts, and keeps their content hashes."""
        read = (
            part
            for element in where
            for part in read_shingles(element, blocks, self._order, shingle_words)
        )
        rows = gather_read(None, read)
        self._content = rows.select([schema.CONTENT_HI, schema.CONTENT_LO])
        return shingles_of(rows)

    def drop(
        self, settled: pa.RecordBatch, similarity: float
    ) -> tuple[pa.RecordBatch, int]:
        """Returns the `schema.DECIDED` rows with near copies left out.

        And how many documents were not compared with all candidates.

        Args:
          settled: `schema.DECIDED` rows of all documents, exact copies settled.
          similarity: Least similarity; one of those named at first.
        """
        alive, rank = self._rank(settled)
        read = pa.RecordBatch.from_arrays(
            [pa.array(self._order), pa.array(rank), *self._content.columns],
            names=[schema.ORDER, schema.RANK, *self._content.schema.names],
        )
        place = places(read)
        found = self._candidates[similarity]
        crowd = _Crowd(self, found, rank, place)
        pairs, apart = crowd.candidates(np.flatnonzero(alive))
        crowded = np.zeros(len(rank), bool)
        crowded[apart] = True
        known = Pairs(pairs, self.similarity(pairs), pairs[:0], crowded)
        gone, left = resolve_in_rounds(known, place, similarity, crowd)
        kept = read.take(pa.array(gone.kept))
        dropped = drop_rows(self._order[gone.dropped], kept, gone.similarity)
        return mark_dropped(settled, [dropped]), len(left)

    def _rank(self, settled: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """Returns which texts are still in, and the best rank of each."""
        rank = np.full(len(self._order), np.iinfo(np.uint64).max)
        alive = np.zeros(len(self._order), bool)
        mine = column(settled, schema.REASON) == Reason.KEPT
        rows = np.flatnonzero(mine & (self._text >= 0))
        at = self._text[rows]
        # Only of the archive are there several documents of one text.
        np.minimum.at(rank, at, column(settled, schema.RANK)[rows])
        alive[at] = True
        return alive, rank

    def similarity(self, rows: np.ndarray) -> np.ndarray:
        """Returns the similarity of pairs of texts [pairs, 2]; computed once for all.

        Args:
          rows: Places of the texts, the lower one first.
        """
        code = rows[:, 0] * len(self._order) + rows[:, 1]
        new = distinct([code[find_sorted(self._known, code) < 0]])
        if len(new):
            pairs = np.stack(np.divmod(new, len(self._order)), axis=1)
            known = np.concatenate([self._known, new])
            found = [self._similarity, true_similarity(self._shingles, pairs)]
            order = np.argsort(known)
            self._known = known[order]
            self._similarity = np.concatenate(found)[order]
        return self._similarity[np.searchsorted(self._known, code)]


class _Crowd:
    """Pairs of some texts, for `resolve_in_rounds`.

    Args:
      texts: All texts.
      found: Which of them to compare.
      rank: Of each text.
      place: Of each by order and rank.
    """

    def __init__(
        self, texts: NearCopies, found: Banded, rank: np.ndarray, place: np.ndarray
    ) -> None:
        """Keeps what it needs."""
        self.similarity = texts.similarity
        self._found, self._rank, self._place = found, rank, place

    def candidates(self, rows: np.ndarray) -> Candidates:
        """Returns pairs of some of the texts, of which one may go for the other."""
        texts = np.zeros(len(self._place), bool)
        texts[rows] = True
        few = self._found.pairs[texts[self._found.pairs].all(axis=1)]
        mine = texts[self._found.text]
        text = self._found.text[mine]
        many, crowded = candidate_pairs(
            self._found.key[mine], text, near.MAX_BUCKET, self._place[text]
        )
        size = len(texts)
        codes = distinct([part[:, 0] * size + part[:, 1] for part in (few, many)])
        pairs = np.stack(np.divmod(codes, max(size, 1)), axis=1)
        return Candidates(pairs[may_drop(self._rank, pairs)], crowded)


def find_candidates(
    where: Sequence[tuple[int, list[pa.RecordBatch]]],
    blocks: Mapping[int, Block],
    signatures_path: Callable[[Block], str],
    similarity: float,
) -> Banded:
    """Returns the texts to compare, by their places in the order.

    Args:
      where: Documents by block; see `Corpus.by_block`.
      blocks: By key.
      signatures_path: Where the signatures of a block are.
      similarity: Least Jaccard similarity of near copies.
    """
    bands = choose_bands(similarity)
    texts = sum(part.num_rows for _, parts in where for part in parts)
    sketch = RepeatedKeys(texts * bands.bands)
    for element in where:
        sketch.add(cut_bands(element, blocks, signatures_path, bands)[1])
    sketch.settled()
    key, order = [_NONE], [_NONE]
    for element in where:
        for _, part in split_bands(element, blocks, signatures_path, bands, sketch, 1):
            key.append(column(part, KEY))
            order.append(column(part, schema.ORDER))
    return part_candidates(np.concatenate(key), np.concatenate(order))


def part_candidates(key: np.ndarray, order: np.ndarray) -> Banded:
    """Returns all pairs of the bands of few texts, and the bands of many.

    Of few, each is compared with each, whichever of them are there; of many, with the
    best alone, which are others at another threshold.

    Args:
      key: uint64 band keys.
      order: Of the text that each is of.
    """
    at = np.argsort(key, kind="stable")
    key, order = key[at], order[at]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    size = np.diff(first, append=len(key))
    many = np.repeat(size > near.MAX_BUCKET + 1, size)
    few = candidate_pairs(key[~many], order[~many], near.MAX_BUCKET)
    return Banded(few.pairs, key[many], order[many])
