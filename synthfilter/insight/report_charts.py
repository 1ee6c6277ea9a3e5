"""The charts of a report as Vega-Lite: figures in, specification and finding out.

Figures are added up before, so that a chart has few marks. Legends are HTML of the
page: they are read better there, and to measure text is what a chart costs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from synthfilter.insight.charts import WIDTH
from synthfilter.insight.parts import columns_of, short_names

# Names of colours in page.css; of an origin the colour has its name.
ORIGIN_COLOURS = ("human", "synthetic", "unknown", "core")
_STEP = 24
# About what a character of a name takes, in the widest of usual fonts.
_CHARACTER = 8.2
_NUMBERS = 5 * _CHARACTER
_MARGINS = 14

Row = dict[str, Any]


class Chart(NamedTuple):
    """A chart of the page.

    Attributes:
      spec: Vega-Lite.
      finding: What it shows, in one sentence.
      legend: Colours and what they stand for.
    """

    spec: Row
    finding: str
    legend: Sequence[tuple[str, str]] = ()


def colour(name: str) -> str:
    """Returns a colour of the page as a value in a chart."""
    return f"var(--{name})"


def origin_colour(origin: str) -> str:
    """Returns the name of the colour of an origin."""
    return origin if origin in ORIGIN_COLOURS else "unknown"


def _room(names: Sequence[str]) -> float:
    """Returns the room that names take beside a chart, whatever font a reader has."""
    return _CHARACTER * max(map(columns_of, names), default=0)


def _base(height: Any, beside: float, **parts: Any) -> Row:
    """Returns a chart that is `WIDTH` wide, with what stands beside it.

    To let Vega find the width would draw it twice.
    """
    return {"width": WIDTH - beside - _MARGINS, "height": height, **parts}


def _names_axis(names: Sequence[str]) -> Row:
    room = _room(names)
    return {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "grid": False, "minExtent": room, "maxExtent": room},
    }


def _amounts_axis(title: Optional[str], form: str = "~s", **scale: Any) -> Row:
    return {
        "type": "quantitative",
        "axis": {
            "title": title,
            # A billion, as people count documents.
            "labelExpr": f"replace(format(datum.value, '{form}'), 'G', 'B')",
            "tickCount": 4,
            "grid": True,
        },
        "scale": scale,
    }


def _heights_axis(form: str = "~s", **scale: Any) -> Row:
    """Returns an axis of numbers such as 1.2M to the left."""
    found = _amounts_axis(None, form, **scale)
    room = {"minExtent": _NUMBERS, "maxExtent": _NUMBERS}
    return {**found, "axis": {**found["axis"], **room}}


_FILL = {"field": "colour", "type": "nominal", "scale": None}


def stacked_bars(
    rows: Sequence[tuple[Any, Mapping[str, float]]], title: str, form: str = "~s"
) -> Row:
    """Returns horizontal bars, a row each, the first on top.

    Args:
      rows: Names, and amounts by name of the colour, stacked in that order.
      title: What the amounts are.
      form: How Vega writes the amounts.
    """
    names = short_names([name for name, _ in rows])
    values = [
        {"name": name, "amount": amount, "colour": colour(which), "i": i}
        for name, (_, amounts) in zip(names, rows, strict=True)
        for i, (which, amount) in enumerate(amounts.items())
    ]
    return _base(
        {"step": _STEP},
        _room(names),
        data={"values": values},
        mark={"type": "bar", "height": {"band": 0.72}},
        encoding={
            "y": _names_axis(names),
            "x": {"field": "amount", "stack": "zero", **_amounts_axis(title, form)},
            "color": _FILL,
            "order": {"field": "i"},
        },
    )


def flow_bars(
    steps: Sequence[tuple[str, int, Mapping[str, int]]], title: str, most: int
) -> Row:
    """Returns a waterfall: what is left after each step, as bars that float.

    Args:
      steps: Names, where the bar begins, and amounts by name of the colour from there.
      title: What the amounts are.
      most: The longest bar ends there.
    """
    values, totals = [], []
    names = short_names([name for name, *_ in steps])
    for name, (_, start, amounts) in zip(names, steps, strict=True):
        end = start
        for which, amount in amounts.items():
            values.append(
                {"name": name, "from": end, "to": end + amount, "colour": colour(which)}
            )
            end += amount
        totals.append({"name": name, "to": end, "said": f"{end - start:,}"})
    room = WIDTH - _room(names) - _MARGINS
    longest = _CHARACTER * (max(len(str(total["said"])) for total in totals) + 1)
    domain = [0, (most or 1) * room / (room - longest)]
    amount_axis = _amounts_axis(title, domain=domain, nice=False)
    return _base(
        {"step": _STEP},
        _room(names),
        layer=[
            {
                "data": {"values": values},
                # The least part can be seen, too.
                "mark": {"type": "bar", "height": {"band": 0.72}, "minBandSize": 1},
                "encoding": {
                    "x": {"field": "from", **amount_axis},
                    "x2": {"field": "to"},
                    "color": _FILL,
                },
            },
            {
                "data": {"values": totals},
                "mark": {"type": "text", "align": "left", "dx": 5},
                "encoding": {
                    "x": {"field": "to", "type": "quantitative"},
                    "text": {"field": "said"},
                },
            },
        ],
        encoding={"y": _names_axis(names)},
    )


def intervals(
    rows: Sequence[tuple[Any, Optional[float], float, Optional[float], str]],
    title: str,
) -> Row:
    """Returns a point with its interval for each row, in percent.

    Args:
      rows: Names, lower end, value, upper end and the name of the colour.
      title: What the values are.
    """
    names = short_names([row[0] for row in rows])
    most = max((row[3] or row[2] for row in rows), default=1.0)
    values = [
        {
            "name": name,
            "low": value if low is None else low,
            "value": value,
            "high": value if high is None else high,
            "colour": colour(which),
        }
        for name, (_, low, value, high, which) in zip(names, rows, strict=True)
    ]
    axis = _amounts_axis(title, "~%", domain=[0, min(1.0, 1.1 * most) or 1])
    return _base(
        {"step": _STEP},
        _room(names),
        data={"values": values},
        encoding={"y": _names_axis(names), "color": _FILL},
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45},
                "encoding": {"x": {"field": "low", **axis}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
                "encoding": {"x": {"field": "value", "type": "quantitative"}},
            },
        ],
    )


def score_columns(
    kept: Sequence[int], left_out: Sequence[int], origin: str, lines: Sequence[float]
) -> Row:
    """Returns a histogram of scores: all behind, kept before; thresholds as lines.

    Args:
      kept: Documents by bin of the score, equal bins from 0 to 1.
      left_out: The same, of what was left out.
      origin: Whose colour.
      lines: Thresholds.
    """
    bins = len(kept)
    both = [a + b for a, b in zip(kept, left_out, strict=True)]
    values = [
        {"from": i / bins, "to": (i + 1) / bins, "docs": docs, "colour": colour(name)}
        for name, counts in ((f"{origin}-soft", both), (origin, kept))
        for i, docs in enumerate(counts)
        if docs
    ]
    x_axis = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"title": "score", "tickCount": 5, "format": "~f", "grid": False},
    }
    rule = {
        "data": {"values": [{"at": line} for line in lines]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5},
        "encoding": {"x": {"field": "at", **x_axis}},
    }
    columns = {
        "data": {"values": values},
        "mark": {"type": "bar", "binSpacing": 1},
        "encoding": {
            "x": {"field": "from", "bin": {"binned": True}, **x_axis},
            "x2": {"field": "to"},
            "y": {
                "field": "docs",
                "stack": None,
                **_heights_axis(type="sqrt"),
            },
            "color": _FILL,
        },
    }
    return _base(120, _NUMBERS, layer=[columns, rule])


def columns_by_place(
    amounts: Mapping[str, Mapping[float, float]],
    width: float,
    title: str,
    form: str = "d",
) -> Row:
    """Returns columns over a number such as a year, stacked by colour.

    Args:
      amounts: By name of the colour: amounts by where the column begins.
      width: Of a column.
      title: Of the numbers below.
      form: How Vega writes them.
    """
    values = [
        {"from": at, "to": at + width, "docs": docs, "colour": colour(which), "i": i}
        for i, (which, found) in enumerate(amounts.items())
        for at, docs in found.items()
    ]
    return _base(
        150,
        _NUMBERS,
        data={"values": values},
        mark={"type": "bar", "binSpacing": 0 if len(values) > 150 else 1},
        encoding={
            "x": {
                "field": "from",
                "type": "quantitative",
                "bin": {"binned": True},
                "scale": {"zero": False, "nice": False},
                "axis": {
                    "title": title,
                    "format": form,
                    "tickCount": 6,
                    "grid": False,
                    "tickMinStep": 1,
                },
            },
            "x2": {"field": "to"},
            "y": {"field": "docs", "stack": "zero", **_heights_axis()},
            "color": _FILL,
            "order": {"field": "i"},
        },
    )


def columns_by_name(
    names: Sequence[str], amounts: Mapping[str, Sequence[float]], title: str, form: str
) -> Row:
    """Returns columns side by side: for each name one of each colour."""
    values = [
        {"name": name, "amount": found[i], "colour": colour(which), "which": which}
        for which, found in amounts.items()
        for i, name in enumerate(names)
    ]
    below = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": title,
            "labelAngle": 0,
            "labelOverlap": True,
            "labelSeparation": 10,
            "grid": False,
        },
    }
    return _base(
        150,
        _NUMBERS,
        data={"values": values},
        mark={"type": "bar"},
        encoding={
            "x": below,
            "xOffset": {"field": "which", "sort": None},
            "y": {"field": "amount", **_heights_axis(form)},
            "color": _FILL,
        },
    )


def paired_bars(rows: Sequence[tuple[Any, float, float, str]], title: str) -> Row:
    """Returns two bars for each row, one before the other.

    Args:
      rows: Names, the amount behind, in grey, the one before it and its colour.
      title: What the amounts are.
    """
    names = short_names([row[0] for row in rows])
    values = [
        {"name": name, "amount": amount, "colour": colour(which), "thick": thick}
        for name, row in zip(names, rows, strict=True)
        for amount, which, thick in ((row[1], "out", 1), (row[2], row[3], 0))
    ]

    def layer(thick: int, band: float) -> Row:
        return {
            "transform": [{"filter": f"datum.thick == {thick}"}],
            "mark": {"type": "bar", "height": {"band": band}},
            "encoding": {"x": {"field": "amount", **_amounts_axis(title)}},
        }

    return _base(
        {"step": 30},
        _room(names),
        data={"values": values},
        encoding={"y": _names_axis(names), "color": _FILL},
        layer=[layer(1, 0.8), layer(0, 0.4)],
    )
