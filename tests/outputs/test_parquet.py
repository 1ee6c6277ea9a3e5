import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.outputs import parquet
from synthfilter.outputs.parquet import FileRecord, write_parquet

ROWS = 40
TABLE = pa.RecordBatch.from_pydict(
    {
        "text": pa.array(
            [None if i % 9 == 4 else f"{3**i:x}" for i in range(ROWS)],
            pa.large_string(),
        ),
        "source": [f"s{i % 3}" if i % 7 else None for i in range(ROWS)],
        "parent_ids": [
            [f"p{i}", None][: i % 3] if i % 5 else None for i in range(ROWS)
        ],
        "ai_score": pa.array(
            [i / ROWS if i % 4 else None for i in range(ROWS)], pa.float32()
        ),
    }
)
ORDER = np.array([i * 7 % 10 for i in range(ROWS)], np.uint64)
IN_ORDER = sorted(range(ROWS), key=lambda row: (ORDER[row], row))


def split(cuts: list[int]) -> list[pa.RecordBatch]:
    bounds = [0, *sorted(cuts), ROWS]
    return [TABLE.slice(start, stop - start) for start, stop in pairwise(bounds)]


def write(
    folder: Path, cuts: list[int] | None = None, rows: np.ndarray | None = None
) -> FileRecord:
    order = [ORDER, np.arange(ROWS)]
    return write_parquet(str(folder), "data/x.parquet", split(cuts or []), order, rows)


def written(folder: Path) -> list[dict]:
    return pq.read_table(folder / "data/x.parquet").to_pylist()


def test_rows_are_sorted_and_come_back_as_they_were(tmp_path: Path) -> None:
    record = write(tmp_path)
    assert written(tmp_path) == TABLE.take(pa.array(IN_ORDER)).to_pylist()
    raw = (tmp_path / "data/x.parquet").read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    memory = TABLE.take(pa.array(IN_ORDER)).nbytes
    assert record == FileRecord("data/x.parquet", ROWS, len(raw), memory, digest)
    assert [path.name for path in tmp_path.rglob("*.*")] == ["x.parquet"]


@given(
    st.lists(st.integers(0, ROWS), max_size=6), st.sampled_from([1, 300, 1000, 1 << 20])
)
def test_the_bytes_do_not_depend_on_the_borders_of_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cuts: list[int], group: int
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_BYTES", group)
    assert write(tmp_path, cuts) == write(tmp_path)


@given(
    st.lists(st.integers(0, ROWS - 1), max_size=60),
    st.lists(st.integers(0, ROWS), max_size=4),
)
def test_chosen_rows_are_written_as_often_as_they_are_named(
    tmp_path: Path, rows: list[int], cuts: list[int]
) -> None:
    record = write(tmp_path, cuts, np.array(rows, np.int64))
    chosen = sorted(rows, key=lambda row: (ORDER[row], row))
    assert record.rows == len(rows)
    assert written(tmp_path) == TABLE.take(pa.array(chosen, pa.int64())).to_pylist()


def test_row_groups_have_about_the_size_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(len(t or "") for t in TABLE.column("text").to_pylist()) + ROWS * 66
    monkeypatch.setattr(parquet, "_ROW_GROUP_BYTES", size // 4)
    write(tmp_path)
    footer = pq.read_metadata(tmp_path / "data/x.parquet")
    groups = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    assert sum(groups) == ROWS
    assert len(groups) in (4, 5)


def test_the_file_has_checksums_an_index_and_compression(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "data/x.parquet"
    column = pq.read_metadata(path).row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.has_offset_index and column.has_column_index
    raw = bytearray(path.read_bytes())
    raw[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(OSError):
        pq.read_table(path, page_checksum_verification=True)


def test_a_file_that_reads_back_differently_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lossy(pq.ParquetWriter):
        def write_batch(self, batch: pa.RecordBatch, row_group_size: int) -> None:
            super().write_batch(batch.slice(1), row_group_size)

    monkeypatch.setattr(pq, "ParquetWriter", Lossy)
    with pytest.raises(OSError, match="wrote 40 rows, read back 39"):
        write(tmp_path)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_disk_that_is_full_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(pq.ParquetWriter):
        def write_batch(self, batch: pa.RecordBatch, row_group_size: int) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", Full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path)
    assert list((tmp_path / "data").iterdir()) == []
