"""The sections on what was lost, and why: copies, the mixture, earlier use, errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthfilter.core.schema import REASON_NAMES, UNITS, Reason
from synthfilter.insight.parts import name_of, share, whole
from synthfilter.insight.report_charts import (
    ORIGIN_COLOURS,
    Chart,
    paired_bars,
    stacked_bars,
)
from synthfilter.insight.report_parts import (
    Report,
    Section,
    Table,
    absent,
    count,
    docs_of,
    limited,
    part,
    rows_of,
)

# Rows of a chart; a table has more.
_MOST_BARS = 10
# So few rows are read as they are.
_FEW = 3
_COPIES = (REASON_NAMES[Reason.EXACT_COPY], REASON_NAMES[Reason.NEAR_COPY])


def copies_section(report: Report) -> Section:
    """Returns which sources lost copies, and the documents with the most copies."""
    title = "Copies"
    sources = rows_of(report, "sources")
    by_source = sorted(
        (row for row in sources if docs_of(row, "exact_copy", "near_copy")),
        key=lambda row: -docs_of(row, "exact_copy", "near_copy"),
    )
    clusters = rows_of(report, "clusters", "largest")
    notes = [_near_note(report)]
    if not by_source and not clusters:
        lost = docs_of(part(report, "books", "left_out"), *_COPIES)
        said = "Nothing is known of copies but their number." if lost else "None found."
        return absent("copies", title, f"{said} {notes[0]}")
    charts = []
    colours = (("series-4", "exact copies"), ("series-5", "near copies"))
    if by_source:
        bars = [
            (
                row["source"],
                dict(zip(("series-4", "series-5"), _copies(row), strict=True)),
            )
            for row in by_source[:_MOST_BARS]
        ]
        most = by_source[0]
        finding = (
            f"{name_of(most['source'], 40)} lost most to copies, "
            f"{sum(_copies(most)):,} of {docs_of(most, 'read'):,}"
        )
        chart = stacked_bars(bars, "documents left out as copies")
        charts.append(Chart(chart, finding, colours))
    if clusters:
        # Of these copies, those that are near are told apart.
        bars = [
            (
                row.get("id") or row["content_hash"],
                {
                    "series-4": docs_of(row, "copies") - docs_of(row, "near"),
                    "series-5": docs_of(row, "near"),
                },
            )
            for row in clusters[:_MOST_BARS]
        ]
        finding = (
            f"The document with most copies has {docs_of(clusters[0], 'copies'):,}"
        )
        charts.append(
            Chart(stacked_bars(bars, "copies left out in its favour"), finding, colours)
        )
    missed = part(report, "clusters").get("at_most_missed")
    if missed:
        notes.append(f"Documents with up to {missed:,} copies may be missing here.")
    return Section(
        "copies",
        title,
        "Look for a source that is mostly copies, likely the mirror of another, and "
        "for one text that is everywhere.",
        charts,
        [_clusters_table(clusters)] if clusters else [],
        notes,
    )


def _copies(row: Mapping[str, Any]) -> tuple[int, int]:
    return docs_of(row, "exact_copy"), docs_of(row, "near_copy")


def _near_note(report: Report) -> str:
    options = part(report, "options")
    near = options.get("near_duplicates")
    if near is None:
        return "No near copies were sought (--near-duplicates)."
    bands = part(report, "near_copies")
    said = f"Near copies were sought from similarity {near:g} on"
    if bands:
        said += (
            f", by {bands.get('bands')} bands of {bands.get('rows')} rows; "
            f"{docs_of(bands, 'not_compared_with_all'):,} documents were not compared "
            "with all candidates"
        )
    return f"{said}."


def _clusters_table(clusters: Sequence[Mapping[str, Any]]) -> Table:
    columns = ["one of the copies", "source", "copies", "near", "hash"]
    rows = [
        [
            name_of(row.get("id")),
            name_of(row.get("source")),
            *(whole(row.get(name)) for name in ("copies", "near")),
            name_of(row.get("content_hash"), 40),
        ]
        for row in clusters
    ]
    return Table("Documents with the most copies", columns, rows)


def mixture_section(report: Report) -> Section:
    """Returns each group of the mixture before and after it."""
    groups = rows_of(report, "mixture")
    title = "The mixture"
    if not groups:
        return absent("mixture", title, "Nothing was mixed.")
    unit = part(report, "shares").get("unit", "words")
    bars = [
        (
            row["group"],
            docs_of(part(row, "before"), unit),
            docs_of(part(row, "after"), unit),
            row["group"] if row["group"] in ORIGIN_COLOURS else "series-4",
        )
        for row in groups[:_MOST_BARS]
    ]
    before, after = sum(row[1] for row in bars), sum(row[2] for row in bars)
    asked = part(report, "shares", "groups")
    wanted = [f"{when}, {each}" for when in ("before", "after") for each in UNITS]
    rows = [
        [
            name_of(row["group"]),
            *(
                whole(part(row, when).get(each))
                for when in ("before", "after")
                for each in UNITS
            ),
            *([share(part(asked, row["group"]).get("asked"))] if asked else []),
        ]
        for row in groups
    ]
    return Section(
        "mixture",
        title,
        "What filters and copies left of each group, and what is in the set. Look for "
        "a group that is used up: it limits the others.",
        [
            Chart(
                paired_bars(bars, unit),
                f"{after:,} of {before:,} {unit} went into the set",
                [("out", "before"), (bars[0][3], "in the set")],
            )
        ],
        [
            Table(
                "Groups before and after, repeated documents counted each time",
                ["group", *wanted, *(["asked"] if asked else [])],
                rows,
            ),
            *_generators(report),
        ],
    )


def _generators(report: Report) -> list[Table]:
    """Returns which models are named as authors of what is in the set."""
    found = rows_of(report, "generators")
    if not found:
        return []
    shown, more = limited(found)
    rows = [
        [name_of(row["generator"]), whole(row["docs"]), whole(row["words"])]
        for row in shown
    ]
    columns = ["generator", "documents", "words"]
    return [Table(f"Generators of synthetic documents in the set{more}", columns, rows)]


def conflicts_section(report: Report) -> Section:
    """Returns what evidence was decided against."""
    rows = rows_of(report, "conflicts")
    title = "Evidence that disagrees"
    if not rows:
        return absent("conflicts", title, "None: all evidence of origin agrees.")
    shown, more = limited(rows)
    said = [
        [name_of(r["decided"]), name_of(r["against"]), whole(r["docs"])] for r in shown
    ]
    return Section(
        "conflicts",
        title,
        "Documents whose evidence of origin says two things. Look for many that were "
        "declared one thing and scored the other: a folder may be mislabelled.",
        tables=[
            Table(
                f"Documents by what decided{more}",
                ["what decided", "not", "documents"],
                said,
                shown=True,
            )
        ],
    )


def ledger_section(report: Report) -> Section:
    """Returns documents left out as used before, by earlier build."""
    rows = rows_of(report, "ledger_hits")
    title = "Used before"
    if not rows:
        return absent(
            "ledger",
            title,
            "No document was left out as used by an earlier build "
            "(--ledger, --max-uses).",
        )
    shown, more = limited(rows)
    bars = [
        (row["build_id"], {"series-4": docs_of(row, "docs")})
        for row in rows[:_MOST_BARS]
    ]
    total = sum(docs_of(row, "docs") for row in rows)
    finding = f"{count(total, 'document')} used by {count(len(rows), 'earlier build')}"
    charted = len(rows) > _FEW
    return Section(
        "ledger",
        title,
        "Documents left out because earlier builds used them. Look whether one build "
        "has most of what you meant to use.",
        [Chart(stacked_bars(bars, "documents"), finding)] if charted else [],
        [
            Table(
                f"By earlier build{more}",
                ["build", "documents"],
                [[name_of(row["build_id"]), whole(row["docs"])] for row in shown],
                shown=not charted,
            )
        ],
        [] if charted else [f"{finding}."],
    )


def dead_letters_section(report: Report) -> Section:
    """Returns what could not be read, by cause."""
    rows = rows_of(report, "dead_letters")
    title = "Dead letters"
    if not rows:
        return absent("dead-letters", title, "None: every record could be read.")
    shown, more = limited(rows)
    return Section(
        "dead-letters",
        title,
        "Records that could not be read; numbers in a cause are left out. Look for "
        "their files among the samples and in dead_letter/, before you trust the rest.",
        tables=[
            Table(
                f"By cause{more}",
                ["cause", "documents"],
                [
                    [name_of(row.get("cause"), 300), whole(row.get("docs"))]
                    for row in shown
                ],
                shown=True,
            )
        ],
    )
