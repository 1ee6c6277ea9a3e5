"""Token bounds over the byte buffer of a whole text column.

There are two tokenisations, by name. Training and scoring call the same function, so
they agree by construction.

`words`
    Runs of letters (every byte >= 0x80 counts as a letter), runs of ASCII digits, and
    single ASCII punctuation marks. An apostrophe between a letter and a lower-case
    ASCII letter belongs to the word (`don't`, `rock'n'roll`). The underscore separates
    and is no token, so `__label__x` is the two words `label` and `x`. Punctuation
    beyond ASCII is part of the word that it touches; what `canonicalise` spells in
    ASCII is not concerned.

`spaces`
    fastText's own: cut at space, tab, newline, vertical tab, form feed, carriage
    return and NUL. As fastText does, tokens that begin with `__label__` are left out
    and a document ends at a token `</s>`. Unlike there, a newline only separates.
"""

import itertools

import numpy as np

WORDS = "words"
SPACES = "spaces"
TOKENISATIONS = (WORDS, SPACES)

PADDING = 16
"""Bytes that a buffer needs past its last token for 8-byte loads at any byte."""

_BLANK, _LETTER, _DIGIT, _MARK = 0, 1, 2, 3
_APOSTROPHE = ord("'")
_MARKS_BEFORE = 3


def _byte_classes(tokens: str) -> bytes:
    """Returns the 256-entry translation from bytes to classes."""
    classes = np.full(256, _MARK if tokens == WORDS else _LETTER, np.uint8)
    classes[list(b" \t\n\v\f\r\0")] = _BLANK
    if tokens == WORDS:
        classes[ord("_")] = _BLANK
        classes[ord("0") : ord("9") + 1] = _DIGIT
        for first, last in ((65, 91), (97, 123), (128, 256)):
            classes[first:last] = _LETTER
    return classes.tobytes()


_CLASSES = {name: _byte_classes(name) for name in TOKENISATIONS}


def token_bounds(
    data: np.ndarray, offsets: np.ndarray, tokens: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first byte of every token and the byte after its last.

    No token crosses from one document to the next, and none depends on the documents
    around its own.

    Args:
      data: The uint8 bytes of all documents.
      offsets: Where each document starts in `data`, and its end; int64, from 0.
      tokens: One of `TOKENISATIONS`.

    Raises:
      ValueError: `tokens` is none of `TOKENISATIONS`.
    """
    check_tokenisation(tokens)
    size = len(data)
    kind = np.frombuffer(bytearray(data).translate(_CLASSES[tokens]), np.uint8)
    border = np.zeros(size + 1, bool)
    border[offsets] = True
    if tokens == WORDS:
        _join_apostrophes(data, kind, border)
    cut = border
    cut[1:size] |= kind[1:] != kind[:-1]
    if tokens == WORDS:
        cut[:size] |= kind == _MARK
    solid = kind != _BLANK
    start = np.flatnonzero(cut[:-1] & solid)
    end = np.flatnonzero(cut[1:] & solid) + 1
    if tokens == SPACES:
        return _as_fasttext_reads(data, offsets, start, end)
    return start, end


def words_per_document(
    data: np.ndarray, start: np.ndarray, end: np.ndarray, first: np.ndarray, tokens: str
) -> np.ndarray:
    """Returns how many tokens of each document are words, int64.

    A word begins with a letter; one of `spaces` may have up to three other bytes
    before it, such as a quote and a bracket.

    Args:
      data: The bytes that were cut.
      start: First byte of each token.
      end: Byte after the last of each.
      first: As `tokens_per_document` returns it.
      tokens: How they were cut.
    """
    is_word = _are_letters(data[start])
    if tokens == SPACES:
        others = np.flatnonzero(~is_word)
        for k in range(1, _MARKS_BEFORE + 1):
            others = others[start[others] + k < end[others]]
            found = _are_letters(data[start[others] + k])
            is_word[others] = found
            others = others[~found]
    words = np.zeros(len(first) - 1, np.int64)
    filled = np.flatnonzero(first[1:] > first[:-1])
    if len(filled):
        words[filled] = np.add.reduceat(is_word, first[filled], dtype=np.int32)
    return words


def check_tokenisation(tokens: str) -> None:
    """Raises ValueError unless `tokens` names a tokenisation."""
    if tokens not in TOKENISATIONS:
        raise ValueError(f"tokens must be one of {TOKENISATIONS}, got {tokens!r}")


def tokens_per_document(start: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns, for each document border, the number of tokens that start before it."""
    return np.searchsorted(start, offsets)


def token_lines(
    data: np.ndarray, start: np.ndarray, end: np.ndarray, first: np.ndarray
) -> list[bytes]:
    """Returns each document as one line: its tokens with one space between.

    fastText splits such a line into the very same tokens.
    """
    raw = data.tobytes()
    words = [raw[a:b] for a, b in zip(start.tolist(), end.tolist(), strict=True)]
    edges = first.tolist()
    return [b" ".join(words[a:b]) for a, b in itertools.pairwise(edges)]


def _are_letters(data: np.ndarray) -> np.ndarray:
    """Returns a mask of the bytes that are letters or part of one."""
    lower = (data | np.uint8(0x20)) - np.uint8(ord("a"))
    return (lower < 26) | (data >= 0x80)


def _join_apostrophes(data: np.ndarray, kind: np.ndarray, border: np.ndarray) -> None:
    """Makes letters of the apostrophes that belong to a word, in place."""
    at = np.flatnonzero(data == _APOSTROPHE)
    at = at[~border[at] & ~border[at + 1]]
    following = data[at + 1]
    lower = (following >= ord("a")) & (following <= ord("z"))
    kind[at[lower & (kind[at - 1] == _LETTER)]] = _LETTER


def _as_fasttext_reads(
    data: np.ndarray, offsets: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leaves out what fastText takes for a label or finds after an end of line."""
    keep = ~_tokens_with_prefix(data, start, end, b"__label__")
    ends_line = (end - start == 4) & _tokens_with_prefix(data, start, end, b"</s>")
    if ends_line.any():
        first = tokens_per_document(start, offsets)
        seen = np.concatenate([[0], np.cumsum(ends_line)])
        keep &= seen[1:] == np.repeat(seen[first[:-1]], np.diff(first))
    return (start, end) if keep.all() else (start[keep], end[keep])


def _tokens_with_prefix(
    data: np.ndarray, start: np.ndarray, end: np.ndarray, prefix: bytes
) -> np.ndarray:
    """Returns a mask of the tokens that begin with `prefix`."""
    found = np.flatnonzero(end - start >= len(prefix))
    for k, byte in enumerate(prefix):
        found = found[data[start[found] + k] == byte]
    mask = np.zeros(len(start), bool)
    mask[found] = True
    return mask
