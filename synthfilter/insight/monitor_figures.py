"""The figures of a build that a monitor follows, found in the reports of all builds.

A figure is a function of the reports, the oldest first, and a place among them. What a
report does not say, or says in another way than it should, is None: a gap, never a
zero.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from synthfilter.core.samples import Sample, from_text, share_unseen

Report = Mapping[str, Any]
Figure = Callable[[Sequence[Report], int], float | None]
# The sketches that figures are made of: whose, and of what.
SKETCHED = (("all", "trigrams"), ("synthetic", "trigrams"))
# Documents with a score that a histogram must have to be compared, and the share of
# them that each cell of the comparison has at least.
_LEAST_SCORED = 100
_LEAST_CELL = 0.05
CELLS = round(1 / _LEAST_CELL)


def dig(found: Any, *names: str) -> Any:
    """Returns what stands under the names, one in another; None where one is not."""
    for name in names:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def number(found: Any, *names: str) -> float | None:
    """Returns a finite number under the names, or None."""
    value = dig(found, *names)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def detector_of(report: Report) -> str | None:
    """Returns the sha256 of the detector."""
    found = dig(report, "detector", "sha256")
    return found if isinstance(found, str) else None


def sketch(report: Report, origin: str, grams: str) -> Sample | None:
    """Returns a sketch of a report; None where there is none.

    Raises:
      ValueError: it is not readable.
    """
    text = dig(report, "diversity", "sketches", origin, grams)
    return from_text(text) if isinstance(text, str) else None


def interval(report: Report) -> tuple[float, float] | None:
    """Returns the ends of the interval of the true share."""
    low, high = number(report, "shares", "low"), number(report, "shares", "high")
    return None if low is None or high is None else (low, high)


def counted_share(reports: Sequence[Report], place: int) -> float | None:
    """Returns the share of what counts as synthetic, in the unit of the shares."""
    unit = dig(reports[place], "shares", "unit")
    return number(reports[place], "shares", "got", str(unit), "synthetic_fraction")


def true_share(reports: Sequence[Report], place: int) -> float | None:
    """Returns the share that is estimated or, where none is, the counted one."""
    found = number(reports[place], "shares", "estimated")
    return counted_share(reports, place) if found is None else found


def figure_at(*names: str) -> Figure:
    """Returns what finds a number that stands in the report."""

    def figure(reports: Sequence[Report], place: int) -> float | None:
        return number(reports[place], *names)

    return figure


def words_figure(origin: str, name: str) -> Figure:
    """Returns what finds a figure of the words of what is in the set."""
    return figure_at("diversity", "by_origin", origin, "words", name)


def type_token(reports: Sequence[Report], place: int) -> float | None:
    """Returns different words in so many; as many as in the last build, or None."""

    def found(report: Report, name: str) -> float | None:
        return number(
            report, "diversity", "by_origin", "all", "words", "type_token", name
        )

    per, distinct = (found(reports[place], name) for name in ("per", "distinct"))
    if not per or distinct is None or per != found(reports[-1], "per"):
        return None
    return distinct / per


def novelty_of(origin: str) -> Figure:
    """Returns what compares the trigrams of a build with those of the one before."""

    def figure(reports: Sequence[Report], place: int) -> float | None:
        if not place:
            return None
        now, before = (
            sketch(reports[i], origin, "trigrams") for i in (place, place - 1)
        )
        return None if now is None or before is None else share_unseen(now, before)

    return figure


def reuse(reports: Sequence[Report], place: int) -> float | None:
    """Returns which share of the synthetic documents read was used up before."""
    report = reports[place]
    rows = dig(report, "ledger_hits")
    if number(report, "options", "max_uses") is None or not isinstance(rows, list):
        return None
    hits = sum(number(row, "docs") or 0 for row in rows)
    flows = dig(report, "books", "by_declared_origin")
    synthetic = sum(
        number(amounts, "synthetic", "docs") or 0
        for flow in (flows.values() if isinstance(flows, Mapping) else ())
        for amounts in (flow.values() if isinstance(flow, Mapping) else ())
    )
    return hits / synthetic if synthetic else None


def histogram(report: Report, origin: str) -> np.ndarray | None:
    """Returns how many documents read got a score in each bin; None if too few did."""
    parts = [
        _counts(dig(report, "scores", "by_declared", origin, name))
        for name in ("kept", "left_out")
    ]
    kept, left_out = parts
    if (
        kept is None
        or left_out is None
        or kept.shape != left_out.shape
        or (kept + left_out).sum() < _LEAST_SCORED
    ):
        return None
    return kept + left_out


def _counts(found: Any) -> np.ndarray | None:
    """Returns a list of counts as an array; None if it is none."""
    said = [number(n) for n in found] if isinstance(found, list) else [None]
    counts = [count for count in said if count is not None and count >= 0]
    return np.array(counts) if len(counts) == len(said) else None


def score_drift_of(origin: str) -> Figure:
    """Returns the population stability index of scores against the build before."""

    def figure(reports: Sequence[Report], place: int) -> float | None:
        if not place or detector_of(reports[place]) != detector_of(reports[place - 1]):
            return None
        now, before = (histogram(reports[i], origin) for i in (place, place - 1))
        if now is None or before is None or now.shape != before.shape:
            return None
        return stability_index(before, now)

    return figure


def stability_index(before: np.ndarray, now: np.ndarray) -> float:
    """Returns the population stability index of two histograms with the same bins.

    Neighbouring bins are joined until each cell has a twentieth of both together, and
    half a document is added to each, so that empty cells say no more than they can.
    """
    both = before / before.sum() + now / now.sum()
    cells = np.minimum((np.cumsum(both) - both) / 2 // _LEAST_CELL, CELLS - 1)
    shares = []
    for counts in (before, now):
        cell = np.bincount(np.unique(cells, return_inverse=True)[1], counts) + 0.5
        shares.append(cell / cell.sum())
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def median_score_of(origin: str) -> Figure:
    """Returns what finds the median of a histogram, within its bin by proportion."""

    def figure(reports: Sequence[Report], place: int) -> float | None:
        counts = histogram(reports[place], origin)
        if counts is None:
            return None
        below = np.concatenate([[0], np.cumsum(counts)])
        return float(np.interp(below[-1] / 2, below, np.linspace(0, 1, len(below))))

    return figure


def age(reports: Sequence[Report], place: int) -> float | None:
    """Returns the months from the median human document to the build."""
    report = reports[place]
    median, started = (
        _month(dig(report, *names))
        for names in (("ages", "by_origin", "human", "median"), ("run", "started"))
    )
    return None if median is None or started is None else float(started - median)


def _month(said: Any) -> int | None:
    year, _, month = str(said)[:7].partition("-")
    if not (year.isdecimal() and month.isdecimal()):
        return None
    return 12 * int(year) + int(month)


def unscored(reports: Sequence[Report], place: int) -> float | None:
    """Returns which share of the documents with text got no score."""
    found = dig(reports[place], "detector", "unscored")
    rows = [*found.values()] if isinstance(found, Mapping) else []
    docs, of = (sum(number(row, name) or 0 for row in rows) for name in ("docs", "of"))
    return docs / of if of else None


def dead_letters(reports: Sequence[Report], place: int) -> float | None:
    """Returns which share of what was read could not be read."""
    dead, read = (
        number(reports[place], "books", name) for name in ("dead_letters", "read")
    )
    return None if dead is None or not read else dead / read


def canary(reports: Sequence[Report], place: int) -> float | None:
    """Returns the largest change of a canary since the detector's first build."""
    mine = detector_of(reports[place])
    now = _canaries(reports[place])
    first = next(
        (_canaries(r) for r in reports if detector_of(r) == mine and _canaries(r)), {}
    )
    changes = [abs(now[name] - first[name]) for name in now if name in first]
    return max(changes, default=None) if mine is not None else None


def _canaries(report: Report) -> dict[str, float]:
    rows = dig(report, "detector", "canaries")
    found = {}
    for row in rows if isinstance(rows, list) else ():
        score = number(row, "score")
        if score is not None:
            found[str(dig(row, "name"))] = score
    return found
