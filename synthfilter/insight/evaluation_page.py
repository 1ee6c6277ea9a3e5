"""The page of an evaluation: figures and charts in one HTML file that stands alone."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthfilter.insight.charts import picture

_BINS = 40
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d9dde3;
  --ground: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9ca3af;
  --line: #3a3f47; --ground: #16181c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--ground); max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
p, caption { color: var(--soft); }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.charts img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; white-space: normal;
  overflow-wrap: anywhere; min-width: 9rem; }
small { color: var(--soft); }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

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
        picture(roc_chart(curves, "linear"), "ROC curves"),
        picture(roc_chart(curves, "log"), "ROC curves at low false-positive rates"),
        picture(histogram_chart(scores), "Histogram of the scores of each class"),
    ]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in lines),
        f'<div class="charts">{"".join(charts)}</div>',
        *(_table(name, *content) for name, content in tables.items()),
        "</body></html>\n",
    ]
    return "\n".join(parts)


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
        "width": 380,
        "height": 320,
        "data": {"values": values},
        "mark": {"type": "line", "interpolate": "step-after", "clip": True},
        "encoding": {
            "x": {
                "field": "fpr",
                "type": "quantitative",
                "scale": x_scale,
                "axis": {"title": "false-positive rate", "format": "~%"},
            },
            "y": {
                "field": "tpr",
                "type": "quantitative",
                "scale": {"domain": [0, 1]},
                "axis": {"title": "detected", "format": "~%"},
            },
            "color": {
                "field": "of",
                "type": "nominal",
                "sort": list(curves),
                "legend": {"title": None, "orient": "bottom", "columns": 3},
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
        "width": 380,
        "height": 320,
        "data": {"values": values},
        "mark": {"type": "bar", "opacity": 0.6},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "bin": {"binned": True, "step": 1 / _BINS},
                "scale": {"domain": [0, 1]},
                "axis": {"title": "score"},
            },
            "x2": {"field": "to"},
            "y": {
                "field": "share",
                "type": "quantitative",
                "stack": None,
                "axis": {"title": "share of the class", "format": "~%"},
            },
            "color": {
                "field": "of",
                "type": "nominal",
                "sort": list(scores),
                "legend": {"title": None, "orient": "bottom"},
            },
        },
    }


def _table(heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return (
        f'<h2>{html.escape(heading)}</h2><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )
