import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthfilter.core import books
from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason
from synthfilter.outputs.commit import commit, find_target, release
from synthfilter.outputs.manifest import (
    MANIFEST,
    UNFINISHED,
    ShardRecord,
    add_records,
    claim_output,
    make_manifest,
    read_manifest,
)
from synthfilter.outputs.parquet import FileRecord

HUMAN, SYNTHETIC, UNKNOWN, *_ = Origin

# Declared origin, origin, reason, bytes, words.
FIRST = [
    (HUMAN, HUMAN, Reason.KEPT, 60, 10),
    (UNKNOWN, SYNTHETIC, Reason.KEPT, 30, 5),
    (HUMAN, HUMAN, Reason.DEAD_LETTER, 0, 0),
]
SECOND = [(SYNTHETIC, SYNTHETIC, Reason.MIXTURE, 9, 2)]


def record(documents: list[tuple], digest: str, *paths: str) -> ShardRecord:
    files = tuple(FileRecord(path, 1, 5, 9, "sha") for path in paths)
    amounts = np.zeros((2, 3), np.int64)
    for _, origin, reason, size, words in documents:
        if reason == Reason.KEPT:
            amounts[origin] += (1, size, words)
    return ShardRecord(
        files, books.count(*np.array(documents).T), amounts, digest.zfill(32)
    )


SHARDS = [
    record(SECOND, "f", "rejected/part-1", "data/train-1"),
    record(FIRST, "2", "data/train-0", "dead_letter/part-0"),
]


def made(rows_read: int = 4, shards: list[ShardRecord] = SHARDS) -> dict[str, Any]:
    return make_manifest(
        build_id="b1",
        version="0.1",
        options={"unit": "words", "synthetic_fraction": 0.3, "seed": 0},
        detector={"name": "d", "sha256": "s"},
        inputs=[{"path": "in.jsonl"}],
        total=add_records(shards),
        rows_read=rows_read,
        limited_by="synthetic text",
    )


def publish_nothing(folder: Path) -> None:
    claim_output(str(folder))
    commit(find_target(str(folder)), made(0, []))
    release(find_target(str(folder)))


def test_the_manifest_tells_the_books_the_shares_and_every_file() -> None:
    manifest = made()
    assert manifest["books"]["read"] == 4
    assert manifest["books"]["kept"] == 2
    assert manifest["books"]["dead_letters"] == 1
    assert manifest["content_digest"] == "11".zfill(32)
    assert manifest["shares"]["synthetic_fraction"] == 0.3
    assert manifest["shares"]["target_size"] is None
    assert manifest["shares"]["limited_by"] == "synthetic text"
    assert manifest["shares"]["got"] == {
        "docs": {"human": 1, "synthetic": 1, "synthetic_fraction": 1 / 2},
        "bytes": {"human": 60, "synthetic": 30, "synthetic_fraction": 1 / 3},
        "words": {"human": 10, "synthetic": 5, "synthetic_fraction": 1 / 3},
    }
    files = {
        kind: [file["path"] for file in manifest[kind]]
        for kind in ("shards", "rejected", "dead_letters")
    }
    assert files == {
        "shards": ["data/train-0", "data/train-1"],
        "rejected": ["rejected/part-1"],
        "dead_letters": ["dead_letter/part-0"],
    }


def test_the_manifest_does_not_depend_on_the_order_of_shards() -> None:
    assert made() == made(shards=SHARDS[::-1])


def test_a_share_of_nothing_is_no_number() -> None:
    nothing = made(0, [])["shares"]["got"]["words"]
    assert nothing == {"human": 0, "synthetic": 0, "synthetic_fraction": None}


@pytest.mark.parametrize("rows_read", [3, 5])
def test_books_that_do_not_balance_make_no_manifest(rows_read: int) -> None:
    with pytest.raises(RuntimeError, match="do not balance"):
        made(rows_read)


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../out", "./{}"])
def test_commit_removes_what_the_manifest_does_not_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = spelling.format("out")
    claim_output(folder)
    named = [file.path for shard in SHARDS for file in shard.files]
    for path in [*named, "data/train-7", "data/.x.part", "rejected/old/x", "mine.txt"]:
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_text("12345")
    commit(find_target(folder), made())
    release(find_target(folder))
    left = [
        str(path.relative_to(tmp_path / "out"))
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    ]
    assert sorted(left) == sorted([*named, "mine.txt", MANIFEST])
    assert read_manifest(folder) == made()


def test_a_new_output_is_claimed_and_a_claim_can_be_taken_over(tmp_path: Path) -> None:
    out = tmp_path / "deep/out"
    claim_output(str(out))
    assert [path.name for path in out.iterdir()] == [UNFINISHED]
    (out / "data").mkdir()
    (out / "data/train-0").write_text("half a build")
    claim_output(str(out))
    assert (out / "data/train-0").exists()


def test_an_output_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty; name a new folder"):
        claim_output(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_finished_build_is_refused_as_output(tmp_path: Path) -> None:
    publish_nothing(tmp_path)
    with pytest.raises(UserError, match="is not empty"):
        claim_output(str(tmp_path))
    assert read_manifest(str(tmp_path)) == made(0, [])


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(UserError, match="cannot be written"):
            claim_output(str(path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "holds no manifest.json: no build"),
        (b"{cut", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "manifest_version None, expected 1"),
        (b"{}", "manifest_version None, expected 1"),
        (b'{"manifest_version": 99}', "manifest_version 99, expected 1"),
    ],
)
def test_a_manifest_that_is_none_is_an_error_that_says_so(
    data: bytes | None, message: str, tmp_path: Path
) -> None:
    if data is not None:
        (tmp_path / MANIFEST).write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shards": None}, "shards is expected to be a list, got NoneType"),
        ({"books": []}, "books is expected to be a dict, got list"),
        ({"inputs": ["in.jsonl"]}, "inputs is expected to be a list of dicts"),
        ({"build_id": 7}, "build_id is expected to be a str, got int"),
        ({"build_id": "a'; DROP\n"}, "is no name of a build"),
        ({"shards": ["data/a"]}, r"shards\[0\]: a file is expected to be a dict"),
        ({"path": "../../etc/passwd"}, "expected to be data/NAME, got '../../etc"),
        ({"path": "/etc/passwd"}, "expected to be data/NAME, got '/etc/passwd'"),
        ({"path": "data/../x"}, "expected to be data/NAME"),
        ({"path": "data/.."}, "expected to be data/NAME"),
        ({"path": "data/a/b"}, "expected to be data/NAME"),
        ({"path": "data/a\nb"}, "expected to be data/NAME"),
        ({"path": "data//etc"}, "expected to be data/NAME"),
        ({"path": "rejected/a"}, "expected to be data/NAME"),
        ({"path": "s3://data/a"}, "expected to be data/NAME"),
        ({"path": 5}, "expected to be data/NAME, got 5"),
        ({"path": "data/train-1"}, "'data/train-1' is named twice"),
        ({"rows": -1}, "rows of data/train-0 is expected to be a count, got -1"),
        ({"rows": True}, "is expected to be a count, got True"),
        ({"bytes": "5"}, "bytes of data/train-0 is expected to be a count, got '5'"),
        ({"sha256": None}, "sha256 of data/train-0 is expected to be a str, got None"),
    ],
)
def test_a_manifest_that_no_build_wrote_is_refused_in_one_line(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    changed = made()
    for name, value in change.items():
        (changed if name in changed else changed["shards"][0])[name] = value
    (tmp_path / MANIFEST).write_text(json.dumps(changed))
    with pytest.raises(UserError, match=message) as refused:
        read_manifest(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_an_unfinished_build_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    claim_output(str(tmp_path))
    with pytest.raises(UserError, match="did not finish; run it again"):
        read_manifest(str(tmp_path))


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    publish_nothing(tmp_path)
    assert json.loads((tmp_path / MANIFEST).read_text()) == made(0, [])
