"""The page of a sweep: what it shows, and that nothing in it runs."""

from typing import Any

import pytest

from synthfilter.core.errors import UserError
from synthfilter.insight import sweep_page as sweep_page_module
from synthfilter.insight.sweep_page import charts, sweep_page

HOSTILE = "</td><script>document.title = 'gone'</script>&amp;"


def row(threshold: Any, near: float | None, own: bool = False, **more: Any) -> dict:
    """A row whose figures do not matter."""
    known = {"known_human": 50, "known_synthetic": 40, "unknown": 0}
    flagged = {"human_lost": 5, "synthetic_caught": 20, "unknown_flagged": 0}
    shares = {"declared": 0.2, "estimated": 0.3, "low": 0.1, "high": 0.5}
    setting = {"threshold": threshold, "near_duplicates": near, "own": own}
    found = {**known, **flagged, **shares, **setting, "kept_human": 40}
    return {**found, "refused": None, **more}


ROWS = [
    row(threshold, near, (threshold, near) == (0.5, 0.8))
    for threshold in (0.3, 0.5, 0.7)
    for near in (None, 0.8)
]
REFUSED = {"refused": HOSTILE, "kept_human": None, "declared": None}
REFUSED |= {"estimated": None, "low": None, "high": None}


def page(rows: list[dict]) -> str:
    cells = [[HOSTILE, "1"] for _ in rows]
    return sweep_page(HOSTILE, [HOSTILE], rows, ["a", HOSTILE], cells, [HOSTILE])


def of(spec: dict) -> list[str]:
    """The names of the lines of a chart."""
    return list(dict.fromkeys(point["of"] for point in spec["data"]["values"]))


def test_nothing_in_the_page_runs() -> None:
    found = page(ROWS)
    assert "<script" not in found
    assert "default-src 'none'" in found
    # Title, heading, line, column, six rows and a note.
    assert found.count("&lt;script&gt;") == 2 + 1 + 1 + 6 + 1
    assert found.count("<svg") == 3


def test_the_option_with_more_values_is_the_axis() -> None:
    flags, human, share = charts(ROWS).values()
    assert of(flags) == ["human lost", "synthetic caught"]
    assert of(human) == ["near copies from none", "near copies from 0.8"]
    assert human["layer"][0]["encoding"]["x"]["field"] == "threshold"
    assert "band: near copies from 0.8" in share["title"]
    rows = [row(0.5, near) for near in (0.7, 0.8, 0.9)]
    human, share = charts(rows).values()
    assert human["layer"][0]["encoding"]["x"]["field"] == "near copies from"
    assert of(human) == ["threshold 0.5"]


def test_a_share_without_an_estimate_is_the_counted_one() -> None:
    nothing = {"estimated": None, "low": None, "high": None}
    *_, share = charts([{**each, **nothing} for each in ROWS]).values()
    assert share["title"] == "Synthetic share, as counted"
    assert {point["share"] for point in share["data"]["values"]} == {0.2}


def test_thresholds_by_length_stand_where_those_of_long_documents_do() -> None:
    rows = [row({"0": 0.9, "50": 0.6}, None, True), row(0.2, None)]
    flags, *_ = charts(rows).values()
    assert {point["threshold"] for point in flags["data"]["values"]} == {0.6, 0.2}


@pytest.mark.parametrize(
    "rows",
    [
        [row(0.5, None, True)],
        [row(0.5, None, True, **REFUSED)],
        [row(0.3, None, **REFUSED), row(0.5, 0.8, True, **REFUSED)],
        [row(0.3, None, **REFUSED), row(0.5, 0.8, True)],
    ],
)
def test_settings_without_a_set_are_in_no_chart_of_sets(rows: list[dict]) -> None:
    assert not [name for name in charts(rows) if "set" in name.split(",")[0].split()]
    assert "<script" not in page(rows)


def test_without_the_package_for_charts_the_table_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*_: Any) -> str:
        raise UserError("charts need a package that is not installed")

    monkeypatch.setattr(sweep_page_module, "draw", missing)
    found = page(ROWS)
    assert "<p>charts need a package that is not installed</p>" in found
    assert '<div class="charts"></div>' in found
    assert found.count("<tr") == 7
