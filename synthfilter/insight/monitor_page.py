"""The page of a trend: a chart and a table of each series, without a script."""

import html
from collections.abc import Sequence
from typing import Any

from synthfilter.insight.charts import picture
from synthfilter.insight.monitor import (
    Alarm,
    Trend,
    is_recent,
    tell_alarm,
    tell_value,
)
from synthfilter.insight.monitor_series import MONTHS, SERIES, SHARE, Series

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d9dde3;
  --ground: #fff; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9ca3af;
  --line: #3a3f47; --ground: #16181c; --bad: #f97066; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--ground); max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: 0 0 .2rem; }
p { margin: .3rem 0; } .soft, code { color: var(--soft); }
li { margin: .3rem 0; overflow-wrap: anywhere; }
.bad { color: var(--bad); }
.grid { display: grid; gap: 2rem 1.5rem; margin-top: 2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); }
section { min-width: 0; border-top: 2px solid var(--line); padding-top: .6rem; }
section.alarm { border-top-color: var(--bad); }
section img, section svg { max-width: 100%; height: auto; display: block; }
section p { font-size: .87rem; }
summary { cursor: pointer; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .87rem; }
th, td { padding: .15rem .7rem .15rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th.id, td.id { text-align: left; max-width: 14rem; overflow: hidden;
  text-overflow: ellipsis; }
@media print { details > * { display: block; } section { break-inside: avoid; } }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
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
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
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
    return "\n".join([*parts, "</body></html>\n"])


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
    return "".join(f"<li><bdi>{html.escape(line)}</bdi></li>" for line in lines)


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
        chart = picture(series_chart(trend, series, alarms), described)
    return (
        f'<section id="{series.name}"{" class=alarm" * alarmed}>'
        f"<h2{' class=bad' * alarmed}>{html.escape(series.title)}</h2>"
        f'<p class="soft">{html.escape(series.about)}; {_BAD_WAYS[series.bad]}; '
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
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + f'<td class="id"><bdi>{html.escape(build.build_id)}</bdi></td></tr>'
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
            "mark": {"type": "point", "size": 130, "strokeWidth": 2.5, "color": "red"},
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
