"""Events against OpenLineage's own classes, and our facet against its schema."""

import datetime
import importlib
import json
import pkgutil
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openlineage.client import generated
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.naming import dataset as naming

import synthfilter
from synthfilter.insight.lineage import dataset_name, lineage_event, start_event

UTC = datetime.timezone.utc
ENDED = datetime.datetime(2026, 11, 25, 7, 0, 12, tzinfo=UTC)
REPORT = {"run": {"started": "2026-11-25T08:00:00+01:00"}}
FACET = Path(synthfilter.__file__).parent / "insight/build_facet.json"


def manifest(inputs: int = 2) -> dict[str, Any]:
    return {
        "build_id": "18a71962aadbc34f",
        "synthfilter_version": "0.1.0",
        "content_digest": "0" * 32,
        "books": {
            "read": 10,
            "kept": 7,
            "left_out": {"mixture": 2},
            "dead_letters": 1,
            "by_declared_origin": {},
        },
        "shares": {"unit": "words", "got": {}, "asked": 0.3, "estimated": 0.29},
        "detector": {"name": "d", "sha256": "ab", "unscored": {}},
        "inputs": [
            {
                "path": f"s3://bucket/in/{number % 2}/{number}.jsonl",
                "declared": "human",
                "fingerprint": f"{number:032x}",
                "rows": 5,
            }
            for number in range(inputs)
        ],
        "shards": [
            {"path": "data/train-0", "rows": 3, "bytes": 100, "sha256": "x"},
            {"path": "data/train-1", "rows": 4, "bytes": 50, "sha256": "y"},
        ],
    }


def event(**options: Any) -> dict[str, Any]:
    given = {"manifest": manifest(), "report": REPORT, "folder": "gs://sets/out/"}
    return lineage_event(**{**given, "now": ENDED, **options})


def facet_classes() -> dict[str, Any]:
    """Returns OpenLineage's facets by name."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        loaded = importlib.import_module(f"{generated.__name__}.{module.name}")
        found |= vars(loaded)
    return found


def facets_of(said: dict[str, Any]) -> list[dict[str, Any]]:
    datasets = [*said["inputs"], *said["outputs"]]
    groups = [said["run"]["facets"], said["job"]["facets"]]
    for name in ("facets", "inputFacets", "outputFacets"):
        groups += [dataset.get(name, {}) for dataset in datasets]
    return [facet for group in groups for facet in group.values()]


@pytest.mark.parametrize("said", [event(), start_event(event(), REPORT)])
def test_an_event_is_one_by_openlineages_own_classes(said: dict[str, Any]) -> None:
    made = RunEvent(
        eventType=RunState[said["eventType"]],
        eventTime=said["eventTime"],
        producer=said["producer"],
        run=Run(**said["run"]),
        job=Job(**said["job"]),
        inputs=[InputDataset(**named) for named in said["inputs"]],
        outputs=[OutputDataset(**named) for named in said["outputs"]],
    )
    assert made.schemaURL == said["schemaURL"]


def test_every_facet_is_one_by_openlineages_own_classes() -> None:
    classes = facet_classes()
    known = [f for f in facets_of(event()) if "openlineage.io" in f["_schemaURL"]]
    assert len(known) == 2 + 2 * 4 + 4
    for facet in known:
        name = facet["_schemaURL"].rpartition("/")[2]
        values = {key: v for key, v in facet.items() if not key.startswith("_")}
        made = classes[name](**values)
        # A newer client may know a later version of the same facet.
        mine, theirs = facet["_schemaURL"].split("/"), made._schemaURL.split("/")
        assert mine[:5] + mine[6:] == theirs[:5] + theirs[6:]
        assert mine[5].split("-")[0] == theirs[5].split("-")[0]


def test_our_own_facet_fits_its_schema() -> None:
    shape = json.loads(FACET.read_text())
    facet = event()["run"]["facets"]["synthfilter_build"]
    jsonschema.validate(facet, shape, cls=jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**facet, "books": {}}, shape)
    assert facet["_schemaURL"].endswith("#synthfilter/insight/build_facet.json")
    assert facet["shares"]["estimated"] == 0.29


def test_the_set_is_told_with_rows_bytes_columns_and_build() -> None:
    (made,) = event()["outputs"]
    assert (made["namespace"], made["name"]) == ("gs://sets", "out")
    statistics = made["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (7, 150)
    assert statistics["fileCount"] == 2
    assert made["facets"]["version"]["datasetVersion"] == "18a71962aadbc34f"
    columns = made["facets"]["schema"]["fields"]
    assert {"name": "text", "type": "large_string"} in columns


def test_an_input_is_told_with_its_state_and_declared_origin() -> None:
    first, _ = event()["inputs"]
    assert (first["namespace"], first["name"]) == ("s3://bucket", "in/0/0.jsonl")
    assert first["facets"]["version"]["datasetVersion"] == "0" * 32
    assert first["inputFacets"]["inputStatistics"]["rowCount"] == 5
    (tag,) = first["facets"]["tags"]["tags"]
    assert (tag["key"], tag["value"]) == ("declared_origin", "human")


def test_very_many_inputs_are_told_by_folder() -> None:
    found = event(manifest=manifest(1500))["inputs"]
    assert [named["name"] for named in found] == ["in/0", "in/1"]
    counts = [named["inputFacets"]["inputStatistics"] for named in found]
    assert [(c["rowCount"], c["fileCount"]) for c in counts] == [(3750, 750)] * 2
    assert len({n["facets"]["version"]["datasetVersion"] for n in found}) == 2


def test_a_run_has_the_same_id_whenever_it_is_told() -> None:
    later = ENDED + datetime.timedelta(hours=1)
    first, again = event(), event(now=later)
    assert first["run"]["runId"] == again["run"]["runId"]
    assert event(report={"run": {"started": "2026-11-25T07:00:01+00:00"}}) != first
    found = uuid.UUID(first["run"]["runId"])
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    started = datetime.datetime(2026, 11, 25, 7, tzinfo=UTC)
    assert found.int >> 80 == started.timestamp() * 1000


def test_a_run_starts_when_its_report_says() -> None:
    assert event()["eventTime"] == "2026-11-25T07:00:12+00:00"
    assert start_event(event(), REPORT)["eventTime"] == "2026-11-25T07:00:00+00:00"


@pytest.mark.parametrize(
    "report",
    [None, {}, {"run": None}, {"run": {"started": 5}}, {"run": {"started": "soon"}}],
)
def test_without_a_start_a_run_started_when_it_ended(report: Any) -> None:
    said = event(report=report)
    assert start_event(said, report)["eventTime"] == said["eventTime"]
    assert uuid.UUID(said["run"]["runId"]).version == 7


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/out/", naming.LocalFileSystem("/data/out")),
        ("s3://bucket/a/b", naming.S3("bucket", "a/b")),
        ("gs://bucket/a/", naming.GCS("bucket", "a")),
        ("gs://bucket", naming.GCS("bucket", "/")),
        ("hdfs://node:8020/a", naming.HDFS("node", "8020", "/a")),
    ],
)
def test_datasets_are_named_as_openlineage_names_them(path: str, expected: Any) -> None:
    assert dataset_name(path) == (expected.get_namespace(), expected.get_name())


def test_a_relative_path_is_named_in_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert dataset_name("out/") == ("file", str(tmp_path / "out"))
