"""Chats as text: messages of OpenAI's and ShareGPT's form, by a template.

OpenAI: `role` and `content`, a string or a list of parts of which those of type `text`
count. ShareGPT: `from` and `value`. Messages without content are passed over.
"""

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core.errors import UserError
from synthfilter.inputs.paths import as_text, is_list, is_text, items_of, join_texts

ROLES = "chat_roles"
TEMPLATE = "chat_template"
DEFAULT_TEMPLATE = r"{role}: {content}\n\n"

_KEYS = (("role", "content"), ("from", "value"))
_PLACES = re.compile(r"(\{role\}|\{content\})")
# What others call the two that talk.
_NAMES = {
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
_UNKNOWN = "unknown"


def role_name(said: str | None) -> str:
    """Returns what a role is called here, whatever the data set calls it."""
    name = (said or _UNKNOWN).strip().lower()
    return _NAMES.get(name, name)


def roles_of(options: Mapping[str, str]) -> frozenset[str] | None:
    """Returns the roles that `chat_roles` names; None for all."""
    if ROLES not in options:
        return None
    return frozenset(map(role_name, options[ROLES].split(",")))


def check_options(options: Mapping[str, str]) -> None:
    """Raises UserError unless the template has a place for the content."""
    template = options.get(TEMPLATE, DEFAULT_TEMPLATE)
    if "{content}" not in template:
        raise UserError(
            f"{TEMPLATE} must have {{content}}, and may have {{role}} and \\n, "
            f"got {template!r}"
        )


def _pieces(options: Mapping[str, str]) -> list[str]:
    """Returns the template's literal text and its places in turn."""
    template = options.get(TEMPLATE, DEFAULT_TEMPLATE)
    return _PLACES.split(template.replace(r"\n", "\n"))


def is_chat(kind: pa.DataType) -> bool:
    """Returns whether an Arrow type is of lists of messages."""
    keys = _keys_in(kind)
    if keys is None:
        return False
    content = kind.value_type.field(keys[1]).type
    return is_text(content) or _has_parts(content)


def _keys_in(kind: pa.DataType) -> tuple[str, str] | None:
    if not is_list(kind) or not pa.types.is_struct(kind.value_type):
        return None
    message = kind.value_type
    for keys in _KEYS:
        if all(message.get_field_index(key) >= 0 for key in keys):
            return keys if is_text(message.field(keys[0]).type) else None
    return None


def _has_parts(kind: pa.DataType) -> bool:
    if not is_list(kind) or not pa.types.is_struct(kind.value_type):
        return False
    at = kind.value_type.get_field_index("text")
    return at >= 0 and is_text(kind.value_type.field(at).type)


def render_column(column: pa.Array, options: Mapping[str, str]) -> pa.Array:
    """Returns each chat as text, large strings; null where there is no list.

    Args:
      column: Of a type that `is_chat`.
      options: `chat_roles` and `chat_template`, where they are given.
    """
    keys = _keys_in(column.type)
    assert keys is not None
    rows, messages = items_of(column)
    role = _role_names(pc.struct_field(messages, keys[0]))
    content = _contents(pc.struct_field(messages, keys[1]))
    wanted = roles_of(options)
    if wanted is not None:
        chosen = pc.is_in(role, value_set=pa.array(sorted(wanted), pa.large_string()))
        content = pc.if_else(chosen, content, pa.scalar(None, pa.large_string()))
    places = {"{role}": role, "{content}": content}
    pieces = [
        places.get(piece, pa.scalar(piece, pa.large_string()))
        for piece in _pieces(options)
    ]
    empty = pa.scalar("", pa.large_string())
    said = pc.binary_join_element_wise(*pieces, empty)
    return pc.ascii_rtrim(join_texts(said, rows, column.is_valid(), ""), "\n")


def _role_names(roles: pa.Array) -> pa.Array:
    """Returns the roles by our names; each distinct one is looked up once."""
    coded = as_text(roles).fill_null(_UNKNOWN).dictionary_encode()
    # Bytes, as readers do not check that strings are UTF-8.
    raw = coded.dictionary.cast(pa.large_binary()).to_pylist()
    names = [role_name(name.decode(errors="replace")) for name in raw]
    return pa.array(names, pa.large_string()).take(coded.indices)


def _contents(content: pa.Array) -> pa.Array:
    """Returns the contents of messages; the parts that are text, a line each."""
    if is_text(content.type):
        return as_text(content)
    rows, parts = items_of(content)
    texts = as_text(pc.struct_field(parts, "text"))
    if parts.type.get_field_index("type") >= 0:
        other = pc.not_equal(as_text(pc.struct_field(parts, "type")), "text")
        other = other.fill_null(False)
        texts = pc.if_else(other, pa.scalar(None, pa.large_string()), texts)
    return join_texts(texts, rows, content.is_valid(), "\n")


def render_messages(messages: list[Any], options: Mapping[str, str]) -> str:
    """Returns a chat of JSON as text.

    Raises:
      UserError: something in it is no message.
    """
    wanted, pieces = roles_of(options), _pieces(options)
    said = []
    for message in messages:
        role, content = _read_message(message)
        if content is not None and (wanted is None or role in wanted):
            places = {"{role}": role, "{content}": content}
            said += [places.get(piece, piece) for piece in pieces]
    return "".join(said).rstrip("\n")


def _read_message(message: Any) -> tuple[str, str | None]:
    """Returns role and content of a message; the content None where it has none."""
    said = message if isinstance(message, Mapping) else {}
    for role, content in _KEYS:
        if role not in said and content not in said:
            continue
        who, what = said.get(role), said.get(content)
        if isinstance(what, list):
            what = _join_parts(what)
        if isinstance(who, str | None) and isinstance(what, str | None):
            # Without content: a call of a tool, a refusal.
            return role_name(who), what
    raise UserError(
        "expected messages with role and content, or from and value, got "
        f"{str(message)[:60]!r}"
    )


def _join_parts(parts: list[Any]) -> str:
    texts = [
        part["text"]
        for part in parts
        if isinstance(part, Mapping)
        and part.get("type", "text") == "text"
        and isinstance(part.get("text"), str)
    ]
    return "\n".join(texts)
