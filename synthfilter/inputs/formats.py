"""Which format a file is of, and its bytes: plain, gzip and zstd, bounded in memory."""

import functools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import zstandard

_READ_BYTES = 1 << 16
# The most that zstd makes of one byte is 32 KB: little is decompressed at a time.
_COMPRESSED_BYTES = 1 << 11
# What is decompressed goes on in pieces, so that lines are never split by the million.
_PIECE_BYTES = 1 << 20
# Text packs 3 to 20 times, one document over and over a few hundred; a bomb of gzip
# 1,029 and of zstd 32,703 times. Small files may be what they like.
_MAX_RATIO = 500
_FREE_BYTES = 16 << 20
# The memory that a zstd frame may ask for.
_MAX_WINDOW_BYTES = 1 << 27

PARQUET = "Parquet"
ARROW = "Arrow"
JSONL = "JSON lines"
CSV = "CSV"
TSV = "TSV"
WARC = "WARC"

_SUFFIXES = {
    ".parquet": PARQUET,
    ".arrow": ARROW,
    ".feather": ARROW,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".json": JSONL,
    ".csv": CSV,
    ".tsv": TSV,
    ".warc": WARC,
    ".wet": WARC,
}
# These are compressed within, if at all.
_WITHIN = (PARQUET, ARROW)
_COMPRESSIONS = (".gz", ".zst", ".zstd")
KNOWN = (
    ".parquet, .arrow or .feather, or .jsonl, .ndjson, .json, .csv, .tsv, .warc, "
    ".wet, these also with .gz or .zst"
)
"""What names may end in, for messages."""

# How files begin that are no text of records, whatever their name.
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a ZIP archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"%PDF": "a PDF file",
    b"<": "a page of HTML or XML",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
# Some editors put it before the first line of a UTF-8 file.
MARK = b"\xef\xbb\xbf"
_MARK_AND_BLANKS = MARK + b" \t\r\n"


class CorruptInputError(ValueError):
    """A file's bytes end early or are not what its format says."""


def format_of(path: str) -> tuple[str | None, str]:
    """Returns `(format, compression suffix)` of a path by its name; None = unknown."""
    name, compression = path.lower(), ""
    for suffix in _COMPRESSIONS:
        if name.endswith(suffix):
            name, compression = name[: -len(suffix)], suffix
            break
    for suffix, kind in _SUFFIXES.items():
        if name.endswith(suffix):
            return (None if compression and kind in _WITHIN else kind), compression
    return None, compression


def plain_chunks(file: Any, compression: str, expected: str = JSONL) -> Iterator[bytes]:
    """Yields the decompressed bytes of an open file, piece by piece.

    Several gzip members or zstd frames after one another are all read. Zeros after
    the last gzip member are padding.

    Args:
      file: Gives its bytes as they are.
      compression: ".gz", ".zst", ".zstd" or "".
      expected: The format, for messages.

    Raises:
      CorruptInputError: the stream is damaged, ends inside a member or frame, swells
        beyond all measure, or holds something else than text.
    """
    if compression:
        chunks = decompressed(file, compression)
    else:
        chunks = iter(functools.partial(file.read, _READ_BYTES), b"")
    for number, chunk in enumerate(chunks):
        if number == 0:
            _check_magic(chunk, expected)
        yield chunk


def _check_magic(chunk: bytes, expected: str) -> None:
    """Raises CorruptInputError if a file that should hold records of text does not."""
    start = chunk.lstrip(_MARK_AND_BLANKS)
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            raise CorruptInputError(
                f"holds {kind}, expected {expected}; the name must say what is inside"
            )


def _zstd() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".zst": _zstd,
    ".zstd": _zstd,
}


def decompressed(file: Any, compression: str) -> Iterator[bytes]:
    """Runs one decompressor after another over the file, each to its own end.

    Raises:
      CorruptInputError: see `plain_chunks`.
    """
    start = _DECOMPRESSORS[compression]
    stream = None
    streams = at = swollen = 0
    while chunk := file.read(_COMPRESSED_BYTES):
        at += len(chunk)
        while chunk:
            if stream is None:
                chunk = chunk.lstrip(b"\0") if streams else chunk
                if not chunk:
                    break
                stream, streams = start(), streams + 1
            try:
                plain = stream.decompress(chunk)
            except (zlib.error, zstandard.ZstdError) as error:
                raise CorruptInputError(f"damaged near byte {at}: {error}") from error
            swollen += len(plain)
            if swollen > _FREE_BYTES + _MAX_RATIO * at:
                raise CorruptInputError(
                    f"{at} bytes become more than {swollen}: a decompression bomb, or "
                    f"one text over and over; {_MAX_RATIO} times is the most"
                )
            for start_at in range(0, len(plain), _PIECE_BYTES):
                yield plain[start_at : start_at + _PIECE_BYTES]
            chunk, stream = (stream.unused_data, None) if stream.eof else (b"", stream)
    if stream is not None:
        raise CorruptInputError(f"ends at byte {at}, inside a compressed stream")
    if not streams:
        raise CorruptInputError("0 bytes, not a compressed stream")


def lines(chunks: Iterable[bytes], max_line_bytes: int) -> Iterator[bytes | int]:
    """Yields each line without its newline; of a line that is too long, its length.

    Args:
      chunks: Pieces of the file, in order.
      max_line_bytes: A longer line is passed over, in bounded memory.
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            size += len(piece)
            held.append(piece)
            yield b"".join(held) if size <= max_line_bytes else size
            held, size = [], 0
        size += len(rest)
        held.append(rest)
        if size > max_line_bytes:
            held.clear()
    if size:
        yield b"".join(held) if size <= max_line_bytes else size
