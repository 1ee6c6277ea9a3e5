"""The page of a build in a real browser: it is read, searched and printed; no more."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from synthfilter.insight.report_page import report_page

LISTEN = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
HOSTILE = [
    "<script>document.title = 'gone'</script>",
    '" onmouseover="alert(1)',
    "</style><img src=https://example.org/x.png onerror=alert(1)>",
    "\u202etxet\u202c\x00\u2028",
    "x" * 10_000,
    "javascript:alert(1)",
    "日本語の長い名前のソースです",
]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips the test, with the reason, where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    named = os.environ.get("SYNTHFILTER_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(
            f"no {' or '.join(names)} on this machine; install one, or name one in "
            "SYNTHFILTER_CHROMIUM"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(make_report: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pages of a small build, and of a large and hostile one."""
    folder = tmp_path_factory.mktemp("pages")
    small = make_report(4659, sources=12, samples=2)
    large = make_report(10_000_000, sources=200, samples=20, names=HOSTILE)
    for name, report in (("small", small), ("large", large)):
        (folder / f"{name}.html").write_text(report_page(report), encoding="utf-8")
    return folder


@pytest.fixture
def open_page(browser: Browser, pages: Path) -> Iterator[Open]:
    """Opens a page in a browser profile of its own; nothing may go wrong on it."""
    contexts, opened, wrong = [], [], []

    def open_page(name: str, width: int = 1280, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, **options
        )
        context.add_init_script(LISTEN)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((pages / f"{name}.html").as_uri())
        opened.append(page)
        return page

    asked: list[str] = []
    yield open_page
    for page in opened:
        wrong += page.evaluate("window.refused || []")
    assert wrong == []
    assert [url for url in asked if not url.startswith(pages.as_uri())] == []
    for context in contexts:
        context.close()


def test_hostile_names_are_text(open_page: Open) -> None:
    page = open_page("large")
    assert page.title() == "Build 18a71962aadbc34f"
    assert page.locator("script").count() == 1
    assert page.locator("img, image, iframe, foreignObject, object").count() == 0
    acting = page.evaluate(
        """() => [...document.querySelectorAll("*")].flatMap((one) =>
          [...one.attributes].map((found) => found.name)
          .filter((name) => name.startsWith("on") || name === "style"))"""
    )
    assert acting == []
    page.hover("#samples-table tbody tr:nth-child(2) td")
    first = page.locator("#samples-table tbody tr").first
    expect(first).to_contain_text(HOSTILE[0])


def test_ids_are_unique_and_links_lead_somewhere(open_page: Open) -> None:
    page = open_page("small")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    links = page.evaluate(
        "[...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))"
    )
    assert len(links) > 15
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_samples_are_searched_from_the_keyboard(open_page: Open) -> None:
    page = open_page("small")
    shown = page.locator("#samples-table tbody tr:visible")
    expect(page.locator("#found")).to_have_text("36 of 36 samples")
    page.locator("#search").focus()
    page.keyboard.type("VILLAGE near")
    expect(page.locator("#found")).to_have_text("1 of 36 samples")
    expect(shown).to_contain_text(["village-news-near_copy-1"])
    page.keyboard.press("Tab")
    page.keyboard.type("mix")
    expect(page.locator("#reason")).to_have_value("17")
    expect(page.locator("#found")).to_have_text("0 of 36 samples")
    page.locator("#search").fill("")
    expect(page.locator("#found")).to_have_text("2 of 36 samples")
    expect(shown).to_have_count(2)


def test_without_its_script_the_page_has_everything(open_page: Open) -> None:
    page = open_page("small", java_script_enabled=False)
    expect(page.locator("#tools")).to_be_hidden()
    expect(page.locator("#samples-table")).to_be_hidden()
    page.locator("#all-samples summary").click()
    expect(page.locator("#samples-table tbody tr:visible")).to_have_count(36)


@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_hangs_over(open_page: Open, name: str, width: int) -> None:
    page = open_page(name, width)
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.evaluate(
            "for (const one of document.querySelectorAll('details')) one.open = true"
        )
    over = page.evaluate(
        """() => [...document.querySelectorAll("svg")].flatMap((chart) => {
          const box = chart.getBoundingClientRect();
          return [...chart.querySelectorAll("text")].filter((one) => {
            const mine = one.getBoundingClientRect();
            return mine.left < box.left - 3 || mine.right > box.right + 3
              || mine.bottom > box.bottom + 3;
          }).map((one) => one.textContent);
        })"""
    )
    assert over == []


def test_on_a_phone_charts_can_be_read(open_page: Open) -> None:
    page = open_page("small", 390)
    heights = page.evaluate(
        """[...document.querySelectorAll("svg text")].filter((one) => one.textContent)
          .map((one) => parseFloat(getComputedStyle(one).fontSize)
            * one.getScreenCTM().a)"""
    )
    assert len(heights) > 50
    assert min(heights) >= 10


def test_charts_take_the_colours_of_the_theme(open_page: Open) -> None:
    found = {}
    for theme in ("light", "dark"):
        page = open_page("small", color_scheme=theme)
        found[theme] = page.evaluate(
            """() => ["ground", "human", "ink"].map((name, i) => getComputedStyle(i
              ? document.querySelector(`[fill="var(--${name})"]`) : document.body)
              [i ? "fill" : "backgroundColor"])"""
        )
    white, blue, black = "rgb(255, 255, 255)", "rgb(42, 120, 214)", "rgb(31, 35, 40)"
    assert found["light"] == [white, blue, black]
    black, blue, white = "rgb(20, 22, 26)", "rgb(90, 156, 240)", "rgb(230, 232, 235)"
    assert found["dark"] == [black, blue, white]


def test_on_paper_everything_is_open_and_black_on_white(open_page: Open) -> None:
    page = open_page("small", color_scheme="dark")
    options = page.locator("#build details table").first
    expect(options).to_be_hidden()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    expect(page.locator("#tools")).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(options).to_be_visible()
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 10


def test_those_who_do_not_see_it_find_their_way(open_page: Open) -> None:
    page = open_page("small")
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3')].map((one) => +one.tagName[1])"
    )
    assert levels[0] == 1
    assert max(b - a for a, b in itertools.pairwise(levels)) <= 1
    images = page.get_by_role("img")
    assert images.count() == page.locator("svg").count() == 17
    for i in range(17):
        label = images.nth(i).get_attribute("aria-label")
        assert label and len(label) > 20
        assert label == page.locator("figcaption").nth(i).inner_text()
    # Cells know what they are cells of.
    assert page.locator("tbody tr > :first-child:not(th[scope=row])").count() == 0
    assert page.locator("thead th:not([scope=col])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    page.get_by_label("Search").fill("x")
    assert page.get_by_role("status").inner_text().endswith("of 36 samples")
