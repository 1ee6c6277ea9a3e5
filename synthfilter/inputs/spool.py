"""JSON lines, spooled once to Parquet: after that they are blocks like any other.

Every record becomes a row. One that cannot be read keeps its place as a row without
text but with an error and a position, so that the books balance by construction.
"""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.batches import concat_batches
from synthfilter.core.errors import UserError
from synthfilter.core.secrets import redact
from synthfilter.inputs.evidence import claims_of_record, origin_of_record
from synthfilter.inputs.fields import BESIDE_METADATA, map_fields
from synthfilter.inputs.formats import CorruptInputError, lines, plain_chunks

_SAMPLED_RECORDS = 100
_ROW_GROUP_BYTES = 4 << 20
_ERROR_CHARACTERS = 200
# So many records of a file may be bad, and then as many as are good: a few kilobytes
# can hold millions that are nothing, and each has its row.
_BAD_RECORDS = 100_000
# Some editors put it before the first line of a UTF-8 file.
_MARK = b"\xef\xbb\xbf"

# Every key of an object ends like this, and little else in a line does.
_find_keys = re.compile(rb'"[ \t\r]*:').findall

_EMPTY = pa.RecordBatch.from_pylist([], schema=schema.SPOOL)

_TEXT = schema.SPOOL.get_field_index(schema.TEXT)
_ERROR = schema.SPOOL.get_field_index(schema.ERROR)
_METADATA = schema.SPOOL.get_field_index(schema.METADATA)
# Fields that are strings whatever the record holds.
_STRINGS = (schema.ID, schema.SOURCE, schema.CREATED, schema.URL, schema.GENERATOR)

Row = tuple[Any, ...]


def spool_json_lines(
    path: str,
    compression: str,
    target: str,
    fields: Mapping[str, str],
    max_bytes: int,
    limit: int | None = None,
) -> int:
    """Writes the records of a JSON lines file to a Parquet file, in bounded memory.

    Returns the number of bytes of the file that were read.

    Args:
      path: The file, on any filesystem.
      compression: ".gz", ".zst" or "".
      target: The Parquet file to write, whole or not at all.
      fields: Field to key, from the user.
      max_bytes: A longer line is an error row.
      limit: Number of records after which to stop; None = all.
    """
    with storage.open_raw(path) as file:
        records = _number(lines(plain_chunks(file, compression), max_bytes))
        first: list[tuple[int, Any]] = []
        rest = _keep_sample(records, first)
        mapping = _mapping_of(first, fields, path)
        wanted = itertools.islice(itertools.chain(first, rest), limit)
        _write_rows(_grouped(wanted, mapping, file_name(path)), target)
        return file.tell()


def documents_of_records(
    records: Iterable[Mapping[str, Any]], mapping: Mapping[str, str]
) -> pa.RecordBatch:
    """Returns dictionaries as rows of `schema.SPOOL`, in order; none is lost."""
    numbered = enumerate(records, 1)
    rows = [_row(number, dict(record), mapping, None) for number, record in numbered]
    try:
        table = _table(rows)
    except UnicodeEncodeError:
        table = _table([_checked(number, row) for number, row in enumerate(rows, 1)])
    return concat_batches(table.to_batches() or [_EMPTY])


def _checked(number: int, row: Row) -> Row:
    """Returns the row, or an error row for one with lone surrogates in its strings."""
    try:
        _table([row])
    except UnicodeEncodeError as error:
        return _error_row(f"invalid Unicode: {error.reason}", f"line {number}")
    return row


def file_name(path: str) -> str:
    """Returns the last part of a path: the source of documents that name none."""
    return redact(path).rsplit("/", 1)[-1]


def spool_error(reason: str, position: str, target: str) -> None:
    """Writes a spool that holds one error row: a file that cannot be read at all."""
    _write_rows([[_error_row(reason, position)]], target)


def sample_keys(path: str, compression: str) -> list[str]:
    """Returns the keys of the first records, in order of appearance."""
    first: list[tuple[int, Any]] = []
    with storage.open_raw(path) as file:
        _keep_sample(_number(lines(plain_chunks(file, compression), 1 << 27)), first)
    return _keys_of(first)


def _number(found: Iterable[bytes | int]) -> Iterator[tuple[int, Any]]:
    """Yields `(line number, object or ValueError)` for each line that is not blank."""
    number = 0
    try:
        for number, line in enumerate(found, 1):
            if isinstance(line, int):
                yield number, ValueError(f"a line of {line} bytes is too long")
            elif line.strip():
                yield number, _parse(line.removeprefix(_MARK) if number == 1 else line)
    except CorruptInputError as error:
        yield number + 1, ValueError(f"{schema.BROKEN_FILE}{error}")


def _parse(line: bytes) -> Any:
    """Returns the JSON object, or a ValueError that says what it is instead."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return ValueError(f"invalid JSON: {error}")
    if not isinstance(record, dict):
        return ValueError(f"expected a JSON object, got {type(record).__name__}")
    if len(found := _find_keys(line)) != len(record) and len(found) != _keys(record):
        return _without_doubles(line, record)
    return record


def _keys(value: Any) -> int:
    """Returns how many keys all objects within a JSON value have."""
    inner = value
    count = 0
    if type(value) is dict:
        inner, count = value.values(), len(value)
    return count + sum(_keys(part) for part in inner if type(part) in (dict, list))


def _without_doubles(line: bytes, record: dict[str, Any]) -> Any:
    """Returns the record, or a ValueError if a key comes twice in one object.

    The fast reader keeps the last of two without a word.
    """
    try:
        json.loads(line, object_pairs_hook=_check_keys)
    except _DoubleKeyError as error:
        return ValueError(f"the key {str(error)[:60]!r} comes twice")
    except RecursionError:
        return ValueError("invalid JSON: nested too deep")
    return record


class _DoubleKeyError(Exception):
    """A key that an object has twice."""


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raises _DoubleKeyError if a key comes twice."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise _DoubleKeyError(key)
        seen.add(key)


def _keep_sample(
    records: Iterator[tuple[int, Any]], kept: list[tuple[int, Any]]
) -> Iterator[tuple[int, Any]]:
    """Moves the first records to `kept` and returns the rest."""
    kept.extend(itertools.islice(records, _SAMPLED_RECORDS))
    return records


def _keys_of(first: Iterable[tuple[int, Any]]) -> list[str]:
    seen: dict[str, None] = {}
    for _, record in first:
        if isinstance(record, dict):
            seen.update(dict.fromkeys(record))
    return list(seen)


def _mapping_of(
    first: Iterable[tuple[int, Any]], fields: Mapping[str, str], path: str
) -> dict[str, str]:
    """Maps the fields by the keys of the first records; without any, nothing."""
    keys = _keys_of(first)
    return map_fields(keys, fields, path) if keys else {}


def _grouped(
    records: Iterable[tuple[int, Any]], mapping: Mapping[str, str], source: str
) -> Iterator[list[Row]]:
    """Yields rows in groups of about `_ROW_GROUP_BYTES` of text.

    Of a file of which most cannot be read, the last row says that it goes on.
    """
    rows: list[Row] = []
    size = 0
    left = _BAD_RECORDS
    for number, record in records:
        row = _row(number, record, mapping, source)
        rows.append(row)
        left += 1 if row[_ERROR] is None else -1
        if left < 0:
            reason = (
                f"{schema.BROKEN_FILE}more than {_BAD_RECORDS} and half of all records "
                "cannot be read: not read"
            )
            rows.append(_error_row(reason, f"line {number + 1} and all after it"))
            break
        size += 64 + len(row[_TEXT] or "") + len(row[_METADATA] or "")
        if size >= _ROW_GROUP_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _write_rows(groups: Iterable[list[Row]], target: str) -> None:
    with (
        storage.staged(target) as draft,
        pq.ParquetWriter(
            draft, schema.SPOOL, compression="lz4", use_dictionary=False
        ) as writer,
    ):
        for rows in groups:
            writer.write_table(_table(rows), row_group_size=len(rows))


def _table(rows: list[Row]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in schema.SPOOL]
    arrays = [
        pa.array(values, field.type)
        for values, field in zip(columns, schema.SPOOL, strict=True)
    ]
    return pa.table(arrays, schema=schema.SPOOL)


def _error_row(reason: str, position: str) -> Row:
    fields = [None] * len(schema.DOCUMENT)
    return (*fields, reason[:_ERROR_CHARACTERS], position)


def _row(
    number: int, record: Any, mapping: Mapping[str, str], source: str | None
) -> Row:
    """Returns the record as a row of the spool, an error row if it has no text."""
    if isinstance(record, ValueError):
        return _error_row(record.args[0], f"line {number}")
    try:
        return _document_row(record, mapping, source)
    except (UserError, orjson.JSONEncodeError) as error:
        return _error_row(str(error), f"line {number}")


def _document_row(
    record: dict[Any, Any], mapping: Mapping[str, str], source: str | None
) -> Row:
    """Returns the record as a row of the spool.

    Raises:
      UserError: the text is not a string.
      orjson.JSONEncodeError: something else is nested too deep.
    """
    text_key = mapping.get(schema.TEXT, schema.TEXT)
    text = record.get(text_key)
    if not isinstance(text, str):
        kind = "nothing" if text is None else type(text).__name__
        raise UserError(f"{text_key}: expected a string, got {kind}")
    claims = claims_of_record(record, mapping)
    language, category, weight = (
        record.get(mapping.get(name)) for name in BESIDE_METADATA
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
