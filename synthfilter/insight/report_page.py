"""The page that a build writes about itself: report.json in, one HTML file out.

It needs no network and no server. Its one script searches the samples; without it, and
without charts, every figure is there.
"""

from collections.abc import Callable, Mapping, Sequence

from synthfilter.insight.charts import INSTALL, charts_available, draw
from synthfilter.insight.parts import escape, name_of, page_head, read_part, table
from synthfilter.insight.report_build import build_section, timing_section
from synthfilter.insight.report_charts import Chart
from synthfilter.insight.report_content import (
    ages_section,
    languages_section,
    lengths_section,
    sources_section,
    wiped_section,
)
from synthfilter.insight.report_decisions import (
    books_section,
    prevalence_section,
    scores_section,
    shares_section,
)
from synthfilter.insight.report_diversity import diversity_section
from synthfilter.insight.report_headline import (
    Tile,
    Warned,
    build_line,
    tiles,
    warnings,
)
from synthfilter.insight.report_losses import (
    conflicts_section,
    copies_section,
    dead_letters_section,
    ledger_section,
    mixture_section,
)
from synthfilter.insight.report_parts import Report, Section, Table
from synthfilter.insight.report_samples import samples_html

# In the order of the page.
_SECTIONS: tuple[Callable[[Report], Section], ...] = (
    books_section,
    shares_section,
    mixture_section,
    scores_section,
    prevalence_section,
    sources_section,
    copies_section,
    ages_section,
    lengths_section,
    languages_section,
    ledger_section,
    diversity_section,
    wiped_section,
    conflicts_section,
    dead_letters_section,
    timing_section,
    build_section,
)
# They have the whole width; so has one that would stand alone beside nothing.
_FULL = ("books", "scores", "copies", "diversity", "build")
# A table with more rows than the chart beside it is folded.
_FITS_BESIDE = 14


def report_page(report: Report) -> str:
    """Returns the page of a report; every name in it is escaped.

    Parts that the report lacks are named at the end. Charts are drawn if the extra
    `report` is installed; the figures of each are in a table, too.

    Args:
      report: report.json of a build.
    """
    drawn = charts_available()
    style = read_part("page.css") + read_part("report_page.css")
    script = read_part("report_page.js")
    build = name_of(report.get("build_id"), 40)
    sections = [make(report) for make in _SECTIONS]
    present = [section for section in sections if not section.absent]
    missing = [section for section in sections if section.absent]
    full = _full_ones([section.key for section in present])
    links = [(section.key, section.title) for section in present]
    parts = [
        page_head(f"Build {build}", style, script),
        "<body>",
        _header(build, build_line(report), links),
        "<main>",
        _warnings(warnings(report), dict(links)),
        _tiles(tiles(report)),
        "" if drawn else _no_charts(),
        '<div class="cards">',
        *(_section(section, drawn, section.key in full) for section in present),
        samples_html(report),
        _missing(missing),
        "</div></main>",
        f"<script>{script}</script>",
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _full_ones(keys: Sequence[str]) -> set[str]:
    """Returns the sections that have the whole width: no hole is left beside one."""
    full = {key for key in keys if key in _FULL}
    alone: list[str] = []
    for key in keys:
        if key in full:
            full.update(alone)
            alone = []
        else:
            alone = [] if alone else [key]
    full.update(alone)
    return full


def _header(build: str, line: str, links: Sequence[tuple[str, str]]) -> str:
    found = "".join(
        f'<li><a href="#{key}">{escape(title)}</a></li>'
        for key, title in [*links, ("samples", "Samples")]
    )
    return (
        f'<header><p class="kind">Training set</p><h1>Build {escape(build)}</h1>'
        f'<p class="look">{escape(line)}</p>'
        f'<nav aria-label="Sections"><ul>{found}</ul></nav></header>'
    )


def _warnings(found: Sequence[Warned], known: Mapping[str, str]) -> str:
    if not found:
        return '<p class="fine">Nothing needs your attention.</p>'
    items = "".join(
        f"<li>{escape(warned.text)}"
        + (
            f' <a href="#{warned.key}">{escape(known[warned.key])}</a>'
            if warned.key in known
            else ""
        )
        + "</li>"
        for warned in found
    )
    return (
        '<section class="warnings" aria-labelledby="warned">'
        f'<h2 id="warned">To look at first</h2><ul>{items}</ul></section>'
    )


def _tiles(found: Sequence[Tile]) -> str:
    items = "".join(
        f"<div><dt>{escape(tile.name)}</dt><dd><strong>{escape(tile.value)}</strong> "
        f"<span>{escape(tile.beside)}</span></dd></div>"
        for tile in found
    )
    return f'<dl class="tiles">{items}</dl>'


def _no_charts() -> str:
    return (
        f'<p class="fine">This page has no charts: <code>{escape(INSTALL)}</code>, '
        "then <code>synthfilter report OUT</code> draws them. Every figure is here.</p>"
    )


def _section(section: Section, drawn: bool, full: bool) -> str:
    charts = [_figure(chart) for chart in section.charts] if drawn else []
    shown = [found for found in section.tables if found.shown]
    folded = [found for found in section.tables if not found.shown]
    beside = full and len(charts) == 1
    kind = f"card{' full' * full}{' beside' * beside}"

    def is_open(found: Table) -> bool:
        fills = beside and not shown and len(found.rows) <= _FITS_BESIDE
        return fills or (not drawn and bool(section.charts))

    figures = f'<div class="charts">{"".join(charts)}</div>' if charts else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in section.notes)
    cautions = "".join(f"<li>{escape(said)}</li>" for said in section.cautions)
    if cautions:
        cautions = f'<h3>What misleads</h3><ul class="note">{cautions}</ul>'
    return (
        f'<section class="{kind}" id="{section.key}">'
        f"<h2>{escape(section.title)}</h2>"
        f'<p class="look">{escape(section.look)}</p>\n'
        f'<div class="body">{figures}<div class="figures">{notes}'
        f"{''.join(map(_table, shown))}"
        f"{''.join(_details(found, is_open(found)) for found in folded)}"
        f"</div></div>{cautions}</section>"
    )


def _figure(chart: Chart) -> str:
    legend = "".join(
        f'<li><i class="swatch {name}"></i>{escape(text)}</li>'
        for name, text in chart.legend
    )
    legend = f'<ul class="legend" aria-hidden="true">{legend}</ul>' if legend else ""
    drawing = draw(chart.spec, chart.finding)
    return (
        f'<figure><figcaption aria-hidden="true">{escape(chart.finding)}</figcaption>'
        f"{legend}{drawing}</figure>"
    )


def _table(found: Table) -> str:
    return table(found.columns, found.rows, found.caption)


def _details(found: Table, is_open: bool) -> str:
    state = " open" if is_open else ""
    return (
        f"<details{state}><summary>{escape(found.caption)}</summary>"
        f"{_table(found)}</details>"
    )


def _missing(sections: Sequence[Section]) -> str:
    if not sections:
        return ""
    items = "".join(
        f"<div><dt>{escape(section.title)}</dt><dd>{escape(section.look)}</dd></div>"
        for section in sections
    )
    return (
        '<section class="card full" id="absent"><h2>Not in this report</h2>'
        f'<dl class="absent">{items}</dl></section>'
    )
