"""What a ledger knows of the human archive."""

import datetime
from pathlib import Path

import pytest

from synthfilter.core.archive import ArchiveFile, add_parts
from synthfilter.core.errors import UserError
from synthfilter.ledger.archive import commit_archive, read_archive
from synthfilter.ledger.table import open_ledger

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)


def file(number: int, name: str = "") -> ArchiveFile:
    return ArchiveFile(name or f"file {number}", f"{number:032x}", 2, 30, 6)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "ledger")


def test_a_ledger_knows_the_files_of_the_last_build_that_had_others(path: str) -> None:
    assert read_archive(path) == []
    assert commit_archive(path, [file(2), file(1)], "one", NOON)
    assert read_archive(path) == [file(1), file(2)]
    assert commit_archive(path, [file(1), file(3)], "two", NOON)
    assert read_archive(path) == [file(1), file(3)]
    # It is no ledger of uses yet.
    assert open_ledger(path) is None


def test_the_same_contents_are_not_written_again(path: str) -> None:
    assert commit_archive(path, [file(1), file(2)], "one", NOON)
    renamed = [file(2, "b"), file(1, "a")]
    assert not commit_archive(path, renamed, "two", NOON)
    # The same file twice is another archive.
    assert commit_archive(path, [file(1), file(1), file(2)], "three", NOON)


def test_what_is_no_table_of_ours_is_an_error(path: str) -> None:
    commit_archive(path, [file(1)], "one", NOON)
    log = Path(path) / "_archive/_delta_log/00000000000000000000.json"
    log.write_text(
        log.read_text().replace('archive_version":"1"', 'archive_version":"2"')
    )
    with pytest.raises(UserError, match="are of version 2, expected 1; use the synth"):
        read_archive(path)
    log.write_text("{")
    with pytest.raises(UserError, match=r"files of the archive in .* cannot be read"):
        read_archive(path)


def test_parts_of_a_file_add_up_to_it() -> None:
    parts = [ArchiveFile("a", f"{n:032x}", n, 10 * n, 2 * n) for n in (1, 2)]
    assert add_parts(parts) == ArchiveFile("a", f"{3:032x}", 3, 30, 6)
