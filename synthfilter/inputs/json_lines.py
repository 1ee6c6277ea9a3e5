"""JSON lines as records, strictly: what cannot be read is an error in its place."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from synthfilter.core import schema
from synthfilter.inputs.formats import MARK, CorruptInputError, lines, plain_chunks

# Every key of an object ends like this, and little else in a line does.
_find_keys = re.compile(rb'"[ \t\r]*:').findall


def read_json_lines(
    file: Any, compression: str, max_bytes: int
) -> Iterator[tuple[int, Any]]:
    """Yields `(line number, object or ValueError)` for each line that is not blank.

    Args:
      file: Open, with its bytes as they are.
      compression: ".gz", ".zst" or "".
      max_bytes: A longer line is an error.
    """
    number = 0
    found = lines(plain_chunks(file, compression), max_bytes)
    try:
        for number, line in enumerate(found, 1):
            if isinstance(line, int):
                yield number, ValueError(f"a line of {line} bytes is too long")
            elif line.strip():
                start = MARK if number == 1 else b""
                yield number, parse_line(line.removeprefix(start))
    except CorruptInputError as error:
        yield number + 1, ValueError(f"{schema.BROKEN_FILE}{error}")


def parse_line(line: bytes) -> Any:
    """Returns the JSON object, or a ValueError that says what it is instead."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return ValueError(f"invalid JSON: {error}")
    if not isinstance(record, dict):
        return ValueError(f"expected a JSON object, got {type(record).__name__}")
    if len(found := _find_keys(line)) != len(record) and len(found) != _keys(record):
        return _without_doubles(line, record)
    return record


def _keys(value: Any) -> int:
    """Returns how many keys all objects within a JSON value have."""
    inner = value
    count = 0
    if type(value) is dict:
        inner, count = value.values(), len(value)
    return count + sum(_keys(part) for part in inner if type(part) in (dict, list))


def _without_doubles(line: bytes, record: dict[str, Any]) -> Any:
    """Returns the record, or a ValueError if a key comes twice in one object.

    The fast reader keeps the last of two without a word.
    """
    try:
        json.loads(line, object_pairs_hook=_check_keys)
    except _DoubleKeyError as error:
        return ValueError(f"the key {str(error)[:60]!r} comes twice")
    except RecursionError:
        return ValueError("invalid JSON: nested too deep")
    return record


class _DoubleKeyError(Exception):
    """A key that an object has twice."""


def _check_keys(pairs: list[tuple[str, Any]]) -> None:
    """Raises _DoubleKeyError if a key comes twice."""
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise _DoubleKeyError(key)
        seen.add(key)
