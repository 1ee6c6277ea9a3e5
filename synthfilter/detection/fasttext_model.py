"""A supervised fastText model as arrays: its labels, its writer, and folding.

Files are read by `fasttext_file`.
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

ARGS = struct.Struct("<12id")
DICTIONARY = struct.Struct("<3i2q")
ENTRY_TAIL = struct.Struct("<qb")
SHAPE = struct.Struct("<2q")
ROWS_AT_ONCE = 1 << 18
LARGEST_COUNT = 10**12  # from 1e15 on, fastText's Huffman tree breaks
_LARGEST_WEIGHT = 1e6
"""A document's logit is a mean of weights; beyond 40 a score is 0 or 1."""


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
        return ARGS.pack(*dataclasses.astuple(self))


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
        DICTIONARY.pack(
            size, len(model.words), len(model.labels), model.token_count, NOT_PRUNED
        )
    )
    for kind, names, counts in (
        (0, model.words, model.word_counts),
        (1, [label.encode() for label in model.labels], model.label_counts),
    ):
        for entry, count in zip(names, counts.tolist(), strict=True):
            parts.append(entry + b"\0" + ENTRY_TAIL.pack(count, kind))
    for matrix in (model.input, model.output):
        parts.append(b"\0" + SHAPE.pack(*matrix.shape))
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
      ValueError: The model is not linear, or a folded weight is not finite or so large
        that sums of them might overflow.
    """
    if not model.is_linear or model.input is None or model.output is None:
        raise ValueError(
            "expected a two-label softmax model without subwords and quantisation, "
            f"got {describe(model)}; score it with the fastText library"
        )
    output = model.output.astype(np.float64)
    difference = (output[synthetic] - output[1 - synthetic]) * weight_scale
    folded = np.empty((len(model.input), 1), np.float32)
    for i in range(0, len(folded), ROWS_AT_ONCE):
        rows = model.input[i : i + ROWS_AT_ONCE].astype(np.float64)
        with np.errstate(over="ignore"):
            folded[i : i + len(rows), 0] = rows @ difference
    if not (np.abs(folded) <= _LARGEST_WEIGHT).all():
        raise ValueError(
            f"expected finite folded weights up to {_LARGEST_WEIGHT:g}, got others; "
            "fetch the file again or train with a lower lr"
        )
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
