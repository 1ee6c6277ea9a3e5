"""What lies beside a build's data (report, card, metadata), and whether it is of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.reports import CARD, CROISSANT, LINEAGE, PAGE, REPORT
from synthfilter.outputs.manifest import FOLDERS

# Where a text names a build: `build 18a71962aadbc34f`, `"build_id": "18a7..."`.
_NAMED_BUILD = re.compile(r"build(?:[_ ]?id)?\W{0,12}\b([0-9a-f]{16})\b", re.I)


def check_beside(folder: str, manifest: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns what is wrong with each file beside the data that is there.

    Args:
      folder: Output folder of the build.
      manifest: Its manifest.
    """
    found: dict[str, list[str]] = {}
    for name, check in _CHECKS.items():
        path = storage.join(folder, name)
        if not storage.exists(path):
            continue
        try:
            found[name] = [*check(storage.read_bytes(path), manifest)]
        except (orjson.JSONDecodeError, UserError) as error:
            found[name] = [f"cannot be read: {error}"]
    return found


def _check_report(data: bytes, manifest: Mapping[str, Any]) -> Iterator[str]:
    report = orjson.loads(data)
    if not isinstance(report, dict):
        yield "is no JSON object"
        return
    for name in ("build_id", "content_digest"):
        if report.get(name) != manifest[name]:
            yield (
                f"{name} is {report.get(name)!r:.60}, the manifest's is "
                f"{manifest[name]!r}"
            )
    if report.get("books") != manifest["books"]:
        yield "books are not those of the manifest"


def _check_named(data: bytes, manifest: Mapping[str, Any]) -> Iterator[str]:
    said = data.decode(errors="replace")
    named = set(_NAMED_BUILD.findall(said))
    # Earlier builds may be named, too; a text that people rewrote may name none.
    if named and manifest["build_id"] not in said:
        yield f"names build {', '.join(sorted(named)[:3])}, not {manifest['build_id']}"


def _check_croissant(data: bytes, manifest: Mapping[str, Any]) -> Iterator[str]:
    found = orjson.loads(data)
    listed = found.get("distribution") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        yield "has no list `distribution`"
        return
    hashes = {
        str(entry.get("contentUrl")): entry["sha256"]
        for entry in listed
        if isinstance(entry, dict) and "sha256" in entry
    }
    named = {
        file["path"]: file["sha256"] for kind in FOLDERS for file in manifest[kind]
    }
    for path, sha256 in hashes.items():
        if path.startswith(tuple(FOLDERS.values())) and path not in named:
            yield f"names {path!r:.120}, which the manifest does not"
        elif path in named and sha256 != named[path]:
            yield f"sha256 of {path} is not that of the manifest"
    for file in manifest["shards"]:
        if file["path"] not in hashes:
            yield f"does not name {file['path']}"


def _check_lineage(data: bytes, manifest: Mapping[str, Any]) -> Iterator[str]:
    try:
        version = orjson.loads(data)["outputs"][0]["facets"]["version"]
        build = version["datasetVersion"]
    except (KeyError, IndexError, TypeError):
        yield "has no output with a version"
        return
    if build != manifest["build_id"]:
        yield f"is of build {build!r:.60}, not {manifest['build_id']}"


_CHECKS = {
    REPORT: _check_report,
    PAGE: _check_named,
    CARD: _check_named,
    CROISSANT: _check_croissant,
    LINEAGE: _check_lineage,
}
