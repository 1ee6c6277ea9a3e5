"""Files of any format, spooled once to Parquet: after that they are blocks like others.

Every record becomes a row. One that cannot be read keeps its place as a row without
text but with an error and a position, so that the books balance by construction.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.batches import set_column
from synthfilter.core.secrets import redact
from synthfilter.inputs.arrow_batches import open_arrow, read_arrow
from synthfilter.inputs.conform import check_text_type, conform_columns
from synthfilter.inputs.csv_rows import as_typed, read_csv
from synthfilter.inputs.evidence import Level, find_levels
from synthfilter.inputs.fields import map_fields
from synthfilter.inputs.formats import ARROW, CSV, JSONL, TSV, WARC, format_of
from synthfilter.inputs.json_lines import read_json_lines
from synthfilter.inputs.paths import Columns, paths_of
from synthfilter.inputs.records import (
    ERROR_PLACE,
    METADATA_PLACE,
    TEXT_PLACE,
    Row,
    error_row,
    row_of_record,
    table_of_rows,
)
from synthfilter.inputs.warc import read_warc

_SAMPLED_RECORDS = 100
_ROW_GROUP_BYTES = 4 << 20
# So many records of a file may be bad, and then as many as are good: a few kilobytes
# can hold millions that are nothing, and each has its row.
_BAD_RECORDS = 100_000

Records = Iterator[tuple[int, Any]]

# What reads each format: an open file, its compression, the longest record.
_READERS: dict[str | None, Callable[[Any, str, int], Records]] = {
    JSONL: read_json_lines,
    CSV: functools.partial(read_csv, kind=CSV),
    TSV: functools.partial(read_csv, kind=TSV),
    WARC: read_warc,
}


def spool_file(
    path: str,
    target: str,
    fields: Mapping[str, str],
    max_bytes: int,
    limit: int | None = None,
) -> float:
    """Writes the records of a file to a Parquet file, in bounded memory.

    Returns which part of the file was read.

    Args:
      path: The file, on any filesystem.
      target: The Parquet file to write, whole or not at all.
      fields: Field to column, from the user.
      max_bytes: A longer record of a text format is an error row.
      limit: Number of records after which to stop; None = all.
    """
    kind, compression = format_of(path)
    if kind == ARROW:
        return _spool_arrow(path, target, fields, limit)
    with storage.open_raw(path) as file:
        records = _READERS[kind](file, compression, max_bytes)
        first = list(itertools.islice(records, _SAMPLED_RECORDS))
        columns = _columns_of(first)
        # Without any, there is nothing to map either.
        mapping = map_fields(columns, fields, path) if columns.names else {}
        make_row = functools.partial(
            row_of_record,
            mapping=mapping,
            paths=paths_of(mapping, columns.names),
            source=file_name(path),
        )
        wanted = itertools.islice(itertools.chain(first, records), limit)
        rows = _rows(wanted, make_row, kind, mapping)
        _write_tables(map(table_of_rows, _grouped(rows)), target)
        read = file.tell()
        file.seek(0, 2)
        return min(1.0, read / max(file.tell(), 1))


def file_name(path: str) -> str:
    """Returns the last part of a path: the source of documents that name none."""
    return redact(path).rsplit("/", 1)[-1]


def spool_error(reason: str, position: str, target: str) -> None:
    """Writes a spool that holds one error row: a file that cannot be read at all."""
    _write_tables([table_of_rows([error_row(reason, position)])], target)


def sample_columns(path: str) -> Columns:
    """Returns the columns of the first records, in order of appearance.

    Raises:
      OSError, pyarrow.ArrowException: the file cannot be read.
    """
    kind, compression = format_of(path)
    with storage.open_raw(path) as file:
        records = _READERS[kind](file, compression, 1 << 27)
        return _columns_of(itertools.islice(records, _SAMPLED_RECORDS))


def _columns_of(found: Iterable[tuple[int, Any]]) -> Columns:
    return Columns.of_records(r for _, r in found if isinstance(r, dict))


def _rows(
    records: Records,
    make_row: Callable[[Any, str], Row],
    kind: str | None,
    mapping: Mapping[str, str],
) -> Iterator[Row]:
    """Yields each record as a row.

    Of a file of which most cannot be read, the last row says that it goes on.
    """
    unit = "record" if kind == WARC else "line"
    left = _BAD_RECORDS
    for number, record in records:
        if kind in (CSV, TSV) and isinstance(record, dict):
            record = as_typed(record, mapping)
        row = make_row(record, f"{unit} {number}")
        yield row
        left += 1 if row[ERROR_PLACE] is None else -1
        if left < 0:
            reason = (
                f"{schema.BROKEN_FILE}more than {_BAD_RECORDS} and half of all records "
                "cannot be read: not read"
            )
            yield error_row(reason, f"{unit} {number + 1} and all after it")
            return


def _grouped(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yields rows in groups of about `_ROW_GROUP_BYTES` of text."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += 64 + len(row[TEXT_PLACE] or "") + len(row[METADATA_PLACE] or "")
        if size >= _ROW_GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _spool_arrow(
    path: str, target: str, fields: Mapping[str, str], limit: int | None
) -> float:
    """Writes an Arrow file or stream to a spool, batch by batch; see `spool_file`."""
    with open_arrow(path) as (reader, _):
        arrow = reader.schema
    mapping = map_fields(Columns.of_schema(arrow), fields, path)
    check_text_type(arrow, mapping, path)
    levels = find_levels(arrow, mapping)
    read = 0.0

    def tables() -> Iterator[pa.Table]:
        nonlocal read
        done = 0
        for found, part in read_arrow(path):
            read = part
            if isinstance(found, ValueError):
                yield table_of_rows([error_row(found.args[0], f"row {done}")])
                done += 1
                continue
            for batch in _pieces(found):
                rows = np.arange(done, done + batch.num_rows)
                yield _spool_table(batch, mapping, rows, levels, path)
                done += batch.num_rows
                if limit is not None and done >= limit:
                    return

    _write_tables(_merged(tables()), target)
    return read or 1.0


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a batch of any size in batches of a few megabytes."""
    rows = max(1, _ROW_GROUP_BYTES * batch.num_rows // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _spool_table(
    batch: pa.RecordBatch,
    mapping: Mapping[str, str],
    rows: np.ndarray,
    levels: Sequence[Level],
    path: str,
) -> pa.Table:
    """Returns a batch of a file as a table of `schema.SPOOL`."""
    found = conform_columns(batch, mapping, schema.DOCUMENT.names, rows, levels)
    if schema.SOURCE not in mapping:
        name = pa.repeat(pa.scalar(file_name(path)), batch.num_rows)
        found = set_column(found, schema.SOURCE, name)
    return pa.Table.from_batches([found]).select(schema.SPOOL.names).cast(schema.SPOOL)


def _merged(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yields tables of about `_ROW_GROUP_BYTES`, small ones together."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(each.nbytes for each in held) >= _ROW_GROUP_BYTES:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _write_tables(tables: Iterable[pa.Table], target: str) -> None:
    with (
        storage.staged(target) as draft,
        pq.ParquetWriter(
            draft, schema.SPOOL, compression="lz4", use_dictionary=False
        ) as writer,
    ):
        for table in tables:
            writer.write_table(table, row_group_size=table.num_rows)
