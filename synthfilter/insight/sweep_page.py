"""The page of a sweep: charts and the table in one HTML file that stands alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthfilter.core.errors import UserError
from synthfilter.insight.charts import WIDTH, draw
from synthfilter.insight.parts import Number, escape, page_head, read_part, table

Rows = Sequence[Mapping[str, Any]]


def sweep_page(
    title: str,
    lines: Sequence[str],
    rows: Rows,
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    notes: Sequence[str],
) -> str:
    """Returns the page; every name in it is escaped, and no script can run.

    Without the package that draws charts it has the table alone.

    Args:
      title: Heading.
      lines: What was tried, a paragraph each.
      rows: Of settings, by the names of `sweep.COLUMNS`.
      columns: Names of the table's columns.
      cells: Of each row.
      notes: Below the table.
    """
    try:
        drawn = [draw(spec, said) for said, spec in charts(rows).items()]
    except UserError as error:
        drawn, lines = [], [*lines, str(error)]
    shown = "\n".join(f"<figure>{chart}</figure>" for chart in drawn)
    figures = [[line[0], *map(Number, line[1:])] for line in cells]
    parts = [
        page_head(title, read_part("page.css")),
        f"<body><header><h1>{escape(title)}</h1></header><main>",
        *(f"<p>{escape(line)}</p>" for line in lines),
        f'<div class="charts">{shown}</div>',
        f"<section>{table(columns, figures, 'Settings')}</section>",
        *(f"<p>{escape(note)}</p>" for note in notes),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def charts(rows: Rows) -> dict[str, dict[str, Any]]:
    """Returns Vega-Lite specifications by what they show; none of a single setting."""
    points = [_point(row) for row in rows]
    found: dict[str, dict[str, Any]] = {}
    if len({point["threshold"] for point in points}) > 1:
        found["Share of the documents that are flagged, by threshold"] = _filter_chart(
            points
        )
    # Along the option of which more values were tried; the other is the colour.
    x, colour = sorted(
        ("threshold", "near copies from"),
        key=lambda name: -len({point[name] for point in points}),
    )
    points = [point for point in points if point["in"] and point[x] is not None]
    if len({point[x] for point in points}) < 2:
        return found
    points.sort(key=lambda point: point[colour] or 0.0)
    for point in points:
        point["of"] = f"{colour} {point[colour] or 'none'}"
    found["Human documents in the set, by setting"] = _chart(
        "Human documents in the set", points, x, _height("human", "documents", "~s")
    )
    found["Synthetic share of the set, by setting"] = _share_chart(points, x)
    return found


def _share_chart(points: Sequence[Mapping[str, Any]], x: str) -> dict[str, Any]:
    """Returns the chart of shares, with the interval of one line of settings."""
    share = _height("share", "share", "~%")
    chart = _chart("Synthetic share, as counted", points, x, share)
    if any(point["low"] is None for point in points):
        return chart
    lines: dict[str, int] = {}
    for point in points:
        # The build's own line, if it is one.
        lines[point["of"]] = lines.get(point["of"], 0) + 1 + point["own"]
    of = max(lines, key=lambda name: lines[name])
    same = chart["layer"][0]["encoding"]
    heights = {"y": {**share, "field": "low"}, "y2": {"field": "high"}}
    interval = {
        "mark": {"type": "area", "opacity": 0.15},
        "transform": [{"filter": {"field": "of", "equal": of}}],
        "encoding": {**same, **heights},
    }
    counted = {
        "mark": {"type": "line", "strokeDash": [4, 3]},
        "encoding": {**same, "y": {**share, "field": "counted"}},
    }
    return {
        **chart,
        "title": ["Synthetic share, estimated and counted (dashed)", f"band: {of}"],
        "layer": [interval, counted, *chart["layer"]],
    }


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what charts show of a row, by names for people."""
    threshold = row["threshold"]
    by_length = isinstance(threshold, dict)
    share = row["declared"] if row["estimated"] is None else row["estimated"]
    return {
        # Of thresholds by length, that of the longest documents.
        "threshold": [*threshold.values()][-1] if by_length else threshold,
        "near copies from": row["near_duplicates"],
        "own": row["own"],
        "in": row["refused"] is None,
        "human": row["kept_human"],
        "counted": row["declared"],
        "share": share,
        "low": row["low"],
        "high": row["high"],
        "rates": {
            "human lost": _rate(row["human_lost"], row["known_human"]),
            "synthetic caught": _rate(row["synthetic_caught"], row["known_synthetic"]),
            "unknown flagged": _rate(row["unknown_flagged"], row["unknown"]),
        },
    }


def _rate(number: int, of: int) -> float | None:
    return number / of if of else None


def _filter_chart(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the chart of what is flagged, the same for all similarities."""
    flagged = [
        {
            "threshold": point["threshold"],
            "own": point["own"],
            "of": name,
            "rate": rate,
        }
        for point in points
        for name, rate in point["rates"].items()
        if rate is not None
    ]
    rate = _height("rate", "share of the documents of a kind", "~%")
    return _chart("What the threshold flags", flagged, "threshold", rate)


def _height(field: str, title: str, figures: str) -> dict[str, Any]:
    """Returns what a height stands for."""
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"title": title, "format": figures},
    }


def _chart(
    title: str,
    points: Sequence[Mapping[str, Any]],
    x: str,
    y: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns a chart of lines, with a dot on each for the build's own setting.

    Args:
      title: Above it.
      points: What it shows; a line for each value of `of`.
      x: Field along the axis.
      y: The height.
    """
    across = {
        "field": x,
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"title": x},
    }
    colour = {
        "field": "of",
        "type": "nominal",
        "sort": list(dict.fromkeys(point["of"] for point in points)),
        "legend": {
            "title": None,
            "orient": "bottom",
            "columns": 2,
            "columnPadding": 30,
            "symbolOpacity": 1,
        },
    }
    same = {"x": across, "y": y, "color": colour}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "line"}, "encoding": same},
        {
            "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
            "transform": [{"filter": "datum.own"}],
            "encoding": same,
        },
    ]
    return {
        "title": title,
        "width": WIDTH,
        "height": 300,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": list(points)},
        "layer": layers,
    }
