import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.inputs import spool
from synthfilter.inputs.json_lines import parse_line
from synthfilter.inputs.records import documents_of_records, merge_metadata
from synthfilter.inputs.spool import sample_columns, spool_error, spool_file

GOOD = b'{"text": "good"}'


def spooled(
    folder: Path,
    data: bytes,
    fields: dict[str, str] | None = None,
    compression: str = "",
    max_bytes: int = 1_000_000,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    path = folder / f"in.jsonl{compression}"
    path.write_bytes(data)
    target = str(folder / "spool.parquet")
    spool_file(str(path), target, fields or {}, max_bytes, limit)
    table = pq.read_table(target)
    assert table.schema.equals(schema.SPOOL)
    return table.to_pylist()


BAD_LINES = {
    b"[1, 2]": "expected a JSON object, got list",
    b'"text"': "expected a JSON object, got str",
    b"null": "expected a JSON object, got NoneType",
    b"17": "expected a JSON object, got int",
    b'{"text": null}': "text: expected a string, got nothing",
    b'{"id": "x"}': "text: expected a string, got nothing",
    b'{"text": 17}': "text: expected a string, got int",
    b'{"text": ["a"]}': "text: expected a string, got list",
    b'{"text": NaN}': "invalid JSON",
    b'{"text": "a", "n": NaN}': "invalid JSON",
    b'{"text": "a", "n": 1e400}': "invalid JSON",
    b'{"text": "a", "n": ' + b"9" * 5000 + b"}": "invalid JSON",
    b'{"text": "a", "n": ' + b"[" * 200_000 + b"]" * 200_000 + b"}": "invalid JSON",
    b'{"text": "a", "n": ' + b"[" * 300 + b"]" * 300 + b"}": "Recursion limit",
    b'{"text": "a", "id": ' + b"[" * 300 + b"]" * 300 + b"}": "Recursion limit",
    rb'{"text": "\ud800"}': "invalid JSON",
    rb'{"text": "a", "\udfff": 1}': "invalid JSON",
    b'{"text": "\xff"}': "invalid JSON",
    b'{"text": "cut': "invalid JSON",
    b'{"text": "a"} {"text": "b"}': "invalid JSON",
    b"<html>": "invalid JSON",
    b'{"text": "a", "text": "b"}': "the key 'text' comes twice",
    b'{"text": "a", "text" : "b"}': "the key 'text' comes twice",
    b'{"text"\t: "a", "text":"b"}': "the key 'text' comes twice",
    rb'{"text": "a", "te\u0078t": "b"}': "the key 'text' comes twice",
    b'{"text": "a", "n": {"k": 1, "k": 1}}': "the key 'k' comes twice",
    b'{"text": "a", "n": [0, {"k": 1, "k": 1}]}': "the key 'k' comes twice",
    rb'{"text": "said: \"x\": y", "n": 1, "n": 2}': "the key 'n' comes twice",
    b"\0": "invalid JSON",
    b'{"text": "' + b"x" * 1_000_000 + b'"}': "a line of 1000012 bytes is too long",
}


@pytest.mark.parametrize(
    "line",
    [
        rb'{"text": "\"key\": \"key\" : \"key\":", "key": {"key": [{"key": ":"}]}}',
        rb'{"text": "a", "k\\": 1, "k\"": 2, "k\":": 3, "": 4}',
        b'{ "text" :"a" , "Text":\t"b"}',
    ],
)
def test_keys_that_only_look_alike_are_no_doubles(line: bytes, tmp_path: Path) -> None:
    [row] = spooled(tmp_path, line)
    assert row["error"] is None
    assert row["text"] == json.loads(line)["text"]


@given(
    st.recursive(
        st.none() | st.text(st.sampled_from('":\\ a\t'), max_size=4),
        lambda inner: st.lists(
            st.tuples(st.text(st.sampled_from('":\\ a\t'), max_size=2), inner),
            max_size=3,
        ),
        max_leaves=6,
    ),
    st.sampled_from([":", ": ", " :", "\t: "]),
)
def test_doubles_are_found_wherever_they_are(value: Any, colon: str) -> None:
    def write(part: Any) -> str:
        if not isinstance(part, list):
            return json.dumps(part)
        pairs = [f"{json.dumps(key)}{colon}{write(inner)}" for key, inner in part]
        return "{" + ",".join(pairs) + "}"

    def doubled(part: Any) -> bool:
        if not isinstance(part, list):
            return False
        keys = [key for key, _ in part]
        return len(set(keys)) < len(keys) or any(doubled(inner) for _, inner in part)

    found = parse_line(write([("v", value)]).encode())
    assert isinstance(found, ValueError) == doubled(value)


@pytest.mark.parametrize("bad", BAD_LINES, ids=lambda line: line[:24])
def test_a_bad_line_becomes_an_error_row_in_its_place(
    bad: bytes, tmp_path: Path
) -> None:
    rows = spooled(tmp_path, b"\n".join([GOOD, b"", bad, b" \t\r", GOOD]))
    assert [row["text"] for row in rows] == ["good", None, "good"]
    assert [row["position"] for row in rows] == [None, "line 3", None]
    assert BAD_LINES[bad] in rows[1]["error"]
    assert len(rows[1]["error"]) <= 200


@given(st.lists(st.sampled_from([GOOD, b"", b"  ", b"[]", b"{", b"null"]), max_size=20))
def test_every_line_that_is_not_blank_is_a_row(tmp_path: Path, found) -> None:
    rows = spooled(tmp_path, b"\n".join(found))
    wanted = [
        (number, line == GOOD) for number, line in enumerate(found, 1) if line.strip()
    ]
    assert [row["text"] == "good" for row in rows] == [good for _, good in wanted]
    assert [row["position"] for row in rows if row["error"]] == [
        f"line {number}" for number, good in wanted if not good
    ]


def test_a_file_of_which_most_cannot_be_read_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_BAD_RECORDS", 2)
    rows = spooled(tmp_path, b"\n".join([GOOD, *[b"{}"] * 3, GOOD, *[b"{}"] * 3, GOOD]))
    assert [row["text"] for row in rows] == ["good", *[None] * 3, "good", *[None] * 3]
    assert rows[-2]["position"] == "line 7"
    assert rows[-1]["position"] == "line 8 and all after it"
    assert rows[-1]["error"].startswith("broken file: more than 2 and half of all")


def test_every_field_has_its_place_and_the_rest_is_metadata(tmp_path: Path) -> None:
    record = {
        "text": "one",
        "id": 7,
        "source": {"site": "x"},
        "created": "2020-01-01",
        "url": "u",
        "model": "m",
        "synth_generation": 2,
        "parent_ids": ["a", 3, None],
        "reviewed": True,
        "metadata": {"lang": "en", "old": 1},
        "extra": [1, "zwei"],
    }
    (row,) = spooled(tmp_path, json.dumps(record).encode())
    assert json.loads(row.pop("metadata")) == {
        "lang": "en",
        "old": 1,
        "extra": [1, "zwei"],
    }
    assert row == {
        "text": "one",
        "id": "7",
        "source": '{"site":"x"}',
        "created": "2020-01-01",
        "url": "u",
        "generator": "m",
        "synth_generation": 2,
        "parent_ids": ["a", "3", None],
        "reviewed": True,
        "origin": None,
        "language": "en",
        "category": None,
        "weight": None,
        "claims": 0,
        "error": None,
        "position": None,
    }


@pytest.mark.parametrize("value", ["true", "1.5", '"1"', str(2**31), str(2**64 - 1)])
def test_a_generation_that_is_no_small_number_is_null(
    value: str, tmp_path: Path
) -> None:
    line = f'{{"text": "a", "synth_generation": {value}}}'
    (row,) = spooled(tmp_path, line.encode())
    assert (row["text"], row["synth_generation"]) == ("a", None)


@pytest.mark.parametrize("value", ["1", '"yes"', '"2024-05-01"', "[true]", "{}"])
def test_reviewed_that_is_neither_true_nor_false_is_metadata(
    value: str, tmp_path: Path
) -> None:
    line = f'{{"text": "a", "reviewed": {value}}}'
    (row,) = spooled(tmp_path, line.encode())
    assert (row["text"], row["reviewed"]) == ("a", None)
    assert json.loads(row["metadata"]) == {"reviewed": json.loads(value)}


@pytest.mark.parametrize(
    ("metadata", "merged"),
    [
        ({"a": 1}, {"a": 1, "more": 2}),
        ('{"a": 1}', {"a": 1, "more": 2}),
        ("plain", {"metadata": "plain", "more": 2}),
        ("[1]", {"metadata": [1], "more": 2}),
        (5, {"metadata": 5, "more": 2}),
        (None, {"more": 2}),
        ({"more": 1}, {"more": 2}),
    ],
)
def test_metadata_of_any_kind_is_kept(metadata: Any, merged: dict) -> None:
    assert json.loads(merge_metadata(metadata, {"more": 2}) or "") == merged


def test_a_document_with_nothing_else_has_no_metadata(tmp_path: Path) -> None:
    assert spooled(tmp_path, GOOD)[0]["metadata"] is None


def test_a_document_without_a_source_gets_the_files_name(tmp_path: Path) -> None:
    assert spooled(tmp_path, GOOD)[0]["source"] == "in.jsonl"
    rows = spooled(tmp_path, GOOD + b'\n{"text": "a", "source": "s"}')
    assert [row["source"] for row in rows] == [None, "s"]


def test_the_user_names_the_text(tmp_path: Path) -> None:
    line = b'{"text": "no", "body": "yes"}'
    (row,) = spooled(tmp_path, line, {"text": "body"})
    assert row["text"] == "yes"
    assert json.loads(row["metadata"]) == {"text": "no"}


def test_records_without_any_text_column_are_an_error_that_names_the_columns(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=r"no text column.* found body, id"):
        spooled(tmp_path, b'{"body": "a", "id": 1}')
    assert not (tmp_path / "spool.parquet").exists()


@pytest.mark.parametrize("data", [b"", b"\n\n", b" \n"])
def test_a_file_without_records_has_no_rows(data: bytes, tmp_path: Path) -> None:
    assert spooled(tmp_path, data) == []


def test_a_byte_order_mark_is_not_part_of_the_first_record(tmp_path: Path) -> None:
    first, second = spooled(tmp_path, b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD)
    assert first["text"] == second["text"] == "good"


def test_a_limit_stops_early(tmp_path: Path) -> None:
    assert len(spooled(tmp_path, b"\n".join([GOOD] * 150), limit=120)) == 120
    assert len(spooled(tmp_path, b"\n".join([GOOD] * 150), limit=3)) == 3


PACK = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
RECORDS = [b'{"text": "%x"}' % (7**number) for number in range(300)]


@pytest.mark.parametrize("compression", PACK)
@pytest.mark.parametrize("tenth", range(1, 11))
def test_a_truncated_file_keeps_its_whole_lines_and_has_an_error_row(
    compression: str, tenth: int, tmp_path: Path
) -> None:
    data = PACK[compression](b"\n".join(RECORDS))
    rows = spooled(tmp_path, data[: len(data) * tenth // 10], None, compression)
    texts = [json.loads(record)["text"] for record in RECORDS]
    if tenth < 10:
        last = rows.pop()
        assert "inside a compressed stream" in last["error"]
        assert last["position"] == f"line {len(rows) + 1}"
        texts = texts[: len(rows)]
    assert [row["text"] for row in rows] == texts


def test_a_file_with_garbage_after_its_end_keeps_all_lines(tmp_path: Path) -> None:
    data = gzip.compress(GOOD + b"\n" + GOOD + b"\n") + b"garbage"
    good, same, bad = spooled(tmp_path, data, None, ".gz")
    assert good["text"] == same["text"] == "good"
    assert "damaged" in bad["error"]


def test_an_empty_gzip_file_is_one_error_row(tmp_path: Path) -> None:
    (row,) = spooled(tmp_path, b"", None, ".gz")
    assert "0 bytes" in row["error"]


def test_records_of_any_values_are_rows_and_none_is_lost() -> None:
    records = [
        {"text": "fine", "id": 5, "created": datetime.date(2020, 1, 2)},
        {"text": "\ud800"},
        {"text": "a", "id": "\ud800"},
        {"text": "numbers", "id": np.int64(7), "more": Decimal("1.5")},
        {"text": "huge", "more": 2**70},
        {},
    ]
    mapping = {name: name for name in ("text", "id", "created")}
    rows = documents_of_records(records, mapping).to_pylist()
    assert [row["text"] for row in rows] == ["fine", None, None, "numbers", None, None]
    assert [row["error"] is None for row in rows] == [
        row["text"] is not None for row in rows
    ]
    assert [rows[0]["id"], rows[0]["created"], rows[3]["id"]] == [
        "5",
        "2020-01-02",
        "7",
    ]
    assert rows[3]["metadata"] == '{"more":"1.5"}'
    assert documents_of_records([], mapping).num_rows == 0


def test_rows_come_in_groups_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_ROW_GROUP_BYTES", 1000)
    line = b'{"text": "a", "more": "%s"}' % (b"x" * 300)
    rows = spooled(tmp_path, b"\n".join([line] * 10))
    assert len(rows) == 10
    footer = pq.read_metadata(tmp_path / "spool.parquet")
    sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert sizes == [3, 3, 3, 1]


def test_a_file_that_cannot_be_read_is_a_spool_of_one_error(tmp_path: Path) -> None:
    target = str(tmp_path / "spool.parquet")
    spool_error("no such file", "file", target)
    (row,) = pq.read_table(target).to_pylist()
    assert (row["text"], row["error"], row["position"]) == (
        None,
        "no such file",
        "file",
    )


def test_the_keys_are_those_of_the_first_records_in_order(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": 1, "a": {"c": [{"d": 2}]}}\n[]\nbad\n{"b": 1, "a": 1}')
    found = sample_columns(str(path))
    assert found.names == ["text", "a", "b"]
    assert found.inner == ["a.c", "a.c[]", "a.c[].d"]
    path.write_bytes(b"")
    assert sample_columns(str(path)) == ([], [])
