"""The page of a build as a file: every figure in it, and nothing that can act."""

import copy
import html
import re
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthfilter.insight.parts import read_part
from synthfilter.insight.report_page import report_page

HOSTILE = [
    "<script>document.title='gone'</script>",
    '" onmouseover="alert(1)',
    "</style><img src=x onerror=alert(1)>",
    "\u202etxet\u202c\x00\u2028",
    "x" * 10_000,
    "javascript:alert(1)",
    "日本語の長い名前のソースです",
]
# No documents, and not for people.
NOT_SHOWN = {"report_version", "sketches", "edges"}


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the package away that draws charts."""
    monkeypatch.setitem(sys.modules, "vl_convert", None)


def numbers_in(part: Any) -> Iterator[float]:
    """Every number of a report that people may see."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name not in NOT_SHOWN:
                yield from numbers_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from numbers_in(value)
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield part


def forms(number: float) -> set[str]:
    """How a number may be written."""
    percent = {f"{number:.{digits}%}" for digits in (0, 1, 2)}
    plain = {f"{number:,.{digits}f}" for digits in (1, 2, 4)}
    return percent | plain | {f"{number:,}", f"{number:g}"}


def text_of(page: str) -> str:
    """What stands in a page besides its charts, style and script."""
    page = re.sub(r"<(svg|style|script)\b.*?</\1>", " ", page, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


def test_every_number_is_in_a_table_too(make_report: Any) -> None:
    report = make_report(4659, sources=12)
    written = set(re.findall(r"[\d,.]*\d%?", text_of(report_page(report))))
    missing = {n for n in numbers_in(report) if not forms(n) & written}
    assert not missing
    assert len(set(numbers_in(report))) > 250


def test_without_charts_the_page_is_whole(make_report: Any, no_charts: None) -> None:
    report = make_report(4659, sources=12)
    page = report_page(report)
    assert "<svg" not in page
    text = text_of(page)
    assert "pip install 'synthfilter[report]' , then" in text
    assert "synthfilter report OUT" in text
    written = set(re.findall(r"[\d,.]*\d%?", text))
    assert not {n for n in numbers_in(report) if not forms(n) & written}
    # Tables that stand for a chart are open; others wait to be asked for.
    assert "<details open><summary>Documents by source" in page
    assert "<details><summary>Options" in page


def test_the_page_has_charts_and_what_each_shows(make_report: Any) -> None:
    page = report_page(make_report(4659, sources=12))
    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', page)
    assert len(labels) == page.count("<svg") == 17
    assert labels[:2] == [
        "3,338 of 4,657 documents kept; the reason that took most is mixture, 893",
        "Estimated 23.32% synthetic, 14.32% to 35.32%; counted 17.32%; asked 30.00%",
    ]
    assert "synthfilter[report]" not in page


@pytest.mark.parametrize("documents", [0, 1, 100])
def test_small_builds_have_pages(make_report: Any, documents: int) -> None:
    page = report_page(make_report(documents))
    assert page.count("<h1") == 1
    assert page.endswith("</html>\n")


def test_the_page_of_ten_million_documents_stays_small(make_report: Any) -> None:
    report = make_report(10_000_000, sources=200, samples=20, names=HOSTILE)
    report["inputs"] *= 2000
    report["dead_letters"] *= 2000
    report["ledger_hits"] *= 2000
    report["nearly_wiped"] *= 2000
    page = report_page(report)
    assert len(page.encode()) < 1_000_000
    assert "10,000 documents" not in page
    assert "the first 200 of 10,000; all in report.json" in page
    assert page.count("<tr data-reason=") == 360


def test_names_can_do_nothing(make_report: Any) -> None:
    report = make_report(4659, sources=9, samples=7, names=HOSTILE)
    report["build_id"] = report["synthfilter_version"] = HOSTILE[0]
    report["shares"]["limited_by"] = HOSTILE[2]
    report["shares"]["groups"] = {HOSTILE[1]: {"asked": 0.5}}
    report["diversity"]["caveats"] = HOSTILE
    report["run"]["stages"][0]["stage"] = HOSTILE[1]
    report["run"]["started"] = HOSTILE[2]
    flows = report["books"]["by_declared_origin"]
    flows[HOSTILE[1]] = {HOSTILE[0]: {HOSTILE[2]: {"docs": 1, "bytes": 1, "words": 1}}}
    scores = report["scores"]["by_declared"]
    scores[HOSTILE[1]] = scores["core"]
    page = report_page(report)
    assert page.count("<script") == 1
    assert page.count("</style>") == 1
    assert "<img" not in page
    for tag in re.findall(r"<[^>]*>", page):
        assert not re.search(r'\son\w+="|\sstyle="|javascript:', tag)
    assert not re.findall(r'(?:src|href)="(?!#[a-z-]+")', page)
    assert not re.findall("[\x00\u2028\u202a-\u202e\u2066-\u2069]", page)
    assert "x" * 401 not in page


@settings(max_examples=15, suppress_health_check=[*HealthCheck])
@given(names=st.lists(st.text(max_size=30), min_size=5, max_size=5))
def test_any_name_is_only_text(make_report: Any, no_charts: None, names: list) -> None:
    def skeleton(page: str) -> list[str]:
        return re.findall(r"<[^>]*>", re.sub(r'aria-label="[^"]*"', "", page))

    plain = report_page(make_report(100, names=list("abcde")))
    made = report_page(make_report(100, names=names))
    assert skeleton(made) == skeleton(plain)


def test_what_is_missing_is_named_and_nothing_else(
    make_report: Any, no_charts: None
) -> None:
    report = make_report(4659, sources=12)
    page = report_page({"report_version": 1, "build_id": "b7"})
    assert "Build b7" in page
    assert "<svg" not in page
    assert "The report has no books." in page
    for name in report:
        for nothing in ({}, {name: None}):
            less = {key: part for key, part in report.items() if key != name}
            assert "</html>" in report_page({**less, **nothing})


def test_options_that_were_not_used_are_told_as_such(make_report: Any) -> None:
    report = make_report(4659, sources=0)
    report["clusters"]["largest"] = report["ledger_hits"] = []
    report["options"]["near_duplicates"] = None
    text = text_of(report_page(report))
    assert "No near copies were sought (--near-duplicates)." in text
    assert "no document names its source" in text.lower()
    assert "(--ledger, --max-uses)" in text


def test_what_went_wrong_comes_first(make_report: Any) -> None:
    report = make_report(4659, sources=12)
    canaries = report["detector"]["canaries"]
    canaries[0]["moved"] = True
    report["near_copies"]["not_compared_with_all"] = 17
    report["books"]["left_out"]["suspect"] = 1234
    page = report_page(report)
    found = re.findall(r"<li>(.*?)</li>", page[page.index("To look at first") :])[:8]
    assert [re.sub("<[^>]*>.*", "", line).strip() for line in found] == [
        "The share is missed: 30.00% of words asked for, 23.32% estimated.",
        "Too much may be hidden machine text: 1,234 of the most suspect documents are "
        "out, so that the share is held.",
        "Limited by synthetic text: 186796 words asked for, 122773 left.",
        "2 sources nearly wiped out: crawl (3 of 100 kept, near copy) and "
        "harbour-letters mirror (0 of 41 kept, exact copy).",
        "6 documents could not be read.",
        "17 documents not compared with all candidates; some near copies may be left.",
        "Without a score: 3 of 698 unknown (20.0%).",
        "The detector changed: letter no longer have the scores that they had.",
    ]


def test_a_build_without_faults_says_so(make_report: Any) -> None:
    report = make_report(4659, sources=12)
    report["shares"] |= {"synthetic_fraction": None, "asked": None, "limited_by": None}
    report["shares"]["max_synthetic_fraction"] = 0.3
    report["nearly_wiped"] = []
    report["books"]["dead_letters"] = 0
    report["detector"]["unscored"] = {}
    page = report_page(report)
    assert "Nothing needs your attention." in page
    # Less than a limit misses nothing; more does.
    report["shares"]["max_synthetic_fraction"] = 0.2
    assert "missed: at most 20.00% of words asked for, 23.32% estimated" in (
        report_page(report)
    )


def test_a_report_is_not_changed_by_its_page(make_report: Any, no_charts: None) -> None:
    report = make_report(100)
    before = copy.deepcopy(report)
    assert report_page(report) == report_page(report)
    assert report == before


def test_the_policy_allows_one_style_and_one_script(make_report: Any) -> None:
    page = report_page(make_report(100))
    policy = re.findall('Content-Security-Policy" content="(.*?)">', page)[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for part in ("base-uri 'none'", "form-action 'none'", "trusted-types 'none'"):
        assert part in policy
    assert not re.findall(r"https?://|@import", page.replace("http://www.w3.org", ""))
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert sink not in page


def colours(theme: str) -> dict[str, str]:
    """The variables of a theme in page.css, hexadecimal."""
    blocks = re.findall(r":root \{(.*?)\}", read_part("page.css"), re.S)
    block = blocks[("light", "dark", "print").index(theme)]
    found = dict(re.findall(r"--([\w-]+): #(\w+)", block))
    return {
        name: value if len(value) == 6 else "".join(2 * c for c in value)
        for name, value in found.items()
    }


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2 between two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
            for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_contrast_is_enough_to_read(theme: str) -> None:
    found = colours(theme)
    for text in ("ink", "soft", "accent"):
        for ground in ("ground", "paper"):
            assert contrast(found[text], found[ground]) >= 4.5
    for text in ("ink", "warn", "accent"):
        assert contrast(found[text], found["warn-ground"]) >= 4.5
    for drawn in ("human", "synthetic", "unknown", "core", "series-4", "series-5"):
        assert contrast(found[drawn], found["ground"]) >= 3


def shape_of(found: Any) -> dict[str, set[str]]:
    """The names in each part of a report that is a list of rows, and in the whole."""
    shapes = {"": set(found)}
    for name, value in found.items():
        inner = value if isinstance(value, dict) else {"": value}
        for key, rows in inner.items():
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                shapes[f"{name}.{key}"] = {each for row in rows for each in row}
    return shapes


def test_the_made_up_report_has_what_a_build_writes(
    make_report: Any, workshop: Any
) -> None:
    texts = [" ".join(f"w{i * j % 97}" for j in range(40)) for i in range(1, 60)]
    workshop.write("human/a", [*texts[:40], *texts[:30], ""], source=["x"] * 71)
    workshop.write("synthetic/b", texts[40:], generator=["m"] * 19)
    (workshop.path / "crawl.jsonl").write_text("{broken\n")
    options = {"ledger": str(workshop.path / "ledger"), "max_uses": 1}
    options["unknown"] = str(workshop.path / "crawl.jsonl")
    workshop.build(**options)
    workshop.build("next", seed=1, previous=str(workshop.path / "out"), **options)
    real = orjson.loads((workshop.path / "next/report.json").read_bytes())
    made = make_report(1000)
    shapes = shape_of(made), shape_of(real)
    assert shapes[0][""] == shapes[1][""]
    both = shapes[0].keys() & shapes[1].keys()
    assert {"sources.", "samples.", "clusters.largest", "dead_letters."} <= both
    assert {name: shapes[0][name] for name in both} == {
        name: shapes[1][name] for name in both
    }
    assert made["diversity"].keys() == real["diversity"].keys()
