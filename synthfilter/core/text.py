"""Text columns as flat byte buffers, and the one normalisation that all stages share.

Every stage that looks inside documents (hashing, scoring, shingling) works on the
bytes of a whole Arrow column at once; nothing here loops over documents.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_SPACES = "\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"


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


def rows_with_byte(
    data: np.ndarray, offsets: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Returns, for each document, whether it holds a byte for which `table` is true."""
    hits = np.flatnonzero(table[data])
    rows = np.zeros(len(offsets) - 1, bool)
    rows[np.searchsorted(offsets, hits, side="right") - 1] = True
    return rows


def normalise(column: pa.Array) -> pa.Array:
    """Returns the text as it is hashed and scored: same words, one spelling.

    NFC (Unicode Annex 15); zero-width, soft-hyphen and bidi marks removed; every run
    of white space and control characters is one space; none at either end. Letters,
    case, punctuation and markup stay.

    Args:
      column: As for `text_buffers`; nulls become empty documents.

    Returns:
      A large_string array of the same length.
    """
    data, offsets = text_buffers(column)
    beyond_ascii = rows_with_byte(data, offsets, np.arange(256) >= 128)
    if beyond_ascii.any():
        column = _fold_unicode(text_column(data, offsets), beyond_ascii)
        data, offsets = text_buffers(column)
    return text_column(*_collapse_blanks(data, offsets))


def _fold_unicode(column: pa.Array, rows: np.ndarray) -> pa.Array:
    """Composes the rows to NFC and turns Unicode spaces and marks to ASCII."""
    folded = pc.utf8_normalize(column.filter(pa.array(rows)), form="NFC")
    folded = pc.replace_substring_regex(folded, f"[{_SPACES}]", " ")
    folded = pc.replace_substring_regex(folded, f"[{_INVISIBLE}]", "")
    return pc.replace_with_mask(column, pa.array(rows), folded)


def _collapse_blanks(
    data: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keeps one space of each blank run and none at a document's ends.

    Bytes up to 32 are blanks: the space, white space and control characters.
    """
    data = np.maximum(data, np.uint8(32))
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
