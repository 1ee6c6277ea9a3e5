"""The graph of a build, as runners get it: what crosses shuffles, and how."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.coders import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as beam_runner_api
from apache_beam.runners.portability.fn_api_runner.execution import ListBuffer
from apache_beam.utils.proto_utils import parse_Bytes

import synthfilter as sf
from synthfilter.core import batches
from synthfilter.core.batches import RecordBatchCoder

SHUFFLES = ("beam:transform:group_by_key:v1", "beam:transform:reshuffle:v1")
# Few and small whatever the size of the input: files, blocks, sums of whole parts.
SMALL = {
    "SpreadFiles",
    "SpreadBlocks",
    "SameArchiveFile",
    "AddChosen",
    "AddDigests",
    "AddFigures",
    "AddSameIds",
    "AddSummaries",
    "AddSurveys",
    "AllParents",
    "JoinBounds",
}
BATCHES = {
    "SamePart",
    "SamePartForOrigin",
    "SameIdentity",
    "SameContent",
    "SameBlockForLedger",
    "SameBlockForOrigin",
    "SameBlock",
    "SameBand",
    "SameCell",
    "SameCells",
    "ByShard",
}
# By the number of the side input.
SEVERAL = {"GroupPairs 0": 3, "Resolve 0": 2}
BATCHES_FOR_ALL = {
    "ClaimNearUses 0",
    "DropNearCopies 0",
    "DropNearUses 0",
    "FindFollowers 2",
    "FindLineage 0",
    "GatherHubs 0",
    "GatherLeaders 0",
    "GroupPairs 0",
    "LeaveFollowers 0",
    "ReadCandidates 2",
    "Resolve 0",
    "SettleFollowers 1",
}


def a_build(folder: Path, **options: Any) -> sf.Build:
    texts = [f"Letter {i}, written by hand on a long winter evening." for i in range(9)]
    pq.write_table(pa.table({"text": texts}), folder / "h.parquet")
    return sf.Build(
        output=str(folder / "out"),
        human=[str(folder / "h.parquet")],
        near_duplicates=0.8,
        ledger=str(folder / "ledger"),
        max_uses=2,
        **options,
    )


DATAFLOW = [
    "--runner=DataflowRunner",
    "--project=my-project",
    "--region=us-central1",
    "--job_name=build",
    "--temp_location=gs://my-bucket/tmp",
    "--staging_location=gs://my-bucket/stage",
    "--sdk_location=container",
    "--dry_run=True",
    "--no_auth",
]


@pytest.fixture(scope="module", params=["portable", "dataflow"])
def graph(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """The pipeline of a build with near copies and a ledger, as a proto.

    The one that every runner gets, and what Dataflow makes of it.
    """
    build = a_build(tmp_path_factory.mktemp("graph"))
    if request.param == "dataflow":
        pytest.importorskip(
            "google.cloud.dataflow_v1beta3",
            reason="needs pip install 'synthfilter[gcp]'; make test-dataflow has it",
        )
        pipeline = beam.Pipeline(options=PipelineOptions(DATAFLOW))
        _ = pipeline | "Build" >> build
        return pipeline.run().job.proto_pipeline
    pipeline = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([]))
    _ = pipeline | "Build" >> build
    return pipeline.to_runner_api()


def coders_of(graph: Any, coder_id: str) -> Iterator[Any]:
    """Yields the coders that one coder is made of, as Beam's objects."""
    coder = graph.components.coders[coder_id]
    if coder.component_coder_ids:
        for inner in coder.component_coder_ids:
            yield from coders_of(graph, inner)
    else:
        yield coders.Coder.from_runner_api(coder, _Context(graph))


class _Context:
    """What a coder asks for when it is read from a proto."""

    def __init__(self, graph: Any) -> None:
        self.coders = self
        self._graph = graph

    def get_by_id(self, coder_id: str) -> Any:
        coder = self._graph.components.coders[coder_id]
        return coders.Coder.from_runner_api(coder, self)


def shuffles_of(graph: Any) -> dict[str, list[Any]]:
    """Returns the coders of what each shuffle carries, by its name in the build."""
    found: dict[str, list[Any]] = {}
    for transform in graph.components.transforms.values():
        if transform.spec.urn in SHUFFLES:
            [given] = transform.inputs.values()
            coder = graph.components.pcollections[given].coder_id
            name = transform.unique_name.split("/")[1]
            found.setdefault(name, []).extend(coders_of(graph, coder))
    return found


def test_documents_cross_shuffles_as_arrow_batches_keyed_by_a_number(
    graph: Any,
) -> None:
    found = shuffles_of(graph)
    assert found.keys() == SMALL | BATCHES
    for name in BATCHES:
        key, *values = (type(coder) for coder in found[name])
        assert key is coders.VarIntCoder, name
        assert set(values) == {RecordBatchCoder}, name


def test_facts_that_every_worker_gets_are_arrow_batches_too(graph: Any) -> None:
    """Side inputs of batches; all the others are one value, or a row for a block.

    Dataflow's runner gives them a coder that pickles what it does not know.
    """
    batch = pa.record_batch({"id": ["a letter"] * 1000}).slice(3, 1)
    typed, sent = set(), set()
    for transform in graph.components.transforms.values():
        if transform.spec.urn != "beam:transform:pardo:v1":
            continue
        pardo = parse_Bytes(transform.spec.payload, beam_runner_api.ParDoPayload)
        for side in pardo.side_inputs:
            name = f"{transform.unique_name.split('/')[1]} {side[-1]}"
            coder_id = graph.components.pcollections[transform.inputs[side]].coder_id
            if RecordBatchCoder in map(type, coders_of(graph, coder_id)):
                typed.add(name)
            if name in BATCHES_FOR_ALL:
                coder = _Context(graph).get_by_id(coder_id)
                number = SEVERAL.get(name, 1)
                encoded = coder.encode((batch,) * number if number > 1 else batch)
                assert encoded.count(RecordBatchCoder().encode(batch)) == number
                assert len(encoded) < 1000 * number
                sent.add(name)
    assert sent == BATCHES_FOR_ALL
    assert typed in (BATCHES_FOR_ALL, set())


def test_nothing_of_the_main_program_is_needed_on_workers(graph: Any) -> None:
    for transform in graph.components.transforms.values():
        assert b"__main__" not in transform.spec.payload


def test_no_text_crosses_a_shuffle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes from stage to stage is looked at while a build runs."""
    sent: list[bytes] = []
    append = ListBuffer.append

    def spy(self: Any, data: bytes) -> None:
        sent.append(bytes(data))
        append(self, data)

    monkeypatch.setattr(ListBuffer, "append", spy)
    # Compressed, text would not be seen.
    monkeypatch.setattr(batches, "_IPC", pa.ipc.IpcWriteOptions())
    build = a_build(tmp_path, excerpt=0)
    with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([])) as pipeline:
        _ = pipeline | "Build" >> build
    [shard] = (tmp_path / "out/data").iterdir()
    assert "winter evening" in pq.read_table(shard)["text"][0].as_py()
    assert len(sent) > 20
    assert any(b"h.parquet" in data for data in sent)
    assert not [data for data in sent if b"winter" in data]


def test_memory_asked_for_is_asked_of_every_worker_of_one_environment(
    tmp_path: Path,
) -> None:
    """Stages of different hints would run in different workers, each with a model."""
    options = PipelineOptions(["--resource_hint=min_ram=8GB"])
    pipeline = beam.Pipeline(runner="FnApiRunner", options=options)
    _ = pipeline | "Build" >> a_build(tmp_path)
    environments = pipeline.to_runner_api().components.environments.values()
    hints = [dict(found.resource_hints) for found in environments]
    assert {"beam:resources:min_ram_bytes:v1": b"8000000000"} in hints
