import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.batches import concat_batches
from synthfilter.core.schema import DOCUMENT, Origin
from synthfilter.inputs import blocks, documents
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.documents import UNREADABLE, read_documents


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def block_of(path: str, fields: dict[str, str] | None = None) -> Block:
    (file,) = list_inputs({Origin.HUMAN: [path]})
    (block,) = open_file(file, fields or {}, "spool", 1_000_000)
    return block


def written(**columns: pa.Array) -> Block:
    pq.write_table(pa.table(columns), "t.parquet")
    return block_of("t.parquet")


def read(
    block: Block, rows: list[int] | None = None, columns: Any = DOCUMENT.names
) -> list[dict[str, Any]]:
    chosen = None if rows is None else np.array(rows, np.int64)
    return [
        row
        for batch in read_documents(block, columns, chosen)
        for row in batch.to_pylist()
    ]


def invalid(*values: bytes) -> pa.Array:
    """A string array whose bytes nobody has checked, as Parquet readers give it."""
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(values))
    )


TEXTS = ["one", None, "", "zw\u00f6lf"]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), "dictionary"], ids=str
)
def test_text_of_any_string_type_is_read(kind: Any) -> None:
    if kind == "dictionary":
        column = pa.array(TEXTS).dictionary_encode()
    else:
        column = pa.array(TEXTS, kind)
    found = concat_batches(read_documents(written(text=column), ["text"]))
    assert found.schema.field("text").type == pa.large_string()
    assert found.to_pylist() == [
        {
            "text": text,
            "error": None if text is not None else "text: expected a string, got null",
            "position": None if text is not None else "row 1",
        }
        for text in TEXTS
    ]


def test_fields_that_the_input_lacks_are_null_and_the_source_is_the_file() -> None:
    (row,) = read(written(content=pa.array(["a"])))
    missing = dict.fromkeys(DOCUMENT.names)
    assert row == {
        **missing,
        "text": "a",
        "source": "t.parquet",
        "claims": 0,
        "error": None,
        "position": None,
    }


def test_all_columns_come_as_their_types() -> None:
    block = written(
        text=pa.array(["a"]),
        id=pa.array([7]),
        created=pa.array([1_577_836_800_000], pa.timestamp("ms")),
        source=pa.array([{"site": "x"}]),
        url=pa.array([None], pa.null()),
        synth_generation=pa.array([2.0]),
        parent_ids=pa.array([[1, None]], pa.large_list(pa.int64())),
        reviewed=pa.array([True]),
    )
    found = concat_batches(read_documents(block, DOCUMENT.names))
    assert found.select(DOCUMENT.names).schema.equals(DOCUMENT)
    (row,) = found.to_pylist()
    assert row["id"] == "7"
    assert row["created"] == "2020-01-01 00:00:00.000"
    assert row["source"] == '{"site":"x"}'
    assert row["synth_generation"] == 2
    assert row["parent_ids"] == ["1", None]
    assert row["reviewed"] is True


@pytest.mark.parametrize(
    "values", [[1, 0, None], ["true", "no", None], ["2024-05-01", "by Ann", ""]]
)
def test_reviewed_that_is_neither_true_nor_false_is_metadata(values: list) -> None:
    block = written(text=pa.array(["a", "b", "c"]), reviewed=pa.array(values))
    found = read(block)
    assert [row["reviewed"] for row in found] == [None] * 3
    assert [json.loads(row["metadata"]) for row in found] == [
        {"reviewed": value} for value in values
    ]


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("synth_generation", pa.array(["1", "x", None]), [1, None, None]),
        ("synth_generation", pa.array([1, 2**40, -1]), [1, None, -1]),
        ("synth_generation", pa.array([{"a": 1}] * 3), [None] * 3),
        ("synth_generation", pa.array([1.0, 1.5, 3.0]), [1, None, 3]),
        ("parent_ids", pa.array(["a", "b", "c"]), [None] * 3),
        ("id", pa.array([b"a", b"\xff", b"c"]), ["a", None, "c"]),
        ("id", pa.array([True, False, None]), ["true", "false", None]),
        (
            "created",
            pa.array([0, None, 1], pa.date32()),
            ["1970-01-01", None, "1970-01-02"],
        ),
    ],
)
def test_only_the_values_that_cannot_be_are_null(
    name: str, column: pa.Array, values: list
) -> None:
    block = written(text=pa.array(["a", "b", "c"]), **{name: column})
    found = read(block)
    assert [row[name] for row in found] == values
    assert [row["error"] for row in found] == [None] * 3
    assert [read(block, [i])[0][name] for i in range(3)] == values


def test_text_that_is_not_utf8_is_an_error_row() -> None:
    rows = read(written(text=invalid(b"fine", b"\xff\xfe", b"caf\xc3\xa9", b"\xc3")))
    assert [row["text"] for row in rows] == ["fine", None, "caf\u00e9", None]
    assert [row["error"] for row in rows[1::2]] == ["text: invalid UTF-8"] * 2
    assert [row["position"] for row in rows] == [None, "row 1", None, "row 3"]


def test_another_field_that_is_not_utf8_is_null_and_the_text_stays() -> None:
    bad = invalid(b"\xff", b"ok")
    lists = pa.ListArray.from_arrays([0, 1, 2], bad)
    rows = read(
        written(
            text=pa.array(["a", "b"]), url=bad, parent_ids=lists, extra=bad, l=lists
        )
    )
    assert [row["text"] for row in rows] == ["a", "b"]
    assert [row["url"] for row in rows] == [None, "ok"]
    assert [row["parent_ids"] for row in rows] == [None, ["ok"]]
    assert [json.loads(row["metadata"]) for row in rows] == [
        {"extra": None, "l": None},
        {"extra": "ok", "l": ["ok"]},
    ]
    assert [row["error"] for row in rows] == [None, None]


def test_other_columns_go_to_the_metadata() -> None:
    block = written(
        text=pa.array(["a", "b"]),
        metadata=pa.array(['{"old": 1, "n": 0}', "plain"]),
        n=pa.array([1, None]),
        at=pa.array([1, 2], pa.timestamp("ns")),
        day=pa.array([0, None], pa.date32()),
        raw=pa.array([b"x", b"\xff"]),
        nested=pa.array([[{"a": 1.5}], None]),
    )
    first, second = (json.loads(row["metadata"]) for row in read(block))
    assert first == {
        "old": 1,
        "n": 1,
        "at": "1970-01-01 00:00:00.000000001",
        "day": "1970-01-01",
        "raw": "b'x'",
        "nested": [{"a": 1.5}],
    }
    assert second["metadata"] == "plain"
    assert second["n"] is None


def test_metadata_that_python_or_json_cannot_hold_is_null() -> None:
    deep = "[" * 300 + "]" * 300
    block = written(
        text=pa.array(["a", "b"]),
        metadata=pa.array([deep, "{}"]),
        far=pa.array([2**62, 1], pa.timestamp("us")),
        long=pa.array([2**62, 1], pa.duration("s")),
    )
    first, second = read(block)
    assert first["metadata"] is None and first["text"] == "a"
    assert json.loads(second["metadata"])["long"] == "0:00:01"


def test_without_the_text_column_no_text_is_read() -> None:
    block = written(text=pa.array(["a", None]))
    rows = read(block, None, ["id", "source", "metadata"])
    assert [row["source"] for row in rows] == ["t.parquet"] * 2
    assert [row["error"] for row in rows] == [None, None]
    assert "text" not in rows[0]


ROWS = 60


@given(
    st.sets(st.integers(0, ROWS - 1)),
    st.integers(1, 25),
    st.integers(1, 700),
    st.booleans(),
)
def test_reading_chosen_rows_is_reading_all_and_choosing(
    monkeypatch: pytest.MonkeyPatch,
    chosen: set[int],
    rows_in_group: int,
    batch_bytes: int,
    spooled: bool,
) -> None:
    monkeypatch.setattr(documents, "_BATCH_BYTES", batch_bytes)
    texts = [None if row % 7 == 3 else f"text {row}" for row in range(ROWS)]
    if spooled:
        lines = (json.dumps({"text": text}) for text in texts)
        Path("t.jsonl").write_text("\n".join(lines))
        block = block_of("t.jsonl")
    else:
        pq.write_table(
            pa.table({"text": texts}), "t.parquet", row_group_size=rows_in_group
        )
        block = block_of("t.parquet")
    everything = read(block)
    assert [row["text"] for row in everything] == texts
    assert read(block, sorted(chosen)) == [everything[row] for row in sorted(chosen)]


def test_positions_count_the_rows_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1)
    pq.write_table(pa.table({"text": ["a", None] * 4}), "t.parquet", row_group_size=2)
    (file,) = list_inputs({Origin.HUMAN: ["t.parquet"]})
    found = [row for block in open_file(file, {}, "spool", 9) for row in read(block)]
    assert [row["position"] for row in found if row["error"]] == [
        "row 1",
        "row 3",
        "row 5",
        "row 7",
    ]


def test_error_rows_of_a_spool_keep_their_error_and_position() -> None:
    Path("t.jsonl").write_text('{"text": "a"}\n\nbad\n{"text": 5}')
    good, bad, number = read(block_of("t.jsonl"))
    assert (good["text"], good["error"], good["position"]) == ("a", None, None)
    assert bad["error"].startswith("invalid JSON") and bad["position"] == "line 3"
    assert number["text"] is None and number["position"] == "line 4"


@pytest.fixture
def row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_BATCH_BYTES", 1)


def damaged(group: int) -> Block:
    """A block of three row groups of ten rows, one flipped byte in one of them."""
    texts = [f"some text {row}" for row in range(30)]
    pq.write_table(
        pa.table({"text": texts}),
        "t.parquet",
        row_group_size=10,
        use_dictionary=False,
        write_page_checksum=True,
    )
    block = block_of("t.parquet")
    raw = bytearray(Path("t.parquet").read_bytes())
    chunk = pq.read_metadata("t.parquet").row_group(group).column(0)
    raw[chunk.data_page_offset + chunk.total_compressed_size - 5] ^= 1
    Path("t.parquet").write_bytes(raw)
    return block


@pytest.mark.usefixtures("row_by_row")
@pytest.mark.parametrize("group", range(3))
def test_a_flipped_byte_makes_error_rows_from_there_on(group: int) -> None:
    rows = read(damaged(group))
    assert [row["text"] for row in rows[: group * 10]] == [
        f"some text {row}" for row in range(group * 10)
    ]
    assert len(rows) == 30
    for number, row in enumerate(rows[group * 10 :], group * 10):
        assert row["text"] is None
        assert row["error"].startswith(f"{UNREADABLE}: ")
        assert row["position"] == f"row {number}"
        assert "\n" not in row["error"]


def test_a_batch_with_a_flipped_byte_is_lost_as_a_whole_but_counted() -> None:
    assert [row["text"] for row in read(damaged(2))] == [None] * 30


@pytest.mark.usefixtures("row_by_row")
def test_the_rows_asked_for_come_even_if_they_cannot_be_read() -> None:
    rows = read(damaged(1), [3, 12, 13, 29])
    assert [row["text"] for row in rows] == ["some text 3", None, None, None]
    assert [row["position"] for row in rows] == [None, "row 12", "row 13", "row 29"]


@pytest.mark.parametrize("then", ["gone", "cut", "shorter", "groups", "renamed"])
def test_a_file_that_changed_since_it_was_opened_gives_error_rows(then: str) -> None:
    block = written(text=pa.array(["a", "b", "c"]))
    path = Path("t.parquet")
    if then == "groups":
        block = dataclasses.replace(block, first_group=1, stop_group=2)
    elif then == "gone":
        path.unlink()
    elif then == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif then == "shorter":
        pq.write_table(pa.table({"text": ["a"]}), path)
    elif then == "renamed":
        pq.write_table(pa.table({"body": ["a", "b", "c"]}), path)
    rows = read(block)
    assert len(rows) == 3
    assert rows[-1]["error"].startswith(UNREADABLE)


def test_no_rows_are_read_of_a_block_when_none_is_wanted() -> None:
    assert read(written(text=pa.array(["a"])), []) == []
