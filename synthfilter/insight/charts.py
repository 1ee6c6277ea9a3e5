"""Charts that stand inline in a page: drawn by Vega-Lite, without network or script.

A chart is a Vega-Lite specification, a plain dict; vl-convert renders it here, once.
Its colours are CSS variables of the page (page.css), so that it follows the reader's
theme, and paper.
"""

import html
import importlib
import re
from collections.abc import Mapping
from typing import Any

import xxhash

from synthfilter.core.errors import UserError

INSTALL = "pip install 'synthfilter[report]'"
# How wide every chart is, its labels included. Narrow, so that its text can still be
# read where a phone shows it smaller.
WIDTH = 440
_VEGA_LITE = "v5.20"
_PADDING = {"left": 4, "right": 10, "top": 6, "bottom": 2}

CONFIG: dict[str, Any] = {
    "background": None,
    # Charts are one image to those who do not see them, described in one sentence.
    "aria": False,
    "font": "system-ui, sans-serif",
    "padding": _PADDING,
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "labelFontSize": 13,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
        # To measure text is most of what a chart costs; names come shortened.
        "labelLimit": 0,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 13,
        "labelLimit": 200,
        "symbolType": "square",
    },
    "title": {"color": "var(--ink)", "fontSize": 13},
    "range": {"category": [f"var(--series-{i})" for i in range(1, 7)]},
    "view": {"stroke": None},
    "text": {"color": "var(--ink)", "fontSize": 13},
    "rule": {"color": "var(--ink)"},
}


def charts_available() -> bool:
    """Returns whether the package that draws charts can be used."""
    try:
        importlib.import_module("vl_convert")
    except ImportError:
        return False
    return True


def check_charts() -> None:
    """Raises UserError with what to install unless charts can be drawn."""
    if not charts_available():
        raise UserError(f"charts need a package that is not installed: {INSTALL}")


def draw(spec: Mapping[str, Any], label: str) -> str:
    """Returns a chart as an `<svg>` element for an HTML page.

    It has no styles, scripts or addresses, whatever names it shows, and no id that
    another chart has.

    Args:
      spec: Vega-Lite, without the colours of axes and ground.
      label: What the chart shows, for people who do not see it.

    Raises:
      UserError: the package that draws is not installed.
    """
    check_charts()
    renderer = importlib.import_module("vl_convert")
    config = {**CONFIG, **spec.get("config", {})}
    svg = renderer.vegalite_to_svg({**spec, "config": config}, _VEGA_LITE)
    head, _, body = svg.partition(">")
    box = re.search(r'viewBox="[\d. -]+"', head)
    if box is None:
        raise RuntimeError(f"the chart has no viewBox: {head[:200]!r}")
    mine = f"c{xxhash.xxh3_64_hexdigest(body.encode())}"
    body = re.sub(r'(<(?:clipPath|\w+Gradient) id=")', rf"\g<1>{mine}-", body)
    body = re.sub(r'(="url\(#)', rf"\g<1>{mine}-", body)
    said = html.escape(label)
    return f'<svg {box[0]} role="img" aria-label="{said}">{body}'
