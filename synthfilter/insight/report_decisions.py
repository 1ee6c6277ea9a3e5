"""The sections on what was decided: books, shares, scores, copies, the mixture."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthfilter.core.profiles import describe_reach
from synthfilter.core.schema import REASON_NAMES, UNITS, Reason
from synthfilter.insight.parts import name_of, share, whole
from synthfilter.insight.report_charts import (
    Chart,
    flow_bars,
    intervals,
    origin_colour,
    score_columns,
)
from synthfilter.insight.report_headline import asked_share
from synthfilter.insight.report_parts import (
    ORIGIN_TEXTS,
    Report,
    Section,
    Table,
    absent,
    count,
    docs_of,
    in_order,
    limited,
    part,
    reason_text,
    reason_title,
    times,
)

_KEPT = REASON_NAMES[Reason.KEPT]
# Rows of a chart; a table has more.
_MOST_BARS = 10

Flows = Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]


def books_section(report: Report) -> Section:
    """Returns what was read, what was left out for which reason, what was kept."""
    books = part(report, "books")
    if not books:
        return absent("books", "The books", "The report has no books.")
    flows: Flows = part(books, "by_declared_origin")
    origins = [origin for origin in flows if flows[origin]]
    reasons = in_order({reason for origin in origins for reason in flows[origin]})
    out = [reason for reason in reasons if reason != _KEPT]
    read = _by_colour(flows, origins, reasons)
    steps: list[tuple[str, int, Mapping[str, int]]] = [("read", 0, read)]
    left = sum(read.values())
    lost = {}
    for reason in out:
        docs = _by_colour(flows, origins, [reason])
        lost[reason] = sum(docs.values())
        left -= lost[reason]
        steps.append((reason_title(reason), left, docs))
    kept = {
        who: sum(_docs(flows[origin], [_KEPT], who) for origin in origins)
        for who in ("human", "synthetic")
    }
    steps.append(("kept as human", 0, {"human": kept["human"]}))
    steps.append(("kept as synthetic", kept["human"], {"synthetic": kept["synthetic"]}))
    finding = f"{sum(kept.values()):,} of {count(sum(read.values()), 'document')} kept"
    if lost:
        most = max(lost, key=lambda reason: lost[reason])
        finding += (
            f"; the reason that took most is {reason_title(most)}, {lost[most]:,}"
        )
    legend = [
        (origin_colour(origin), f"declared {ORIGIN_TEXTS.get(origin, origin)}")
        for origin in origins
    ]
    return Section(
        "books",
        "The books",
        "Every document that was read is kept, or left out for one reason. Look for a "
        "reason that takes more than you expect.",
        [Chart(flow_bars(steps, "documents", sum(read.values())), finding, legend)],
        [
            _books_table(flows, origins, out),
            Table(
                "What the reasons mean",
                ["reason", "documents that are left out as"],
                [[reason_title(each), reason_text(each)] for each in out],
            ),
            _amounts_table(flows, origins),
        ],
    )


def _docs(flow: Any, reasons: Sequence[str], decided: str | None = None) -> int:
    return sum(
        docs_of(amounts, "docs")
        for reason in reasons
        for who, amounts in flow.get(reason, {}).items()
        if decided in (None, who)
    )


def _by_colour(
    flows: Flows, origins: Sequence[str], reasons: Sequence[str]
) -> dict[str, int]:
    """Returns the documents with one of the reasons, by colour of declared origin."""
    found: dict[str, int] = {}
    for origin in origins:
        which = origin_colour(origin)
        found[which] = found.get(which, 0) + _docs(flows[origin], reasons)
    return found


def _books_table(flows: Flows, origins: list[str], out: list[str]) -> Table:
    def row(title: str, reasons: list[str], who: str | None = None) -> list[str]:
        docs = [_docs(flows[origin], reasons, who) for origin in origins]
        return [title, whole(sum(docs)), *map(whole, docs)]

    rows = [row("read", [*out, _KEPT])]
    rows += [row(reason_title(each), [each]) for each in out]
    rows.append(row("kept", [_KEPT]))
    rows += [row(f"kept as {who}", [_KEPT], who) for who in ("human", "synthetic")]
    columns = ["", "all", *(ORIGIN_TEXTS.get(o, o) for o in origins)]
    return Table("Documents by declared origin", columns, rows, shown=True)


def _amounts_table(flows: Flows, origins: list[str]) -> Table:
    rows = [
        [
            reason_title(reason),
            ORIGIN_TEXTS.get(origin, origin),
            decided,
            *(whole(amounts.get(unit)) for unit in UNITS),
        ]
        for origin in origins
        for reason in in_order(flows[origin])
        for decided, amounts in flows[origin][reason].items()
    ]
    return Table(
        "Documents, bytes and words",
        ["reason", "declared", "decided", "documents", "bytes", "words"],
        rows,
    )


def shares_section(report: Report) -> Section:
    """Returns the synthetic share as asked, counted and estimated."""
    shares = part(report, "shares")
    unit = shares.get("unit", "words")
    got = part(shares, "got")
    counted = part(got, unit).get("synthetic_fraction")
    if counted is None:
        return absent("shares", "The synthetic share", "The report has no shares.")
    asked, estimated = asked_share(report), shares.get("estimated")
    rows: list = [] if asked is None else [("asked", None, asked, None, "soft")]
    rows.append(("counted", None, counted, None, "synthetic"))
    finding = f"{share(counted)} of {unit} counted as synthetic"
    if estimated is not None:
        low, high = shares.get("low"), shares.get("high")
        rows.append(("estimated", low, estimated, high, "synthetic"))
        finding = (
            f"Estimated {share(estimated)} synthetic, "
            f"{share(low)} to {share(high)}; counted {share(counted)}"
        )
    if asked is not None:
        finding += f"; asked {share(asked)}"
    facts = [[row[0], share(row[2]), share(row[1]), share(row[3])] for row in rows]
    return Section(
        "shares",
        "The synthetic share",
        "What counts as human hides machine text that the detector missed; the "
        "estimate has it. Look whether its interval is narrow enough to rely on.",
        [Chart(intervals(rows, f"synthetic share of {unit}"), finding)],
        [
            Table(
                f"Synthetic share of {unit}", ["", "share", "from", "to"], facts, True
            ),
            Table(
                "What counts as human and as synthetic",
                ["unit", "human", "synthetic", "synthetic share"],
                [
                    [
                        name,
                        whole(found.get("human")),
                        whole(found.get("synthetic")),
                        share(found.get("synthetic_fraction")),
                    ]
                    for name, found in got.items()
                ],
            ),
            *_asked_tables(shares),
        ],
    )


def _asked_tables(shares: Mapping[str, Any]) -> list[Table]:
    """Returns what else was asked of the set: its size, and fresh text."""
    rows = []
    if shares.get("target_size") is not None:
        rows.append(["size asked for", whole(shares["target_size"])])
    for name, value in part(shares, "fresh").items():
        if isinstance(value, Mapping):
            rows += [[f"fresh, {unit}", whole(docs)] for unit, docs in value.items()]
        else:
            said = share(value) if isinstance(value, float) else name_of(value)
            rows.append([f"fresh, {name}", said])
    return [Table("What else was asked", ["", ""], rows)] if rows else []


def scores_section(report: Report) -> Section:
    """Returns histograms of scores by declared origin."""
    scores = part(report, "scores")
    found = {
        origin: counts
        for origin, counts in part(scores, "by_declared").items()
        if any(counts.get("kept") or ()) or any(counts.get("left_out") or ())
    }
    title = "Scores"
    if not found:
        return absent("scores", title, "No document has a score, or none is told of.")
    lines = scores.get("thresholds") or []
    charts, names, columns = [], [], []
    for origin, counts in found.items():
        kept, out = counts["kept"], counts["left_out"]
        names += [
            f"{ORIGIN_TEXTS.get(origin, origin)}, {w}" for w in ("kept", "left out")
        ]
        columns += [kept, out]
        flagged = _above(kept, lines) + _above(out, lines)
        total = sum(kept) + sum(out)
        finding = (
            f"Declared {ORIGIN_TEXTS.get(origin, origin)}: {count(total, 'document')}"
        )
        if lines:
            finding += f", about {share(times(flagged, total), 1)} above the threshold"
        which = origin_colour(origin)
        legend = [(which, "kept"), (f"{which}-soft", "left out")]
        charts.append(Chart(score_columns(kept, out, which, lines), finding, legend))
    said = " to ".join(f"{line:.4f}" for line in lines)
    return Section(
        "scores",
        title,
        "The detector's score of every document, by declared origin; the dashed line "
        "is the threshold. Look for human text to its right. Heights are square roots, "
        "so that few documents can be seen, too.",
        charts,
        [_bins_table(names, columns), *_unscored_tables(part(scores, "by_declared"))],
        [f"Machine text from score {said} on."] if lines else [],
    )


def _above(counts: Sequence[int], lines: Sequence[float]) -> int:
    """Returns the documents in bins that begin at or above the highest threshold."""
    first = max(lines, default=1.0) * len(counts)
    return sum(docs for i, docs in enumerate(counts) if i >= first)


def _bins_table(names: list[str], columns: list[Sequence[int]]) -> Table:
    bins = len(columns[0])
    rows = [
        [f"{i / bins:.2f} to {(i + 1) / bins:.2f}", *(whole(c[i]) for c in columns)]
        for i in range(bins)
        if any(column[i] for column in columns)
    ]
    caption = f"Documents by score, in {bins} equal bins; empty ones are left out"
    return Table(caption, ["score", *names], rows)


def _unscored_tables(by_declared: Mapping[str, Any]) -> list[Table]:
    rows = [
        [
            ORIGIN_TEXTS.get(origin, origin),
            whole(counts.get("unscored_kept")),
            whole(counts.get("unscored_left_out")),
        ]
        for origin, counts in by_declared.items()
        if docs_of(counts, "unscored_kept", "unscored_left_out")
    ]
    if not rows:
        return []
    return [Table("Documents without a score", ["declared", "kept", "left out"], rows)]


def prevalence_section(report: Report) -> Section:
    """Returns how much machine text is estimated, by group."""
    found = part(report, "prevalence")
    title = "Machine text by group"
    if not found:
        return absent(
            "prevalence",
            title,
            "The detector decided about no document, or has no "
            "profiles to estimate with.",
        )
    everything = {"group": "all", **found}
    groups = found.get("groups") or []
    shown = [everything, *groups[:_MOST_BARS]]
    rows = [
        (g["group"], g.get("low"), g["estimate"], g.get("high"), "synthetic")
        for g in shown
        if g.get("estimate") is not None
    ]
    listed, more = limited([everything, *groups])
    confidence = share(found.get("confidence"), 0)
    finding = (
        f"{share(found.get('estimate'), 1)} of "
        f"{count(docs_of(found, 'docs'), 'document')} estimated to be machine text, "
        f"{share(found.get('low'), 1)} to "
        f"{share(found.get('high'), 1)}"
    )
    return Section(
        "prevalence",
        title,
        "Of the documents about which the detector decides, how many are machine text "
        "by estimate. Look for groups whose whole interval lies to the right.",
        [Chart(intervals(rows, "share that is machine text"), finding)],
        [
            Table(
                f"By group, with {confidence} intervals{more}",
                ["group", "documents", "estimate", "from", "to"],
                [
                    [
                        name_of(g["group"]),
                        whole(g.get("docs")),
                        *(share(g.get(name)) for name in ("estimate", "low", "high")),
                    ]
                    for g in listed
                ],
            ),
        ],
        [f"The largest groups come first; intervals are of {confidence}."],
        describe_reach(found.get("known")),
    )
