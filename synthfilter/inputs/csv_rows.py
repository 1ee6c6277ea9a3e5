"""CSV and TSV as records: quotes, newlines within them, one header, any size.

Python's reader tells line by line where it is, which Arrow's does not, and leaves
values as they are.
"""

import csv
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from synthfilter.core import schema
from synthfilter.inputs.formats import (
    MARK,
    TSV,
    CorruptInputError,
    lines,
    plain_chunks,
)


class _TooLongError(Exception):
    """A record is longer than it may be."""


class _Lines:
    """The lines of a file as csv wants them: decoded, and no more than a record may be.

    Attributes:
      number: Of the last line, from 1.
      broken: Why the bytes end before the file does; None while they do not.
      invalid: Whether a line since the last `start` is not UTF-8.
    """

    def __init__(self, file: Any, compression: str, kind: str, max_bytes: int) -> None:
        self._found = lines(plain_chunks(file, compression, kind), max_bytes)
        self._max_bytes = max_bytes
        self._size = 0
        self._last: bytes | int = b""
        self.number = 0
        self.broken: str | None = None
        self.invalid = False

    def start(self) -> None:
        """Says that a new record begins."""
        self._size, self.invalid = 0, False

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        self._last = line = self._next_line()
        if isinstance(line, int) or self._size + len(line) > self._max_bytes:
            raise _TooLongError
        self._size += len(line) + 1
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            self.invalid = True
            return line.decode(errors="replace") + "\n"

    def _next_line(self) -> bytes | int:
        try:
            line = next(self._found)
        except CorruptInputError as error:
            self.broken = str(error)
            raise StopIteration from error
        self.number += 1
        if self.number == 1 and isinstance(line, bytes):
            line = line.removeprefix(MARK)
        return line

    def skip_quoted(self) -> bool:
        """Passes over lines up to that which ends a quoted value, the last one first.

        Returns whether there is such a line.
        """
        try:
            while isinstance(self._last, int) or self._last.count(b'"') % 2 == 0:
                self._last = self._next_line()
        except StopIteration:
            return False
        return True


def read_csv(
    file: Any, compression: str, max_bytes: int, kind: str
) -> Iterator[tuple[int, Any]]:
    """Yields `(line number, dictionary or ValueError)` for each record.

    Lines without anything are passed over. Of a record of several lines the number is
    that of the first.

    Args:
      file: Open, with its bytes as they are.
      compression: ".gz", ".zst" or "".
      max_bytes: A longer record is an error.
      kind: CSV or TSV.
    """
    found = _Lines(file, compression, kind, max_bytes)
    # Fields are as long as a record may be; the limit is one for all readers.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes + 1))
    rows = csv.reader(found, delimiter="\t" if kind == TSV else ",", strict=True)
    header: list[str] | None = None
    while True:
        found.start()
        first = found.number + 1
        row = _next_row(rows, found, kind)
        if row is None:
            break
        if isinstance(row, ValueError):
            if header is None:
                yield first, ValueError(f"{schema.BROKEN_FILE}no header: {row}")
                return
            yield first, row
        elif row and header is None:
            header = row
        elif row:
            yield first, _record(header or [], row)
    if found.broken is not None:
        yield found.number + 1, ValueError(f"{schema.BROKEN_FILE}{found.broken}")


def _next_row(rows: Any, found: _Lines, kind: str) -> Any:
    """Returns the fields of the next record, or why it has none; None at the end."""
    first = found.number + 1
    try:
        row = next(rows, None)
    except csv.Error as error:
        if found.broken is not None:
            return None
        if "unexpected end" in str(error):
            return ValueError(
                f"{schema.BROKEN_FILE}a quote is never closed, line {found.number} is "
                "the last"
            )
        lost = f"; lines {first} to {found.number}" if found.number > first else ""
        return ValueError(f"invalid {kind}: {error}{lost}")
    except _TooLongError:
        return _pass_over(found, first)
    if found.invalid:
        return ValueError("invalid UTF-8")
    return row


def _pass_over(found: _Lines, first: int) -> ValueError:
    """Passes over the rest of a record that is too long, and says so."""
    if found.number > first and not found.skip_quoted():
        return ValueError(
            f"{schema.BROKEN_FILE}a record is too long, or a quote never closed, line "
            f"{found.number} is the last"
        )
    return ValueError(f"a record is too long, up to line {found.number}")


def _record(header: list[str], row: list[str]) -> Any:
    if len(row) != len(header):
        return ValueError(
            f"{len(header)} fields expected by the header, got {len(row)}"
        )
    return dict(zip(header, row, strict=True))


def as_typed(record: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Returns a record of strings with values of the types that fields have.

    An empty string is nothing, but for the text.

    Args:
      record: Column to string; changed.
      mapping: Field to column.
    """
    for name, column in mapping.items():
        value = record.get(column)
        if value == "" and name != schema.TEXT:
            record[column] = None
        elif value is not None and name in _TYPED:
            record[column] = _parsed(value)
    return record


_TYPED = (schema.REVIEWED, schema.SYNTH_GENERATION, schema.PARENT_IDS)


def _parsed(value: str) -> Any:
    """Returns what a string is as JSON, the string itself where it is none."""
    try:
        return orjson.loads(value.lower() if value.lower() in _BOOLEANS else value)
    except orjson.JSONDecodeError:
        return value


_BOOLEANS = ("true", "false")
