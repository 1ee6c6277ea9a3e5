"""Earlier use: in how many builds a text was, how deep it is, and what follows.

A ledger is read as a stream and joined to the documents at hand; what is held is what
was found, not the ledger.
"""

import dataclasses
import enum
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import hex_hashes
from synthfilter.core.schema import Origin
from synthfilter.core.uses import (
    GENERATION,
    TIME,
    are_synthetic,
    hash_halves,
    is_registration,
)
from synthfilter.decisions.minhash import ranges

UNKNOWN_GENERATION_POLICIES = ("keep", "drop")


class Rule(enum.IntEnum):
    """Which rule leaves a document out; `NONE` = it may be used again."""

    NONE = 0
    USES = 1
    GENERATION = 2


@dataclasses.dataclass(frozen=True)
class Uses:
    """What a ledger knows of documents; an entry each.

    Attributes:
      synthetic: Whether it is known as synthetic; see `core.uses.are_synthetic`.
      builds: In how many builds the text or a near copy was, int32; registrations of
        what a generator made are none.
      generation: The deepest that a build gave it, int32, masked where none did.
      first_build: The build that used it first, the lowest id of equally early ones;
        null where there is none.
      first_hash: Content hash of what that build used, the lowest of several; another
        than the document's own where that is a near copy.
    """

    synthetic: np.ndarray
    builds: np.ndarray
    generation: np.ma.MaskedArray
    first_build: pa.Array
    first_hash: pa.Array

    def take(self, at: np.ndarray) -> "Uses":
        """Returns what is known of the documents of these numbers."""
        rows = pa.array(at)
        return Uses(
            self.synthetic[at],
            self.builds[at],
            self.generation[at],
            self.first_build.take(rows),
            self.first_hash.take(rows),
        )


def check_reuse(
    max_uses: int | None, max_generation: int | None, unknown_generation: str
) -> None:
    """Raises UserError unless the options are in their ranges."""
    if max_uses is not None and max_uses < 1:
        raise UserError(f"max_uses must be at least 1, got {max_uses}")
    if max_generation is not None and max_generation < 0:
        raise UserError(f"max_generation must be at least 0, got {max_generation}")
    if unknown_generation not in UNKNOWN_GENERATION_POLICIES:
        policies = ", ".join(UNKNOWN_GENERATION_POLICIES)
        raise UserError(
            f"unknown_generation must be one of {policies}, got {unknown_generation!r}"
        )


def find_reused(
    origin: np.ndarray,
    uses: Uses,
    generation: np.ma.MaskedArray,
    max_uses: int | None,
    max_generation: int | None,
    cap_human: bool,
    unknown_generation: str,
) -> np.ndarray:
    """Returns the `Rule` code of each document, uint8; uses come before generations.

    Human documents are counted in `uses`, but left out by no rule unless `cap_human`.

    Args:
      origin: `Origin` codes.
      uses: Of the documents.
      generation: What else is known of their generations, int32, masked where nothing
        is; the deeper one counts.
      max_uses: A text that this many builds had is left out; None = any number.
      max_generation: Documents deeper than this are left out; None = none are.
      cap_human: Whether the rules hold for human documents, too.
      unknown_generation: Whether to `keep` or `drop` a document of unknown generation
        when there is a `max_generation`.
    """
    rule = np.zeros(len(origin), np.uint8)
    if max_generation is not None:
        deepest, unknown = deeper(uses.generation, generation)
        too_deep = ~unknown & (deepest > max_generation)
        if unknown_generation == "drop":
            too_deep |= unknown
        rule[too_deep] = Rule.GENERATION
    if max_uses is not None:
        rule[uses.builds >= max_uses] = Rule.USES
    if not cap_human:
        rule[origin == Origin.HUMAN] = Rule.NONE
    return rule


def deeper(
    one: np.ma.MaskedArray, other: np.ma.MaskedArray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the deeper of two generations and where neither is known."""
    values = [np.where(np.ma.getmaskarray(g), 0, g.data) for g in (one, other)]
    unknown = np.ma.getmaskarray(one) & np.ma.getmaskarray(other)
    return np.maximum(*values), unknown


def tell_reuse(
    rule: np.ndarray, uses: Uses, generation: np.ma.MaskedArray
) -> pa.StringArray:
    """Returns the evidence for each rule, null where there is none.

    The earlier build is named wherever the ledger has one: `build=ID uses=2
    generation=3 hash=HASH`.

    Args:
      rule: What `find_reused` returned.
      uses: What it was given.
      generation: What it was given.
    """
    deepest, unknown = deeper(uses.generation, generation)
    said: list[str | None] = [None] * len(rule)
    for at in np.flatnonzero(rule != Rule.NONE).tolist():
        parts = []
        if uses.first_build[at].is_valid:
            parts += [f"build={uses.first_build[at]}", f"uses={uses.builds[at]}"]
        parts.append(f"generation={'unknown' if unknown[at] else deepest[at]}")
        if uses.first_hash[at].is_valid:
            parts.append(f"hash={uses.first_hash[at]}")
        said[at] = " ".join(parts)
    return pa.array(said, pa.string())


def find_uses(
    batches: Iterable[pa.RecordBatch], content_hi: np.ndarray, content_lo: np.ndarray
) -> Uses:
    """Returns what a ledger knows of documents with exactly these texts.

    Args:
      batches: Rows with the columns `core.uses.FACTS_OF_USE`, in any order; of the
        whole ledger, or of a range of hashes that all documents are in.
      content_hi: Upper halves of the documents' content hashes, uint64; sorted by both
        halves, and the same may come twice.
      content_lo: Lower halves.

    Raises:
      ValueError: the hashes are not sorted.
    """
    _check_sorted(content_hi, content_lo)
    tally = UseTally(len(content_hi))
    for batch in batches:
        hi, lo = hash_halves(batch.column(schema.CONTENT_HASH))
        rows, documents = match_hashes(hi, lo, content_hi, content_lo)
        if len(rows):
            tally.add(documents, batch.take(pa.array(rows)))
    return tally.uses()


def _check_sorted(content_hi: np.ndarray, content_lo: np.ndarray) -> None:
    level = content_hi[1:] == content_hi[:-1]
    above = (content_hi[1:] > content_hi[:-1]) & ~level
    if not (above | (level & (content_lo[1:] >= content_lo[:-1]))).all():
        raise ValueError("content hashes must be sorted by both halves")


def match_hashes(
    hi: np.ndarray, lo: np.ndarray, content_hi: np.ndarray, content_lo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs of equal hashes: rows of the first, rows of the second.

    Ten times as fast where the first are sorted, too, as within a ledger's files.

    Args:
      hi: Upper halves, uint64, in any order.
      lo: Lower halves.
      content_hi: Upper halves of the others, sorted.
      content_lo: Lower halves of those.
    """
    first = np.searchsorted(content_hi, hi)
    inside = np.flatnonzero(first < len(content_hi))
    rows = inside[content_hi[first[inside]] == hi[inside]]
    first = first[rows]
    count = np.searchsorted(content_hi, hi[rows], side="right") - first
    rows, documents = np.repeat(rows, count), ranges(first, count)
    same = lo[rows] == content_lo[documents]
    return rows[same], documents[same]


class UseTally:
    """Counts uses of documents as they are found, exact or near, in any order.

    Holds some 40 bytes for each use found.

    Args:
      documents: Their number.
    """

    def __init__(self, documents: int) -> None:
        """Starts with no use."""
        self._documents = documents
        self._codes: dict[str, int] = {}
        self._times: dict[str, int] = {}
        self._found = [tuple(np.zeros(0, kind) for kind in _FOUND)]

    def add(self, documents: np.ndarray, rows: pa.RecordBatch) -> None:
        """Counts a use of each of the documents.

        Args:
          documents: Numbers of documents; any may come several times.
          rows: The row of the ledger for each, with `core.uses.FACTS_OF_USE`.
        """
        names = rows.column(schema.BUILD_ID).dictionary_encode()
        within = names.indices.to_numpy(zero_copy_only=False)
        times = rows.column(TIME).cast(pa.int64()).to_numpy(zero_copy_only=False)
        codes = np.zeros(len(names.dictionary), np.int32)
        for at, name in enumerate(names.dictionary.to_pylist()):
            codes[at] = self._codes.setdefault(name, len(self._codes))
            earliest = int(times[within == at].min())
            self._times[name] = min(earliest, self._times.get(name, earliest))
        generation = rows.column(GENERATION)
        self._found.append(
            (
                documents.astype(np.int64),
                codes[within],
                *hash_halves(rows.column(schema.CONTENT_HASH)),
                generation.fill_null(0).to_numpy(zero_copy_only=False),
                generation.is_valid().to_numpy(zero_copy_only=False),
                are_synthetic(rows),
            )
        )

    def uses(self) -> Uses:
        """Returns what was counted."""
        parts = zip(*self._found, strict=True)
        document, code, hi, lo, generation, known, synthetic = map(
            np.concatenate, parts
        )
        said = np.zeros(self._documents, bool)
        said[document[synthetic]] = True
        deepest = np.ma.masked_all(self._documents, np.int32)
        deepest.mask[document[known]] = False
        deepest.data[:] = 0
        np.maximum.at(deepest.data, document[known], generation[known])
        registered = np.array([is_registration(name) for name in self._codes], bool)
        used = np.flatnonzero(~registered[code])
        document, code, hi, lo = document[used], code[used], hi[used], lo[used]
        # By document, then by build, the earliest first, then by hash.
        names = sorted(self._codes, key=lambda name: (self._times[name], name))
        ranks = np.zeros(len(names), np.int64)
        ranks[[self._codes[name] for name in names]] = np.arange(len(names))
        order = np.lexsort([lo, hi, ranks[code], document])
        document, rank = document[order], ranks[code[order]]
        first = np.append(True, document[1:] != document[:-1])[: len(document)]
        other = first.copy()
        other[1:] |= rank[1:] != rank[:-1]
        builds = np.bincount(document[other], minlength=self._documents)
        place = np.zeros(self._documents, np.int64)
        place[document[first]] = np.flatnonzero(first)
        at = pa.array(place, mask=builds == 0)
        return Uses(
            said,
            builds.astype(np.int32),
            deepest,
            pa.array(names, pa.string()).take(pa.array(rank).take(at)),
            hex_hashes(hi[order], lo[order]).take(at),
        )


# Document, code of the build, both halves of the hash, generation, whether that is
# known, and whether the text is known as synthetic.
_FOUND = (np.int64, np.int32, np.uint64, np.uint64, np.int32, bool, bool)
