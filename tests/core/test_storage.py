import io
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystem import FileMetadata, FileSystem

from synthfilter.core import storage
from synthfilter.core.errors import StoreError, UserError

FILES = (
    "a.jsonl",
    "b1.jsonl",
    "b2.jsonl",
    "c[1].jsonl",
    "sub/a.jsonl",
    "sub/deep/a.parquet",
    ".hidden.jsonl",
    "_marked.jsonl",
    ".git/x.jsonl",
    "_delta_log/0.jsonl",
    "sub/.cache/y.jsonl",
    "old [2]/z.jsonl",
)

GLOBS = {
    "*.jsonl": ["a.jsonl", "b1.jsonl", "b2.jsonl", "c[1].jsonl"],
    "b?.jsonl": ["b1.jsonl", "b2.jsonl"],
    "[ab]*.jsonl": ["a.jsonl", "b1.jsonl", "b2.jsonl"],
    "b[2-9].jsonl": ["b2.jsonl"],
    "b[!2].jsonl": ["b1.jsonl"],
    "c[[]1].jsonl": ["c[1].jsonl"],
    "**/a.jsonl": ["a.jsonl", "sub/a.jsonl"],
    "sub/**": ["sub/a.jsonl", "sub/deep/a.parquet"],
    "s*/*": ["sub/a.jsonl"],
    "**/*.parquet": ["sub/deep/a.parquet"],
    ".git/*.jsonl": [".git/x.jsonl"],
    "sub/.cache/*": ["sub/.cache/y.jsonl"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(pattern: str) -> list[str]:
    return [entry.path for entry in storage.list_files(pattern)]


@pytest.mark.parametrize("pattern", GLOBS)
def test_a_glob_finds_what_a_shell_would(pattern: str, folder: Path) -> None:
    assert paths(pattern) == GLOBS[pattern]
    assert paths(f"./{pattern}") == GLOBS[pattern]
    assert paths(f"{folder}/{pattern}") == [f"{folder}/{n}" for n in GLOBS[pattern]]


@pytest.mark.parametrize("pattern", ["sub", "sub/", "./sub", "sub//**"])
def test_a_folder_stands_for_all_files_below_it(pattern: str) -> None:
    assert paths(pattern) == ["sub/a.jsonl", "sub/deep/a.parquet"]


def test_brackets_in_a_name_that_exists_are_only_a_name() -> None:
    assert paths("c[1].jsonl") == ["c[1].jsonl"]
    assert paths("old [2]") == ["old [2]/z.jsonl"]
    assert paths(".hidden.jsonl") == [".hidden.jsonl"]


def test_a_file_that_links_lead_to_is_found_once() -> None:
    Path("sub/deep/up").symlink_to("..", target_is_directory=True)
    Path("sub/same.jsonl").symlink_to("a.jsonl")
    Path("sub/shown.jsonl").symlink_to("../_delta_log/0.jsonl")
    assert paths("sub") == ["sub/a.jsonl", "sub/deep/a.parquet", "sub/shown.jsonl"]
    assert paths("**/*.jsonl")[-2:] == ["sub/a.jsonl", "sub/shown.jsonl"]


def test_a_listed_file_has_its_size_and_time() -> None:
    os.utime("a.jsonl", (5, 5))
    (entry,) = storage.list_files("a.jsonl")
    assert (entry.size_in_bytes, entry.last_updated_in_seconds) == (4, 5)


def test_home_is_understood(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert paths("~/b1.jsonl") == [f"{folder}/b1.jsonl"]


@pytest.mark.parametrize("pattern", ["no.jsonl", "no/*.jsonl", "*.csv", "c[1"])
def test_a_pattern_without_files_is_an_error_that_names_it(pattern: str) -> None:
    with pytest.raises(UserError, match="no file matches") as raised:
        storage.list_files(pattern)
    assert repr(pattern) in str(raised.value)


def test_a_bad_bracket_is_an_error_and_no_crash() -> None:
    for pattern in ("[z-a].jsonl", "[]", "[!]", "["):
        with pytest.raises(UserError):
            storage.list_files(pattern)


def test_staged_gives_the_whole_file_or_nothing() -> None:
    with pytest.raises(ZeroDivisionError), storage.staged("new/x.bin") as draft:
        draft.write_bytes(b"half")
        raise ZeroDivisionError
    assert list(Path("new").iterdir()) == []
    with storage.staged("new/x.bin") as draft:
        draft.write_bytes(b"whole")
        assert not Path("new/x.bin").exists()
    assert [path.name for path in Path("new").iterdir()] == ["x.bin"]
    assert Path("new/x.bin").stat().st_mode & 0o777 == 0o644


def test_an_error_leaves_the_file_that_was_there() -> None:
    storage.write_bytes("x.bin", b"old")
    with pytest.raises(ZeroDivisionError), storage.staged("x.bin") as draft:
        draft.write_bytes(b"half")
        raise ZeroDivisionError
    assert storage.read_bytes("x.bin") == b"old"


def test_writing_twice_leaves_one_file_with_the_last_bytes() -> None:
    storage.write_bytes("out/x.bin", b"first")
    storage.write_bytes("out/x.bin", b"second")
    assert storage.read_bytes("out/x.bin") == b"second"
    assert storage.list_below("out") == ["out/x.bin"]


def test_reading_a_file_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(UserError, match=r"cannot read 'no\.bin'"):
        storage.read_bytes("no.bin")


def test_delete_takes_what_is_there_and_minds_nothing_else() -> None:
    storage.delete(["a.jsonl", "no.jsonl"])
    assert not Path("a.jsonl").exists()
    storage.delete([])


@pytest.mark.parametrize("spelled", ["old [2]", "./old [2]", "old [2]/"])
def test_files_below_a_folder_are_spelled_as_the_folder_is(spelled: str) -> None:
    assert storage.list_below(spelled) == [storage.join(spelled, "z.jsonl")]


def test_a_folder_that_is_not_there_is_empty() -> None:
    assert storage.list_below("no") == []
    assert storage.is_empty("no")
    assert not storage.is_empty("sub")
    Path("new").mkdir()
    assert storage.is_empty("new")
    with pytest.raises(OSError):
        storage.is_empty("a.jsonl")


def test_paths_are_joined_and_parted(folder: Path) -> None:
    assert storage.join("a/", "b", "c") == "a/b/c"
    assert storage.parent("a/b") == f"{folder}/a"
    assert storage.parent("out/") == str(folder)
    assert storage.parent("gs://bucket/a/b/") == "gs://bucket/a"
    assert storage.parent("gs://bucket/a") == "gs://bucket"
    assert storage.parent("gs://bucket/") == "gs://bucket"


def test_a_parquet_file_is_read_with_its_checksums_verified() -> None:
    table = pa.table({"text": ["some words"] * 10})
    pq.write_table(
        table,
        "x.parquet",
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    with storage.open_parquet("x.parquet") as file:
        assert file.read().equals(table)
    raw = Path("x.parquet").read_bytes()
    Path("x.parquet").write_bytes(raw.replace(b"\n\0\0\0some", b"\n\0\0\0SOME", 1))
    with (
        pytest.raises(OSError, match="CRC"),
        storage.open_parquet("x.parquet") as file,
    ):
        file.read()


class MemoryFiles(FileSystem):
    """A filesystem without folders, like an object store."""

    files: dict[str, bytes] = {}  # noqa: RUF012

    @classmethod
    def scheme(cls) -> str:
        return "memory"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath, *paths])

    def split(self, path: str) -> tuple[str, ...]:
        return tuple(path.rsplit("/", 1))

    def mkdirs(self, path: str) -> None:
        raise AssertionError("an object store has no folders")

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for path in self.files:
            if path.startswith(dir_or_prefix):
                yield self.metadata(path)

    def create(self, path, mime_type=None, compression_type=None) -> io.BytesIO:
        files = self.files

        class Upload(io.BytesIO):
            def close(self) -> None:
                files[path] = self.getvalue()
                super().close()

        return Upload()

    def open(self, path, mime_type=None, compression_type=None) -> io.BytesIO:
        if path not in self.files:
            raise FileNotFoundError(path)
        return io.BytesIO(self.files[path])

    def copy(self, source_file_names, destination_file_names) -> None:
        for source, path in zip(source_file_names, destination_file_names, strict=True):
            self.files[path] = self.files[source]

    def rename(self, source_file_names, destination_file_names) -> None:
        raise AssertionError("a rename is not atomic here")

    def exists(self, path: str) -> bool:
        return path in self.files

    def size(self, path: str) -> int:
        return len(self.files[path])

    def last_updated(self, path: str) -> float:
        return 5.0

    def checksum(self, path: str) -> str:
        raise NotImplementedError

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path), 5.0)

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            del self.files[path]


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    files = {f"memory://store/{name}": b"text" for name in FILES if "old" not in name}
    monkeypatch.setattr(MemoryFiles, "files", files)
    return files


@pytest.mark.parametrize("pattern", GLOBS)
def test_a_glob_finds_the_same_on_an_object_store(
    pattern: str, remote: dict[str, bytes]
) -> None:
    found = [f"memory://store/{name}" for name in GLOBS[pattern]]
    assert paths(f"memory://store/{pattern}") == found


def test_files_come_and_go_on_an_object_store(remote: dict[str, bytes]) -> None:
    assert paths("memory://store/sub/") == [
        "memory://store/sub/a.jsonl",
        "memory://store/sub/deep/a.parquet",
    ]
    storage.write_bytes("memory://store/new/x", b"one")
    storage.write_bytes("memory://store/new/x", b"two")
    assert storage.read_bytes("memory://store/new/x") == b"two"
    assert storage.list_below("memory://store/new") == ["memory://store/new/x"]
    storage.delete(["memory://store/new/x", "memory://store/new/y"])
    assert storage.is_empty("memory://store/new")
    with pytest.raises(ZeroDivisionError), storage.staged("memory://store/z"):
        raise ZeroDivisionError
    assert "memory://store/z" not in remote


def test_what_an_object_store_has_is_read_back(
    remote: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful(io.BytesIO):
        def close(self) -> None:
            remote["memory://store/x"] = self.getvalue()[:-1]
            super().close()

    monkeypatch.setattr(MemoryFiles, "create", lambda *_, **__: Forgetful())
    with pytest.raises(OSError, match="x: what was read back is not what was written"):
        storage.write_bytes("memory://store/x", b"some bytes")
    assert "memory://store/x" not in remote


def test_an_upload_that_fails_leaves_what_was_there(
    remote: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(io.BytesIO):
        def close(self) -> None:
            if not self.closed:
                super().close()
                raise OSError("no such bucket any more")

    remote["memory://store/x"] = b"of an earlier build"
    monkeypatch.setattr(MemoryFiles, "create", lambda *_, **__: Refused())
    with pytest.raises(StoreError, match=r"cannot write .*: no such bucket any more"):
        storage.write_bytes("memory://store/x", b"some bytes")
    assert remote["memory://store/x"] == b"of an earlier build"


def test_a_file_is_placed_over_another_with_its_bytes(
    remote: dict[str, bytes], folder: Path
) -> None:
    storage.place("a.jsonl", "new/b.jsonl")
    assert not Path("a.jsonl").exists()
    assert storage.sizes_below("new") == {
        "new/b.jsonl": len(Path("new/b.jsonl").read_bytes())
    }
    storage.write_bytes("memory://store/new", b"12345")
    storage.place("memory://store/new", "memory://store/sub/a.jsonl")
    assert remote["memory://store/sub/a.jsonl"] == b"12345"
    assert storage.sizes_below("memory://store/sub")["memory://store/sub/a.jsonl"] == 5
    storage.delete_folder("memory://store/sub")
    storage.delete_folder("new")
    assert storage.is_empty("memory://store/sub") and not Path("new").exists()


def test_a_folder_of_drafts_is_empty() -> None:
    Path("new").mkdir()
    Path("new/.x1y2.part").write_text("half")
    assert storage.is_empty("new")
    assert storage.list_drafts("new") == ["new/.x1y2.part"]
    Path("new/.hidden").write_text("mine")
    assert not storage.is_empty("new")


def test_parquet_is_read_from_an_object_store(remote: dict[str, bytes]) -> None:
    table = pa.table({"n": [1, 2, 3]})
    with storage.staged("memory://store/x.parquet") as draft:
        pq.write_table(table, draft)
    with storage.open_parquet("memory://store/x.parquet") as file:
        assert file.read().equals(table)
