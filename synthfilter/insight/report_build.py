"""The sections on the build itself: time, facts, and samples of each reason."""

from collections.abc import Mapping
from typing import Any

from synthfilter.insight.parts import decimal, name_of, share, whole
from synthfilter.insight.report_charts import Chart, stacked_bars
from synthfilter.insight.report_parts import (
    Report,
    Section,
    Table,
    absent,
    limited,
    part,
    rows_of,
)

_LONG = 300


def timing_section(report: Report) -> Section:
    """Returns where the time went."""
    run = part(report, "run")
    stages = rows_of(report, "run", "stages")
    title = "Time"
    if not stages:
        return absent(
            "time", title, "The runner's own page has the time of each stage."
        )
    total = sum(stage.get("cpu_seconds") or 0 for stage in stages)
    most = max(stages, key=lambda stage: stage.get("cpu_seconds") or 0)
    bars = [(s["stage"], {"series-4": s.get("cpu_seconds") or 0}) for s in stages]
    rows = [
        [
            name_of(stage["stage"]),
            decimal(stage.get("cpu_seconds"), 2),
            whole(stage.get("parts")),
            whole(stage.get("bytes")),
        ]
        for stage in stages
    ]
    machine = part(run, "machine")
    workers = run.get("workers")
    return Section(
        "time",
        title,
        "Seconds of processors by stage, over all workers. Look for a stage that takes "
        "more than reading and scoring do.",
        [
            Chart(
                stacked_bars(bars, "CPU seconds"),
                f"{name_of(most['stage'], 40)} took most, "
                f"{decimal(most.get('cpu_seconds'), 1)} of {decimal(total, 1)} CPU "
                "seconds",
            )
        ],
        [
            Table("By stage", ["stage", "CPU seconds", "parts", "bytes"], rows),
            Table(
                "The run",
                ["", ""],
                [
                    ["seconds", str(decimal(run.get("seconds"), 1))],
                    ["workers", str(whole(workers))],
                    *([name, name_of(value)] for name, value in machine.items()),
                ],
            ),
        ],
    )


def build_section(report: Report) -> Section:
    """Returns what the build was: its id, digest, detector, options and inputs."""
    detector = part(report, "detector")
    facts = [
        ["build", name_of(report.get("build_id"))],
        ["content digest", name_of(report.get("content_digest"))],
        ["synthfilter", name_of(report.get("synthfilter_version"))],
        ["detector", name_of(detector.get("name"))],
        ["detector's sha256", name_of(detector.get("sha256"))],
        [
            "ids that stand for several texts",
            whole(part(report, "same_ids").get("ids")),
        ],
        *(
            [f"archive, {name}", _value(value)]
            for name, value in part(report, "core").items()
            if name != "files"
        ),
    ]
    options = [[name, _value(v)] for name, v in part(report, "options").items()]
    inputs, more = limited(rows_of(report, "inputs"))
    read = [
        [
            name_of(row.get("path"), _LONG),
            name_of(row.get("declared")),
            whole(row.get("rows")),
            "broken" if row.get("broken") else "whole",
            name_of(row.get("fingerprint"), 40),
        ]
        for row in inputs
    ]
    tables = [
        Table("The build", ["", ""], facts, True),
        Table("Options", ["option", "value"], options),
        Table(
            f"Inputs{more}",
            ["file", "declared", "documents", "state", "fingerprint"],
            read,
        ),
        *_detector_tables(report),
    ]
    return Section(
        "build",
        "The build",
        "The same input and options give the same digest, whatever the machine.",
        tables=[table for table in tables if table.rows],
    )


def _detector_tables(report: Report) -> list[Table]:
    """Whether the detector is as it was, and what it did not score."""
    canaries = [
        [
            name_of(c.get("name")),
            decimal(c.get("score")),
            decimal(c.get("expected")),
            "yes" if c.get("moved") else "no",
        ]
        for c in rows_of(report, "detector", "canaries")
    ]
    unscored = [
        [
            origin,
            whole(found.get("docs")),
            whole(found.get("of")),
            share(found.get("share")),
        ]
        for origin, found in part(report, "detector", "unscored").items()
    ]
    moved = [
        [
            name_of(row.get("declared")),
            decimal(row.get("index"), 2),
            decimal(row.get("limit"), 2),
            "yes" if row.get("moved") else "no",
        ]
        for row in rows_of(report, "drift", "scores")
    ]
    before = name_of(part(report, "drift").get("against"), 40)
    return [
        Table(
            "Fixed texts, scored in each build",
            ["text", "score", "expected", "moved"],
            canaries,
        ),
        Table(
            f"Scores against those of build {before}",
            ["declared", "stability index", "much from", "moved"],
            moved,
        ),
        Table("Without a score", ["declared", "documents", "of", "share"], unscored),
    ]


def _value(value: Any) -> str:
    """Returns an option as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return name_of(None)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        pairs = [f"{key}={found}" for key, found in value.items()]
        return name_of(", ".join(pairs), _LONG) if pairs else name_of(None)
    if isinstance(value, list):
        return name_of(", ".join(map(str, value)), _LONG) if value else name_of(None)
    return name_of(value, _LONG)
