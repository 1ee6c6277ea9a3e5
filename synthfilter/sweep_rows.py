"""What a sweep tells of each setting: as rows, for people, and as CSV."""

import csv
import dataclasses
import io
import re
from collections.abc import Sequence
from typing import Any, Optional

from synthfilter.console import count
from synthfilter.core.schema import UNITS, Origin, Reason
from synthfilter.detection.lengths import Threshold
from synthfilter.replay import Filtered, Known, Outcome
from synthfilter.stored import StoredBuild

Row = dict[str, Any]

NONE = "none"
_FIGURES = re.compile(r"\d+(?:[.,]\d+)*")
_SHARES = ("declared", "estimated", "low", "high")
COLUMNS = (
    *("threshold", "near_duplicates", "own"),
    *("kept", "kept_human", "kept_synthetic"),
    *Filtered._fields,
    *("known_human", "known_synthetic", "unknown"),
    *("exact_copies", "near_copies", "unit", "size"),
    *_SHARES,
    *("limited_by", "refused"),
)
"""Names of what a row says; see docs/sweep.md."""

# What a table shows of it, under which heading.
_SHOWN = {
    "threshold": "threshold",
    "near_duplicates": "near copies from",
    "kept": "kept",
    "kept_human": "human kept",
    "human_lost": "human lost",
    "synthetic_caught": "synthetic caught",
    "unknown_flagged": "unknown flagged",
    "size": "size",
    "declared": "counted share",
    "estimated": "estimated share",
    "low": "from",
    "high": "to",
}
# Columns that are left out of it where nothing of a kind is known.
_FILTERED = {
    "human_lost": "known_human",
    "synthetic_caught": "known_synthetic",
    "unknown_flagged": "unknown",
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is tried.

    Attributes:
      threshold: See there.
      similarity: Least one of near copies; None: none are sought.
      own: Whether the build was made so.
    """

    threshold: Threshold
    similarity: Optional[float]
    own: bool

    @property
    def key(self) -> tuple[float, tuple[float, ...], float]:
        """Sorts settings; the same for those that are alike."""
        limits = (*self.threshold.starts, *self.threshold.values)
        return self.threshold.value, limits, self.similarity or 0.0


def make_row(
    stored: StoredBuild,
    known: Known,
    setting: Setting,
    filtered: Filtered,
    came: Outcome | str,
) -> Row:
    """Returns what there is to tell of a setting, by `COLUMNS`."""
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        "threshold": setting.threshold.as_json(),
        "near_duplicates": setting.similarity,
        "own": setting.own,
        **filtered._asdict(),
        "known_human": int(known.human.sum()),
        "known_synthetic": int(known.synthetic.sum()),
        "unknown": int(known.unknown.sum()),
        "unit": stored.build.unit,
    }
    if isinstance(came, str):
        return row | {"kept": 0, "size": 0, "refused": came}
    by_origin = came.record.books[..., Reason.KEPT, UNITS.index("docs")].sum(axis=0)
    left_out = came.books["left_out"]
    return row | {
        "kept": came.books["kept"],
        "kept_human": int(by_origin[Origin.HUMAN]),
        "kept_synthetic": int(by_origin[Origin.SYNTHETIC]),
        "exact_copies": left_out["exact_copy"],
        "near_copies": left_out["near_copy"],
        "size": int(came.record.written[:, UNITS.index(stored.build.unit)].sum()),
        **{name: came.shares[name] for name in _SHARES},
        "limited_by": came.limited_by,
    }


def describe(stored: StoredBuild, known: Known) -> list[str]:
    """Returns lines that say what is tried on what."""
    human, synthetic, unknown = (int(part.sum()) for part in known)
    lines = [
        f"build {stored.manifest['build_id']}: {count(known.human.size, 'document')}; "
        f"without the detector {human:,} are known to be human, {synthetic:,} to be "
        f"synthetic, and of {unknown:,} nothing is known",
        f"the build's own setting (*): threshold {stored.threshold}, near_duplicates "
        f"{stored.build.near_duplicates or NONE}",
    ]
    if len(stored.threshold.values) > 1:
        lines.append(
            "its threshold goes by length; those that are tried are the same for all"
        )
    return lines


def tabulate(rows: Sequence[Row]) -> tuple[list[str], list[list[str]], list[str]]:
    """Returns the names of the columns, the cells of each row, and notes, for people.

    What limits several settings is told once.
    """
    shown = dict(_SHOWN)
    for name, of in _FILTERED.items():
        if not rows[0][of]:
            del shown[name]
    shown["size"] = f"size in {rows[0]['unit']}"
    marks, notes = _notes(rows)
    cells = [[_cell(row, name) for name in shown] for row in rows]
    names = list(shown.values())
    if notes:
        names.append("note")
        cells = [[*line, mark] for line, mark in zip(cells, marks, strict=True)]
    return names, cells, notes


def _notes(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Returns the mark of each row, if any, and what the marks stand for.

    Notes that differ in their figures alone are one, without those; files have them.
    """
    said = []
    for row in rows:
        said.append(row["refused"] and f"refused: {row['refused']}")
        if row["limited_by"]:
            said[-1] = f"limited by {row['limited_by']}"
    kinds: dict[str, set[str]] = {}
    for note in filter(None, said):
        kinds.setdefault(_FIGURES.sub("…", note), set()).add(note)
    number = {kind: f"[{i}]" for i, kind in enumerate(kinds, 1)}
    marks = [number[_FIGURES.sub("…", note)] if note else "" for note in said]
    told = [
        f"{number[kind]} {kind if len(same) > 1 else next(iter(same))}"
        for kind, same in kinds.items()
    ]
    return marks, told


def _cell(row: Row, name: str) -> str:
    """Returns what a table says of a setting."""
    value = row[name]
    if value is None:
        return "-"
    if name == "threshold":
        return f"{'* ' if row['own'] else ''}{_highest(value):.4g}"
    if name in _SHARES:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _highest(threshold: float | dict[str, float]) -> float:
    """Returns the threshold; of those by length that of the longest documents."""
    if isinstance(threshold, dict):
        return [*threshold.values()][-1]
    return threshold


def to_csv(rows: Sequence[Row]) -> str:
    """Returns the rows as CSV; what there is nothing of is empty."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        by_length = not isinstance(row["threshold"], float)
        table.writerow(row | ({"threshold": "by length"} if by_length else {}))
    return text.getvalue()
