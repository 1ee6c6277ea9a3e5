"""A finished build opened again: its options, its input and the facts of its cache.

Nothing is scored, and no text is read.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

import pyarrow as pa

from synthfilter.annotate import scores_key
from synthfilter.build import Build
from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import add_digests
from synthfilter.core.profiles import Profiles
from synthfilter.core.schema import ORIGIN_NAMES, Origin
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import choose_profiles
from synthfilter.evidence import evidence_key
from synthfilter.identity import BuildIdentity, content_options, identify_build
from synthfilter.inputs.blocks import Block, InputFile, mark_file, open_file
from synthfilter.inputs.fields import parse_fields
from synthfilter.inputs.sidecars import facts_path, load_facts
from synthfilter.outputs.manifest import read_manifest
from synthfilter.per_block import digest_block
from synthfilter.version import __version__


class Outside(NamedTuple):
    """What a build depends on and does not keep; as the build had it.

    Attributes:
      cache: Folder; None: the usual one.
      detector: See `load_detector`.
      ledger: Folder; None: the build had none, or one without any say.
      calibration: File; None: the build had none, or one without profiles.
      human_urls: Files that list addresses.
      synthetic_urls: The same of machine text.
    """

    cache: Optional[str] = None
    detector: Optional[str] = None
    ledger: Optional[str] = None
    calibration: Optional[str] = None
    human_urls: tuple[str, ...] = ()
    synthetic_urls: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class StoredBuild:
    """A finished build, ready to be decided anew.

    Attributes:
      manifest: Of the build.
      build: Its options; the threshold is beside them.
      detector: That scored.
      threshold: Of the build.
      outside: What is known of origins besides.
      profiles: Of the detector or the calibration.
    """

    manifest: Mapping[str, Any]
    build: Build
    detector: Detector
    threshold: Threshold
    outside: OutsideEvidence
    profiles: Optional[Profiles]

    def options(self) -> dict[str, Any]:
        """Returns what the content of the build depends on besides its input."""
        return content_options(
            self.build, self.detector, self.threshold, self.outside, self.profiles
        )


def open_build(folder: str, given: Outside) -> StoredBuild:
    """Returns a finished build; reads its manifest and what is given, no facts.

    Raises:
      UserError: there is none, or what is given is not what the build had.
    """
    manifest = read_manifest(folder)
    options = manifest["options"]
    made_by = manifest["synthfilter_version"]
    if made_by != __version__:
        raise UserError(
            f"{folder!r} was built by synthfilter {made_by}, this is {__version__}; "
            "build again with this one, or use the other"
        )
    detector = load_detector(given.detector)
    if detector.scores_key != options["detector"]:
        raise UserError(
            f"{folder!r} was scored by {manifest['detector']['name']!r}, not by "
            f"{detector.name!r}; name the build's --detector"
        )
    limits = ("max_uses", "max_error")
    if given.ledger is None and any(options[name] is not None for name in limits):
        raise UserError(f"{folder!r} was built with a ledger; name it with --ledger")
    build = _make_options(folder, manifest, given)
    profiles = choose_profiles(detector, build.calibration)
    if (profiles.digest if profiles else None) != options["profiles"]:
        raise UserError(
            "the build knew other profiles of scores; name the --calibration that it "
            "had, as it was"
        )
    outside = build.outside_evidence()
    if evidence_key(outside) != options["outside_evidence"]:
        raise UserError(
            "lists of addresses or reviewers' verdicts are not those of the build; "
            "name its --human-urls, --synthetic-urls and --ledger, or build again if "
            "they have changed"
        )
    threshold = Threshold.from_json(options["threshold"], options["threshold_from"])
    return StoredBuild(manifest, build, detector, threshold, outside, profiles)


def _make_options(folder: str, manifest: Mapping[str, Any], given: Outside) -> Build:
    """Returns the options of a build, with every input file under its origin."""
    known = {field.name for field in dataclasses.fields(Build)}
    options = {
        name: value for name, value in manifest["options"].items() if name in known
    }
    inputs = {ORIGIN_NAMES[who]: list[str]() for who in Origin}
    for entry in manifest["inputs"]:
        inputs[entry["declared"]].append(entry["path"])
    inputs["against"] = inputs.pop(ORIGIN_NAMES[Origin.REFERENCE])
    options |= {
        **inputs,
        "output": folder,
        "cache": given.cache,
        "detector": given.detector,
        "ledger": given.ledger,
        # Only its profiles count: the threshold stands in the manifest.
        "calibration": given.calibration if options["target_fpr"] else None,
        "human_urls": list(given.human_urls),
        "synthetic_urls": list(given.synthetic_urls),
        "threshold": None,
    }
    return Build(**options)


def find_blocks(stored: StoredBuild) -> list[Block]:
    """Returns the blocks of a build's input, in order.

    Raises:
      UserError: a file is not there or has changed, or the cache does not know it.
    """
    build = stored.build
    spool = storage.join(build.cache_folder(), "spool")
    fields, most = parse_fields(build.fields), 2 * build.max_document_bytes
    blocks: list[Block] = []
    for number, entry in enumerate(stored.manifest["inputs"]):
        file = _find_file(number, entry)
        mark = mark_file(file)
        if mark != entry["fingerprint"]:
            raise UserError(
                f"input {file.path!r} has changed since the build; build again, which "
                "scores only what has changed"
            )
        # Before JSON lines would be spooled again for nothing.
        if storage.is_empty(storage.join(build.facts_folder(), mark)):
            raise _not_cached(build, file.path)
        blocks += open_file(file, fields, spool, most)
    return blocks


def _find_file(number: int, entry: Mapping[str, Any]) -> InputFile:
    """Returns an input file as it is now."""
    path = entry["path"]
    try:
        found = [file for file in storage.list_files(path) if file.path == path]
    except UserError:
        found = []
    if not found:
        raise UserError(
            f"input {path!r} of the build is not there; run this in the folder that "
            "the build ran in, or build again"
        )
    return InputFile(
        number,
        path,
        Origin[entry["declared"].upper()],
        found[0].size_in_bytes,
        found[0].last_updated_in_seconds or 0.0,
    )


def _not_cached(build: Build, path: str) -> UserError:
    return UserError(
        f"no facts of {path!r} in the cache {build.cache_folder()!r}; name the build's "
        "--cache, or build again, which fills it"
    )


def read_facts(stored: StoredBuild, block: Block) -> pa.RecordBatch:
    """Returns the facts of a block.

    Raises:
      UserError: they are not in the cache, or not whole.
    """
    build = stored.build
    key = scores_key(block, stored.detector)
    path = facts_path(block, build.facts_folder(), key, build.max_document_bytes)
    if not storage.exists(path):
        raise _not_cached(build, block.file)
    try:
        facts = load_facts(path)
    except (OSError, pa.ArrowException) as error:
        raise _not_cached(build, block.file) from error
    if facts.num_rows != block.rows:
        raise _not_cached(build, block.file)
    return facts


def identify_stored(
    stored: StoredBuild, annotated: Iterable[tuple[Block, pa.RecordBatch]]
) -> BuildIdentity:
    """Returns which build it is, and the state of the ledger that it saw.

    Args:
      stored: The build.
      annotated: All its blocks with their facts.

    Raises:
      UserError: what is at hand would make another build.
    """
    digest = add_digests(map(digest_block, annotated))
    identity = identify_build(digest, stored.options(), stored.build.ledger)
    wanted = stored.manifest["build_id"]
    if identity.build_id != wanted:
        raise UserError(
            f"what is at hand would not make build {wanted} again; name the --ledger "
            "that it had, or build again"
        )
    return identity
