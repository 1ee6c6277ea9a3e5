"""Publishing: what stands in the manifest, what replaces what."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthfilter.core.books import empty_books
from synthfilter.core.errors import UserError
from synthfilter.outputs import commit as module
from synthfilter.outputs.commit import Target, commit, find_target, release
from synthfilter.outputs.manifest import (
    NEXT_FOLDER,
    UNFINISHED,
    ShardRecord,
    claim_output,
    make_manifest,
    read_manifest,
)
from synthfilter.outputs.parquet import FileRecord

OLD, NEW = "train-00000-of-00001.parquet", "train-00000-of-00001-b.parquet"


def make(target: Target, build_id: str, text: str, size: int | None = None) -> Any:
    """Writes a shard and returns the manifest that names it."""
    path = f"data/train-00000-of-00001{target.mark}.parquet"
    (Path(target.folder) / path).parent.mkdir(parents=True, exist_ok=True)
    (Path(target.folder) / path).write_text(text)
    record = FileRecord(path, 1, len(text) if size is None else size, 9, "sha")
    shard = ShardRecord((record,), empty_books(), np.zeros((2, 3), int), "0" * 32)
    return make_manifest(build_id, "0.1", {}, {}, [], shard, 0, None)


def publish(output: Path, build_id: str, text: str, overwrite: bool = True) -> None:
    claim_output(str(output), overwrite)
    target = find_target(str(output), overwrite)
    commit(target, make(target, build_id, text))
    release(target)


def files_of(folder: Path) -> list[str]:
    below = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in below)


def test_a_build_that_replaces_another_takes_the_names_that_it_does_not_have(
    tmp_path: Path,
) -> None:
    for number, name in enumerate((OLD, NEW, OLD, NEW)):
        publish(tmp_path, f"b{number}", f"text {number}")
        assert files_of(tmp_path) == [f"data/{name}", "manifest.json"]
        assert (tmp_path / "data" / name).read_text() == f"text {number}"
        assert read_manifest(str(tmp_path))["build_id"] == f"b{number}"
        assert not (tmp_path / NEXT_FOLDER).exists()


def test_until_it_is_published_a_build_that_replaces_another_is_beside_it(
    tmp_path: Path,
) -> None:
    publish(tmp_path, "old", "old text")
    claim_output(str(tmp_path), overwrite=True)
    target = find_target(str(tmp_path), overwrite=True)
    assert target == Target(str(tmp_path), f"{tmp_path}/{NEXT_FOLDER}", "-b")
    made = make(target, "new", "new text", size=99)
    with pytest.raises(OSError, match=r"-b.parquet: wrote 99 bytes, there is 8 bytes"):
        commit(target, made)
    assert read_manifest(str(tmp_path))["build_id"] == "old"
    assert [path.name for path in (tmp_path / "data").iterdir()] == [OLD]
    # Again, whatever is left.
    publish(tmp_path, "new", "new text")
    assert files_of(tmp_path) == [f"data/{NEW}", "manifest.json"]


def test_files_go_only_after_the_manifest_that_named_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, "old", "old text")
    (tmp_path / "report.html").write_text("the old page")

    def fail(*_: Any) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="is gone"):
        patch.setattr(module.storage, "write_bytes", fail)
        claimed = find_target(str(tmp_path), overwrite=True)
        commit(claimed, make(claimed, "new", "new text"))
    assert read_manifest(str(tmp_path))["build_id"] == "old"
    assert (tmp_path / "data" / OLD).read_text() == "old text"
    assert (tmp_path / "report.html").exists()
    publish(tmp_path, "new", "new text")
    assert files_of(tmp_path) == [f"data/{NEW}", "manifest.json"]


def test_without_a_build_to_replace_overwrite_changes_nothing(tmp_path: Path) -> None:
    claim_output(str(tmp_path / "out"), overwrite=True)
    claim_output(str(tmp_path / "out"), overwrite=True)
    target = find_target(str(tmp_path / "out"), overwrite=True)
    assert target == Target(str(tmp_path / "out"), str(tmp_path / "out"), "")
    assert files_of(tmp_path) == [f"out/{UNFINISHED}"]


def test_a_finished_build_is_only_replaced_when_told(tmp_path: Path) -> None:
    publish(tmp_path, "old", "old text")
    with pytest.raises(UserError, match="or replace its build with --overwrite"):
        claim_output(str(tmp_path))
    assert files_of(tmp_path) == [f"data/{OLD}", "manifest.json"]
