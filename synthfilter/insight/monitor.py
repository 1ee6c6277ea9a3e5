"""The trend over a series of builds: figures, what changed for the worse, rules."""

import datetime
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from synthfilter.core.errors import UserError
from synthfilter.core.reports import started_of
from synthfilter.insight.change_point import find_changes
from synthfilter.insight.monitor_figures import (
    Report,
    detector_of,
    dig,
    interval,
    number,
)
from synthfilter.insight.monitor_series import MONTHS, SERIES, SHARE, Series

MONITOR_VERSION = 1
Values = Sequence[float | None]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RULE = re.compile(
    r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*"
)


class Build(NamedTuple):
    """A build of the series.

    Attributes:
      build_id: Which it is.
      started: When, in UTC.
      path: Its report.json.
      detector: The sha256 of its detector.
    """

    build_id: str
    started: datetime.datetime
    path: str
    detector: str | None


class Alarm(NamedTuple):
    """A series that changed for the worse.

    Attributes:
      series: Which.
      at: Place of the build with which it became an alarm.
      since: Place of the build at which it seems to have begun.
      before: Mean before that.
      after: Mean since then, up to the alarm.
      deviations: The difference in standard deviations; None where a fixed limit and
        not the spread of the series decides.
    """

    series: str
    at: int
    since: int
    before: float
    after: float
    deviations: float | None


class Rule(NamedTuple):
    """A bound for a series in the latest build, such as `novelty<0.5`."""

    series: str
    compare: str
    bound: float

    def __str__(self) -> str:
        """Returns it as it is written."""
        return f"{self.series}{self.compare}{self.bound:g}"

    def fires(self, value: float) -> bool:
        """Returns whether the bound is broken."""
        return _COMPARE[self.compare](value, self.bound)


class Trend(NamedTuple):
    """What a monitor found.

    Attributes:
      builds: The oldest first.
      values: By series: a figure of each build, None where nothing is known.
      intervals: Of the true share: the ends, or None, of each build.
      alarms: By place of the alarm.
      notes: What else is to be known, such as a change of the detector.
    """

    builds: list[Build]
    values: dict[str, list[float | None]]
    intervals: list[tuple[float, float] | None]
    alarms: list[Alarm]
    notes: list[str]


def parse_rule(said: str) -> Rule:
    """Returns a rule such as `novelty<0.5`.

    Raises:
      UserError: it is none, or there is no such series.
    """
    found = _RULE.fullmatch(said)
    if not found:
        raise UserError(
            f"a rule must be SERIES, one of < <= > >= and a number, such as "
            f"'novelty<0.5', got {said[:60]!r}"
        )
    series, compare, bound = found.groups()
    if series not in SERIES:
        raise UserError(f"no series {series[:40]!r}; there are {', '.join(SERIES)}")
    return Rule(series, compare, float(bound))


def order_reports(
    reports: Sequence[tuple[str, Report]],
) -> tuple[list[Build], list[Report], list[str]]:
    """Returns builds and reports by time, ties by build id, and what was left out.

    Of two reports of one build the later counts, or the one that was given later.

    Args:
      reports: Paths and reports, which have a build id and a time (`started_of`).
    """
    latest: dict[str, tuple[Build, Report]] = {}
    notes = []
    for path, report in reports:
        build_id = str(report["build_id"])
        build = Build(build_id, started_of(report), path, detector_of(report))
        mine = (build, report)
        other = latest.get(build_id)
        if other is not None:
            if other[0].started > build.started:
                mine, other = other, mine
            notes.append(
                f"two reports of build {build_id}: {mine[0].path} counts, "
                f"{other[0].path} does not"
            )
        latest[build_id] = mine
    ordered = sorted(latest.values(), key=lambda it: (it[0].started, it[0].build_id))
    return [build for build, _ in ordered], [report for _, report in ordered], notes


def measure_trend(reports: Sequence[tuple[str, Report]]) -> Trend:
    """Returns the figures of the builds and what changed for the worse.

    Args:
      reports: Paths and reports in any order, each with a build id and a time.
    """
    builds, ordered, notes = order_reports(reports)
    values = {
        name: [series.figure(ordered, place) for place in range(len(ordered))]
        for name, series in SERIES.items()
    }
    alarms = [
        alarm
        for name, series in SERIES.items()
        for alarm in find_alarms(series, values[name], builds)
    ]
    alarms.sort(key=lambda alarm: alarm.at)
    return Trend(
        builds,
        values,
        [interval(report) for report in ordered],
        alarms,
        notes + _changes_of_terms(builds, ordered),
    )


def find_alarms(series: Series, values: Values, builds: Sequence[Build]) -> list[Alarm]:
    """Returns the alarms of a series, in order.

    Where scores of two detectors cannot be compared, each detector's builds are a
    series of their own.
    """
    firsts = [0]
    if series.by_detector:
        firsts += [
            place
            for place in range(1, len(builds))
            if builds[place].detector != builds[place - 1].detector
        ]
    alarms = []
    for first, end in zip(firsts, [*firsts[1:], len(builds)], strict=True):
        part = values[first:end]
        if series.most is not None:
            found = _above(series, part)
        else:
            found = [
                Alarm(series.name, *change)
                for change in find_changes(part, series.bad, series.least)
            ]
        alarms += [
            alarm._replace(at=alarm.at + first, since=alarm.since + first)
            for alarm in found
        ]
    return alarms


def _above(series: Series, values: Values) -> list[Alarm]:
    """Returns an alarm wherever a series goes above its limit."""
    alarms = []
    before = 0.0
    for place, value in enumerate(values):
        if value is None:
            continue
        if value > (series.most or 0.0) >= before:
            alarms.append(Alarm(series.name, place, place, before, value, None))
        before = value
    return alarms


def _changes_of_terms(builds: Sequence[Build], reports: Sequence[Report]) -> list[str]:
    """Returns where builds cannot be compared in full, a line each."""
    notes = []
    for place in range(1, len(reports)):
        before, now = reports[place - 1 : place + 1]
        where = f"from build {place + 1} ({tell_build(builds[place])}) on"
        if builds[place].detector != builds[place - 1].detector:
            name = dig(now, "detector", "name")
            notes.append(
                f"another detector {where}: {name}; series of scores begin anew"
            )
        units = [dig(report, "shares", "unit") for report in (before, now)]
        if units[0] != units[1]:
            notes.append(f"shares are of {units[1]} {where}, of {units[0]} before")
        pers = [
            number(r, "diversity", "by_origin", "all", "words", "type_token", "per")
            for r in (before, now)
        ]
        if pers[0] and pers[1] and pers[0] != pers[1]:
            notes.append(
                f"type_token is of {pers[1]:,.0f} words {where}; earlier builds have "
                "none to compare"
            )
    return notes


def tell_build(build: Build) -> str:
    """Returns the day of a build and the beginning of its id."""
    return f"{build.started:%Y-%m-%d} {build.build_id[:8]}"


def tell_value(series: Series, value: float | None) -> str:
    """Returns a figure as people read it; nothing where there is none."""
    if value is None:
        return ""
    if series.unit == SHARE:
        return f"{value:.2%}"
    return f"{value:.1f}" if series.unit == MONTHS else f"{value:.4f}"


def tell_alarm(trend: Trend, alarm: Alarm) -> str:
    """Returns what changed, since when, and what to do, in a line."""
    series = SERIES[alarm.series]
    before, after = (tell_value(series, v) for v in (alarm.before, alarm.after))
    at = tell_build(trend.builds[alarm.at])
    if alarm.deviations is None:
        said = f"{after}, above {series.most:g}, in build {alarm.at + 1} ({at})"
    else:
        went = "fell" if alarm.deviations < 0 else "rose"
        since = tell_build(trend.builds[alarm.since])
        said = (
            f"{went} from {before} to {after} ({abs(alarm.deviations):.1f} deviations) "
            f"since build {alarm.since + 1} ({since}), told by build {alarm.at + 1} "
            f"({at})"
        )
    return f"{alarm.series}: {said}; {series.advice}"


def is_recent(trend: Trend, alarm: Alarm, latest: int) -> bool:
    """Returns whether one of the last so many builds made an alarm."""
    return alarm.at >= len(trend.builds) - latest


def judge_rules(trend: Trend, rules: Sequence[Rule]) -> tuple[list[str], list[str]]:
    """Returns the rules that fire in the latest build, and those without a figure.

    Each as a line.
    """
    broken, unknown = [], []
    for rule in rules:
        value = trend.values[rule.series][-1]
        if value is None:
            unknown.append(f"{rule} not judged: the latest build has no {rule.series}")
        elif rule.fires(value):
            series = SERIES[rule.series]
            broken.append(f"{rule}: it is {value:.6g}; {series.advice}")
    return broken, unknown


def trend_as_json(trend: Trend, rules: Sequence[Rule], latest: int) -> dict[str, Any]:
    """Returns all of it for programs."""
    return {
        "monitor_version": MONITOR_VERSION,
        "builds": [
            {**build._asdict(), "started": build.started.isoformat()}
            for build in trend.builds
        ],
        "series": {
            name: {
                "about": SERIES[name].about,
                "bad": SERIES[name].bad,
                "unit": SERIES[name].unit,
                "values": values,
            }
            for name, values in trend.values.items()
        },
        "true_share_intervals": trend.intervals,
        "alarms": [
            {
                **alarm._asdict(),
                "at": _place(trend, alarm.at),
                "since": _place(trend, alarm.since),
                "recent": is_recent(trend, alarm, latest),
                "said": tell_alarm(trend, alarm),
            }
            for alarm in trend.alarms
        ],
        "rules": [
            {
                "rule": str(rule),
                "value": value,
                "fires": None if value is None else rule.fires(value),
            }
            for rule in rules
            for value in [trend.values[rule.series][-1]]
        ],
        "notes": trend.notes,
    }


def _place(trend: Trend, place: int) -> Mapping[str, Any]:
    build = trend.builds[place]
    return {
        "build": place + 1,
        "build_id": build.build_id,
        "started": build.started.isoformat(),
    }
