"""Reading a ledger: what is asked for, no more; by other engines, as it is."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from synthfilter.core.errors import UserError
from synthfilter.core.uses import FACTS_OF_USE, USE, hashes_of_partition
from synthfilter.ledger import commit as commit_module
from synthfilter.ledger import read as module
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import Ledger, open_ledger

Commit = Callable[..., bool]


@pytest.fixture
def ledger(tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Builds of 300 and of 200 documents, in row groups of 16."""
    monkeypatch.setattr(commit_module, "_GROUP_ROWS", 16)
    path = str(tmp_path / "ledger")
    commit(path, "one", range(300), day=1)
    commit(path, "two", range(100, 300), day=2)
    found = open_ledger(path)
    assert found is not None
    return found


def test_columns_come_as_they_were_asked_for(ledger: Ledger) -> None:
    for names in (USE.names, FACTS_OF_USE, ["build_id"], ["time", "signature"]):
        batches = list(read_uses(ledger, names))
        assert sum(batch.num_rows for batch in batches) == 500
        wanted = pa.schema([USE.field(name) for name in names])
        assert all(batch.schema.equals(wanted) for batch in batches)


@pytest.mark.parametrize("partitions", [1, 3, 16])
def test_partitions_have_every_row_once(ledger: Ledger, partitions: int) -> None:
    whole = [r for b in read_uses(ledger, FACTS_OF_USE) for r in b.to_pylist()]
    parts = [
        row
        for part in range(partitions)
        for batch in read_uses(
            ledger, FACTS_OF_USE, hashes_of_partition(part, partitions)
        )
        for row in batch.to_pylist()
    ]
    key = [(row["content_hash"], row["build_id"]) for row in parts]
    assert sorted(key) == sorted((r["content_hash"], r["build_id"]) for r in whole)
    assert len(key) == 500


def test_of_a_range_little_more_than_the_range_is_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    within = module._within

    def count(batch: pa.RecordBatch, first: str, last: str) -> pa.RecordBatch:
        read.append(batch.num_rows)
        return within(batch, first, last)

    monkeypatch.setattr(module, "_within", count)
    some = hashes_of_partition(3, 16)
    found = sum(batch.num_rows for batch in read_uses(ledger, ["id"], some))
    assert 0 < found <= sum(read) <= found + 2 * 2 * 16


def test_a_build_of_ones_own_can_be_left_out(ledger: Ledger) -> None:
    batches = read_uses(ledger, ["build_id"], without_build="two")
    assert {name for b in batches for name in b.column(0).to_pylist()} == {"one"}


def test_files_of_another_writer_are_read_too(ledger: Ledger) -> None:
    table = DeltaTable(ledger.path)
    rows = table.to_pyarrow_table().sort_by([("id", "descending")])
    rows = rows.append_column("note", pa.array(["x"] * rows.num_rows))
    for file in table.file_uris():
        (build,) = {p[9:] for p in Path(file).parts if p.startswith("build_id=")}
        mine = rows.filter(pa.compute.equal(rows["build_id"], build))
        mine = mine.set_column(0, "content_hash", mine[0].cast(pa.large_string()))
        kept = mine.drop_columns(["build_id", "generator"])
        pq.write_table(kept, file, write_statistics=False)
    some = hashes_of_partition(1, 2)
    found = [r for b in read_uses(ledger, USE.names, some) for r in b.to_pylist()]
    assert {row["generator"] for row in found} == {None}
    assert all(row["content_hash"] >= some[0] for row in found)
    hashes = rows["content_hash"].to_pylist()
    assert len(found) == sum(each >= some[0] for each in hashes)


@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "page", "rows"])
def test_a_damaged_file_is_one_line_and_never_fewer_rows(
    ledger: Ledger, damage: str
) -> None:
    file = sorted(Path(ledger.path).glob("build_id=two/*.parquet"))[0]
    data = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "page":
        column = pq.read_metadata(file).row_group(0).column(0)
        data[column.data_page_offset + column.total_compressed_size - 1] ^= 0xFF
        file.write_bytes(data)
    else:
        pq.write_table(pq.read_table(file).slice(10), file)
    with pytest.raises(UserError) as raised:
        list(read_uses(ledger, USE.names))
    said = str(raised.value)
    assert "two" in said
    assert (
        "restore it from a copy, or run synthfilter ledger forget --build two" in said
    )
    assert "\n" not in said


def test_duckdb_and_polars_read_it_as_it_is(ledger: Ledger) -> None:
    expected = [("human", 150, 250), ("synthetic", 150, 250)]
    files = DeltaTable(ledger.path).file_uris()
    with duckdb.connect() as connection:
        uses = connection.read_parquet(files, hive_partitioning=True)
        query = "select origin, count(distinct content_hash), count(*) from uses"
        assert uses.query("uses", f"{query} group by 1 order by 1").fetchall() == (
            expected
        )
        by_build = "select build_id, min(time)::date::text from uses group by 1"
        found = uses.query("uses", f"{by_build} order by 1").fetchall()
        assert found == [("one", "2026-03-01"), ("two", "2026-03-02")]
    frame = polars.scan_delta(ledger.path)
    by_origin = frame.group_by("origin").agg(
        polars.col("content_hash").n_unique(), polars.len()
    )
    assert by_origin.sort("origin").collect().rows() == expected
    first = frame.filter(polars.col("build_id") == "one").select(
        polars.col("time").min(), polars.col("signature").bin.size().max()
    )
    assert str(first.collect()["time"][0]) == "2026-03-01 12:00:00+00:00"
    assert first.collect()["signature"][0] == 224
