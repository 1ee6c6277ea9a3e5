"""Documents of a block under their one schema, whatever the input calls them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.spool import merge_metadata

_BATCH_BYTES = 4 << 20

# How the error of a row starts when the file, not the row, is at fault.
UNREADABLE = "unreadable Parquet"


def read_documents(
    block: Block, columns: Sequence[str], rows: np.ndarray | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a block in order, in batches of a few megabytes.

    Each batch has the named columns of `schema.DOCUMENT`, those that the input lacks
    as nulls (the source as the file's name), and always `error` and `position`: why a
    row cannot be used (its text is null or not UTF-8), else null. A part of the file
    that cannot be read gives rows that all carry the error, so that the rows asked
    for are always the rows that come.

    Args:
      block: The block.
      columns: Names of `schema.DOCUMENT`.
      rows: Ascending row numbers within the block; None stands for all.
    """
    if rows is None:
        rows = np.arange(block.rows)
    read = done = 0
    try:
        with storage.open_parquet(block.path) as file:
            for batch in _raw_batches(file, block, columns):
                stop = int(np.searchsorted(rows, read + batch.num_rows))
                if stop > done:
                    wanted = rows[done:stop]
                    if len(wanted) < batch.num_rows:
                        batch = batch.take(pa.array(wanted - read))
                    yield conform(batch, block, columns, block.first_row + wanted)
                    done = stop
                read += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        reason = f"{UNREADABLE}: {str(error).splitlines()[0][:160]}"
        yield _unreadable(columns, block.first_row + rows[done:], reason)


def _raw_batches(
    file: pq.ParquetFile, block: Block, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Reads the Parquet columns that the fields need; metadata needs all."""
    names = [found for name, found in block.mapping.items() if name in columns]
    if block.spooled:
        names += [schema.ERROR, schema.POSITION]
    elif schema.METADATA in columns:
        text = block.mapping[schema.TEXT]
        names = [
            name
            for name in file.schema_arrow.names
            if name != text or schema.TEXT in columns
        ]
    groups = range(block.first_group, block.stop_group)
    size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
    rows = max(1, min(1 << 16, _BATCH_BYTES * block.rows // max(size, 1)))
    return file.iter_batches(
        batch_size=rows, row_groups=list(groups), columns=names, use_threads=False
    )


def conform(
    batch: pa.RecordBatch, block: Block, columns: Sequence[str], rows: np.ndarray
) -> pa.RecordBatch:
    """Returns a batch of a block's file with the columns of `schema.DOCUMENT`.

    Args:
      batch: Rows as the file has them.
      block: The block that they are from.
      columns: Names of `schema.DOCUMENT`; `error` and `position` come besides.
      rows: Row number of each in the input file.
    """
    arrays = {
        name: _cast(batch, block.mapping.get(name), schema.DOCUMENT.field(name).type)
        for name in columns
        if name != schema.METADATA
    }
    if block.spooled:
        error, position = batch.column(schema.ERROR), batch.column(schema.POSITION)
    else:
        error, position = _find_errors(arrays, rows)
    if schema.SOURCE in arrays and schema.SOURCE not in block.mapping:
        name = block.file.rsplit("/", 1)[-1]
        arrays[schema.SOURCE] = pa.repeat(pa.scalar(name), batch.num_rows)
    if schema.METADATA in columns:
        arrays[schema.METADATA] = (
            batch.column(schema.METADATA)
            if block.spooled
            else _metadata(batch, block.mapping)
        )
    return pa.RecordBatch.from_pydict(
        {
            **{name: arrays[name] for name in columns},
            schema.ERROR: error,
            schema.POSITION: position,
        }
    )


def _cast(batch: pa.RecordBatch, name: str | None, wanted: pa.DataType) -> pa.Array:
    """Returns a column as its type in `schema.DOCUMENT`; what cannot be is null."""
    if name is None:
        return pa.nulls(batch.num_rows, wanted)
    found = batch.column(name)
    if found.type == wanted:
        return found
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if pa.types.is_nested(found.type) and pa.types.is_string(wanted):
        values = [None if v is None else _json(v) for v in found.to_pylist()]
        return pa.array(values, wanted)
    try:
        return found.cast(wanted)
    except pa.ArrowInvalid:
        return pa.nulls(batch.num_rows, wanted)


def _json(value: object) -> str:
    return orjson.dumps(value, default=str).decode()


def _find_errors(
    arrays: dict[str, pa.Array], rows: np.ndarray
) -> tuple[pa.Array, pa.Array]:
    """Returns error and position; rows with an error lose their text in `arrays`.

    Parquet readers do not check that strings are UTF-8, so it is done here.
    """
    reasons = np.full(len(rows), None, object)
    for name, array in arrays.items():
        bad = _not_utf8(array)
        if bad.any():
            reasons[bad] = f"{name}: invalid UTF-8"
            arrays[name] = _without_rows(array, bad)
    if schema.TEXT in arrays:
        text = arrays[schema.TEXT]
        broken = pa.array(reasons, pa.string()).is_valid().to_numpy(False)
        text = _without_rows(text, broken) if broken.any() else text
        missing = text.is_null().to_numpy(zero_copy_only=False) & ~broken
        reasons[missing] = "text: expected a string, got null"
        arrays[schema.TEXT] = text
    error = pa.array(reasons, pa.string())
    position = pc.binary_join_element_wise("row", pa.array(rows).cast(pa.string()), " ")
    return error, pc.if_else(error.is_valid(), position, pa.scalar(None, pa.string()))


def _without_rows(array: pa.Array, rows: np.ndarray) -> pa.Array:
    """Returns the array with null in the rows of the mask."""
    return pc.if_else(pa.array(rows), pa.scalar(None, array.type), array)


def _not_utf8(array: pa.Array) -> np.ndarray:
    """Returns which strings are not UTF-8; the common case is one fast check."""
    bad = np.zeros(len(array), bool)
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return bad
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        for row, raw in enumerate(array.cast(pa.large_binary()).to_pylist()):
            try:
                (raw or b"").decode()
            except UnicodeDecodeError:
                bad[row] = True
    return bad


def _metadata(batch: pa.RecordBatch, mapping: Mapping[str, str]) -> pa.Array:
    """Returns the columns without a field of their own as JSON objects."""
    used = set(mapping.values())
    extra = [name for name in batch.schema.names if name not in used]
    own = mapping.get(schema.METADATA)
    if not extra and own is None:
        return pa.nulls(batch.num_rows, pa.string())
    rows = batch.select(extra).to_pylist() if extra else [{}] * batch.num_rows
    given = batch.column(own).to_pylist() if own else [None] * batch.num_rows
    return pa.array(map(merge_metadata, given, rows), pa.string())


def _unreadable(
    columns: Sequence[str], rows: np.ndarray, reason: str
) -> pa.RecordBatch:
    """Returns error rows for the part of a block that could not be read."""
    arrays = {
        name: pa.nulls(len(rows), schema.DOCUMENT.field(name).type) for name in columns
    }
    arrays[schema.ERROR] = pa.array([reason] * len(rows), pa.string())
    position = [f"row {row}" for row in rows.tolist()]
    arrays[schema.POSITION] = pa.array(position, pa.string())
    return pa.RecordBatch.from_pydict(arrays)
