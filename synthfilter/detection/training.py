"""The training recipe: labelled text in, a folded fastText model out.

Every function is pure and deterministic: the same text gives the same bytes. Order and
sampling come from hashes, and fastText runs with one thread and a fixed seed.
"""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from synthfilter.core.text import text_buffers
from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.fasttext_model import FastTextModel, fold
from synthfilter.detection.tokens import (
    WORDS,
    token_bounds,
    token_lines,
    tokens_per_document,
)

HUMAN, SYNTHETIC = "human", "synthetic"
WINDOW_TOKENS = 60
MAX_WINDOWS = 16
MAX_REPEATS = 8
WEIGHT_SCALE = 0.3
"""fastText reports log(p + 1e-5), so steep models give equal top scores; flatter
weights keep the order visible to whoever loads the model with fastText itself."""

FASTTEXT_OPTIONS = {
    "dim": 4,
    "wordNgrams": 3,
    "bucket": 2**20,
    "minCount": 2,
    "epoch": 5,
    "lr": 0.5,
    "thread": 1,
    "verbose": 0,
}
SEEDS = (1, 2, 3)
"""Runs of one dictionary differ in their noise; the mean of their weights has less."""


class Windows(NamedTuple):
    """Pieces of documents to train on.

    Attributes:
      lines: Tokens with one space between, one line a window.
      document: int64, which document each window is from.
    """

    lines: list[bytes]
    document: np.ndarray


def cut_windows(
    column: pa.Array,
    tokens: str = WORDS,
    window_tokens: int = WINDOW_TOKENS,
    max_windows: int = MAX_WINDOWS,
) -> Windows:
    """Cuts canonical text into windows of tokens.

    A document longer than `max_windows` windows gives that many, evenly spread; a rest
    of less than half a window joins the one before.

    Args:
      column: Text that is scored as it stands: normalised, and canonical if the model
        is to see it so.
      tokens: One of `tokens.TOKENISATIONS`.
      window_tokens: Tokens a window.
      max_windows: Windows a document.
    """
    data, offsets = text_buffers(column)
    start, end = token_bounds(data, offsets, tokens)
    first = tokens_per_document(start, offsets)
    size = np.diff(first)
    count = np.maximum((size + window_tokens // 2) // window_tokens, size > 0)
    kept = np.minimum(count, max_windows)
    document = np.repeat(np.arange(len(size)), kept)
    place = np.arange(len(document)) - np.repeat(np.cumsum(kept) - kept, kept)
    number = place * count[document] // np.maximum(kept[document], 1)
    begin = first[document] + number * window_tokens
    is_last = number == count[document] - 1
    until = np.where(is_last, first[document + 1], begin + window_tokens)
    words = token_lines(data, start, end, np.arange(len(start) + 1))
    lines = [
        b" ".join(words[a:b])
        for a, b in zip(begin.tolist(), until.tolist(), strict=True)
    ]
    return Windows(lines, document)


def balance_classes(
    synthetic: np.ndarray, strata: Sequence[str], keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which windows to train on, classes balanced in every stratum.

    Where both classes are present, the windows of the smaller are repeated until they
    are as many as those of the larger, up to `MAX_REPEATS` times. Where one is missing
    the other is left as it is.

    Args:
      synthetic: bool, the class of each window.
      strata: A name for each window, as source and domain.
      keys: uint64, random but fixed for each window; lower ones are repeated first.

    Returns:
      `(windows, repeats)`: int64 positions, and which repetition each is, from 0.
    """
    _, stratum = np.unique(np.asarray(strata, object), return_inverse=True)
    cell = stratum * 2 + synthetic
    size = np.bincount(cell, minlength=2 * (int(stratum.max(initial=-1)) + 1))
    other = size[np.arange(len(size)) ^ 1]
    wanted = np.clip(other, size, size * MAX_REPEATS)
    order = np.lexsort((keys, cell))
    cells = np.repeat(np.arange(len(size)), wanted)
    place = np.arange(len(cells)) - np.repeat(np.cumsum(wanted) - wanted, wanted)
    first = np.cumsum(size) - size
    return order[first[cells] + place % size[cells]], place // size[cells]


def training_lines(
    column: pa.Array, synthetic: np.ndarray, strata: Sequence[str], tokens: str = WORDS
) -> list[bytes]:
    """Returns the lines of fastText's training file, in the order of their hashes.

    Args:
      column: As for `cut_windows`.
      synthetic: bool, the class of each document.
      strata: Within which classes are balanced, one name a document.
      tokens: One of `tokens.TOKENISATIONS`.
    """
    lines, document = cut_windows(column, tokens)
    names = np.asarray(strata, object)[document]
    labels = np.asarray(synthetic, bool)[document]
    keys = [xxhash.xxh3_64_intdigest(line) for line in lines]
    chosen, repeats = balance_classes(labels, names, np.array(keys, np.uint64))
    heads = [f"__label__{name} ".encode() for name in (HUMAN, SYNTHETIC)]
    # A seed of its own for each repetition: not the keys, which say what is repeated.
    ordered = sorted(
        (
            xxhash.xxh3_64_intdigest(lines[i], 1 + repeat),
            heads[int(labels[i])] + lines[i],
        )
        for i, repeat in zip(chosen.tolist(), repeats.tolist(), strict=True)
    )
    return [line for _, line in ordered]


def train_lines(lines: Sequence[bytes], **options: float) -> FastTextModel:
    """Trains fastText on lines that begin with a label; returns the unfolded model.

    Args:
      lines: `__label__human ...` and `__label__synthetic ...`.
      **options: Of fastText, in place of those of the recipe.

    Raises:
      ValueError: One label has no line, or training diverged.
    """
    import fasttext

    for name in (HUMAN, SYNTHETIC):
        head = f"__label__{name} ".encode()
        if not any(line.startswith(head) for line in lines):
            raise ValueError(f"expected text of both labels to train on, none {name}")
    with tempfile.TemporaryDirectory() as folder:
        text, binary = os.path.join(folder, "train.txt"), os.path.join(folder, "m.bin")
        with open(text, "wb") as file:
            file.write(b"\n".join([*lines, b""]))
        try:
            trained = fasttext.train_supervised(text, **{**FASTTEXT_OPTIONS, **options})
        except RuntimeError as error:
            raise ValueError(f"training diverged ({error}); lower lr") from error
        trained.save_model(binary)
        with open(binary, "rb") as file:
            return parse(file.read(), "trained model")


def train_detector(
    column: pa.Array,
    synthetic: np.ndarray,
    strata: Sequence[str],
    tokens: str = WORDS,
    **options: float,
) -> FastTextModel:
    """Trains by the recipe and returns the folded model, the mean of all seeds.

    Args:
      column: As for `cut_windows`.
      synthetic: bool, the class of each document.
      strata: Within which classes are balanced, one name a document.
      tokens: One of `tokens.TOKENISATIONS`.
      **options: Of fastText, in place of those of the recipe.

    Raises:
      ValueError: As `train_lines`.
    """
    lines = training_lines(column, synthetic, strata, tokens)
    folded = []
    for seed in SEEDS:
        model = train_lines(lines, seed=seed, **options)
        index = model.labels.index(f"__label__{SYNTHETIC}")
        folded.append(fold(model, index, WEIGHT_SCALE))
    return average_weights(folded)


def average_weights(folded: Sequence[FastTextModel]) -> FastTextModel:
    """Returns the model whose weight of each feature is the mean of the models'.

    Args:
      folded: Models of the same lines, as `fold` returns them; at least one.

    Raises:
      ValueError: Their dictionaries differ, so that a row is not the same feature.
    """
    first = folded[0]
    if any((m.words, m.labels) != (first.words, first.labels) for m in folded):
        raise ValueError("expected models of one dictionary to average, got several")
    weights = np.array([model.input for model in folded], np.float64)
    return dataclasses.replace(first, input=weights.mean(axis=0).astype(np.float32))
