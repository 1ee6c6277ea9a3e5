"""Which documents of a finished build an id, a hash or a place in a file means.

Files are read as streams of a few columns; whole rows are read of the row groups of the
documents that are found.
"""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.schema import REASON_NAMES, Reason
from synthfilter.core.uses import HASH_DIGITS
from synthfilter.outputs.manifest import DEAD_LETTERS, REJECTED, SHARDS

KEPT = REASON_NAMES[Reason.KEPT]
LEAST_DIGITS = 8
MOST_TOLD = 10
_MOST_NAMED = 5
_BATCH_ROWS = 1 << 16
_MOST_NEAR = 1000
_FILE = "file"
# `part-0.jsonl:line 7`, `part-0.jsonl line 7`.
_LETTER = re.compile(
    r"(?P<file>.+?)(?:[: ]\s*)(?P<position>(?:line|row|record) \d+|file)"
)


class Match(NamedTuple):
    """Where a document stands.

    Attributes:
      kind: Of file: `SHARDS`, `REJECTED` or `DEAD_LETTERS`.
      path: Of the file, in the output folder.
      row: Its first row there, from 0 on.
      times: How often it is there, in rows that follow each other.
      id: Its id; of a dead letter its position.
      content_hash: Its hash; of a dead letter its file.
    """

    kind: str
    path: str
    row: int
    times: int
    id: str
    content_hash: str


@dataclasses.dataclass
class Found:
    """The documents that are meant.

    Attributes:
      matches: The first ones, those in the set before the others.
      more: How many others there are.
      hashes: Content hashes of them, some of very many.
    """

    matches: list[Match] = dataclasses.field(default_factory=list)
    more: int = 0
    hashes: set[str] = dataclasses.field(default_factory=set)

    def add(self, match: Match) -> None:
        """Adds a document, or one more row of the last one."""
        last = self.matches[-1] if self.matches and not self.more else None
        if last and match == last._replace(row=last.row + last.times, times=1):
            self.matches[-1] = last._replace(times=last.times + 1)
        elif len(self.matches) < MOST_TOLD:
            self.matches.append(match)
        else:
            self.more += 1
        if len(self.hashes) <= MOST_TOLD:
            self.hashes.add(match.content_hash)


def find_documents(folder: str, manifest: Mapping[str, Any], asked: str) -> Found:
    """Returns the documents of an id, a content hash or a place in an input file.

    Args:
      folder: Of the build.
      manifest: Its manifest.
      asked: An id; a content hash, or how it begins; or the file and position of a
        dead letter.

    Raises:
      UserError: there is none, or the beginning is that of several hashes.
    """
    digits = asked.lower()
    if not re.fullmatch(f"[0-9a-f]{{{LEAST_DIGITS},{HASH_DIGITS}}}", digits):
        digits = ""
    by_id, by_hash = Found(), Found()
    for kind in (SHARDS, REJECTED):
        for path in paths_of(manifest, kind):
            for match in _matches(folder, kind, path, asked, digits):
                (by_id if match.id == asked else by_hash).add(match)
    for match in _dead_letters(folder, manifest, asked):
        by_id.add(match)
    if by_id.matches:
        return by_id
    if len(by_hash.hashes) > 1:
        named = sorted(by_hash.hashes)[:_MOST_NAMED]
        raise UserError(
            f"{asked!r} begins several content hashes: {', '.join(named)}"
            f"{' and more' if len(by_hash.hashes) > _MOST_NAMED else ''}; give more "
            "digits"
        )
    if not by_hash.matches:
        raise _not_found(folder, manifest, asked)
    return by_hash


def paths_of(manifest: Mapping[str, Any], kind: str) -> list[str]:
    """Returns the files of one kind, in the output folder."""
    return [file["path"] for file in manifest[kind]]


def _matches(
    folder: str, kind: str, path: str, asked: str, digits: str
) -> Iterator[Match]:
    """Yields the rows of a file that have the id, or a hash that begins so."""
    bounds = {schema.ID: (asked, asked)}
    if digits:
        last = digits.ljust(HASH_DIGITS, "f")
        bounds[schema.CONTENT_HASH] = (digits.ljust(HASH_DIGITS, "0"), last)
    columns = [schema.ID, schema.CONTENT_HASH]
    for start, batch in read_columns(storage.join(folder, path), columns, bounds):
        names, hashes = batch.columns
        mine = pc.equal(names, asked)
        if digits:
            mine = pc.or_(mine, pc.starts_with(hashes, digits))
        for row in np.flatnonzero(mine.to_numpy(zero_copy_only=False)).tolist():
            told = (names[row].as_py(), hashes[row].as_py())
            yield Match(kind, path, start + row, 1, *told)


def _dead_letters(
    folder: str, manifest: Mapping[str, Any], asked: str
) -> Iterator[Match]:
    """Yields the dead letters of a file and a position."""
    meant = _LETTER.fullmatch(asked)
    if meant is None:
        return
    for path in paths_of(manifest, DEAD_LETTERS):
        for start, batch in read_columns(
            storage.join(folder, path), [_FILE, schema.POSITION], {}
        ):
            mine = pc.and_(
                pc.equal(batch.column(schema.POSITION), meant["position"]),
                _is_file(batch.column(_FILE), meant["file"]),
            )
            for row in np.flatnonzero(mine.to_numpy(zero_copy_only=False)).tolist():
                told = (batch.column(name)[row].as_py() for name in batch.schema.names)
                file, position = told
                yield Match(DEAD_LETTERS, path, start + row, 1, position, file)


def _is_file(paths: pa.Array, name: str) -> pa.Array:
    """Returns which paths are a name, or end in it."""
    return pc.or_(pc.equal(paths, name), pc.ends_with(paths, "/" + name))


def read_columns(
    path: str, columns: Sequence[str], bounds: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(first row, batch)` of some columns, in that order.

    Args:
      path: Of a file of a build.
      columns: Names.
      bounds: Row groups are passed over that have no value between the first and the
        last of any of these columns; none are, without any.

    Raises:
      UserError: it cannot be read.
    """
    try:
        with storage.open_parquet(path) as file:
            start = 0
            for group in range(file.metadata.num_row_groups):
                about = file.metadata.row_group(group)
                at, start = start, start + about.num_rows
                if bounds and not _may_have(about, bounds):
                    continue
                for batch in file.iter_batches(
                    _BATCH_ROWS, row_groups=[group], columns=list(columns)
                ):
                    yield at, batch.select(columns)
                    at += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> UserError:
    said = str(error).splitlines()[0]
    return UserError(f"{path} cannot be read: {said}; build it again")


def _may_have(
    group: pq.RowGroupMetaData, bounds: Mapping[str, tuple[str, str]]
) -> bool:
    """Returns whether a row group may have a value within any of the bounds."""
    for at in range(group.num_columns):
        about = group.column(at)
        if about.path_in_schema not in bounds:
            continue
        first, last = bounds[about.path_in_schema]
        known = about.statistics
        if known is None or not known.has_min_max:
            return True
        if known.min <= last and known.max >= first:
            return True
    return False


def _not_found(folder: str, manifest: Mapping[str, Any], asked: str) -> UserError:
    """Returns what to say of a document that is nowhere."""
    letters = _letters_of(folder, manifest, asked)
    if letters:
        return UserError(
            f"{asked!r} is a file of which records could not be read; name one of "
            f"them: {', '.join(letters)}"
        )
    hint = "give an id, a content_hash or its first 8 or more digits"
    names = {name.lower(): name for name in sorted(_alike(folder, manifest, asked))}
    near = difflib.get_close_matches(asked.lower(), names, _MOST_NAMED, cutoff=0.5)
    if near:
        hint = f"did you mean {', '.join(repr(names[name]) for name in near)}?"
    return UserError(
        f"no document {asked!r} in data/, rejected/ or dead_letter/ of {folder!r}; "
        f"{hint}"
    )


def _letters_of(folder: str, manifest: Mapping[str, Any], name: str) -> list[str]:
    """Returns some dead letters of a file."""
    found: list[str] = []
    for path in paths_of(manifest, DEAD_LETTERS):
        for _, batch in read_columns(
            storage.join(folder, path), [_FILE, schema.POSITION], {}
        ):
            mine = batch.filter(_is_file(batch.column(_FILE), name))
            for position in mine.column(schema.POSITION).to_pylist():
                found.append(repr(f"{name}:{position}"))
                if len(found) == _MOST_NAMED:
                    return found
    return found


def _alike(folder: str, manifest: Mapping[str, Any], asked: str) -> set[str]:
    """Returns some ids that begin or end like another, or have it within."""
    half = (len(asked) + 1) // 2
    found: set[str] = set()
    for kind in (SHARDS, REJECTED):
        for path in paths_of(manifest, kind):
            for _, batch in read_columns(storage.join(folder, path), [schema.ID], {}):
                names = batch.column(schema.ID)
                near = pc.match_substring(names, asked, ignore_case=True)
                if half:
                    begins = pc.starts_with(names, asked[:half], ignore_case=True)
                    ends = pc.ends_with(names, asked[-half:], ignore_case=True)
                    near = pc.or_(near, pc.or_(begins, ends))
                found.update(names.filter(near).slice(0, _MOST_NEAR).to_pylist())
                if len(found) >= _MOST_NEAR:
                    return found
    return found


def read_match(
    folder: str, match: Match, columns: Optional[Sequence[str]] = None
) -> dict[str, Any]:
    """Returns the row of a document; other row groups are not read.

    Args:
      folder: Of the build.
      match: Where it is.
      columns: Names; None for all.

    Raises:
      UserError: it cannot be read.
    """
    path = storage.join(folder, match.path)
    try:
        with storage.open_parquet(path) as file:
            at = match.row
            for group in range(file.metadata.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                if at < rows:
                    table = file.read_row_group(group, columns=columns)
                    return table.slice(at, 1).to_pylist()[0]
                at -= rows
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    raise UserError(f"{path} has changed while it was read; run it again")
