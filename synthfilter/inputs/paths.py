"""Text within columns: `messages[].content` and `data.body.text`, in records and Arrow.

A path names a key after a dot and every item of a list with `[]`. The texts that it
leads to are joined by blank lines.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema

ITEMS = "[]"
JOINER = "\n\n"

# Objects whose keys are data have paths without end: below the first level, so many are
# known, so deep, and of lists those of the first items.
_MAX_DEPTH = 8
_MAX_PATHS = 1000
_MAX_ITEMS = 20


class Columns(NamedTuple):
    """What a file has columns of.

    Attributes:
      names: Of its columns, in order.
      inner: Paths to what is within them.
    """

    names: list[str]
    inner: list[str]

    @classmethod
    def of_schema(cls, arrow: pa.Schema) -> "Columns":
        """Returns the columns of an Arrow schema."""
        inner = (path for field in arrow for path in _inner(field.name, field.type))
        return cls(list(arrow.names), list(inner))

    @classmethod
    def of_records(cls, records: Iterable[Mapping[str, Any]]) -> "Columns":
        """Returns the keys of records, in order of appearance."""
        names: dict[str, None] = {}
        inner: dict[str, None] = {}
        for record in records:
            names.update(dict.fromkeys(record))
            for name, value in record.items():
                if type(value) is dict or type(value) is list:
                    _add_inner(inner, name, value, _MAX_DEPTH)
        return cls(list(names), list(inner))

    def holds(self, path: str) -> bool:
        """Returns whether a column has this name, or something in one this path."""
        return path in self.names or path in self.inner


def _inner(path: str, kind: pa.DataType) -> Iterator[str]:
    """Yields the paths below one of this Arrow type."""
    if pa.types.is_struct(kind):
        below = [(f"{path}.{field.name}", field.type) for field in kind]
    elif is_list(kind):
        below = [(path + ITEMS, kind.value_type)]
    else:
        return
    for name, inner in below:
        yield name
        yield from _inner(name, inner)


def _add_inner(found: dict[str, None], path: str, value: Any, depth: int) -> None:
    """Adds the paths below one that leads to this value of JSON."""
    if type(value) is dict:
        below = [(f"{path}.{name}", inner) for name, inner in value.items()]
    elif type(value) is list:
        below = [(path + ITEMS, inner) for inner in value[:_MAX_ITEMS]]
    else:
        return
    for name, inner in below:
        if depth == 0 or (depth < _MAX_DEPTH and len(found) >= _MAX_PATHS):
            return
        found[name] = None
        _add_inner(found, name, inner, depth - 1)


@functools.lru_cache(maxsize=1024)
def split_path(path: str) -> tuple[str, ...]:
    """Returns the steps of a path: names, and `[]` for the items of a list."""
    steps: list[str] = []
    for part in path.split("."):
        name = re.sub(r"(\[\])+$", "", part)
        steps += [name, *[ITEMS] * ((len(part) - len(name)) // len(ITEMS))]
    return tuple(steps)


def column_of(path: str, names: Iterable[str]) -> str:
    """Returns the column that a path is in; one of its own name goes first."""
    return path if path in names else split_path(path)[0]


def is_list(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type has items."""
    return (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type is of strings, plain or as a dictionary."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return (
        pa.types.is_string(inner)
        or pa.types.is_large_string(inner)
        or pa.types.is_string_view(inner)
    )


def type_at(arrow: pa.Schema, path: str) -> pa.DataType:
    """Returns the Arrow type that a path of `Columns` leads to."""
    if path in arrow.names:
        return arrow.field(path).type
    first, *steps = split_path(path)
    kind = arrow.field(first).type
    for step in steps:
        kind = kind.value_type if step == ITEMS else kind.field(step).type
    return kind


def values_at(batch: pa.RecordBatch, path: str) -> pa.Array:
    """Returns what a path leads to in each row; the texts of lists joined.

    Where the list itself is null, so is the text.
    """
    first, *steps = split_path(path)
    values = batch.column(first)
    rows = given = None
    for step in steps:
        if step != ITEMS:
            values = pc.struct_field(values, step)
            continue
        given = values.is_valid() if given is None else given
        parents, values = items_of(values)
        rows = parents if rows is None else rows[parents]
    if rows is None:
        return values
    return join_texts(as_text(values), rows, given, JOINER)


def items_of(values: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Returns the items of all lists one after another, and the row of each."""
    return pc.list_parent_indices(values).to_numpy(), values.flatten()


def as_text(values: pa.Array) -> pa.Array:
    """Returns strings of any Arrow type as large strings."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_string())


def join_texts(
    texts: pa.Array, rows: np.ndarray, given: pa.Array, joiner: str
) -> pa.Array:
    """Returns the texts of each row as one, null where nothing was given.

    Args:
      texts: Large strings; null ones are passed over.
      rows: The row of each, ascending.
      given: Whether a row has a list at all.
      joiner: What stands between two.
    """
    present = texts.is_valid()
    kept = rows[present.to_numpy(zero_copy_only=False)]
    ends = np.searchsorted(kept, np.arange(len(given) + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(ends), texts.filter(present))
    joined = pc.binary_join(lists, pa.scalar(joiner, pa.large_string()))
    return pc.if_else(given, joined, pa.scalar(None, pa.large_string()))


def take(record: dict[Any, Any], path: str) -> Any:
    """Takes what a path leads to out of a record, which is changed; nothing in it is.

    Returns the value, the texts of lists joined; None for nothing. A value that should
    be a text and is none is returned as it is.
    """
    first, *steps = split_path(path)
    if first not in record:
        return None
    found: list[Any] = []
    before = record[first]
    left = _without(before, steps, found)
    if left is _GONE:
        del record[first]
    else:
        record[first] = left
    if ITEMS not in steps:
        return found[0] if found else None
    if not isinstance(_follow(before, steps[: steps.index(ITEMS)]), list):
        return None
    found = [value for value in found if value is not None]
    others = [value for value in found if not isinstance(value, str)]
    return others[0] if others else JOINER.join(found)


_GONE = object()


def _without(value: Any, steps: Sequence[str], found: list[Any]) -> Any:
    """Returns a value without what the steps lead to, `_GONE` if nothing is left.

    Args:
      value: Of JSON; stays as it is.
      steps: Of a path.
      found: What they lead to is added to it.
    """
    if not steps:
        found.append(value)
        return _GONE
    step, rest = steps[0], steps[1:]
    if step == ITEMS:
        if not isinstance(value, list):
            return value
        left = [_without(item, rest, found) for item in value]
        if all(item is _GONE for item in left):
            return _GONE
        return [None if item is _GONE else item for item in left]
    if not isinstance(value, Mapping) or step not in value:
        return value
    inner = _without(value[step], rest, found)
    kept = {name: inner if name == step else value[name] for name in value}
    if inner is _GONE:
        del kept[step]
    return kept or _GONE


def look_up(record: Mapping[Any, Any], path: str) -> Any:
    """Returns what a path without lists leads to in a record; None for nothing."""
    return _follow(record, split_path(path))


def _follow(value: Any, steps: Iterable[str]) -> Any:
    """Returns what keys lead to; None for nothing."""
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def paths_of(mapping: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Returns the fields of a mapping that are within columns, with their paths."""
    return {
        name: found
        for name, found in mapping.items()
        if name in schema.DOCUMENT.names and found not in names
    }
