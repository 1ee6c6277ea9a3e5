"""Measuring a detector: the figures, the files and what is refused."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.cli import main
from synthfilter.detection.figures import (
    find_thresholds,
    group_rows,
    measure_group,
    rate_name,
    roc_points,
    thresholds_by_length,
    wilson_interval,
)
from synthfilter.detection.lengths import Threshold

NASTY = "<script>alert(1)</script> & \"q\" 'p' \x1b[31m"


class CountsAi:
    """Scores the share of words that are `ai`; nothing of empty text."""

    name = "counts ai"
    threshold = 0.5

    def score(self, column: pa.Array) -> np.ndarray:
        words = [text.split() for text in column.to_pylist()]
        return np.array([np.mean([w == "ai" for w in ws] or [np.nan]) for ws in words])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled files in the working folder, and the detector as a module."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    write("data.parquet")
    return tmp_path


DETECTOR = ["--detector", "test_evaluate:CountsAi"]


def text_of(share: float, words: int) -> str:
    machine = round(share * words)
    return " ".join(["ai"] * machine + ["we"] * (words - machine))


def write(path: str, **columns: list) -> None:
    """120 human documents that score below 0.4 and as many others, above 0.3."""
    lengths = [20, 60, 150, 250, 500]
    rows = [
        {
            "text": text_of((i % 10) / 25 + 0.3 * machine, lengths[i % 5]),
            "label": "synthetic" if machine else "human",
            "source": ["news", NASTY][i % 2],
            "domain": ["x", "y", "z"][i % 3],
            "generator": ["m1", "m2"][i % 2] if machine else None,
        }
        for machine in (False, True)
        for i in range(120)
    ]
    table = pa.Table.from_pylist(rows)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, [values])
    pq.write_table(table, path)


def run(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as stopped:
        return int(stopped.code or 0)


def test_an_interval_is_wilsons() -> None:
    low, high = wilson_interval(5, 100)
    assert (low, high) == pytest.approx((0.02154, 0.11175), abs=1e-5)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 50)[0] == 0.0
    assert wilson_interval(50, 50)[1] == 1.0


def test_a_rate_is_measured_only_on_enough_human_documents() -> None:
    scores = np.arange(100, dtype=np.float32) / 100
    assert list(find_thresholds(scores)) == [0.05, 0.01]
    assert list(find_thresholds(scores[:19])) == []
    assert list(find_thresholds(scores, needed=5)) == [0.05]
    assert list(find_thresholds(scores, 2, [0.2, 0.02, 0.01])) == [0.2, 0.02]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 60, 120, 250, 900]))),
    st.sampled_from([0.5, 0.3, 0.1, 0.04]),
)
def test_thresholds_by_length_keep_the_rate_in_every_band(documents, fpr) -> None:
    score, words = np.array(documents, int).reshape(-1, 2).T
    score = (score / 10).astype(np.float32)
    bands = thresholds_by_length(score, words, fpr, needed=2)
    if len(score) < 2 / fpr:
        assert bands == {}
        return
    assert next(iter(bands)) == 0
    threshold = Threshold.by_length(0.0, bands, "")
    flagged = score >= threshold.of(words)
    assert flagged.mean() <= fpr
    for start, stop in pairwise([*bands, 10**6]):
        inside = (words >= start) & (words < stop)
        assert inside.sum() >= 2 / fpr
        assert flagged[inside].mean() <= fpr


def test_rates_that_differ_have_different_names() -> None:
    assert [rate_name(fpr) for fpr in (0.05, 0.01, np.float64(0.001))] == [
        "0.05",
        "0.01",
        "0.001",
    ]
    assert rate_name(0.0123456) != rate_name(0.01234561)


def test_a_group_of_one_class_has_the_rate_of_that_class_alone() -> None:
    group = measure_group(np.zeros(0), np.array([0.2, 0.9]), {0.05: 0.5})
    assert group["auroc"] is None
    assert group["at"]["0.05"]["fpr"] is None
    assert group["at"]["0.05"]["tpr"]["rate"] == 0.5
    assert group["at_own"] == {}


def test_of_many_groups_the_largest_have_names() -> None:
    values = np.array([*"aaabbc", None, *"ddddef"], object)
    found = group_rows(values, most=3)
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "a": [0, 1, 2],
        "b": [3, 4],
        "d": [7, 8, 9, 10],
        "(3 others)": [5, 11, 12],
    }
    assert group_rows(np.array([None, None], object)) == {}


def test_a_roc_curve_rises_from_nothing_to_everything() -> None:
    random = np.random.default_rng(1)
    false, true = roc_points(random.random(5000), random.random(5000) ** 0.5)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert (np.diff(false) >= 0).all()
    assert (np.diff(true) >= 0).all()
    assert len(false) <= 402


def test_evaluate_prints_and_writes_all_figures(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    asked = ["--data", "data.parquet", *DETECTOR, "--json", "out.json"]
    assert run("evaluate", *asked) == 0
    printed = capsys.readouterr().out
    for said in ("counts ai", "240 documents scored", "by generator", "under 50", "m2"):
        assert said in printed
    assert "\x1b" not in printed
    found = json.loads(Path("out.json").read_text())
    assert found["all"]["human"] == found["all"]["synthetic"] == 120
    assert 0.5 < found["all"]["auroc"] < 1
    at = found["all"]["at"]
    assert list(at) == ["0.05", "0.01"]  # 120 documents say nothing about 0.1%
    assert at["0.01"]["fpr"]["rate"] <= 0.01 < at["0.01"]["fpr"]["high"]
    by = found["by"]
    assert set(by) == {"source", "domain", "generator", "length in words"}
    assert sum(group["human"] for group in by["domain"].values()) == 120
    assert {group["human"] for group in by["generator"].values()} == {120}
    assert [group["synthetic"] for group in by["length in words"].values()] == [24] * 5
    assert found["at_default_threshold"]["fpr"]["rate"] == 0


def test_the_page_stands_alone_and_escapes_every_name(here: Path) -> None:
    asked = ["--data", "data.parquet", *DETECTOR, "--html", "out.html", "--quiet"]
    assert run("evaluate", *asked) == 0
    page = Path("out.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "default-src 'none'" in page
    assert page.count('<svg viewBox="') == page.count('role="img"') == 3
    assert "prefers-color-scheme: dark" in page
    assert 'stroke="var(--series-1)"' in page
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "unsafe" not in page
    assert not re.search(r"""(src|href|srcset|style)=["']""", page)


def test_the_page_says_what_to_install(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    assert run("evaluate", "--data", "data.parquet", "--html", "out.html") == 2
    error = capsys.readouterr().err
    assert "pip install 'synthfilter[report]'" in error
    assert error.count("\n") == 1


def test_json_lines_and_other_column_names_do_as_well(here: Path) -> None:
    rows = [
        json.dumps({"body": text_of(i % 2, 30), "class": i % 2, "model": "m"})
        for i in range(60)
    ]
    Path("data.jsonl").write_text("\n".join([*rows, "{broken"]))
    names = ["--fields", "text=body", "--label-column", "class"]
    asked = ["--data", "data.jsonl", *DETECTOR, *names, "--json", "out.json"]
    assert run("evaluate", *asked) == 0
    found = json.loads(Path("out.json").read_text())
    assert found["documents"] == {"scored": 60, "without_score": 0, "unreadable": 1}
    assert found["all"]["auroc"] == 1


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({}, ["--label-column", "cls"], "no column 'cls' with the labels; found text,"),
        ({"label": ["human"] * 239 + ["robot"]}, [], "got 'robot'"),
        ({"label": ["human"] * 239 + [None]}, [], "got ''"),
        ({"label": ["human"] * 240}, [], "got 240 human ones and no others"),
        ({"text": [""] * 240}, [], "found none with text"),
        ({}, ["--fields", "text=nope"], "no column 'nope' for 'text'"),
        ({}, ["--json", "data.parquet"], "exists; name a new file"),
        ({}, ["--json", "a", "--html", "a"], "both name 'a'"),
    ],
)
def test_wrong_data_is_one_line_and_exit_code_2(
    here: Path,
    capsys: pytest.CaptureFixture,
    columns: dict,
    arguments: list[str],
    message: str,
) -> None:
    write("data.parquet", **columns)
    assert run("evaluate", "--data", "data.parquet", *DETECTOR, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_no_data_at_all_is_said(here: Path, capsys: pytest.CaptureFixture) -> None:
    empty = pa.table({"text": pa.array([], pa.string()), "label": pa.array([], "str")})
    pq.write_table(empty, "empty.parquet")
    assert run("evaluate", "--data", "empty.parquet") == 2
    assert "found none with text" in capsys.readouterr().err
    assert run("evaluate", "--data", "no/*.parquet") == 2
    assert "no file matches" in capsys.readouterr().err
    assert run("evaluate") == 2
    assert "missing --data" in capsys.readouterr().err
