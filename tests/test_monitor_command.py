"""`synthfilter monitor` over folders of reports: what it prints, writes and returns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from synthfilter import monitor_command
from synthfilter.cli import main
from synthfilter.core.errors import UserError

Make = Callable[..., list[dict[str, Any]]]
HOSTILE = '</td><script>alert(1)</script>"\n[red]:smile:\\'


def rising(place: int) -> float:
    return 0.3 + 0.001 * (place % 3) + 0.01 * max(0, place - 11)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[list[dict[str, Any]]], str]:
    """Writes reports, each in the folder of a build; returns a glob of them."""

    def write(reports: list[dict[str, Any]]) -> str:
        for place, report in enumerate(reports):
            folder = tmp_path / "builds" / f"b{place:02}"
            folder.mkdir(parents=True)
            (folder / "report.json").write_text(json.dumps(report))
        return str(tmp_path / "builds/*/report.json")

    return write


def monitor(*arguments: str | Path) -> int:
    try:
        return main(["monitor", *map(str, arguments)])
    except SystemExit as stopped:
        return stopped.code


def one_line(capsys: pytest.CaptureFixture) -> str:
    """Returns the error, which is one line."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_builds_that_nothing_happened_to_are_fine(
    write: Any, make_reports: Make, capsys: pytest.CaptureFixture
) -> None:
    assert monitor(write(make_reports(24))) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "24 builds, by start: 2024-01-03 to 2025-12-03"
    assert said.splitlines()[-1] == "no alarm"
    assert "2025-12-03" in said and "2025-06-03" not in said
    assert "novelty, down" in said


def test_an_alarm_is_4_while_its_build_is_among_the_latest(
    write: Any, make_reports: Make, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    pattern = write(make_reports(24, {"shares.estimated": rising}))
    found = tmp_path / "found.json"
    monitor(pattern, "--json", found)
    first = json.loads(found.read_bytes())["alarms"][0]["at"]["build"]
    builds = tmp_path / "builds"
    until = [builds / f"b{place:02}" for place in range(first)]
    capsys.readouterr()
    assert monitor(*until) == 4
    said = capsys.readouterr().out.splitlines()
    (alarm,) = [line for line in said if line.startswith("ALARM: ")]
    assert alarm.startswith("ALARM: true_share: rose from 30.")
    assert f"told by build {first} (" in alarm
    assert "--synthetic-fraction" in alarm
    # Before there is none, and a build later it is an earlier one.
    assert monitor(*until[:-1]) == 0
    capsys.readouterr()
    later = [*until, builds / f"b{first:02}"]
    assert monitor(*later) == 0
    assert "earlier: true_share: rose" in capsys.readouterr().out
    assert monitor(*later, "--latest", "2") == 4


def test_rules_that_fire_are_4(
    write: Any, make_reports: Make, capsys: pytest.CaptureFixture
) -> None:
    pattern = write(make_reports(3))
    assert monitor(pattern, "--fail-on", "novelty<0.9", "reuse>0.5") == 4
    said = capsys.readouterr().out
    assert "RULE: novelty<0.9: it is 0.5" in said
    assert "RULE: reuse" not in said
    assert monitor(pattern, "--fail-on", "novelty<0.1", "--quiet") == 0
    assert capsys.readouterr().out == ""


def test_a_rule_without_a_figure_is_told(
    write: Any, make_reports: Make, capsys: pytest.CaptureFixture
) -> None:
    assert monitor(write(make_reports(1)), "--fail-on", "novelty<0.9") == 0
    assert "novelty<0.9 not judged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fail-on", "noveltyy<1"], "no series 'noveltyy'; there are true_share"),
        (["--fail-on", "import os"], "a rule must be SERIES, one of < <= > >="),
        (["--latest", "0"], "latest must be at least 1, got 0"),
        (["--prometheus", "x.txt"], "prometheus must end in .prom"),
        (["--htlm", "x"], "did you mean --html?"),
    ],
)
def test_bad_options_are_2_in_a_line(
    write: Any,
    make_reports: Make,
    capsys: pytest.CaptureFixture,
    options: list[str],
    said: str,
) -> None:
    assert monitor(write(make_reports(1)), *options) == 2
    assert said in one_line(capsys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[]", "expected the report.json of a build"),
        ('{"report_version": true}', "expected the report.json of a build"),
        ('{"report_version": 2}', "report_version 2 is newer than 1"),
        ('{"report_version": 1}', "no build_id"),
        ('{"report_version": 1, "build_id": "a"}', "run.started must be a time"),
        (
            '{"report_version": 1, "build_id": "a", "run": {"started": "2026-01-01"}, '
            '"diversity": {"sketches": {"all": {"trigrams": "eA=="}}}}',
            "diversity.sketches: expected a sample of hashes",
        ),
        (None, "no report.json in"),
    ],
)
def test_a_report_that_cannot_be_used_is_named_or_skipped(
    write: Any,
    make_reports: Make,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
    content: str | None,
    said: str,
) -> None:
    write(make_reports(2))
    broken = tmp_path / "builds/b01/report.json"
    broken.unlink()
    if content is not None:
        broken.write_text(content)
    folders = [tmp_path / "builds/b00", tmp_path / "builds/b01"]
    assert monitor(*folders) == 2
    error = one_line(capsys)
    assert said in error
    assert "b01" in error
    assert monitor(*folders, "--skip-broken") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("skipped: ") and said in told[0]
    assert told[1].startswith("1 build, ")


def test_reports_are_found_by_path_folder_and_globs_of_both(
    write: Any, make_reports: Make, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    write(make_reports(3))
    builds = tmp_path / "builds"
    for given in (
        [builds / "*/report.json"],
        [builds / "*"],
        [builds / "b00", builds / "b01/", builds / "b02/report.json"],
    ):
        assert monitor(*given) == 0
        assert capsys.readouterr().out.startswith("3 builds, ")


def test_nothing_to_read_is_2(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert monitor(tmp_path / "*/report.json") == 2
    assert "no file matches" in one_line(capsys)
    assert monitor(tmp_path / "*/report.json", "--skip-broken") == 2
    assert "no report.json was readable" in one_line(capsys)


def test_hostile_names_are_only_text(
    write: Any, make_reports: Make, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    reports = make_reports(3, {"build_id": lambda place: f"{place}{HOSTILE}"})
    reports[2]["detector"] |= {"name": HOSTILE, "sha256": HOSTILE}
    files = [tmp_path / name for name in ("t.html", "t.json", "t.prom")]
    options = zip(("--html", "--json", "--prometheus"), files, strict=True)
    written = [part for option in options for part in option]
    assert monitor(write(reports), *written) == 0
    said = capsys.readouterr().out
    assert "another detector from build 3" in said
    assert "[red]:smile:" in said
    page, found, metrics = (file.read_text() for file in files)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 3
    assert json.loads(found)["builds"][0]["build_id"] == f"0{HOSTILE}"
    families = {f.name: f for f in text_string_to_metric_families(metrics)}
    info = families["synthfilter_monitor_latest_build_info"].samples[0]
    assert info.labels == {"build_id": f"2{HOSTILE}"}


def test_metrics_have_the_latest_figures_without_gaps(
    write: Any, make_reports: Make, tmp_path: Path
) -> None:
    reports = make_reports(20, {"shares.estimated": rising})
    reports[19]["diversity"]["near_copy_rate"] = None
    pattern, path = write(reports), tmp_path / "metrics" / "s.prom"
    rules = ["--fail-on", "reuse>0.01", "near_copy_rate>0"]
    # Written again and again, as a job in cron does.
    for _ in range(2):
        monitor(pattern, "--prometheus", path, "--latest", "20", *rules)
    assert [file.name for file in path.parent.iterdir()] == ["s.prom"]
    values = {
        (sample.name.removeprefix("synthfilter_monitor_"), *sample.labels.values()): (
            sample.value
        )
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    assert values["builds",] == 20
    assert values["figure", "true_share"] == pytest.approx(0.381)
    assert ("figure", "near_copy_rate") not in values
    assert values["alarm", "true_share"] == 1
    assert values["alarm", "near_copy_rate"] == 0
    assert values["rule", "reuse>0.01"] == 1
    assert ("rule", "near_copy_rate>0") not in values
    assert values["latest_build_start_seconds",] == 1754179200


def test_without_the_extra_the_page_has_tables_only(
    write: Any,
    make_reports: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> None:
        raise UserError("charts need a package that is not installed")

    monkeypatch.setattr(monitor_command, "check_charts", missing)
    path = tmp_path / "trend.html"
    assert monitor(write(make_reports(3)), "--html", path) == 0
    assert "tables only; charts need a package" in capsys.readouterr().out
    page = path.read_text()
    assert "<img" not in page
    assert "<details open>" in page
    assert page.count("<table>") == 21


def test_a_file_that_cannot_be_written_is_2(
    write: Any, make_reports: Make, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "x.json"
    assert monitor(write(make_reports(1)), "--json", path, "--quiet") == 2
    assert "cannot write" in one_line(capsys)
