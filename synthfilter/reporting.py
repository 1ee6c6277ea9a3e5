"""A finished build explains itself: its report, its page, its card."""

import dataclasses
import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from synthfilter.core import storage
from synthfilter.core.progress import read_beats
from synthfilter.identity import number_builds
from synthfilter.insight.figures import Figures
from synthfilter.insight.report import REPORT, make_report
from synthfilter.ledger.table import open_ledger


@dataclasses.dataclass(frozen=True)
class About:
    """What a report tells of a build besides its documents.

    Attributes:
      started: When the build was put together.
      workers: Processes that it runs in; None: the runner decides.
      thresholds: Scores from which on documents count as machine text.
      canaries: Scores of texts that are always the same.
      beats: Folder for progress, None for none.
    """

    started: datetime.datetime
    workers: int | None
    thresholds: Sequence[float]
    canaries: Sequence[Mapping[str, Any]]
    beats: str | None


def write_report(
    folder: str,
    manifest: Mapping[str, Any],
    figures: Figures,
    groups: Sequence[str],
    sources: np.ndarray,
    ledger: str | None,
    about: About,
) -> None:
    """Writes what a build says of itself beside its shards.

    Args:
      folder: Of the build.
      manifest: That is about to be published.
      figures: Of all documents.
      groups: Names of the groups of the mixture, by their numbers.
      sources: Keys of the sources in `Figures.sources`, uint64.
      ledger: Of earlier uses, None for none.
      about: The rest.
    """
    report = make_report(
        manifest,
        figures,
        groups,
        sources,
        about.thresholds,
        about.canaries,
        None,
        _earlier_builds(ledger, figures),
        tell_run(about),
    )
    data = orjson.dumps(report, option=orjson.OPT_INDENT_2)
    storage.write_bytes(storage.join(folder, REPORT), data + b"\n")


def tell_run(about: About) -> dict[str, Any]:
    """Returns when, where and how fast a build ran, up to now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stages = None
    if about.beats is not None:
        stages = [
            {
                "stage": stage,
                "parts": done.parts,
                "bytes": done.bytes,
                "cpu_seconds": done.milliseconds / 1000,
            }
            for stage, done in read_beats(about.beats).items()
        ]
    return {
        "started": about.started.isoformat(timespec="seconds"),
        "seconds": round((now - about.started).total_seconds(), 3),
        "workers": about.workers,
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
        },
        "stages": stages,
    }


def _earlier_builds(path: str | None, figures: Figures) -> dict[int, str]:
    """Returns the names of the earlier builds that had documents of this one."""
    ledger = None
    if path is not None and len(figures.earlier.hashes):
        ledger = open_ledger(path)
    return {} if ledger is None else number_builds(ledger)
