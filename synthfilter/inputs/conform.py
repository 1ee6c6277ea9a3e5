"""Columns of any names and types as the one schema of documents, whole batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema
from synthfilter.core.batches import set_column
from synthfilter.core.errors import UserError
from synthfilter.inputs.chat import is_chat, render_column
from synthfilter.inputs.evidence import (
    Level,
    claims_of_batch,
    find_levels,
    origins_say,
)
from synthfilter.inputs.fields import BESIDE_METADATA
from synthfilter.inputs.paths import (
    Columns,
    is_text,
    paths_of,
    take,
    type_at,
    values_at,
)
from synthfilter.inputs.records import merge_metadata

# Fields whose values stay in the metadata, whatever they say.
_STAYING = (*BESIDE_METADATA, schema.ORIGIN)


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
    if levels is None:
        levels = find_levels(batch.schema, mapping)
    paths = paths_of(mapping, batch.schema.names)
    original, batch = batch, resolve(batch, mapping, paths)
    arrays = {}
    for name in columns:
        wanted = schema.DOCUMENT.field(name).type
        arrays[name] = (
            _cast(batch.column(mapping[name]), wanted)
            if name in mapping and name != schema.METADATA
            else pa.nulls(batch.num_rows, wanted)
        )
    if schema.CLAIMS in columns:
        arrays[schema.CLAIMS] = pa.array(claims_of_batch(batch, mapping, levels))
    error, position = _find_errors(arrays, rows)
    if schema.METADATA in columns:
        arrays[schema.METADATA] = _metadata(
            original, mapping, paths, origins_say(batch, mapping)
        )
    return pa.RecordBatch.from_pydict(
        {**arrays, schema.ERROR: error, schema.POSITION: position}
    )


def check_text_type(arrow: pa.Schema, mapping: Mapping[str, str], path: str) -> None:
    """Raises UserError unless the text of a file is strings or messages.

    Args:
      arrow: All columns of the file.
      mapping: Field to column or path.
      path: The file, for the message.
    """
    name = mapping[schema.TEXT]
    found = type_at(arrow, name)
    if not (is_text(found) or is_chat(found)):
        raise UserError(
            f"{path}: column {name!r} holds {found}, expected strings; "
            "name the text column with --fields text=COLUMN"
        )


def resolve(
    batch: pa.RecordBatch, mapping: Mapping[str, str], paths: Mapping[str, str]
) -> pa.RecordBatch:
    """Returns a batch with a column for each path, and chats rendered as text.

    Args:
      batch: Rows as the file has them, or some of their columns.
      mapping: Field to column or path.
      paths: Those of its fields that are within others.
    """
    held = Columns.of_schema(batch.schema).inner if paths else []
    for path in paths.values():
        if path in held:
            batch = set_column(batch, path, values_at(batch, path))
    text = mapping.get(schema.TEXT, schema.TEXT)
    at = batch.schema.get_field_index(text)
    if at >= 0 and is_chat(batch.schema.field(at).type):
        batch = set_column(batch, text, render_column(batch.column(at), mapping))
    return batch


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
        # Between these types there is no cast at all, whatever the values.
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


def _metadata(
    batch: pa.RecordBatch,
    mapping: Mapping[str, str],
    paths: Mapping[str, str],
    origins: np.ndarray,
) -> pa.Array:
    """Returns the columns without a field of their own as JSON objects.

    Args:
      batch: Rows as the file has them.
      mapping: Field to column or path.
      paths: Those of its fields that are within others.
      origins: What the column `origin` says of each row.
    """
    used = {
        found
        for name, found in mapping.items()
        if name in schema.DOCUMENT.names
        and name not in _STAYING
        and (name != schema.REVIEWED or _holds_booleans(batch, found))
    }
    extra = [name for name in batch.schema.names if name not in used]
    own = mapping.get(schema.METADATA)
    if not extra and own is None:
        return pa.nulls(batch.num_rows, pa.string())
    names = [*extra, *([own] if own in batch.schema.names else [])]
    columns = [_plain_values(batch.column(name)) for name in names]
    rows = [
        dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)
    ]
    # What an origin says stands in the claims; other values stay.
    for row in np.flatnonzero(origins) if rows else ():
        rows[row].pop(mapping[schema.ORIGIN], None)
    taken = [
        path for name, path in paths.items() if name not in (*_STAYING, schema.METADATA)
    ]
    merged = [_merge_metadata(row, taken, own) for row in rows]
    return pa.array(merged, pa.string())


def _holds_booleans(batch: pa.RecordBatch, name: str) -> bool:
    at = batch.schema.get_field_index(name)
    return at >= 0 and pa.types.is_boolean(batch.schema.field(at).type)


def _merge_metadata(
    row: dict[str, Any], taken: Sequence[str], own: str | None
) -> str | None:
    """Returns the metadata of a row, None where it is nested too deep."""
    for path in taken:
        take(row, path)
    given = None
    if own is not None:
        given = row.pop(own) if own in row else take(row, own)
    try:
        return merge_metadata(given, row)
    except orjson.JSONEncodeError:
        return None
