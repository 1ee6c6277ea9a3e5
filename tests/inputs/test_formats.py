import gzip
import io
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.inputs.formats import (
    ARROW,
    CSV,
    JSONL,
    PARQUET,
    TSV,
    WARC,
    CorruptInputError,
    format_of,
    lines,
    plain_chunks,
)

# Long enough for several pieces, and hard to compress.
PLAIN = b"".join(b'{"text": "%x"}\n' % (3**i) for i in range(200))


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACK = {".gz": gzip.compress, ".zst": zstd, ".zstd": zstd, "": bytes}
PACKED = [".gz", ".zst"]


def read(data: bytes, compression: str) -> bytes:
    return b"".join(plain_chunks(io.BytesIO(data), compression))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.parquet", (PARQUET, "")),
        ("a.JSONL", (JSONL, "")),
        ("a.ndjson.gz", (JSONL, ".gz")),
        ("a.json.zst", (JSONL, ".zst")),
        ("a.jsonl.zstd", (JSONL, ".zstd")),
        ("a.parquet.gz", (None, ".gz")),
        ("a.jsonl.zst.gz", (None, ".gz")),
        ("a.gz", (None, ".gz")),
        ("a.csv", (CSV, "")),
        ("a.TSV.gz", (TSV, ".gz")),
        ("a.wet.gz", (WARC, ".gz")),
        ("a.warc", (WARC, "")),
        ("a.feather", (ARROW, "")),
        ("a.arrow.gz", (None, ".gz")),
        ("a.docx", (None, "")),
        ("jsonl", (None, "")),
    ],
)
def test_the_format_is_told_by_the_name(path: str, found: tuple) -> None:
    assert format_of(path) == found


@pytest.mark.parametrize("compression", PACK)
def test_what_was_compressed_comes_back(compression: str) -> None:
    assert read(PACK[compression](PLAIN), compression) == PLAIN


@pytest.mark.parametrize("compression", PACKED)
def test_all_members_and_frames_of_a_file_are_read(compression: str) -> None:
    pack = PACK[compression]
    data = pack(PLAIN[:999]) + pack(b"") + pack(PLAIN[999:])
    assert read(data, compression) == PLAIN


def test_a_zstd_frame_that_holds_no_data_is_passed_over() -> None:
    skipped = b"\x50\x2a\x4d\x18" + b"\x04\0\0\0" + b"abcd"
    assert read(skipped + zstd(PLAIN) + skipped, ".zst") == PLAIN


@pytest.mark.parametrize("compression", PACKED)
def test_zeros_after_the_end_are_padding(compression: str) -> None:
    assert read(PACK[compression](PLAIN) + bytes(5000), compression) == PLAIN


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_file_that_ends_early_gives_what_is_there_and_an_error(
    compression: str, tenth: int
) -> None:
    data = PACK[compression](PLAIN)
    got = []
    with pytest.raises(CorruptInputError, match="inside a compressed stream"):
        for chunk in plain_chunks(
            io.BytesIO(data[: len(data) * tenth // 10]), compression
        ):
            got.append(chunk)
    assert PLAIN.startswith(b"".join(got))


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("rest", [b"garbage", b"<html>", b"\0\0x"])
def test_garbage_after_the_end_is_an_error(compression: str, rest: bytes) -> None:
    got = []
    with pytest.raises(CorruptInputError):
        for chunk in plain_chunks(
            io.BytesIO(PACK[compression](PLAIN) + rest), compression
        ):
            got.append(chunk)
    assert b"".join(got) == PLAIN


@pytest.mark.parametrize("compression", PACKED)
def test_a_file_that_is_something_else_is_an_error(compression: str) -> None:
    with pytest.raises(CorruptInputError, match="damaged near byte"):
        read(b"<html>404 not found</html>", compression)
    with pytest.raises(CorruptInputError, match="0 bytes"):
        read(b"", compression)


@given(st.data())
def test_a_flipped_byte_never_gives_wrong_text_unnoticed(data: st.DataObject) -> None:
    packed = bytearray(gzip.compress(PLAIN[:300], mtime=0))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert read(bytes(packed), ".gz") == PLAIN[:300]
    except CorruptInputError:
        pass


@pytest.mark.parametrize("compression", PACKED)
def test_a_bomb_is_refused_in_bounded_memory(compression: str) -> None:
    bomb = PACK[compression](bytes(300_000_000))
    assert len(bomb) < 300_000
    tracemalloc.start()
    size = 0
    with pytest.raises(CorruptInputError, match="a decompression bomb"):
        for chunk in plain_chunks(io.BytesIO(bomb), compression):
            size += len(chunk)
            assert len(chunk) <= 1 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size <= (16 << 20) + 500 * len(bomb)
    assert peak < 150_000_000


@pytest.mark.parametrize("compression", PACKED)
def test_a_small_file_may_hold_one_text_over_and_over(compression: str) -> None:
    data = b'{"text": "again"}\n' * 800_000
    assert len(data) > 800 * len(zstd(data))
    assert read(PACK[compression](data), compression) == data


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (gzip.compress(PLAIN), "gzip"),
        (zstd(PLAIN), "zstd"),
        (b"PAR1....PAR1", "Parquet"),
        (b"PK\3\4....", "a ZIP archive"),
        (b"\xef\xbb\xbf\r\n <!DOCTYPE html><p>404", "a page of HTML or XML"),
        ('{"text": "x"}'.encode("utf-16"), "UTF-16 text"),
    ],
)
def test_what_is_no_text_at_all_is_named(
    compression: str, data: bytes, kind: str
) -> None:
    with pytest.raises(CorruptInputError, match=f"holds {kind}, expected JSON lines"):
        read(PACK[compression](data), compression)


@given(st.binary(max_size=60).map(lambda raw: raw.replace(b"\1", b"\n")), st.data())
def test_lines_do_not_depend_on_the_borders_of_chunks(data: bytes, draw) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    chunks = [
        data[start:stop] for start, stop in zip([0, *cuts], [*cuts, None], strict=True)
    ]
    longest = draw.draw(st.integers(0, 20))
    wanted = data.split(b"\n")
    wanted = wanted if wanted[-1] else wanted[:-1]
    assert list(lines(chunks, longest)) == [
        line if len(line) <= longest else len(line) for line in wanted
    ]


def test_a_line_that_is_too_long_is_passed_over_in_bounded_memory() -> None:
    chunks = (bytes(65_536) for _ in range(2_000))
    tracemalloc.start()
    assert list(lines(chunks, 1_000_000)) == [131_072_000]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
