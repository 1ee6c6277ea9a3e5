"""What people see while a build runs, and when it is done."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from synthfilter import console
from synthfilter.console import (
    Reporter,
    describe_capped,
    describe_conflicts,
    describe_shares,
    describe_suspects,
    describe_unscored,
)
from synthfilter.core.progress import beat


def reporter(terminal: bool) -> tuple[Reporter, io.StringIO]:
    """Returns a reporter whose progress goes to a string."""
    shown = io.StringIO()
    made = Reporter()
    made._errors = Console(file=shown, force_terminal=terminal, width=120)
    return made, shown


def test_a_terminal_shows_a_bar_for_every_stage(tmp_path: Path) -> None:
    made, shown = reporter(terminal=True)
    with made.follow(str(tmp_path), {"open": 100, "score": 100}):
        beat(str(tmp_path), "open", 1, 100)
        beat(str(tmp_path), "score", 2, 50)
        beat(str(tmp_path), "write", 1, 10, total=4)
        time.sleep(0.5)
    for said in (
        "opening",
        "1 file",
        "scoring",
        "2 blocks",
        "writing",
        "1 of 4 shards",
    ):
        assert said in shown.getvalue()


def test_elsewhere_a_line_comes_at_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LINE_SECONDS", 0.1)
    made, shown = reporter(terminal=False)
    with made.follow(str(tmp_path), {"score": 100_000_000}):
        beat(str(tmp_path), "score", 2, 50_000_000)
        time.sleep(0.35)
    lines = shown.getvalue().splitlines()
    assert 1 <= len(lines) <= 4
    assert "scoring, 2 blocks, 50 MB" in lines[0]
    assert "s left" in lines[0]


def test_of_a_stage_of_unknown_size_no_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_LINE_SECONDS", 0.1)
    made, shown = reporter(terminal=False)
    with made.follow(str(tmp_path), {}):
        beat(str(tmp_path), "compare", 2, 50_000_000)
        time.sleep(0.15)
    (line, *_) = shown.getvalue().splitlines()
    assert "comparing, 2 blocks, 50 MB" in line
    assert line.endswith("MB/s")


def test_names_in_a_line_are_no_markup_and_no_pictures(
    capsys: pytest.CaptureFixture,
) -> None:
    Reporter().say("a :smile: and [red] b")
    assert capsys.readouterr().out == "a :smile: and [red] b\n"


def test_a_quiet_reporter_prints_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    quiet = Reporter(quiet=True)
    with quiet.follow(str(tmp_path), {"open": 1}):
        beat(str(tmp_path), "open", 1, 1)
        time.sleep(0.3)
    quiet.say("something")
    assert capsys.readouterr() == ("", "")


def test_an_error_in_the_build_ends_the_progress_and_comes_through(
    tmp_path: Path,
) -> None:
    made, _ = reporter(terminal=True)
    with pytest.raises(RuntimeError, match="broken"):
        with made.follow(str(tmp_path), {}):
            raise RuntimeError("broken")


def test_how_much_has_no_score_is_said_by_declared_origin() -> None:
    unscored = {
        "human": {"docs": 1200, "of": 48000, "share": 0.025},
        "synthetic": {"docs": 0, "of": 3, "share": 0.0},
        "unknown": {"docs": 0, "of": 0, "share": None},
    }
    assert describe_unscored(unscored) == [
        "without a score: 1,200 of 48,000 human (2.5%), 0 of 3 synthetic (0.0%)"
    ]
    assert describe_unscored({}) == []


def test_documents_that_were_not_compared_with_all_are_told() -> None:
    sought = {"bands": 18, "rows": 6, "not_compared_with_all": 1234}
    (said,) = describe_capped(sought)
    assert said.startswith("near copies: 1,234 documents not compared with all cand")
    assert describe_capped({**sought, "not_compared_with_all": 0}) == []
    assert describe_capped(None) == []


def test_an_inspection_shows_how_likely_near_copies_were_found(
    capsys: pytest.CaptureFixture,
) -> None:
    options = {"near_duplicates": 0.8, "shingle_words": 5}
    sought = {"bands": 18, "rows": 6, "not_compared_with_all": 0}
    Reporter().show_near_copies({"options": options, "near_copies": sought})
    said, *table = capsys.readouterr().out.splitlines()
    assert said == (
        "near copies: from similarity 0.8 on, of runs of 5 words; found by 18 bands "
        "of 6 rows"
    )
    head, found = (line.split() for line in table if line.strip(" ─"))
    assert head == "similarity 0.5 0.6 0.7 0.75 0.8 0.85 0.9 0.95".split()
    shares = [float(share.rstrip("%")) for share in found[2:]]
    assert shares == sorted(shares)
    assert (shares[0], shares[4]) == (24.7, 99.6)
    Reporter().show_near_copies({"options": {}, "near_copies": None})
    Reporter().show_near_copies({"options": {}})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"synthetic_fraction": 0.3}, "asked 30.00%, counted 25.00%"),
        ({"max_synthetic_fraction": 0.4}, "asked at most 40.00%, counted 25.00%"),
        ({}, "no share asked for, counted 25.00%"),
    ],
)
def test_shares_are_said_as_they_were_asked(asked: dict, said: str) -> None:
    amounts = {"human": 3, "synthetic": 1, "synthetic_fraction": 0.25}
    shares = {
        "unit": "words",
        "synthetic_fraction": None,
        "max_synthetic_fraction": None,
        "target_size": 9,
        "limited_by": "target_size",
        "got": {"docs": amounts, "bytes": amounts, "words": amounts},
        **asked,
    }
    lines = describe_shares(shares)
    assert said in lines[0]
    assert lines[1:] == ["size: asked 9 words, got 4", "limited by target_size"]
    likely = {"estimated": 0.3, "low": 0.2, "high": 0.55, "confidence": 0.9}
    first, second, *_ = describe_shares({**shares, **likely})
    estimate = "estimated 30.00% (90% interval 20.00% to 55.00%)"
    assert first.endswith(f"{said.partition(', ')[0]}, {estimate}")
    assert second == "counted as synthetic: 25.00% (25.00% of docs, 25.00% of bytes)"


def test_prevalence_is_shown_by_group_and_for_all(
    capsys: pytest.CaptureFixture,
) -> None:
    share = {"docs": 1200, "estimate": 0.1, "low": 0.0, "high": 0.25}
    groups = [{"group": "unknown: [red]forum", **share}]
    known = {"human": 0, "synthetic": 2300}
    found = {"confidence": 0.9, "groups": groups, "em": 0.2, "known": known, **share}
    Reporter().show_prevalence({"prevalence": found})
    printed = capsys.readouterr().out
    assert "with 90% intervals" in printed
    for name in ("unknown: [red]forum", "all"):
        (line,) = [row for row in printed.splitlines() if row.strip().startswith(name)]
        assert line.split()[-4:] == ["1,200", "10.0%", "0.0%", "25.0%"]
    said = " ".join(printed.split())
    assert "took part: 0 known to be human, 2,300 known to be synthetic." in said
    assert "text of another kind can hide outside them." in said
    Reporter().show_prevalence({"prevalence": None})
    Reporter().show_prevalence({})
    assert capsys.readouterr().out == ""


def test_what_went_to_hold_a_share_is_said_with_what_keeps_it() -> None:
    (said,) = describe_suspects({"suspect": 1234, "mixture": 5})
    assert ": 1,234 of the most suspect documents are out" in said
    assert said.endswith("--on-hidden keep")
    assert describe_suspects({"suspect": 0, "mixture": 5}) == []


def test_conflicts_are_said_in_one_line() -> None:
    assert describe_conflicts([]) == []
    rows = [
        {"decided": "date=human", "against": "detector=synthetic", "docs": 1200},
        {"decided": "url=human", "against": "producer=synthetic", "docs": 1},
    ]
    assert describe_conflicts(rows) == [
        "evidence of origin that disagrees: 1,200 date=human, not detector=synthetic; "
        "1 url=human, not producer=synthetic"
    ]
