"""A build from and to Google Cloud Storage, against an emulator on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.utils import retry

from synthfilter.cli import main
from synthfilter.core import storage
from synthfilter.outputs.manifest import read_manifest
from tests.flaky import RESET, Fault, FlakyWay, flaky_way

cloud = pytest.importorskip(
    "google.cloud.storage",
    reason="needs pip install 'synthfilter[gcp]'; make test-dataflow has it",
)
emulator = pytest.importorskip(
    "gcp_storage_emulator.server", reason="make test-dataflow has the emulator"
)
BUCKET = "gs://letters"


@pytest.fixture(scope="module")
def way() -> Iterator[FlakyWay]:
    """The way to an empty bucket, and the environment that takes it."""
    server = emulator.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    host, port = server._api._httpd.server_address
    with flaky_way(host, port) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", opened.url)
        # Beam looks for credentials five times before it goes on without.
        patch.setenv("NO_GCE_CHECK", "true")
        patch.setattr(retry.Clock, "sleep", lambda *_: None)
        cloud.Client.create_anonymous_client().create_bucket("letters")
        storage.use_credentials()
        yield opened
    server.stop()


@pytest.fixture(autouse=True)
def works(way: FlakyWay) -> Iterator[None]:
    """Leaves a way that works to the next test."""
    yield
    way.faults.clear()
    way.failed.clear()


@pytest.fixture(scope="module")
def inputs(way: FlakyWay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files in the bucket and on the disk; returns the folder on the disk."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "h").mkdir()
    (folder / "s/deep").mkdir(parents=True)
    table = pa.table({"text": [text_of(i) for i in range(300)]})
    pq.write_table(table, folder / "h/a.parquet", row_group_size=50)
    lines = [f'{{"text": "{text_of(i)}"}}' for i in range(500, 700)]
    (folder / "s/deep/b.jsonl").write_text("\n".join(lines))
    for name in ("h/a.parquet", "s/deep/b.jsonl"):
        storage.write_bytes(f"{BUCKET}/in/{name}", (folder / name).read_bytes())
    return folder


def text_of(number: int) -> str:
    return f"On day {number} we wrote a letter, and nobody asked us to, by the sea."


def build(root: str, output: str, *more: str) -> dict[str, Any]:
    inputs = ["--human", f"{root}/h/*.parquet", "--synthetic", f"{root}/s/**/*.jsonl"]
    options = ["--synthetic-fraction", "0.3", "--workers", "1", "--quiet", *more]
    assert main(["build", *inputs, *options, "--output", output]) == 0
    return read_manifest(output)


def test_a_bucket_gives_the_set_that_the_disk_gives(
    inputs: Path, tmp_path: Path
) -> None:
    local = build(str(inputs), str(tmp_path / "set"))
    remote = build(f"{BUCKET}/in", f"{BUCKET}/out/set")
    assert remote["content_digest"] == local["content_digest"]
    for kind in ("shards", "rejected"):
        assert [f["sha256"] for f in remote[kind]] == [f["sha256"] for f in local[kind]]
    below = storage.list_below(f"{BUCKET}/out/set")
    assert not any(name.endswith("_unfinished_build.json") for name in below)
    assert {"README.md", "croissant.json"} <= {name.split("/")[-1] for name in below}
    assert main(["verify", f"{BUCKET}/out/set", "--full"]) == 0
    again = build(f"{BUCKET}/in", f"{BUCKET}/out/set", "--seed", "7", "--overwrite")
    assert again["content_digest"] != local["content_digest"]
    assert main(["verify", f"{BUCKET}/out/set", "--full"]) == 0


def test_what_is_read_again_when_it_fails_for_a_while(way: FlakyWay) -> None:
    storage.write_bytes(f"{BUCKET}/again/x", b"told")
    way.faults = [
        Fault(lambda method, path: "prefix=again" in path, 503, times=2),
        Fault(lambda method, path: "again%2Fx" in path, RESET, times=2),
    ]
    [found] = storage.list_files(f"{BUCKET}/again/*")
    assert storage.read_bytes(found.path) == b"told"
    assert len(way.failed) == 4


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "no credentials for Google Cloud were found"),
        (403, "access is denied"),
    ],
)
def test_what_is_refused_is_one_line_at_once(
    way: FlakyWay,
    inputs: Path,
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    way.faults = [Fault(lambda method, path: True, status, b"{}")]
    commands = [
        ["build", "--human", f"{BUCKET}/in/h/*.parquet", "--output", "set"],
        ["score", f"{BUCKET}/in/h/a.parquet", "--output", "scored.parquet"],
        ["inspect", f"{BUCKET}/out/set"],
    ]
    for command in commands:
        way.failed.clear()
        assert main(command) == 2, command
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("synthfilter: error: cannot ")
        assert message in line
        assert BUCKET in line
        assert len(way.failed) <= 3


def test_what_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        f"{BUCKET}/none/*.parquet": "no file matches",
        "gs://another/*.parquet": "there is no such bucket",
    }
    for path, message in wrong.items():
        assert main(["build", "--human", path, "--output", "set"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert message in line
    with pytest.raises(FileNotFoundError):
        storage.open_raw(f"{BUCKET}/none.parquet")
