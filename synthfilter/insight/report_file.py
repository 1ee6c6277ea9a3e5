"""report.json, what each build measured of itself: where it is, and how it is read."""

from typing import Any

import orjson

from synthfilter.core import storage
from synthfilter.core.errors import UserError

REPORT = "report.json"
PAGE = "report.html"
REPORT_VERSION = 1


def read_report(folder: str) -> dict[str, Any]:
    """Returns the report of a build.

    Args:
      folder: Its output folder.

    Raises:
      UserError: there is none, or none that can be read here.
    """
    path = storage.join(folder, REPORT)
    if not storage.exists(path):
        raise UserError(
            f"{folder!r} holds no {REPORT}; name the output folder of a finished build"
        )
    try:
        report = orjson.loads(storage.read_bytes(path))
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path!r} is not JSON: {error}") from error
    found = report.get("report_version") if isinstance(report, dict) else None
    if found != REPORT_VERSION:
        raise UserError(
            f"{path!r} has report_version {found}, expected {REPORT_VERSION}; read it "
            "with the synthfilter that wrote it"
        )
    return report
