"""Which column of an input is the text, the id, the source: names people use."""

import difflib
from collections.abc import Mapping, Sequence

from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.inputs import chat
from synthfilter.inputs.paths import ITEMS, Columns

# The first alias that a file has is taken; `metadata` is where dolma and datatrove keep
# what they know of a document. `generation` is a text in some formats and a number in
# others, so it is accepted only through `fields`.
ALIASES: dict[str, tuple[str, ...]] = {
    schema.TEXT: ("text", "contents", "content"),
    schema.ID: ("id", "document_id", "doc_id", "uuid", "metadata.id"),
    schema.SOURCE: ("source", "dataset", "domain", "metadata.source"),
    schema.CREATED: (
        *("created", "date", "timestamp"),
        *("metadata.created", "metadata.date", "metadata.timestamp"),
    ),
    schema.URL: ("url", "metadata.url"),
    schema.GENERATOR: ("generator", "model_name", "model"),
    schema.SYNTH_GENERATION: ("synth_generation",),
    schema.PARENT_IDS: ("parent_ids",),
    schema.REVIEWED: ("reviewed",),
    schema.ORIGIN: ("origin",),
    schema.LANGUAGE: ("language", "lang", "metadata.language", "metadata.lang"),
    schema.CATEGORY: (),
    schema.WEIGHT: (),
    schema.METADATA: ("metadata",),
}

# Fields to decide by: a set has no column for them, so they stay in the metadata, too.
BESIDE_METADATA = (schema.LANGUAGE, schema.CATEGORY, schema.WEIGHT)


_CHAT = (chat.ROLES, chat.TEMPLATE)


def parse_fields(entries: Sequence[str]) -> dict[str, str]:
    """Returns the mapping that `["text=body", "id=key"]` spells.

    A column may be a path into one, `data.body.text`; `[]` stands for all items of a
    list, for text alone. Where the text is a chat, `chat_roles=user,assistant` and
    `chat_template={role}: {content}` say how it is rendered.

    Raises:
      UserError: an entry is not NAME=COLUMN, NAME is not a field of a document, or a
        template has no place for the content.
    """
    chosen = {}
    for entry in entries:
        name, separator, found = entry.partition("=")
        if name not in (*ALIASES, *_CHAT) or not separator or not found:
            raise UserError(
                f"fields takes NAME=COLUMN with NAME one of {', '.join(ALIASES)}, "
                f"{', '.join(_CHAT)}; got {entry!r}"
            )
        if ITEMS in found and name not in (schema.TEXT, *_CHAT):
            raise UserError(f"{ITEMS} is for the text alone; got {entry!r}")
        chosen[name] = found
    chat.check_options(chosen)
    return chosen


def map_fields(
    columns: Columns, chosen: Mapping[str, str], path: str
) -> dict[str, str]:
    """Returns which column holds each field of a document; absent fields are left out.

    What `chosen` says of chats is in it, too.

    Args:
      columns: What the file has.
      chosen: Field to column or path, from the user; goes before the aliases.
      path: The file, for the message.

    Raises:
      UserError: no column holds the text, two have the same name, or a chosen column is
        missing; those of `BESIDE_METADATA` may be, not every file needs a category.
    """
    names = columns.names
    if len(set(names)) < len(names):
        raise UserError(f"{path}: a column name comes twice in {', '.join(names)}")
    mapping = {
        name: found
        for name, found in chosen.items()
        if name in _CHAT or columns.holds(found)
    }
    for name, wanted in chosen.items():
        if name not in mapping and name not in BESIDE_METADATA:
            raise UserError(
                f"{path}: no column {wanted!r} for {name!r}; {_near(wanted, columns)}"
                f"found {', '.join(names) or 'none'}"
            )
    for name, aliases in ALIASES.items():
        present = [alias for alias in aliases if columns.holds(alias)]
        if name not in mapping and present:
            mapping[name] = present[0]
    if schema.TEXT not in mapping:
        raise UserError(
            f"{path}: no text column: expected one of "
            f"{', '.join(ALIASES[schema.TEXT])}, found {', '.join(names) or 'none'}; "
            f"name it with --fields text={_likely_text(columns)}"
        )
    return mapping


def _near(wanted: str, columns: Columns) -> str:
    """Returns which columns and paths are spelt nearly like one that is missing."""
    known = [*columns.names, *columns.inner]
    near = difflib.get_close_matches(wanted, known, n=3)
    return f"near: {', '.join(near)}; " if near else ""


def _likely_text(columns: Columns) -> str:
    """Returns a column of messages, where there is one, as an example."""
    chats = [
        name
        for name in columns.names
        for content in ("content", "value")
        if f"{name}[].{content}" in columns.inner
    ]
    return chats[0] if chats else "COLUMN"


def describe(mapping: Mapping[str, str], columns: Columns) -> str:
    """Returns the mapping in one line, with the columns that go to metadata."""
    pairs = []
    for name, found in mapping.items():
        sign = "=" if name in _CHAT else " <- "
        pairs.append(name if name == found else f"{name}{sign}{found}")
    own = {found for name, found in mapping.items() if name not in BESIDE_METADATA}
    extra = [name for name in columns.names if name not in own]
    return ", ".join(pairs) + (f"; metadata <- {', '.join(extra)}" if extra else "")
