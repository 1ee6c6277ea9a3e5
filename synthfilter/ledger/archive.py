"""What a ledger knows of the human archive: its files as the last build had them."""

import dataclasses
import datetime
from collections.abc import Iterable

import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.archive import ArchiveFile
from synthfilter.core.uses import TIME
from synthfilter.ledger.side_table import Change, SideTable

_FILES = SideTable(
    "_archive",
    "files of the archive",
    pa.schema(
        [
            ("name", pa.string()),
            ("digest", pa.string()),
            ("documents", pa.int64()),
            ("bytes", pa.int64()),
            ("words", pa.int64()),
            (schema.BUILD_ID, pa.string()),
            (TIME, pa.timestamp("us", "UTC")),
        ]
    ),
)
_OF_A_FILE = [field.name for field in dataclasses.fields(ArchiveFile)]


def read_archive(path: str) -> list[ArchiveFile]:
    """Returns the files of the archive that a ledger knows, none if it knows of none.

    Raises:
      UserError: the path is no ledger, or cannot be read.
    """
    rows = _FILES.read(path).select(_OF_A_FILE).sort_by("name").to_pylist()
    return [ArchiveFile(**row) for row in rows]


def commit_archive(
    path: str,
    files: Iterable[ArchiveFile],
    build_id: str,
    time: datetime.datetime,
) -> bool:
    """Makes these the files of the archive that a ledger knows; returns whether anew.

    Nothing is written where the ledger knows the same contents already.

    Args:
      path: The ledger.
      files: All files of the archive.
      build_id: The build that has them.
      time: When it was, with its time zone.

    Raises:
      UserError: the path holds something else, or cannot be written.
    """
    rows = [
        {**dataclasses.asdict(file), schema.BUILD_ID: build_id, TIME: time}
        for file in sorted(files, key=lambda file: file.name)
    ]
    made = pa.Table.from_pylist(rows, schema=_FILES.columns)
    digests = sorted(made.column("digest").to_pylist())

    def decide(known: pa.Table) -> Change | None:
        same = sorted(known.column("digest").to_pylist()) == digests
        return None if same else Change(made, "overwrite")

    return _FILES.change(path, decide) > 0
