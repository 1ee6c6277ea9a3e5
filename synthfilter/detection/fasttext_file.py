"""Reads fastText's .bin and .ftz files, and trusts nothing in them.

The layout is that of fastText's `FastText::saveModel`, format version 12. The library
checks no more than the first eight bytes: of half a file it makes a model that scores
0.5, and of a wrong size a write beyond its memory. Here every size is checked against
the bytes that are there before anything is allocated, so that what is accepted is
what the library, too, can load.
"""

import dataclasses
import struct

import numpy as np

from synthfilter.detection.fasttext_model import (
    ARGS,
    DICTIONARY,
    ENTRY_TAIL,
    LARGEST_COUNT,
    MAGIC,
    NOT_PRUNED,
    ROWS_AT_ONCE,
    SHAPE,
    SUPERVISED,
    VERSION,
    Args,
    FastTextModel,
)

_LONGEST_NGRAM = 32
_LONGEST_SUBWORD = 64
_FLAG = struct.Struct("<B")
_BLANKS = bytes(sorted(b" \t\n\v\f\r"))


class _Reader:
    """Takes values from the front of a buffer and says what is missing."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self.at = data, name, 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def fail(self, expected: str, got: str) -> ValueError:
        return ValueError(
            f"{self.name}: expected {expected}, got {got}; "
            "fetch the file again or save the model anew with fastText"
        )

    def need(self, size: int, what: str) -> None:
        if not 0 <= size <= self.left:
            raise self.fail(f"{size} bytes of {what}", f"{self.left} bytes to the end")

    def unpack(self, layout: struct.Struct, what: str) -> tuple:
        self.need(layout.size, what)
        values = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return values

    def array(self, dtype: str, count: int, what: str) -> np.ndarray:
        size = np.dtype(dtype).itemsize * count
        self.need(size, what)
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += size
        return values


def parse(data: bytes, name: str = "model") -> FastTextModel:
    """Returns the model in the bytes of a fastText .bin or .ftz file.

    The arrays are views of `data`. Of quantised models only the sizes are checked.

    Args:
      data: The whole file.
      name: What error messages call it.

    Raises:
      ValueError: Not a supervised fastText model of version 12, or a size, count or
        weight that cannot be.
    """
    reader = _Reader(data, name)
    magic, version = reader.unpack(struct.Struct("<2i"), "header")
    if magic != MAGIC:
        raise reader.fail(f"fastText's magic number {MAGIC}", str(magic))
    if version != VERSION:
        raise reader.fail(f"format version {VERSION}", str(version))
    args = _read_args(reader)
    dictionary, rows, pruned = _read_dictionary(reader, args)
    quantised = _read_flag(reader, "input")
    if pruned and not quantised:
        raise reader.fail("a quantised model, as it is pruned", "a plain one")
    read = _skip_quantised if quantised else _read_matrix
    input_matrix = read(reader, (rows, args.dim), "input")
    # The library looks at the second flag only where the first is set.
    quantised_output = _read_flag(reader, "output") and quantised
    read = _skip_quantised if quantised_output else _read_matrix
    output = read(reader, (len(dictionary["labels"]), args.dim), "output")
    if reader.left:
        raise reader.fail("the end of the file", f"{reader.left} more bytes")
    if quantised:
        output = None
    return FastTextModel(args=args, input=input_matrix, output=output, **dictionary)


def _read_args(reader: _Reader) -> Args:
    """Reads and checks the training arguments."""
    values = reader.unpack(ARGS, "arguments")
    fields = [field.name for field in dataclasses.fields(Args)]
    args = Args(**dict(zip(fields, values, strict=True)))
    if args.model != SUPERVISED:
        raise reader.fail(
            f"a supervised model (kind {SUPERVISED})", f"kind {args.model}"
        )
    ngrams_fit = 1 <= args.word_ngrams <= _LONGEST_NGRAM
    if args.dim < 1 or not ngrams_fit or not 1 <= args.loss <= 4:
        raise reader.fail(
            f"dim >= 1, wordNgrams of 1 to {_LONGEST_NGRAM} and a loss of 1 to 4",
            f"{args.dim}, {args.word_ngrams} and {args.loss}",
        )
    if args.minn < 0 or not 0 <= args.maxn <= _LONGEST_SUBWORD:
        raise reader.fail(
            f"subword lengths of 0 to {_LONGEST_SUBWORD}", f"{args.minn}, {args.maxn}"
        )
    features = args.word_ngrams > 1 or args.maxn > 0
    if args.bucket < features:
        raise reader.fail("a positive bucket count", str(args.bucket))
    return args


def _read_dictionary(reader: _Reader, args: Args) -> tuple[dict, int, bool]:
    """Returns the dictionary's fields, the rows of the input, and if it is pruned."""
    size, n_words, n_labels, tokens, pruned = reader.unpack(DICTIONARY, "dictionary")
    if n_words < 0 or n_labels < 2 or size != n_words + n_labels:
        raise reader.fail(
            "words + labels = entries, and 2 labels or more",
            f"{n_words} + {n_labels} = {size}",
        )
    if pruned < NOT_PRUNED or tokens < 0:
        raise reader.fail(
            "counts of pruned features and of tokens", f"{pruned} and {tokens}"
        )
    reader.need(size * (1 + ENTRY_TAIL.size), f"{size} dictionary entries")
    entries, counts = _read_entries(reader, size, n_words)
    reader.need(8 * max(pruned, 0), "the pruning table")
    kept = reader.array("<i4", 2 * max(pruned, 0), "the pruning table")
    rows = n_words + (args.bucket if pruned == NOT_PRUNED else pruned)
    if len(kept) and not (0 <= kept[1::2].min() and kept[1::2].max() < pruned):
        raise reader.fail(f"pruned features below {pruned}", "others")
    try:
        labels = [entry.decode() for entry in entries[n_words:]]
    except UnicodeDecodeError as error:
        raise reader.fail("labels in UTF-8", "other bytes") from error
    fields = {
        "words": tuple(entries[:n_words]),
        "word_counts": counts[:n_words],
        "labels": tuple(labels),
        "label_counts": counts[n_words:],
        "token_count": tokens,
    }
    return fields, rows, pruned != NOT_PRUNED


def _read_entries(
    reader: _Reader, size: int, n_words: int
) -> tuple[list[bytes], np.ndarray]:
    """Reads the dictionary's names and counts, words before labels."""
    data, at, tail = reader.data, reader.at, ENTRY_TAIL.size
    entries: list[bytes] = []
    ends: list[int] = []
    for _ in range(size):
        end = data.find(b"\0", at)
        if end < 0 or end + tail >= len(data):
            raise reader.fail(f"{size} dictionary entries", f"{len(entries)}")
        entries.append(data[at:end])
        ends.append(end)
        at = end + 1 + tail
    reader.at = at
    raw = np.frombuffer(data, np.uint8)
    fields = raw[np.asarray(ends)[:, None] + np.arange(1, 1 + tail)]
    counts = np.ascontiguousarray(fields[:, :8]).view("<i8")[:, 0]
    kinds = fields[:, 8]
    of_labels = counts[n_words:].sum(dtype=np.float64)
    if counts.min() < 0 or max(counts.max(), of_labels) > LARGEST_COUNT:
        raise reader.fail(f"counts from 0 to {LARGEST_COUNT:g}", "others")
    if kinds[:n_words].any() or (kinds[n_words:] != 1).any():
        raise reader.fail("words before labels", "other entries")
    if len(set(entries)) != size or not all(entries):
        raise reader.fail("distinct dictionary entries", "empty or repeated ones")
    names = b"".join(entries)
    if len(names.translate(None, _BLANKS)) != len(names):
        raise reader.fail("dictionary entries without white space", "others")
    return entries, counts


def _read_flag(reader: _Reader, what: str) -> bool:
    """Reads a byte that says whether something is so."""
    (flag,) = reader.unpack(_FLAG, f"the {what} matrix's flag")
    if flag > 1:
        raise reader.fail(f"an {what} flag of 0 or 1", str(flag))
    return bool(flag)


def _read_matrix(reader: _Reader, shape: tuple[int, int], what: str) -> np.ndarray:
    """Reads a dense matrix and checks its shape and weights."""
    got = reader.unpack(SHAPE, f"the {what} matrix's shape")
    if got != shape:
        raise reader.fail(f"an {what} matrix of {shape}", str(got))
    matrix = reader.array("<f4", shape[0] * shape[1], f"the {what} matrix")
    for i in range(0, len(matrix), ROWS_AT_ONCE):
        if not np.isfinite(matrix[i : i + ROWS_AT_ONCE]).all():
            raise reader.fail(f"finite {what} weights", "NaN or infinity")
    return matrix.reshape(shape)


def _skip_quantised(reader: _Reader, shape: tuple[int, int], what: str) -> None:
    """Checks the sizes of a product-quantised matrix and steps over it."""
    normed = _read_flag(reader, what)
    rows, dim, codes = reader.unpack(struct.Struct("<2qi"), f"{what} codes")
    if (rows, dim) != shape:
        raise reader.fail(f"an {what} matrix of {shape}", f"{(rows, dim)}")
    reader.array("u1", codes, f"{what} codes")
    subquantisers = _skip_quantiser(reader, dim, what)
    if codes != rows * subquantisers:
        raise reader.fail(f"{rows * subquantisers} {what} codes", str(codes))
    if normed:
        reader.array("u1", rows, f"{what} norm codes")
        _skip_quantiser(reader, 1, what)


def _skip_quantiser(reader: _Reader, dim: int, what: str) -> int:
    """Checks one product quantiser and returns how many parts a row has."""
    got, parts, width, last = reader.unpack(struct.Struct("<4i"), f"{what} quantiser")
    if got != dim or not 1 <= last <= width or (parts - 1) * width + last != dim:
        raise reader.fail(
            f"an {what} quantiser of dim {dim}", f"{got} in {parts} x {width} + {last}"
        )
    centroids = reader.array("<f4", 256 * dim, f"{what} centroids")
    if not np.isfinite(centroids).all():
        raise reader.fail(f"finite {what} centroids", "NaN or infinity")
    return parts
