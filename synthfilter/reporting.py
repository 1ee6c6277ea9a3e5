"""A finished build explains itself: its report, its page, its lineage."""

import dataclasses
import datetime
import logging
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from synthfilter.build_options import CardOptions
from synthfilter.cards import write_card
from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.licenses import UNKNOWN, parse_license
from synthfilter.core.progress import read_beats
from synthfilter.core.reports import PAGE, REPORT, read_report, report_path
from synthfilter.core.schema import Reason
from synthfilter.decisions.groups import Grouping
from synthfilter.identity import number_builds
from synthfilter.insight import diversity
from synthfilter.insight.about import About
from synthfilter.insight.drift import compare_canaries, tell_drift
from synthfilter.insight.figures import Figures
from synthfilter.insight.report import make_report
from synthfilter.insight.report_page import report_page
from synthfilter.ledger.table import open_ledger
from synthfilter.lineage_events import write_lineage
from synthfilter.outputs.commit import Target

_LOG = logging.getLogger("synthfilter")


@dataclasses.dataclass(frozen=True)
class Publication:
    """What is known of a set before anything is read.

    Attributes:
      target: Where the build is made and where it is published.
      options: That stand in the manifest.
      detector: What scores: its name and sha256.
      canaries: Its scores of texts that are always the same.
      thresholds: Scores from which on documents count as machine text.
      grouping: How the mixture tells documents apart.
      ledger: Of earlier uses, None for none.
      previous: Folder or report of the build to compare with; None for none.
      maker: What only the maker of the set knows.
      started: When the build was put together.
      workers: Processes that it runs in; None: the runner decides.
      beats: Folder for progress, None for none.
    """

    target: Target
    options: Mapping[str, Any]
    detector: Mapping[str, str]
    canaries: Sequence[Mapping[str, Any]]
    thresholds: Sequence[float]
    grouping: Grouping
    ledger: str | None
    previous: str | None
    maker: About
    started: datetime.datetime
    workers: int | None
    beats: str | None


def tell_maker(
    options: CardOptions, folder: str, published: datetime.datetime
) -> About:
    """Returns what the maker of a set says of it.

    Args:
      options: That say it.
      folder: Of the build; the set has its name if it has no other.
      published: When the set was made.
    """
    place = os.path.abspath(folder) if storage.is_local(folder) else folder
    name = options.name or place.rstrip("/").rpartition("/")[2] or folder
    said = options.source_licenses
    return About(
        name=name,
        description=options.description or "",
        license=parse_license(options.license or UNKNOWN, "license"),
        source_licenses={
            source: parse_license(license, "source_licenses")
            for source, license in said.items()
        },
        creator=options.creator,
        url=options.url,
        version=options.data_version,
        citation=options.citation or "",
        published=published,
    )


def write_report(
    published: Publication,
    manifest: Mapping[str, Any],
    figures: Figures,
    sources: np.ndarray,
) -> dict[str, Any]:
    """Writes report and card of a build beside its shards, and returns the report.

    Args:
      published: What is known of the build.
      manifest: That is about to be published.
      figures: Of all documents.
      sources: Keys of the sources in `Figures.sources`, uint64.
    """
    previous = read_report(published.previous) if published.previous else None
    sha256 = manifest["detector"]["sha256"]
    report = make_report(
        manifest,
        figures,
        published.grouping.names,
        sources,
        published.thresholds,
        compare_canaries(published.canaries, sha256, previous),
        tell_diversity_of(manifest, figures, published.previous),
        _earlier_builds(published.ledger, figures),
        tell_run(published),
    )
    report["drift"] = tell_drift(report, previous)
    data = orjson.dumps(report, option=orjson.OPT_INDENT_2)
    folder = published.target.folder
    storage.write_bytes(storage.join(folder, REPORT), data + b"\n")
    write_card(folder, manifest, report, published.maker)
    return report


def show_report(
    folder: str, manifest: Mapping[str, Any], report: Mapping[str, Any]
) -> None:
    """Draws the page of a published set and tells its lineage.

    Args:
      folder: Of the build.
      manifest: Its manifest.
      report: Its report.
    """
    page = report_page(report)
    storage.write_bytes(storage.join(folder, PAGE), page.encode())
    unsent = write_lineage(folder, manifest, report)
    if unsent is not None:
        _LOG.warning("%s", unsent)


def tell_diversity_of(
    manifest: Mapping[str, Any], figures: Figures, previous: str | None
) -> dict[str, Any]:
    """Returns what a report says of the diversity of the set, and of what is new.

    Args:
      manifest: Of the build.
      figures: Of all documents.
      previous: See `Publication`.
    """
    sketches = diversity.sketches_of(figures.ngrams)
    compressed = {
        schema.ORIGIN_NAMES[who]: tuple(figures.compressed[who].tolist())
        for who in diversity.ORIGINS
    }
    return {
        "near_copy_rate": _near_copy_rate(manifest),
        "by_origin": diversity.tell_diversity(figures.ngrams, compressed),
        "novelty": _tell_novelty(sketches, previous),
        "caveats": list(diversity.CAUTIONS),
        "sketches": diversity.sketches_to_text(sketches),
    }


def _near_copy_rate(manifest: Mapping[str, Any]) -> float | None:
    """Returns which share of the documents that were compared is near copies."""
    if manifest["near_copies"] is None:
        return None
    books = manifest["books"]
    near = books["left_out"][schema.REASON_NAMES[Reason.NEAR_COPY]]
    after = (Reason.USED_BEFORE, Reason.TOO_DEEP, Reason.SUSPECT, Reason.MIXTURE)
    others = sum(books["left_out"][schema.REASON_NAMES[reason]] for reason in after)
    compared = books["kept"] + near + others
    return near / compared if compared else None


def _tell_novelty(
    sketches: diversity.Sketches, previous: str | None
) -> dict[str, Any] | None:
    if previous is None:
        return None
    report, known = read_sketches(previous)
    return {
        "against": report["build_id"],
        "by_origin": diversity.novelty(sketches, known),
    }


def read_sketches(place: str) -> tuple[dict[str, Any], diversity.Sketches]:
    """Returns the report of an earlier build, and its sketches.

    Args:
      place: Folder of the build, or its report.

    Raises:
      UserError: there is none, or it has no sketches.
    """
    report = read_report(place)
    try:
        return report, diversity.sketches_from_text(report["diversity"]["sketches"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{report_path(place)!r} has no sketches of its n-grams ({error}); name "
            "a build of this version as previous"
        ) from error


def tell_run(published: Publication) -> dict[str, Any]:
    """Returns when, where and how fast a build ran, up to now."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stages = None
    if published.beats is not None:
        stages = [
            {
                "stage": stage,
                "parts": done.parts,
                "bytes": done.bytes,
                "cpu_seconds": done.milliseconds / 1000,
            }
            for stage, done in read_beats(published.beats).items()
        ]
    return {
        "started": published.started.isoformat(timespec="seconds"),
        "seconds": round((now - published.started).total_seconds(), 3),
        "workers": published.workers,
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
