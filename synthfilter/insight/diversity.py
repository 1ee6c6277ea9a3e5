"""How diverse the text of a set is, and how much of it is new.

The figures are of all documents of the set, each as often as it is in it; they come
from samples of its n-grams by hash, in which every occurrence is counted. Samples of
parts merge to that of the whole, whatever the parts.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard

from synthfilter.core.ngrams import NAMES, NgramRows
from synthfilter.core.samples import (
    Sample,
    estimate_keys,
    from_text,
    make_sample,
    merge_samples,
    share_unseen,
    to_text,
)
from synthfilter.core.schema import ORIGIN_NAMES, Origin
from synthfilter.core.text import text_buffers

ORIGINS = (Origin.HUMAN, Origin.SYNTHETIC)
EVERY = "all"
KEPT_NGRAMS = 4096
"""Of each origin and length: a standard error of 1.6% of what is estimated, at 40 KB in
a report for each."""

RARE = 5
"""An n-gram is in the tail of a set if it occurs at most this often."""
DRAWN_WORDS = 100_000
"""Type-token figures are of so many words, so that sets of any size compare."""
COMPRESSION_LEVEL = 3

CAUTIONS = (
    "Distinct bigrams and the compression ratio can look healthy while a set "
    "collapses: text sampled at temperature 1 stays varied on the surface while rare "
    "words vanish. Look at the tail mass first.",
    "The more text, the fewer new n-grams in each further word (Heaps' law). Compare "
    "distinct n-grams, the share that occurs once and the tail mass only between sets "
    "of like size; distinct words in 100,000 drawn ones compare between any.",
    "Novelty is relative to one earlier set: where that was small, much is new, and a "
    "larger set has more that is new. It does not tell new facts from new noise.",
    "The compression ratio is of samples of the text, joined; where these have less "
    "than a few hundred KB it is lower, and does not compare.",
    "N-grams keep their case; marks and numbers count as words. Tables, code and other "
    "languages raise every figure without more diverse prose.",
)
"""What these figures do not tell, for whoever reads a report."""

Sketches = Mapping[str, Mapping[str, Sample]]
"""A sample for `EVERY` and each origin, by the names of n-grams."""


@dataclasses.dataclass(frozen=True)
class Ngrams:
    """The n-grams of documents that are in a set.

    Attributes:
      totals: int64 [origins, names], how many there are; exact.
      samples: For each of `ORIGINS`, for each of `NAMES`, those that were kept, with
        one column, their occurrences.
    """

    totals: np.ndarray
    samples: tuple[tuple[Sample, ...], ...]


def no_ngrams() -> Ngrams:
    """Returns the n-grams of no documents."""
    nothing = make_sample(np.zeros(0, np.uint64), np.zeros((0, 1), np.int64), 1)
    samples = ((nothing,) * len(NAMES),) * len(ORIGINS)
    return Ngrams(np.zeros((len(ORIGINS), len(NAMES)), np.int64), samples)


def measure_ngrams(
    ngrams: NgramRows, row: np.ndarray, origin: np.ndarray, copies: np.ndarray
) -> Ngrams:
    """Returns the n-grams of those documents of a block that are in the set.

    Args:
      ngrams: Of all rows of the block.
      row: Which rows are in the set; none twice.
      origin: The `Origin` of each, human or synthetic.
      copies: How often each is in the set.
    """
    totals, samples = [], []
    for known in ORIGINS:
        times = np.zeros(len(ngrams.tokens), np.int64)
        times[row[origin == known]] = copies[origin == known]
        tokens = ngrams.tokens.astype(np.int64)
        totals.append(
            [(times * np.maximum(tokens - n, 0)).sum() for n in range(len(NAMES))]
        )
        samples.append(
            tuple(
                _count(hashes, np.repeat(times, sizes), below)
                for hashes, sizes, below in zip(
                    ngrams.hashes, ngrams.sizes, ngrams.below, strict=True
                )
            )
        )
    return Ngrams(np.array(totals, np.int64), tuple(samples))


def _count(hashes: np.ndarray, times: np.ndarray, below: int) -> Sample:
    """Returns the sample of n-grams that come so many times each, or not at all."""
    hashes, times = hashes[times > 0], times[times > 0]
    if times.max(initial=1) == 1:
        # Sorting alone is many times as fast as finding the order.
        hashes = np.sort(hashes)
        first = np.flatnonzero(
            np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]
        )
        times = np.diff(first, append=len(hashes))
        hashes = hashes[first]
    return make_sample(hashes, times[:, None], KEPT_NGRAMS, below)


def add_ngrams(parts: Iterable[Ngrams]) -> Ngrams:
    """Returns the n-grams of all parts together; there may be none."""
    parts = [no_ngrams(), *parts]
    return Ngrams(
        np.sum([part.totals for part in parts], axis=0),
        tuple(
            tuple(
                merge_samples([part.samples[i][n] for part in parts], KEPT_NGRAMS)
                for n in range(len(NAMES))
            )
            for i in range(len(ORIGINS))
        ),
    )


def sketches_of(ngrams: Ngrams) -> dict[str, dict[str, Sample]]:
    """Returns the samples by origin and name, and those of all origins together."""
    every = [
        merge_samples(pair, KEPT_NGRAMS) for pair in zip(*ngrams.samples, strict=True)
    ]
    found = {EVERY: dict(zip(NAMES, every, strict=True))}
    for known, samples in zip(ORIGINS, ngrams.samples, strict=True):
        found[ORIGIN_NAMES[known]] = dict(zip(NAMES, samples, strict=True))
    return found


def sketches_to_text(sketches: Sketches) -> dict[str, dict[str, str]]:
    """Returns sketches as a report has them."""
    return {
        origin: {name: to_text(sample) for name, sample in samples.items()}
        for origin, samples in sketches.items()
    }


def sketches_from_text(
    said: Mapping[str, Mapping[str, str]],
) -> dict[str, dict[str, Sample]]:
    """Returns the sketches of a report.

    Raises:
      ValueError: they are not what `sketches_to_text` returns.
    """
    names = {EVERY, *(ORIGIN_NAMES[known] for known in ORIGINS)}
    if said.keys() != names or any(said[name].keys() != {*NAMES} for name in names):
        raise ValueError(
            f"expected sketches of {', '.join(NAMES)} for {', '.join(sorted(names))}, "
            f"got {', '.join(map(str, said)) or 'none'}"
        )
    return {
        origin: {name: from_text(text) for name, text in samples.items()}
        for origin, samples in said.items()
    }


def novelty(this: Sketches, that: Sketches) -> dict[str, dict[str, float | None]]:
    """Returns which share of the distinct n-grams of a set another does not have.

    By origin in this set; what either origin had in the other set is not new. None
    where there is nothing to judge by.
    """
    return {
        origin: {
            name: _rounded(share_unseen(sample, that[EVERY][name]))
            for name, sample in samples.items()
        }
        for origin, samples in this.items()
    }


def tell_diversity(
    ngrams: Ngrams, compressed: Mapping[str, tuple[int, int]]
) -> dict[str, dict[str, Any]]:
    """Returns the figures by origin, as a report has them.

    For each of `NAMES`: `total`, exact; `distinct`, and `low` and `high`, its 90%
    interval; `hapax_share`, the share of distinct n-grams that occur once; `tail_mass`,
    the share of all occurrences that are of n-grams that occur at most `RARE` times;
    for words `type_token`, how many distinct ones are expected in `DRAWN_WORDS` drawn
    without replacement (Hurlbert 1971), None if there are not so many. And
    `compression_ratio`, bytes of text over bytes compressed. None where there is
    nothing to measure.

    Args:
      ngrams: Of the set.
      compressed: What `compress_text` returned for each of the names of origins, added
        up; one may be missing.
    """
    totals = {EVERY: ngrams.totals.sum(axis=0)}
    totals |= {ORIGIN_NAMES[o]: ngrams.totals[i] for i, o in enumerate(ORIGINS)}
    pairs = {ORIGIN_NAMES[o]: compressed.get(ORIGIN_NAMES[o], (0, 0)) for o in ORIGINS}
    pairs[EVERY] = (
        sum(a for a, _ in pairs.values()),
        sum(b for _, b in pairs.values()),
    )
    told: dict[str, dict[str, Any]] = {}
    for origin, samples in sketches_of(ngrams).items():
        told[origin] = {
            name: tell_sample(samples[name], int(total))
            for name, total in zip(NAMES, totals[origin], strict=True)
        }
        words = NAMES[0]
        told[origin][words]["type_token"] = tell_type_token(
            samples[words], int(totals[origin][0])
        )
        told[origin]["compression_ratio"] = _ratio(*pairs[origin])
    return told


def tell_sample(sample: Sample, total: int) -> dict[str, Any]:
    """Returns the figures of n-grams of one length; see `tell_diversity`."""
    counts = sample.counts[:, 0]
    distinct, low, high = estimate_keys(sample)
    rare = counts[counts <= RARE].sum() / sample.share
    return {
        "total": total,
        "distinct": round(distinct),
        "low": round(low),
        "high": round(high),
        "hapax_share": _rounded(np.mean(counts == 1)) if len(counts) else None,
        "tail_mass": _rounded(min(rare / total, 1)) if total else None,
    }


def tell_type_token(sample: Sample, total: int) -> dict[str, int] | None:
    """Returns how many distinct words are expected in `DRAWN_WORDS` drawn ones."""
    if total < DRAWN_WORDS:
        return None
    found = expected_share(sample.counts[:, 0], total, DRAWN_WORDS).sum()
    return {"per": DRAWN_WORDS, "distinct": round(float(found) / sample.share)}


def expected_share(counts: np.ndarray, total: int, drawn: int) -> np.ndarray:
    """Returns how likely each word is among some drawn without replacement.

    One less C(total - count, drawn) / C(total, drawn); the factors of that, whose
    logarithms are nearly linear, are all taken for the middle one.

    Args:
      counts: Occurrences of each word.
      total: Occurrences of all words.
      drawn: How many of them are drawn.
    """
    left = np.maximum(1 - drawn / (total - (counts - 1) / 2), 0)
    left[total - counts < drawn] = 0
    with np.errstate(divide="ignore"):
        return -np.expm1(counts * np.log(left))


def compress_text(column: pa.Array, most_bytes: int) -> tuple[int, int]:
    """Returns the bytes of the beginning of a text column, and those compressed.

    By zstd, at `COMPRESSION_LEVEL`, all texts joined.

    Args:
      column: Texts; nulls count as empty.
      most_bytes: How much to look at.
    """
    data, _ = text_buffers(column)
    raw = data[:most_bytes].tobytes()
    if not raw:
        return 0, 0
    return len(raw), len(zstandard.compress(raw, COMPRESSION_LEVEL))


def _ratio(size: int, compressed: int) -> float | None:
    return _rounded(size / compressed) if compressed else None


def _rounded(share: float | None) -> float | None:
    """Returns a figure without the digits in which processors differ."""
    return None if share is None else round(float(share), 6)
