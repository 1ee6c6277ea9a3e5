"""Letters of other scripts that stand in Latin words because they look the same.

To put Cyrillic or Greek letters into a text is the cheapest way to hide it from a
detector: people see no difference, and every word that has one is unknown. No word
of any language mixes these scripts, so only mixed words are rewritten: text in
Russian, Greek or both beside English stays as it is.
"""

import numpy as np

# Letters that have the very shape of a Latin one in common typefaces, not those that
# only resemble one (such as alpha or mu, which stand beside Latin letters in formulas).
_PAIRS = (
    ("АВЕЅІЈКМНОРСТХҮԚԜаеоѕіјрсухһԁԛԝ", "ABESIJKMHOPCTXYQWaeosijpcyxhdqw"),
    ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϳ", "ABEZHIKMNOPTYXoj"),  # noqa: RUF001
)
_LATIN = np.zeros(1 << 16, np.uint8)
for _found, _shown in _PAIRS:
    for _letter, _as_latin in zip(_found, _shown, strict=True):
        _LATIN[int.from_bytes(_letter.encode(), "big")] = ord(_as_latin)
_FIRST_LEAD = 0xCE
_LEADS = np.zeros(256, bool)
_LEADS[np.flatnonzero(_LATIN) >> 8] = True
_ASCII_LETTERS = np.zeros(256, bool)
_ASCII_LETTERS[[*range(65, 91), *range(97, 123)]] = True
_LETTERS = _ASCII_LETTERS.copy()
_LETTERS[0x80:] = True


def fold_lookalikes(
    data: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns data and offsets with Latin letters for those that only look so.

    A letter is replaced where its word, a run of letters, has an ASCII letter, too.

    Args:
      data: UTF-8 bytes of all documents.
      offsets: Where each document starts in `data`, and its end.
    """
    at = np.flatnonzero(data >= _FIRST_LEAD)
    at, latin = _lookalikes(data, at)
    if not len(at):
        return data, offsets
    row = np.searchsorted(offsets, at, side="right") - 1
    both = np.zeros(len(offsets) - 1, bool)
    both[np.searchsorted(offsets, _seams(data), side="right") - 1] = True
    at, latin, row = at[both[row]], latin[both[row]], row[both[row]]
    if not len(at):
        return data, offsets
    # Only documents that may have a mixed word are looked at byte by byte.
    rows, number = np.unique(row, return_inverse=True)
    size = offsets[rows + 1] - offsets[rows]
    moved = np.cumsum(size) - size - offsets[rows]
    place = np.arange(size.sum()) - np.repeat(moved, size)
    mixed = _in_mixed_words(
        data[place], np.append(offsets[rows] + moved, len(place)), at + moved[number]
    )
    at = at[mixed]
    folded = data.copy()
    folded[at] = latin[mixed]
    return np.delete(folded, at + 1), offsets - np.searchsorted(at + 1, offsets)


def _lookalikes(data: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which of the places have such a letter, and what it looks like."""
    at = at[_LEADS[data[at]]]
    after = data[np.minimum(at + 1, len(data) - 1)]
    latin = _LATIN[(data[at].astype(np.intp) << 8) | after]
    return at[latin > 0], latin[latin > 0]


def _seams(data: np.ndarray) -> np.ndarray:
    """Returns the ASCII letters beside a byte of another letter.

    Every mixed word has one. One at the edge of a document may be beside the next one's
    text, which costs no more than a look.
    """
    high = data >= 0x80
    edge = np.flatnonzero(high[1:] != high[:-1])
    edge += high[edge]
    return edge[_ASCII_LETTERS[data[edge]]]


def _in_mixed_words(
    data: np.ndarray, offsets: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Returns for each place whether its run of letters has an ASCII letter."""
    row = np.searchsorted(offsets, at, side="right") - 1
    between = np.flatnonzero(~_LETTERS[data])
    stop = np.searchsorted(between, at)
    begin = np.maximum(np.append(-1, between)[stop] + 1, offsets[row])
    end = np.minimum(np.append(between, len(data))[stop], offsets[row + 1])
    letters = np.flatnonzero(_ASCII_LETTERS[data])
    return np.searchsorted(letters, end) > np.searchsorted(letters, begin)
