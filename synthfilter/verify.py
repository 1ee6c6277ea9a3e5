"""The command `synthfilter verify`: whether a finished build is what its manifest says.

Nothing in the folder is trusted but the manifest, and that only as far as the files
bear it out.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from synthfilter.console import Reporter, count
from synthfilter.core import progress, storage
from synthfilter.core.errors import CHECK_FAILED
from synthfilter.core.text import printable
from synthfilter.options import add_command, make_options
from synthfilter.outputs.balance import compare_books, compare_shares
from synthfilter.outputs.beside import check_beside
from synthfilter.outputs.manifest import FOLDERS, UNFINISHED, read_manifest
from synthfilter.outputs.recount import (
    FileFindings,
    Recount,
    add_recounts,
    hash_file,
    recount_file,
)

_MOST_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
      name: What was looked at.
      found: What was found, in a line.
      wrong: What is wrong, file by file; empty if nothing is.
      done: Whether it could be checked.
    """

    name: str
    found: str
    wrong: list[str] = dataclasses.field(default_factory=list)
    done: bool = True


@dataclasses.dataclass
class _Looked:
    """What was found in all files.

    Attributes:
      files: What is wrong with each file as such: missing, size, sha256.
      found: What each file that is there holds, by path.
      held: What all of them hold together.
      whole: Whether all files could be counted.
    """

    files: list[str] = dataclasses.field(default_factory=list)
    found: dict[str, FileFindings] = dataclasses.field(default_factory=dict)
    held: Recount = dataclasses.field(default_factory=Recount)
    whole: bool = True


@dataclasses.dataclass(kw_only=True)
class Verify:
    """Checks that a finished build is what its manifest says.

    Every file is read: its size, sha256, columns, rows, hashes and build, and whether
    the digest, the shares and the books follow from the rows.

    Args:
      full: Compare every text with its content_hash, instead of those of one row group
        of each file; takes about five times as long.
      json: Print what was found as JSON, for programs.
      quiet: Print only what is wrong.
    """

    full: bool = False
    json: bool = False
    quiet: bool = False

    def run(self, folder: str, reporter: Reporter) -> list[Check]:
        """Prints and returns what was checked.

        Args:
          folder: Output folder of the build.
          reporter: Where to print.

        Raises:
          UserError: there is no finished build, or its manifest is none.
        """
        manifest = read_manifest(folder)
        size = sum(file["bytes"] for kind in FOLDERS for file in manifest[kind])
        with tempfile.TemporaryDirectory(prefix="synthfilter-") as beats:
            follow = reporter.follow(beats, {"check": size})
            with contextlib.nullcontext() if self.quiet else follow:
                checks = check_build(folder, manifest, self.full, beats)
        if self.json:
            told = {
                "build_id": manifest["build_id"],
                "ok": not any(check.wrong for check in checks),
                "checks": [dataclasses.asdict(check) for check in checks],
            }
            reporter.say(json.dumps(told, indent=2))
        else:
            for line in describe_checks(folder, manifest, checks, self.quiet):
                reporter.say(line)
        return checks


def check_build(
    folder: str, manifest: Mapping[str, Any], full: bool, beats: Optional[str] = None
) -> list[Check]:
    """Returns all checks of a build.

    Args:
      folder: Its output folder.
      manifest: Its manifest.
      full: Whether every text is compared with its hash.
      beats: Folder for progress, None for none.
    """
    looked = _look(folder, manifest, full, beats)
    files = [file for kind in FOLDERS for file in manifest[kind]]
    size = sum(file["bytes"] for file in files)
    held = looked.held
    texts = f"{count(held.hashed, 'text')} compared with their hashes"
    return [
        Check(
            "files", f"{count(len(files), 'file')}, {size / 1e6:,.1f} MB", looked.files
        ),
        _check_folders(folder, manifest),
        _of_files(
            "parquet", f"{held.rows:,} rows in the columns expected", looked, "shape"
        ),
        _of_files("build", f"all rows are of {manifest['build_id']}", looked, "build"),
        _of_files("hashes", texts if full else f"{texts}, a sample", looked, "hashes"),
        *_checks_of_sums(manifest, looked, full),
        *(
            Check(name, f"is of build {manifest['build_id']}", wrong)
            for name, wrong in check_beside(folder, manifest).items()
        ),
    ]


def _look(
    folder: str, manifest: Mapping[str, Any], full: bool, beats: Optional[str]
) -> _Looked:
    """Reads all files that the manifest names."""
    looked = _Looked()
    by_hash = {file["sha256"]: file["path"] for k in FOLDERS for file in manifest[k]}
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as scratch:
        for kind in FOLDERS:
            for file in manifest[kind]:
                _look_at(folder, manifest, kind, file, full, scratch, looked, by_hash)
                progress.beat(beats, "check", 1, file["bytes"])
    looked.held = add_recounts(found.held for found in looked.found.values())
    looked.whole = looked.whole and all(f.readable for f in looked.found.values())
    return looked


def _look_at(
    folder: str,
    manifest: Mapping[str, Any],
    kind: str,
    file: Mapping[str, Any],
    full: bool,
    scratch: str,
    looked: _Looked,
    by_hash: Mapping[str, str],
) -> None:
    """Adds what one file holds to what was found."""
    name = file["path"]
    path = storage.join(folder, name)
    # A file elsewhere travels once: what is hashed is what is then opened.
    copy = None if storage.is_local(path) else Path(scratch) / "copy.parquet"
    wrong = None
    if not storage.exists(path):
        wrong = "is missing"
    elif copy is None and not os.path.isfile(path):
        wrong = "is no file"
    else:
        try:
            there = hash_file(path, copy)
        except OSError as error:
            wrong = f"cannot be read: {error}"
    if wrong:
        looked.files.append(f"{name}: {wrong}")
        looked.whole = False
        return
    if there.size != file["bytes"]:
        looked.files.append(f"{name}: {there.size:,} bytes, expected {file['bytes']:,}")
    if there.sha256 != file["sha256"]:
        other = by_hash.get(there.sha256)
        hint = f"; it is what {other} should be" if other else ""
        looked.files.append(
            f"{name}: sha256 {there.sha256[:16]}, expected "
            f"{printable(file['sha256'][:16])}{hint}"
        )
    looked.found[name] = recount_file(
        str(copy or path), kind, manifest["build_id"], file["rows"], full
    )


def _check_folders(folder: str, manifest: Mapping[str, Any]) -> Check:
    """Checks that nothing lies beside the files that the manifest names."""
    strays = []
    for kind, prefix in FOLDERS.items():
        named = {storage.join(folder, file["path"]) for file in manifest[kind]}
        base = storage.join(folder, prefix)
        for path in storage.list_below(base):
            if path not in named:
                strays.append(f"{prefix}{path[len(base) :]}: no file of this build")
    if storage.exists(storage.join(folder, UNFINISHED)):
        strays.append(
            f"{UNFINISHED}: the build did not end; run it again, so that its ledger "
            "knows of it"
        )
    return Check("folders", f"nothing else in {', '.join(FOLDERS.values())}", strays)


def _of_files(name: str, found: str, looked: _Looked, what: str) -> Check:
    """Returns a check of each file by itself."""
    wrong = [
        f"{path}: {said}"
        for path, findings in looked.found.items()
        for said in getattr(findings, what)
    ]
    if not looked.whole:
        found += ", of the files that can be read"
    return Check(name, found, wrong, done=looked.whole)


def _checks_of_sums(
    manifest: Mapping[str, Any], looked: _Looked, full: bool
) -> Iterator[Check]:
    """Yields the checks of what follows from all files together."""
    if not looked.whole:
        why = "not checked: not all files can be read"
        yield from (
            Check(name, why, done=False) for name in ("digest", "shares", "books")
        )
        return
    held = looked.held
    digest = f"{int(held.digest, 16):032x}"
    wrong = [f"{digest}, the manifest has {printable(manifest['content_digest'])}"]
    same = digest == manifest["content_digest"]
    yield Check("digest", digest, [] if same else wrong)
    try:
        shares = [*compare_shares(manifest["shares"], held, full)]
        books = [*compare_books(manifest, held, full)]
        said = manifest["books"]
        balance = (
            f"{said['read']:,} read = {said['kept']:,} kept + "
            f"{int(held.left_out.sum()):,} left out + {held.letters:,} dead letters"
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        fault = f"books or shares are not as a build writes them: {error!r:.80}"
        yield Check("books", fault, [f"manifest.json: {fault}"])
        return
    in_set = count(int(held.kept.sum()), "row")
    units = "documents, bytes and words" if full else "documents"
    yield Check("shares", f"{units} of {in_set} by origin, counted again", shares)
    yield Check("books", balance, books)


def describe_checks(
    folder: str, manifest: Mapping[str, Any], checks: list[Check], quiet: bool = False
) -> Iterator[str]:
    """Yields what to print: a line for each check, and below it what is wrong."""
    wide = max(len(check.name) for check in checks)
    for check in checks:
        if quiet and not check.wrong:
            continue
        state = "WRONG" if check.wrong else "ok" if check.done else "-"
        found = check.found
        if check.wrong:
            found = count(len(check.wrong), "fault")
        yield f"{state:<5}  {check.name:<{wide}}  {found}"
        for said in check.wrong[:_MOST_SHOWN]:
            yield f"         {printable(said, 300)}"
        if len(check.wrong) > _MOST_SHOWN:
            yield f"         and {len(check.wrong) - _MOST_SHOWN:,} more"
    failed = [check.name for check in checks if check.wrong]
    if failed:
        yield (
            f"{folder}: build {manifest['build_id']} is not what its manifest says: "
            f"{', '.join(failed)}"
        )
    elif not quiet:
        yield f"{folder}: build {manifest['build_id']} is what its manifest says"


def add_verify_command(commands: Any) -> None:
    """Adds `verify` to the commands of a parser."""
    command = add_command(
        commands, "verify", "check a finished build against its manifest", Verify, _run
    )
    command.add_argument("folder", help="output folder of a build")


def _run(options: argparse.Namespace) -> int:
    job = make_options(Verify, None, vars(options))
    checks = job.run(options.folder, Reporter())
    return CHECK_FAILED if any(check.wrong for check in checks) else 0
