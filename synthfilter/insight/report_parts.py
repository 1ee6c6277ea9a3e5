"""What the sections of a report are made of, and how figures are looked up in it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from synthfilter.core.schema import REASON_NAMES, REASON_TEXTS, Reason
from synthfilter.insight.parts import name_of
from synthfilter.insight.report_charts import Chart

Report = Mapping[str, Any]

# Rows of one table; the rest is in the file.
MOST_ROWS = 200
# Whose colour has a legend of its own.
ORIGIN_TEXTS = {
    "human": "human",
    "synthetic": "synthetic",
    "unknown": "unknown",
    "core": "archive",
}
HUMAN_OR_SYNTHETIC = (("human", "human"), ("synthetic", "synthetic"))


class Table(NamedTuple):
    """A table of the page.

    Attributes:
      caption: What it has.
      columns: Names.
      rows: Cells of text; a `Number` is aligned right.
      shown: Whether it is seen at once, not only when asked for.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    shown: bool = False


class Section(NamedTuple):
    """A section of the page.

    Attributes:
      key: Its address in the page.
      title: Its heading.
      look: What to look for, in a sentence or two.
      charts: Drawn where charts can be.
      tables: Every figure of the charts, at least.
      notes: What else there is to say, before the tables.
      cautions: What the figures do not tell, after them.
      absent: Whether there is nothing to show; `look` says why.
    """

    key: str
    title: str
    look: str
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    cautions: Sequence[str] = ()
    absent: bool = False


def absent(key: str, title: str, why: str) -> Section:
    """Returns a section of which the report has nothing."""
    return Section(key, title, why, absent=True)


def part(report: Report, *names: str) -> Mapping[str, Any]:
    """Returns a part of a report, or nothing if it or a part around it is missing."""
    found: Any = report
    for name in names:
        found = (found or {}).get(name)
    return found or {}


def rows_of(report: Report, *names: str) -> Sequence[Mapping[str, Any]]:
    """Returns a list in a report, empty if it or a part around it is missing."""
    return part(report, *names[:-1]).get(names[-1]) or ()


def docs_of(row: Mapping[str, Any], *names: str) -> int:
    """Returns the sum of some counts of a row; what is missing counts nothing."""
    return sum(row.get(name) or 0 for name in names)


def limited(rows: Sequence[Any], most: int = MOST_ROWS) -> tuple[Sequence[Any], str]:
    """Returns as many rows as a table may have, and what to say of the others."""
    if len(rows) <= most:
        return rows, ""
    return rows[:most], f", the first {most:,} of {len(rows):,}; all in report.json"


def reason_title(name: str) -> str:
    """Returns a reason as people read it."""
    return name.replace("_", " ")


def reason_text(name: str) -> str:
    """Returns what a reason means; nothing of a reason that is not known here."""
    if name not in REASON_NAMES:
        return ""
    return REASON_TEXTS.get(Reason(REASON_NAMES.index(name)), "")


def in_order(names: Iterable[str]) -> list[str]:
    """Returns reasons in the order in which they are tried; unknown ones last."""
    known = {name: i for i, name in enumerate(REASON_NAMES)}
    return sorted(names, key=lambda name: (known.get(name, len(known)), name))


def times(part: float, whole: Optional[float]) -> Optional[float]:
    """Returns the share that a part is of a whole; None of nothing."""
    return part / whole if whole else None


def listed(names: Sequence[str]) -> str:
    """Returns `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def named(value: Any) -> str:
    """Returns the name of a source or language, which documents may lack."""
    return "not named" if value is None else name_of(value)


def count(number: int, thing: str) -> str:
    """Returns `1 document`, `2 documents`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
