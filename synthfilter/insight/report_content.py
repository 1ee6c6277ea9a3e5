"""The sections on what the text is: sources, ages, languages, lengths, diversity."""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from synthfilter.insight.parts import NOTHING, name_of, share, whole
from synthfilter.insight.report_charts import (
    Chart,
    columns_by_name,
    columns_by_place,
    stacked_bars,
)
from synthfilter.insight.report_parts import (
    HUMAN_OR_SYNTHETIC,
    MOST_ROWS,
    Report,
    Section,
    Table,
    absent,
    count,
    docs_of,
    limited,
    named,
    part,
    reason_title,
    rows_of,
    times,
)

_MOST_BARS = 20
_MOST_LANGUAGES = 12
# Months are added up to years where there are more of them.
_MOST_MONTHS = 120
_MOST_AGE_ROWS = 1200
_KEPT_OR_OUT = (*HUMAN_OR_SYNTHETIC, ("out", "left out"))


def _kept_bars(rows: Sequence[Mapping[str, Any]], name: str) -> list:
    """Returns bars of what is kept as human, as synthetic, and left out."""
    return [
        (
            named(row.get(name)),
            {
                "human": docs_of(row, "kept_human"),
                "synthetic": docs_of(row, "kept_synthetic"),
                "out": docs_of(row, "read") - docs_of(row, "kept"),
            },
        )
        for row in rows
    ]


def sources_section(report: Report) -> Section:
    """Returns what was read and kept of each source."""
    rows = rows_of(report, "sources")
    title = "Sources"
    if not rows:
        return absent(
            "sources", title, "No document names its source (--fields source=)."
        )
    shown, more = limited(rows, 201)
    kept, read = (sum(docs_of(row, name) for row in rows) for name in ("kept", "read"))
    counts = ("read", "kept", "kept_human", "kept_synthetic")
    lost = ("exact_copy", "near_copy", "mixture", "other")
    finding = (
        f"{name_of(rows[0].get('source'), 40)} is the largest of "
        f"{count(len(rows), 'source')}, "
        f"{share(times(docs_of(rows[0], 'kept'), kept), 1)} of the set"
    )
    return Section(
        "sources",
        title,
        "What was read and kept of each source, the largest first. Look for a source "
        "that fills the set, and for one of which little is left.",
        [
            Chart(
                stacked_bars(_kept_bars(rows[:_MOST_BARS], "source"), "documents read"),
                finding,
                _KEPT_OR_OUT,
            )
        ],
        [
            Table(
                f"Documents by source{more}; {whole(kept)} of {whole(read)} kept",
                [
                    "source",
                    "read",
                    "kept",
                    "kept share",
                    "as human",
                    "as synthetic",
                    "exact copies",
                    "near copies",
                    "mixture",
                    "other reasons",
                ],
                [
                    [
                        named(row.get("source")),
                        *(whole(docs_of(row, name)) for name in counts[:2]),
                        share(times(docs_of(row, "kept"), row.get("read")), 1),
                        *(whole(docs_of(row, name)) for name in (*counts[2:], *lost)),
                    ]
                    for row in shown
                ],
            )
        ],
    )


def wiped_section(report: Report) -> Section:
    """Returns the sources of which nearly nothing is left."""
    rows = rows_of(report, "nearly_wiped")
    title = "Sources nearly wiped out"
    if not rows:
        return absent(
            "wiped", title, "None: of each of 20 documents or more a tenth is left."
        )
    shown, more = limited(rows)
    return Section(
        "wiped",
        title,
        "Of these, less than a tenth is left; what only the mixture left out is not "
        "counted. Look at the reason: a mirror loses all to copies, another language "
        "to the detector.",
        tables=[
            Table(
                f"Documents by source{more}",
                ["source", "read", "kept", "most lost to"],
                [
                    [
                        named(row.get("source")),
                        whole(row.get("read")),
                        whole(row.get("kept")),
                        reason_title(name_of(row.get("most"))),
                    ]
                    for row in shown
                ],
                shown=True,
            )
        ],
    )


def languages_section(report: Report) -> Section:
    """Returns what was read and kept of each language."""
    rows = rows_of(report, "languages")
    title = "Languages"
    if not any(row.get("language") for row in rows):
        return absent(
            "languages", title, "No document names its language (--fields language=)."
        )
    kept = sum(docs_of(row, "kept") for row in rows)
    names = ("read", "kept", "kept_human", "kept_synthetic")
    most = max(rows, key=lambda row: docs_of(row, "kept"))
    finding = (
        f"{share(times(docs_of(most, 'kept'), kept), 1)} of the set is "
        f"{name_of(most.get('language'), 40) if most.get('language') else 'not named'}"
    )
    return Section(
        "languages",
        title,
        "As the documents name them. Look for a language that filters take away: the "
        "detector may not know it.",
        [
            Chart(
                stacked_bars(
                    _kept_bars(rows[:_MOST_LANGUAGES], "language"), "documents read"
                ),
                finding,
                _KEPT_OR_OUT,
            )
        ],
        [
            Table(
                "Documents by language",
                ["language", "read", "kept", "kept share", "as human", "as synthetic"],
                [
                    [
                        named(row.get("language")),
                        *(whole(docs_of(row, name)) for name in names[:2]),
                        share(times(docs_of(row, "kept"), row.get("read")), 1),
                        *(whole(docs_of(row, name)) for name in names[2:]),
                    ]
                    for row in rows[:MOST_ROWS]
                ],
            )
        ],
    )


def ages_section(report: Report) -> Section:
    """Returns when what was kept was written."""
    by_origin = part(report, "ages", "by_origin")
    months = {
        origin: part(by_origin, origin, "months") for origin, _ in HUMAN_OR_SYNTHETIC
    }
    title = "Ages"
    if not any(months.values()):
        return absent(
            "ages", title, "No document that was kept has a date (--fields created=)."
        )
    named = sorted({month for found in months.values() for month in found})
    by_year = len(named) > _MOST_MONTHS
    places: dict[str, dict[float, float]] = {}
    for origin, found in months.items():
        places[origin] = {}
        for month, docs in found.items():
            at = _place(month, by_year)
            if at is not None:
                places[origin][at] = places[origin].get(at, 0) + docs
    rows = [
        [month, *(whole(months[origin].get(month, 0)) for origin in months)]
        for month in named[-_MOST_AGE_ROWS:]
    ]
    facts = [
        [
            text,
            name_of(part(by_origin, origin).get("median")),
            name_of(part(by_origin, origin).get("newest")),
            whole(part(by_origin, origin).get("undated")),
        ]
        for origin, text in HUMAN_OR_SYNTHETIC
    ]
    medians = [f"{row[0]} {row[1]}" for row in facts if row[1] != NOTHING]
    return Section(
        "ages",
        title,
        "When kept documents were written. Look whether the newest human text is old: "
        "a set that no new human text reaches gets stale.",
        [
            Chart(
                columns_by_place(places, 1 if by_year else 1 / 12, "year"),
                f"Half of the documents are older than: {', '.join(medians)}",
                HUMAN_OR_SYNTHETIC,
            )
        ],
        [
            Table(
                "Ages of kept documents",
                ["", "median", "newest", "undated"],
                facts,
                True,
            ),
            Table("Kept documents by month", ["month", "human", "synthetic"], rows),
        ],
    )


def _place(month: str, by_year: bool) -> Optional[float]:
    """Returns where a month such as 2023-05 stands, in years; None for what is none."""
    year, _, number = month.partition("-")
    if not (year.isdigit() and number.isdigit() and 1 <= int(number) <= 12):
        return None
    return float(year) if by_year else int(year) + (int(number) - 1) / 12


def lengths_section(report: Report) -> Section:
    """Returns how long what was read and kept is."""
    lengths = part(report, "lengths")
    by_origin = part(lengths, "by_origin")
    edges = lengths.get("edges") or []
    unit = lengths.get("unit", "words")
    counts = {
        (origin, what): part(by_origin, origin).get(what) or []
        for origin, _ in HUMAN_OR_SYNTHETIC
        for what in ("kept", "left_out")
    }
    if not any(any(counts[origin, "kept"]) for origin, _ in HUMAN_OR_SYNTHETIC):
        return absent("lengths", "Lengths", "Nothing is known of lengths.")
    used = [
        i for i in range(len(edges)) if any(_at(found, i) for found in counts.values())
    ]
    span = range(used[0], used[-1] + 1)
    quantiles = {o: part(by_origin, o, "quantiles") for o, _ in HUMAN_OR_SYNTHETIC}
    return Section(
        "lengths",
        "Lengths",
        "How long kept documents are, as shares of human and of synthetic documents. "
        "Look whether one is much shorter: a model learns length, too.",
        [_lengths_chart(counts, quantiles, edges, span, unit)],
        [
            _quantiles_table(quantiles, unit),
            Table(
                f"Documents by length in {unit}",
                [unit, *(f"{o}, {what.replace('_', ' ')}" for o, what in counts)],
                [
                    [
                        _lengths_of(edges, i),
                        *(whole(_at(c, i)) for c in counts.values()),
                    ]
                    for i in span
                ],
            ),
        ],
    )


def _lengths_chart(
    counts: Mapping[tuple[str, str], Sequence[int]],
    quantiles: Mapping[str, Mapping[str, Any]],
    edges: Sequence[int],
    span: Sequence[int],
    unit: str,
) -> Chart:
    """Returns the lengths of what is kept, as shares of each origin."""
    shares = {}
    for origin, _ in HUMAN_OR_SYNTHETIC:
        kept = counts[origin, "kept"]
        shares[origin] = [_at(kept, i) / (sum(kept) or 1) for i in span]
    medians = [
        f"{text} {whole(quantiles[origin]['0.5'])}"
        for origin, text in HUMAN_OR_SYNTHETIC
        if quantiles[origin].get("0.5") is not None
    ]
    return Chart(
        columns_by_name(
            [_short(edges[i]) for i in span], shares, f"{unit}, from", "~%"
        ),
        f"Half of the documents have fewer {unit} than: {', '.join(medians)}",
        HUMAN_OR_SYNTHETIC,
    )


def _quantiles_table(quantiles: Mapping[str, Mapping[str, Any]], unit: str) -> Table:
    which = sorted({q for found in quantiles.values() for q in found}, key=float)
    return Table(
        f"Quantiles of kept documents, in {unit}",
        ["", *(share(float(q), 0) for q in which)],
        [
            [text, *(whole(quantiles[origin].get(q)) for q in which)]
            for origin, text in HUMAN_OR_SYNTHETIC
        ],
        shown=True,
    )


def _lengths_of(edges: Sequence[int], i: int) -> str:
    """Returns which lengths are between two edges, or from the last one on."""
    if i + 1 == len(edges):
        return f"{edges[i]:,} and more"
    low, high = edges[i], edges[i + 1] - 1
    return f"{low:,} to {high:,}" if high > low else f"{low:,}"


def _at(counts: Sequence[int], i: int) -> int:
    return counts[i] if i < len(counts) else 0


def _short(number: int) -> str:
    """Returns 4096 as 4k: a power of two, as people say it."""
    if number < 1024:
        return str(number)
    return f"{number // 1024}k" if number < 1 << 20 else f"{number >> 20}M"
