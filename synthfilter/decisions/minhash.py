"""Word shingles of whole text columns, and the signatures that find near copies.

A document is the set of its shingles, runs of five words (Broder 1997). Of that set a
signature keeps the minima under many permutations, and two documents agree in a share
of them that estimates the Jaccard similarity of their sets. Bands of a signature are
keys: documents that share one are candidates, to be compared exactly.

Nothing here loops over documents or words. Stored signatures depend on every constant.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from synthfilter.core.errors import UserError
from synthfilter.core.hashing import mix
from synthfilter.core.text import text_buffers

SHINGLE_WORDS = 5
PERMUTATIONS = 112

# What is looked at in one step; small enough that its arrays stay in the cache.
_CHUNK_BYTES = 1 << 18
_CHUNK_SHINGLES = 1 << 16

_U64 = np.uint64
_GOLDEN = _U64(0x9E3779B97F4A7C15)
_NEXT_WORD = _U64(0xC2B2AE3D27D4EB4F)
_EVERY_BYTE = _U64(0x0101010101010101)
_TOP_BITS = _U64(0x8080808080808080)
# Eight bytes can be loaded from any place in a text and from the eight after it.
_PADDING = bytes(16)

# Letters and digits as they are compared; 0 separates. Bytes from 0x80 on stay.
_FOLDED = bytes(
    byte if byte >= 0x80 or chr(byte).isalnum() else 0
    for byte in bytes(range(256)).lower()
)
# Characters beyond ASCII that are no letters of a longer word, by code point.
_LETTER, _SEPARATOR, _WORD = range(3)
_KIND = np.full(1 << 16, _LETTER, np.uint8)
for _kind, _first, _last in (
    (_SEPARATOR, 0x80, 0xA9),
    (_SEPARATOR, 0xAB, 0xB4),
    (_SEPARATOR, 0xB6, 0xB9),
    (_SEPARATOR, 0xBB, 0xBF),
    (_SEPARATOR, 0x2000, 0x206F),  # dashes, quotes, bullets
    (_WORD, 0x3000, 0x30FF),  # kana
    (_SEPARATOR, 0x3000, 0x3004),
    (_SEPARATOR, 0x3008, 0x3020),
    (_SEPARATOR, 0x3030, 0x3030),
    (_SEPARATOR, 0x30FB, 0x30FB),
    (_WORD, 0x3400, 0x4DBF),  # Han
    (_WORD, 0x4E00, 0x9FFF),
    (_WORD, 0xF900, 0xFAFF),
    (_SEPARATOR, 0xFF01, 0xFF0F),  # full and half width
    (_SEPARATOR, 0xFF1A, 0xFF20),
    (_SEPARATOR, 0xFF3B, 0xFF40),
    (_SEPARATOR, 0xFF5B, 0xFF65),
    (_WORD, 0xFF66, 0xFF9F),
):
    _KIND[_first : _last + 1] = _kind
# Those of two bytes begin with the first of these, those of three with another.
_FIRST_LEAD = 0xC2
_LEADS = np.zeros(256, bool)
_LEADS[[_FIRST_LEAD, *range(0xE2, 0xEA), 0xEF]] = True


class Shingles(NamedTuple):
    """The hashed shingles of a column of documents.

    Attributes:
      hashes: uint64; those of one document side by side, one that it repeats repeated.
      offsets: int64, where each document's shingles start; one more than documents.
    """

    hashes: np.ndarray
    offsets: np.ndarray


class Bands(NamedTuple):
    """How a signature is cut: `bands` keys of `rows` minima each."""

    bands: int
    rows: int


def shingle_hashes(column: pa.Array, size: int = SHINGLE_WORDS) -> Shingles:
    """Returns the hash of every run of `size` words of every document.

    A word is a run of ASCII letters and digits, lower-cased, and of characters beyond
    ASCII, compared as they are; all its bytes count, however many. Dashes, quotes and
    other punctuation beyond ASCII separate words as ASCII's does; each Han character
    and kana is a word by itself. (Other scripts without spaces, like Thai, are cut
    where they have some.) A document of fewer words has one shingle, all its words;
    without words it has none. What a document gives does not depend on those around it.

    Args:
      column: Normalised text (`core.text.normalise`), as for `text_buffers`.
      size: Words in a shingle, at least 1.

    Raises:
      ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 word, got {size}")
    data, offsets = text_buffers(column)
    hashes, counts = [np.zeros(0, np.uint64)], [np.zeros(1, np.int64)]
    for start, stop in split_rows(offsets, _CHUNK_BYTES):
        bounds = offsets[start : stop + 1]
        part = data[bounds[0] : bounds[-1]]
        words, first = _word_hashes(part, bounds - bounds[0])
        found, count = _combine_words(words, first, size)
        hashes.append(found)
        counts.append(count)
    return Shingles(np.concatenate(hashes), np.cumsum(np.concatenate(counts)))


def split_rows(offsets: np.ndarray, limit: int) -> Iterator[tuple[int, int]]:
    """Yields `(start, stop)` of rows that hold at most `limit` items, or one row.

    Args:
      offsets: Where each row's items start, and their total; int64.
      limit: Items in one step.
    """
    start, rows = 0, len(offsets) - 1
    while start < rows:
        stop = int(np.searchsorted(offsets, offsets[start] + limit, side="right")) - 1
        stop = min(max(stop, start + 1), rows)
        yield start, stop
        start = stop


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns `counts[i]` ascending numbers from each `starts[i]` on, int64."""
    ends = np.cumsum(counts)
    shift = np.repeat(starts - (ends - counts), counts)
    shift += np.arange(len(shift))
    return shift


def _word_hashes(
    data: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the uint64 hash of each word, and where each document's words start."""
    # The byte in front makes a word at the very start begin like any other.
    folded = bytearray(b"\0" + data.tobytes() + _PADDING).translate(_FOLDED)
    text = np.frombuffer(folded, np.uint8)
    text, offsets = _part_words(text, offsets, _clear_separators(text))
    solid = text != 0
    start = np.flatnonzero(solid[1:] > solid[:-1])
    # A word's first eight bytes are the word itself, if it ends there.
    eight = np.ndarray((len(text) - 8,), "<u8", buffer=text, offset=1, strides=(1,))
    words, ends = _until_zero(eight[start])
    long = np.flatnonzero(~ends)
    end = np.append(start[1:], len(text) - len(_PADDING))
    # What lies beyond a word, up to the next one, is zero and adds nothing.
    lanes = (end[long] - start[long] - 1) >> 3
    long, lanes = long[lanes > 0], lanes[lanes > 0]
    if len(long):
        lane = ranges(np.ones(len(long), np.int64), lanes)
        rest, _ = _until_zero(eight[np.repeat(start[long], lanes) + lane * 8])
        rest *= mix(lane.view(np.uint64)) | _U64(1)
        words[long] += np.add.reduceat(mix(rest), np.cumsum(lanes) - lanes)
    return mix(words), np.searchsorted(start, offsets)


def _clear_separators(text: np.ndarray) -> np.ndarray:
    """Overwrites separators beyond ASCII with zeros, in place.

    Returns:
      Where characters that are words by themselves, of three bytes each, start.
    """
    at = np.flatnonzero(text >= _FIRST_LEAD)
    at = at[_LEADS[text[at]]]
    lead, second, third = (text[at + i].astype(np.int32) for i in range(3))
    two = (lead & 0x1F) << 6 | (second & 0x3F)
    three = (lead & 0x0F) << 12 | (second & 0x3F) << 6 | (third & 0x3F)
    wide = lead != _FIRST_LEAD
    kind = _KIND[np.where(wide, three, two)]
    mark = kind == _SEPARATOR
    for i in range(2):
        text[at[mark] + i] = 0
    text[at[mark & wide] + 2] = 0
    return at[kind == _WORD]


def _part_words(
    text: np.ndarray, offsets: np.ndarray, alone: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Puts a zero wherever one word would run into the next, or into a document's.

    Args:
      text: One byte more in front than `offsets` count.
      offsets: Where documents start.
      alone: Where characters that are words by themselves start in `text`.
    """
    cut = np.zeros(len(text), bool)
    cut[offsets[:-1] + 1] = cut[alone] = cut[alone + 3] = True
    cut = np.flatnonzero(cut)
    cut = cut[(text[cut] != 0) & (text[cut - 1] != 0)]
    if not len(cut):
        return text, offsets
    return np.insert(text, cut, 0), offsets + np.searchsorted(cut, offsets + 1, "right")


def _until_zero(eight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns uint64 loads cleared from their first zero byte on, and who has one."""
    zero = eight - _EVERY_BYTE
    zero &= ~eight
    zero &= _TOP_BITS
    ends = zero != 0
    # All bits below the lowest that is set, or all 64.
    zero &= np.negative(zero)
    zero -= _U64(1)
    zero &= eight
    return zero, ends


def _combine_words(
    words: np.ndarray, first: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the hashes of all shingles and how many each document has.

    Args:
      words: Hash of each word.
      first: Where each document's words start, and their total.
      size: Words in a shingle.
    """
    count, last = np.diff(first), first[1:]
    following = np.concatenate([words, np.zeros(size - 1, np.uint64)])
    shingles = words.copy()
    whole = np.ones(len(words), bool)
    # Words are the digits of a number to an odd base, so that their order and number
    # make a difference.
    short = []
    for n in range(1, size):
        begin = first[:-1][count == n]
        short.append((begin, shingles[begin]))
        whole[last[count > n] - n] = False
        shingles *= _NEXT_WORD
        shingles += following[n : n + len(words)]
    for begin, values in short:
        shingles[begin] = values
    number = np.where(count > 0, np.maximum(count - size + 1, 1), 0)
    return mix(shingles[whole]), number


def signatures(shingles: Shingles, permutations: int = PERMUTATIONS) -> np.ndarray:
    """Returns the minhash signature of each document, uint16 [documents, permutations].

    A permutation multiplies the upper 32 bits of a shingle's hash by an odd number,
    modulo 2^32; the minimum is scrambled and its low 16 bits are kept, so that two
    different minima agree once in 65,536. The first permutations are the same whatever
    their number. A document without shingles has a row of zeros, which says nothing:
    leave it out.

    Args:
      shingles: Of all documents.
      permutations: Minima to keep, at least 1.

    Raises:
      ValueError: `permutations` is less than 1.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    hashes, offsets = shingles
    factors = _odd_factors(permutations)
    rows = np.zeros((len(offsets) - 1, permutations), np.uint16)
    for start, stop in split_rows(offsets, _CHUNK_SHINGLES):
        bounds = offsets[start : stop + 1]
        filled = np.flatnonzero(np.diff(bounds))
        if len(filled):
            part = hashes[bounds[0] : bounds[-1]] >> _U64(32)
            # No factor moves 0: one shingle would be the minimum of all.
            part = np.maximum(part, _U64(1)).astype(np.uint32)
            low = _minima(part, bounds[filled] - bounds[0], factors)
            rows[start + filled] = _scramble(low).astype(np.uint16).T
    return rows


def _odd_factors(count: int) -> np.ndarray:
    """Returns odd uint32 numbers: upper halves of splitmix64's sequence from 0."""
    sequence = mix(np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)
    return (sequence >> _U64(32)).astype(np.uint32) | np.uint32(1)


def _minima(part: np.ndarray, first: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the least product of each run for each factor, [factors, runs]."""
    low = np.empty((len(factors), len(first)), np.uint32)
    product = np.empty_like(part)
    for k, factor in enumerate(factors):
        np.multiply(part, factor, out=product)
        np.minimum.reduceat(product, first, out=low[k])
    return low


def _scramble(values: np.ndarray) -> np.ndarray:
    """Scrambles uint32 values in place, one to one (lowbias32, Wellons 2018).

    The low bits of a product depend on no others. Kept as they are, two documents of
    one shingle each would agree in all permutations or in none.
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        values ^= values >> np.uint32(shift)
        values *= np.uint32(factor)
    values ^= values >> np.uint32(16)
    return values


def choose_bands(
    threshold: float, permutations: int = PERMUTATIONS, recall: float = 0.99
) -> Bands:
    """Returns the longest bands that still find documents at the threshold.

    Candidates are compared exactly, so a false one costs time; one that is missed is
    missed for good. Where even bands of one row miss more than is allowed (with 112
    permutations, thresholds below 0.041), they are what is returned.

    Args:
      threshold: Jaccard similarity of shingles, in (0, 1].
      permutations: Minima in a signature.
      recall: Least probability that two documents at the threshold are candidates,
        in (0, 1).

    Raises:
      UserError: the threshold is outside (0, 1].
      ValueError: another argument is outside its range.
    """
    if not 0 < threshold <= 1:
        raise UserError(
            f"the threshold of near copies must be in (0, 1], got {threshold}; 0.8 is "
            "a usual one"
        )
    if permutations < 1 or not 0 < recall < 1:
        raise ValueError(
            f"expected at least 1 permutation and a recall in (0, 1), got "
            f"{permutations} and {recall}"
        )
    for rows in range(permutations, 1, -1):
        bands = Bands(permutations // rows, rows)
        if candidate_probability(threshold, bands) >= recall:
            return bands
    return Bands(permutations, 1)


def candidate_probability(similarity: float, bands: Bands) -> float:
    """Returns how likely documents of a Jaccard similarity share a band."""
    return 1 - (1 - similarity**bands.rows) ** bands.bands


def band_keys(signature: np.ndarray, bands: Bands) -> np.ndarray:
    """Returns a hash of each band of each document, uint64 [documents, bands].

    Different bands have different keys even when their minima are the same.

    Args:
      signature: uint16 [documents, permutations].
      bands: How it is cut; minima that are left over are not used.

    Raises:
      ValueError: the bands need more minima than there are.
    """
    documents, permutations = signature.shape
    used = bands.bands * bands.rows
    if used > permutations:
        raise ValueError(f"{bands} need {used} minima a document, got {permutations}")
    minima = signature[:, :used].reshape(documents, bands.bands, bands.rows)
    band = np.arange(1, bands.bands + 1, dtype=np.uint64) * _GOLDEN
    keys = np.repeat(mix(band)[None, :], documents, axis=0)
    for row in range(bands.rows):
        keys *= _NEXT_WORD
        keys += minima[:, :, row]
    return mix(keys)


def estimate_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the share of minima that agree, float64, for each pair of rows.

    It estimates the Jaccard similarity s with a variance of s (1 - s) / permutations;
    the 1/65,536 by which chance agreement raises it is not corrected.

    Args:
      a: Signatures, [pairs, permutations].
      b: Signatures of the others.
    """
    return np.mean(a == b, axis=1)
