"""Records of Python as rows of the one schema, none of them lost.

One that cannot be read keeps its place as a row without text but with an error and a
position, so that the books balance by construction.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import concat_batches
from synthfilter.core.errors import UserError
from synthfilter.inputs import chat
from synthfilter.inputs.evidence import claims_of_record, origin_of_record
from synthfilter.inputs.fields import BESIDE_METADATA
from synthfilter.inputs.paths import look_up, paths_of, take

_ERROR_CHARACTERS = 200

_EMPTY = pa.RecordBatch.from_pylist([], schema=schema.SPOOL)

TEXT_PLACE = schema.SPOOL.get_field_index(schema.TEXT)
ERROR_PLACE = schema.SPOOL.get_field_index(schema.ERROR)
METADATA_PLACE = schema.SPOOL.get_field_index(schema.METADATA)
# Fields that are strings whatever the record holds.
_STRINGS = (schema.ID, schema.SOURCE, schema.CREATED, schema.URL, schema.GENERATOR)

Row = tuple[Any, ...]


def documents_of_records(
    records: Iterable[Mapping[str, Any]], mapping: Mapping[str, str]
) -> pa.RecordBatch:
    """Returns dictionaries as rows of `schema.SPOOL`, in order; none is lost."""
    records = list(records)
    paths = paths_of(mapping, {key for record in records for key in record})
    rows = [
        row_of_record(dict(record), f"line {number}", mapping, paths, None)
        for number, record in enumerate(records, 1)
    ]
    try:
        table = table_of_rows(rows)
    except UnicodeEncodeError:
        rows = [_checked(number, row) for number, row in enumerate(rows, 1)]
        table = table_of_rows(rows)
    return concat_batches(table.to_batches() or [_EMPTY])


def _checked(number: int, row: Row) -> Row:
    """Returns the row, or an error row for one with lone surrogates in its strings."""
    try:
        table_of_rows([row])
    except UnicodeEncodeError as error:
        return error_row(f"invalid Unicode: {error.reason}", f"line {number}")
    return row


def table_of_rows(rows: list[Row]) -> pa.Table:
    """Returns rows as a table of `schema.SPOOL`."""
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema.SPOOL]
    arrays = [
        pa.array(values, field.type)
        for values, field in zip(columns, schema.SPOOL, strict=True)
    ]
    return pa.table(arrays, schema=schema.SPOOL)


def error_row(reason: str, position: str) -> Row:
    """Returns the row of a record that cannot be read."""
    fields = [None] * len(schema.DOCUMENT)
    return (*fields, reason[:_ERROR_CHARACTERS], position)


def row_of_record(
    record: Any,
    position: str,
    mapping: Mapping[str, str],
    paths: Mapping[str, str],
    source: str | None,
) -> Row:
    """Returns a record as a row of the spool, an error row if it has no text.

    Args:
      record: Becomes the row's, or a ValueError that says why there is none.
      position: Where in the file it is.
      mapping: Field to key or path.
      paths: Those of its fields that are within others.
      source: The source of documents that name none.
    """
    if isinstance(record, ValueError):
        return error_row(record.args[0], position)
    try:
        return _document_row(record, mapping, paths, source)
    except (UserError, orjson.JSONEncodeError) as error:
        return error_row(str(error), position)


def _document_row(
    record: dict[Any, Any],
    mapping: Mapping[str, str],
    paths: Mapping[str, str],
    source: str | None,
) -> Row:
    """Returns the record as a row of the spool.

    Raises:
      UserError: the text is not a string.
      orjson.JSONEncodeError: something else is nested too deep.
    """
    beside = _resolve(record, paths) if paths else record
    text_key = mapping.get(schema.TEXT, schema.TEXT)
    text = _text_of(record, text_key, mapping)
    claims = claims_of_record(record, mapping)
    language, category, weight = (
        beside.get(mapping.get(name)) for name in BESIDE_METADATA
    )
    origin = record.get(mapping.get(schema.ORIGIN))
    if origin is not None and origin_of_record(record, mapping):
        # What it says stands in the claims; other values stay with the metadata.
        del record[mapping[schema.ORIGIN]]
    record.pop(text_key)
    strings = [
        value if value is None or type(value) is str else _string(value)
        for value in [record.pop(mapping.get(name), None) for name in _STRINGS]
    ]
    generation = record.pop(mapping.get(schema.SYNTH_GENERATION), None)
    parents = record.pop(mapping.get(schema.PARENT_IDS), None)
    reviewed = record.pop(mapping.get(schema.REVIEWED), None)
    if reviewed is not None and type(reviewed) is not bool:
        # Something else goes by that name: it stays with the metadata.
        record[mapping[schema.REVIEWED]], reviewed = reviewed, None
    metadata = record.pop(mapping.get(schema.METADATA), None)
    return (
        strings[0],
        text,
        strings[1] if schema.SOURCE in mapping else source,
        *strings[2:],
        None if generation is None else _int32(generation),
        [_string(each) for each in parents] if isinstance(parents, list) else None,
        reviewed,
        _string(origin),
        _string(language),
        _string(category),
        _float(weight),
        claims,
        merge_metadata(metadata, record) if metadata or record else None,
        None,
        None,
    )


def _resolve(record: dict[Any, Any], paths: Mapping[str, str]) -> Mapping[Any, Any]:
    """Makes keys of what paths lead to, and takes it out of where it was.

    Returns the record with all of it; what stays in the metadata is only in this.
    """
    looked_at = {
        p: look_up(record, p) for n, p in paths.items() if n in BESIDE_METADATA
    }
    for name, path in paths.items():
        if name not in BESIDE_METADATA:
            record[path] = take(record, path)
    return {**record, **looked_at}


def _text_of(record: dict[Any, Any], key: str, mapping: Mapping[str, str]) -> str:
    """Returns the text of a record, messages rendered.

    Raises:
      UserError: it is neither a string nor messages.
    """
    text = record.get(key)
    if isinstance(text, list) and all(isinstance(each, Mapping) for each in text):
        text = chat.render_messages(text, mapping)
    if not isinstance(text, str):
        kind = "nothing" if text is None else type(text).__name__
        raise UserError(f"{key}: expected a string, got {kind}")
    return text


def _string(value: Any) -> str | None:
    """Returns a value as a string, JSON where it has parts; a string stays as it is."""
    if value is None or isinstance(value, str):
        return value
    said = orjson.dumps(value, default=str)
    # Dates and the like come as JSON strings.
    return orjson.loads(said) if said.startswith(b'"') else said.decode()


def _int32(value: Any) -> int | None:
    """Returns a JSON value as an int32, None for anything else."""
    fits = type(value) is int and -(1 << 31) <= value < 1 << 31
    return value if fits else None


def _float(value: Any) -> float | None:
    """Returns a JSON number, or a string that is one, as a float; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def merge_metadata(metadata: Any, extra: Mapping[str, Any]) -> str | None:
    """Returns one JSON object of a document's metadata and its further columns."""
    if isinstance(metadata, str):
        try:
            metadata = orjson.loads(metadata)
        except orjson.JSONDecodeError:
            metadata = {schema.METADATA: metadata}
    if metadata is not None and not isinstance(metadata, dict):
        metadata = {schema.METADATA: metadata}
    merged = {**(metadata or {}), **extra}
    return orjson.dumps(merged, default=str).decode() if merged else None
