import csv
import gzip
import io
import tracemalloc
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.inputs.csv_rows import as_typed, read_csv
from synthfilter.inputs.formats import CSV, TSV


def read(
    data: bytes, kind: str = CSV, compression: str = "", longest: int = 10**6
) -> Any:
    found = list(read_csv(io.BytesIO(data), compression, longest, kind))
    return [(n, str(r) if isinstance(r, ValueError) else r) for n, r in found]


def test_quotes_commas_and_newlines_stand_as_they_are() -> None:
    data = b'id,text\n1,"a, ""b""\nc"\n\n2, d \r\n3,5" pipe\n'
    assert read(data) == [
        (2, {"id": "1", "text": 'a, "b"\nc'}),
        (5, {"id": "2", "text": " d "}),
        (6, {"id": "3", "text": '5" pipe'}),
    ]
    assert read(b"id\ttext\n1\ta, b\n", TSV) == [(2, {"id": "1", "text": "a, b"})]


@given(
    st.lists(st.tuples(*[st.text(st.sampled_from('ab,"\n\t\r é'), max_size=5)] * 2)),
    st.sampled_from([CSV, TSV]),
)
def test_what_pythons_writer_writes_comes_back(rows: list, kind: str) -> None:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter="\t" if kind == TSV else ",")
    writer.writerows([("x", "y"), *rows])
    found = read(sink.getvalue().encode(), kind)
    assert [(row["x"], row["y"]) for _, row in found] == rows


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"1", "2 fields expected by the header, got 1"),
        (b"1,2,3", "2 fields expected by the header, got 3"),
        (b"1,caf\xe9", "invalid UTF-8"),
        (b'1,"caf\xe9"', "invalid UTF-8"),
        (b'1,"a"b', "invalid CSV: ',' expected after '\"'"),
        (b"1,a\rb", "invalid CSV: new-line character seen in unquoted field"),
    ],
)
def test_a_bad_line_is_an_error_in_its_place(line: bytes, said: str) -> None:
    data = b"id,text\n0,before\n" + line + b"\n9,after\n"
    (_, before), (number, error), (_, after) = read(data)
    assert (before["id"], number, after["id"]) == ("0", 3, "9")
    assert error.startswith(said)


def test_a_record_of_several_lines_that_is_broken_says_which_are_lost() -> None:
    data = b'id,text\n1,"open\n2,lost\n3,"too"\n4,after\n'
    (number, error), (_, after) = read(data)
    assert number == 2
    assert error.endswith("; lines 2 to 4")
    assert after["id"] == "4"


def test_a_quote_that_is_never_closed_is_a_broken_file() -> None:
    (_, before), (number, error) = read(b'id,text\n0,a\n1,"open\n2,b\n3,c\n')
    assert (before["id"], number) == ("0", 3)
    assert error == "broken file: a quote is never closed, line 5 is the last"


@pytest.mark.parametrize("inside", [b"x" * 3000, b"x\n" * 1500])
def test_a_record_that_is_too_long_is_passed_over(inside: bytes) -> None:
    data = b'id,text\n1,"' + inside + b'"\n2,b\n'
    (number, error), (_, after) = read(data, longest=1000)
    assert (number, after) == (2, {"id": "2", "text": "b"})
    assert error.startswith("a record is too long, up to line")
    (_, error) = read(b'id,text\n1,"' + b"x\n" * 1500, longest=1000)[-1]
    assert error.startswith(
        "broken file: a record is too long, or a quote never closed"
    )


def test_a_quote_that_is_never_closed_takes_no_memory() -> None:
    class Endless(io.RawIOBase):
        left = 1000
        lines = (b"x" * 999 + b"\n") * 64

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b'text\n"' if self.left == 999 else self.lines * (self.left > 0)

    tracemalloc.start()
    (_, error), *_ = list(read_csv(Endless(), "", 1_000_000, CSV))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "never closed" in str(error)
    assert peak < 60_000_000


def test_a_field_may_be_huge() -> None:
    text = "long, " * 500_000
    data = f'id,text\n1,"{text}"\n'.encode()
    assert read(data, longest=4_000_000) == [(2, {"id": "1", "text": text})]


def test_a_mark_at_the_start_and_empty_files_are_fine() -> None:
    assert read(b"\xef\xbb\xbftext\r\na\r\n") == [(2, {"text": "a"})]
    for data in (b"", b"\n\n", b"text\n"):
        assert read(data) == []


@pytest.mark.parametrize(
    "header", [b"text,caf\xe9\n", b'text,"open\n', b"x" * 2_000_000 + b"\n"]
)
def test_a_header_that_cannot_be_read_is_a_broken_file(header: bytes) -> None:
    ((number, error),) = read(header + b"a,b\n" * 3)
    assert number == 1
    assert error.startswith("broken file: ")


PACK = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_truncated_file_keeps_its_whole_records(
    compression: str, quote: bytes
) -> None:
    rows = [b"%d,%s%x\n%s" % (n, quote, 7**n, quote) for n in range(300)]
    if not quote:
        rows = [row.rstrip(b"\n") for row in rows]
    packed = PACK[compression](b"id,text\n" + b"\n".join(rows))
    assert len(read(packed, CSV, compression)) == 300
    *found, (number, error) = read(packed[: len(packed) // 2], CSV, compression)
    # A small file is one block to zstd.
    assert (compression == ".zst") == (not found)
    assert len(found) < 300
    assert all(isinstance(record, dict) for _, record in found)
    assert number > (found[-1][0] if found else 0)
    assert "inside a compressed stream" in error and error.startswith("broken file")


def test_what_is_no_csv_at_all_is_named() -> None:
    ((_, error),) = read(b"<!DOCTYPE html>\n<p>404\n")
    assert "holds a page of HTML or XML, expected CSV" in error


def test_strings_become_what_their_fields_hold() -> None:
    record = {
        "t": "",
        "r": "True",
        "g": "2",
        "p": '["a"]',
        "u": "",
        "w": "0.5",
        "x": "",
    }
    mapping = {
        "text": "t",
        "reviewed": "r",
        "synth_generation": "g",
        "parent_ids": "p",
        "url": "u",
        "weight": "w",
    }
    assert as_typed(dict(record), mapping) == {
        "t": "",
        "r": True,
        "g": 2,
        "p": ["a"],
        "u": None,
        "w": "0.5",
        "x": "",
    }
    assert as_typed({"r": "yes"}, {"reviewed": "r"}) == {"r": "yes"}
