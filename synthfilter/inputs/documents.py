"""Documents of a block under their one schema, whatever the input calls them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.batches import set_column
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.conform import conform_columns
from synthfilter.inputs.evidence import Level, claim_columns, find_levels
from synthfilter.inputs.paths import ITEMS, column_of, split_path
from synthfilter.inputs.spool import file_name

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
    known = file.schema_arrow.names
    names = [
        _column_to_read(found, known)
        for name, found in block.mapping.items()
        if name in columns
    ]
    if block.spooled:
        names += [schema.ERROR, schema.POSITION]
    elif schema.METADATA in columns:
        text = block.mapping[schema.TEXT]
        names = [name for name in known if name != text or schema.TEXT in columns]
    elif schema.CLAIMS in columns:
        levels = find_levels(file.schema_arrow, block.mapping)
        names += claim_columns(levels, block.mapping, known)
    return raw_batches(file, block, names)


def _column_to_read(path: str, known: Sequence[str]) -> str:
    """Returns what of a Parquet file a path needs: a part of a struct, or a column."""
    column = column_of(path, known)
    return path if ITEMS not in split_path(path) else column


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
