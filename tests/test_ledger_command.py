"""`synthfilter ledger` as people type it: what it prints, changes and returns."""

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter import ledger_command as module
from synthfilter.cli import main
from synthfilter.core.hashing import hex_hashes
from synthfilter.ledger.commit import commit_use
from synthfilter.ledger.table import create_ledger, open_ledger
from synthfilter.ledger_command import builds_of_documents, count_uses
from synthfilter.options import describe_fields

KINDS = ("human", "synthetic", "synthetic", "human")
DIGITS = "00000000000000070000000000000000"


def commit(path: str, build_id: str, numbers: Sequence[int], day: int) -> None:
    high = np.array(numbers, np.uint64)
    origin = [KINDS[n % 4] for n in numbers]
    batch = pa.RecordBatch.from_pydict(
        {
            "content_hash": hex_hashes(high, np.zeros_like(high)),
            "id": [f"doc-{n}" for n in numbers],
            "origin": origin,
            "generation": pa.array([n % 4 or None for n in numbers], pa.int32()),
            "generator": [None if each == "human" else "m[1]" for each in origin],
            "source": [f"shelf{n % 12}" for n in numbers],
        }
    )
    time = datetime.datetime(2026, 3, day, 8, 30, tzinfo=datetime.timezone.utc)
    assert commit_use(path, build_id, [batch], time)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """100 documents; 40 of them used again, the later build committed first."""
    where = str(tmp_path / "ledger")
    commit(where, "later", range(40), day=2)
    commit(where, "first", range(100), day=1)
    return where


def run(*arguments: str) -> int:
    try:
        return main(["ledger", *arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)


def lines_of(capsys: pytest.CaptureFixture) -> list[list[str]]:
    """What was printed, a list of words a line, without rules and empty lines."""
    printed = capsys.readouterr().out
    return [line.split() for line in printed.splitlines() if line.strip(" ─")]


def test_show_says_how_often_documents_were_used(
    path: str, capsys: pytest.CaptureFixture
) -> None:
    assert run("show", "--ledger", path) == 0
    said = lines_of(capsys)
    assert said[0][:8] == f"{path}: 140 uses of 100 documents in 2".split()
    assert said[0][-3:] == ["table", "version", "2"]
    for line in (
        "builds that used it documents",
        "1 60 60.0%",
        "2 40 40.0%",
        "uses by generation human synthetic all",
        "1 0 35 35",
        "unknown 35 0 35",
        "uses by generator human synthetic all",
        "m[1] 0 70 70",
        "unknown 70 0 70",
        "shelf0 13 0 13",
        "and 2 more",
    ):
        assert line.split() in said


@pytest.mark.parametrize("part_rows", [1, 17, 1 << 20])
def test_documents_are_counted_once_however_many_are_held(
    path: str, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(module, "_PART_ROWS", part_rows)
    ledger = open_ledger(path)
    assert ledger is not None
    documents, by = count_uses(ledger, 140)
    assert documents == {1: 60, 2: 40}
    assert sum(by["source"].values()) == 140
    assert by["generator"] == {("m[1]", "synthetic"): 70, (None, "human"): 70}


@given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=30))
def test_builds_are_counted_by_document(uses: list[tuple[int, int, int]]) -> None:
    columns = np.array(uses, np.uint64).reshape(-1, 3).T
    builds: dict[tuple[int, int], set[int]] = {}
    for hi, lo, build in uses:
        builds.setdefault((hi, lo), set()).add(build)
    expected = [len(builds[key]) for key in sorted(builds)]
    assert builds_of_documents(*columns) == expected


def test_an_empty_ledger_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = str(tmp_path / "ledger")
    create_ledger(path)
    assert run("show", "--ledger", path) == 0
    assert "0 uses of 0 documents in 0 builds" in capsys.readouterr().out
    assert run("history", "--ledger", path) == 0
    assert "no builds" in capsys.readouterr().out


def test_history_lists_the_builds_from_the_oldest_on(
    path: str, capsys: pytest.CaptureFixture
) -> None:
    assert run("history", "--ledger", path) == 0
    assert lines_of(capsys) == [
        "build time (UTC) human synthetic documents".split(),
        "first 2026-03-01 08:30:00 50 50 100".split(),
        "later 2026-03-02 08:30:00 20 20 40".split(),
    ]


@pytest.mark.parametrize("typed", [DIGITS, DIGITS[:16], DIGITS[:20].upper()])
def test_explain_lists_every_use_of_a_document(
    path: str, capsys: pytest.CaptureFixture, typed: str
) -> None:
    assert run("explain", typed, "--ledger", path) == 0
    first, later = capsys.readouterr().out.splitlines()
    shared = "origin=human  generation=3  source=shelf7  id=doc-7"
    for line, build, day in ((first, "first", 1), (later, "later", 2)):
        told = f"content_hash={DIGITS}  build_id={build}  time=2026-03-0{day} 08:30:00"
        assert line == f"{told}  {shared}"


def test_explain_finds_all_hashes_that_begin_alike(
    path: str, capsys: pytest.CaptureFixture
) -> None:
    assert run("explain", "00000000", "--ledger", path) == 0
    assert len(capsys.readouterr().out.splitlines()) == 140
    assert run("explain", "12345678", "--ledger", path) == 0
    assert "no build used 12345678" in capsys.readouterr().out


def test_forget_says_what_was_removed(path: str, capsys: pytest.CaptureFixture) -> None:
    assert run("forget", "--build", "later", "--ledger", path) == 0
    assert "40 uses of build later removed" in capsys.readouterr().out
    assert run("show", "--ledger", path) == 0
    assert "100 uses of 100 documents in 1 build," in capsys.readouterr().out
    assert run("forget", "--build", "later", "--ledger", path) == 2
    assert "has no build 'later'; see synthfilter ledger history" in (
        capsys.readouterr().err
    )


def test_quiet_prints_nothing(path: str, capsys: pytest.CaptureFixture) -> None:
    for arguments in (["show"], ["history"], ["explain", DIGITS]):
        assert run(*arguments, "--ledger", path, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "missing --ledger"),
        (["show", "--ledger", "none"], "no ledger at 'none'; a build makes one with"),
        (["history", "--ledger", "none"], "no ledger at 'none'"),
        (["explain", DIGITS, "--ledger", "none"], "no ledger at 'none'"),
        (["forget", "--build", "x", "--ledger", "none"], "no ledger at 'none'"),
        (["forget", "--ledger", "none"], "missing --build"),
        (["forget", "--build", "../x", "--ledger", "none"], "a build id is letters"),
        (["explain", "1234567", "--ledger", "none"], "its first 8 or more of 32 hex"),
        (["explain", "123456789z", "--ledger", "none"], "got '123456789z'"),
        (["explain", DIGITS + "0", "--ledger", "none"], "expected a content_hash"),
        (["show", "--leger", "none"], "did you mean --ledger?"),
        (["shew"], "invalid choice: 'shew'"),
        ([], "required: COMMAND"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_every_option_is_described_where_it_is_defined() -> None:
    for job, _ in module._JOBS.values():
        names = [field.name for field in dataclasses.fields(job)]
        assert list(describe_fields(job)) == names


def test_names_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = str(tmp_path / "ledger")
    batch = pa.RecordBatch.from_pydict(
        {"content_hash": [DIGITS], "origin": ["human"], "source": ["a\x1b[2Jb[red]"]}
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    commit_use(path, "one", [batch], now)
    for arguments in (["show"], ["explain", DIGITS]):
        assert run(*arguments, "--ledger", path) == 0
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        assert "b[red]" in printed
