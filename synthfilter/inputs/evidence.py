"""What a document's own columns say about who wrote it: its claims before it is read.

A column `origin`, marks in metadata, and the columns of producers. Files are judged in
whole columns, records of JSON lines one by one, by the same rules.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

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
from synthfilter.inputs.producers import (
    RESULTS,
    find_producer,
    is_users,
    result_texts,
    says_generator,
)

_ORIGINS = dict.fromkeys(SYNTHETIC_NAMES, Says.SYNTHETIC)
_ORIGINS |= dict.fromkeys(HUMAN_NAMES, Says.HUMAN)
# How the evidence for a guess starts in a set of ours: no declaration.
_GUESSED = schema.EVIDENCE_NAMES[Evidence.DETECTOR]
_LABEL = "Label"


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
    metadata = record.get(mapping.get(schema.METADATA))
    nested = metadata if isinstance(metadata, dict) else {}
    text = mapping.get(schema.TEXT)
    says = {Evidence.COLUMN: origin_of_record(record, mapping)}
    says[Evidence.MARK] = Says.NOTHING
    said = Says.NOTHING
    for found, generator in (
        (record, mapping.get(schema.GENERATOR)),
        (nested, schema.GENERATOR if schema.GENERATOR in nested else None),
    ):
        keys = tuple(found)
        for key in _marks(keys):
            mark = _says_mark(key, found[key])
            says[Evidence.MARK] = says[Evidence.MARK] or mark
        said = said or _says_producer(found, keys, text, generator)
        texts = [each for key in RESULTS for each in result_texts(found.get(key))]
        if record.get(text) in texts:
            said = Says.SYNTHETIC
    says[Evidence.PRODUCER] = said
    return sum(int(code) << 2 * evidence for evidence, code in says.items())


def origin_of_record(record: Mapping[Any, Any], mapping: Mapping[str, str]) -> Says:
    """Returns what the key `origin` says; a detector's guess is nothing."""
    told = record.get(schema.ORIGIN_EVIDENCE)
    if isinstance(told, str) and told.startswith(_GUESSED):
        return Says.NOTHING
    return says_origin(record.get(mapping.get(schema.ORIGIN)))


def _says_producer(
    found: Mapping[str, Any],
    keys: tuple[str, ...],
    text: str | None,
    generator: str | None,
) -> Says:
    producer = find_producer(keys, text, generator)
    name = None if producer is None else found.get(producer.column)
    if producer is None or not isinstance(name, str):
        return Says.NOTHING
    role = found.get(producer.role or "")
    if isinstance(role, str) and is_users(role):
        return Says.NOTHING
    return says_generator(name, producer.certain)


@functools.lru_cache(maxsize=1024)
def _marks(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the keys that hold a mark."""
    return tuple(k for k in keys if plain_key(k) in (SOURCE_TYPE_KEY, LABEL_KEY))


def _says_mark(key: str, value: Any) -> Says:
    if plain_key(key) == LABEL_KEY:
        return says_label(value)
    return says_source_type(value) if isinstance(value, str) else Says.NOTHING


def claim_columns(arrow: pa.Schema, mapping: Mapping[str, str]) -> list[str]:
    """Returns the columns that claims are told from, parts of `metadata` as paths.

    Args:
      arrow: Of the file.
      mapping: Field to column.
    """
    text, generator = mapping.get(schema.TEXT), mapping.get(schema.GENERATOR)
    wanted = _told_by(arrow.names, text, generator)
    if schema.ORIGIN in mapping:
        wanted += [mapping[schema.ORIGIN], schema.ORIGIN_EVIDENCE]
    metadata = mapping.get(schema.METADATA)
    if metadata is not None and pa.types.is_struct(arrow.field(metadata).type):
        keys = [field.name for field in arrow.field(metadata).type]
        nested = schema.GENERATOR if schema.GENERATOR in keys else None
        wanted += [f"{metadata}.{key}" for key in _told_by(keys, text, nested)]
    present = {*arrow.names, *(name for name in wanted if "." in name)}
    return [name for name in dict.fromkeys(wanted) if name in present]


def _told_by(
    names: Sequence[str], text: str | None, generator: str | None
) -> list[str]:
    """Returns the columns of one level that tell who wrote the text."""
    producer = find_producer(tuple(names), text, generator)
    found = [] if producer is None else [producer.column, producer.role]
    results = [name for name in RESULTS if name in names]
    return [name for name in [*found, *results, *_marks(tuple(names))] if name]


def claims_of_batch(batch: pa.RecordBatch, mapping: Mapping[str, str]) -> np.ndarray:
    """Returns the claims of each row, uint16.

    Args:
      batch: Rows as the file has them, at least the columns of `claim_columns`.
      mapping: Field to column.
    """
    rows = batch.num_rows
    text, generator = mapping.get(schema.TEXT), mapping.get(schema.GENERATOR)
    levels = [(batch, generator)]
    metadata = mapping.get(schema.METADATA)
    if metadata in batch.schema.names:
        inner = batch.column(metadata)
        if pa.types.is_struct(inner.type):
            level = pa.RecordBatch.from_arrays(
                inner.flatten(), [field.name for field in inner.type]
            )
            nested = schema.GENERATOR in level.schema.names
            levels.append((level, schema.GENERATOR if nested else None))
    producer = np.zeros(rows, np.uint8)
    mark = np.zeros(rows, np.uint8)
    for level, named in levels:
        producer = _first(producer, _producers_say(level, text, named))
        mark = _first(mark, _marks_say(level))
        if text in batch.schema.names:
            own = _is_result(level, batch.column(text))
            producer = np.where(own, Says.SYNTHETIC, producer)
    says = {Evidence.MARK: mark, Evidence.PRODUCER: producer}
    says[Evidence.COLUMN] = origins_say(batch, mapping)
    return claims.pack(says, rows)


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
    says = _values_say(batch.column(origin), says_origin)
    if schema.ORIGIN_EVIDENCE in batch.schema.names:
        told = batch.column(schema.ORIGIN_EVIDENCE)
        guessed = _values_say(told, lambda said: Says(said.startswith(_GUESSED)))
        says[guessed > 0] = Says.NOTHING
    return says


def _producers_say(
    level: pa.RecordBatch, text: str | None, generator: str | None
) -> np.ndarray:
    names = tuple(level.schema.names)
    producer = find_producer(names, text, generator)
    if producer is None or producer.column not in names:
        return np.zeros(level.num_rows, np.uint8)
    says = _values_say(
        level.column(producer.column),
        lambda name: says_generator(name, producer.certain),
    )
    if producer.role is not None:
        users = _values_say(level.column(producer.role), lambda r: Says(is_users(r)))
        says[users > 0] = Says.NOTHING
    return says


def _marks_say(level: pa.RecordBatch) -> np.ndarray:
    says = np.zeros(level.num_rows, np.uint8)
    for key in _marks(tuple(level.schema.names)):
        values = level.column(key)
        if pa.types.is_struct(values.type):
            labels = [_says_mark(key, value) for value in values.to_pylist()]
            more = np.array(labels, np.uint8)
        else:
            more = _values_say(values, functools.partial(_says_mark, key))
        says = _first(says, more)
    return says


def _is_result(level: pa.RecordBatch, text: pa.Array) -> np.ndarray:
    """Returns for which rows the text is one of the results of inference."""
    own = np.zeros(level.num_rows, bool)
    for name in RESULTS:
        results = level.column(name) if name in level.schema.names else None
        if results is None or not _holds_texts(results.type):
            continue
        row = pc.list_parent_indices(results)
        found = results.flatten().field("text").cast(pa.large_string())
        same = pc.equal(text.cast(pa.large_string()).take(row), found).fill_null(False)
        own[row.filter(same).to_numpy()] = True
    return own


def _holds_texts(kind: pa.DataType) -> bool:
    """Returns whether a column holds lists of objects that have a text."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    inner = kind.value_type
    at = inner.get_field_index("text") if pa.types.is_struct(inner) else -1
    return at >= 0 and _is_text(inner.field(at).type)


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def _values_say(values: pa.Array, says: Callable[[Any], Says]) -> np.ndarray:
    """Returns what each value says; each distinct one is asked once.

    Values that are neither strings nor whole numbers say nothing.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    if not (_is_text(values.type) or pa.types.is_integer(values.type)):
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
