"""Broken and hostile files: what becomes of each, in one real build.

A test is named after its row in the table of faults. What is wrong with the documents
that can be read is in test_documents.py.
"""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from synthfilter.cli import main
from synthfilter.core import schema
from synthfilter.outputs.manifest import read_manifest
from tests.conftest import REPOSITORY, Workshop

LINES = [
    json.dumps(
        {"id": f"l-{number}", "text": f"Line {number} of the old log of a ship."}
    )
    for number in range(400)
]
PLAIN = "\n".join([*LINES, ""]).encode()
HALF = len("\n".join([*LINES[:200], ""]).encode())
PAGE = b"<!DOCTYPE html>\n<html><body>\n<h1>404 not found</h1>\n</body></html>\n"


def zstd(data: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


def parquet(texts: list[str], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), sink, **options)
    return sink.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


SHEET = parquet([f"Row {number} of a sheet." for number in range(50)])
CHECKED = parquet(
    ["Every page of it has a checksum. " * 9] * 50,
    write_page_checksum=True,
    compression="none",
    use_dictionary=False,
    write_statistics=False,
)
# The long text stands in the page as it is.
IN_A_PAGE = CHECKED.index(b"has a checksum")

# A frame without content that asks for a window of 256 MB.
GREEDY = zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\0\x90" + b"\1\0\0"

FILES = {
    "cut.jsonl.gz": gzip.compress(PLAIN)[:-400],
    "member.jsonl.gz": gzip.compress(PLAIN[:HALF]),
    "zeros.jsonl.gz": gzip.compress(PLAIN) + bytes(1000),
    "garbage.jsonl.gz": gzip.compress(PLAIN) + b"garbage",
    "cut.jsonl.zst": zstd(PLAIN)[:-9],
    "frames.jsonl.zst": zstd(PLAIN[:HALF]) + zstd(PLAIN[HALF:]),
    "members.jsonl.gz": gzip.compress(PLAIN[:HALF]) + gzip.compress(PLAIN[HALF:]),
    "window.jsonl.zst": GREEDY,
    "nothing.jsonl.gz": b"",
    "nothing.jsonl": b"",
    "nothing.parquet": b"",
    "footless.parquet": SHEET[:-8],
    "far.parquet": SHEET[:-8] + struct.pack("<i", 2**31 - 1) + b"PAR1",
    "negative.parquet": SHEET[:-8] + struct.pack("<i", -1) + b"PAR1",
    "bit.parquet": flipped(CHECKED, IN_A_PAGE),
    "whole.parquet": CHECKED,
    "page.jsonl": PAGE,
    "page.parquet": PAGE,
    "page.jsonl.gz": PAGE,
    "packed.jsonl": gzip.compress(PLAIN),
    "plain.jsonl.zst": PLAIN,
    "sheet.jsonl": SHEET,
}


@pytest.fixture(scope="module")
def built(shared_workshop: Workshop) -> Workshop:
    folder = shared_workshop.path / "human"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    shared_workshop.build(
        expected_records=["member.jsonl.gz=400", "members.jsonl.gz=400"],
        max_dead_letters=1000,
    )
    return shared_workshop


def letters(built: Workshop, name: str) -> list[tuple[str, str]]:
    """Returns place and reason of each dead letter of a file."""
    return [
        (row["position"], row["reason"])
        for row in built.rows("dead_letter")
        if row["file"].endswith(f"/{name}")
    ]


def records(built: Workshop, name: str) -> int:
    """Returns how many records of a file are in the books, dead letters included."""
    manifest = read_manifest(str(built.path / "out"))
    named = [f for f in manifest["inputs"] if f["path"].endswith(f"/{name}")]
    return named[0]["rows"] if named else 0


def test_row_01_a_truncated_gzip_keeps_what_is_before_and_says_where(
    built: Workshop,
) -> None:
    [(position, reason)] = letters(built, "cut.jsonl.gz")
    before = records(built, "cut.jsonl.gz") - 1
    assert 0 < before < 400
    assert position == f"line {before + 1}"
    size = len(FILES["cut.jsonl.gz"])
    assert reason == f"broken file: ends at byte {size}, inside a compressed stream"


def test_row_01_a_broken_file_is_told_by_the_exit_code_unless_it_is_allowed(
    workshop: Workshop, capsys: pytest.CaptureFixture
) -> None:
    lines = workshop.path / "human/whole.jsonl"
    lines.parent.mkdir()
    lines.write_text("\n".join([*LINES[:3], "{"]))
    workshop.build()
    cut = workshop.path / "human/cut.jsonl.gz"
    cut.write_bytes(FILES["cut.jsonl.gz"])
    capsys.readouterr()
    workshop.build("told", code=4)
    [warning] = capsys.readouterr().err.splitlines()
    assert f"warning: broken: {cut}; the set lacks" in warning
    manifest = read_manifest(str(workshop.path / "told"))
    broken = {file["path"]: file["broken"] for file in manifest["inputs"]}
    assert broken == {str(lines): False, str(cut): True}
    page = (workshop.path / "told/report.html").read_text()
    assert "1 input file broken; what could not be read" in page
    workshop.build("allowed", max_dead_letters=2)


def test_row_01_a_build_that_allows_no_dead_letters_stops_and_writes_nothing(
    built: Workshop, capsys: pytest.CaptureFixture
) -> None:
    built.build("strict", code=3, max_dead_letters=0)
    said = capsys.readouterr().err
    assert "records cannot be read, more than max_dead_letters=0" in said
    assert not list((built.path / "strict").rglob("*.parquet"))


def test_row_02_a_gzip_cut_between_members_is_caught_by_a_declared_count(
    built: Workshop,
) -> None:
    assert letters(built, "member.jsonl.gz") == [
        ("file", "broken file: 400 records expected, 200 found")
    ]
    assert letters(built, "members.jsonl.gz") == []


def test_row_02_a_count_of_no_file_is_an_error(
    built: Workshop, capsys: pytest.CaptureFixture
) -> None:
    built.build("other", code=2, expected_records="membre.jsonl.gz=400")
    assert "'membre.jsonl.gz' names 0" in capsys.readouterr().err


def test_row_03_trailing_zeros_are_padding_and_trailing_garbage_is_not(
    built: Workshop,
) -> None:
    assert letters(built, "zeros.jsonl.gz") == []
    assert records(built, "zeros.jsonl.gz") == 400
    [(position, reason)] = letters(built, "garbage.jsonl.gz")
    assert (position, reason[:30]) == ("line 401", "broken file: damaged near byte")


def test_row_04_a_truncated_zstd_is_an_error(built: Workshop) -> None:
    [(_, reason)] = letters(built, "cut.jsonl.zst")
    size = len(FILES["cut.jsonl.zst"])
    assert reason == f"broken file: ends at byte {size}, inside a compressed stream"


@pytest.mark.parametrize("name", ["frames.jsonl.zst", "members.jsonl.gz"])
def test_row_05_all_frames_and_members_are_read(name: str, built: Workshop) -> None:
    assert letters(built, name) == []
    assert records(built, name) == 400


def test_row_06_a_frame_that_asks_for_a_large_window_is_refused(
    built: Workshop,
) -> None:
    [(position, reason)] = letters(built, "window.jsonl.zst")
    assert position == "line 1"
    assert "too much memory" in reason


BOMBS = """
import resource, sys
from synthfilter.core import schema
from synthfilter.inputs.spool import spool_file
import pyarrow.parquet as pq

held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = held + (400 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    target = path + ".parquet"
    spool_file(path, target, {}, 20_000_000)
    print(pq.read_table(target).column(schema.ERROR).to_pylist()[-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_row_06_bombs_are_refused_within_400_mb(tmp_path: Path) -> None:
    size = 60_000_000
    bombs = {
        "zeros.jsonl.gz": gzip.compress(bytes(size)),
        "zeros.jsonl.zst": zstd(bytes(size)),
        "lines.jsonl.zst": zstd(b"\n" * size),
        "deep.jsonl.gz": gzip.compress(b"[" * size),
    }
    paths = []
    for name, packed in bombs.items():
        assert len(packed) < size / 900
        paths.append(str(tmp_path / name))
        Path(paths[-1]).write_bytes(packed)
    found = subprocess.run(
        [sys.executable, "-c", BOMBS, *paths],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    said = found.stdout.splitlines()
    assert len(said) == len(paths)
    assert all("bomb" in line for line in said), said


def test_row_07_an_empty_file_is_told(built: Workshop) -> None:
    assert letters(built, "nothing.jsonl.gz") == [
        ("line 1", "broken file: 0 bytes, not a compressed stream")
    ]
    # No line is no record: of plain lines that is no fault.
    assert letters(built, "nothing.jsonl") == []


@pytest.mark.parametrize("there", ["missing/*.jsonl", "empty"])
def test_row_07_an_empty_set_of_input_files_is_an_error(
    there: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    named = str(tmp_path / there)
    output = str(tmp_path / "out")
    assert main(["build", "--human", named, "--output", output]) == 2
    assert f"no file matches {named!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["nothing.parquet", "footless.parquet", "far.parquet", "negative.parquet"],
)
def test_row_08_parquet_without_a_footer_is_told_and_other_files_go_on(
    name: str, built: Workshop
) -> None:
    [(position, reason)] = letters(built, name)
    assert position == "file"
    assert "Parquet" in reason
    kept = {row["source"] for row in built.rows()}
    assert "whole.parquet" in kept


def test_row_09_a_flipped_bit_in_a_page_is_found(built: Workshop) -> None:
    found = letters(built, "bit.parquet")
    assert len(found) == 50
    assert all("CRC checksum" in reason for _, reason in found)
    assert letters(built, "whole.parquet") == []


def test_row_09_what_builds_write_has_checksums(
    built: Workshop, tmp_path: Path
) -> None:
    [shard] = (built.path / "out/data").glob("*.parquet")
    data = shard.read_bytes()
    footer = pq.read_metadata(shard)
    chunk = footer.row_group(0).column(footer.schema.names.index(schema.TEXT))
    at = chunk.data_page_offset + chunk.total_compressed_size - 9
    (tmp_path / shard.name).write_bytes(flipped(data, at))
    with pytest.raises(OSError, match="CRC checksum"):
        pq.read_table(tmp_path / shard.name, page_checksum_verification=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("page.jsonl", "holds a page of HTML or XML, expected JSON lines"),
        ("page.jsonl.gz", "broken file: damaged near byte"),
        ("page.parquet", "Parquet magic bytes not found in footer"),
        ("packed.jsonl", "holds gzip, expected JSON lines"),
        ("plain.jsonl.zst", "broken file: damaged near byte"),
        ("sheet.jsonl", "holds Parquet, expected JSON lines"),
    ],
)
def test_row_10_what_a_file_holds_decides_not_its_name(
    name: str, said: str, built: Workshop
) -> None:
    [(_, reason)] = letters(built, name)
    assert said in reason


def test_dead_letters_of_a_file_are_capped_and_all_are_counted(
    workshop: Workshop,
) -> None:
    folder = workshop.path / "human"
    folder.mkdir()
    (folder / "a.jsonl").write_text("\n".join([*LINES, *["{}"] * 30, LINES[0]]))
    (folder / "b.jsonl").write_text("{}\n" * 3)
    manifest = workshop.build(dead_letters_per_file=10, max_dead_letters=33)
    assert manifest["books"]["dead_letters"] == 33
    assert manifest["dead_letters_unwritten"] == 19
    found = [
        (row["file"][-7:], row["position"]) for row in workshop.rows("dead_letter")
    ]
    assert sorted(found) == sorted(
        [("a.jsonl", f"line {number}") for number in [*range(401, 411), 430]]
        + [("b.jsonl", f"line {number}") for number in range(1, 4)]
    )
    assert main(["verify", str(workshop.path / "out")]) == 0
    workshop.build("stopped", code=3, max_dead_letters=32)
    for wrong in (-1, 1.5, "nan", "inf"):
        workshop.build("wrong", code=2, max_dead_letters=wrong)
