"""fastText's .bin format: a parser that trusts nothing, a writer, and folding.

The layout is that of fastText's `FastText::saveModel`, format version 12. Every size
in the file is checked against the bytes that are there before anything is allocated.
"""

import dataclasses
import struct
from collections.abc import Iterable, Mapping

import numpy as np

from synthfilter.core.schema import HUMAN_NAMES, SYNTHETIC_NAMES

MAGIC = 793712314
VERSION = 12
SOFTMAX = 3
SUPERVISED = 3
LABEL_PREFIX = "__label__"
NOT_PRUNED = -1

_ARGS = struct.Struct("<12id")
_DICTIONARY = struct.Struct("<3i2q")
_ENTRY_TAIL = struct.Struct("<qb")
_SHAPE = struct.Struct("<2q")
_ROWS_AT_ONCE = 1 << 18
_LONGEST_NGRAM = 32
_LARGEST_COUNT = 10**12  # from 1e15 on, fastText's Huffman tree breaks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Args:
    """fastText's training arguments, in the order of the file."""

    dim: int
    ws: int
    epoch: int
    min_count: int
    neg: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lr_update_rate: int
    t: float

    def pack(self) -> bytes:
        """Returns the bytes of this record."""
        return _ARGS.pack(*dataclasses.astuple(self))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastTextModel:
    """A supervised fastText model as numpy arrays.

    Attributes:
      args: The training arguments.
      words: The vocabulary, most frequent first.
      word_counts: int64, how often each word was seen in training.
      labels: The label names as in the file, with their prefix.
      label_counts: int64.
      token_count: Tokens seen in training.
      input: float32 (words + bucket, dim); None in a quantised model.
      output: float32 (labels, dim); None in a quantised model.
    """

    args: Args
    words: tuple[bytes, ...]
    word_counts: np.ndarray
    labels: tuple[str, ...]
    label_counts: np.ndarray
    token_count: int
    input: np.ndarray | None
    output: np.ndarray | None

    @property
    def is_linear(self) -> bool:
        """Whether the scores are a softmax of two labels over words and n-grams."""
        return (
            self.input is not None
            and len(self.labels) == 2
            and self.args.loss == SOFTMAX
            and self.args.maxn <= 0
            and all(label.startswith(LABEL_PREFIX) for label in self.labels)
        )


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
    dictionary, rows = _read_dictionary(reader, args)
    (quantised,) = reader.unpack(struct.Struct("<B"), "the quantisation flag")
    matrices = []
    for what, height in (("input", rows), ("output", len(dictionary["labels"]))):
        if what == "output":
            (output_quantised,) = reader.unpack(struct.Struct("<B"), "a flag")
            quantised_now = quantised and output_quantised
        else:
            quantised_now = quantised
        read = _skip_quantised if quantised_now else _read_matrix
        matrices.append(read(reader, (height, args.dim), what))
    if reader.left:
        raise reader.fail("the end of the file", f"{reader.left} more bytes")
    if quantised:
        matrices = [None, None]
    return FastTextModel(args=args, input=matrices[0], output=matrices[1], **dictionary)


def serialise(model: FastTextModel) -> bytes:
    """Returns the bytes of a .bin file that stock fastText loads.

    Raises:
      ValueError: The model is quantised.
    """
    if model.input is None or model.output is None:
        raise ValueError("expected a model with matrices, got a quantised one")
    size = len(model.words) + len(model.labels)
    parts = [struct.pack("<2i", MAGIC, VERSION), model.args.pack()]
    parts.append(
        _DICTIONARY.pack(
            size, len(model.words), len(model.labels), model.token_count, NOT_PRUNED
        )
    )
    for kind, names, counts in (
        (0, model.words, model.word_counts),
        (1, [label.encode() for label in model.labels], model.label_counts),
    ):
        for entry, count in zip(names, counts.tolist(), strict=True):
            parts.append(entry + b"\0" + _ENTRY_TAIL.pack(count, kind))
    for matrix in (model.input, model.output):
        parts.append(b"\0" + _SHAPE.pack(*matrix.shape))
        parts.append(np.ascontiguousarray(matrix, "<f4").tobytes())
    return b"".join(parts)


def fold(
    model: FastTextModel, synthetic: int, weight_scale: float = 1.0
) -> FastTextModel:
    """Returns the model of dimension 1 that gives the same scores.

    With two labels the softmax depends on the difference of the two outputs only, and
    that is linear in the input rows: one float a feature holds it. Its sign is that of
    the synthetic label.

    Args:
      model: A model for which `is_linear` holds.
      synthetic: Index of the synthetic label in `model.labels`.
      weight_scale: Factor on all weights. Below 1 it flattens the probabilities
        without a change of order.

    Raises:
      ValueError: The model is not linear, or a folded weight is not finite.
    """
    if not model.is_linear or model.input is None or model.output is None:
        raise ValueError(
            "expected a two-label softmax model without subwords and quantisation, "
            f"got {describe(model)}; score it with the fastText library"
        )
    output = model.output.astype(np.float64)
    difference = (output[synthetic] - output[1 - synthetic]) * weight_scale
    folded = np.empty((len(model.input), 1), np.float32)
    for i in range(0, len(folded), _ROWS_AT_ONCE):
        rows = model.input[i : i + _ROWS_AT_ONCE].astype(np.float64)
        with np.errstate(over="ignore"):
            folded[i : i + len(rows), 0] = rows @ difference
    if not np.isfinite(folded).all():
        raise ValueError("expected finite folded weights, got NaN or infinity")
    side = np.full((2, 1), -0.5, np.float32)
    side[synthetic] = 0.5
    return dataclasses.replace(
        model,
        args=dataclasses.replace(model.args, dim=1),
        input=folded,
        output=side,
    )


def describe(model: FastTextModel) -> str:
    """Returns in words what kind of model it is, for messages."""
    traits = [f"{len(model.labels)} labels", f"loss {model.args.loss}"]
    traits += ["subwords"] if model.args.maxn > 0 else []
    traits += ["quantised"] if model.input is None else []
    return ", ".join(traits)


def synthetic_labels(
    labels: Iterable[str], names: Mapping[str, Iterable[str]] | None = None
) -> list[bool]:
    """Returns for each label whether it means machine-written text.

    Args:
      labels: Label names, with or without `__label__`.
      names: Further names, `{"synthetic": [...], "human": [...]}`.

    Raises:
      ValueError: A label has no known meaning, or all have the same.
    """
    names = names or {}
    machine = {*SYNTHETIC_NAMES, *map(_bare, names.get("synthetic", ()))}
    human = {*HUMAN_NAMES, *map(_bare, names.get("human", ()))}
    found = list(labels)
    sides = [
        label in machine if (label in machine) != (label in human) else None
        for label in map(_bare, found)
    ]
    if None in sides or len(set(sides)) != 2:
        raise ValueError(
            f"expected labels such as {LABEL_PREFIX}synthetic and {LABEL_PREFIX}human, "
            f"got {found}; say which is which in the model's JSON, "
            '{"labels": {"synthetic": [...], "human": [...]}}'
        )
    return [bool(side) for side in sides]


def _bare(label: str) -> str:
    return label.removeprefix(LABEL_PREFIX).lower()


def _read_args(reader: _Reader) -> Args:
    """Reads and checks the training arguments."""
    values = reader.unpack(_ARGS, "arguments")
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
    if args.minn < 0 or args.maxn < 0:
        raise reader.fail("subword lengths of 0 or more", f"{args.minn}, {args.maxn}")
    features = args.word_ngrams > 1 or args.maxn > 0
    if args.bucket < features:
        raise reader.fail("a positive bucket count", str(args.bucket))
    return args


def _read_dictionary(reader: _Reader, args: Args) -> tuple[dict, int]:
    """Returns the dictionary's fields and how many rows the input matrix must have."""
    size, n_words, n_labels, tokens, pruned = reader.unpack(_DICTIONARY, "dictionary")
    if n_words < 0 or n_labels < 2 or size != n_words + n_labels:
        raise reader.fail(
            "words + labels = entries, and 2 labels or more",
            f"{n_words} + {n_labels} = {size}",
        )
    if pruned < NOT_PRUNED:
        raise reader.fail("a count of pruned features", str(pruned))
    reader.need(size * (1 + _ENTRY_TAIL.size), f"{size} dictionary entries")
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
    return fields, rows


def _read_entries(
    reader: _Reader, size: int, n_words: int
) -> tuple[list[bytes], np.ndarray]:
    """Reads the dictionary's names and counts, words before labels."""
    data, at, tail = reader.data, reader.at, _ENTRY_TAIL.size
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
    if counts.min() < 0 or counts.max() > _LARGEST_COUNT:
        raise reader.fail(f"counts from 0 to {_LARGEST_COUNT:g}", "others")
    if kinds[:n_words].any() or (kinds[n_words:] != 1).any():
        raise reader.fail("words before labels", "other entries")
    if len(set(entries)) != size or not all(entries):
        raise reader.fail("distinct dictionary entries", "empty or repeated ones")
    return entries, counts


def _read_matrix(reader: _Reader, shape: tuple[int, int], what: str) -> np.ndarray:
    """Reads a dense matrix and checks its shape and weights."""
    got = reader.unpack(_SHAPE, f"the {what} matrix's shape")
    if got != shape:
        raise reader.fail(f"an {what} matrix of {shape}", str(got))
    matrix = reader.array("<f4", shape[0] * shape[1], f"the {what} matrix")
    for i in range(0, len(matrix), _ROWS_AT_ONCE):
        if not np.isfinite(matrix[i : i + _ROWS_AT_ONCE]).all():
            raise reader.fail(f"finite {what} weights", "NaN or infinity")
    return matrix.reshape(shape)


def _skip_quantised(reader: _Reader, shape: tuple[int, int], what: str) -> None:
    """Checks the sizes of a product-quantised matrix and steps over it."""
    normed, rows, dim, codes = reader.unpack(struct.Struct("<B2qi"), f"{what} codes")
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
    if got != dim or parts < 1 or width < 1 or (parts - 1) * width + last != dim:
        raise reader.fail(
            f"an {what} quantiser of dim {dim}", f"{got} in {parts} x {width} + {last}"
        )
    centroids = reader.array("<f4", 256 * dim, f"{what} centroids")
    if not np.isfinite(centroids).all():
        raise reader.fail(f"finite {what} centroids", "NaN or infinity")
    return parts
