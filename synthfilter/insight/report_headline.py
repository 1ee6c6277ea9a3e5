"""The head of a report: the figures that matter, and what went wrong."""

import datetime
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from synthfilter.insight.parts import decimal, name_of, share, whole
from synthfilter.insight.report_parts import (
    Report,
    count,
    docs_of,
    listed,
    part,
    reason_title,
    rows_of,
    times,
)

# A share is missed if what is held differs by more.
_TOLERANCE = 0.01
# Text without a score is told from this share on.
_UNSCORED = 0.01
_MOST_NAMES = 5


class Tile(NamedTuple):
    """One figure that matters.

    Attributes:
      name: What it is.
      value: It.
      beside: What to know of it.
      colour: Of the figure, where it has one.
    """

    name: str
    value: str
    beside: str
    colour: str = ""


class Warned(NamedTuple):
    """Something to look at.

    Attributes:
      text: In one sentence.
      key: Of the section that has more, or "".
    """

    text: str
    key: str


def tiles(report: Report) -> list[Tile]:
    """Returns the figures at the top."""
    books, shares = part(report, "books"), part(report, "shares")
    read, kept = books.get("read"), books.get("kept")
    unit = shares.get("unit", "words")
    got = part(shares, "got", unit)
    found = [
        Tile(
            "documents kept",
            whole(kept),
            f"of {whole(read)} read ({share(times(kept or 0, read), 1)})",
        )
    ]
    asked = asked_share(report)
    found.append(
        Tile(
            f"synthetic {unit} asked for",
            share(asked) if asked is not None else "none",
            "at most"
            if _is_limit(report)
            else "the share to reach"
            if asked is not None
            else "no share was asked for",
        )
    )
    if shares.get("estimated") is not None:
        found.append(
            Tile(
                f"synthetic {unit}, estimated",
                share(shares["estimated"]),
                f"{share(shares.get('low'))} to {share(shares.get('high'))}, the "
                f"{share(shares.get('confidence'), 0)} interval",
                "synthetic",
            )
        )
    found.append(
        Tile(
            f"counted as synthetic {unit}",
            share(got.get("synthetic_fraction")),
            f"{whole(got.get('synthetic'))} of "
            f"{whole(docs_of(got, 'human', 'synthetic'))} {unit}",
        )
    )
    return found


def asked_share(report: Report) -> Optional[float]:
    """Returns the synthetic share that was asked for, exactly or at most."""
    shares = part(report, "shares")
    names = ("synthetic_fraction", "max_synthetic_fraction", "asked")
    return next((shares[n] for n in names if shares.get(n) is not None), None)


def _is_limit(report: Report) -> bool:
    shares = part(report, "shares")
    return (
        shares.get("synthetic_fraction") is None
        and shares.get("max_synthetic_fraction") is not None
    )


def warnings(report: Report) -> list[Warned]:
    """Returns what people should look at first, the gravest first."""
    return [
        *_share_missed(report),
        *_lost_text(report),
        *_detector(report),
    ]


def _share_missed(report: Report) -> Iterator[Warned]:
    shares = part(report, "shares")
    unit = shares.get("unit", "words")
    asked = asked_share(report)
    by_estimate = shares.get("counts") == "estimated" and shares.get("estimated")
    counted = part(shares, "got", unit).get("synthetic_fraction")
    held = shares["estimated"] if by_estimate else counted
    if asked is not None and held is not None:
        over = held - asked
        if over > _TOLERANCE or (over < -_TOLERANCE and not _is_limit(report)):
            how = "estimated" if by_estimate else "counted"
            limit = "at most " if _is_limit(report) else ""
            yield Warned(
                f"The share is missed: {limit}{share(asked)} of {unit} asked for, "
                f"{share(held)} {how}.",
                "shares",
            )
    suspects = docs_of(part(report, "books", "left_out"), "suspect")
    if suspects:
        yield Warned(
            f"Too much may be hidden machine text: {suspects:,} of the most suspect "
            "documents are out, so that the share is held.",
            "shares",
        )
    if shares.get("limited_by"):
        yield Warned(f"Limited by {name_of(shares['limited_by'], 300)}.", "shares")


def _lost_text(report: Report) -> Iterator[Warned]:
    wiped = rows_of(report, "nearly_wiped")
    if wiped:
        said = [
            f"{name_of(row.get('source'), 40)} ({whole(row.get('kept'))} of "
            f"{whole(row.get('read'))} kept, {reason_title(str(row.get('most')))})"
            for row in wiped[:_MOST_NAMES]
        ]
        if len(wiped) > _MOST_NAMES:
            said.append(f"{len(wiped) - _MOST_NAMES:,} more")
        yield Warned(
            f"{count(len(wiped), 'source')} nearly wiped out: {listed(said)}.", "wiped"
        )
    broken = [r for r in rows_of(report, "inputs") if r.get("broken")]
    if broken:
        named = [name_of(row.get("path"), 80) for row in broken[:_MOST_NAMES]]
        if len(broken) > _MOST_NAMES:
            named.append(f"{len(broken) - _MOST_NAMES:,} more")
        yield Warned(
            f"{count(len(broken), 'input file')} broken; what could not be read of "
            f"them is not in the set: {listed(named)}.",
            "dead-letters",
        )
    dead = part(report, "books").get("dead_letters")
    if dead:
        yield Warned(
            f"{count(dead, 'document')} could not be read.",
            "dead-letters",
        )
    capped = part(report, "near_copies").get("not_compared_with_all")
    if capped:
        yield Warned(
            f"{count(capped, 'document')} not compared with all candidates; some near "
            "copies may be left.",
            "copies",
        )


def _detector(report: Report) -> Iterator[Warned]:
    unscored = part(report, "detector", "unscored")
    said = [
        f"{whole(found['docs'])} of {whole(found['of'])} {origin} "
        f"({share(found['share'], 1)})"
        for origin, found in unscored.items()
        if (found.get("share") or 0) >= _UNSCORED
    ]
    if said:
        yield Warned(f"Without a score: {listed(said)}.", "scores")
    for row in rows_of(report, "drift", "scores"):
        if row.get("moved"):
            yield Warned(
                f"The scores of what was declared {name_of(row.get('declared'), 40)} "
                f"moved: stability index {decimal(row.get('index'), 2)} against build "
                f"{name_of(part(report, 'drift').get('against'), 40)}, from "
                f"{decimal(row.get('limit'), 2)} on it is much.",
                "scores",
            )
    moved = [
        name_of(canary.get("name"), 40)
        for canary in rows_of(report, "detector", "canaries")
        if canary.get("moved")
    ]
    if moved:
        yield Warned(
            f"The detector changed: {listed(moved)} no longer have the scores that "
            "they had.",
            "build",
        )


def build_line(report: Report) -> str:
    """Returns what is said below the heading."""
    run: Any = part(report, "run")
    said = [f"synthfilter {name_of(report.get('synthfilter_version'), 40)}"]
    if run.get("started"):
        said.append(f"started {moment(str(run['started']))}")
    if run.get("seconds") is not None:
        said.append(f"took {run['seconds']:,.1f} seconds")
    return ", ".join(said)


def moment(time: str) -> str:
    """Returns an ISO 8601 time as people read it, and anything else as it is."""
    try:
        found = datetime.datetime.fromisoformat(time)
    except ValueError:
        return name_of(time, 40)
    return f"{found:%Y-%m-%d %H:%M} {found.tzname() or ''}".strip()
