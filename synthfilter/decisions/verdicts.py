"""What reviewers' verdicts come to: one verdict a text, agreement, the error rate."""

import dataclasses
import itertools
from typing import NamedTuple, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from synthfilter.core import schema
from synthfilter.core.errors import ShortageError
from synthfilter.core.intervals import effective_size, wilson_interval
from synthfilter.core.uses import TIME, hash_halves
from synthfilter.core.verdicts import (
    FOCUS,
    NOTE,
    PROBABILITY,
    RANDOM_FOCUSES,
    REVIEWER,
    VERDICT,
    VERDICT_NAMES,
    Verdict,
)

_SYNTHETIC = "synthetic"


class Effective(NamedTuple):
    """The verdict of each text that somebody judged, sorted by content hash.

    Attributes:
      content_hi: Upper halves of the content hashes, uint64.
      content_lo: Lower halves.
      verdict: `Verdict` codes, uint8.
      digest: Of all that; 32 hex digits.
    """

    content_hi: np.ndarray
    content_lo: np.ndarray
    verdict: np.ndarray
    digest: str


def latest_verdicts(rows: pa.Table) -> pa.Table:
    """Returns the last row of each reviewer on each text, sorted by text and reviewer.

    Of rows of one moment the one that sorts last counts, so that it does not matter in
    which order they are stored.
    """
    by = [schema.CONTENT_HASH, REVIEWER, TIME, VERDICT, NOTE]
    rows = rows.sort_by([(name, "ascending") for name in by])
    if not rows.num_rows:
        return rows
    last = np.ones(rows.num_rows, bool)
    last[:-1] = _differs(rows, schema.CONTENT_HASH) | _differs(rows, REVIEWER)
    return rows.filter(pa.array(last))


def effective_verdicts(rows: pa.Table) -> Effective:
    """Returns what the rows of `core.verdicts.VERDICTS` come to.

    The last verdict of each reviewer counts, and of those the one that more reviewers
    gave than any other. A tie is none, and so is `unsure`.
    """
    latest = latest_verdicts(rows)
    hi, lo = hash_halves(latest.column(schema.CONTENT_HASH).combine_chunks())
    code = _codes(latest)
    first = np.flatnonzero(_is_first(hi, lo))
    text = np.repeat(np.arange(len(first)), np.diff([*first, len(hi)]))
    votes = np.zeros((len(first), len(VERDICT_NAMES)), np.int64)
    np.add.at(votes, (text, code), 1)
    most = votes.max(axis=1, initial=0)
    alone = (votes == most[:, None]).sum(axis=1) == 1
    won = votes.argmax(axis=1) if len(votes) else np.zeros(0, int)
    verdict = np.where(alone, won, Verdict.NONE).astype(np.uint8)
    hi, lo = hi[first], lo[first]
    told = [values.tobytes() for values in (hi.astype("<u8"), lo.astype("<u8"))]
    digest = xxhash.xxh3_128_hexdigest(b"".join([*told, verdict.tobytes()]))
    return Effective(hi, lo, verdict, digest)


def find_verdicts(
    effective: Effective, content_hi: np.ndarray, content_lo: np.ndarray
) -> np.ndarray:
    """Returns the `Verdict` code of each document, uint8; NONE where nobody judged it.

    Args:
      effective: What `effective_verdicts` returned.
      content_hi: Upper halves of the documents' content hashes, uint64.
      content_lo: Lower halves.
    """
    at = find_texts(effective.content_hi, effective.content_lo, content_hi, content_lo)
    return np.append(effective.verdict, np.uint8(Verdict.NONE))[at]


def find_texts(
    known_hi: np.ndarray, known_lo: np.ndarray, hi: np.ndarray, lo: np.ndarray
) -> np.ndarray:
    """Returns where each text is among known ones; -1 where it is not.

    Args:
      known_hi: Upper halves of the known content hashes, all different, sorted.
      known_lo: Lower halves.
      hi: Upper halves of the hashes that are looked for.
      lo: Lower halves.
    """
    known, wanted = _keys(known_hi, known_lo), _keys(hi, lo)
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, at, -1)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How far two reviewers, or all pairs of them, agree.

    Attributes:
      reviewers: Their names; none stands for all pairs.
      documents: That both judged; over all pairs, each pair's counted.
      agreement: The share of those of which they say the same.
      kappa: Cohen's kappa; None where both always said one and the same thing.
    """

    reviewers: tuple[str, ...]
    documents: int
    agreement: float
    kappa: Optional[float]


def measure_agreement(rows: pa.Table) -> list[Agreement]:
    """Returns the agreement of each pair with documents in common, then of all pairs.

    Kappa is how much of the agreement that chance would not bring is there: of a pair
    (Cohen 1960), over all pairs from the means of both over pairs, weighted by the
    documents in common (Conger 1980). `unsure` is a category as the others.
    """
    latest = latest_verdicts(rows)
    text = latest.column(schema.CONTENT_HASH).combine_chunks().dictionary_encode()
    who = latest.column(REVIEWER).combine_chunks().dictionary_encode()
    names = who.dictionary.to_pylist()
    said = np.full((len(names), len(text.dictionary)), -1, np.int8)
    said[who.indices.to_numpy(), text.indices.to_numpy()] = _codes(latest)
    pairs, chances = [], []
    for one, other in itertools.combinations(np.argsort(names), 2):
        both = (said[one] >= 0) & (said[other] >= 0)
        if not both.any():
            continue
        same, chance = _same_by_chance(said[one, both], said[other, both])
        pair = (names[one], names[other])
        kappa = _kappa(same, chance)
        pairs.append(Agreement(pair, int(both.sum()), same, kappa))
        chances.append(chance)
    if not pairs:
        return []
    weight = [pair.documents for pair in pairs]
    same = float(np.average([pair.agreement for pair in pairs], weights=weight))
    chance = float(np.average(chances, weights=weight))
    return [*pairs, Agreement((), sum(weight), same, _kappa(same, chance))]


def cohen_kappa(one: np.ndarray, other: np.ndarray) -> float | None:
    """Returns Cohen's kappa of two reviewers' categories of the same documents.

    None where both always said one and the same thing, or of no documents.
    """
    return _kappa(*_same_by_chance(one, other)) if len(one) else None


@dataclasses.dataclass(frozen=True)
class ErrorRate:
    """The share of synthetic documents that reviewers reject.

    Attributes:
      rate: Weighted by how many documents each reviewed one stands for.
      low: Of the 95% interval.
      high: Of the 95% interval.
      reviewed: Documents with a verdict.
      rejected: Of those.
      undecided: Further ones that the reviewers do not settle; they do not count.
    """

    rate: float
    low: float
    high: float
    reviewed: int
    rejected: int
    undecided: int


def measure_error(rows: pa.Table, build_id: str | None = None) -> ErrorRate | None:
    """Returns the error rate of documents that a build counted as synthetic.

    Only documents that were drawn by chance are looked at, each weighted by one over
    the probability of that; those that a focus picked, doubtful as they are, say
    nothing of the others. The interval is Wilson's (1927) of the effective sample size
    (Kish 1965); how few the others are is not made use of, which errs to the safe side.

    Args:
      rows: Of `core.verdicts.VERDICTS`.
      build_id: Only what was reviewed of this build; None: of any.

    Returns:
      None where no such document has a verdict.
    """
    effective = effective_verdicts(rows)
    drawn = pc.is_in(rows.column(FOCUS), pa.array(RANDOM_FOCUSES))
    drawn = pc.and_(drawn, pc.equal(rows.column(schema.ORIGIN), _SYNTHETIC))
    drawn = pc.and_(drawn, pc.is_valid(rows.column(PROBABILITY)))
    if build_id is not None:
        drawn = pc.and_(drawn, pc.equal(rows.column(schema.BUILD_ID), build_id))
    hi, lo, weight = weigh_documents(rows.filter(drawn))
    verdict = find_verdicts(effective, hi, lo)
    decided = verdict != Verdict.NONE
    if not decided.any():
        return None
    rejected = verdict[decided] == Verdict.REJECT
    weight = weight[decided]
    rate = float(np.average(rejected, weights=weight))
    size = effective_size(weight)
    low, high = wilson_interval(rate * size, size)
    return ErrorRate(
        rate, low, high, len(weight), int(rejected.sum()), int((~decided).sum())
    )


def weigh_documents(rows: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns each text that was judged, and for how many documents it stands.

    One over the greatest probability with which it came to be reviewed: of a text that
    a focus picked, and of one of which that is unknown, 1.

    Returns:
      Halves of the content hashes, sorted, and float64 weights.
    """
    hi, lo = hash_halves(rows.column(schema.CONTENT_HASH).combine_chunks())
    chance = rows.column(PROBABILITY).fill_null(1.0).to_numpy()
    order = np.lexsort([-chance, lo, hi])
    hi, lo, chance = hi[order], lo[order], chance[order]
    first = _is_first(hi, lo)
    return hi[first], lo[first], 1 / chance[first]


def check_max_error(rows: pa.Table, max_error: float) -> ErrorRate:
    """Returns the error rate of the synthetic documents if it is surely low enough.

    Args:
      rows: Of `core.verdicts.VERDICTS`; only of documents that matter.
      max_error: What the upper end of the interval may be at most.

    Raises:
      ShortageError: it may be higher, or nobody reviewed a sample.
    """
    found = measure_error(rows)
    if found is None:
        raise ShortageError(
            f"max_error {max_error:g} asks for reviewed synthetic documents, and none "
            "drawn by chance has a verdict; see synthfilter review export --focus "
            "synthetic"
        )
    if found.high > max_error:
        raise ShortageError(
            f"synthetic documents may have more errors than max_error {max_error:g}: "
            f"{describe_error(found)}; review more of them, or leave their source out"
        )
    return found


def describe_error(found: ErrorRate) -> str:
    """Returns an error rate in words."""
    said = (
        f"{found.rejected:,} of {found.reviewed:,} reviewed were rejected, "
        f"{found.rate:.2%} ({found.low:.2%} to {found.high:.2%})"
    )
    return f"{said}, {found.undecided:,} undecided" if found.undecided else said


def _codes(rows: pa.Table) -> np.ndarray:
    """Returns the `Verdict` code of each row; that of unsure is NONE."""
    found = pc.index_in(rows.column(VERDICT), pa.array(VERDICT_NAMES))
    if found.null_count:
        raise ValueError(f"verdicts must be among {', '.join(VERDICT_NAMES)}")
    return found.to_numpy().astype(np.uint8)


def _differs(rows: pa.Table, name: str) -> np.ndarray:
    """Returns whether each row but the last differs from the next in a column."""
    values = rows.column(name).combine_chunks()
    return pc.not_equal(values[:-1], values[1:]).to_numpy(zero_copy_only=False)


def _is_first(hi: np.ndarray, lo: np.ndarray) -> np.ndarray:
    """Returns whether each of sorted hashes differs from the one before."""
    first = np.ones(len(hi), bool)
    first[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    return first


def _keys(hi: np.ndarray, lo: np.ndarray) -> np.ndarray:
    """Returns 128-bit hashes as strings of bytes, which sort and compare as they do."""
    return np.frombuffer(np.stack([hi, lo], axis=1).astype(">u8").tobytes(), "S16")


def _same_by_chance(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Returns the share of equal pairs, and that which chance would bring."""
    shares = [
        np.bincount(said, minlength=len(VERDICT_NAMES)) / len(said)
        for said in (one, other)
    ]
    return float(np.mean(one == other)), float(shares[0] @ shares[1])


def _kappa(same: float, chance: float) -> float | None:
    return None if chance >= 1 else (same - chance) / (1 - chance)
