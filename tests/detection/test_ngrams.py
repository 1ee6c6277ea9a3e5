"""The n-grams of text: the same ones, whoever makes the tokens."""

import collections
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synthfilter.core.ngrams import NAMES, NgramRows, concat_rows
from synthfilter.core.samples import ALL
from synthfilter.core.text import normalise
from synthfilter.detection import linear
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.ngrams import sample_text, score_and_sample

WHOLE = (ALL,) * 3
SOME = (ALL // 2, ALL // 8, ALL // 256)
TEXTS = [
    "The rain, the rain! 7 cafés; 42 kinder",
    "",
    "one",
    "the",
    "One two",
    "rain the rain the rain",
    "größe 重要",
    "z" * 700 + " the the",
]
WORDS = st.sampled_from(["the", "rain", "don't", "café", "_x_", "**b**", "é" * 9, "7"])
COLUMN = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=6)


class Counter:
    """A detector that makes no tokens."""

    def score(self, column: pa.Array) -> np.ndarray:
        return np.full(len(column), 0.5)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector()


def normal(texts: list[str]) -> pa.Array:
    return normalise(pa.array(texts, pa.string()))


def lists(rows: NgramRows, n: int) -> list[list[int]]:
    """The hashes of each document."""
    edges = np.concatenate([[0], np.cumsum(rows.sizes[n - 1])])
    found = rows.hashes[n - 1].tolist()
    return [found[a:b] for a, b in itertools.pairwise(edges.tolist())]


def equal(one: NgramRows, other: NgramRows) -> bool:
    pairs = zip(one.hashes + one.sizes, other.hashes + other.sizes, strict=True)
    return (
        one.below == other.below
        and np.array_equal(one.tokens, other.tokens)
        and all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)
    )


def hash_of(words: tuple[str, ...]) -> int:
    """The hash of an n-gram, as defined, in plain Python."""
    gram = 0
    for word in words:
        state = 2166136261
        for byte in word.encode():
            signed = byte if byte < 128 else byte | 0xFFFFFF00
            state = (state ^ signed) * 16777619 % 2**32
        signed = state if state < 2**31 else state + 2**64 - 2**32
        gram = (gram * 116049371 + signed) % 2**64
    spread = value = gram * 0x9E3779B97F4A7C15 % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return spread >> 56 << 56 | (value ^ value >> 31) % 2**56


def test_ngrams_are_those_that_plain_python_finds() -> None:
    found = sample_text(normal(TEXTS), WHOLE)
    tokens = [re.findall(r"[^\W\d]+|\d+|[^\w\s]", text) for text in TEXTS]
    assert found.tokens.tolist() == [len(words) for words in tokens]
    for n in (1, 2, 3):
        expected = [
            [hash_of(tuple(words[i : i + n])) for i in range(len(words) - n + 1)]
            for words in tokens
        ]
        assert lists(found, n) == expected


@given(COLUMN)
def test_a_sample_is_what_lies_below_its_bounds(texts) -> None:
    whole, some = (sample_text(normal(texts), below) for below in (WHOLE, SOME))
    assert some.below == SOME
    for n, below in zip((1, 2, 3), SOME, strict=True):
        left = [[h for h in hashes if h < below] for hashes in lists(whole, n)]
        assert lists(some, n) == left


@given(COLUMN, st.sampled_from([WHOLE, SOME]))
@example(TEXTS, WHOLE)
@example([], WHOLE)
def test_scoring_gives_the_same_ngrams_and_scores(detector, texts, below) -> None:
    column = normal(texts)
    scores, found = score_and_sample(detector, column, below)
    assert scores.tobytes() == detector.score(column).tobytes()
    assert equal(found, sample_text(column, below))


def test_a_detector_without_tokens_has_the_same_ngrams(detector) -> None:
    counter = load_detector(f"{__name__}:Counter")
    scores, found = score_and_sample(counter, normal(TEXTS), SOME)
    assert scores.tolist() == [0.5] * len(TEXTS)
    assert equal(found, score_and_sample(detector, normal(TEXTS), SOME)[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {"tokens": "words", "canonical": True}),
        ({}, {"tokens": "words", "canonical": False}),
        ({}, {"tokens": "spaces", "canonical": True}),
        ({"wordNgrams": 2}, {"tokens": "words", "canonical": True}),
        ({"wordNgrams": 5}, {"tokens": "words", "canonical": True}),
        ({"minn": 2, "maxn": 3}, {"tokens": "words", "canonical": True}),
    ],
)
def test_any_model_has_the_same_ngrams(train, tmp_path: Path, options, said) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(train(**options).read_bytes())
    path.with_suffix(".json").write_text(json.dumps(said))
    detector = load_detector(str(path))
    texts = [*TEXTS, "a **bold** _mark_ \u201cquoted\u201d <b>tag</b>"]
    scores, found = score_and_sample(detector, normal(texts), WHOLE)
    assert scores.tobytes() == detector.score(normal(texts)).tobytes()
    assert equal(found, sample_text(normal(texts), WHOLE))


@given(COLUMN, st.integers(1, 60), st.integers(0, 6))
@settings(max_examples=40)
def test_borders_change_nothing(detector, texts, chunk_bytes, cut) -> None:
    column = normal(texts)
    whole = sample_text(column, SOME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "CHUNK_BYTES", chunk_bytes)
        assert equal(sample_text(column, SOME), whole)
        assert equal(score_and_sample(detector, column, SOME)[1], whole)
    parts = [sample_text(part, SOME) for part in (column[:cut], column[cut:])]
    assert equal(concat_rows(parts, SOME), whole)


def test_case_is_kept_and_markup_is_not() -> None:
    found = sample_text(normal(["Rain rain **rain**", "rain"]), WHOLE)
    upper, *others = lists(found, 1)[0]
    assert set(others) == set(lists(found, 1)[1]) != {upper}


def test_hashes_of_many_ngrams_are_uniform(labelled_data: Path) -> None:
    text = pq.read_table(labelled_data / "human_pep.parquet")["text"]
    found = sample_text(normalise(text.combine_chunks()), WHOLE)
    for name, hashes in zip(NAMES, found.hashes, strict=True):
        distinct = np.unique(hashes)
        for shift in (56, 52, 48):
            counts = collections.Counter((distinct >> np.uint64(shift) & 255).tolist())
            expected = len(distinct) / 256
            apart = sum((counts[i] - expected) ** 2 / expected for i in range(256))
            # 255 expected; more than 350 has a probability of 1 in 10,000.
            assert apart < 350, name
