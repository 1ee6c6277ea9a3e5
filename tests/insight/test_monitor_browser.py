"""The page of a trend in a real browser: nothing blocked, nothing hanging over."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from synthfilter.insight.monitor import measure_trend
from synthfilter.insight.monitor_page import monitor_page
from synthfilter.insight.monitor_series import SERIES

Make = Callable[..., list[dict[str, Any]]]
HOSTILE = "<img src=x onerror=\"document.title = 'gone'\"></td>\u202e&amp;"
# What turns text around is replaced.
SHOWN = HOSTILE.replace("\u202e", "\ufffd")


@pytest.fixture
def page_of_a_drift(make_reports: Make, tmp_path: Path) -> str:
    """The address of a page of 20 builds with hostile names and one alarm."""
    reports = make_reports(
        20,
        {
            "build_id": lambda place: f"{place:02}{HOSTILE}",
            "shares.estimated": lambda place: 0.3 + 0.01 * max(0, place - 13),
        },
    )
    for report in reports[8:]:
        report["detector"] |= {"name": HOSTILE, "sha256": "bb"}
    trend = measure_trend([(f"{i}", report) for i, report in enumerate(reports)])
    path = tmp_path / "trend.html"
    page = monitor_page(trend, ["novelty<0.9: it is 0.5"], latest=20, charts=True)
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


def test_it_shows_charts_tables_and_alarms_at_any_width(
    browser: Browser, listen: str, page_of_a_drift: str
) -> None:
    wrong: list[str] = []

    def note(event: Any) -> None:
        wrong.append(str(event))

    for width, scheme in ((1280, "light"), (390, "dark")):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        context.add_init_script(listen)
        page: Page = context.new_page()
        page.on("pageerror", note)
        page.on("console", note)
        page.goto(page_of_a_drift)
        assert page.title() == "Trend of 20 builds"
        expect(page.locator("section")).to_have_count(len(SERIES))
        expect(page.locator("section.alarm h2")).to_have_text("True synthetic share")
        expect(
            page.locator("li", has_text="true_share: rose from 30.00%")
        ).to_be_visible()
        expect(page.locator("li", has_text="novelty<0.9: it is 0.5")).to_be_visible()
        expect(page.locator("li", has_text="another detector")).to_contain_text(SHOWN)
        charts = page.locator("section :is(img, svg)").first
        expect(charts).to_be_visible()
        assert charts.evaluate("(found) => found.getBoundingClientRect().width") > 200
        section = page.locator("#true_share")
        expect(section.locator("table")).to_be_hidden()
        section.locator("summary").click()
        expect(section.locator("table")).to_be_visible()
        expect(section.locator("tbody tr")).to_have_count(20)
        last = section.locator("tbody tr").last
        expect(last.locator("td").nth(2)).to_have_text("36.00%")
        expect(last.locator("td.id")).to_have_text(f"19{SHOWN}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("script, img[src=x], iframe").count() == 0
        wrong += page.evaluate("window.refused")
        context.close()
    assert wrong == []


def test_the_policy_would_refuse_what_got_in(
    browser: Browser, listen: str, page_of_a_drift: str
) -> None:
    with browser.new_context() as context:
        context.add_init_script(listen)
        page = context.new_page()
        page.goto(page_of_a_drift)
        title, refused = page.evaluate(
            """async () => {
              const image = document.createElement("img");
              image.src = "https://example.org/x.png";
              const script = document.createElement("script");
              let trusted = "";
              try { script.textContent = "document.title = 'gone'"; }
              catch (error) { trusted = String(error); }
              document.body.append(image, script);
              await new Promise((done) => setTimeout(done, 100));
              return [document.title, [...window.refused, trusted].join("; ")];
            }"""
        )
    assert title == "Trend of 20 builds"
    assert "img-src https://example.org" in refused
    assert "TrustedScript" in refused
