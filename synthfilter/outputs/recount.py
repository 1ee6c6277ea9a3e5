"""What the files of a finished build hold, counted anew without trusting them."""

import dataclasses
import functools
import hashlib
import operator
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.hashing import add_digests, content_digest, hash_texts
from synthfilter.core.schema import ORIGIN_NAMES, REASON_NAMES, UNITS, Origin, Reason
from synthfilter.core.text import count_words, normalise
from synthfilter.core.uses import hash_halves
from synthfilter.outputs.manifest import DEAD_LETTERS, REJECTED, SHARDS

SCHEMAS = {
    SHARDS: schema.SHARD,
    REJECTED: schema.REJECTED,
    DEAD_LETTERS: schema.DEAD_LETTER,
}

_BATCH_ROWS = 1 << 16
_PIECE_BYTES = 1 << 20
_MOST_NAMED = 3
_ORIGINS = pa.array(ORIGIN_NAMES)
_REASONS = pa.array(REASON_NAMES)
# A text that was too long was not hashed; one that is none has no hash of its own.
_NOT_HASHED = pa.array([REASON_NAMES[reason] for reason in schema.UNUSABLE])


class Bytes(NamedTuple):
    """How large a file is, and its sha256."""

    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Recount:
    """What files hold; recounts of parts add up with `+`.

    Attributes:
      rows: Of all files.
      kept: Rows of the set by origin, a repeated document each time: int64 [origin].
      changes: Of those, the rows with another text than the row before: int64 [origin].
      left_out: Documents that are not in the set: int64 [origin, reason].
      letters: Records that could not be read.
      amounts: What is in the set of row groups whose text was read: int64 [origin,
        unit].
      digest: Of the set (`core.hashing.content_digest`).
      hashed: Texts that were compared with their hash.
    """

    rows: int = 0
    kept: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(len(Origin), np.int64)
    )
    changes: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(len(Origin), np.int64)
    )
    left_out: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((len(Origin), len(Reason)), np.int64)
    )
    letters: int = 0
    amounts: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((len(Origin), len(UNITS)), np.int64)
    )
    digest: str = "0"
    hashed: int = 0

    def __add__(self, other: "Recount") -> "Recount":
        """Returns what both hold together."""
        total = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in dataclasses.fields(self)
            if field.name != "digest"
        }
        return Recount(**total, digest=add_digests([self.digest, other.digest]))


@dataclasses.dataclass
class FileFindings:
    """What one file holds, and what is wrong with it.

    Attributes:
      held: What was counted; nothing of a file that cannot be read.
      readable: Whether all of it was counted.
      shape: What is wrong with its columns and its number of rows.
      build: What is wrong with the builds that its rows name.
      hashes: What is wrong with its content hashes and origins.
    """

    held: Recount = dataclasses.field(default_factory=Recount)
    readable: bool = True
    shape: list[str] = dataclasses.field(default_factory=list)
    build: list[str] = dataclasses.field(default_factory=list)
    hashes: list[str] = dataclasses.field(default_factory=list)


def hash_file(path: str, copy: Path | None) -> Bytes:
    """Returns size and sha256 of a file.

    Args:
      path: On any filesystem.
      copy: Where to put its bytes on the way, so that they travel once; None: nowhere.

    Raises:
      OSError: it cannot be read.
    """
    sha256, size = hashlib.sha256(), 0
    with storage.open_raw(path) as file:
        target = copy.open("wb") if copy else None
        try:
            while piece := file.read(_PIECE_BYTES):
                sha256.update(piece)
                size += len(piece)
                if target:
                    target.write(piece)
        finally:
            if target:
                target.close()
    return Bytes(size, sha256.hexdigest())


def recount_file(
    path: str, kind: str, build_id: str, rows: int, full: bool
) -> FileFindings:
    """Returns what a Parquet file of a build holds.

    Memory is that of one batch of rows, or of one row group with its text.

    Args:
      path: Of the file; local, or on any filesystem.
      kind: `SHARDS`, `REJECTED` or `DEAD_LETTERS`.
      build_id: Of the build that its rows should name.
      rows: That it should have; also says which row group is the sample.
      full: Whether all texts are hashed, or those of one row group.
    """
    found = FileFindings()
    try:
        with storage.open_parquet(path) as file:
            found.shape = _compare_schema(file.schema_arrow, SCHEMAS[kind])
            if file.metadata.num_rows != rows:
                found.shape.append(
                    f"{file.metadata.num_rows:,} rows, expected {rows:,}"
                )
            if kind == DEAD_LETTERS:
                found.held = Recount(
                    rows=file.metadata.num_rows, letters=file.metadata.num_rows
                )
            elif found.shape and found.shape[0].startswith("columns"):
                found.readable = False
            else:
                _recount_rows(found, file, kind, build_id, rows, full)
    except (OSError, pa.ArrowException, MemoryError, OverflowError) as error:
        found.readable = False
        said = " ".join(str(error).split()) or type(error).__name__
        found.shape.append(f"does not open as Parquet: {said:.200}")
    return found


def _compare_schema(found: pa.Schema, expected: pa.Schema) -> list[str]:
    """Returns what differs between the columns of a file and those expected."""
    if found.equals(expected):
        return []
    there = {field.name: field.type for field in found}
    wanted = {field.name: field.type for field in expected}
    said = [
        *(f"no {name}" for name in wanted if name not in there),
        *(f"one more, {name!r:.40}" for name in there if name not in wanted),
        *(
            f"{name} is {there[name]}, expected {wanted[name]}"
            for name in wanted
            if name in there and there[name] != wanted[name]
        ),
    ]
    return [f"columns: {'; '.join(said) or 'in another order'}"]


def _recount_rows(
    found: FileFindings,
    file: pq.ParquetFile,
    kind: str,
    build_id: str,
    rows: int,
    full: bool,
) -> None:
    """Adds the documents of a file to what is found."""
    groups = file.metadata.num_row_groups
    columns = [schema.CONTENT_HASH, schema.ORIGIN, schema.BUILD_ID]
    if kind == REJECTED:
        columns.append(schema.REASON)
    checks = _RowChecks(kind, build_id)
    for group in range(groups):
        # Any group will do, as long as the same one is taken each time.
        with_text = full or group == rows % groups
        for batch in file.iter_batches(
            _BATCH_ROWS,
            row_groups=[group],
            columns=[*columns, schema.TEXT] if with_text else columns,
            use_threads=False,
        ):
            checks.add(batch)
    found.held = add_recounts(checks.parts)
    found.build, found.hashes = [*checks.build_faults()], [*checks.hash_faults()]


class _RowChecks:
    """Counts the rows of one file, batch by batch.

    Args:
      kind: `SHARDS` or `REJECTED`.
      build_id: That all rows should name.
    """

    def __init__(self, kind: str, build_id: str) -> None:
        """Starts with nothing."""
        self.parts: list[Recount] = []
        self._kept = kind == SHARDS
        self._build_id = build_id
        self._last: tuple[int, int] | None = None
        self._other_builds: set[str | None] = set()
        self._foreign_rows = 0
        self._bad_hashes: str | None = None
        self._bad_origins = 0
        self._bad_reasons = 0
        self._bad_texts = 0
        self._example: str | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Counts one batch; it has the text of its documents or not."""
        self._check_build(batch.column(schema.BUILD_ID))
        origin = _codes(batch.column(schema.ORIGIN), _ORIGINS)
        known = origin >= 0
        self._bad_origins += int((~known).sum())
        try:
            hi, lo = hash_halves(batch.column(schema.CONTENT_HASH))
        except ValueError as error:
            self._bad_hashes = str(error)
            hi = lo = np.zeros(batch.num_rows, np.uint64)
        held = Recount(rows=batch.num_rows)
        hashed, amounts = self._check_texts(batch, hi, lo, origin)
        if self._kept:
            held = dataclasses.replace(
                held,
                kept=np.bincount(origin[known], minlength=len(Origin)),
                changes=np.bincount(
                    origin[known & self._changes(hi, lo)], minlength=len(Origin)
                ),
                digest=content_digest(hi[known], lo[known], origin[known]),
                amounts=amounts,
            )
        else:
            reason = _codes(batch.column(schema.REASON), _REASONS)
            self._bad_reasons += int((reason < 0).sum())
            known &= reason >= 0
            cells = origin[known] * len(Reason) + reason[known]
            counts = np.bincount(cells, minlength=len(Origin) * len(Reason))
            held = dataclasses.replace(held, left_out=counts.reshape(len(Origin), -1))
        self.parts.append(dataclasses.replace(held, hashed=hashed))

    def _check_build(self, named: pa.Array) -> None:
        mine = pc.fill_null(pc.equal(named, self._build_id), False)
        foreign = len(named) - (pc.sum(mine).as_py() or 0)
        self._foreign_rows += foreign
        if foreign and len(self._other_builds) < _MOST_NAMED:
            others = named.filter(pc.invert(mine)).unique()
            self._other_builds.update(others.slice(0, _MOST_NAMED).to_pylist())

    def _changes(self, hi: np.ndarray, lo: np.ndarray) -> np.ndarray:
        """Returns which rows have another hash than the row before them."""
        changed = np.ones(len(hi), bool)
        changed[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
        if len(hi):
            changed[0] = self._last != (int(hi[0]), int(lo[0]))
            self._last = (int(hi[-1]), int(lo[-1]))
        return changed

    def _check_texts(
        self, batch: pa.RecordBatch, hi: np.ndarray, lo: np.ndarray, origin: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Returns how many texts were hashed, and how much text there is."""
        amounts = np.zeros((len(Origin), len(UNITS)), np.int64)
        if schema.TEXT not in batch.schema.names:
            return 0, amounts
        text = batch.column(schema.TEXT)
        there = np.ones(len(text), bool)
        if not self._kept:
            unusable = pc.is_in(batch.column(schema.REASON), _NOT_HASHED)
            there = pc.and_not(pc.is_valid(text), unusable).to_numpy(False)
            text = text.filter(pa.array(there))
        normal = normalise(text)
        found_hi, found_lo = hash_texts(normal)
        wrong = (found_hi != hi[there]) | (found_lo != lo[there])
        self._bad_texts += int(wrong.sum())
        if wrong.any() and self._example is None:
            hashes = batch.column(schema.CONTENT_HASH)
            self._example = hashes[int(np.flatnonzero(there)[wrong][0])].as_py()
        size = pc.fill_null(pc.binary_length(text), 0).to_numpy(False)
        who = origin[there]
        for unit, weight in enumerate((None, size, count_words(normal))):
            weights = None if weight is None else weight[who >= 0]
            counted = np.bincount(who[who >= 0], weights, len(Origin))
            amounts[:, unit] = counted.astype(np.int64)
        return len(normal), amounts

    def build_faults(self) -> Iterator[str]:
        """Yields what is wrong with the builds that rows name."""
        if self._foreign_rows:
            named = sorted(str(name)[:40] for name in self._other_builds)
            yield (
                f"{self._foreign_rows:,} rows of another build: "
                f"{', '.join(map(repr, named[:_MOST_NAMED]))}"
            )

    def hash_faults(self) -> Iterator[str]:
        """Yields what is wrong with hashes, origins and reasons."""
        if self._bad_hashes:
            yield self._bad_hashes
        if self._bad_origins:
            yield f"{self._bad_origins:,} rows without an origin that we know"
        if self._bad_reasons:
            yield f"{self._bad_reasons:,} rows without a reason that we know"
        if self._bad_texts:
            yield (
                f"{self._bad_texts:,} texts are not those of their content_hash, "
                f"such as {self._example}"
            )


def _codes(names: pa.Array, known: pa.Array) -> np.ndarray:
    """Returns where each name stands among those known, -1 for none: int64."""
    return pc.fill_null(pc.index_in(names, known), -1).to_numpy(False).astype(np.int64)


def add_recounts(parts: Iterable[Recount]) -> Recount:
    """Returns what all parts hold together."""
    return functools.reduce(operator.add, parts, Recount())
