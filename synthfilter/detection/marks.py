"""Marks that say, inside a text, that a machine wrote it.

C2PA manifests in text (C2PA 2.4, appendix A.7 to A.9: a script in HTML, armour in a
comment, invisible variation selectors in plain text), and in HTML the digital source
type of IPTC and schema.org and the implicit label of GB 45438-2025.

Signatures are not verified: a mark that says "machine" is against its author's interest
and believed as it is, and none is believed that says "human". So what is damaged,
refers to another place or says nothing known is no mark, and is passed over.
"""

import html
import re
from collections.abc import Callable, Iterator

import c2pa_text
import numpy as np
import orjson
import pyarrow as pa

from synthfilter.core.schema import Says
from synthfilter.core.source_types import (
    LABEL_KEY,
    MACHINE_TERMS,
    SOURCE_TYPE_KEY,
    plain_key,
    says_label,
    says_source_type,
)
from synthfilter.core.text import text_buffers

# How a wrapper starts: the bytes of "C2PATXT\0" and version 1, one selector each.
_WRAPPER = c2pa_text.encode_wrapper(b"")[1:10].encode()
_SELECTOR = _WRAPPER[:1]
_ARMOUR = c2pa_text.BEGIN_DELIMITER.encode()
_MEDIA_TYPE = "application/c2pa"
_IN_HTML = (_MEDIA_TYPE.encode(), b"ompositeSynthetic", b"rainedAlgorithmic", b"AIGC")
_BLANKS = b" \t\r\n\xef\xbb\xbf"

# A manifest is CBOR, in which a string's end has no mark, or JSON.
_MACHINE_URI = re.compile(
    rf"(?:digitalsourcetype/|digsrctype:|schema\.org/)(?:{'|'.join(MACHINE_TERMS)})",
    re.IGNORECASE,
)
_META = re.compile(r"<meta\s([^<>]{0,4000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    r"""([\w:.-]{1,80})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|(["']))"""
)
_LINKED_DATA = re.compile(r"<script\s[^<>]{0,500}ld\+json[^<>]{0,500}>", re.IGNORECASE)
_SCRIPT_END = re.compile(r"</script", re.IGNORECASE)
_DEEPEST = 32


def find_marks(column: pa.Array) -> np.ndarray:
    """Returns what the marks in each text say: `Says` codes, uint8.

    The bytes of the whole column are searched for what every mark must hold; only
    documents that have it are looked at one by one.

    Args:
      column: Text as it was read, see `text_buffers`; nulls say nothing.
    """
    data, offsets = text_buffers(column)
    says = np.zeros(len(column), np.uint8)
    held = data.tobytes()
    for row in _rows_with(held, offsets, (_ARMOUR,)):
        says[row] = _says_text(held[offsets[row] : offsets[row + 1]], _in_armour)
    if _SELECTOR in held:
        for row in _rows_with(held, offsets, (_WRAPPER,)):
            says[row] |= _says_wrapped(held[offsets[row] : offsets[row + 1]])
    for row in _html_rows(held, offsets):
        text = held[offsets[row] : offsets[row + 1]]
        if any(needle in text for needle in _IN_HTML):
            says[row] |= _says_text(text, _in_html)
    return says


def _rows_with(held: bytes, offsets: np.ndarray, needles: tuple[bytes, ...]) -> list:
    """Returns the documents that hold one of the needles, ascending."""
    rows = set()
    for needle in needles:
        at = held.find(needle)
        while at >= 0:
            row = int(np.searchsorted(offsets, at, side="right")) - 1
            if at + len(needle) <= offsets[row + 1]:
                rows.add(row)
                at = held.find(needle, int(offsets[row + 1]))
            else:
                at = held.find(needle, at + 1)
    return sorted(rows)


def _html_rows(held: bytes, offsets: np.ndarray) -> Iterator[int]:
    """Yields the documents that begin with a tag; others may quote one."""
    starts, stops = offsets[:-1], offsets[1:]
    data = np.frombuffer(held, np.uint8)
    filled = np.flatnonzero(stops > starts)
    first = data[starts[filled]]
    tagged = (first == ord("<")) | np.isin(first, list(_BLANKS))
    for row in filled[tagged].tolist():
        head = held[starts[row] : min(stops[row], starts[row] + 64)]
        if head.lstrip(_BLANKS).startswith(b"<"):
            yield row


def _says_text(text: bytes, is_marked: Callable[[str], bool]) -> Says:
    """Returns SYNTHETIC for a text, or a part of one, that is so marked."""
    marked = is_marked(text.decode(errors="replace"))
    return Says.SYNTHETIC if marked else Says.NOTHING


def _says_wrapped(text: bytes) -> Says:
    """Returns what the wrappers of a text say; of several, each counts."""
    starts = [found.start() - 3 for found in re.finditer(re.escape(_WRAPPER), text)]
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        says = _says_text(text[max(start, 0) : stop], _in_wrapper)
        if says:
            return says
    return Says.NOTHING


def _in_wrapper(text: str) -> bool:
    # A text with a second run of selectors is refused, whatever that run is.
    mark, run = text[:1], text[1:].partition(c2pa_text.ZWNBSP)[0]
    found = c2pa_text.find_wrapper_info(mark + run)
    return found is not None and _is_machine(found[0])


def _in_armour(text: str) -> bool:
    try:
        found = c2pa_text.extract_structured(text)
    except c2pa_text.StructuredError:
        return False
    return found is not None and _is_machine(found.manifest)


def _is_machine(manifest: bytes | None) -> bool:
    """Returns whether any manifest of a store names a model as the source.

    An earlier state of the text counts, too: what was made of machine text is partly
    machine text.
    """
    said = (manifest or b"").decode("latin-1")
    return _MACHINE_URI.search(said) is not None


def _in_html(text: str) -> bool:
    # There must be one; of many, the library looks for each one's end.
    if text.count(_MEDIA_TYPE) == 1:
        try:
            found = c2pa_text.extract_html(text)
        except c2pa_text.HtmlError:
            found = None
        if found is not None and _is_machine(found.manifest):
            return True
    return _in_meta(text) or _in_linked_data(text)


def _in_meta(text: str) -> bool:
    """Returns whether a meta tag says so."""
    for tag in _META.finditer(text):
        attributes = _attributes(tag[1])
        content = attributes.get("content", "")
        for name in ("name", "property", "itemprop"):
            key = plain_key(attributes.get(name, ""))
            if key == SOURCE_TYPE_KEY and says_source_type(content):
                return True
            if key == LABEL_KEY and says_label(content):
                return True
    return False


def _attributes(tag: str) -> dict[str, str]:
    """Returns the attributes of a tag, up to a quote that nothing closes."""
    found = {}
    for attribute in _ATTRIBUTE.finditer(tag):
        name, double, single, unclosed = attribute.groups()
        if unclosed:
            break
        found[name.lower()] = html.unescape(double or single or "")
    return found


def _in_linked_data(text: str) -> bool:
    """Returns whether a JSON-LD script says so; one that is no JSON says nothing."""
    start = _LINKED_DATA.search(text)
    while start and (end := _SCRIPT_END.search(text, start.end())):
        try:
            found = orjson.loads(text[start.end() : end.start()])
        except orjson.JSONDecodeError:
            found = None
        if _names_machine(found, _DEEPEST):
            return True
        start = _LINKED_DATA.search(text, end.end())
    return False


def _names_machine(value: object, depth: int) -> bool:
    """Returns whether a digital source type anywhere in the value is a machine's."""
    if depth == 0:
        return False
    if isinstance(value, list):
        return any(_names_machine(each, depth - 1) for each in value)
    if not isinstance(value, dict):
        return False
    for key, held in value.items():
        if plain_key(key) == SOURCE_TYPE_KEY and _is_term(held):
            return True
        if _names_machine(held, depth - 1):
            return True
    return False


def _is_term(value: object) -> bool:
    """Returns whether a value, or its `@id`, or one of several, is a machine's term."""
    for each in value if isinstance(value, list) else [value]:
        term = each.get("@id") if isinstance(each, dict) else each
        if isinstance(term, str) and says_source_type(term):
            return True
    return False
