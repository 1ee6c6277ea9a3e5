"""`synthfilter report`: the page of a build, made again from its report."""

import json
import sys
from pathlib import Path

import pytest

from synthfilter.cli import main

REPORT = {
    "report_version": 1,
    "build_id": "b7",
    "conflicts": [{"decided": "url=human", "against": "date=synthetic", "docs": 4711}],
}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    return tmp_path


def test_the_page_is_made_again(out: Path, capsys: pytest.CaptureFixture) -> None:
    (out / "report.html").write_text("an old page")
    assert main(["report", str(out)]) == 0
    assert "4,711" in (out / "report.html").read_text()
    assert capsys.readouterr().out == f"{out}/report.html: 0.0 MB\n"


def test_it_goes_where_it_is_told(out: Path, capsys: pytest.CaptureFixture) -> None:
    page = out / "other.html"
    assert main(["report", str(out), "--output", str(page)]) == 0
    assert "4,711" in page.read_text()
    assert not (out / "report.html").exists()
    assert main(["report", str(out), "--output", str(page)]) == 2
    assert "exists; name a new file" in capsys.readouterr().err


def test_without_charts_it_says_how_they_are_had(
    out: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert main(["report", str(out)]) == 0
    said = capsys.readouterr().out
    assert "without charts; pip install 'synthfilter[report]' draws them" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "holds no report.json; name the output folder of a finished build"),
        ("{broken", "is not JSON"),
        ("[]", "expected the report.json of a build, with a report_version"),
        ('{"report_version": 2}', "report_version 2 is newer than 1"),
        ('{"report_version": 1, "books": [1]}', "is not as a build wrote it"),
    ],
)
def test_what_is_no_report_is_told_in_one_line(
    tmp_path: Path, content: str | None, said: str, capsys: pytest.CaptureFixture
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_page_that_cannot_be_written_is_told_in_one_line(
    out: Path, capsys: pytest.CaptureFixture
) -> None:
    blocked = out / "report.json" / "page.html"
    assert main(["report", str(out), "--output", str(blocked)]) == 2
    assert "cannot be written" in capsys.readouterr().err
