"""Publishing: where a build is made, and how it becomes what readers find.

On a local disk a file is written under another name, flushed, read back and renamed.
Elsewhere it is one upload, read back. The manifest is the last: it alone says what is
in a set.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from synthfilter.core import storage
from synthfilter.core.reports import CARD, CROISSANT, LINEAGE, PAGE, REPORT
from synthfilter.outputs.manifest import (
    FOLDERS,
    MANIFEST,
    NEXT_FOLDER,
    UNFINISHED,
    USES_FOLDER,
    read_manifest,
)

# In the names of its files if the build that it replaces has the names without.
_OTHER_NAMES = "-b"


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a build is made and where it is published.

    Attributes:
      output: The output folder.
      folder: Where its files are made: the output folder, or one in it as long as that
        holds the build to be replaced.
      mark: What the names of its files have so that none is one of that build's.
    """

    output: str
    folder: str
    mark: str


def find_target(output: str, overwrite: bool = False) -> Target:
    """Returns where a build is made; the same until it is published.

    Args:
      output: The output folder, claimed.
      overwrite: Whether a finished build in it is to be replaced.
    """
    if not overwrite or not storage.exists(storage.join(output, MANIFEST)):
        return Target(output, output, "")
    files = (file for kind in FOLDERS for file in read_manifest(output)[kind])
    taken = any(file["path"].endswith(f"{_OTHER_NAMES}.parquet") for file in files)
    folder = storage.join(output, NEXT_FOLDER)
    return Target(output, folder, "" if taken else _OTHER_NAMES)


def check_written(folder: str, manifest: Mapping[str, Any]) -> list[str]:
    """Returns which files lie beside those that the manifest names.

    Their sha256 was compared when they were written (`write_parquet`).

    Raises:
      OSError: a file that it names is not there or has another size.
    """
    others: list[str] = []
    for kind, prefix in FOLDERS.items():
        sizes = storage.sizes_below(storage.join(folder, prefix))
        for file in manifest[kind]:
            size = sizes.pop(storage.join(folder, file["path"]), None)
            if size != file["bytes"]:
                came = "no such file" if size is None else f"{size} bytes"
                raise OSError(
                    f"{file['path']}: wrote {file['bytes']} bytes, there is {came}"
                )
        others += sizes
    return others


def commit(target: Target, manifest: Mapping[str, Any]) -> None:
    """Publishes a build: its files, then the manifest; then removes all other files.

    Whoever reads what the manifest names finds all of it at each moment, of the build
    that is replaced until its manifest is.

    Raises:
      OSError: a file is not as it was written, or something cannot be written.
    """
    output, folder = target.output, target.folder
    check_written(folder, manifest)
    replaces = folder != output
    if replaces:
        files = [file["path"] for kind in FOLDERS for file in manifest[kind]]
        beside = [REPORT, CARD, CROISSANT]
        present = [n for n in beside if storage.exists(storage.join(folder, n))]
        for name in [*files, *present]:
            storage.place(storage.join(folder, name), storage.join(output, name))
    others = check_written(output, manifest)
    data = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
    storage.write_bytes(storage.join(output, MANIFEST), data + b"\n")
    if replaces:
        # These are made anew from the manifest.
        others += [storage.join(output, name) for name in (PAGE, LINEAGE)]
    storage.delete(others)


def release(target: Target) -> None:
    """Ends a build: nobody may take the folder over any more."""
    storage.delete(storage.list_drafts(target.output))
    storage.delete_folder(storage.join(target.folder, USES_FOLDER))
    storage.delete([storage.join(target.folder, UNFINISHED)])
    if target.folder != target.output:
        storage.delete_folder(target.folder)
