"""The columns of what a build writes: what each holds, in other formats' types."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from synthfilter.core import schema

COLUMN_TEXTS = {
    schema.ID: "id of the document, as the input has it, else a hash",
    schema.TEXT: "the text, unchanged",
    schema.SOURCE: "where the input says that it is from",
    schema.CREATED: "when it was written, as the input has it",
    schema.URL: "its address, as the input has it",
    schema.ORIGIN: "human or synthetic: who counts as its author",
    schema.ORIGIN_EVIDENCE: "all that says who wrote it; the first decides",
    schema.GENERATOR: "the model that wrote it, where something names one",
    schema.SYNTH_GENERATION: "rounds of generation from human text: human 0, unknown "
    "null",
    schema.PARENT_IDS: "ids of the documents that it was made from",
    schema.REVIEWED: "whether the input says that a person reviewed it",
    schema.AI_SCORE: "the detector's score, 1 is machine text; null: it has none",
    schema.CONTENT_HASH: "hash of the normalised text (XXH3, 128 bits)",
    schema.BUILD_ID: "the build that wrote this row",
    schema.METADATA: "all other columns of the input, as JSON",
    schema.REASON: "why it was left out",
    schema.EVIDENCE: "what that rests on: another document, a build, an option",
    "file": "the input file",
    schema.POSITION: "the line or row in it",
    "stage": "what failed",
}


class Part(NamedTuple):
    """One kind of what a build writes.

    Attributes:
      name: Of its configuration and its records.
      key: Of its files in the manifest.
      split: Its only split.
      files: Its files, as a glob relative to the output folder.
      columns: Its schema.
      text: What its rows are.
    """

    name: str
    key: str
    split: str
    files: str
    columns: pa.Schema
    text: str


PARTS = (
    Part(
        "default",
        "shards",
        "train",
        "data/train-*.parquet",
        schema.SHARD,
        "the documents of the set",
    ),
    Part(
        "rejected",
        "rejected",
        "rejected",
        "rejected/part-*.parquet",
        schema.REJECTED,
        "the documents that were left out, each with its reason",
    ),
    Part(
        "dead_letter",
        "dead_letters",
        "dead_letter",
        "dead_letter/part-*.parquet",
        schema.DEAD_LETTER,
        "the records that could not be read",
    ),
)


def written_parts(manifest: Mapping[str, Any]) -> list[Part]:
    """Returns the parts of which a build has written files."""
    return [part for part in PARTS if manifest[part.key]]


def column_text(name: str, part: Part) -> str:
    """Returns what a column of a part holds."""
    if part.columns is schema.DEAD_LETTER and name == schema.REASON:
        return "why it could not be read"
    return COLUMN_TEXTS[name]


def hub_feature(field: pa.Field) -> dict[str, Any]:
    """Returns a column as `dataset_info` of a dataset card has it."""
    if pa.types.is_list(field.type):
        return {"name": field.name, "list": _hub_type(field.type.value_type)}
    return {"name": field.name, "dtype": _hub_type(field.type)}


def _hub_type(kind: pa.DataType) -> str:
    return "float32" if kind == pa.float32() else str(kind)


def croissant_type(field: pa.Field) -> str:
    """Returns Croissant's type of a column's values; of a list, of what is in it."""
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    if field.name == schema.URL:
        return "sc:URL"
    return _CROISSANT[kind]


_CROISSANT = {
    pa.string(): "sc:Text",
    pa.large_string(): "sc:Text",
    pa.int32(): "cr:Int32",
    pa.float32(): "cr:Float32",
    pa.bool_(): "sc:Boolean",
}
