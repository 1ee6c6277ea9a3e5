"""Charts as SVG images inside a page: drawn by Vega-Lite, without a network or script.

A chart is a Vega-Lite specification, a plain dict; vl-convert renders it here.
"""

import base64
import html
import importlib
from collections.abc import Mapping
from typing import Any

from synthfilter.core.errors import UserError

INSTALL = "pip install 'vl-convert-python<2', or synthfilter with its extra report"
# The first two are those of human and machine-written text; all can be told apart by
# the colour-blind, on light and on dark ground.
_LIGHT = ("#2a78d6", "#d9601f", "#1a8a5a", "#8457c9", "#b0892b", "#6b7280")
_DARK = ("#5a9cf0", "#f08a4b", "#43b581", "#ab8be8", "#d6b04f", "#9ca3af")
_VEGA_LITE = "v5.20"


def check_charts() -> None:
    """Raises UserError with what to install unless charts can be drawn."""
    _renderer()


def _renderer() -> Any:
    try:
        return importlib.import_module("vl_convert")
    except ImportError as error:
        raise UserError(
            f"charts need a package that is not installed: {INSTALL}"
        ) from error


def picture(spec: Mapping[str, Any], description: str) -> str:
    """Returns an HTML element with the chart, light or dark as the reader's screen.

    An image cannot run scripts, whatever names it shows.

    Args:
      spec: Vega-Lite, without colours of axes and ground.
      description: For people who do not see it.
    """
    light, dark = (_data_address(spec, theme) for theme in ("light", "dark"))
    said = html.escape(description)
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{said}"></picture>'
    )


def _data_address(spec: Mapping[str, Any], theme: str) -> str:
    ink, grid, ground, colours = {
        "light": ("#1f2328", "#d9dde3", "#ffffff", _LIGHT),
        "dark": ("#e6e8eb", "#3a3f47", "#16181c", _DARK),
    }[theme]
    text = {"labelColor": ink, "titleColor": ink}
    config = {
        "background": ground,
        "axis": {**text, "gridColor": grid, "domainColor": grid, "tickColor": grid},
        "legend": {**text, "labelLimit": 200},
        "title": {"color": ink},
        "range": {"category": list(colours)},
        "view": {"stroke": grid},
        "font": "sans-serif",
    }
    svg = _renderer().vegalite_to_svg({**spec, "config": config}, _VEGA_LITE)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
