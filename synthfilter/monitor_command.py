"""The command `synthfilter monitor`: the trend over a series of builds."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any, Optional

import orjson
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from rich import box
from rich.table import Table
from rich.text import Text

from synthfilter.console import Reporter, count
from synthfilter.core import storage
from synthfilter.core.errors import CHECK_FAILED, UserError
from synthfilter.core.reports import REPORT, read_report, started_of
from synthfilter.core.text import printable
from synthfilter.insight.charts import check_charts
from synthfilter.insight.monitor import (
    Rule,
    Trend,
    is_recent,
    judge_rules,
    measure_trend,
    parse_rule,
    tell_alarm,
    tell_value,
    trend_as_json,
)
from synthfilter.insight.monitor_figures import SKETCHED, Report, sketch
from synthfilter.insight.monitor_page import monitor_page
from synthfilter.insight.monitor_series import SERIES
from synthfilter.options import add_command, make_options

# Builds that the table in the terminal shows.
_SHOWN = 6
# The longest line, which names from reports are in.
_LINE = 500


@dataclasses.dataclass(kw_only=True)
class Monitor:
    """Shows the trend over a series of builds, and alarms when it turns bad.

    Reads the report.json of each build, the oldest first by when the builds started.
    The exit code is 4 when a series changed for the worse, or a rule of --fail-on
    fires, in the latest build. Files that it writes replace those of before.

    Args:
      fail_on: Bounds for the latest build, such as 'novelty<0.5' 'true_share>0.35'.
      latest: How many of the last builds count for alarms; more than one if it does not
        run after each build.
      skip_broken: Pass over reports that cannot be read or are of a newer version.
      html: File for a page with a chart of each series.
      json: File for all figures and alarms, for programs.
      prometheus: File for the latest figures, for the textfile collector of
        Prometheus's node exporter; its name must end in .prom.
    """

    fail_on: list[str] = dataclasses.field(default_factory=list)
    latest: int = 1
    skip_broken: bool = False
    html: Optional[str] = None
    json: Optional[str] = None
    prometheus: Optional[str] = None

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        self._rules = [parse_rule(said) for said in self.fail_on]
        if self.latest < 1:
            raise UserError(f"latest must be at least 1, got {self.latest}")
        if self.prometheus is not None and not self.prometheus.endswith(".prom"):
            raise UserError(
                "prometheus must end in .prom, which the collector looks for, got "
                f"{self.prometheus!r}"
            )

    def run(self, patterns: Sequence[str], reporter: Reporter) -> bool:
        """Prints and writes the trend; returns whether there is an alarm.

        Args:
          patterns: Reports, folders that hold one, or globs of reports.
          reporter: Where to print.

        Raises:
          UserError: a report is missing, not readable or newer, or all were skipped.
        """
        reports = self._read(patterns, reporter)
        trend = measure_trend(reports)
        recent = [a for a in trend.alarms if is_recent(trend, a, self.latest)]
        broken, unknown = judge_rules(trend, self._rules)
        self._write(trend, broken, reporter)
        first, last = (trend.builds[place].started for place in (0, -1))
        reporter.say(
            f"{count(len(trend.builds), 'build')}, by start: {first:%Y-%m-%d} to "
            f"{last:%Y-%m-%d}"
        )
        _show_table(trend, reporter)
        lines = [*trend.notes, *unknown]
        for alarm in trend.alarms:
            word = "ALARM" if alarm in recent else "earlier"
            lines.append(f"{word}: {tell_alarm(trend, alarm)}")
        lines += [f"RULE: {line}" for line in broken]
        for line in lines:
            reporter.say(printable(line, _LINE))
        if not recent and not broken:
            reporter.say("no alarm")
        return bool(recent or broken)

    def _read(
        self, patterns: Sequence[str], reporter: Reporter
    ) -> list[tuple[str, Report]]:
        """Returns the paths and reports that are named."""
        reports = []
        for pattern in patterns:
            try:
                paths = _find_reports(pattern)
            except UserError as error:
                if not self.skip_broken:
                    raise
                reporter.say(f"skipped: {error}")
                continue
            for path in paths:
                try:
                    reports.append((path, read_dated_report(path)))
                except UserError as error:
                    if not self.skip_broken:
                        raise
                    reporter.say(f"skipped: {error}")
        if not reports:
            raise UserError(
                "no report.json was readable; name those of finished builds"
            )
        return reports

    def _write(self, trend: Trend, broken: list[str], reporter: Reporter) -> None:
        """Writes the files that were asked for, each as a whole."""
        if self.html is not None:
            charts = True
            try:
                check_charts()
            except UserError as error:
                charts = False
                reporter.say(f"{self.html}: tables only; {error}")
            page = monitor_page(trend, broken, self.latest, charts)
            _write_file(self.html, page.encode())
        if self.json is not None:
            found = trend_as_json(trend, self._rules, self.latest)
            option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            _write_file(self.json, orjson.dumps(found, option=option))
        if self.prometheus is not None:
            _write_file(self.prometheus, metrics(trend, self._rules, self.latest))


def _write_file(path: str, data: bytes) -> None:
    """Writes a file as a whole; whoever reads it sees the one before, or this one."""
    try:
        storage.write_bytes(path, data)
    except OSError as error:
        raise UserError(f"cannot write {path!r}: {error}") from error


def _find_reports(pattern: str) -> list[str]:
    """Returns the paths of reports that a path, folder or glob of either names."""
    if storage.is_folder(pattern):
        path = storage.join(pattern, REPORT)
        if not storage.exists(path):
            raise UserError(f"no {REPORT} in {pattern!r}; name a finished build")
        return [path]
    try:
        found = storage.list_files(pattern)
    except UserError:
        if not any(sign in pattern for sign in "*?["):
            raise
        found = storage.list_files(storage.join(pattern, REPORT))
    return [entry.path for entry in found]


def read_dated_report(path: str) -> Report:
    """Returns a report that can be placed among others.

    Raises:
      UserError: it is none, is of a newer version, or does not say which build it is of
        or when that was.
    """
    report = read_report(path)
    if not isinstance(report.get("build_id"), str):
        raise UserError(f"{path}: the report has no build_id")
    try:
        started_of(report)
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: run.started must be a time such as 2026-03-01T12:30:00Z"
        ) from error
    try:
        for origin, grams in SKETCHED:
            sketch(report, origin, grams)
    except ValueError as error:
        raise UserError(f"{path}: diversity.sketches: {error}") from error
    return report


def _show_table(trend: Trend, reporter: Reporter) -> None:
    """Prints the series of the last builds; those without a value only by name."""
    places = range(len(trend.builds))[-_SHOWN:]
    alarmed = {(alarm.series, alarm.at) for alarm in trend.alarms}
    table = Table(box=box.SIMPLE)
    table.add_column("series, bad way")
    for place in places:
        build = trend.builds[place]
        name = printable(build.build_id[:8])
        head = Text(f"{build.started:%Y-%m-%d}\n{name}")
        table.add_column(head, justify="right", no_wrap=True)
    without = []
    for name, series in SERIES.items():
        values = trend.values[name]
        if all(values[place] is None for place in places):
            without.append(name)
            continue
        cells = [
            Text(f"! {said}", style="bold red")
            if (name, place) in alarmed
            else Text(said)
            for place in places
            for said in [tell_value(series, values[place])]
        ]
        table.add_row(f"{name}, {series.bad}", *cells)
    reporter.console.print(table)
    if without:
        reporter.say(f"no figures: {', '.join(without)}")


def metrics(trend: Trend, rules: Sequence[Rule], latest: int) -> bytes:
    """Returns the latest figures in Prometheus's text format; gaps are left out."""
    registry = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"synthfilter_monitor_{name}", about, labels, registry=registry)

    last = trend.builds[-1]
    gauge("builds", "Builds in the series.").set(len(trend.builds))
    gauge("latest_build_start_seconds", "When the latest build started.").set(
        last.started.timestamp()
    )
    gauge("latest_build_info", "Which the latest build is.", "build_id").labels(
        last.build_id
    ).set(1)
    figures = gauge("figure", "A figure of the latest build, by series.", "series")
    alarms = gauge("alarm", "Whether a series just changed for the worse.", "series")
    recent = {a.series for a in trend.alarms if is_recent(trend, a, latest)}
    for name, values in trend.values.items():
        alarms.labels(name).set(name in recent)
        if values[-1] is not None:
            figures.labels(name).set(values[-1])
    fired = gauge("rule", "Whether a rule of --fail-on fires.", "rule")
    for rule in rules:
        value = trend.values[rule.series][-1]
        if value is not None:
            fired.labels(str(rule)).set(rule.fires(value))
    return generate_latest(registry)


def add_monitor_command(commands: Any) -> None:
    """Adds `monitor` to the commands of a parser."""
    command = add_command(
        commands, "monitor", "the trend over a series of builds", Monitor, _run
    )
    command.add_argument(
        "reports",
        metavar="REPORT",
        nargs="+",
        help="report.json of builds, their folders, or globs of either",
    )
    command.add_argument("--quiet", action="store_true", help="print only errors")


def _run(options: argparse.Namespace) -> int:
    job: Monitor = make_options(Monitor, None, vars(options))
    alarmed = job.run(options.reports, Reporter(options.quiet))
    return CHECK_FAILED if alarmed else 0
