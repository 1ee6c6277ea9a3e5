"""Tables beside the uses: small Delta tables in folders below that of a ledger.

Names that begin with an underscore are no data of the outer table: vacuuming it leaves
them alone, and each can be there without the other.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.ledger.table import (
    deltalake,
    first_line,
    open_ledger,
    storage_options,
    table_address,
)

_ATTEMPTS = 100


class Change(NamedTuple):
    """Rows to write: besides what is there, or instead of it."""

    rows: pa.Table
    mode: Literal["append", "overwrite"]


@dataclasses.dataclass(frozen=True)
class SideTable:
    """A table below a ledger; each change is one commit.

    Attributes:
      folder: Its name below the ledger's folder.
      what: What its rows are, for people.
      columns: Of its rows.
      version: Of the format.
    """

    folder: str
    what: str
    columns: pa.Schema
    version: int = 1

    def read(self, path: str) -> pa.Table:
        """Returns all rows in a ledger, none if there are none.

        Raises:
          UserError: what is there cannot be read, or is something else.
        """
        table = self._load(path)
        return self.columns.empty_table() if table is None else self._rows(path, table)

    def change(self, path: str, decide: Callable[[pa.Table], Change | None]) -> int:
        """Changes the table in one commit and returns how many rows were written.

        When somebody else commits first, the change is decided on anew. The ledger is
        made if there is none.

        Args:
          path: The ledger.
          decide: Gets the rows that are there; returns None to leave them.

        Raises:
          UserError: the path holds something else, or cannot be written.
        """
        lake = deltalake()
        open_ledger(path)
        application = f"synthfilter-{self.folder.strip('_')}"
        for attempt in range(_ATTEMPTS):
            table = self._load(path) or self._create(path)
            change = decide(self._rows(path, table))
            if change is None:
                return 0
            # The same transaction for all, so that two at once cannot both go through.
            number = (table.transaction_version(application) or 0) + 1
            once = lake.CommitProperties(
                app_transactions=[lake.Transaction(application, number)],
                max_commit_retries=0,
            )
            try:
                lake.write_deltalake(
                    table, change.rows, mode=change.mode, commit_properties=once
                )
                return change.rows.num_rows
            except (lake.exceptions.DeltaError, OSError) as error:
                now = self._load(path)
                if now is None or now.version() == table.version():
                    raise self._unwritable(path, error) from error
            time.sleep(min(0.01 * 2**attempt, 1.0))
        raise UserError(
            f"ledger {path!r}: others changed its {self.what} first {_ATTEMPTS} times; "
            "run it again"
        )

    def _property(self) -> str:
        return f"synthfilter.{self.folder.strip('_')}_version"

    def _load(self, path: str) -> Any:
        """Returns the `DeltaTable`, checked; None where there is none."""
        lake = deltalake()
        where = storage.join(table_address(path), self.folder)
        if not storage.list_below(storage.join(where, "_delta_log")):
            return None
        try:
            table = lake.DeltaTable(where, storage_options=storage_options(path))
        except (lake.exceptions.DeltaError, OSError, ValueError) as error:
            raise self._unreadable(path, error) from error
        said = table.metadata().configuration.get(self._property())
        if said != str(self.version):
            raise UserError(
                f"{self.what} in {path!r} are of version {said}, expected "
                f"{self.version}; use the synthfilter that wrote them, or a newer one"
            )
        return table

    def _create(self, path: str) -> Any:
        """Makes an empty table; one that is there since a moment stays."""
        lake = deltalake()
        try:
            lake.DeltaTable.create(
                storage.join(table_address(path), self.folder),
                self.columns,
                name=f"synthfilter {self.what}",
                configuration={self._property(): str(self.version)},
                storage_options=storage_options(path),
                raise_if_key_not_exists=False,
            )
        except (lake.exceptions.DeltaError, OSError) as error:
            if self._load(path) is None:
                raise self._unwritable(path, error) from error
        return self._load(path)

    def _rows(self, path: str, table: Any) -> pa.Table:
        lake = deltalake()
        try:
            found = pa.table(table.to_pyarrow_table())
            return found.select(self.columns.names).cast(self.columns)
        except (lake.exceptions.DeltaError, OSError, ValueError, KeyError) as error:
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: str, error: BaseException) -> UserError:
        return UserError(
            f"{self.what} in {path!r} cannot be read ({first_line(error)}); restore "
            f"{self.folder} from a copy, or remove it and write them again"
        )

    def _unwritable(self, path: str, error: BaseException) -> UserError:
        return UserError(
            f"{self.what} cannot be written to ledger {path!r}: {first_line(error)}"
        )
