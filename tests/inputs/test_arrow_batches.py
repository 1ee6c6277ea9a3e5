from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin
from synthfilter.inputs import spool
from synthfilter.inputs.blocks import list_inputs, read_columns
from synthfilter.inputs.spool import spool_file

TABLE = pa.table(
    {
        "id": [str(number) for number in range(100)],
        "text": [f"Text {number} of a file." for number in range(100)],
        "more": [{"n": number} for number in range(100)],
    }
)


def write(path: Path, table: pa.Table = TABLE, is_file: bool = False) -> Path:
    make = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with make(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=10)
    return path


def spooled(
    path: Path, limit: int | None = None, **fields: str
) -> list[dict[str, Any]]:
    target = str(path.parent / "spool.parquet")
    spool_file(str(path), target, fields, 1_000_000, limit)
    table = pq.read_table(target)
    assert table.schema.equals(schema.SPOOL)
    return table.to_pylist()


@pytest.mark.parametrize("is_file", [False, True])
def test_streams_and_files_are_read(is_file: bool, tmp_path: Path) -> None:
    rows = spooled(write(tmp_path / "t.arrow", is_file=is_file))
    assert [row["text"] for row in rows] == TABLE.column("text").to_pylist()
    assert (rows[7]["id"], rows[7]["metadata"]) == ("7", '{"more":{"n":7}}')
    assert {row["source"] for row in rows} == {"t.arrow"}
    assert not any(row["error"] for row in rows)


def test_feather_is_read(tmp_path: Path) -> None:
    pyarrow.feather.write_feather(TABLE, str(tmp_path / "t.feather"))
    assert len(spooled(tmp_path / "t.feather")) == 100


def test_a_limit_stops_early_and_tells_the_part(tmp_path: Path) -> None:
    for is_file in (False, True):
        path = write(tmp_path / "t.arrow", is_file=is_file)
        part = spool_file(str(path), str(tmp_path / "s.parquet"), {}, 10**6, 20)
        assert 0.1 < part < 0.4
        assert pq.read_table(tmp_path / "s.parquet").num_rows == 20


def test_small_batches_are_put_together_and_large_ones_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_ROW_GROUP_BYTES", 2000)
    spooled(write(tmp_path / "t.arrow"))
    footer = pq.read_metadata(tmp_path / "spool.parquet")
    rows = [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]
    assert sum(rows) == 100
    assert 3 < len(rows) < 20


def test_a_file_without_rows_has_none(tmp_path: Path) -> None:
    assert spooled(write(tmp_path / "t.arrow", TABLE.slice(0, 0))) == []


@pytest.mark.parametrize("tenth", range(4, 10))
def test_a_truncated_stream_keeps_what_is_before(tenth: int, tmp_path: Path) -> None:
    data = write(tmp_path / "t.arrow").read_bytes()
    (tmp_path / "t.arrow").write_bytes(data[: len(data) * tenth // 10])
    *rows, last = spooled(tmp_path / "t.arrow")
    assert [row["text"] for row in rows] == TABLE.column("text").to_pylist()[
        : len(rows)
    ]
    assert len(rows) < 100
    assert last["error"].startswith("broken file: ")
    assert last["position"] == f"row {len(rows)}"


def test_a_stream_cut_between_two_batches_is_broken_too(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow")
    path.write_bytes(path.read_bytes()[:-8])
    *rows, last = spooled(path)
    assert len(rows) == 100
    assert last["error"] == "broken file: the stream has no end mark"


def test_text_that_is_not_utf8_is_an_error_of_its_row(tmp_path: Path) -> None:
    raw = [b"one", b"caf\xe9", b"three"]
    offsets = np.cumsum([0, *map(len, raw)], dtype=np.int32)
    texts = pa.StringArray.from_buffers(
        3, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw))
    )
    rows = spooled(write(tmp_path / "t.arrow", pa.table({"text": texts})))
    assert [row["text"] for row in rows] == ["one", None, "three"]
    assert rows[1]["position"] == "row 1"
    assert "UTF8" in rows[1]["error"]


def test_damaged_offsets_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow", TABLE.select(["text"]))
    data = path.read_bytes()
    # The offsets of the first batch: 0, 20, 40, ... or so.
    start = np.cumsum(
        [0, *(len(f"Text {n} of a file.") for n in range(10))], dtype="<i4"
    )
    at = data.index(start.tobytes())
    path.write_bytes(data[: at + 4] + b"\xff\xff\xff\x7f" + data[at + 8 :])
    rows = spooled(path)
    assert len(rows) == 100
    assert [row["error"] is not None for row in rows[:3]] == [True, True, False]
    assert all(row["text"] for row in rows[2:])


def test_columns_are_told_and_wrong_ones_are_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow")
    (file,) = list_inputs({Origin.HUMAN: [str(path)]})
    assert read_columns(file, {}) == (["id", "text", "more"], ["more.n"])
    with pytest.raises(
        UserError, match=r"column 'more' holds struct.*expected strings"
    ):
        read_columns(file, {"text": "more"})
    path.write_bytes(b"")
    assert read_columns(file, {}).names == []
