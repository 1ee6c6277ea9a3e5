"""Verdicts in a ledger, in a table beside the uses; rows are only ever added."""

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema
from synthfilter.core.uses import TIME
from synthfilter.core.verdicts import FOCUS, GIVEN, NOTE, REVIEWER, VERDICT, VERDICTS
from synthfilter.ledger.side_table import Change, SideTable

_TABLE = SideTable("_verdicts", "verdicts", VERDICTS)
# Rows that agree in these are one verdict.
_SAME = (schema.CONTENT_HASH, REVIEWER, VERDICT, NOTE)
# Whom it was asked of, about what, and in which sample.
_ASKED = (schema.CONTENT_HASH, REVIEWER, schema.BUILD_ID, FOCUS)


def read_verdicts(path: str) -> pa.Table:
    """Returns all rows of `core.verdicts.VERDICTS` in a ledger, none if there are none.

    Raises:
      UserError: what is there cannot be read, or is something else.
    """
    return _TABLE.read(path)


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

    def decide(known: pa.Table) -> Change | None:
        new = _new_rows(known.cast(GIVEN), rows)
        return Change(new, "append") if new.num_rows else None

    return _TABLE.change(path, decide)


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
