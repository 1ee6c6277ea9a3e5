"""The manifest: what a build read, decided and wrote; written last, then trusted."""

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from apache_beam.io.filesystem import BeamIOError

from synthfilter.core import books as bookkeeping
from synthfilter.core import storage
from synthfilter.core.claims import no_conflicts
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import add_digests
from synthfilter.core.schema import EVIDENCE_NAMES, ORIGIN_NAMES, UNITS, Origin
from synthfilter.outputs.parquet import FileRecord

MANIFEST = "manifest.json"
USES_FOLDER = "_uses"
UNFINISHED = "_unfinished_build.json"
_BUILDING = b'{"state": "building"}\n'
# Where a build is made that is to replace another.
NEXT_FOLDER = "_next"
MANIFEST_VERSION = 1


@dataclasses.dataclass(frozen=True)
class ShardRecord:
    """What became of the documents of one shard.

    Attributes:
      files: The files that were written.
      books: Books of the shard's documents (`core.books`).
      written: What was written, repeated documents counted each time: int64
        [human or synthetic, unit].
      digest: Of what was written (`core.hashing.content_digest`).
      unscored: Documents with text that have no score: int64 [declared origin].
      conflicts: Evidence against evidence (`core.claims.count_conflicts`).
      asked: What was written whose origin is the detector's question: int64 [rows, 2],
        key of group and cell (`decisions.survey`), weight in the unit of the shares.
      uses: What a ledger is to be told of it: a file below the output folder, or None.
      unwritten: Dead letters that are in the books and in no file.
      groups: What was written by group of the mixture: int64 [groups, unit].
    """

    files: tuple[FileRecord, ...]
    books: np.ndarray
    written: np.ndarray
    digest: str
    unscored: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(len(Origin), np.int64)
    )
    conflicts: np.ndarray = dataclasses.field(default_factory=no_conflicts)
    asked: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((0, 2), np.int64)
    )
    uses: str | None = None
    unwritten: int = 0
    groups: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros((1, len(UNITS)), np.int64)
    )


def add_records(parts: Iterable[ShardRecord]) -> ShardRecord:
    """Returns what became of the documents of all parts together."""
    nothing = ShardRecord(
        (), bookkeeping.empty_books(), np.zeros((2, 3), np.int64), "0"
    )
    parts = list(parts) or [nothing]

    def total(name: str) -> np.ndarray:
        return np.sum([getattr(part, name) for part in parts], axis=0)

    return ShardRecord(
        files=tuple(file for part in parts for file in part.files),
        books=total("books"),
        written=total("written"),
        digest=add_digests(part.digest for part in parts),
        unscored=total("unscored"),
        conflicts=total("conflicts"),
        asked=np.concatenate([part.asked for part in parts]),
        groups=total("groups"),
        unwritten=int(total("unwritten")),
    )


def claim_output(folder: str, overwrite: bool = False) -> None:
    """Makes an output folder ours, before any work.

    A folder that an unfinished build of ours has claimed is taken over: the files of
    a build have the same names and bytes each time, and the manifest, written anew at
    the end, decides which count.

    Args:
      folder: The output folder.
      overwrite: Whether a finished build in it may be replaced; it stays as it is until
        then.

    Raises:
      UserError: the folder holds something else, or cannot be written.
    """
    _check_folders(folder)
    mark = storage.join(folder, UNFINISHED)
    with writing(folder):
        if storage.exists(mark) or storage.is_empty(folder):
            storage.write_bytes(mark, _BUILDING)
            storage.delete([storage.join(folder, MANIFEST)])
        else:
            _check_replaced(folder, overwrite)
            mark = storage.join(folder, NEXT_FOLDER, UNFINISHED)
            storage.write_bytes(mark, _BUILDING)


def _check_replaced(folder: str, overwrite: bool) -> None:
    """Raises UserError unless the folder holds a build that may be replaced."""
    ours = storage.exists(storage.join(folder, MANIFEST))
    if not overwrite:
        way = ", or replace its build with --overwrite" if ours else ""
        raise UserError(
            f"output {folder!r} is not empty; name a new folder or empty this one{way}"
        )
    if not ours:
        raise UserError(
            f"output {folder!r} is not empty and holds no build that overwrite could "
            "replace; name a new folder or empty this one"
        )
    read_manifest(folder)


@contextlib.contextmanager
def writing(folder: str) -> Iterator[None]:
    """Turns what goes wrong while writing to an output folder into a line."""
    try:
        yield
    except (OSError, BeamIOError) as error:
        said = " ".join(str(error).split())
        raise UserError(f"output {folder!r} cannot be written: {said}") from error


def _check_folders(folder: str) -> None:
    """Raises UserError where a build would write into, and tidy, a folder elsewhere."""
    for prefix in FOLDERS.values():
        path = storage.join(folder, prefix.rstrip("/"))
        if storage.leads_out(path):
            raise UserError(
                f"{path!r} is a link to another folder, in which a build would delete "
                "what is not its own; name that place itself as output"
            )


def make_manifest(
    build_id: str,
    version: str,
    options: Mapping[str, Any],
    detector: Mapping[str, Any],
    inputs: Sequence[Mapping[str, Any]],
    total: ShardRecord,
    rows_read: int,
    limited_by: str | None,
    prevalence: Mapping[str, Any] | None = None,
    near_copies: Mapping[str, int] | None = None,
    core: Mapping[str, Any] | None = None,
    shares: Mapping[str, Any] | None = None,
    same_ids: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Returns the manifest of a build.

    Args:
      build_id: Which build it is.
      version: Of synthfilter.
      options: That the content depends on.
      detector: What scored.
      inputs: What was read.
      total: What was written, of all shards.
      rows_read: How many documents were read.
      limited_by: Why the set is not all that was asked for; None if it is.
      prevalence: How much machine text is estimated; None where nothing is known.
      near_copies: How near copies were sought; None if they were not.
      core: The human archive; None if there is none.
      shares: What else there is to say of shares.
      same_ids: How many ids stand for several texts; None where nobody counted.

    Raises:
      RuntimeError: the books do not balance.
    """
    bookkeeping.check(total.books, rows_read)
    files = sorted(total.files, key=lambda file: file.path)
    return {
        "manifest_version": MANIFEST_VERSION,
        "build_id": build_id,
        "synthfilter_version": version,
        "content_digest": total.digest,
        "books": bookkeeping.as_dict(total.books),
        "shares": {
            **{name: options.get(name) for name in _ASKED},
            "got": _shares(total.written),
            "limited_by": limited_by,
            **(shares or {}),
        },
        "prevalence": prevalence,
        "conflicts": tell_conflicts(total.conflicts),
        "same_ids": same_ids,
        "dead_letters_unwritten": total.unwritten,
        "core": core,
        "detector": dict(detector),
        "near_copies": near_copies,
        "options": dict(options),
        "inputs": list(inputs),
        **{
            name: [dataclasses.asdict(f) for f in files if f.path.startswith(prefix)]
            for name, prefix in FOLDERS.items()
        },
    }


def tell_conflicts(counts: np.ndarray) -> list[dict[str, Any]]:
    """Returns how many documents have evidence that says the opposite of what decided.

    The most frequent conflicts first.

    Args:
      counts: See `core.claims.count_conflicts`.
    """
    found = [
        {
            "decided": f"{EVIDENCE_NAMES[by]}={ORIGIN_NAMES[who]}",
            "against": f"{EVIDENCE_NAMES[other]}={ORIGIN_NAMES[1 - who]}",
            "docs": int(counts[who, by, other]),
        }
        for who, by, other in zip(*np.nonzero(counts), strict=True)
    ]
    return sorted(found, key=lambda row: -row["docs"])


_ASKED = ("synthetic_fraction", "max_synthetic_fraction", "target_size", "unit")

SHARDS, REJECTED, DEAD_LETTERS = "shards", "rejected", "dead_letters"
# The folder of each kind of file.
FOLDERS = {SHARDS: "data/", REJECTED: "rejected/", DEAD_LETTERS: "dead_letter/"}

# What every reader relies on.
_KINDS: dict[str, type] = {
    "build_id": str,
    "content_digest": str,
    "books": dict,
    "shares": dict,
    "detector": dict,
    "options": dict,
    "inputs": list,
    **dict.fromkeys(FOLDERS, list),
}
_BUILD_ID = re.compile(r"[\w-][\w.-]{0,63}", re.ASCII)
_FILE_NAME = re.compile(r"[\w-][\w.-]{0,199}", re.ASCII)


def _shares(written: np.ndarray) -> dict[str, Any]:
    """Returns the human and synthetic amount and the synthetic share by unit."""
    found: dict[str, Any] = {}
    for unit, (human, synthetic) in zip(UNITS, written.T.tolist(), strict=True):
        total = human + synthetic
        found[unit] = {
            "human": human,
            "synthetic": synthetic,
            "synthetic_fraction": synthetic / total if total else None,
        }
    return found


def read_manifest(folder: str) -> dict[str, Any]:
    """Returns the manifest of a finished build.

    Raises:
      UserError: there is none, or it is not one of ours.
    """
    path = storage.join(folder, MANIFEST)
    if not storage.exists(path):
        unfinished = storage.exists(storage.join(folder, UNFINISHED))
        hint = "its build did not finish; run it again" if unfinished else "no build"
        raise UserError(f"{folder!r} holds no {MANIFEST}: {hint}")
    try:
        manifest = orjson.loads(storage.read_bytes(path))
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path!r} is not JSON: {error}") from error
    found = manifest.get("manifest_version") if isinstance(manifest, dict) else None
    if found != MANIFEST_VERSION:
        raise UserError(
            f"{path!r} has manifest_version {found}, expected {MANIFEST_VERSION}; "
            "read it with the synthfilter that wrote it"
        )
    wrong = _find_fault(manifest) or _find_link(folder, manifest)
    if wrong:
        raise UserError(f"{path!r} is not as a build writes it: {wrong}")
    return manifest


def _find_fault(manifest: Mapping[str, Any]) -> str | None:
    """Returns what a reader could not rely on: a type, or a path that leads away."""
    for name, kind in _KINDS.items():
        if not isinstance(manifest.get(name), kind):
            came = type(manifest.get(name)).__name__
            return f"{name} is expected to be a {kind.__name__}, got {came}"
    if not all(isinstance(file, dict) for file in manifest["inputs"]):
        return "inputs is expected to be a list of dicts"
    if not _BUILD_ID.fullmatch(manifest["build_id"]):
        return f"build_id {manifest['build_id']!r:.80} is no name of a build"
    seen: set[str] = set()
    for kind_of_file, prefix in FOLDERS.items():
        for number, file in enumerate(manifest[kind_of_file]):
            wrong = _find_fault_of_file(file, prefix)
            if wrong is None and file["path"] in seen:
                wrong = f"path {file['path']!r} is named twice"
            if wrong:
                return f"{kind_of_file}[{number}]: {wrong}"
            seen.add(file["path"])
    return None


def _find_link(folder: str, manifest: Mapping[str, Any]) -> str | None:
    """Returns which file would be read from elsewhere, if any; folders may be links."""
    for kind in FOLDERS:
        for file in manifest[kind]:
            if storage.leads_out(storage.join(folder, file["path"])):
                return (
                    f"{file['path']} is a link that leads out of its folder; copy the "
                    "build with its links followed (cp -rL)"
                )
    return None


def _find_fault_of_file(file: Any, prefix: str) -> str | None:
    """Returns what is wrong with how a manifest names a file, if anything is."""
    if not isinstance(file, dict):
        return f"a file is expected to be a dict, got {type(file).__name__}"
    path = file.get("path")
    said = path if isinstance(path, str) and path.startswith(prefix) else ""
    if not _FILE_NAME.fullmatch(said[len(prefix) :]):
        return f"path is expected to be {prefix}NAME, got {path!r:.120}"
    for name in ("rows", "bytes"):
        if type(file.get(name)) is not int or file[name] < 0:
            return f"{name} of {path} is expected to be a count, got {file.get(name)!r}"
    if not isinstance(file.get("sha256"), str):
        return f"sha256 of {path} is expected to be a str, got {file.get('sha256')!r}"
    return None
