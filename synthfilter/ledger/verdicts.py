"""Verdicts in a ledger: a second Delta table, in a folder below that of the uses.

Rows are only ever added. Names that begin with an underscore are no data of the outer
table, so that vacuuming it leaves this one alone, and each can be there without the
other.
"""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.uses import TIME
from synthfilter.core.verdicts import FOCUS, GIVEN, NOTE, REVIEWER, VERDICT, VERDICTS
from synthfilter.ledger.table import (
    VERDICTS_FOLDER,
    deltalake,
    first_line,
    open_ledger,
    storage_options,
    table_address,
)

FORMAT_VERSION = 1
VERSION_PROPERTY = "synthfilter.verdicts_version"
# The transactions of all imports, so that two at once cannot both go through.
_APPLICATION = "synthfilter-verdicts"
_ATTEMPTS = 100
# Rows that agree in these are one verdict.
_SAME = (schema.CONTENT_HASH, REVIEWER, VERDICT, NOTE)
# Whom it was asked of, about what, and in which sample.
_ASKED = (schema.CONTENT_HASH, REVIEWER, schema.BUILD_ID, FOCUS)


def read_verdicts(path: str) -> pa.Table:
    """Returns all rows of `core.verdicts.VERDICTS` in a ledger, none if there are none.

    Raises:
      UserError: what is there cannot be read, or is something else.
    """
    table = _load(path)
    return VERDICTS.empty_table() if table is None else _rows(path, table)


def add_verdicts(path: str, rows: pa.Table) -> int:
    """Adds verdicts to a ledger in one commit and returns how many were new.

    A row that is there already is not added again, so that the same rows may come any
    number of times, also at once from several processes. A row without a time counts
    as of now, and is there already if its reviewer's last word on the text was the
    same, asked for the same build and focus. The ledger is made if there is none.

    Args:
      path: The ledger.
      rows: Of `core.verdicts.GIVEN`.

    Raises:
      UserError: the path holds something else, or cannot be written.
    """
    lake = deltalake()
    open_ledger(path)
    for attempt in range(_ATTEMPTS):
        table = _load(path) or _create(path)
        new = _new_rows(_rows(path, table).cast(GIVEN), rows)
        if not new.num_rows:
            return 0
        number = (table.transaction_version(_APPLICATION) or 0) + 1
        once = lake.CommitProperties(
            app_transactions=[lake.Transaction(_APPLICATION, number)],
            max_commit_retries=0,
        )
        try:
            lake.write_deltalake(table, new, mode="append", commit_properties=once)
            return new.num_rows
        except (lake.exceptions.DeltaError, OSError) as error:
            now = _load(path)
            if now is None or now.version() == table.version():
                raise _unwritable(path, error) from error
        time.sleep(min(0.01 * 2**attempt, 1.0))
    raise UserError(
        f"ledger {path!r}: others added verdicts first {_ATTEMPTS} times; run it again"
    )


def _address(path: str) -> str:
    return storage.join(table_address(path), VERDICTS_FOLDER)


def _load(path: str) -> Any:
    """Returns the `DeltaTable` of the verdicts, checked; None where there is none."""
    lake = deltalake()
    where = _address(path)
    if not storage.list_below(storage.join(where, "_delta_log")):
        return None
    try:
        table = lake.DeltaTable(where, storage_options=storage_options(path))
    except (lake.exceptions.DeltaError, OSError, ValueError) as error:
        raise UserError(
            f"verdicts in {path!r} cannot be read ({first_line(error)}); restore "
            f"{VERDICTS_FOLDER} from a copy, or remove it and import them again"
        ) from error
    said = table.metadata().configuration.get(VERSION_PROPERTY)
    if said != str(FORMAT_VERSION):
        raise UserError(
            f"verdicts in {path!r} are of version {said}, expected {FORMAT_VERSION}; "
            "use the synthfilter that wrote them, or a newer one"
        )
    return table


def _create(path: str) -> Any:
    """Makes an empty table of verdicts; one that is there since a moment stays."""
    lake = deltalake()
    try:
        lake.DeltaTable.create(
            _address(path),
            VERDICTS,
            name="synthfilter verdicts",
            description="One row for each time that a reviewer judged a document.",
            configuration={VERSION_PROPERTY: str(FORMAT_VERSION)},
            storage_options=storage_options(path),
            raise_if_key_not_exists=False,
        )
    except (lake.exceptions.DeltaError, OSError) as error:
        if _load(path) is None:
            raise _unwritable(path, error) from error
    return _load(path)


def _unwritable(path: str, error: BaseException) -> UserError:
    return UserError(
        f"verdicts cannot be written to ledger {path!r}: {first_line(error)}"
    )


def _rows(path: str, table: Any) -> pa.Table:
    """Returns the rows of the table as `core.verdicts.VERDICTS`."""
    lake = deltalake()
    try:
        found = pa.table(table.to_pyarrow_table())
        return found.select(VERDICTS.names).cast(VERDICTS)
    except (lake.exceptions.DeltaError, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"verdicts in {path!r} cannot be read ({first_line(error)}); restore "
            f"{VERDICTS_FOLDER} from a copy, or remove it and import them again"
        ) from error


def _new_rows(known: pa.Table, rows: pa.Table) -> pa.Table:
    """Returns the rows that are not known yet, each once and with a time."""
    timed = rows.filter(pc.is_valid(rows.column(TIME)))
    seen = set(_keys(known, (*_SAME, TIME)))
    fresh = []
    for key in _keys(timed, (*_SAME, TIME)):
        fresh.append(key not in seen)
        seen.add(key)
    dated = timed.filter(pa.array(fresh, pa.bool_()))
    undated = rows.filter(pc.is_null(rows.column(TIME)))
    undated = _undated_news(pa.concat_tables([known, dated]), undated)
    return pa.concat_tables([dated, undated]).cast(VERDICTS)


def _undated_news(known: pa.Table, rows: pa.Table) -> pa.Table:
    """Returns rows without a time that say something new, as of now."""
    said = (VERDICT, NOTE)
    known = known.sort_by(TIME)
    last = dict(zip(_keys(known, _ASKED), _keys(known, said), strict=True))
    fresh = []
    for asked, answer in zip(_keys(rows, _ASKED), _keys(rows, said), strict=True):
        fresh.append(last.get(asked) != answer)
        last[asked] = answer
    rows = rows.filter(pa.array(fresh, pa.bool_()))
    # One moment apart, so that of two about the same text the later one counts.
    now = time.time_ns() // 1000 + np.arange(rows.num_rows)
    at = VERDICTS.get_field_index(TIME)
    return rows.set_column(at, GIVEN.field(TIME), pa.array(now, GIVEN.types[at]))


def _keys(rows: pa.Table, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Returns the values of some columns, row by row."""
    return list(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
