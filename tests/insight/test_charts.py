"""Charts are one inline image each: inert, in the colours of the page, ids apart."""

import re
import sys
from typing import Any

import pytest

from synthfilter.core.errors import UserError
from synthfilter.insight.charts import WIDTH, charts_available, draw
from synthfilter.insight.parts import short_names
from synthfilter.insight.report_charts import stacked_bars

HOSTILE = ["<script>alert(1)</script>", '" onload="alert(1)', "url(#clip0)", "a\x00b"]


def clipped(values: list[int]) -> dict[str, Any]:
    """A chart that cuts its marks off, which takes an id."""
    return {
        "width": 100,
        "height": 50,
        "data": {"values": [{"a": value} for value in values]},
        "mark": {"type": "line", "clip": True},
        "encoding": {
            "x": {"field": "a", "type": "quantitative"},
            "y": {"field": "a", "type": "quantitative"},
        },
    }


def test_a_chart_is_inert_and_takes_the_colours_of_the_page() -> None:
    names = [(name, {"human": 3, "out": 1}) for name in HOSTILE]
    svg = draw(stacked_bars(names, "documents"), 'says "<b>"')
    assert svg.startswith('<svg viewBox="0 0 ')
    assert 'role="img" aria-label="says &quot;&lt;b&gt;&quot;">' in svg
    for part in ("style=", "<script", "href", "<image", "<foreignObject", "<style"):
        assert part not in svg
    assert not re.search(r"<[^>]* on\w+=", svg)
    assert 'fill="var(--human)"' in svg
    assert not re.search(r'(?:fill|stroke)="(?!var|none|transparent)', svg)


def test_charts_are_about_as_wide_whatever_their_names() -> None:
    for name in ("a", "w" * 300):
        svg = draw(stacked_bars([(name, {"human": 3})], "documents"), "")
        width = float(re.findall(r'viewBox="0 0 (\S+)', svg)[0])
        assert abs(width - WIDTH) < 40


def test_ids_of_charts_on_one_page_do_not_clash() -> None:
    page = draw(clipped([1, 2]), "") + draw(clipped([1, 3]), "")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 2
    assert set(re.findall(r"url\(#([^)]+)\)", page)) == set(ids)


def test_names_are_short_and_stay_apart() -> None:
    names = short_names(["x" * 100, "x" * 101, "same", "same", None, "日" * 30])
    assert len(set(names)) == 6
    assert max(map(len, names)) <= 21
    assert len(names[-1]) <= 11  # each of them is two wide


def test_without_the_package_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert charts_available()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert not charts_available()
    with pytest.raises(UserError, match=r"pip install 'synthfilter\[report\]'"):
        draw(clipped([1]), "")
