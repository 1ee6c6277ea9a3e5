"""Verdicts live below a ledger: added once, by any number of importers, left alone."""

import datetime
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from synthfilter.core.errors import UserError
from synthfilter.core.verdicts import GIVEN, VERDICTS
from synthfilter.ledger.side_table import SideTable
from synthfilter.ledger.table import open_ledger
from synthfilter.ledger.verdicts import add_verdicts, read_verdicts

Commit = Callable[..., bool]
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)


def given(*numbers: int, **columns: Any) -> pa.Table:
    known = {"verdict": "human", "reviewer": "ann", "time": NOON, "note": None}
    known |= {"probability": 0.25, "origin": "human", **columns}
    rows = [{"content_hash": f"{number:032x}", **known} for number in numbers]
    return pa.Table.from_pylist(rows, schema=GIVEN)


def said(path: str) -> list[tuple[int, str]]:
    rows = read_verdicts(path).sort_by("time").to_pylist()
    return [(int(row["content_hash"], 16), row["verdict"]) for row in rows]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def test_what_was_added_is_read(path: str) -> None:
    assert read_verdicts(path).equals(VERDICTS.empty_table())
    assert not Path(path).exists()
    table = given(1, 2, note="fine", focus="random", build_id="b1", id="doc")
    assert add_verdicts(path, table) == 2
    assert read_verdicts(path).sort_by("content_hash").equals(table.cast(VERDICTS))


def test_the_same_verdict_is_added_once(path: str) -> None:
    assert add_verdicts(path, given(1, 2, 2)) == 2
    before = sorted(Path(path).rglob("*"))
    assert add_verdicts(path, given(2, 1)) == 0
    assert sorted(Path(path).rglob("*")) == before
    later = given(2, 3, time=NOON + datetime.timedelta(hours=1))
    assert add_verdicts(path, pa.concat_tables([given(1), later])) == 2
    assert add_verdicts(path, given(1, reviewer="bob")) == 1
    assert add_verdicts(path, given(1, verdict="reject")) == 1
    assert add_verdicts(path, given(1, note="why")) == 1
    assert add_verdicts(path, given()) == 0
    assert len(said(path)) == 7


def test_a_verdict_without_a_time_is_of_now_and_added_if_it_is_news(path: str) -> None:
    before = datetime.datetime.now(datetime.timezone.utc)
    assert add_verdicts(path, given(1, 2, time=None)) == 2
    assert add_verdicts(path, given(1, 2, time=None)) == 0
    changed = [given(1, time=None, verdict="reject"), given(1, time=None)]
    assert add_verdicts(path, changed[0]) == 1
    assert add_verdicts(path, changed[0]) == 0
    assert add_verdicts(path, pa.concat_tables([changed[1], changed[0]])) == 2
    assert said(path)[2:] == [(1, "reject"), (1, "human"), (1, "reject")]
    times = read_verdicts(path).column("time").to_pylist()
    assert min(times) >= before


def test_each_of_many_importers_at_once_adds_what_is_new(path: str) -> None:
    added = []

    def add(first: int) -> None:
        added.append(add_verdicts(path, given(*range(first, first + 6))))

    threads = [threading.Thread(target=add, args=(n,)) for n in (0, 0, 3, 3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(added) == 12
    assert sorted(said(path)) == [(number, "human") for number in range(12)]


def test_an_import_that_comes_second_looks_again(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_verdicts(path, given(1))
    load = SideTable._load
    verdicts = SideTable("_verdicts", "verdicts", VERDICTS)
    tables = iter([load(verdicts, path)])
    add_verdicts(path, given(2, 3))
    monkeypatch.setattr(
        SideTable, "_load", lambda self, path: next(tables, None) or load(self, path)
    )
    assert add_verdicts(path, given(3, 4)) == 1
    assert next(tables, "used") == "used"
    assert sorted(said(path)) == [(number, "human") for number in (1, 2, 3, 4)]


def test_a_ledger_with_verdicts_alone_is_no_ledger_of_uses_yet(
    path: str, commit: Commit
) -> None:
    add_verdicts(path, given(1))
    assert open_ledger(path) is None
    assert commit(path, "one", range(3))
    assert open_ledger(path) is not None
    assert said(path) == [(1, "human")]


def test_vacuuming_the_uses_leaves_the_verdicts_alone(
    path: str, commit: Commit
) -> None:
    commit(path, "one", range(3))
    add_verdicts(path, given(1))
    for where in (path, f"{path}/_verdicts"):
        table = DeltaTable(where)
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        assert said(path) == [(1, "human")]
    assert not commit(path, "one", range(3))
    assert add_verdicts(path, given(1)) == 0


def test_any_engine_reads_them(path: str) -> None:
    polars = pytest.importorskip("polars")
    add_verdicts(path, given(1, 2))
    found = polars.scan_delta(f"{path}/_verdicts").collect()
    assert found["verdict"].to_list() == ["human", "human"]


def test_what_cannot_be_read_is_refused_in_one_line(path: str) -> None:
    add_verdicts(path, given(1))
    log = Path(path, "_verdicts", "_delta_log")
    first = log / "00000000000000000000.json"
    whole = first.read_text()
    first.write_text(whole.replace('verdicts_version":"1"', 'verdicts_version":"2"'))
    with pytest.raises(UserError, match="are of version 2, expected 1"):
        read_verdicts(path)
    first.write_text("nonsense\n")
    for use in (read_verdicts, lambda where: add_verdicts(where, given(2))):
        with pytest.raises(UserError, match="cannot be read") as raised:
            use(path)
        assert "\n" not in str(raised.value)
    first.write_text(whole)
    (data,) = [p for p in Path(path, "_verdicts").glob("*.parquet")]
    data.write_bytes(b"torn")
    with pytest.raises(UserError, match="cannot be read"):
        read_verdicts(path)


def test_another_table_or_folder_is_refused(path: str, tmp_path: Path) -> None:
    write_deltalake(f"{path}/_verdicts", pa.table({"a": [1]}))
    with pytest.raises(UserError, match="are of version None, expected 1"):
        add_verdicts(path, given(1))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text(json.dumps({}))
    with pytest.raises(UserError, match=r"found 'read\.me'; name another folder"):
        add_verdicts(str(tmp_path / "notes"), given(1))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="must be a folder"):
        add_verdicts(str(tmp_path / "file"), given(1))
    assert not (tmp_path / "notes" / "_verdicts").exists()
