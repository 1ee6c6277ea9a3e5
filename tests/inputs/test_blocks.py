from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.progress import read_beats
from synthfilter.core.schema import BLOCKS_PER_FILE, Origin
from synthfilter.inputs import blocks
from synthfilter.inputs.blocks import (
    Block,
    InputFile,
    OpenFiles,
    fingerprint,
    list_inputs,
    open_file,
    read_columns,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, rows: int, rows_in_group: int = 1_000_000) -> None:
    texts = [f"text {row}" for row in range(rows)]
    table = pa.table({"text": pa.array(texts, pa.string())})
    pq.write_table(table, path, row_group_size=rows_in_group)


def listed(path: str) -> InputFile:
    return list_inputs({Origin.HUMAN: [path]})[0]


def opened(path: str, fields: dict[str, str] | None = None) -> list[Block]:
    return list(open_file(listed(path), fields or {}, "spool", 1_000_000))


def error_of(found: list[Block]) -> str:
    """The error of the one row of a file that cannot be read."""
    (block,) = found
    assert block.spooled and block.rows == 1
    (row,) = pq.read_table(block.path).to_pylist()
    assert row["text"] is None and row["position"] == "file"
    return row["error"]


def test_files_are_numbered_by_origin_and_path() -> None:
    for name in ("b.jsonl", "a.jsonl", "s.parquet", "u.json"):
        Path(name).write_bytes(b"")
    found = list_inputs(
        {
            Origin.UNKNOWN: ["u.json"],
            Origin.SYNTHETIC: ["*.parquet"],
            Origin.HUMAN: ["b.jsonl", "*.jsonl"],
        }
    )
    assert [(file.number, file.path, file.declared) for file in found] == [
        (0, "a.jsonl", Origin.HUMAN),
        (1, "b.jsonl", Origin.HUMAN),
        (2, "s.parquet", Origin.SYNTHETIC),
        (3, "u.json", Origin.UNKNOWN),
    ]


def test_a_file_declared_twice_is_an_error_that_names_it() -> None:
    Path("a.jsonl").write_bytes(b"")
    with pytest.raises(UserError, match=r"'a\.jsonl' is declared human and unknown"):
        list_inputs({Origin.HUMAN: ["*.jsonl"], Origin.UNKNOWN: ["./a.jsonl"]})


def test_a_file_of_no_known_format_is_an_error_that_names_it() -> None:
    Path("a.docx").write_bytes(b"")
    with pytest.raises(UserError, match=r"the format of 'a\.docx': expected \.parquet"):
        list_inputs({Origin.HUMAN: ["a.docx"]})


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 400))
def test_blocks_tile_the_file_exactly(
    monkeypatch: pytest.MonkeyPatch, group_rows: list[int], block_bytes: int
) -> None:
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", block_bytes)
    text = pa.array(["some text"] * sum(group_rows), pa.string())
    table = pa.table({"text": text})
    with pq.ParquetWriter("t.parquet", table.schema) as writer:
        for rows in group_rows:
            writer.write_table(table.slice(0, rows), row_group_size=10)
    found = opened("t.parquet")
    row = 0
    for block in found:
        assert block.first_row == row
        assert block.rows > 0
        row += block.rows
    assert row == sum(group_rows)
    spans = [(block.first_group, block.stop_group) for block in found]
    assert spans == sorted(spans)
    keys = [block.key for block in found]
    assert sorted(set(keys)) == keys
    assert sum(block.bytes for block in found) <= Path("t.parquet").stat().st_size


def test_a_block_says_where_it_is() -> None:
    write("a.parquet", 1)
    write("t.parquet", 6, rows_in_group=2)
    file = list_inputs({Origin.UNKNOWN: ["*.parquet"]})[1]
    (block,) = open_file(file, {}, "spool", 1000)
    assert block == Block(
        key=BLOCKS_PER_FILE,
        file="t.parquet",
        path="t.parquet",
        fingerprint=fingerprint(file),
        declared=Origin.UNKNOWN,
        mapping={"text": "text"},
        first_group=0,
        stop_group=3,
        rows=6,
        first_row=0,
        bytes=file.bytes,
        spooled=False,
    )


def test_a_parquet_file_without_rows_has_no_blocks() -> None:
    write("t.parquet", 0)
    assert opened("t.parquet") == []


def test_a_json_lines_file_without_bytes_has_no_blocks() -> None:
    Path("t.jsonl").write_bytes(b"")
    assert opened("t.jsonl") == []


def test_json_lines_are_spooled_once() -> None:
    Path("t.jsonl").write_bytes(b'{"text": "a"}\n{"text": "b"}\n')
    (block,) = opened("t.jsonl")
    assert (block.rows, block.spooled, block.file) == (2, True, "t.jsonl")
    Path(block.path).touch()
    made = Path(block.path).stat().st_mtime_ns
    assert opened("t.jsonl") == [block]
    assert Path(block.path).stat().st_mtime_ns == made
    assert len(list(Path("spool").iterdir())) == 1


def test_another_mapping_makes_another_spool() -> None:
    Path("t.jsonl").write_bytes(b'{"text": "a", "body": "b"}\n')
    first, second = opened("t.jsonl"), opened("t.jsonl", {"text": "body"})
    assert first[0].path != second[0].path
    assert pq.read_table(second[0].path).column("text").to_pylist() == ["b"]


@pytest.mark.parametrize("place", ["start", "end", "time", "size", "path"])
def test_the_fingerprint_changes_with_the_file(place: str) -> None:
    Path("t.jsonl").write_bytes(b"x" * 200_000)
    before = InputFile(0, "t.jsonl", Origin.HUMAN, 200_000, 5.0)
    after = {
        "time": InputFile(0, "t.jsonl", Origin.HUMAN, 200_000, 5.5),
        "size": InputFile(0, "t.jsonl", Origin.HUMAN, 199_999, 5.0),
        "path": InputFile(0, "./t.jsonl", Origin.HUMAN, 200_000, 5.0),
    }.get(place, before)
    mark = fingerprint(before)
    assert fingerprint(InputFile(9, "t.jsonl", Origin.UNKNOWN, 200_000, 5.0)) == mark
    if place in ("start", "end"):
        with open("t.jsonl", "r+b") as file:
            file.seek(3 if place == "start" else 199_990)
            file.write(b"y")
    assert fingerprint(after) != mark


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"<html>not found</html>",
        b"PAR1" + bytes(20) + b"\xff\xff\xff\x7fPAR1",
    ],
)
def test_what_is_no_parquet_file_is_one_error_row(data: bytes) -> None:
    Path("t.parquet").write_bytes(data)
    assert error_of(opened("t.parquet"))
    assert read_columns(listed("t.parquet")).names == []


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_parquet_file_is_one_error_row(tenth: int) -> None:
    write("t.parquet", 50)
    raw = Path("t.parquet").read_bytes()
    Path("t.parquet").write_bytes(raw[: len(raw) * tenth // 10])
    assert error_of(opened("t.parquet"))


def test_a_file_that_is_gone_is_one_error_row() -> None:
    Path("t.jsonl").write_bytes(b'{"text": "a"}')
    file = listed("t.jsonl")
    Path("t.jsonl").unlink()
    assert "t.jsonl" in error_of(list(open_file(file, {}, "spool", 1000)))


def test_an_error_does_not_stay_when_the_file_is_readable_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("t.jsonl").write_bytes(b'{"text": "a"}')

    def fail(*_: object) -> None:
        raise OSError("the network is down")

    with monkeypatch.context() as patch:
        patch.setattr(blocks, "spool_file", fail)
        assert error_of(opened("t.jsonl")) == "broken file: the network is down"
    (block,) = opened("t.jsonl")
    assert pq.read_table(block.path).column("text").to_pylist() == ["a"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1]),
        pa.array([{"a": "b"}]),
        pa.array([["a"]]),
        pa.array([b"a"]),
        pa.array([5], pa.timestamp("us")),
        pa.array([1]).dictionary_encode(),
        pa.nulls(1),
    ],
    ids=lambda column: str(column.type),
)
def test_a_text_column_that_holds_no_strings_is_an_error_that_says_so(
    column: pa.Array,
) -> None:
    pq.write_table(pa.table({"body": column}), "t.parquet")
    error = error_of(opened("t.parquet", {"text": "body"}))
    assert error.startswith("broken file: t.parquet: column 'body' holds ")
    assert "expected strings" in error


def test_missing_and_double_columns_are_errors_that_name_them() -> None:
    pq.write_table(pa.table({"body": ["a"], "id": ["b"]}), "t.parquet")
    assert "found body, id" in error_of(opened("t.parquet"))
    double = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(double, "d.parquet")
    assert "comes twice" in error_of(opened("d.parquet"))
    Path("t.jsonl").write_bytes(b'{"body": "a"}')
    assert "found body" in error_of(opened("t.jsonl"))


def test_columns_are_told_before_the_build() -> None:
    pq.write_table(pa.table({"text": ["a"], "a": [{"b": 1}]}), "t.parquet")
    assert read_columns(listed("t.parquet")) == (["text", "a"], ["a.b"])
    Path("t.jsonl").write_bytes(b'bad\n{"text": 1, "b": 2}')
    assert read_columns(listed("t.jsonl")).names == ["text", "b"]


def test_open_files_yields_the_blocks_and_tells_its_progress() -> None:
    write("t.parquet", 3)
    Path("beats").mkdir()
    file = listed("t.parquet")
    stage = OpenFiles({}, "spool", 1000, "beats")
    assert list(stage.process(file)) == opened("t.parquet")
    done = read_beats("beats")["open"]
    assert (done.parts, done.bytes) == (1, file.bytes)
