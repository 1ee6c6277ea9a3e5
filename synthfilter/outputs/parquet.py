"""Our Parquet sink: whole files or none, the same bytes for the same rows."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.batches import concat_batches

_ROW_GROUP_BYTES = 8 << 20
# What a row holds besides its strings, roughly.
_FIXED_BYTES = 64

# Few different values: worth a dictionary. Text and ids are not.
_DICTIONARIES = frozenset(
    {
        schema.SOURCE,
        schema.ORIGIN,
        schema.ORIGIN_EVIDENCE,
        schema.GENERATOR,
        schema.SYNTH_GENERATION,
        schema.BUILD_ID,
        schema.REASON,
        schema.EVIDENCE,
        "file",
        "stage",
    }
)


@dataclasses.dataclass(frozen=True)
class FileRecord:
    """A written file as the manifest knows it.

    Attributes:
      path: Relative to the output.
      rows: Number of rows.
      bytes: Of the file.
      arrow_bytes: Of the rows as Arrow holds them in memory.
      sha256: Of the file.
    """

    path: str
    rows: int
    bytes: int
    arrow_bytes: int
    sha256: str


def write_parquet(
    folder: str,
    name: str,
    batches: Sequence[pa.RecordBatch],
    order: Sequence[np.ndarray],
    rows: np.ndarray | None = None,
) -> FileRecord:
    """Writes the rows of all batches, sorted, as one Parquet file.

    Memory beyond the batches is that of one row group. The draft is read back and
    compared before it gets its name.

    Args:
      folder: The output folder.
      name: The file's path in it.
      batches: At least one; all of one schema.
      order: Sort keys over the rows of all batches, the most important first.
      rows: Which rows, with repetition; None stands for each once.

    Raises:
      OSError: it could not be written, or what was read back differs.
    """
    starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    if rows is None:
        rows = np.arange(starts[-1])
    rows = rows[np.lexsort([key[rows] for key in reversed(order)])]
    size = sum(map(_text_bytes, batches)) + _FIXED_BYTES * int(starts[-1])
    step = max(1, _ROW_GROUP_BYTES * int(starts[-1]) // max(size, 1))
    arrow_bytes = 0
    with storage.staged(storage.join(folder, name)) as draft:
        with _writer(draft, batches[0].schema) as writer:
            for at in range(0, len(rows), step):
                part = _gather(batches, starts, rows[at : at + step])
                writer.write_batch(part, row_group_size=step)
                arrow_bytes += part.nbytes
        return _read_back(draft, name, len(rows), arrow_bytes)


def _text_bytes(batch: pa.RecordBatch) -> int:
    """Returns the bytes of all strings, however the rows are split into batches."""
    return sum(
        pc.sum(pc.binary_length(column)).as_py() or 0
        for column in batch.columns
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    )


def _writer(draft: Path, columns: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        draft,
        columns,
        compression="zstd",
        use_dictionary=[name for name in columns.names if name in _DICTIONARIES],
        use_content_defined_chunking=True,
        write_page_index=True,
        write_page_checksum=True,
    )


def _gather(
    batches: Sequence[pa.RecordBatch], starts: np.ndarray, rows: np.ndarray
) -> pa.RecordBatch:
    """Returns the rows, numbered over all batches, in the given order.

    Arrow's own take on a chunked column would first copy the whole column.
    """
    parts, where = [], []
    for number, at in _by_batch(np.searchsorted(starts, rows, side="right") - 1):
        parts.append(batches[number].take(pa.array(rows[at] - starts[number])))
        where.append(at)
    inverse = np.empty(len(rows), np.int64)
    inverse[np.concatenate(where)] = np.arange(len(rows))
    together = concat_batches(parts)
    parts.clear()
    return together.take(pa.array(inverse))


def _by_batch(number: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields `(batch number, positions with that number)`."""
    order = np.argsort(number, kind="stable")
    first = np.flatnonzero(np.diff(number[order], prepend=-1))
    for at in np.split(order, first[1:]):
        yield int(number[at[0]]), at


def _read_back(draft: Path, name: str, rows: int, arrow_bytes: int) -> FileRecord:
    """Returns the record of the draft as the disk now has it."""
    found = pq.read_metadata(draft).num_rows
    if found != rows:
        raise OSError(f"{name}: wrote {rows} rows, read back {found}")
    with draft.open("rb") as file:
        sha256, size = storage.hash_stream(file)
    return FileRecord(name, rows, size, arrow_bytes, sha256)
