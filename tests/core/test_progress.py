from pathlib import Path

from synthfilter.core.progress import Done, beat, read_beats


def test_beats_of_all_processes_add_up(tmp_path: Path) -> None:
    beat(str(tmp_path), "score", 1, 100)
    beat(str(tmp_path), "score", 2, 50, total=9, seconds=1.5)
    (tmp_path / "999999.beats").write_text("score 1 7 4 250\nwrite 1 5 0 0\n")
    assert read_beats(str(tmp_path)) == {
        "score": Done(4, 157, 9, 1750),
        "write": Done(1, 5),
    }


def test_a_line_that_is_being_written_does_not_count_yet(tmp_path: Path) -> None:
    (tmp_path / "1.beats").write_text("open 1 10 0 0\nopen 1 1")
    assert read_beats(str(tmp_path)) == {"open": Done(1, 10)}


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    beat(None, "open", 1, 10)
    assert read_beats(str(tmp_path)) == {}
