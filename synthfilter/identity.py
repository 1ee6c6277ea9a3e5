"""Which build this is: the same id for the same input, options and earlier builds."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import xxhash

from synthfilter.build_options import CardOptions, ReportOptions
from synthfilter.core.profiles import Profiles
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.detection.detector import Detector
from synthfilter.detection.lengths import Threshold
from synthfilter.evidence import evidence_key
from synthfilter.ledger.table import Ledger, list_data_files, load_table, open_ledger
from synthfilter.version import __version__


class BuildIdentity(NamedTuple):
    """Which build this is.

    Attributes:
      build_id: The same whenever the same is built again.
      ledger: As the build sees it; None where it sees none.
    """

    build_id: str
    ledger: Optional[Ledger]


def content_options(
    build: Any,
    detector: Detector,
    threshold: Threshold,
    outside: OutsideEvidence,
    profiles: Optional[Profiles],
) -> dict[str, Any]:
    """Returns what the content of a set depends on besides its input.

    Args:
      build: The `Build`, a dataclass of options.
      detector: That scores.
      threshold: Of the scores.
      outside: What is known of origins besides.
      profiles: Of the detector or the calibration.
    """
    # The threshold says it all, wherever it is from.
    places = {"output", "overwrite", "cache", "ledger"}
    places |= {"max_dead_letters", "expected_records"}
    places |= {"human", "synthetic", "unknown", "core", "against"}
    places |= {"target_fpr", "calibration", "human_urls", "synthetic_urls"}
    for told in (CardOptions, ReportOptions):
        places |= {field.name for field in dataclasses.fields(told)}
    options = {
        field.name: getattr(build, field.name)
        for field in dataclasses.fields(build)
        if field.name not in places
    }
    options |= {"threshold": threshold.as_json(), "detector": detector.scores_key}
    options["outside_evidence"] = evidence_key(outside)
    options["profiles"] = None if profiles is None else profiles.digest
    return options


def identify_build(
    digest: str, options: Mapping[str, Any], path: Optional[str]
) -> BuildIdentity:
    """Returns which build it is and which state of the ledger it sees.

    The id depends on what was read, on the options and on that state. A build that the
    ledger already holds is recognised by its id, and sees what it saw then, without
    itself and what came later.

    Args:
      digest: Of all that was read.
      options: That the content depends on.
      path: Of the ledger, None for no ledger.
    """
    ledger = None if path is None else open_ledger(path)
    if ledger is None:
        return BuildIdentity(build_id(digest, options, None), None)
    present = _builds(ledger)
    if not present:
        return BuildIdentity(build_id(digest, options, None), None)
    for version in (None, *range(ledger.version)):
        found = build_id(digest, options, version)
        if found in present:
            before = None if version is None else Ledger(ledger.path, version)
            return BuildIdentity(found, before)
    return BuildIdentity(build_id(digest, options, ledger.version), ledger)


def build_id(digest: str, options: Mapping[str, Any], version: Optional[int]) -> str:
    """Returns the id of a build, 16 hex digits."""
    said = repr((__version__, sorted(options.items()), digest, version))
    return xxhash.xxh3_64_hexdigest(said.encode())


def build_number(name: str) -> int:
    """Returns a build's id as a number below 2^64; our ids are one already."""
    if re.fullmatch("[0-9a-f]{16}", name):
        return int(name, 16)
    return xxhash.xxh3_64_intdigest(name.encode())


def number_builds(ledger: Ledger) -> dict[int, str]:
    """Returns the names of the builds in a ledger by their numbers."""
    return {build_number(name): name for name in _builds(ledger)}


def _builds(ledger: Ledger) -> set[str]:
    table = load_table(ledger.path, ledger.version)
    return {file.build_id for file in list_data_files(ledger.path, table)}
