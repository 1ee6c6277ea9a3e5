"""Arrow batches as Beam elements: the coder, and how facts are split and gathered."""

import copyreg
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.coders import Coder, registry
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

_IPC = pa.ipc.IpcWriteOptions(compression="lz4")

Keyed = tuple[int, pa.RecordBatch]


class RecordBatchCoder(Coder):
    """Arrow IPC, compressed. Beam's fallback would pickle a slice's whole parent.

    Not deterministic: a batch is never a key.
    """

    def encode(self, value: pa.RecordBatch) -> bytes:
        """Returns the batch as an IPC stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema, options=_IPC) as writer:
            writer.write_batch(value)
        return sink.getvalue().to_pybytes()

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Returns the batch of an IPC stream."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        """Returns False: equal batches may have different bytes."""
        return False

    def to_type_hint(self) -> type:
        """Returns the type that this coder is for."""
        return pa.RecordBatch


_CODER = RecordBatchCoder()


def _decode(encoded: bytes) -> pa.RecordBatch:
    return _CODER.decode(encoded)


def _reduce(batch: pa.RecordBatch) -> tuple[Any, tuple[bytes]]:
    return _decode, (_CODER.encode(batch),)


registry.register_coder(pa.RecordBatch, RecordBatchCoder)
# Runners pickle what they do not look at, as Dataflow's does what all workers get.
copyreg.pickle(pa.RecordBatch, _reduce)


def concat_batches(batches: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns one batch with the rows of all; there must be at least one batch."""
    first, *more = batches
    return pa.concat_batches([first, *more]) if more else first


def column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """Returns a fixed-width column without nulls as a numpy view."""
    return batch.column(name).to_numpy(zero_copy_only=True)


def set_column(batch: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    """Returns the batch with the column replaced, or added at the end."""
    index = batch.schema.get_field_index(name)
    if index < 0:
        return batch.append_column(name, values)
    return batch.set_column(index, name, values)


def with_values(
    batch: pa.RecordBatch, rows: np.ndarray, changed: Mapping[str, np.ndarray]
) -> pa.RecordBatch:
    """Returns the batch with other values of fixed-width columns in some rows."""
    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name in changed:
            values = array.to_numpy().copy()
            values[rows] = changed[name]
            array = pa.array(values)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def split_by_key(
    batch: pa.RecordBatch, keys: np.ndarray
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(key, rows of that key)`, the rows in their order, the keys ascending."""
    if not len(keys):
        return
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    batch = batch.take(pa.array(order))
    for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True):
        yield int(ordered[start]), batch.slice(start, stop - start)


class GatherBatches(beam.DoFn):
    """Buffers small batches into large ones, so that a shuffle carries few elements.

    Args:
      rows: Number of rows at which a batch is passed on.
    """

    def __init__(self, rows: int = 1 << 16) -> None:
        """Keeps the option; the buffer starts with the bundle."""
        self._rows = rows

    def start_bundle(self) -> None:
        """Empties the buffer."""
        self._buffer: list[pa.RecordBatch] = []
        self._held = 0

    def process(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Holds the batch; yields all that is held when it is enough."""
        self._buffer.append(batch)
        self._held += batch.num_rows
        if self._held >= self._rows:
            yield concat_batches(self._buffer)
            self.start_bundle()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yields what is left."""
        if self._held:
            window = GlobalWindow()
            yield WindowedValue(
                concat_batches(self._buffer), window.max_timestamp(), (window,)
            )
        self.start_bundle()
