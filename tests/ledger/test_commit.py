"""Commits: all or nothing, each build once, by however many processes at once."""

import datetime
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core.errors import UserError
from synthfilter.core.uses import USE
from synthfilter.ledger import commit as module
from synthfilter.ledger.commit import commit_use
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import load_table, open_ledger

Commit = Callable[..., bool]
Rows = Callable[[Sequence[int]], pa.RecordBatch]
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)


def read(path: str) -> list[dict]:
    """All rows of a ledger in an order of their own."""
    ledger = open_ledger(path)
    assert ledger is not None
    rows = [row for b in read_uses(ledger, USE.names) for row in b.to_pylist()]
    return sorted(rows, key=lambda row: (row["build_id"], row["content_hash"]))


def data_files(path: str) -> list[Path]:
    return sorted(Path(path).rglob("*.parquet"))


def test_what_was_committed_is_what_is_read(tmp_path: Path, rows_of: Rows) -> None:
    path = str(tmp_path / "ledger")
    given = rows_of(range(20))
    assert commit_use(path, "one", [given.slice(12), given.slice(0, 12)], NOW)
    expected = [
        {**row, "build_id": "one", "time": NOW}
        for row in sorted(given.to_pylist(), key=lambda row: row["content_hash"])
    ]
    assert read(path) == expected
    assert load_table(path).transaction_version("one") == 1


def test_a_build_is_committed_once(tmp_path: Path, commit: Commit) -> None:
    path = str(tmp_path / "ledger")
    assert commit(path, "one", range(10), day=1)
    before = read(path), data_files(path), load_table(path).version()
    assert not commit(path, "one", range(10), day=2)
    assert (read(path), data_files(path), load_table(path).version()) == before
    assert commit(path, "two", range(10), day=2)
    assert len(read(path)) == 20


def test_columns_that_may_be_null_may_be_missing(tmp_path: Path, rows_of: Rows) -> None:
    path = str(tmp_path / "ledger")
    commit_use(path, "one", [rows_of([1]).select(["content_hash", "origin"])], NOW)
    (row,) = read(path)
    assert row["origin"] == "synthetic"
    assert {row[n] for n in ("id", "generation", "signature", "source")} == {None}
    for batch, message in (
        (rows_of([2]).select(["content_hash"]), "origin must not be null"),
        (rows_of([2]).set_column(0, "content_hash", pa.array(["x"])), "32 hex digits"),
    ):
        with pytest.raises(ValueError, match=message):
            commit_use(path, "two", [batch], NOW)
    with pytest.raises(ValueError, match="must have a time zone"):
        commit_use(path, "two", [rows_of([2])], NOW.replace(tzinfo=None))
    assert len(read(path)) == 1
    assert len(data_files(path)) == 1


def test_a_build_that_used_nothing_is_not_in_the_ledger(
    tmp_path: Path, commit: Commit
) -> None:
    path = str(tmp_path / "ledger")
    assert not commit(path, "one", [])
    assert not commit_use(path, "one", [], NOW)
    assert read(path) == []
    assert commit(path, "one", [1])


@pytest.mark.parametrize("run_bytes", [1, 20_000, 1 << 26])
def test_rows_are_by_hash_whatever_is_held_at_a_time(
    tmp_path: Path, rows_of: Rows, monkeypatch: pytest.MonkeyPatch, run_bytes: int
) -> None:
    monkeypatch.setattr(module, "_RUN_BYTES", run_bytes)
    monkeypatch.setattr(module, "_GROUP_ROWS", 64)
    monkeypatch.setattr(module, "_FILE_ROWS", 256)
    path, given = str(tmp_path / "ledger"), rows_of(range(1000))
    commit_use(path, "one", [given.slice(i, 130) for i in range(0, 1000, 130)], NOW)
    files = data_files(path)
    assert [pq.read_metadata(file).num_rows for file in files] == [256] * 3 + [232]
    groups = [pq.read_metadata(file).num_row_groups for file in files]
    assert groups == [4, 4, 4, 4]
    hashes = [h for f in files for h in pq.read_table(f)["content_hash"].to_pylist()]
    assert hashes == sorted(given.column("content_hash").to_pylist())
    found = pa.table(load_table(path).get_add_actions(flatten=True)).to_pylist()
    for entry in found:
        table = pq.read_table(f"{path}/{entry['path']}")["content_hash"]
        assert entry["num_records"] == len(table)
        assert entry["min.content_hash"] == table[0].as_py()
        assert entry["max.content_hash"] == table[-1].as_py()
        assert entry["size_bytes"] == os.path.getsize(f"{path}/{entry['path']}")


def test_the_log_keeps_no_more_than_one_commit_a_build(
    tmp_path: Path, commit: Commit
) -> None:
    path = str(tmp_path / "ledger")
    for number in range(5):
        commit(path, f"build{number}", range(number + 1))
    assert load_table(path).version() == 5
    assert len(read(path)) == 15


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(
    tmp_path: Path, rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, made = str(tmp_path / "ledger"), []

    def fail(draft: Path) -> pq.ParquetWriter:
        made.append(draft)
        if len(made) == 2:
            raise OSError(28, "No space left on device")
        return pq.ParquetWriter(draft, module._STORED)

    monkeypatch.setattr(module, "_open_writer", fail)
    monkeypatch.setattr(module, "_GROUP_ROWS", 10)
    monkeypatch.setattr(module, "_FILE_ROWS", 20)
    with pytest.raises(UserError, match=r"cannot be written: .* No space left"):
        commit_use(path, "one", [rows_of(range(50))], NOW)
    assert data_files(path) == []
    assert read(path) == []


# In a process of its own: waits for a file, then does what the test says.
PROGRAM = """
import os, pathlib, sys, time
sys.path.insert(0, {helpers!r})
import conftest
from synthfilter.ledger import commit as module
from synthfilter.ledger.commit import commit_use

path, name = sys.argv[1:]
go = pathlib.Path(path).parent / "go"

def wait():
    (go.parent / f"ready-{{name}}").touch()
    while not go.exists():
        time.sleep(0.002)

def commit(build, numbers):
    return commit_use(path, build, [conftest.use_rows(numbers)], conftest.DAY)

{body}
"""


def start(path: str, name: str, body: str) -> subprocess.Popen:
    program = PROGRAM.format(helpers=str(Path(__file__).parent), body=body)
    return subprocess.Popen(
        [sys.executable, "-c", program, path, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_together(path: str, bodies: Sequence[str]) -> list[str]:
    """Runs programs that all go on at the same moment; returns what they print."""
    folder = Path(path).parent
    started = [start(path, str(i), body) for i, body in enumerate(bodies)]
    try:
        for i, process in enumerate(started):
            while not (folder / f"ready-{i}").exists():
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.01)
        (folder / "go").touch()
        said = [process.communicate(timeout=60)[0].strip() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0] * len(bodies), said
    return said


def test_two_processes_lose_nothing_even_while_they_make_the_ledger(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "ledger")
    body = "wait()\nfor i in range(6): print(commit(f'b{name}-{i}', range(i + 1)))"
    assert run_together(path, [body, body]) == ["\n".join(["True"] * 6)] * 2
    rows = read(path)
    assert len(rows) == 2 * (1 + 2 + 3 + 4 + 5 + 6)
    assert len({row["build_id"] for row in rows}) == 12
    assert len(data_files(path)) == 12


def test_the_same_build_by_two_processes_at_once_is_there_once(
    tmp_path: Path, commit: Commit
) -> None:
    path = str(tmp_path / "ledger")
    commit(path, "other", range(3))
    # Both have looked at the table and written their files; neither has committed.
    body = """
change = module.change_build

def slowly(path, build_id, present, add):
    return change(path, build_id, present, lambda *given: [wait(), add(*given)])

module.change_build = slowly
print(commit('one', range(10)))
"""
    assert sorted(run_together(path, [body, body])) == ["False", "True"]
    assert [row["build_id"] for row in read(path)] == ["one"] * 10 + ["other"] * 3
    assert len(data_files(path)) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_the_commit_is_healed_by_running_again(
    tmp_path: Path, commit: Commit, when: str
) -> None:
    path, clean = str(tmp_path / "ledger"), str(tmp_path / "clean")
    commit(path, "other", range(3))
    kill = "os.kill(os.getpid(), 9)"
    steps = [kill, "change(*given)"] if when == "before" else ["change(*given)", kill]
    process = start(
        path,
        "0",
        "change = module.change_build\n"
        f"module.change_build = lambda *given: [{', '.join(steps)}]\n"
        "commit('one', range(10))",
    )
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert len(data_files(path)) == 2
    # Files that no commit names are not read.
    assert len(read(path)) == (3 if when == "before" else 13)
    assert commit(path, "one", range(10)) is (when == "before")
    for build, numbers in (("other", range(3)), ("one", range(10))):
        commit(clean, build, numbers)
    assert read(path) == read(clean)


def test_a_commit_that_went_through_and_was_reported_as_failed_is_kept(
    tmp_path: Path, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "ledger")
    change = module.change_build

    def lose_the_answer(*given):
        change(*given)
        return change(*given)

    monkeypatch.setattr(module, "change_build", lose_the_answer)
    assert commit(path, "one", range(10))
    assert len(read(path)) == 10
