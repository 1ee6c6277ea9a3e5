"""Text columns as flat byte buffers, and the one normalisation that all stages share.

Every stage that looks inside documents (hashing, scoring, shingling) works on the
bytes of a whole Arrow column at once; nothing here loops over documents.
"""

import unicodedata
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class CharacterMap:
    """Replacements for single characters of two or three UTF-8 bytes.

    Args:
      replacements: Character to ASCII text that is no longer than its UTF-8 bytes.
    """

    def __init__(self, replacements: Mapping[str, str]) -> None:
        """Sorts the characters by their bytes."""
        pairs = sorted((c.encode(), text.encode()) for c, text in replacements.items())
        self.codes = np.array([_code(raw) for raw, _ in pairs], np.uint32)
        self.text = np.zeros((len(pairs), 3), np.uint8)
        for row, (_, text) in enumerate(pairs):
            self.text[row, : len(text)] = list(text)
        self.length = np.array([len(text) for _, text in pairs])
        self.leads = np.zeros(256, bool)
        self.leads[[raw[0] for raw, _ in pairs]] = True


def _code(raw: bytes) -> int:
    """Returns a character's two or three UTF-8 bytes as one number."""
    return int.from_bytes(raw.ljust(3, b"\0"), "big")


def _characters(*ranges: tuple[int, int]) -> list[str]:
    return [chr(c) for first, last in ranges for c in range(first, last + 1)]


_SPACES = _characters(
    (0x80, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
_INVISIBLE = _characters(
    (0xAD, 0xAD),
    (0x61C, 0x61C),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x206F),
    (0xFEFF, 0xFEFF),
)
_BLANKS = CharacterMap({c: " " for c in _SPACES} | {c: "" for c in _INVISIBLE})

# The lowest first byte of a character beyond ASCII.
_FIRST_LEAD = 0xC2
# Characters below U+0300 neither combine nor decompose further, and of those that
# start with the bytes E2 80 only spaces do, which are ASCII by then.
_COMBINING_LEAD = 0xCC


def text_buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bytes of a text column and where each document starts in them.

    Args:
      column: A string, large_string or string_view array, possibly a slice; nulls
        count as empty documents.

    Returns:
      `(data, offsets)`: uint8 bytes without the parts outside the slice, and int64
      offsets of length `len(column) + 1`, starting at 0. Both may be views.
    """
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if column.null_count:
        column = pc.fill_null(column, "")
    wide = pa.types.is_large_string(column.type)
    if not len(column):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offset_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64 if wide else np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    if data_buffer is None:
        return np.zeros(0, np.uint8), offsets - offsets[0]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]


def text_column(data: np.ndarray, offsets: np.ndarray) -> pa.Array:
    """Returns the large_string array over `data` (uint8) and `offsets` (int64)."""
    return pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data)
    )


def normalise(column: pa.Array) -> pa.Array:
    """Returns the text as it is hashed and scored: same words, one spelling.

    Zero-width, soft-hyphen and bidi marks removed; NFC (Unicode Annex 15); every run
    of white space and control characters is one space; none at either end. Letters,
    case, punctuation and markup stay.

    Args:
      column: As for `text_buffers`; nulls become empty documents.

    Returns:
      A large_string array of the same length.
    """
    data, offsets = replace_characters(*text_buffers(column), _BLANKS)
    return text_column(*collapse_blanks(*_compose(data, offsets)))


def count_words(normalised: pa.Array) -> np.ndarray:
    """Returns the number of words of each text, int32: what spaces part.

    Args:
      normalised: Text as `normalise` returns it.
    """
    spaces = pc.count_substring(normalised, " ").to_numpy().astype(np.int32)
    return spaces + (np.diff(text_buffers(normalised)[1]) > 0)


def replace_characters(
    data: np.ndarray, offsets: np.ndarray, characters: CharacterMap
) -> tuple[np.ndarray, np.ndarray]:
    """Returns data and offsets with each mapped character replaced."""
    at = np.flatnonzero(data >= _FIRST_LEAD)
    at = at[characters.leads[data[at]]]
    if not len(at):
        return data, offsets
    padded = np.append(data, np.zeros(2, np.uint8))
    lead, second, third = (padded[at + i].astype(np.uint32) for i in range(3))
    size = np.where(lead < 0xE0, 2, 3)
    code = (lead << 16) | (second << 8) | np.where(size == 3, third, 0)
    found = np.searchsorted(characters.codes, code)
    found = np.minimum(found, len(characters.codes) - 1)
    hit = characters.codes[found] == code
    at, found, size = at[hit], found[hit], size[hit]
    if not len(at):
        return data, offsets
    drop = []
    for i in range(3):
        written = characters.length[found] > i
        padded[at[written] + i] = characters.text[found[written], i]
        drop.append(at[~written & (size > i)] + i)
    return _without(padded[:-2], offsets, np.sort(np.concatenate(drop)))


def _compose(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brings the documents that may need it to NFC."""
    high = np.flatnonzero(data >= _COMBINING_LEAD)
    if not len(high):
        return data, offsets
    following = data[np.minimum(high + 1, len(data) - 1)]
    high = high[~((data[high] == 0xE2) & (following == 0x80))]
    if not len(high):
        return data, offsets
    rows = np.zeros(len(offsets) - 1, bool)
    rows[np.searchsorted(offsets, high, side="right") - 1] = True
    column, mask = text_column(data, offsets), pa.array(rows)
    # Arrow's utf8_normalize decomposes whatever form is asked for (apache/arrow#51225).
    composed = [
        text
        if unicodedata.is_normalized("NFC", text)
        else unicodedata.normalize("NFC", text)
        for text in column.filter(mask).to_pylist()
    ]
    replaced = pa.array(composed, pa.large_string())
    return text_buffers(pc.replace_with_mask(column, mask, replaced))


def collapse_blanks(
    data: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keeps one space of each blank run and none at a document's ends.

    Bytes up to 32, and 127, are blanks: the space, white space, control characters.
    """
    data = np.maximum(data, np.uint8(32))
    data[data == 127] = 32
    blank = data == 32
    drop = np.empty(len(data), bool)
    np.logical_and(blank[:-1], blank[1:], out=drop[:-1])
    filled = offsets[1:] > offsets[:-1]
    last = offsets[1:][filled] - 1
    drop[last] = blank[last]
    data, offsets = _without(data, offsets, np.flatnonzero(drop))
    # What is left of a leading run is one space at a document's start.
    first = offsets[:-1][offsets[1:] > offsets[:-1]]
    return _without(data, offsets, first[data[first] == 32])


def _without(
    data: np.ndarray, offsets: np.ndarray, dropped: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns data and offsets without the bytes at the sorted positions `dropped`."""
    if not len(dropped):
        return data, offsets
    return np.delete(data, dropped), offsets - np.searchsorted(dropped, offsets)


def printable(name: str, most: int = 60) -> str:
    """Returns a name without what a terminal would obey, and not too long.

    Args:
      name: Any text.
      most: Characters it may have.
    """
    # The rest of a long one is not looked at.
    safe = "".join(c if c.isprintable() else "\ufffd" for c in name[: most + 1])
    return safe if len(safe) <= most else safe[: most - 1] + "\u2026"
