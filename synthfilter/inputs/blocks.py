"""Blocks: addressable pieces of the input, each some row groups of a Parquet file."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from synthfilter.core import progress, schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.schema import BLOCKS_PER_FILE, DOCUMENT, TEXT, Origin
from synthfilter.inputs.arrow_batches import open_arrow
from synthfilter.inputs.conform import check_text_type
from synthfilter.inputs.fields import map_fields
from synthfilter.inputs.folders import list_pattern
from synthfilter.inputs.formats import ARROW, KNOWN, PARQUET, WARC, format_of
from synthfilter.inputs.paths import Columns, type_at
from synthfilter.inputs.spool import sample_columns, spool_error, spool_file
from synthfilter.inputs.warc import check_readers

# A block is at least this much text, so that its sidecar is worth a file.
_BLOCK_BYTES = 16 << 20
_EDGE_BYTES = 1 << 16

SPOOL_VERSION = 6
# In a spool every field has its own name.
_SPOOL_MAPPING = {name: name for name in DOCUMENT.names}


@dataclasses.dataclass(frozen=True)
class InputFile:
    """A file of the input as the listing found it."""

    number: int
    path: str
    declared: Origin
    bytes: int
    modified: float


@dataclasses.dataclass(frozen=True)
class Block:
    """Row groups `first_group` up to `stop_group` of a Parquet file.

    Attributes:
      key: Its address; ascending in the order of the input.
      file: The input file that it comes from, as the user named it.
      path: The Parquet file to read, the input itself or its spool.
      fingerprint: Of the input file: path, size, time, first and last bytes.
      declared: The origin that the user declared for the file.
      mapping: Field to column.
      rows: Number of rows.
      first_row: Rows of the file before the block.
      bytes: Its part of the input file's size on disk, for progress.
      spooled: Whether `path` is a spool, with errors in columns of their own.
    """

    key: int
    file: str
    path: str
    fingerprint: str
    declared: Origin
    mapping: Mapping[str, str]
    first_group: int
    stop_group: int
    rows: int
    first_row: int
    bytes: int
    spooled: bool


def list_inputs(patterns: Mapping[Origin, Sequence[str]]) -> list[InputFile]:
    """Returns the files of all patterns, numbered by declared origin, then path.

    Raises:
      UserError: nothing matches a pattern, a file is of no known format, or it is
        declared twice, or what reads it is not installed.
    """
    found: dict[str, InputFile] = {}
    for origin in sorted(patterns):
        paths = {
            entry.path: entry
            for pattern in patterns[origin]
            for entry in list_pattern(pattern)
        }
        for path, entry in sorted(paths.items()):
            kind = format_of(path)[0]
            if kind is None:
                raise UserError(f"cannot tell the format of {path!r}: expected {KNOWN}")
            if kind == WARC:
                check_readers()
            if path in found:
                raise UserError(
                    f"{path!r} is declared {found[path].declared.name.lower()} and "
                    f"{origin.name.lower()}; name it once"
                )
            found[path] = InputFile(
                len(found),
                path,
                origin,
                entry.size_in_bytes,
                entry.last_updated_in_seconds or 0.0,
            )
    return list(found.values())


def read_columns(file: InputFile, fields: Mapping[str, str] | None = None) -> Columns:
    """Returns the columns of a file, for records of text those of the first ones.

    None where it cannot be read as its format: that is for the build to put in the
    books, record by record.

    Args:
      file: The file.
      fields: Field to column, from the user: the text column of a file that has types
        is looked at, too. One without any values is for the build to put in the books.

    Raises:
      UserError: it has no text column, or one that holds something else.
    """
    kind = format_of(file.path)[0]
    try:
        if kind == PARQUET:
            with storage.open_parquet(file.path) as parquet:
                arrow = parquet.schema_arrow
        elif kind == ARROW:
            with open_arrow(file.path) as (reader, _):
                arrow = reader.schema
        else:
            return sample_columns(file.path)
    except (OSError, pa.ArrowException):
        return Columns([], [])
    columns = Columns.of_schema(arrow)
    if fields is not None:
        mapping = map_fields(columns, fields, file.path)
        if not pa.types.is_null(type_at(arrow, mapping[TEXT])):
            check_text_type(arrow, mapping, file.path)
    return columns


def open_file(
    file: InputFile, fields: Mapping[str, str], spool_folder: str, max_bytes: int
) -> Iterator[Block]:
    """Yields the blocks of a file; what is not Parquet is spooled first, if it was not.

    A file that cannot be read at all is one block with one error row.

    Args:
      file: The file.
      fields: Field to column, from the user; goes before the aliases.
      spool_folder: Where spools are kept, from build to build.
      max_bytes: A longer line of a text format is an error row.
    """
    mark = mark_file(file)
    name = storage.join(spool_folder, f"{mark}-{_spool_key(fields, max_bytes)}")
    spool = f"{name}.parquet"
    kind = format_of(file.path)[0]
    if kind == WARC:
        check_readers()
    try:
        if kind == PARQUET:
            with storage.open_parquet(file.path) as parquet:
                mapping = _parquet_mapping(parquet, fields, file.path)
                yield from split_file(file, mark, parquet.metadata, mapping)
                return
        if not _is_whole(spool):
            spool_file(file.path, spool, fields, max_bytes)
    except (OSError, ValueError, pa.ArrowException) as error:
        # Under a name of its own: the file may be readable the next time.
        spool = f"{name}-error.parquet"
        spool_error(f"{schema.BROKEN_FILE}{error}", "file", spool)
    with storage.open_parquet(spool) as parquet:
        yield from split_file(file, mark, parquet.metadata, None, spool)


def _is_whole(spool: str) -> bool:
    """Returns whether a spool is there and its footer can be read."""
    if not storage.exists(spool):
        return False
    try:
        storage.open_parquet(spool).close()
    except (OSError, pa.ArrowException):
        return False
    return True


def mark_file(file: InputFile) -> str:
    """Returns the fingerprint of a file, or what stands for it if it cannot be read."""
    try:
        return fingerprint(file)
    except (OSError, UserError) as error:
        return xxhash.xxh3_128_hexdigest(f"{file.path}\0{error}".encode())


def fingerprint(file: InputFile) -> str:
    """Returns what tells one state of a file from another without reading it whole."""
    state = xxhash.xxh3_128(f"{file.path}\0{file.bytes}\0{file.modified!r}\0".encode())
    with storage.open_raw(file.path) as opened:
        state.update(opened.read(_EDGE_BYTES))
        if file.bytes > _EDGE_BYTES:
            opened.seek(max(_EDGE_BYTES, file.bytes - _EDGE_BYTES))
            state.update(opened.read(_EDGE_BYTES))
    return state.hexdigest()


def _spool_key(fields: Mapping[str, str], max_bytes: int) -> str:
    """Returns what else a spool depends on, in a few letters."""
    said = repr((SPOOL_VERSION, sorted(fields.items()), max_bytes))
    return xxhash.xxh3_64_hexdigest(said.encode())


def _parquet_mapping(
    parquet: pq.ParquetFile, fields: Mapping[str, str], path: str
) -> dict[str, str]:
    """Maps the fields of a Parquet file and checks that the text is text."""
    arrow = parquet.schema_arrow
    mapping = map_fields(Columns.of_schema(arrow), fields, path)
    check_text_type(arrow, mapping, path)
    return mapping


def check_records(
    file: InputFile, blocks: Sequence[Block], expected: int, spool_folder: str
) -> Iterator[Block]:
    """Yields a block with one error row if a file has another number of records.

    A compressed file that was cut between two streams has no other sign of it.

    Args:
      file: The file.
      blocks: All of it.
      expected: Number of records it should have.
      spool_folder: Where spools are kept.
    """
    found = sum(block.rows for block in blocks)
    if found == expected:
        return
    mark = mark_file(file)
    spool = storage.join(spool_folder, f"{mark}-{found}-of-{expected}.parquet")
    reason = f"{schema.BROKEN_FILE}{expected} records expected, {found} found"
    spool_error(reason, "file", spool)
    with storage.open_parquet(spool) as parquet:
        for block in split_file(file, mark, parquet.metadata, None, spool):
            last = max((other.key for other in blocks), default=block.key - 1)
            yield dataclasses.replace(block, key=last + 1, bytes=0)


def find_expected(
    inputs: Iterable[InputFile], expected: Mapping[str, int]
) -> dict[str, int]:
    """Returns the expected records by path.

    Args:
      inputs: All files.
      expected: By path, or by its last part.

    Raises:
      UserError: a name is of no file, or of more than one.
    """
    paths = [file.path for file in inputs]
    found = {}
    for name, records in expected.items():
        named = [p for p in paths if name in (p, p.rsplit("/", 1)[-1])]
        if len(named) != 1:
            raise UserError(
                f"expected_records must name one input file each, {name!r} names "
                f"{len(named)}; give the path as it was listed"
            )
        found[named[0]] = records
    return found


def split_file(
    file: InputFile,
    mark: str,
    footer: pq.FileMetaData,
    mapping: Mapping[str, str] | None,
    spool: str | None = None,
) -> Iterator[Block]:
    """Yields runs of row groups of at least `_BLOCK_BYTES`, without empty ones.

    Args:
      file: The input file.
      mark: Its fingerprint.
      footer: Of the Parquet file that is read.
      mapping: Field to column; None for a spool.
      spool: Path of the spool; None where the input itself is read.
    """
    groups = [footer.row_group(i) for i in range(footer.num_row_groups)]
    total = sum(group.total_byte_size for group in groups)
    first_row = 0
    for number, (start, stop) in enumerate(_runs(g.total_byte_size for g in groups)):
        rows = sum(group.num_rows for group in groups[start:stop])
        size = sum(group.total_byte_size for group in groups[start:stop])
        if rows:
            yield Block(
                key=file.number * BLOCKS_PER_FILE + number,
                file=file.path,
                path=spool or file.path,
                fingerprint=mark,
                declared=file.declared,
                mapping=mapping or _SPOOL_MAPPING,
                first_group=start,
                stop_group=stop,
                rows=rows,
                first_row=first_row,
                bytes=file.bytes * size // max(total, 1),
                spooled=spool is not None,
            )
        first_row += rows


def _runs(sizes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yields `(start, stop)` of runs of sizes that reach `_BLOCK_BYTES` together."""
    start = held = count = 0
    for count, size in enumerate(sizes, 1):
        held += size
        if held >= _BLOCK_BYTES:
            yield start, count
            start, held = count, 0
    if start < count:
        yield start, count


class OpenFiles(beam.DoFn):
    """Yields the blocks of each file; see `open_file`.

    Args:
      fields: Field to column, from the user.
      spool_folder: Where spools are kept.
      max_bytes: A longer line of a text format is an error row.
      beats: Folder for progress, None for none.
      expected: Records that files should have, by path.
    """

    def __init__(
        self,
        fields: Mapping[str, str],
        spool_folder: str,
        max_bytes: int,
        beats: str | None,
        expected: Mapping[str, int] | None = None,
    ) -> None:
        """Keeps the options."""
        self._options = (fields, spool_folder, max_bytes)
        self._expected = expected or {}
        self._beats = beats

    def process(self, file: InputFile) -> Iterator[Block]:
        """Yields the blocks of a file."""
        began = time.thread_time()
        blocks = list(open_file(file, *self._options))
        if file.path in self._expected:
            expected = self._expected[file.path]
            blocks += check_records(file, blocks, expected, self._options[1])
        seconds = time.thread_time() - began
        progress.beat(self._beats, "open", 1, file.bytes, seconds=seconds)
        yield from blocks
