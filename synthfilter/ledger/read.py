"""Rows of a ledger as a stream: some columns, some range of hashes, one version."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.uses import USE
from synthfilter.ledger.table import (
    DataFile,
    Ledger,
    first_line,
    list_data_files,
    load_table,
    table_address,
)

_BATCH_ROWS = 1 << 16


def read_uses(
    ledger: Ledger,
    columns: Sequence[str],
    hashes: tuple[str, str] | None = None,
    without_build: str | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yields rows of a ledger as it was at its version; memory is a few batches.

    Within a file as synthfilter writes it rows come by hash, so that of a range of
    hashes little more than the range is read.

    Args:
      ledger: What `open_ledger` returned.
      columns: Names of `core.uses.USE`.
      hashes: The first and the last content hash wanted; None = all of them.
      without_build: A build whose own rows do not count.

    Raises:
      UserError: the ledger cannot be read.
    """
    where = table_address(ledger.path)
    table = load_table(ledger.path, ledger.version)
    for file in list_data_files(where, table):
        if file.build_id != without_build:
            yield from _read_file(file, columns, hashes)


def _read_file(
    file: DataFile, columns: Sequence[str], hashes: tuple[str, str] | None
) -> Iterator[pa.RecordBatch]:
    """Yields the rows of one file."""
    wanted = pa.schema([USE.field(name) for name in columns])
    stored = [name for name in columns if name != schema.BUILD_ID]
    if hashes and schema.CONTENT_HASH not in stored:
        stored.append(schema.CONTENT_HASH)
    read = 0
    try:
        with storage.open_parquet(file.path) as opened:
            groups = _groups_in(opened.metadata, hashes)
            expected = opened.metadata.num_rows
            if expected != file.rows:
                raise OSError(f"{file.rows:,} rows expected, {expected:,} found")
            for batch in opened.iter_batches(
                batch_size=_BATCH_ROWS,
                row_groups=groups,
                columns=stored,
                use_threads=False,
            ):
                read += batch.num_rows
                if hashes:
                    batch = _within(batch, *hashes)
                if batch.num_rows:
                    yield _conform(batch, wanted, file.build_id)
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"ledger file {file.path!r} cannot be read ({first_line(error)}); restore "
            f"it from a copy, or run synthfilter ledger forget --build {file.build_id} "
            "and that build again"
        ) from error


def _groups_in(metadata: pq.FileMetaData, hashes: tuple[str, str] | None) -> list[int]:
    """Returns the row groups that may have hashes of the range."""
    groups = range(metadata.num_row_groups)
    if hashes is None:
        return list(groups)
    names = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    at = names.index(schema.CONTENT_HASH)
    found = []
    for number in groups:
        bounds = metadata.row_group(number).column(at).statistics
        known = bounds is not None and bounds.has_min_max
        if not known or (bounds.min <= hashes[1] and bounds.max >= hashes[0]):
            found.append(number)
    return found


def _within(batch: pa.RecordBatch, first: str, last: str) -> pa.RecordBatch:
    """Returns the rows with hashes from the first to the last."""
    found = batch.column(schema.CONTENT_HASH)
    inside = pc.and_(pc.greater_equal(found, first), pc.less_equal(found, last))
    return batch.filter(inside)


def _conform(batch: pa.RecordBatch, wanted: pa.Schema, build_id: str) -> pa.RecordBatch:
    """Returns the batch with exactly the wanted columns; what it lacks is null."""
    rows = batch.num_rows
    columns = []
    for field in wanted:
        if field.name == schema.BUILD_ID:
            column = pa.repeat(pa.scalar(build_id), rows)
        elif field.name in batch.schema.names:
            column = batch.column(field.name).cast(field.type)
        else:
            column = pa.nulls(rows, field.type)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=wanted)
