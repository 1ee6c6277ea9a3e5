"""Documents of a block under their one schema, whatever the input calls them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.batches import set_column
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.evidence import (
    Level,
    claim_columns,
    claims_of_batch,
    find_levels,
    origins_say,
)
from synthfilter.inputs.fields import BESIDE_METADATA
from synthfilter.inputs.spool import file_name, merge_metadata

_BATCH_BYTES = 4 << 20

# How the error of a row starts that may be readable the next time.
UNREADABLE = f"{schema.BROKEN_FILE}unreadable Parquet"


def read_documents(
    block: Block, columns: Sequence[str], rows: np.ndarray | None = None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a block in order, in batches of a few megabytes.

    Each batch has the named columns of `schema.DOCUMENT`, what the input lacks or has
    as another type as null (the source as the file's name), and always `error` and
    `position`: why a row cannot be used (its text is null or not UTF-8), else null. A
    part of the file that cannot be read gives rows that all carry the error, so that
    the rows asked for are always the rows that come.

    Args:
      block: The block.
      columns: Names of `schema.DOCUMENT`.
      rows: Ascending row numbers within the block; None stands for all.
    """
    if rows is None:
        rows = np.arange(block.rows)
    if not len(rows):
        # Nor is a file opened that may be as unreadable as it was.
        return
    read = done = 0
    try:
        with storage.open_parquet(block.path) as file:
            levels = find_levels(file.schema_arrow, block.mapping)
            for batch in _batches_with_fields(file, block, columns):
                stop = int(np.searchsorted(rows, read + batch.num_rows))
                if stop > done:
                    wanted = rows[done:stop]
                    taken = batch
                    if len(wanted) < batch.num_rows:
                        taken = batch.take(pa.array(wanted - read))
                    numbers = block.first_row + wanted
                    yield conform(taken, block, columns, numbers, levels)
                    done = stop
                read += batch.num_rows
                if done == len(rows):
                    return
        raise OSError(f"{block.rows} rows expected, {read} found")
    # A lookup fails when the file has lost row groups or columns since it was opened.
    except (OSError, LookupError, pa.ArrowException) as error:
        reason = f"{UNREADABLE}: {str(error).splitlines()[0][:160]}"
        yield _unreadable(columns, block.first_row + rows[done:], reason)


def _batches_with_fields(
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
    elif schema.CLAIMS in columns:
        found = file.schema_arrow
        levels = find_levels(found, block.mapping)
        names += claim_columns(levels, block.mapping, found.names)
    return raw_batches(file, block, names)


def raw_batches(
    file: pq.ParquetFile, block: Block, names: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """Reads columns of a block as the file has them, a few megabytes at a time.

    Args:
      file: The block's Parquet file.
      block: The block.
      names: Columns of the file; None stands for all.
    """
    groups = range(block.first_group, block.stop_group)
    size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
    rows = max(1, min(1 << 16, _BATCH_BYTES * block.rows // max(size, 1)))
    return file.iter_batches(
        batch_size=rows, row_groups=list(groups), columns=names, use_threads=False
    )


def conform(
    batch: pa.RecordBatch,
    block: Block,
    columns: Sequence[str],
    rows: np.ndarray,
    levels: Sequence[Level] | None = None,
) -> pa.RecordBatch:
    """Returns a batch of a block's file with the columns of `schema.DOCUMENT`.

    Args:
      batch: Rows as the file has them.
      block: The block that they are from.
      columns: Names of `schema.DOCUMENT`; `error` and `position` come besides.
      rows: Row number of each in the input file.
      levels: What tells who wrote the text, where the batch lacks columns of the file.
    """
    if block.spooled:
        return batch.select([*columns, schema.ERROR, schema.POSITION])
    found = conform_columns(batch, block.mapping, columns, rows, levels)
    if schema.SOURCE in columns and schema.SOURCE not in block.mapping:
        name = pa.repeat(pa.scalar(file_name(block.file)), batch.num_rows)
        found = set_column(found, schema.SOURCE, name)
    return found


def conform_columns(
    batch: pa.RecordBatch,
    mapping: Mapping[str, str],
    columns: Sequence[str],
    rows: np.ndarray,
    levels: Sequence[Level] | None = None,
) -> pa.RecordBatch:
    """Returns any batch with the columns of `schema.DOCUMENT`, `error`, `position`.

    Args:
      batch: Rows with columns of any names.
      mapping: Field to column.
      columns: Names of `schema.DOCUMENT`.
      rows: A number for each row, for its position.
      levels: See `conform`.
    """
    arrays = {}
    for name in columns:
        wanted = schema.DOCUMENT.field(name).type
        arrays[name] = (
            _cast(batch.column(mapping[name]), wanted)
            if name in mapping and name != schema.METADATA
            else pa.nulls(batch.num_rows, wanted)
        )
    if schema.CLAIMS in columns:
        if levels is None:
            levels = find_levels(batch.schema, mapping)
        arrays[schema.CLAIMS] = pa.array(claims_of_batch(batch, mapping, levels))
    error, position = _find_errors(arrays, rows)
    if schema.METADATA in columns:
        arrays[schema.METADATA] = _metadata(batch, mapping)
    return pa.RecordBatch.from_pydict(
        {**arrays, schema.ERROR: error, schema.POSITION: position}
    )


def _cast(found: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Returns values as another type; each that cannot be is null."""
    if found.type == wanted:
        return found
    if pa.types.is_boolean(wanted):
        return pa.nulls(len(found), wanted)
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if pa.types.is_nested(found.type) and pa.types.is_string(wanted):
        values = [None if v is None else _json(v) for v in _plain_values(found)]
        return pa.array(values, wanted)
    try:
        # A number is as near as its type comes to it.
        return found.cast(wanted, safe=not pa.types.is_floating(wanted))
    except pa.ArrowNotImplementedError:
        return pa.nulls(len(found), wanted)
    except pa.ArrowInvalid:
        if len(found) == 1:
            return pa.nulls(1, wanted)
        each = [_cast(found.slice(row, 1), wanted) for row in range(len(found))]
        return pa.concat_arrays(each)


def _json(value: object) -> str | None:
    """Returns the value as JSON, None where it is nested too deep."""
    try:
        return orjson.dumps(value, default=str).decode()
    except orjson.JSONEncodeError:
        return None


def _plain_values(found: pa.Array) -> list[Any]:
    """Returns the values as Python's own; each that cannot be is None."""
    kind = found.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        found = _cast(found, pa.string())
    try:
        return found.to_pylist()
    except (ValueError, OverflowError):
        if len(found) == 1:
            return [None]
        return [_plain_values(found.slice(row, 1))[0] for row in range(len(found))]


def _find_errors(
    arrays: dict[str, pa.Array], rows: np.ndarray
) -> tuple[pa.Array, pa.Array]:
    """Returns error and position; values that are not UTF-8 become null in `arrays`.

    Parquet readers do not check that strings are UTF-8, so it is done here. Only the
    text makes an error, so that a row has the same one whatever else is read of it.
    """
    reasons = np.full(len(rows), None, object)
    if schema.TEXT in arrays:
        missing = arrays[schema.TEXT].is_null().to_numpy(zero_copy_only=False)
        reasons[missing] = "text: expected a string, got null"
    for name, array in arrays.items():
        bad = _not_utf8(array)
        if bad.any():
            arrays[name] = pc.if_else(pa.array(bad), pa.scalar(None, array.type), array)
            if name == schema.TEXT:
                reasons[bad] = "text: invalid UTF-8"
    error = pa.array(reasons, pa.string())
    position = pc.binary_join_element_wise("row", pa.array(rows).cast(pa.string()), " ")
    return error, pc.if_else(error.is_valid(), position, pa.scalar(None, pa.string()))


def _not_utf8(array: pa.Array) -> np.ndarray:
    """Returns which values are not UTF-8; the common case is one fast check."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        if len(array) == 1:
            return np.ones(1, bool)
        each = [_not_utf8(array.take(pa.array([row]))) for row in range(len(array))]
        return np.concatenate(each)
    return np.zeros(len(array), bool)


def _metadata(batch: pa.RecordBatch, mapping: Mapping[str, str]) -> pa.Array:
    """Returns the columns without a field of their own as JSON objects."""
    used = {
        found
        for name, found in mapping.items()
        if name not in (*BESIDE_METADATA, schema.ORIGIN)
        and (name != schema.REVIEWED or pa.types.is_boolean(batch.column(found).type))
    }
    extra = [name for name in batch.schema.names if name not in used]
    own = mapping.get(schema.METADATA)
    if not extra and own is None:
        return pa.nulls(batch.num_rows, pa.string())
    columns = [_plain_values(batch.column(name)) for name in extra]
    rows = [
        dict(zip(extra, values, strict=True)) for values in zip(*columns, strict=True)
    ]
    # What an origin says stands in the claims; other values stay.
    for row in np.flatnonzero(origins_say(batch, mapping)) if rows else ():
        rows[row].pop(mapping[schema.ORIGIN], None)
    nothing = [None] * batch.num_rows
    given = _plain_values(batch.column(own)) if own else nothing
    merged = map(_merge_metadata, given, rows if extra else nothing)
    return pa.array(merged, pa.string())


def _merge_metadata(metadata: Any, extra: Mapping[str, Any] | None) -> str | None:
    """Returns the metadata of a row, None where it is nested too deep."""
    try:
        return merge_metadata(metadata, extra or {})
    except orjson.JSONEncodeError:
        return None


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
