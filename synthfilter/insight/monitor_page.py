"""The page of a trend: a chart and a table of each series, without a script."""

from collections.abc import Sequence
from typing import Any

from synthfilter.insight.charts import draw
from synthfilter.insight.monitor import (
    Alarm,
    Trend,
    is_recent,
    tell_alarm,
    tell_value,
)
from synthfilter.insight.monitor_series import MONTHS, SERIES, SHARE, Series
from synthfilter.insight.parts import escape, page_head, read_part

_BAD = {"color": "var(--bad)"}
_BAD_WAYS = {
    "up": "worse when it rises",
    "down": "worse when it falls",
    "either": "worse when it moves",
}


def monitor_page(trend: Trend, broken: Sequence[str], latest: int, charts: bool) -> str:
    """Returns the page; every name in it is escaped, and no script can run.

    Args:
      trend: What was found.
      broken: Rules that fire, a line each.
      latest: How many of the last builds count for alarms.
      charts: Whether charts can be drawn; tables are always there.
    """
    builds = trend.builds
    first, last = (builds[place].started for place in (0, -1))
    title = f"Trend of {len(builds)} build{'' if len(builds) == 1 else 's'}"
    shown = [name for name in SERIES if any(v is not None for v in trend.values[name])]
    without = [name for name in SERIES if name not in shown]
    parts = [
        page_head(title, read_part("page.css") + read_part("monitor_page.css")),
        "<body><main>",
        f"<h1>{title}</h1>",
        f"<p>{first:%Y-%m-%d} to {last:%Y-%m-%d}, in the order in which they "
        "started.</p>",
        _news(trend, broken, latest),
        '<div class="grid">',
        *(_section(trend, SERIES[name], latest, charts) for name in shown),
        "</div>",
    ]
    if without:
        parts.append(f'<p class="soft">No figures: {", ".join(without)}.</p>')
    return "\n".join([*parts, "</main></body></html>\n"])


def _news(trend: Trend, broken: Sequence[str], latest: int) -> str:
    """Returns alarms, broken rules and notes."""
    recent = [alarm for alarm in trend.alarms if is_recent(trend, alarm, latest)]
    earlier = [alarm for alarm in trend.alarms if alarm not in recent]
    groups = (
        ("Alarms", "bad", [tell_alarm(trend, alarm) for alarm in recent]),
        ("Rules that fire", "bad", broken),
        ("Earlier alarms", "", [tell_alarm(trend, alarm) for alarm in earlier]),
        ("Notes", "", trend.notes),
    )
    said = [
        f'<h2 class="{kind}">{name}</h2><ul>{_items(lines)}</ul>'
        for name, kind, lines in groups
        if lines
    ]
    if not recent and not broken:
        said.insert(0, "<p><strong>No alarm.</strong></p>")
    return "\n".join(said)


def _items(lines: Sequence[str]) -> str:
    return "".join(f"<li><bdi>{escape(line)}</bdi></li>" for line in lines)


def _section(trend: Trend, series: Series, latest: int, charts: bool) -> str:
    """Returns what is told of a series: what it is, the chart, the table."""
    alarms = [alarm for alarm in trend.alarms if alarm.series == series.name]
    alarmed = any(is_recent(trend, alarm, latest) for alarm in alarms)
    known = [v for v in trend.values[series.name] if v is not None]
    chart = ""
    if charts:
        described = (
            f"{series.title} by build, last known value {tell_value(series, known[-1])}"
        )
        drawing = draw(series_chart(trend, series, alarms), described)
        chart = f"<figure>{drawing}</figure>"
    return (
        f'<section id="{series.name}"{" class=alarm" * alarmed}>'
        f"<h2{' class=bad' * alarmed}>{escape(series.title)}</h2>"
        f'<p class="soft">{escape(series.about)}; {_BAD_WAYS[series.bad]}; '
        f"<code>{series.name}</code></p>{chart}"
        f"<details{'' if charts else ' open'}><summary>Figures</summary>"
        f"{_table(trend, series, alarms)}</details></section>"
    )


def _table(trend: Trend, series: Series, alarms: Sequence[Alarm]) -> str:
    """Returns the figures of a series, a row for each build."""
    told = {alarm.at: f"since {alarm.since + 1}" for alarm in alarms}
    bounds = series.name == "true_share" and any(trend.intervals)
    names = ["build", "started", "value", *(["low", "high"] if bounds else []), "alarm"]
    rows = []
    for place, build in enumerate(trend.builds):
        ends = trend.intervals[place] or (None, None)
        cells = [
            str(place + 1),
            f"{build.started:%Y-%m-%d}",
            tell_value(series, trend.values[series.name][place]),
            *([tell_value(series, end) for end in ends] if bounds else []),
            told.get(place, ""),
        ]
        rows.append(
            "<tr>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + f'<td class="id"><bdi>{escape(build.build_id)}</bdi></td></tr>'
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<div class="wide"><table><thead><tr>{head}<th scope="col" class="id">id</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def series_chart(
    trend: Trend, series: Series, alarms: Sequence[Alarm]
) -> dict[str, Any]:
    """Returns a series by build as a Vega-Lite specification; it has no names in it."""
    told = {alarm.at for alarm in alarms}
    values = [
        {
            "build": place + 1,
            "value": value,
            "low": ends[0] if ends else None,
            "high": ends[1] if ends else None,
            "alarm": place in told,
        }
        for place, (value, ends) in enumerate(
            zip(trend.values[series.name], trend.intervals, strict=True)
        )
    ]
    x = {
        "field": "build",
        "type": "quantitative",
        "axis": {"title": "build", "format": "d", "tickMinStep": 1, "grid": False},
        "scale": {"domain": [1, max(len(values), 2)], "nice": False},
    }
    shown = {SHARE: "~%", MONTHS: "~g"}.get(series.unit, "~g")
    y = {
        "field": "value",
        "type": "quantitative",
        "axis": {"title": None, "format": shown, "tickCount": 4},
        "scale": {"zero": False, "padding": 6},
    }
    line = {"type": "line", "point": {"size": 18}}
    layers: list[dict[str, Any]] = [
        {"mark": line, "encoding": {"x": x, "y": y}},
        {
            "transform": [{"filter": "datum.alarm"}],
            "mark": {
                "type": "point",
                "size": 130,
                "strokeWidth": 2.5,
                "color": "var(--bad)",
            },
            "encoding": {"x": x, "y": y},
        },
    ]
    if series.name == "true_share" and any(trend.intervals):
        band = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
        layers.insert(0, {"mark": {"type": "area", "opacity": 0.18}, "encoding": band})
    return {
        "width": 300,
        "height": 130,
        "data": {"values": values},
        "layer": layers,
    }
