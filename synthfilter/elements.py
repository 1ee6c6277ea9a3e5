"""Elements of other people's collections, dicts, Rows or Arrow batches, as documents.

Inside, everything is an Arrow batch. An element that is not one travels beside its
facts in its own encoding, so that it comes out as it went in.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import coders
from apache_beam.typehints import typehints
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp

from synthfilter.core import schema
from synthfilter.core.batches import set_column
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import hash_texts, mix
from synthfilter.core.schema import Origin
from synthfilter.inputs.conform import conform_columns
from synthfilter.inputs.fields import map_fields
from synthfilter.inputs.paths import Columns, column_of
from synthfilter.inputs.records import documents_of_records

# Facts travel beside the columns of a user's batch under names of their own.
_PREFIX = "__synthfilter_"
_ELEMENT = "element"
_BATCH_ELEMENTS = 1000

# In somebody's own pipeline a document may be as long as Arrow's sizes go.
TEXT_LIMIT = 2**31 - 1

# What we say of a document: no part of it, so never part of its metadata.
_TOLD = frozenset(
    {
        schema.ORIGIN,
        schema.ORIGIN_EVIDENCE,
        schema.AI_SCORE,
        schema.CONTENT_HASH,
        schema.BUILD_ID,
        schema.REASON,
        schema.EVIDENCE,
    }
)


@dataclasses.dataclass(frozen=True)
class Packing:
    """How the elements of one collection become batches and come back.

    Attributes:
      kind: dict, row or batch.
      coder: Of one element; None for batches.
      row_fields: Names and types of a Row's fields.
      fields: Field to column, from the user.
    """

    kind: str
    coder: Any
    row_fields: tuple[tuple[str, Any], ...]
    fields: Mapping[str, str]

    def documents(self, elements: Any, columns: Sequence[str]) -> pa.RecordBatch:
        """Returns the documents in a list of elements, or in a batch.

        Columns of `schema.DOCUMENT` as asked for, and `error` and `position`.

        Raises:
          UserError: no field holds the text.
        """
        if self.kind == "batch":
            batch = elements.select(
                [n for n in elements.schema.names if n not in _TOLD]
            )
            found = Columns.of_schema(batch.schema)
            mapping = map_fields(found, self.fields, "the batch")
            rows = np.arange(batch.num_rows)
            return conform_columns(batch, mapping, columns, rows)
        records = [
            {
                name: value if self.kind == "dict" else without_rows(value)
                for name, value in as_mapping(element).items()
                if name not in _TOLD
            }
            for element in elements
        ]
        mapping = map_fields(Columns.of_records(records), self.fields, "the document")
        return documents_of_records(records, mapping).select(
            [*columns, schema.ERROR, schema.POSITION]
        )

    def values(self, elements: Any, name: str) -> list[Any]:
        """Returns one field of each document; None where it is missing."""
        if self.kind != "batch":
            return [as_mapping(element).get(name) for element in elements]
        if name not in elements.schema.names:
            return [None] * elements.num_rows
        return elements.column(name).to_pylist()

    def origins(self, elements: Any) -> np.ndarray:
        """Returns the `Origin` code of each document; UNKNOWN where there is none."""
        codes = {schema.ORIGIN_NAMES[who]: int(who) for who in schema.WRITTEN}
        names = self.values(elements, schema.ORIGIN)
        return np.array([codes.get(name, Origin.UNKNOWN) for name in names], np.uint8)

    def payload(self, elements: Any) -> pa.RecordBatch:
        """Returns the elements as a batch that gives them back in `unpack`."""
        if self.kind == "batch":
            return elements
        encoded = [self.coder.encode(element) for element in elements]
        return pa.RecordBatch.from_pydict({_ELEMENT: pa.array(encoded, pa.binary())})

    def unpack(
        self, payload: pa.RecordBatch, added: Mapping[str, pa.Array]
    ) -> Iterator[Any]:
        """Yields the elements of a payload, each with its values of `added`."""
        if self.kind == "batch":
            return self.extend(payload, added)
        decoded = [self.coder.decode(raw) for raw in payload.column(0).to_pylist()]
        return self.extend(decoded, added)

    def extend(self, elements: Any, added: Mapping[str, pa.Array]) -> Iterator[Any]:
        """Yields the elements of a list, or the batch, with the values of `added`."""
        if self.kind == "batch":
            for name, values in added.items():
                elements = set_column(elements, name, values)
            yield elements
            return
        lists = [values.to_pylist() for values in added.values()]
        rows = (
            zip(*lists, strict=True) if lists else itertools.repeat((), len(elements))
        )
        for element, values in zip(elements, rows, strict=True):
            more = dict(zip(added, values, strict=True))
            if self.kind == "row":
                yield beam.Row(**{**as_mapping(element), **more})
            else:
                yield {**element, **more}

    def output_type(self, added: Mapping[str, Any]) -> Any:
        """Returns the type of the elements with further fields."""
        if self.kind == "batch":
            return pa.RecordBatch
        if self.kind == "dict":
            return typehints.Dict[str, Any]
        fields: dict[str, Any] = dict(self.row_fields) | dict(added)
        return RowTypeConstraint.from_fields(list(fields.items()))


def packing_of(element_type: Any, fields: Mapping[str, str]) -> Packing:
    """Returns how to pack a collection of that type.

    Raises:
      UserError: elements of this type are not documents, or no field holds the text.
    """
    if element_type is pa.RecordBatch:
        return Packing("batch", None, (), fields)
    row = (
        element_type
        if isinstance(element_type, RowTypeConstraint)
        else RowTypeConstraint.from_user_type(element_type)
    )
    if row is not None:
        members: list[tuple[str, Any]] = list(row._fields)
        # Where names are known beforehand, a wrong one need not wait for the data.
        names = [name for name, _ in members if name not in _TOLD]
        within = [path for path in fields.values() if column_of(path, names) in names]
        map_fields(Columns(names, within), fields, "rows")
        coder = coders.registry.get_coder(RowTypeConstraint.from_fields(members))
        return Packing("row", coder, tuple(members), fields)
    if isinstance(element_type, typehints.DictConstraint) or element_type in (
        Any,
        dict,
        typehints.Any,
    ):
        return Packing("dict", coders.FastPrimitivesCoder(), (), fields)
    raise UserError(
        "expected a collection of dicts, schema'd Rows or pyarrow RecordBatches, got "
        f"elements of {element_type}"
    )


def as_batches(documents: Any, packing: Packing) -> Any:
    """Returns a collection of lists of elements, or of batches as they are."""
    if packing.kind == "batch":
        return documents
    return documents | "BatchElements" >> beam.BatchElements(
        min_batch_size=64, max_batch_size=_BATCH_ELEMENTS
    )


def as_mapping(element: Any) -> Mapping[str, Any]:
    """Returns a dict's or Row's fields."""
    return element if isinstance(element, Mapping) else element._asdict()


def without_rows(value: Any) -> Any:
    """Returns a Row's value with dicts for Rows in it, and RFC 3339 for Timestamps."""
    if isinstance(value, str) or value is None:
        return value
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: without_rows(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_rows(one) for one in value]
    return value.to_rfc3339() if isinstance(value, Timestamp) else value


def carry(payload: pa.RecordBatch, facts: Mapping[str, Any]) -> pa.RecordBatch:
    """Returns the payload with facts beside it, as it travels."""
    for name, values in facts.items():
        payload = payload.append_column(_PREFIX + name, pa.array(values))
    return payload


def split_carried(carried: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Returns payload and facts of what `carry` made."""
    names = carried.schema.names
    facts = carried.select([name for name in names if name.startswith(_PREFIX)])
    plain = [name.removeprefix(_PREFIX) for name in facts.schema.names]
    payload = carried.select([name for name in names if not name.startswith(_PREFIX)])
    return payload, facts.rename_columns(plain)


def hash_rows(payload: pa.RecordBatch) -> np.ndarray:
    """Returns a uint64 hash of all that a payload says of each document."""
    total = np.zeros(payload.num_rows, np.uint64)
    for values in payload.columns:
        if pa.types.is_binary(values.type):
            values = values.cast(pa.large_binary()).view(pa.large_string())
        elif pa.types.is_nested(values.type):
            values = pa.array([repr(value) for value in values.to_pylist()])
        elif not pa.types.is_large_string(values.type):
            values = values.cast(pa.large_string())
        total = mix(total ^ hash_texts(values)[1])
    return total
