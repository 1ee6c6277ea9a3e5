import gzip
import io
import json
import sys
import tracemalloc
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin
from synthfilter.inputs.blocks import list_inputs
from synthfilter.inputs.warc import read_warc
from tests.archives import Archive

SAID = "The ferry left at seven, and by noon the island was a line on the water. "
PAGE = (
    "<html><head><title>Ferry</title></head><body><nav><a href=/>Home</a></nav>"
    f"<h1>The ferry</h1><p>{SAID * 3}caf\u00e9</p><script>run()</script></body></html>"
)


def read(data: bytes, compression: str = ".gz", longest: int = 10**6) -> list:
    found = list(read_warc(io.BytesIO(data), compression, longest))
    return [(n, str(r) if isinstance(r, ValueError) else r) for n, r in found]


def test_pages_and_texts_are_documents_and_nothing_else_is() -> None:
    archive = Archive()
    archive.add("warcinfo", b"software: x\r\n")
    archive.add("metadata", b"fetchTimeMs: 5\r\n")
    archive.page(PAGE.encode())
    archive.page(PAGE.encode(), "404 Not Found")
    archive.page(b"\x89PNG", Content_Type="image/png")
    archive.page(b"plain", Content_Type="text/plain")
    archive.text(SAID.encode(), WARC_Identified_Content_Language="eng,deu")
    archive.add("conversion", b"{}", Content_Type="application/json")
    (first, page), (second, text) = read(archive.data())
    assert (first, second) == (3, 7)
    assert page["text"].startswith("The ferry\n\nThe ferry left at seven")
    assert page["text"].endswith("caf\u00e9")
    assert "Home" not in page["text"] and "run()" not in page["text"]
    assert page["content_type"] == "text/html"
    assert page["id"].startswith("urn:uuid:")
    assert page["url"] == "https://a.example/"
    assert page["date"] == "2021-02-03T04:05:06Z"
    assert (text["text"], text["language"]) == (SAID, "eng,deu")
    assert text["content_type"] == "text/plain"


def test_files_of_any_packing_hold_the_same() -> None:
    packed, plain = Archive(), Archive(packed=False)
    for archive in (packed, plain):
        archive.page(PAGE.encode(), WARC_Truncated="length")
        archive.text(SAID.encode(), WARC_Record_ID="<urn:uuid:1>")
    data = plain.data()
    texts = [record["text"] for _, record in read(packed.data())]
    assert len(texts) == 2
    for compression, packed_data in {
        "": data,
        ".gz": gzip.compress(data),
        ".zst": zstandard.ZstdCompressor().compress(data),
    }.items():
        assert [r["text"] for _, r in read(packed_data, compression)] == texts


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


PACKINGS = {
    "gzip": gzip.compress(PAGE.encode()),
    "deflate": zlib.compress(PAGE.encode()),
    "Deflate": zlib.compress(PAGE.encode())[2:-4],
    "br": brotli.compress(PAGE.encode()),
    "zstd": zstandard.ZstdCompressor().compress(PAGE.encode()),
    "identity": PAGE.encode(),
}


@pytest.mark.parametrize("encoding", PACKINGS)
def test_pages_are_read_as_they_were_sent(encoding: str) -> None:
    archive = Archive()
    sent = PACKINGS[encoding]
    archive.page(sent, Content_Encoding=encoding)
    archive.page(chunked(sent), Content_Encoding=encoding, Transfer_Encoding="chunked")
    found = read(archive.data())
    assert len(found) == 2
    assert all("left at seven" in record["text"] for _, record in found)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("gzip", "damaged"), ("br", "damaged"), ("zstd", "damaged"), ("x", "unknown way")],
)
def test_a_damaged_page_is_an_error_and_the_next_is_read(
    encoding: str, said: str
) -> None:
    archive = Archive()
    archive.page(
        PACKINGS.get(encoding, b"")[:90] + b"\xff" * 9, Content_Encoding=encoding
    )
    archive.page(PAGE.encode())
    (number, error), (_, after) = read(archive.data())
    assert (number, said in error) == (1, True)
    assert "ferry" in after["text"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate"])
def test_a_page_that_is_a_bomb_takes_no_memory(encoding: str) -> None:
    zeros = bytes(200_000_000)
    pack = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "br": lambda data: brotli.compress(data, quality=1),
        "zstd": zstandard.ZstdCompressor().compress,
    }[encoding]
    archive = Archive()
    archive.page(pack(zeros), Content_Encoding=encoding)
    del zeros
    tracemalloc.start()
    ((_, error),) = read(archive.data())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "when unpacked, too long" in error or "a decompression bomb" in error
    assert peak < 150_000_000


def test_the_encoding_of_a_page_is_the_one_it_names() -> None:
    page = PAGE.replace("<head>", "<head><meta charset=windows-1252>")
    archive = Archive()
    archive.page(PAGE.encode("cp1252"), Content_Type="text/html; charset=ISO-8859-1")
    archive.page(page.encode("cp1252"), Content_Type="text/html")
    archive.page(PAGE.encode("cp1252"))
    archive.page(PAGE.encode(), Content_Type="text/html; charset=x-nobody")
    archive.text(b"caf\xe9")
    found = read(archive.data())
    assert [record["text"][-4:] for _, record in found[:2]] == ["caf\u00e9"] * 2
    assert found[2][1].startswith("invalid utf-8 at byte ")
    assert found[4] == (5, "invalid utf-8 at byte 3")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<div>" * 1_000_00 + "x", "nested more than 1000 deep"),
        ("<select>" + "<option>x" * 100_000, "more than 10000 options"),
        ("<p " + " ".join(f"a{n}=1" for n in range(90_000)) + ">x", "5000 attributes"),
    ],
)
def test_a_page_that_is_made_to_be_slow_is_an_error(page: str, said: str) -> None:
    archive = Archive()
    archive.page(page.encode())
    ((_, error),) = read(archive.data())
    assert said in error


def test_pages_of_the_web_are_not_taken_for_slow_ones() -> None:
    image = "<img src='data:image/png;base64," + "iVBORw0KGgo/" * 20_000 + "'>"
    archive = Archive()
    archive.page(f"{image}<p>{SAID}<p>{SAID}".encode() * 5)
    archive.page(b"<p>" + SAID.encode() * 20 + b"<li>x<br>" * 5000)
    assert all(
        "ferry" in record["text"] for _, record in read(archive.data(), longest=10**7)
    )


def test_a_record_that_is_too_long_is_passed_over() -> None:
    archive = Archive()
    archive.text(SAID.encode() * 100)
    archive.text(SAID.encode())
    (_, error), (number, after) = read(archive.data(), longest=1000)
    assert error == f"a record of {len(SAID) * 100} bytes is too long"
    assert (number, after["text"]) == (2, SAID)


@pytest.mark.parametrize("tenth", range(1, 10))
@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_file_keeps_whole_records(packed: bool, tenth: int) -> None:
    archive = Archive(packed)
    for number in range(20):
        archive.text(SAID.encode() + b"%d" % number)
    data = archive.data()
    # Not between two records: what ends there is a whole file.
    cut = len(data) * tenth // 10 + 50
    *found, (number, error) = read(data[:cut], ".gz" if packed else "")
    texts = [f"{SAID}{number}" for number in range(20)]
    assert [record["text"] for _, record in found] == texts[: len(found)]
    assert len(found) < 20
    assert error.startswith("broken file: ")
    assert number in (len(found), len(found) + 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"Content-Length: 73", b"Content-Length: 70", "longer than it says"),
        (b"Content-Length: 73", b"Content-Length: -1", "longer than it says"),
        (b"Content-Length: 73", b"Content-Lenght: 73", "without type or length"),
        (b"WARC/1.0", b"WRAC/1.0", "no WARC record"),
        (b"WARC-Type", b"WARC-Tipe", "without type or length"),
    ],
)
def test_a_broken_record_is_told_and_the_rest_is_lost(
    old: bytes, new: bytes, said: str
) -> None:
    assert len(SAID) == 73
    archive = Archive(packed=False)
    for _ in range(3):
        archive.text(SAID.encode())
    first, *others = archive.data().partition(b"WARC/1.0")[2].split(b"WARC/1.0")
    data = b"WARC/1.0" + first + b"WARC/1.0" + others[0]
    broken = data[: len(first) + 8] + data[len(first) + 8 :].replace(old, new, 1)
    found = read(broken + b"WARC/1.0" + others[1], "")
    assert found[0][1]["text"] == SAID
    assert said in found[-1][1] and found[-1][1].startswith("broken file: ")
    assert found[-1][0] == 2


def test_a_header_without_end_takes_no_memory() -> None:
    endless = b"WARC/1.0\r\n" + b"x" * 50_000_000
    tracemalloc.start()
    ((_, error),) = read(endless, "")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error == "broken file: a header of more than 4194304 bytes"
    assert peak < 30_000_000


@pytest.mark.parametrize(
    ("data", "compression", "said"),
    [
        (b"<!DOCTYPE html>", "", "holds a page of HTML or XML, expected WARC"),
        (b"just words\n", "", "no WARC record"),
        (b"", ".gz", "0 bytes"),
        (gzip.compress(bytes(50_000_000)), ".gz", "bomb|no WARC record|of more than"),
    ],
)
def test_what_is_no_warc_file_is_an_error(
    data: bytes, compression: str, said: str
) -> None:
    ((number, error),) = read(data, compression)
    assert number == 1
    assert any(part in error for part in said.split("|"))


def test_an_empty_file_holds_nothing() -> None:
    assert read(b"", "") == []
    assert read(gzip.compress(b"")) == []


@pytest.mark.parametrize("missing", ["warcio", "resiliparse", "brotli"])
def test_without_the_extra_there_is_one_line(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive()
    archive.text(SAID.encode())
    (tmp_path / "a.warc.gz").write_bytes(archive.data())
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        UserError, match=rf"{missing}.*pip install 'synthfilter\[warc\]'"
    ):
        list_inputs({Origin.HUMAN: [str(tmp_path)]})


def test_metadata_of_records_can_be_written_as_json() -> None:
    archive = Archive()
    archive.page(PAGE.encode())
    assert json.dumps(read(archive.data())[0][1])
