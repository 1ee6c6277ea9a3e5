"""What lies beside a build's data: names of files, and how its report is read."""

import datetime
import re
from collections.abc import Mapping
from typing import Any

import orjson

from synthfilter.core import storage
from synthfilter.core.errors import UserError

REPORT = "report.json"
PAGE = "report.html"
CARD = "README.md"
CROISSANT = "croissant.json"
LINEAGE = "openlineage.json"
REPORT_VERSION = 1


def report_path(place: str) -> str:
    """Returns the path of a report.

    Args:
      place: Output folder of a build, or the report itself.
    """
    return place if place.endswith(".json") else storage.join(place, REPORT)


def started_of(report: Mapping[str, Any]) -> datetime.datetime:
    """Returns when the build of a report started, in UTC; so it is without a zone.

    Raises:
      ValueError: the report does not say, or not as a time.
    """
    run = report.get("run")
    said = str(run.get("started") if isinstance(run, Mapping) else None)
    # Python 3.10 reads no Z.
    found = datetime.datetime.fromisoformat(re.sub("[zZ]$", "+00:00", said))
    if found.tzinfo is None:
        return found.replace(tzinfo=datetime.timezone.utc)
    return found.astimezone(datetime.timezone.utc)


def read_report(place: str) -> dict[str, Any]:
    """Returns the report of a build.

    Args:
      place: Output folder of the build, or the report itself.

    Raises:
      UserError: there is none, or none that can be read here.
    """
    path = report_path(place)
    try:
        data = storage.read_bytes(path) if storage.exists(path) else None
    except OSError as error:
        raise UserError(f"{path!r} cannot be read: {error}") from error
    if data is None:
        raise UserError(
            f"{place!r} holds no {REPORT}; name the output folder of a finished build"
        )
    try:
        report = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path!r} is not JSON: {error}") from error
    version = report.get("report_version") if isinstance(report, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise UserError(
            f"{path!r}: expected the {REPORT} of a build, with a report_version"
        )
    if version > REPORT_VERSION:
        raise UserError(
            f"{path!r}: report_version {version} is newer than {REPORT_VERSION}, the "
            "newest that this synthfilter knows; update it"
        )
    return report
