"""Writes what others read first of a set: its card and its Croissant file."""

from collections.abc import Mapping
from typing import Any

import orjson

from synthfilter.core import storage
from synthfilter.core.reports import CARD, CROISSANT
from synthfilter.insight.about import About
from synthfilter.insight.card import dataset_card
from synthfilter.insight.croissant import croissant


def write_card(
    folder: str, manifest: Mapping[str, Any], report: Mapping[str, Any], about: About
) -> None:
    """Writes README.md and croissant.json of a build.

    Args:
      folder: Of the build.
      manifest: Of the build.
      report: Of the build.
      about: What only its maker knows.
    """
    card = dataset_card(manifest, report, about)
    storage.write_bytes(storage.join(folder, CARD), card.encode())
    data = orjson.dumps(croissant(manifest, report, about), option=orjson.OPT_INDENT_2)
    storage.write_bytes(storage.join(folder, CROISSANT), data + b"\n")
