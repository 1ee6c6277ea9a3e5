"""A ledger is opened as it is, or refused with what to do; never silently empty."""

import datetime
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from synthfilter.core.errors import UserError
from synthfilter.core.uses import ADDED, USE
from synthfilter.ledger import table as module
from synthfilter.ledger.commit import commit_use
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import (
    Ledger,
    create_ledger,
    forget_build,
    list_data_files,
    load_table,
    open_ledger,
)

Commit = Callable[..., bool]


@pytest.fixture
def path(tmp_path: Path, commit: Commit) -> str:
    """A ledger of two builds: 10 documents and 6 of them again."""
    where = str(tmp_path / "ledger")
    commit(where, "one", range(10), day=1)
    commit(where, "two", range(6), day=2)
    return where


def builds_of(path: str) -> list[str]:
    ledger = open_ledger(path)
    assert ledger is not None
    batches = read_uses(ledger, ["build_id"])
    return sorted(name for b in batches for name in b.column(0).to_pylist())


def refusal(path: str) -> str:
    """Opens, adds to and forgets from a ledger that must not be; returns the line."""
    before = sorted(Path(path).rglob("*")) if Path(path).is_dir() else None
    said = set()
    now = datetime.datetime.now(datetime.timezone.utc)
    for use in (
        lambda: open_ledger(path),
        lambda: commit_use(path, "three", [], now),
        lambda: forget_build(path, "one"),
    ):
        with pytest.raises(UserError) as raised:
            use()
        said.add(str(raised.value))
    after = sorted(Path(path).rglob("*")) if Path(path).is_dir() else None
    assert before == after
    (line,) = said
    assert "\n" not in line
    return line


@pytest.mark.parametrize("kind", ["nothing", "an empty folder", "an empty log"])
def test_where_there_is_nothing_there_is_no_ledger_yet(
    tmp_path: Path, commit: Commit, kind: str
) -> None:
    where = tmp_path / "deep" / "ledger"
    if kind != "nothing":
        where.mkdir(parents=True)
    if kind == "an empty log":
        (where / "_delta_log").mkdir()
    assert open_ledger(str(where)) is None
    assert commit(str(where), "one", range(3))
    assert builds_of(str(where)) == ["one"] * 3


def test_a_ledger_has_a_version_and_stays_as_it_was_then(
    path: str, commit: Commit
) -> None:
    ledger = open_ledger(path)
    assert ledger == Ledger(path, 2)
    commit(path, "three", range(4))
    assert pickle.loads(pickle.dumps(ledger)) == ledger
    assert sum(batch.num_rows for batch in read_uses(ledger, ["id"])) == 16
    assert open_ledger(path) == Ledger(path, 3)
    assert open_ledger(path, version=1) == Ledger(path, 1)


def test_an_old_state_of_a_ledger_is_never_cleaned_away(
    path: str, commit: Commit
) -> None:
    table = load_table(path)
    # Other writers of the table keep to its properties, too.
    table.alter.set_table_properties({"delta.checkpointInterval": "2"})
    table.alter.set_table_properties(
        {"delta.logRetentionDuration": "interval 0 seconds"}
    )
    for number in range(5):
        commit(path, f"more{number}", range(3))
    assert list(Path(path, "_delta_log").glob("*.checkpoint.parquet"))
    for version, rows in ((0, 0), (1, 10), (2, 16)):
        ledger = open_ledger(path, version)
        assert ledger == Ledger(path, version)
        assert sum(batch.num_rows for batch in read_uses(ledger, ["id"])) == rows


def test_an_empty_ledger_is_a_ledger(tmp_path: Path) -> None:
    where = str(tmp_path / "ledger")
    create_ledger(where)
    create_ledger(where)
    ledger = open_ledger(where)
    assert ledger == Ledger(where, 0)
    assert list(read_uses(ledger, USE.names)) == []


def test_a_path_may_end_in_a_slash_or_start_at_home(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(Path(path).parent))
    monkeypatch.chdir(Path(path).parent)
    for name in ("ledger", "ledger/", "./ledger", "~/ledger", path + "/"):
        assert builds_of(name) == ["one"] * 10 + ["two"] * 6


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    where = str(tmp_path / "ledger")
    DeltaTable.create(
        where,
        USE,
        partition_by=["build_id"],
        configuration={"synthfilter.ledger_version": "2"},
        raise_if_key_not_exists=False,
    )
    said = refusal(where)
    assert "is of version 2, expected 1; use the synthfilter that wrote it" in said


def test_another_table_is_refused(tmp_path: Path) -> None:
    where = str(tmp_path / "table")
    write_deltalake(where, pa.table({"a": [1]}))
    assert "is a Delta table, but not a ledger" in refusal(where)


def test_a_ledger_without_the_newest_column_is_read_and_added_to(
    tmp_path: Path, commit: Commit
) -> None:
    where = str(tmp_path / "ledger")
    DeltaTable.create(
        where,
        pa.schema([field for field in USE if field.name not in ADDED]),
        partition_by=["build_id"],
        configuration={"synthfilter.ledger_version": "1"},
        raise_if_key_not_exists=False,
    )
    assert commit(where, "one", [1, 2])
    ledger = open_ledger(where)
    assert ledger is not None
    rows = [row for batch in read_uses(ledger, USE.names) for row in batch.to_pylist()]
    told = {row["id"]: row["origin_evidence"] for row in rows}
    assert told == {"doc-1": "declared=synthetic", "doc-2": "date=human"}


def test_a_table_that_lost_a_column_is_refused(tmp_path: Path) -> None:
    where = str(tmp_path / "ledger")
    DeltaTable.create(
        where,
        pa.schema([field for field in USE if field.name not in ("origin", "id")]),
        configuration={"synthfilter.ledger_version": "1"},
        raise_if_key_not_exists=False,
    )
    said = refusal(where)
    assert "it lacks id, origin, expected to be partitioned by build_id" in said
    assert "is by nothing" in said


def test_a_folder_of_other_files_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/read.me").write_text("x")
    assert "expected a Delta table or an empty folder, found 'read.me'" in (
        refusal(str(tmp_path / "notes"))
    )
    assert "must be a folder" in refusal(str(tmp_path / "notes/read.me"))


def test_data_without_a_log_is_half_a_table(path: str) -> None:
    shutil.rmtree(Path(path, "_delta_log"))
    assert "has Parquet files and no _delta_log" in refusal(path)
    assert "restore the folder from a copy" in refusal(path)


def _cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("number", "damage", "message"),
    [
        (0, Path.unlink, "its _delta_log cannot be read"),
        (1, Path.unlink, "its _delta_log cannot be read"),
        (0, _cut, "its _delta_log cannot be read"),
        (1, _cut, "its _delta_log cannot be read"),
        (2, _cut, "its _delta_log cannot be read"),
        # What Delta readers pass over, so that rows are missing.
        (1, lambda file: os.truncate(file, 0), "0001.json is empty, so rows may be"),
        (2, lambda file: os.truncate(file, 0), "0002.json is empty, so rows may be"),
    ],
)
def test_a_damaged_log_is_refused(
    path: str, number: int, damage: Callable[[Path], None], message: str
) -> None:
    damage(Path(path, "_delta_log", f"{number:020d}.json"))
    assert message in refusal(path)


def test_a_table_for_newer_readers_is_refused(path: str) -> None:
    log = Path(path, "_delta_log", "0" * 20 + ".json")
    said = log.read_text()
    assert '"minReaderVersion":1,"minWriterVersion":2}}' in said
    log.write_text(
        said.replace(
            '"minReaderVersion":1,"minWriterVersion":2}}',
            '"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":'
            '["deletionVectors"],"writerFeatures":["deletionVectors"]}}',
        )
    )
    assert "now needs deletionVectors, which synthfilter does not read" in refusal(path)


def test_without_deltalake_the_line_says_what_to_install(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert refusal(path).endswith("pip install 'synthfilter[ledger]'")


def test_a_forgotten_build_is_gone_and_may_come_again(
    path: str, commit: Commit
) -> None:
    assert forget_build(path, "one") == 10
    assert builds_of(path) == ["two"] * 6
    assert forget_build(path, "one") == 0
    assert forget_build(path, "never") == 0
    assert commit(path, "one", range(10))
    assert not commit(path, "one", range(10))
    assert builds_of(path) == ["one"] * 10 + ["two"] * 6
    assert load_table(path).transaction_version("one") == 3
    assert load_table(path).transaction_version("two") == 1
    forget_build(path, "two")
    forget_build(path, "one")
    assert builds_of(path) == []


def test_a_build_committed_while_another_is_forgotten_stays(
    path: str, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = load_table(path)
    commit(path, "three", range(4))
    tables = iter([None, stale])
    monkeypatch.setattr(
        module, "load_table", lambda *given: next(tables, None) or load_table(*given)
    )
    assert forget_build(path, "one") == 10
    assert next(tables, "used") == "used"
    assert builds_of(path) == ["three"] * 4 + ["two"] * 6


def test_there_is_nothing_to_forget_where_no_ledger_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no ledger at"):
        forget_build(str(tmp_path / "ledger"), "one")


@pytest.mark.parametrize("build_id", ["", "../x", "a/b", "a'b", "a b", ".hidden"])
def test_a_build_id_is_a_name_and_nothing_else(
    path: str, commit: Commit, build_id: str
) -> None:
    for use in (commit, lambda *given: forget_build(*given[:2])):
        with pytest.raises(UserError, match="a build id is letters, digits"):
            use(path, build_id, [])


def test_rows_are_counted_from_the_files_where_the_log_does_not_say(
    path: str,
) -> None:
    log = Path(path, "_delta_log", "0" * 19 + "1.json")
    log.write_text(log.read_text().replace("numRecords", "otherCount"))
    files = list_data_files(path, load_table(path))
    assert [(file.build_id, file.rows) for file in files] == [("one", 10), ("two", 6)]
    assert all(pq.read_metadata(f.path).num_rows == f.rows for f in files)
    assert forget_build(path, "one") == 10
