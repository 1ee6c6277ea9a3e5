"""The samples of each reason: a table that people search."""

from collections.abc import Mapping
from typing import Any

from synthfilter.insight.parts import NOTHING, decimal, escape, name_of, prose, whole
from synthfilter.insight.report_parts import Report, in_order, reason_title, rows_of

_EXCERPT = 240


def samples_html(report: Report) -> str:
    """Returns the section; without its script it is a plain table in `<details>`."""
    samples = rows_of(report, "samples")
    heading = '<section class="card full" id="samples"><h2>Samples</h2>'
    if not samples:
        return f'{heading}<p class="look">The report has no samples.</p></section>\n'
    by_reason: dict[str, list[Mapping[str, Any]]] = {}
    for sample in samples:
        by_reason.setdefault(str(sample.get("reason")), []).append(sample)
    reasons = in_order(by_reason)
    options = "".join(
        f'<option value="{i}">{escape(name_of(reason_title(reason), 40))} '
        f"({len(by_reason[reason])})</option>"
        for i, reason in enumerate(reasons)
    )
    rows = "\n".join(
        _row(i, reason, sample)
        for i, reason in enumerate(reasons)
        for sample in by_reason[reason]
    )
    columns = ("reason", "document", "text", "why", "origin", "score", "words")
    head = "".join(f'<th scope="col"{_number(name)}>{name}</th>' for name in columns)
    return (
        f"{heading}\n"
        '<p class="look">A random sample of what was kept, and of each reason for '
        "leaving a document out. Read some before you trust a number.</p>\n"
        '<div class="tools" id="tools" hidden>\n'
        '<label>Search <input type="search" id="search" autocomplete="off" '
        'spellcheck="false"></label>\n'
        '<label>Reason <select id="reason"><option value="">all</option>'
        f"{options}</select></label>\n"
        '<output id="found" for="search reason" role="status"></output></div>\n'
        f'<details id="all-samples"><summary>{len(samples):,} samples</summary>\n'
        '<div class="wide tall" tabindex="0" role="group" aria-label="Samples">'
        '<table id="samples-table"><caption>Samples</caption>'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{rows}</tbody></table></div></details></section>\n"
    )


def _number(name: str) -> str:
    return ' class="n"' if name in ("score", "words") else ""


def _row(place: int, reason: str, sample: Mapping[str, Any]) -> str:
    facts = [sample.get("source"), sample.get("created")]
    beside = " · ".join(name_of(fact, 60) for fact in facts if fact is not None)
    excerpt = sample.get("excerpt")
    text = NOTHING if excerpt is None else prose(str(excerpt), _EXCERPT)
    return (
        f'<tr data-reason="{place}">'
        f'<th scope="row">{escape(name_of(reason_title(reason), 40))}</th>'
        f"<td><bdi>{escape(name_of(sample.get('id')))}</bdi>"
        f"<small>{escape(beside)}</small></td>"
        f'<td class="text" dir="auto">{escape(text)}</td>'
        f"<td>{escape(name_of(sample.get('evidence')))}</td>"
        f"<td>{escape(name_of(sample.get('origin'), 20))}</td>"
        f'<td class="n">{decimal(sample.get("score"))}</td>'
        f'<td class="n">{whole(sample.get("words"))}</td></tr>'
    )
