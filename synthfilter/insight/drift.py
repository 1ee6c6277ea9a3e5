"""Whether a detector still scores as it did: what a report says of drift.

Two things are looked at. Fixed texts, whose scores are pinned beside the model or
stand in the report of the build before: if they moved, the model, the code around it
or the machine changed. And the scores of all documents against those of the build
before: if they moved, the text changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from synthfilter.core.canaries import differs
from synthfilter.core.schema import ORIGIN_NAMES, WRITTEN
from synthfilter.insight.monitor_figures import (
    CELLS,
    detector_of,
    dig,
    histogram,
    number,
    score_drift_of,
)

# From here on the monitor, too, calls an index much.
MUCH = 0.25
# An index of two samples of the same text is about a chi-square of as many degrees as
# cells, times the sum of one over their sizes. At this many standard deviations it
# exceeds the limit by chance about once in 1,000.
_DEVIATIONS = 4.0


def tell_drift(
    report: Mapping[str, Any], previous: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns what a report says of drift.

    Args:
      report: Of the build, its canaries included.
      previous: Of the build to compare with, None for none.

    Returns:
      `canaries`: names of the fixed texts that moved. `against`: the id of the build
      before, None where there is none, or its scores are another detector's. `scores`:
      for each declared origin with enough scores in both, its population stability
      `index`, the `limit` from which on it counts, and whether it `moved`.
    """
    canaries = [
        str(dig(row, "name"))
        for row in report["detector"]["canaries"]
        if dig(row, "moved")
    ]
    found: dict[str, Any] = {"canaries": canaries, "against": None, "scores": []}
    if previous is None or detector_of(previous) != detector_of(report):
        return found
    found["against"] = dig(previous, "build_id")
    for declared in WRITTEN:
        origin = ORIGIN_NAMES[declared]
        index = score_drift_of(origin)([previous, report], 1)
        if index is not None:
            limit = _limit(previous, report, origin)
            found["scores"].append(
                {
                    "declared": origin,
                    "index": round(index, 4),
                    "limit": round(limit, 4),
                    "moved": index >= limit,
                }
            )
    return found


def compare_canaries(
    canaries: Sequence[Mapping[str, Any]],
    sha256: str,
    previous: Mapping[str, Any] | None,
) -> Sequence[Mapping[str, Any]]:
    """Returns the canaries, those marked that the build before scored otherwise.

    Args:
      canaries: As `detection.canary.canary_scores` returns them.
      sha256: Of the detector.
      previous: Report of the build before, None for none.
    """
    rows = dig(previous, "detector", "canaries")
    if (
        previous is None
        or detector_of(previous) != sha256
        or not isinstance(rows, list)
    ):
        return canaries
    before = {str(dig(row, "name")): row for row in rows}
    return [
        {
            **row,
            "moved": bool(row.get("moved"))
            or (
                row["name"] in before
                and differs(row["score"], number(before[row["name"]], "score"))
            ),
        }
        for row in canaries
    ]


def describe_drift(drift: Mapping[str, Any]) -> list[str]:
    """Returns a line for each thing that moved."""
    lines = []
    if drift["canaries"]:
        lines.append(
            f"the detector changed: {', '.join(drift['canaries'])} no longer have the "
            "scores that they had, so neither thresholds nor intervals hold; install "
            "synthfilter and the model anew, or find what changed on this machine"
        )
    for row in drift["scores"]:
        if row["moved"]:
            lines.append(
                f"the scores of what was declared {row['declared']} moved: stability "
                f"index {row['index']:.2f} against build {drift['against']}, from "
                f"{row['limit']:.2f} on it is much; measure the detector on text of "
                "now (synthfilter evaluate)"
            )
    return lines


def _limit(
    previous: Mapping[str, Any], report: Mapping[str, Any], origin: str
) -> float:
    """Returns from which index on two histograms differ for more than chance."""
    sizes = [histogram(found, origin) for found in (previous, report)]
    noise = sum(1 / float(size.sum()) for size in sizes if size is not None)
    degrees = CELLS - 1
    return max(MUCH, noise * (degrees + _DEVIATIONS * (2 * degrees) ** 0.5))
