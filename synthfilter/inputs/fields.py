"""Which column of an input is the text, the id, the source: names people use."""

from collections.abc import Iterable, Mapping, Sequence

from synthfilter.core import schema
from synthfilter.core.errors import UserError

# The first alias that a file has is taken. `generation` is a text in some formats and
# a number in others, so it is accepted only through `fields`.
ALIASES: dict[str, tuple[str, ...]] = {
    schema.TEXT: ("text", "contents", "content"),
    schema.ID: ("id", "document_id", "doc_id", "uuid"),
    schema.SOURCE: ("source", "dataset", "domain"),
    schema.CREATED: ("created", "date", "timestamp"),
    schema.URL: ("url",),
    schema.GENERATOR: ("generator", "model_name", "model"),
    schema.SYNTH_GENERATION: ("synth_generation",),
    schema.PARENT_IDS: ("parent_ids",),
    schema.REVIEWED: ("reviewed",),
    schema.ORIGIN: ("origin",),
    schema.LANGUAGE: ("language", "lang"),
    schema.CATEGORY: (),
    schema.WEIGHT: (),
    schema.METADATA: ("metadata",),
}

# Fields to decide by: a set has no column for them, so they stay in the metadata, too.
BESIDE_METADATA = (schema.LANGUAGE, schema.CATEGORY, schema.WEIGHT)


def parse_fields(entries: Sequence[str]) -> dict[str, str]:
    """Returns the mapping that `["text=body", "id=key"]` spells.

    Raises:
      UserError: an entry is not NAME=COLUMN or NAME is not a field of a document.
    """
    chosen = {}
    for entry in entries:
        name, separator, found = entry.partition("=")
        if name not in ALIASES or not separator or not found:
            raise UserError(
                f"fields takes NAME=COLUMN with NAME one of {', '.join(ALIASES)}; "
                f"got {entry!r}"
            )
        chosen[name] = found
    return chosen


def map_fields(
    columns: Iterable[str], chosen: Mapping[str, str], path: str
) -> dict[str, str]:
    """Returns which column holds each field of a document; absent fields are left out.

    Args:
      columns: The names that the file has.
      chosen: Field to column, from the user; goes before the aliases.
      path: The file, for the message.

    Raises:
      UserError: no column holds the text, two have the same name, or a chosen column is
        missing; those of `BESIDE_METADATA` may be, not every file needs a category.
    """
    columns = list(columns)
    if len(set(columns)) < len(columns):
        raise UserError(f"{path}: a column name comes twice in {', '.join(columns)}")
    mapping = {name: found for name, found in chosen.items() if found in columns}
    for name, wanted in chosen.items():
        if name not in mapping and name not in BESIDE_METADATA:
            raise UserError(
                f"{path}: no column {wanted!r} for {name!r}; "
                f"found {', '.join(columns) or 'none'}"
            )
    for name, aliases in ALIASES.items():
        present = [alias for alias in aliases if alias in columns]
        if name not in mapping and present:
            mapping[name] = present[0]
    if schema.TEXT not in mapping:
        raise UserError(
            f"{path}: no text column: expected one of "
            f"{', '.join(ALIASES[schema.TEXT])}, found {', '.join(columns) or 'none'}; "
            "name it with --fields text=COLUMN"
        )
    return mapping


def describe(mapping: Mapping[str, str], columns: Iterable[str]) -> str:
    """Returns the mapping in one line, with the columns that go to metadata."""
    pairs = [
        name if name == found else f"{name} <- {found}"
        for name, found in mapping.items()
    ]
    own = {found for name, found in mapping.items() if name not in BESIDE_METADATA}
    extra = [name for name in columns if name not in own]
    return ", ".join(pairs) + (f"; metadata <- {', '.join(extra)}" if extra else "")
