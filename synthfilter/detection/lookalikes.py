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
    at = np.flatnonzero(_LEADS[data])
    after = data[np.minimum(at + 1, len(data) - 1)]
    latin = _LATIN[(data[at].astype(np.intp) << 8) | after]
    at, latin = at[latin > 0], latin[latin > 0]
    if not len(at):
        return data, offsets
    row = np.searchsorted(offsets, at, side="right") - 1
    between = np.flatnonzero(~_LETTERS[data])
    stop = np.searchsorted(between, at)
    begin = np.maximum(np.append(-1, between)[stop] + 1, offsets[row])
    end = np.minimum(np.append(between, len(data))[stop], offsets[row + 1])
    ascii_letters = np.flatnonzero(_ASCII_LETTERS[data])
    mixed = np.searchsorted(ascii_letters, end) > np.searchsorted(ascii_letters, begin)
    at = at[mixed]
    if not len(at):
        return data, offsets
    folded = data.copy()
    folded[at] = latin[mixed]
    return np.delete(folded, at + 1), offsets - np.searchsorted(at + 1, offsets)
