"""What a build used, added to a ledger: sorted, written, then committed as a whole.

Until the commit no reader looks at the files. A process that dies before it leaves
files that vacuuming the table removes; running again writes them anew.
"""

import contextlib
import dataclasses
import datetime
import itertools
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.batches import concat_batches
from synthfilter.core.errors import UserError
from synthfilter.core.uses import SIGNATURE, TIME, USE, hash_halves
from synthfilter.ledger.table import (
    change_build,
    check_build_id,
    create_ledger,
    deltalake,
    files_of_build,
    first_line,
    load_table,
    table_address,
)

# What `commit_use` takes, and what is in the files.
GIVEN = pa.schema([f for f in USE if f.name not in (schema.BUILD_ID, TIME)])
_STORED = pa.schema([field for field in USE if field.name != schema.BUILD_ID])

# So few that a small range of hashes is read without much around it.
_GROUP_ROWS = 1 << 14
_FILE_ROWS = 1 << 20
_RUN_BYTES = 32 << 20
# Sorting is by the first byte of the hash on the disk, then in memory.
_PARTS = 256
_REPEATED = [schema.ORIGIN, schema.ORIGIN_EVIDENCE]
_REPEATED += [schema.GENERATOR, schema.SOURCE, TIME]
_COMPRESSION = {name: "zstd" for name in _STORED.names} | {SIGNATURE: "none"}


def commit_use(
    path: str,
    build_id: str,
    batches: Iterable[pa.RecordBatch],
    time: datetime.datetime,
) -> bool:
    """Adds what a build used to a ledger, all in one commit; returns whether it did.

    A build that the ledger has already adds nothing, however often and by however many
    processes it is committed. The ledger is made if there is none. Memory does not
    grow with the rows, the temporary folder needs room for them once.

    Args:
      path: The ledger.
      build_id: The build.
      batches: Rows of `GIVEN`, in any order; columns that may be null may be missing.
      time: When the build was, with its time zone.

    Raises:
      UserError: the path is no ledger, or cannot be written.
      ValueError: the time has no zone, or a row is not as it should be.
    """
    check_build_id(build_id)
    if time.tzinfo is None:
        raise ValueError(f"the time of a build must have a time zone, got {time}")
    create_ledger(path)
    if files_of_build(path, load_table(path), build_id):
        return False
    written = _write_rows(path, build_id, batches, time)
    if not written:
        return False
    actions = [_add_action(file, build_id, time) for file in written]

    def add(table: Any, once: Any) -> None:
        table.create_write_transaction(
            actions, "append", table.schema(), [schema.BUILD_ID], commit_properties=once
        )

    if change_build(path, build_id, True, add):
        return True
    # Somebody else has committed the build; or this very commit was reported as failed
    # and had gone through.
    own = {_full_path(path, file) for file in written}
    kept = {file.path for file in files_of_build(path, load_table(path), build_id)}
    storage.delete(sorted(own - kept))
    return bool(own & kept)


@dataclasses.dataclass(frozen=True)
class _Written:
    """A data file: its path within the ledger, rows, bytes and range of hashes."""

    name: str
    rows: int
    bytes: int
    first: str
    last: str


class _SortedRows:
    """Sorts rows of `_STORED` by content hash; what does not fit waits on the disk.

    Args:
      folder: For runs, files of rows that are sorted among themselves.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: list[Path] = []
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows in."""
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes >= _RUN_BYTES:
            self._write_run()

    def groups(self) -> Iterator[pa.RecordBatch]:
        """Yields all rows by hash, in row groups; ends the taking in."""
        self._write_run()
        with contextlib.ExitStack() as stack:
            runs = [
                stack.enter_context(pa.ipc.open_file(stack.enter_context(pa.OSFile(r))))
                for r in map(str, self._runs)
            ]
            waiting: list[pa.RecordBatch] = []
            for part in range(_PARTS if runs else 0):
                batch = concat_batches(run.get_batch(part) for run in runs)
                waiting.append(_sort_rows(batch)[0])
                if sum(batch.num_rows for batch in waiting) < _GROUP_ROWS:
                    continue
                rows = concat_batches(waiting)
                whole = rows.num_rows // _GROUP_ROWS * _GROUP_ROWS
                for start in range(0, whole, _GROUP_ROWS):
                    yield rows.slice(start, _GROUP_ROWS)
                waiting = [rows.slice(whole)]
            if any(batch.num_rows for batch in waiting):
                yield concat_batches(waiting)

    def _write_run(self) -> None:
        """Writes what is held as one run, a batch for each first byte of the hash."""
        if not self._held:
            return
        rows, hi = _sort_rows(concat_batches(self._held))
        self._held, self._held_bytes = [], 0
        borders = np.arange(_PARTS, dtype=np.uint64) << np.uint64(56)
        bounds = [*np.searchsorted(hi, borders).tolist(), len(hi)]
        run = self._folder / f"{len(self._runs)}.arrow"
        with pa.OSFile(str(run), "wb") as sink, pa.ipc.new_file(sink, _STORED) as out:
            for start, stop in itertools.pairwise(bounds):
                out.write_batch(rows.slice(start, stop - start))
        self._runs.append(run)


def _sort_rows(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns the rows by content hash, and its upper halves in that order."""
    hi, lo = hash_halves(batch.column(schema.CONTENT_HASH))
    order = np.lexsort([lo, hi])
    return batch.take(pa.array(order)), hi[order]


def _complete(batch: pa.RecordBatch, time: datetime.datetime) -> pa.RecordBatch:
    """Returns rows of `GIVEN` as they are stored.

    Raises:
      ValueError: a column that must not be null is missing or null somewhere.
    """
    columns = []
    for field in _STORED:
        if field.name == TIME:
            column = pa.repeat(pa.scalar(time, field.type), batch.num_rows)
        elif field.name in batch.schema.names:
            column = batch.column(field.name).cast(field.type)
        else:
            column = pa.nulls(batch.num_rows, field.type)
        if column.null_count and not field.nullable:
            raise ValueError(f"{field.name} must not be null in a row of a ledger")
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=_STORED)


def _write_rows(
    path: str,
    build_id: str,
    batches: Iterable[pa.RecordBatch],
    time: datetime.datetime,
) -> list[_Written]:
    """Writes all rows to files that no commit names yet, sorted.

    Raises:
      UserError: the files cannot be written; then there are none.
    """
    written: list[_Written] = []
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as folder:
        rows = _SortedRows(Path(folder))
        for batch in batches:
            with _tell_failure(path):
                rows.add(_complete(batch, time))
        try:
            with _tell_failure(path):
                _write_files(path, build_id, rows.groups(), written)
        except BaseException:
            storage.delete([_full_path(path, file) for file in written])
            raise
    return written


@contextlib.contextmanager
def _tell_failure(path: str) -> Iterator[None]:
    """Turns what goes wrong while writing into a line for the user."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"ledger {path!r} cannot be written: {first_line(error)}"
        ) from error


def _write_files(
    path: str,
    build_id: str,
    groups: Iterator[pa.RecordBatch],
    written: list[_Written],
) -> None:
    """Writes row groups to files of a bounded size, each added to `written`."""
    # Unlike any other file's: what a commit names is never overwritten.
    token = uuid.uuid4().hex
    group = next(groups, None)
    while group is not None:
        file = f"part-{len(written):05d}-{token}.parquet"
        name = f"{schema.BUILD_ID}={build_id}/{file}"
        first, rows = group.column(schema.CONTENT_HASH)[0].as_py(), 0
        with storage.staged(storage.join(table_address(path), name)) as draft:
            with _open_writer(draft) as writer:
                while group is not None and rows < _FILE_ROWS:
                    writer.write_batch(group)
                    rows += group.num_rows
                    last = group.column(schema.CONTENT_HASH)[-1].as_py()
                    group = next(groups, None)
            size = draft.stat().st_size
        written.append(_Written(name, rows, size, first, last))


def _open_writer(path: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        _STORED,
        compression=_COMPRESSION,
        use_dictionary=_REPEATED,
        write_statistics=[name for name in _STORED.names if name != SIGNATURE],
        write_page_checksum=True,
    )


def _add_action(file: _Written, build_id: str, time: datetime.datetime) -> Any:
    """Returns the log's entry for a file, with what readers need to pass it over."""
    stats = {
        "numRecords": file.rows,
        "minValues": {schema.CONTENT_HASH: file.first},
        "maxValues": {schema.CONTENT_HASH: file.last},
        "nullCount": {schema.CONTENT_HASH: 0},
    }
    return deltalake().transaction.AddAction(
        path=file.name,
        size=file.bytes,
        partition_values={schema.BUILD_ID: build_id},
        modification_time=int(time.timestamp() * 1000),
        data_change=True,
        stats=orjson.dumps(stats).decode(),
    )


def _full_path(path: str, file: _Written) -> str:
    return storage.join(table_address(path), file.name)
