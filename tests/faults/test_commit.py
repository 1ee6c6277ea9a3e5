"""Ledgers, retries, renames, full disks and outputs that go wrong: rows 28 to 37."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from synthfilter import publish
from synthfilter.core.uses import USE
from synthfilter.outputs import commit as committing
from synthfilter.outputs.manifest import (
    MANIFEST,
    NEXT_FOLDER,
    UNFINISHED,
    read_manifest,
)
from synthfilter.outputs.parquet import write_parquet
from synthfilter.verify import check_build

WORDS = "river stone harvest letter engine winter garden copper window silver".split()


def prose(number: int) -> str:
    """A text of its own for each number."""
    numbers = np.random.default_rng(number).integers(0, 900, 50)
    return " ".join(f"{WORDS[i % 10]}{i}" for i in numbers)


@pytest.fixture
def shop(workshop: Any) -> Any:
    """A workshop with 20 human and 20 synthetic documents."""
    workshop.write("human/h", [prose(i) for i in range(20)], row_group=9)
    workshop.write("synthetic/s", [prose(100 + i) for i in range(20)], row_group=9)
    return workshop


def files_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def faults_of(folder: Path) -> list[str]:
    """What `verify --full` finds wrong."""
    checks = check_build(str(folder), read_manifest(str(folder)), full=True)
    return [said for check in checks for said in check.wrong]


def builds_in(ledger: Path) -> list[str]:
    table = DeltaTable(str(ledger)).to_pyarrow_table(columns=["build_id"])
    return sorted(table["build_id"].to_pylist())


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """What the command said was wrong: one line."""
    said = capsys.readouterr().err
    assert said.startswith("synthfilter: error: ") and said.count("\n") == 1
    return said


def make_folder(path: Path) -> None:
    path.mkdir()


def make_newer(path: Path) -> None:
    DeltaTable.create(
        str(path),
        USE,
        partition_by=["build_id"],
        configuration={"synthfilter.ledger_version": "2"},
        raise_if_key_not_exists=False,
    )


def make_corrupt(path: Path) -> None:
    (path / "_delta_log").mkdir(parents=True)
    (path / "_delta_log" / f"{0:020d}.json").write_text('{"protocol": {"minRead')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (None, None),
        (make_folder, None),
        (make_newer, "is of version 2, expected 1; use the synthfilter that wrote it"),
        (make_corrupt, "its _delta_log cannot be read"),
    ],
    ids=["missing", "empty", "newer", "corrupt"],
)
def test_row_28_a_ledger_is_begun_or_refused(
    shop: Any,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None] | None,
    message: str | None,
) -> None:
    ledger = shop.path / "ledger"
    if make is not None:
        make(ledger)
    before = files_of(ledger)
    made = shop.build(ledger=str(ledger), code=2 if message else 0)
    if message is None:
        assert builds_in(ledger) == [made["build_id"]] * 40
    else:
        assert message in error_of(capsys)
        assert files_of(ledger) == before
        assert not (shop.path / "out" / MANIFEST).exists()


# Waits just before it commits until the other is there, too.
MEETING = """
import sys, time
from pathlib import Path
from synthfilter.ledger import commit
change = commit.change_build
def wait(*given):
    Path(f"ready-{sys.argv[1]}").touch()
    while not Path("go").exists():
        time.sleep(0.005)
    return change(*given)
commit.change_build = wait
from synthfilter.insight import report_page
report_page.charts_available = lambda: False
from synthfilter.cli import main
sys.exit(main(sys.argv[2:]))
"""


def test_row_29_two_builds_that_commit_at_once_are_both_in_the_ledger(
    shop: Any,
) -> None:
    arguments = ["build", "--human", "human", "--synthetic", "synthetic", "--quiet"]
    arguments += ["--flagged-human", "keep", "--ledger", "ledger"]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MEETING, name, *arguments, *options],
            cwd=shop.path,
        )
        for name in "12"
        for options in [["--seed", name, "--output", f"out{name}"]]
    ]
    try:
        while len(list(shop.path.glob("ready-*"))) < 2:
            assert all(process.poll() is None for process in started)
            time.sleep(0.01)
        (shop.path / "go").touch()
        assert [process.wait(60) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    ids = [read_manifest(str(shop.path / f"out{name}"))["build_id"] for name in "12"]
    assert builds_in(shop.path / "ledger") == sorted(ids * 40)


def test_row_30_a_ledger_that_fails_leaves_no_set_that_it_does_not_know(
    shop: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = shop.path / "ledger"
    with monkeypatch.context() as patch:
        patch.setattr("deltalake.DeltaTable.create_write_transaction", full)
        shop.build(ledger=str(ledger), code=2)
    assert "ledger" in error_of(capsys)
    assert not (shop.path / "out" / MANIFEST).exists()
    made = shop.build(ledger=str(ledger))
    assert builds_in(ledger) == [made["build_id"]] * 40
    assert faults_of(shop.path / "out") == []


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_row_32_a_bundle_that_fails_halfway_and_runs_twice_leaves_the_same_files(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"max_shard_bytes": 6000, "synthetic_fraction": 0.3}
    clean = shop.build("clean", **options)
    run, failed = publish.WriteShard.process, []

    def again(self: Any, element: Any, *rest: Any) -> Iterator[Any]:
        shard, batches = element[0], list(element[1])
        with monkeypatch.context() as patch:
            patch.setattr(publish, "measure_texts", full)
            with pytest.raises(OSError):
                list(run(self, (shard, batches), *rest))
        with monkeypatch.context() as patch:
            patch.setattr(publish.progress, "beat", full)
            with pytest.raises(OSError):
                list(run(self, (shard, batches), *rest))
        failed.append(shard)
        list(run(self, (shard, batches), *rest))
        yield from run(self, (shard, batches), *rest)

    monkeypatch.setattr(publish.WriteShard, "process", again)
    made = shop.build("again", **options)
    assert len(failed) == len(clean["shards"]) > 2
    for kind in ("content_digest", "books", "shards", "rejected"):
        assert made[kind] == clean[kind]
    assert faults_of(shop.path / "again") == []


def does_nothing(self: Path, target: Any) -> Any:
    return target


def loses_the_file(self: Path, target: Any) -> Any:
    self.unlink()
    return target


def leaves_half(self: Path, target: Any) -> Any:
    raw = self.read_bytes()
    self.unlink()
    Path(target).write_bytes(raw[: len(raw) // 2])
    return target


@pytest.mark.parametrize("rename", [does_nothing, loses_the_file, leaves_half])
@pytest.mark.parametrize("before", [None, b"of an earlier build"])
def test_row_33_a_rename_that_only_says_it_worked_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rename: Callable[..., Any],
    before: bytes | None,
) -> None:
    batch = pa.RecordBatch.from_pydict({"text": [prose(i) for i in range(20)]})
    path = tmp_path / "data/x.parquet"
    path.parent.mkdir()
    if before is not None:
        path.write_bytes(before)
    monkeypatch.setattr(Path, "replace", rename)
    with pytest.raises(OSError, match=r"x\.parquet"):
        write_parquet(str(tmp_path), "data/x.parquet", [batch], [np.arange(20)])


def test_row_33_a_rename_that_only_says_it_worked_fails_the_build(
    shop: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = Path.replace

    def replace(self: Path, target: Any) -> Any:
        chosen = Path(target).name == MANIFEST
        return does_nothing(self, target) if chosen else whole(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    shop.build(code=2)
    said = error_of(capsys)
    assert "output" in said and "cannot be written" in said and MANIFEST in said
    assert not (shop.path / "out" / MANIFEST).exists()
    assert not list((shop.path / "out").rglob(".*.part"))


def test_row_33_files_are_compared_with_the_manifest_before_it_is_there(
    shop: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = publish.write_report

    def lose(published: Any, *rest: Any) -> Any:
        folder = Path(published.target.folder)
        os.truncate(folder / "data/train-00000-of-00001.parquet", 99)
        return write(published, *rest)

    monkeypatch.setattr(publish, "write_report", lose)
    shop.build(ledger=str(shop.path / "ledger"), code=2)
    assert "data/train-00000-of-00001.parquet: wrote" in error_of(capsys)
    assert not (shop.path / "out" / MANIFEST).exists()
    assert not list((shop.path / "ledger").glob("*/*.parquet"))


def test_row_34_a_disk_that_is_full_leaves_the_build_before_as_it_was(
    shop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.build()
    before = files_of(shop.path / "out")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What a shard needs and no other file, since facts are in the cache.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        shop.build(overwrite=True, seed=1, code=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = error_of(capsys)
    assert "cannot be written" in said and os.strerror(errno.EFBIG) in said
    left = files_of(shop.path / "out")
    next_mark = f"{NEXT_FOLDER}/{UNFINISHED}"
    assert {path: left[path] for path in left if path != next_mark} == before
    assert faults_of(shop.path / "out") == []


def below_a_file(out: Path) -> None:
    out.parent.mkdir(parents=True)
    out.parent.rmdir()
    out.parent.write_text("a file where a folder should be")


def with_notes(out: Path) -> None:
    out.mkdir(parents=True)
    (out / "notes.txt").write_text("mine")


def with_newer_build(out: Path) -> None:
    out.mkdir(parents=True)
    (out / MANIFEST).write_text('{"manifest_version": 99}')


@pytest.mark.parametrize(
    ("make", "overwrite", "message"),
    [
        (below_a_file, False, "cannot be written"),
        (with_notes, False, "is not empty; name a new folder"),
        (with_notes, True, "holds no build that overwrite could replace"),
        (with_newer_build, False, "or replace its build with --overwrite"),
        (with_newer_build, True, "manifest_version 99, expected 1"),
    ],
)
def test_row_35_an_output_that_cannot_be_is_refused_before_any_work(
    shop: Any,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    overwrite: bool,
    message: str,
) -> None:
    out = shop.path / "deep/out"
    make(out)
    before = files_of(shop.path)
    options = {"overwrite": True} if overwrite else {}
    shop.build("deep/out", code=2, **options)
    said = error_of(capsys)
    assert "output" in said or "manifest.json" in said
    assert message in said
    assert files_of(shop.path) == before


def test_row_35_an_output_that_is_missing_is_made(shop: Any) -> None:
    shop.build("far/away/out")
    assert faults_of(shop.path / "far/away/out") == []


def test_row_36_files_of_an_earlier_larger_build_do_not_stay(
    shop: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shop.path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(publish, "commit", full)
        shop.build(max_shard_bytes=4000, code=2)
    assert "No space left" in error_of(capsys)
    assert len(list((out / "data").iterdir())) > 3
    shop.build()
    assert [path.name for path in (out / "data").iterdir()] == [
        "train-00000-of-00001.parquet"
    ]
    assert faults_of(out) == []


def test_row_36_whoever_reads_while_a_build_is_replaced_finds_one_of_the_two(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = shop.build(max_shard_bytes=4000, synthetic_fraction=0.2)
    out, seen = shop.path / "out", []
    (out / "review").mkdir()
    (out / "review/labels.csv").write_text("by people")
    step = committing.storage

    def look() -> None:
        made = read_manifest(str(out))
        named = [*made["shards"], *made["rejected"]]
        raw = [(out / file["path"]).read_bytes() for file in named]
        assert [hashlib.sha256(r).hexdigest() for r in raw] == [
            file["sha256"] for file in named
        ]
        seen.append(made["build_id"])

    for name in ("place", "write_bytes", "delete", "delete_folder"):
        whole = getattr(step, name)

        def watched(*given: Any, _whole: Callable[..., Any] = whole) -> Any:
            look()
            try:
                return _whole(*given)
            finally:
                look()

        monkeypatch.setattr(step, name, watched)
    new = shop.build(max_shard_bytes=5000, synthetic_fraction=0.4, overwrite=True)
    monkeypatch.undo()
    assert set(seen) == {old["build_id"], new["build_id"]}
    assert seen == sorted(seen, key=[old["build_id"], new["build_id"]].index)
    assert (out / "review/labels.csv").read_text() == "by people"
    assert len(list((out / "data").iterdir())) == len(new["shards"])
    assert not (out / NEXT_FOLDER).exists()
    assert faults_of(out) == []
    assert "overwrite" not in new["options"]


def test_row_37_other_block_borders_give_the_same_set(shop: Any) -> None:
    options = {"near_duplicates": 0.8, "synthetic_fraction": 0.3}
    one = shop.build("one", **options)
    shop.write("human/h", [prose(i) for i in range(20)], row_group=3)
    cut = shop.build("cut", **options)
    for kind in ("build_id", "content_digest", "books"):
        assert one[kind] == cut[kind]
    ids = [sorted(row["id"] for row in shop.rows(output=o)) for o in ("one", "cut")]
    assert ids[0] == ids[1]
