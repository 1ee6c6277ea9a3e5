"""What a document's own columns say about who wrote it: its claims before it is read.

A column `origin`, marks in metadata, and the columns of producers. Files are judged in
whole columns, records of JSON lines one by one, by the same rules.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import claims, schema
from synthfilter.core.schema import HUMAN_NAMES, SYNTHETIC_NAMES, Evidence, Says
from synthfilter.core.source_types import (
    LABEL_KEY,
    SOURCE_TYPE_KEY,
    plain_key,
    says_label,
    says_source_type,
)
from synthfilter.inputs.chat import roles_of
from synthfilter.inputs.paths import column_of, is_list, is_text, type_at
from synthfilter.inputs.producers import (
    RESULTS,
    Producer,
    find_producer,
    is_users,
    result_texts,
    says_generator,
)

_ORIGINS = dict.fromkeys(SYNTHETIC_NAMES, Says.SYNTHETIC)
_ORIGINS |= dict.fromkeys(HUMAN_NAMES, Says.HUMAN)
# How the evidence for a guess starts in a set of ours: no declaration.
_GUESSED = schema.EVIDENCE_NAMES[Evidence.DETECTOR]


class Level(NamedTuple):
    """Which columns tell who wrote the text: of a file, or of its metadata.

    Attributes:
      parent: The column that these are parts of; None for the file's own.
      producer: Where a producer names the model; None for nowhere.
      marks: Hold words of standards.
      results: Hold results of inference.
    """

    parent: str | None
    producer: Producer | None
    marks: tuple[str, ...]
    results: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """All of them, parts as paths."""
        producer = self.producer
        names = [] if producer is None else [producer.column, producer.role]
        names += [*self.marks, *self.results]
        before = "" if self.parent is None else f"{self.parent}."
        return [before + name for name in names if name is not None]


def find_levels(arrow: pa.Schema, mapping: Mapping[str, str]) -> tuple[Level, ...]:
    """Returns where a file says who wrote its text: decided once, by all its columns.

    Args:
      arrow: All columns of the file.
      mapping: Field to column.
    """
    levels = [_top_level(tuple(arrow.names), mapping)]
    metadata = mapping.get(schema.METADATA)
    inner = None if metadata is None else type_at(arrow, metadata)
    if inner is not None and pa.types.is_struct(inner):
        names = tuple(field.name for field in inner)
        levels.append(_metadata_level(metadata, names))
    return tuple(_of_users(level, mapping) for level in levels)


def _top_level(names: tuple[str, ...], mapping: Mapping[str, str]) -> Level:
    """Returns the level of a file's or record's own columns."""
    text = mapping.get(schema.TEXT)
    column = None if text is None else column_of(text, names)
    return _level(None, names, column, mapping.get(schema.GENERATOR))


def _of_users(level: Level, mapping: Mapping[str, str]) -> Level:
    """Returns a level; where a chat's text is the users' alone, no model wrote it."""
    roles = roles_of(mapping)
    written_by_users = roles is not None and all(map(is_users, roles))
    return level._replace(producer=None) if written_by_users else level


@functools.lru_cache(maxsize=1024)
def _level(
    parent: str | None, names: tuple[str, ...], text: str | None, generator: str | None
) -> Level:
    return Level(
        parent,
        find_producer(names, text, generator),
        tuple(n for n in names if plain_key(n) in (SOURCE_TYPE_KEY, LABEL_KEY)),
        tuple(name for name in RESULTS if name in names),
    )


def _metadata_level(parent: str | None, names: tuple[str, ...]) -> Level:
    """Returns the level of metadata: its text is the document's."""
    generator = schema.GENERATOR if schema.GENERATOR in names else None
    return _level(parent, names, schema.TEXT, generator)


def claim_columns(
    levels: Sequence[Level], mapping: Mapping[str, str], names: Sequence[str]
) -> list[str]:
    """Returns the columns that claims are told from, parts of metadata as paths.

    Args:
      levels: Of `find_levels`.
      mapping: Field to column.
      names: All columns of the file.
    """
    wanted = [name for level in levels for name in level.columns]
    if schema.ORIGIN in mapping:
        wanted.append(mapping[schema.ORIGIN])
        wanted += [n for n in (schema.ORIGIN_EVIDENCE,) if n in names]
    return list(dict.fromkeys(wanted))


def says_origin(value: Any) -> Says:
    """Returns what a value of a column `origin` says."""
    if type(value) is not str and type(value) is not int:
        return Says.NOTHING
    return _ORIGINS.get(str(value)[:20].strip().lower(), Says.NOTHING)


def claims_of_record(record: Mapping[Any, Any], mapping: Mapping[str, str]) -> int:
    """Returns the claims of one JSON record.

    Args:
      record: All of it.
      mapping: Field to key.
    """
    text = mapping.get(schema.TEXT)
    levels = [(record, _top_level(tuple(record), mapping))]
    metadata = record.get(mapping.get(schema.METADATA))
    if isinstance(metadata, dict):
        levels.append((metadata, _metadata_level(None, tuple(metadata))))
    producer = mark = Says.NOTHING
    for found, level in levels:
        mark = mark or _mark_of_record(found, level)
        level = _of_users(level, mapping)
        producer = producer or _producer_of_record(found, level)
    written = [
        each
        for found, level in levels
        for name in level.results
        for each in result_texts(found[name])
    ]
    if written and record.get(text) in written:
        producer = Says.SYNTHETIC
    origin = origin_of_record(record, mapping)
    return claims.pack_one(
        {Evidence.COLUMN: origin, Evidence.MARK: mark, Evidence.PRODUCER: producer}
    )


def origin_of_record(record: Mapping[Any, Any], mapping: Mapping[str, str]) -> Says:
    """Returns what the key `origin` says; a detector's guess is nothing."""
    told = record.get(schema.ORIGIN_EVIDENCE)
    if isinstance(told, str) and told.startswith(_GUESSED):
        return Says.NOTHING
    return says_origin(record.get(mapping.get(schema.ORIGIN)))


def _producer_of_record(found: Mapping[str, Any], level: Level) -> Says:
    producer = level.producer
    name = None if producer is None else found.get(producer.column)
    if producer is None or not isinstance(name, str):
        return Says.NOTHING
    role = found.get(producer.role or "")
    if isinstance(role, str) and is_users(role):
        return Says.NOTHING
    return says_generator(name, producer.certain)


def _mark_of_record(found: Mapping[str, Any], level: Level) -> Says:
    says = (_says_mark(name, found[name]) for name in level.marks)
    return next(filter(None, says), Says.NOTHING)


def _says_mark(name: str, value: Any) -> Says:
    if plain_key(name) == LABEL_KEY:
        return says_label(value)
    return says_source_type(value) if isinstance(value, str) else Says.NOTHING


def claims_of_batch(
    batch: pa.RecordBatch, mapping: Mapping[str, str], levels: Sequence[Level]
) -> np.ndarray:
    """Returns the claims of each row, uint32.

    Args:
      batch: Rows as the file has them, at least the columns of `claim_columns`.
      mapping: Field to column.
      levels: Of `find_levels`, by all columns of the file.
    """
    producer = np.zeros(batch.num_rows, np.uint8)
    mark = np.zeros(batch.num_rows, np.uint8)
    text = mapping.get(schema.TEXT)
    for level in levels:
        held = batch
        if level.parent is not None:
            inner = batch.schema.get_field_index(level.parent)
            if inner < 0:
                # Nothing in it tells, so it was not read.
                continue
            parts = batch.column(inner)
            names = [field.name for field in parts.type]
            held = pa.RecordBatch.from_arrays(parts.flatten(), names)
        mark = _first(mark, _marks_of_batch(held, level))
        producer = _first(producer, _producers_of_batch(held, level))
        if text in batch.schema.names:
            own = _are_results(held, level, batch.column(text))
            producer[own] = Says.SYNTHETIC
    says = {Evidence.MARK: mark, Evidence.PRODUCER: producer}
    says[Evidence.COLUMN] = origins_say(batch, mapping)
    return claims.pack(says, batch.num_rows)


def _first(says: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Returns what is said first, and where nothing is, what is said then."""
    return np.where(says == Says.NOTHING, more, says)


def origins_say(batch: pa.RecordBatch, mapping: Mapping[str, str]) -> np.ndarray:
    """Returns what the column `origin` says of each row; a detector's guess is nothing.

    Args:
      batch: Rows as the file has them.
      mapping: Field to column.
    """
    origin = mapping.get(schema.ORIGIN)
    if origin not in batch.schema.names:
        return np.zeros(batch.num_rows, np.uint8)
    says = _values_say(batch.column(origin), says_origin, numbers=True)
    if schema.ORIGIN_EVIDENCE in batch.schema.names:
        told = batch.column(schema.ORIGIN_EVIDENCE)
        guessed = _values_say(told, lambda said: Says(said.startswith(_GUESSED)))
        says[guessed > 0] = Says.NOTHING
    return says


def _producers_of_batch(held: pa.RecordBatch, level: Level) -> np.ndarray:
    producer = level.producer
    if producer is None:
        return np.zeros(held.num_rows, np.uint8)
    says = _values_say(
        held.column(producer.column),
        lambda name: says_generator(name, producer.certain),
    )
    if producer.role is not None:
        users = _values_say(held.column(producer.role), lambda r: Says(is_users(r)))
        says[users > 0] = Says.NOTHING
    return says


def _marks_of_batch(held: pa.RecordBatch, level: Level) -> np.ndarray:
    says = np.zeros(held.num_rows, np.uint8)
    for name in level.marks:
        values = held.column(name)
        if pa.types.is_struct(values.type):
            labels = [_says_mark(name, value) for value in values.to_pylist()]
            more = np.array(labels, np.uint8)
        else:
            more = _values_say(values, functools.partial(_says_mark, name))
        says = _first(says, more)
    return says


def _are_results(held: pa.RecordBatch, level: Level, text: pa.Array) -> np.ndarray:
    """Returns for which rows the text is one of the results of inference."""
    own = np.zeros(held.num_rows, bool)
    for name in level.results:
        results = held.column(name)
        if not _holds_texts(results.type):
            continue
        row = pc.list_parent_indices(results)
        found = results.flatten().field("text").cast(pa.large_string())
        same = pc.equal(text.cast(pa.large_string()).take(row), found).fill_null(False)
        own[row.filter(same).to_numpy()] = True
    return own


def _holds_texts(kind: pa.DataType) -> bool:
    """Returns whether a column holds lists of objects that have a text."""
    if not is_list(kind):
        return False
    inner = kind.value_type
    at = inner.get_field_index("text") if pa.types.is_struct(inner) else -1
    return at >= 0 and is_text(inner.field(at).type)


def _values_say(
    values: pa.Array, says: Callable[[Any], Says], numbers: bool = False
) -> np.ndarray:
    """Returns what each value says; each distinct one is asked once.

    Args:
      values: Of any type; values that are no strings say nothing.
      says: Told of a value.
      numbers: Whether it is told of whole numbers, too.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    whole = numbers and pa.types.is_integer(values.type)
    if not (whole or is_text(values.type)):
        return np.zeros(len(values), np.uint8)
    coded = values.dictionary_encode()
    said = [says(value) for value in _plain(coded.dictionary)]
    codes = np.array([*said, Says.NOTHING], np.uint8)
    return codes[coded.indices.fill_null(len(said)).to_numpy()]


def _plain(values: pa.Array) -> Iterable[Any]:
    """Returns the values as Python's; readers do not check that strings are UTF-8."""
    if pa.types.is_integer(values.type):
        return values.to_pylist()
    raw = values.cast(pa.large_binary()).to_pylist()
    return [value.decode(errors="replace") for value in raw]
