"""One spelling for text from everywhere: what a detector must not learn from.

Quotes, dashes and markup tell where a text was copied from, not who wrote it. Input is
text as `core.text.normalise` leaves it, one line a document, so the markers are
recognised inside a line too. Only documents that hold a marker are rewritten.
"""

import itertools
import operator
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core.text import (
    CharacterMap,
    collapse_blanks,
    replace_characters,
    text_buffers,
    text_column,
)
from synthfilter.detection.lookalikes import fold_lookalikes

_INLINE = "a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|small|span|strong|sub"
_INLINE += "|sup|tt|u|var|wbr"
_BLOCK = "address|article|aside|blockquote|body|br|button|caption|center|dd|details|div"
_BLOCK += "|dl|dt|figcaption|figure|footer|form|h[1-6]|head|header|hr|html|iframe|img"
_BLOCK += "|input|label|li|link|main|meta|nav|ol|option|p|picture|pre|section|select"
_BLOCK += "|source|summary|svg|table|tbody|td|tfoot|th|thead|title|tr|ul|video"
_ENTITIES = (
    (r"&(?:quot|ldquo|rdquo|laquo|raquo|#0*34|#x22);", '"'),
    (r"&(?:apos|lsquo|rsquo|#0*39|#x27|#0*821[67]|#x2019);", "'"),
    (r"&(?:ndash|mdash|minus|#0*821[12]|#x201[34]);", "-"),
    (r"&(?:hellip|#0*8230);", "..."),
    (r"&(?:nbsp|emsp|ensp|thinsp|#0*160|#xa0);", " "),
    (r"&(?:lt|#0*60);", "<"),
    (r"&(?:gt|#0*62);", ">"),
    (r"&(?:amp|#0*38);", "&"),
)


class _Rule(NamedTuple):
    """Replaces `pattern` in the documents that hold one of the bytes `markers`."""

    markers: bytes
    pattern: str
    replacement: str


_PUNCTUATION = CharacterMap(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
    | {"\u2026": "..."}
)
"""Quotes, dashes and the ellipsis beyond ASCII."""

_IN_CONTEXT = b"-+>"
"""Bytes that are markers only at certain places."""

# What is embedded in text by invisible characters (see `marks`), not those that belong
# to a character before them, as in emoji.
_EMBEDDED = r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]{13,}|[\x{E0100}-\x{E01EF}]+"

_RULES = (
    _Rule(b"\xf3", _EMBEDDED, ""),
    _Rule(b"\xe2", "[\u2022\u2023\u2043\u25aa\u25cf\u25e6\u2219] ?", ""),
    _Rule(b"<", r"<!--.*?-->", " "),
    _Rule(b"<", r"(?i)<(?:script|style)\b[^<>]*>.*?</(?:script|style)>", " "),
    _Rule(b"<", rf"(?i)</?(?:{_INLINE})(?:\s[^<>]*|/)?>", ""),
    _Rule(b"<", rf"(?i)</?(?:{_BLOCK})(?:\s[^<>]*|/)?>", " "),
    _Rule(b"<", r"<((?:https?://|mailto:)[^<>\s]+)>", r"\1"),
    *(_Rule(b"&", pattern, text) for pattern, text in _ENTITIES),
    _Rule(b"`", r"```[\w+#-]*", " "),
    _Rule(b"`", r"`", ""),
    _Rule(b"]", r"!?\[([^\[\]]*)\]\([^()\s]*(?: \"[^\"]*\")?\)", r"\1"),
    _Rule(b"[", r"\[\^\w+\]:?", ""),
    _Rule(b"|", r"\|(?: ?:?-+:? ?\|)+", " "),
    _Rule(b"|", r"(^| )\|+( |$)", r" "),
    _Rule(b"#", r"(^| )#{1,6} ", r"\1"),
    _Rule(b"*" + _IN_CONTEXT, r"(^|[.:;!?)] )(?:[-*+>] )+", r"\1"),
    _Rule(b"*", r"\*{2,}", ""),
    _Rule(b"*", r"(^|[^\w*])\*([^\s*](?:[^*]*[^\s*])?)\*", r"\1\2"),
    _Rule(b"_", r"\b_{1,3}([^\s_](?:[^_]*[^\s_])?)_{1,3}\b", r"\1"),
    _Rule(b"~", r"~~", ""),
    _Rule(_IN_CONTEXT, r"-{2,}", "-"),
)
_MARKERS = bytes(sorted({byte for rule in _RULES for byte in rule.markers}))
_NUMBERS = bytes(
    _MARKERS.index(byte) + 1 if byte in _MARKERS else 0 for byte in range(256)
)


_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_IN_WORD = np.zeros(256, bool)
_IN_WORD[list(_LETTERS + b"0123456789")] = True
_IN_CONTEXT_TABLE = np.zeros(256, bool)
_IN_CONTEXT_TABLE[list(_IN_CONTEXT)] = True
# What must follow some markers at once for a rule to apply: [byte, following byte].
_FOLLOWED = np.ones((256, 256), bool)
for _byte, _following in (
    (b"<", _LETTERS + b"/!"),
    (b"&", _LETTERS + b"#"),
    (b"[", b"^"),
    (b"]", b"("),
    (b"#", b"# "),
    (b"~", b"~"),
    (b"\xf3", b"\xa0"),
):
    _FOLLOWED[_byte[0]] = False
    _FOLLOWED[_byte[0], list(_following)] = True


def canonicalise(column: pa.Array) -> pa.Array:
    """Returns the text with straight quotes, plain dashes, no markup and no wrapper.

    Markdown emphasis, code marks, headings, bullets, links (their text stays), tables;
    HTML tags, comments and the common entities. Single spaces stay single. Letters
    that are Latin only by their looks become Latin (`lookalikes`).

    Args:
      column: Text as `normalise` returns it; nulls count as empty documents.

    Returns:
      A large_string array of the same length.
    """
    data, offsets = text_buffers(column)
    if len(data) and data.max() >= 0x80:
        data, offsets = replace_characters(data, offsets, _PUNCTUATION)
        data, offsets = fold_lookalikes(data, offsets)
    column = text_column(data, offsets)
    marked = _marked_rows(data, offsets)
    rows = marked.any(axis=1)
    if not rows.any():
        return column
    texts = column.filter(pa.array(rows))
    marked = marked[rows]
    for markers, rules in itertools.groupby(_RULES, operator.attrgetter("markers")):
        held = np.any(marked[:, list(map(_MARKERS.index, markers))], axis=1)
        texts = _apply(texts, held, rules)
    texts = text_column(*collapse_blanks(*text_buffers(texts)))
    return pc.replace_with_mask(column, pa.array(rows), texts)


def _apply(texts: pa.Array, rows: np.ndarray, rules: Iterable[_Rule]) -> pa.Array:
    """Applies rules (RE2, linear time) to some rows, one rule after another."""
    if not rows.any():
        return texts
    mask = pa.array(rows)
    changed = texts.filter(mask)
    for _, pattern, replacement in rules:
        changed = pc.replace_substring_regex(changed, pattern, replacement)
    return pc.replace_with_mask(texts, mask, changed)


def _marked_rows(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns which of `_MARKERS` each document holds, as (documents, markers) bool."""
    number = np.frombuffer(bytearray(data).translate(_NUMBERS), np.uint8)
    at = np.flatnonzero(number)
    row = np.searchsorted(offsets, at, side="right") - 1
    byte = data[at]
    following = data[np.minimum(at + 1, len(data) - 1)]
    following[at + 1 == offsets[row + 1]] = 0
    keep = _FOLLOWED[byte, following]
    doubtful = np.flatnonzero(keep & _IN_CONTEXT_TABLE[byte])
    keep[doubtful] = _starts_item(data, offsets, at[doubtful], row[doubtful])
    edges = np.flatnonzero(byte == ord("_"))
    before = data[np.maximum(at[edges] - 1, 0)]
    keep[edges] &= (at[edges] == offsets[row[edges]]) | ~_IN_WORD[before]
    marked = np.zeros((len(offsets) - 1, len(_MARKERS)), bool)
    marked[row[keep], number[at[keep]] - 1] = True
    return marked


def _starts_item(
    data: np.ndarray, offsets: np.ndarray, at: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Returns whether a dash, plus or angle begins a list item or a double dash."""
    first, last = offsets[row], offsets[row + 1] - 1
    following = data[np.minimum(at + 1, last)]
    spaced = (data[np.maximum(at - 1, first)] == ord(" ")) & (following == ord(" "))
    ends = np.isin(data[np.maximum(at - 2, first)], list(b".:;!?)"))
    opens = (at == first) & (following == ord(" "))
    doubled = (at < last) & (following == ord("-")) & (data[at] == ord("-"))
    return opens | doubled | (spaced & ends)
