"""Bands of signatures by block: which keys come again, and which of them very often."""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.hashing import mix
from synthfilter.decisions.minhash import Bands, band_keys
from synthfilter.decisions.repeated import RepeatedKeys
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import load_signatures

CROWD = 2048
"""Documents that share a band, about; so many and more are a crowd."""
SAMPLED = 64
"""Of so many documents the bands of one are counted, to find crowds."""

KEY = "key"
SAMPLE = "sample"

# A block's key, and row, order and rank of its documents.
OfBlock = tuple[int, Iterable[pa.RecordBatch]]


def cut_bands(
    element: OfBlock,
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


class CountBands(beam.DoFn):
    """Yields one `RepeatedKeys` of the band keys of all blocks of a bundle.

    A combiner would do the same; but some runners carry every key to it. Tagged
    `SAMPLE` are the keys of a sample of documents, uint64.

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

    def process(self, element: OfBlock, blocks: Mapping[int, Block]) -> Iterator[Any]:
        """Counts the keys of a block, and yields those of the sample."""
        where, keys = cut_bands(element, blocks, self._signatures_path, self._bands)
        self._sketch.add(keys)
        # By what documents are, so that it is the same in blocks of any size.
        sampled = mix(column(where, schema.ORDER)) % np.uint64(SAMPLED) == 0
        yield TaggedOutput(SAMPLE, keys[sampled].ravel())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields the sketch."""
        window = GlobalWindow()
        yield WindowedValue(self._sketch, window.max_timestamp(), (window,))


def merge_sketches(_: None, parts: Iterable[RepeatedKeys]) -> RepeatedKeys:
    """Returns one sketch of all that were counted."""
    first, *more = list(parts) or [RepeatedKeys(0)]
    # What runners hand in is theirs, and may be handed in again.
    return functools.reduce(RepeatedKeys.merge, more, copy.deepcopy(first)).settled()


def find_crowds(_: None, sampled: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the band keys that about `CROWD` documents have, or more; sorted."""
    keys = np.sort(np.concatenate([np.zeros(0, np.uint64), *sampled]))
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    count = np.diff(first, append=len(keys))
    return keys[first[count * SAMPLED >= CROWD]]


def split_bands(
    element: OfBlock,
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
