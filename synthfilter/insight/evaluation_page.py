"""The page of an evaluation: figures and charts in one HTML file that stands alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthfilter.insight.charts import WIDTH, draw
from synthfilter.insight.parts import Number, escape, page_head, read_part, table

_BINS = 40

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def evaluation_page(
    title: str,
    lines: Sequence[str],
    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[str]]]],
    curves: Curves,
    scores: Mapping[str, np.ndarray],
) -> str:
    """Returns the page; every name in it is escaped, and no script can run.

    Args:
      title: Heading.
      lines: What was measured, a paragraph each.
      tables: By heading: the names of the columns, and rows of cells.
      curves: By name: false- and true-positive rates of a ROC curve.
      scores: By class: the scores.
    """
    charts = [
        draw(roc_chart(curves, "linear"), "ROC curves"),
        draw(roc_chart(curves, "log"), "ROC curves at low false-positive rates"),
        draw(histogram_chart(scores), "Histogram of the scores of each class"),
    ]
    shown = "\n".join(f"<figure>{chart}</figure>" for chart in charts)
    parts = [
        page_head(title, read_part("page.css")),
        f"<body><header><h1>{escape(title)}</h1></header><main>",
        *(f"<p>{escape(line)}</p>" for line in lines),
        f'<div class="charts">{shown}</div>',
        *(
            f"<section><h2>{escape(name)}</h2>{_figures(name, *content)}</section>"
            for name, content in tables.items()
        ),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _figures(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table(columns, [[row[0], *map(Number, row[1:])] for row in rows], name)


def roc_chart(curves: Curves, scale: str) -> dict[str, Any]:
    """Returns ROC curves as a Vega-Lite specification.

    Args:
      curves: As for `evaluation_page`.
      scale: Of the false-positive rate: linear or log.
    """
    values = [
        {"fpr": float(x), "tpr": float(y), "of": name}
        for name, (false, true) in curves.items()
        for x, y in zip(false, true, strict=True)
        if scale == "linear" or x >= 1e-4
    ]
    x_scale = {"type": scale, "domain": [0 if scale == "linear" else 1e-3, 1]}
    return {
        "title": f"ROC{'' if scale == 'linear' else ', low false-positive rates'}",
        "width": WIDTH,
        "height": 320,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": values},
        "mark": {"type": "line", "interpolate": "step-after", "clip": True},
        "encoding": {
            "x": {
                "field": "fpr",
                "type": "quantitative",
                "scale": x_scale,
                "axis": {
                    "title": "false-positive rate",
                    "format": "~%",
                    "values": [0.001, 0.01, 0.1, 1]
                    if scale == "log"
                    else [0, 0.25, 0.5, 0.75, 1],
                },
            },
            "y": {
                "field": "tpr",
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "axis": {"title": "detected", "format": "~%", "tickCount": 5},
            },
            "color": {
                "field": "of",
                "type": "nominal",
                "sort": list(curves),
                "legend": {
                    "title": None,
                    "orient": "bottom",
                    "columns": 3,
                    "columnPadding": 24,
                },
            },
            "order": {"field": "fpr", "type": "quantitative"},
        },
    }


def histogram_chart(scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the share of each class's scores by score, as Vega-Lite."""
    edges = np.linspace(0, 1, _BINS + 1)
    values = []
    for name, found in scores.items():
        shares = np.histogram(found, edges)[0] / max(len(found), 1)
        values += [
            {"from": float(edges[i]), "to": float(edges[i + 1]), "share": float(share)}
            | {"of": name}
            for i, share in enumerate(shares)
        ]
    return {
        "title": "Scores",
        "width": WIDTH,
        "height": 320,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": values},
        "mark": {"type": "bar", "opacity": 0.6},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "bin": {"binned": True, "step": 1 / _BINS},
                "scale": {"domain": [0, 1]},
                "axis": {"title": "score", "format": "~f", "tickCount": 5},
            },
            "x2": {"field": "to"},
            "y": {
                "field": "share",
                "type": "quantitative",
                "stack": None,
                "axis": {"title": "share of the class", "format": "~%", "tickCount": 5},
            },
            "color": {
                "field": "of",
                "type": "nominal",
                "sort": list(scores),
                "legend": {"title": None, "orient": "bottom", "columnPadding": 24},
            },
        },
    }
