"""Figures of diversity against plain counts of the same text."""

import base64
import collections
import math
from pathlib import Path

import datasketches
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.ngrams import NAMES, NgramRows, concat_rows
from synthfilter.core.samples import ALL
from synthfilter.core.schema import Origin
from synthfilter.core.text import normalise
from synthfilter.detection.ngrams import sample_text
from synthfilter.insight import diversity
from synthfilter.insight.diversity import (
    Ngrams,
    add_ngrams,
    compress_text,
    measure_ngrams,
    no_ngrams,
    novelty,
    sketches_from_text,
    sketches_of,
    sketches_to_text,
    tell_diversity,
)

WHOLE = (ALL,) * 3
TEXTS = ["a b a", "b c", "", "a b c d", "d"]
HUMAN, SYNTHETIC = int(Origin.HUMAN), int(Origin.SYNTHETIC)


def rows_of(texts: list[str], below: tuple[int, ...] = WHOLE) -> NgramRows:
    return sample_text(normalise(pa.array(texts, pa.string())), below)


def measured(
    texts: list[str], origin: list[int], copies: list[int], below=WHOLE
) -> Ngrams:
    row = np.flatnonzero(copies)
    found = [np.array(origin, np.uint8)[row], np.array(copies, np.int32)[row]]
    return measure_ngrams(rows_of(texts, below), row, *found)


def counted(texts: list[str], copies: list[int], n: int) -> collections.Counter:
    counts: collections.Counter = collections.Counter()
    for text, times in zip(texts, copies, strict=True):
        words = text.split()
        for i in range(len(words) - n + 1):
            counts[tuple(words[i : i + n])] += times
    return +counts


def content(ngrams: Ngrams) -> tuple:
    return ngrams.totals.tolist(), [
        (sample.hashes.tolist(), sample.counts.tolist(), sample.below)
        for samples in ngrams.samples
        for sample in samples
    ]


def test_a_small_set_is_counted_exactly() -> None:
    origin = [HUMAN, HUMAN, SYNTHETIC, SYNTHETIC, HUMAN]
    copies = [1, 2, 1, 3, 0]
    told = tell_diversity(measured(TEXTS, origin, copies), {})
    masks = {
        "all": copies,
        "human": [c * (o == HUMAN) for c, o in zip(copies, origin, strict=True)],
        "synthetic": [
            c * (o == SYNTHETIC) for c, o in zip(copies, origin, strict=True)
        ],
    }
    for name, times in masks.items():
        for n, key in enumerate(NAMES, 1):
            counts = counted(TEXTS, times, n)
            figures = told[name][key]
            assert figures["total"] == counts.total()
            assert figures["distinct"] == figures["low"] == figures["high"]
            assert figures["distinct"] == len(counts)
            once = sum(count == 1 for count in counts.values()) / len(counts)
            assert figures["hapax_share"] == pytest.approx(once, abs=1e-6)
    assert told["all"]["words"]["total"] == 19
    # a and c occur five times, d three times, b six times.
    assert told["all"]["words"]["tail_mass"] == pytest.approx(13 / 19, abs=1e-6)
    assert told["all"]["words"]["type_token"] is None
    assert told["all"]["compression_ratio"] is None


def test_nothing_is_told_of_no_text() -> None:
    told = tell_diversity(no_ngrams(), {})
    assert set(told) == {"all", "human", "synthetic"}
    for figures in told.values():
        assert figures["bigrams"] == {
            "total": 0,
            "distinct": 0,
            "low": 0,
            "high": 0,
            "hapax_share": None,
            "tail_mass": None,
        }
        assert figures["compression_ratio"] is None
    assert content(add_ngrams([])) == content(no_ngrams())
    assert content(measured([], [], [])) == content(no_ngrams())
    assert content(measured(TEXTS, [0] * 5, [0] * 5)) == content(no_ngrams())


DOCUMENTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join),
        st.sampled_from([HUMAN, SYNTHETIC]),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(DOCUMENTS, st.integers(0, 12), st.integers(1, 9), st.sampled_from([1, 2]))
def test_parts_in_any_order_have_the_ngrams_of_the_whole(
    documents, cut, most, halved
) -> None:
    """Also where one part was sampled below a lower bound."""
    below = (ALL // halved,) * 3
    parts = [documents[:cut], documents[cut:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diversity, "KEPT_NGRAMS", most)
        whole = measured(*columns(documents), below)
        found = [
            measured(*columns(part), WHOLE if i and halved > 1 else below)
            for i, part in enumerate(parts)
        ]
        assert content(add_ngrams(found)) == content(add_ngrams([whole]))
        assert content(add_ngrams(found[::-1])) == content(add_ngrams([whole]))


def columns(documents: list[tuple]) -> tuple[list, list, list]:
    texts, origin, copies = zip(*documents, strict=True) if documents else ((),) * 3
    return list(texts), list(origin), list(copies)


@given(DOCUMENTS)
def test_a_document_that_comes_more_often_counts_as_often(documents) -> None:
    texts, origin, copies = columns(documents)
    repeated = [
        (text, known, 1)
        for text, known, times in zip(texts, origin, copies, strict=True)
        for _ in range(times)
    ]
    expected = measured(*columns(repeated))
    assert content(measured(texts, origin, copies)) == content(expected)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
    st.integers(1, 100),
)
def test_drawn_words_are_expected_as_counted_one_by_one(counts, drawn) -> None:
    total = sum(counts) + 50
    drawn = min(drawn, total)
    ways = math.comb(total, drawn)
    exact = [1 - math.comb(total - count, drawn) / ways for count in counts]
    found = diversity.expected_share(np.array(counts), total, drawn)
    assert np.allclose(found, exact, atol=0.01)


def test_drawn_words_of_huge_sets_are_expected_as_counted() -> None:
    for total in (100_000, 100_001, 10**7, 10**12):
        counts = np.array([1, 2, 5, 1000])
        found = diversity.expected_share(counts, total, 100_000)
        factors = [
            [math.log1p(-100_000 / (total - i)) for i in range(count)]
            if total - count >= 100_000
            else [-math.inf]
            for count in counts.tolist()
        ]
        exact = [-math.expm1(math.fsum(parts)) for parts in factors]
        assert found == pytest.approx(exact, rel=1e-6)


@pytest.fixture(scope="module")
def labelled(labelled_data: Path) -> list[pa.Array]:
    """Normalised text of some sources."""
    paths = [labelled_data / f"{name}.parquet" for name in ("human_pep", "imbd_squad")]
    return [
        normalise(pq.read_table(path)["text"].combine_chunks().cast(pa.large_string()))
        for path in paths
    ]


def test_figures_of_real_text_are_near_its_exact_counts(labelled) -> None:
    """A bound of one in eight, as for a block of 256 KB, and the 4,096 of a set."""
    below = (ALL >> 3,) * 3
    parts, exact = [], []
    for text, known in zip(labelled, (HUMAN, SYNTHETIC), strict=True):
        row = np.arange(len(text))
        every = [np.full(len(row), known), np.ones(len(row), np.int32)]
        parts.append(measure_ngrams(sample_text(text, below), row, *every))
        exact.append(sample_text(text, WHOLE))
    told = tell_diversity(add_ngrams(parts), {})["all"]
    whole = concat_rows(exact, WHOLE)
    for name, hashes in zip(NAMES, whole.hashes, strict=True):
        _, counts = np.unique(hashes, return_counts=True)
        figures = told[name]
        assert figures["total"] == len(hashes)
        # Three standard errors instead of the 1.645 of the interval.
        apart = abs(figures["distinct"] - len(counts))
        assert apart < 3 / 1.645 * (figures["high"] - figures["distinct"])
        assert figures["high"] - figures["low"] < 0.13 * len(counts)
        assert figures["hapax_share"] == pytest.approx(np.mean(counts == 1), abs=0.04)
        tail = counts[counts <= diversity.RARE].sum() / len(hashes)
        assert figures["tail_mass"] == pytest.approx(tail, rel=0.12)
        if name == "words":
            shares = diversity.expected_share(counts, len(hashes), 100_000)
            assert figures["type_token"]["per"] == 100_000
            assert figures["type_token"]["distinct"] == pytest.approx(
                shares.sum(), rel=0.12
            )


def test_distinct_ngrams_are_estimated_as_by_a_theta_sketch(labelled) -> None:
    text = labelled[0]
    hashes = sample_text(text, WHOLE).hashes[1]
    peer = datasketches.update_theta_sketch(12)
    for value in hashes.view(np.int64).tolist():
        peer.update(value)
    row = np.arange(len(text))
    ones = np.ones(len(row), np.int32)
    found = measure_ngrams(sample_text(text, (ALL >> 3,) * 3), row, 0 * ones, ones)
    figures = tell_diversity(found, {})["human"]["bigrams"]
    assert figures["distinct"] == pytest.approx(peer.get_estimate(), rel=0.09)


def test_only_what_the_other_set_does_not_have_is_new() -> None:
    old = sketches_of(measured(["a b c", "x y"], [HUMAN, SYNTHETIC], [1, 1]))
    new = sketches_of(measured(["a b x", "p q"], [HUMAN, SYNTHETIC], [1, 1]))
    found = novelty(new, old)
    assert found["human"] == {
        "words": 0,  # x was synthetic in the old set, and is not new
        "bigrams": 0.5,
        "trigrams": 1,
    }
    assert found["synthetic"] == {"words": 1, "bigrams": 1, "trigrams": None}
    assert found["all"]["words"] == 0.4
    assert set(novelty(old, old)["all"].values()) == {0}


def test_sketches_come_back_from_a_report() -> None:
    sketches = sketches_of(measured(TEXTS, [HUMAN, SYNTHETIC] * 2 + [HUMAN], [1] * 5))
    found = sketches_from_text(sketches_to_text(sketches))
    assert set(novelty(found, sketches)["all"].values()) == {0}
    for origin, samples in sketches.items():
        for name, sample in samples.items():
            again = found[origin][name]
            assert again.hashes.tolist() == sample.hashes.tolist()
            assert again.counts.tolist() == sample.counts.tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("all"),
        lambda said: said["human"].pop("words"),
        lambda said: said["human"].update(words=base64.b64encode(b"?").decode()),
    ],
)
def test_sketches_that_are_none_are_refused(change) -> None:
    said = sketches_to_text(sketches_of(no_ngrams()))
    change(said)
    with pytest.raises(ValueError, match=r"expected (sketches|a sample)"):
        sketches_from_text(said)


def test_a_full_sketch_takes_its_size_in_a_report(labelled) -> None:
    rows = sample_text(labelled[1], WHOLE)
    row = np.arange(len(rows.tokens))
    ngrams = measure_ngrams(rows, row, 0 * row, 1 + 0 * row)
    text = sketches_to_text(sketches_of(ngrams))["human"]["trigrams"]
    assert len(ngrams.samples[0][2].hashes) == diversity.KEPT_NGRAMS
    assert len(text) < 45_000


def test_text_is_compressed_up_to_a_number_of_bytes() -> None:
    column = pa.array(["x", "ab" * 500, None, "cd" * 500])
    raw = ("ab" * 500 + "cd" * 500).encode()[:1500]
    assert compress_text(column[1:], 1500) == (1500, len(zstandard.compress(raw, 3)))
    assert compress_text(pa.array([None, ""], pa.string()), 1500) == (0, 0)
    assert compress_text(pa.array([], pa.large_string()), 1500) == (0, 0)
    told = tell_diversity(no_ngrams(), {"human": (300, 100), "synthetic": (100, 100)})
    ratios = {name: figures["compression_ratio"] for name, figures in told.items()}
    assert ratios == {"all": 2, "human": 3, "synthetic": 1}


def test_cautions_are_sentences() -> None:
    assert all(said.endswith(".") and len(said) < 300 for said in diversity.CAUTIONS)
