"""A build as an OpenLineage event (spec 2-0-2): the run, what it read, what it made."""

import datetime
import hashlib
import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa

from synthfilter.core import schema, storage
from synthfilter.core.reports import started_of
from synthfilter.core.secrets import redact

NAMESPACE = "synthfilter"
JOB = "build"
_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
# The schema of our own facet, a file of the package.
_OWN_FACET = "synthfilter/insight/build_facet.json"
# Of more files than that, folders are named.
_MOST_INPUTS = 1000


def lineage_event(
    manifest: Mapping[str, Any],
    report: Optional[Mapping[str, Any]],
    folder: str,
    now: datetime.datetime,
    namespace: str = NAMESPACE,
    job: str = JOB,
) -> dict[str, Any]:
    """Returns the event that a build is complete.

    Args:
      manifest: Of the build.
      report: Of the build, which knows when it started; None if there is none.
      folder: Its output folder.
      now: When it ended.
      namespace: Of the job, as schedulers name it.
      job: What the job is called there.
    """
    started = _started(report) or now
    version = str(manifest.get("synthfilter_version"))
    # A package URL: the name and version of what made the set, wherever it came from.
    producer = f"pkg:generic/synthfilter@{version}"
    event = {
        "eventType": "COMPLETE",
        "eventTime": _moment(now),
        "producer": producer,
        "schemaURL": _EVENT,
        "run": {
            "runId": _run_id(manifest["build_id"], started),
            "facets": {
                "processing_engine": _facet(
                    "1-1-1",
                    "ProcessingEngineRunFacet",
                    name="synthfilter",
                    version=version,
                ),
                "synthfilter_build": _build_facet(manifest, producer),
            },
        },
        "job": {
            "namespace": namespace,
            "name": job,
            "facets": {
                "jobType": _facet(
                    "2-0-4",
                    "JobTypeJobFacet",
                    processingType="BATCH",
                    integration="SYNTHFILTER",
                    jobType="JOB",
                )
            },
        },
        "inputs": [_input(files) for files in _datasets_of(manifest["inputs"])],
        "outputs": [_output(manifest, folder)],
    }
    return _signed(event, producer)


def _signed(found: Any, producer: str) -> Any:
    """Returns the same with the producer in each facet."""
    if isinstance(found, dict):
        signed = {name: _signed(value, producer) for name, value in found.items()}
        return {"_producer": producer, **signed} if "_schemaURL" in found else signed
    if isinstance(found, list):
        return [_signed(value, producer) for value in found]
    return found


def start_event(
    event: Mapping[str, Any], report: Optional[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns the event that the run of another event started.

    Args:
      event: As `lineage_event` returns it.
      report: Of the build; without one it started when it ended.
    """
    started = _started(report)
    return {
        **event,
        "eventType": "START",
        "eventTime": event["eventTime"] if started is None else _moment(started),
        "run": {"runId": event["run"]["runId"], "facets": {}},
        "inputs": [],
        "outputs": [],
    }


def dataset_name(path: str) -> tuple[str, str]:
    """Returns namespace and name of a path by OpenLineage's naming of datasets."""
    if storage.is_local(path):
        return "file", os.path.abspath(path)
    scheme, _, rest = path.partition("://")
    authority, _, key = rest.partition("/")
    name = key.rstrip("/")
    # An object has a key, elsewhere what follows the host is a path.
    return f"{scheme}://{authority}", name if name and scheme != "hdfs" else f"/{name}"


def _facet(version: str, name: str, /, **values: Any) -> dict[str, Any]:
    """Returns one of OpenLineage's own facets, not yet signed."""
    url = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_schemaURL": url, **values}


def _build_facet(manifest: Mapping[str, Any], producer: str) -> dict[str, Any]:
    """Returns our own facet: the books and the shares."""
    books = manifest["books"]
    detector = manifest["detector"]
    return {
        "_schemaURL": f"{producer}#{_OWN_FACET}",
        "build_id": manifest["build_id"],
        "content_digest": manifest["content_digest"],
        "detector": {name: detector.get(name) for name in ("name", "sha256")},
        "books": {
            name: books[name] for name in ("read", "kept", "left_out", "dead_letters")
        },
        "shares": dict(manifest["shares"]),
    }


def _datasets_of(inputs: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Returns input files one by one, or by folder where they are very many."""
    if len(inputs) <= _MOST_INPUTS:
        return [[file] for file in inputs]
    folders: dict[tuple[str, Any], list[Mapping[str, Any]]] = {}
    for file in inputs:
        key = (storage.parent(file["path"]), file.get("declared"))
        folders.setdefault(key, []).append(file)
    return [*folders.values()]


def _input(files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the dataset of one input file, or of those of one folder."""
    path = files[0]["path"]
    version = files[0].get("fingerprint")
    if len(files) > 1:
        path = storage.parent(path)
        said = "\n".join(sorted(str(file.get("fingerprint")) for file in files))
        version = hashlib.sha256(said.encode()).hexdigest()[:32]
    found = _dataset(path, version)
    tag = {
        "key": "declared_origin",
        "value": str(files[0].get("declared")),
        "source": "SYNTHFILTER",
    }
    found["facets"]["tags"] = _facet("1-0-0", "TagsDatasetFacet", tags=[tag])
    statistics = _facet(
        "1-0-0",
        "InputStatisticsInputDatasetFacet",
        rowCount=sum(file.get("rows", 0) for file in files),
        fileCount=len(files),
    )
    return {**found, "inputFacets": {"inputStatistics": statistics}}


def _output(manifest: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Returns the dataset that was made."""
    shards = manifest["shards"]
    found = _dataset(redact(folder), manifest["build_id"])
    found["facets"]["schema"] = _facet(
        "1-2-0", "SchemaDatasetFacet", fields=[*map(_field, schema.SHARD)]
    )
    statistics = _facet(
        "1-0-2",
        "OutputStatisticsOutputDatasetFacet",
        rowCount=sum(file["rows"] for file in shards),
        size=sum(file["bytes"] for file in shards),
        fileCount=len(shards),
    )
    return {**found, "outputFacets": {"outputStatistics": statistics}}


def _dataset(path: str, version: Any) -> dict[str, Any]:
    """Returns what every dataset has: its name, where it is, which state it is in."""
    namespace, name = dataset_name(path)
    uri = Path(name).as_uri() if namespace == "file" else path
    return {
        "namespace": namespace,
        "name": name,
        "facets": {
            "dataSource": _facet(
                "1-0-1", "DatasourceDatasetFacet", name=namespace, uri=uri
            ),
            "version": _facet(
                "1-0-1", "DatasetVersionDatasetFacet", datasetVersion=str(version)
            ),
        },
    }


def _field(column: pa.Field) -> dict[str, str]:
    return {"name": column.name, "type": str(column.type)}


def _started(report: Optional[Mapping[str, Any]]) -> Optional[datetime.datetime]:
    """Returns when a build started, None where no report says so."""
    try:
        return started_of(report or {})
    except ValueError:
        return None


def _moment(time: datetime.datetime) -> str:
    return time.astimezone(datetime.timezone.utc).isoformat()


def _run_id(build_id: str, started: datetime.datetime) -> str:
    """Returns the same UUID for the same run: version 7, so that ids sort by time."""
    chance = hashlib.sha256(f"{build_id} {_moment(started)}".encode()).digest()
    number = int.from_bytes(chance[:10], "big")
    number |= (int(started.timestamp() * 1000) & (1 << 48) - 1) << 80
    number = number & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=number & ~(3 << 62) | 2 << 62))
