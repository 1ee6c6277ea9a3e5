"""The ledger as a Delta table: opened and checked, created, changed one build a commit.

Rows are partitioned by build: what a build added is found, and taken away again, by the
table's log alone.
"""

import dataclasses
import importlib
import os
import re
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.uses import ADDED, USE

FORMAT_VERSION = 1
VERSION_PROPERTY = "synthfilter.ledger_version"
_PROPERTIES = {
    VERSION_PROPERTY: str(FORMAT_VERSION),
    # A build that is run again sees the ledger as it was, however long ago. Delta would
    # delete the log of what is older than 30 days.
    "delta.enableExpiredLogCleanup": "false",
}
INSTALL = "pip install 'synthfilter[ledger]'"

_LOG = "_delta_log"
# What a table may ask of its readers and read_uses does, or need not know.
_READER_FEATURES = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_ATTEMPTS = 100
_BUILD_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")


@dataclasses.dataclass(frozen=True)
class Ledger:
    """A ledger as it was at one moment; what is added later is not in it.

    Attributes:
      path: Its folder.
      version: Of the Delta table; goes up with each change.
    """

    path: str
    version: int


@dataclasses.dataclass(frozen=True)
class DataFile:
    """A Parquet file of the table, all of one build."""

    path: str
    build_id: str
    rows: int
    bytes: int


def open_ledger(path: str, version: int | None = None) -> Ledger | None:
    """Returns the ledger in a folder, or None where there is nothing yet.

    Args:
      path: The folder, on any filesystem.
      version: Of the table; without it, what it is now.

    Raises:
      UserError: there is something that is not a ledger, that is damaged or that a
        newer synthfilter wrote; or deltalake is not installed.
    """
    deltalake()
    if not _has_log(path):
        return None
    return Ledger(path, load_table(path, version).version())


def load_table(path: str, version: int | None = None) -> Any:
    """Returns the `DeltaTable` of a ledger that is there, checked.

    Raises:
      UserError: see `open_ledger`.
    """
    lake = deltalake()
    _check_log_is_whole(path)
    try:
        table = lake.DeltaTable(
            table_address(path), version=version, storage_options=storage_options(path)
        )
    except (lake.exceptions.DeltaError, OSError, ValueError) as error:
        raise UserError(
            f"ledger {path!r}: its {_LOG} cannot be read ({first_line(error)}); "
            "restore the folder from a copy, or name a new ledger"
        ) from error
    _check_table(path, table)
    return table


def create_ledger(path: str) -> None:
    """Makes an empty ledger; one that is there already, also since a moment, stays.

    Raises:
      UserError: see `open_ledger`; or the folder cannot be written.
    """
    lake = deltalake()
    if _has_log(path):
        load_table(path)
        return
    try:
        lake.DeltaTable.create(
            table_address(path),
            USE,
            partition_by=[schema.BUILD_ID],
            name="synthfilter ledger",
            description="One row for each document that a build used.",
            configuration=_PROPERTIES,
            storage_options=storage_options(path),
            raise_if_key_not_exists=False,
        )
    except (lake.exceptions.DeltaError, OSError) as error:
        if _has_log(path):
            load_table(path)
            return
        raise UserError(
            f"ledger {path!r} cannot be written: {first_line(error)}"
        ) from error


def list_data_files(path: str, table: Any) -> list[DataFile]:
    """Returns the files that hold the rows of the table, by build, then by name."""
    where = table_address(path)
    found = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    files = []
    for entry in found:
        file = storage.join(where, entry["path"])
        rows = entry["num_records"]
        if rows is None:
            with storage.open_parquet(file) as opened:
                rows = opened.metadata.num_rows
        build_id = entry[f"partition.{schema.BUILD_ID}"]
        files.append(DataFile(file, build_id, rows, entry["size_bytes"]))
    return sorted(files, key=lambda file: (file.build_id, file.path))


def files_of_build(path: str, table: Any, build_id: str) -> list[DataFile]:
    """Returns the files that hold the rows of one build."""
    return [file for file in list_data_files(path, table) if file.build_id == build_id]


def forget_build(path: str, build_id: str) -> int:
    """Removes the rows of a build and returns their number; 0 if there are none.

    The same build may be committed again. Older versions of the table keep the rows
    until it is vacuumed.

    Raises:
      UserError: there is no ledger, or it cannot be changed.
    """
    check_build_id(build_id)
    if open_ledger(path) is None:
        raise UserError(f"no ledger at {path!r}; a build makes one with --ledger")
    removed = 0

    def remove(table: Any, once: Any) -> None:
        nonlocal removed
        removed = sum(file.rows for file in files_of_build(path, table, build_id))
        table.delete(f"{schema.BUILD_ID} = '{build_id}'", commit_properties=once)

    return removed if change_build(path, build_id, False, remove) else 0


def change_build(
    path: str, build_id: str, present: bool, change: Callable[[Any, Any], None]
) -> bool:
    """Adds or removes the rows of a build in one commit; returns whether it did.

    Nothing is done if the build is already as it is to be. When somebody else commits
    first, both are looked at anew, so that of several that do the same only one does.

    Args:
      path: The ledger.
      build_id: The build.
      present: Whether it has rows afterwards.
      change: Gets the `DeltaTable` and the properties that its one commit must have.

    Raises:
      UserError: the table cannot be changed.
    """
    lake = deltalake()
    for attempt in range(_ATTEMPTS):
        table = load_table(path)
        if bool(files_of_build(path, table, build_id)) == present:
            return False
        # Counts a build's changes, so that it goes up when a forgotten one returns.
        number = (table.transaction_version(build_id) or 0) + 1
        once = lake.CommitProperties(
            app_transactions=[lake.Transaction(build_id, number)], max_commit_retries=0
        )
        try:
            change(table, once)
            return True
        except (lake.exceptions.DeltaError, OSError) as error:
            if load_table(path).version() == table.version():
                raise UserError(
                    f"ledger {path!r} cannot be written: {first_line(error)}"
                ) from error
        time.sleep(min(0.01 * 2**attempt, 1.0))
    raise UserError(
        f"ledger {path!r}: others committed first {_ATTEMPTS} times; run it again"
    )


def check_build_id(build_id: str) -> None:
    """Raises UserError unless the id can be the name of a folder and nothing else."""
    if not _BUILD_ID.fullmatch(build_id):
        raise UserError(
            "a build id is letters, digits, dots, dashes and underscores, such as in "
            f"a manifest's build_id; got {build_id!r}"
        )


def deltalake() -> Any:
    """Returns the deltalake package; nothing else imports it.

    Raises:
      UserError: it is not installed.
    """
    try:
        return importlib.import_module("deltalake")
    except ImportError as error:
        raise UserError(
            f"a ledger needs a package that is not installed: {INSTALL}"
        ) from error


def table_address(path: str) -> str:
    """Returns a ledger's folder as deltalake wants it."""
    if storage.is_local(path):
        return os.path.abspath(os.path.expanduser(path))
    return path.rstrip("/")


def storage_options(path: str) -> dict[str, str]:
    """Returns what deltalake must be told; the rest it reads from the environment."""
    endpoints = (os.environ.get(f"AWS_ENDPOINT_URL{kind}", "") for kind in ("_S3", ""))
    plain = next(filter(None, endpoints), "").startswith("http://")
    return {"allow_http": "true"} if plain and path.startswith("s3") else {}


def first_line(error: BaseException) -> str:
    """Returns what an error says, in one short line without colours."""
    said = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip() or type(error).__name__
    return said.splitlines()[0].strip()[:200]


def _has_log(path: str) -> bool:
    """Returns whether there is a table; False where there is nothing.

    Raises:
      UserError: there is something else.
    """
    where = table_address(path)
    log = storage.join(where, _LOG)
    try:
        if storage.is_local(path) and os.path.lexists(where):
            os.listdir(where)
        names = storage.list_below(log)
        if any(name.endswith((".json", ".parquet")) for name in names):
            return True
        names = storage.list_below(where)
    except OSError as error:
        raise UserError(
            f"ledger {path!r} must be a folder that can be read: {first_line(error)}"
        ) from error
    # Tables beside this one have such names, and may be there before it.
    data = [name for name in names if not name.startswith(where.rstrip("/") + "/_")]
    if any(name.endswith(".parquet") for name in data):
        raise UserError(
            f"ledger {path!r} has Parquet files and no {_LOG}, so it is half a table; "
            "restore the folder from a copy, or name a new ledger"
        )
    if data:
        raise UserError(
            f"ledger {path!r} is not a ledger: expected a Delta table or an empty "
            f"folder, found {data[0][len(where) :].lstrip('/')!r}; name another folder"
        )
    return False


def _check_log_is_whole(path: str) -> None:
    """Raises UserError for an empty file in the log, which Delta readers pass over.

    A commit that was on its way to the disk when the power failed may end as one.
    """
    log = storage.join(table_address(path), _LOG)
    if not storage.is_local(path) or not os.path.isdir(log):
        return
    for entry in sorted(os.scandir(log), key=lambda entry: entry.name):
        if entry.name.endswith(".json") and not entry.stat().st_size:
            raise UserError(
                f"ledger {path!r}: {_LOG}/{entry.name} is empty, so rows may be "
                "missing; restore it from a copy, or delete it if it is the last one "
                "and run the build of that time again"
            )


def _check_table(path: str, table: Any) -> None:
    """Raises UserError unless the table is a ledger that this version can use."""
    said = table.metadata().configuration.get(VERSION_PROPERTY)
    if said is None:
        raise UserError(
            f"ledger {path!r} is a Delta table, but not a ledger: it has no property "
            f"{VERSION_PROPERTY}; name another folder"
        )
    if said != str(FORMAT_VERSION):
        raise UserError(
            f"ledger {path!r} is of version {said}, expected {FORMAT_VERSION}; use the "
            "synthfilter that wrote it, or a newer one"
        )
    found = set(pa.schema(table.schema().to_arrow()).names)
    wanted = [name for name in USE.names if name not in ADDED]
    missing = [name for name in wanted if name not in found]
    partitions = table.metadata().partition_columns
    if missing or partitions != [schema.BUILD_ID]:
        raise UserError(
            f"ledger {path!r} was changed: it lacks {', '.join(missing) or 'nothing'}, "
            f"expected to be partitioned by {schema.BUILD_ID}, is by "
            f"{', '.join(partitions) or 'nothing'}; restore it from a copy"
        )
    protocol = table.protocol()
    asked = set(protocol.reader_features or ())
    if protocol.min_reader_version == 2 or asked - _READER_FEATURES:
        needs = ", ".join(sorted(asked - _READER_FEATURES)) or "column mapping"
        raise UserError(
            f"ledger {path!r} was changed by another program and now needs {needs}, "
            "which synthfilter does not read; copy its rows to a new table without it"
        )
