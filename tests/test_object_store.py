"""A build from and to an object store, against a real S3 server on this machine."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from synthfilter.cli import main
from synthfilter.core import storage
from synthfilter.outputs.manifest import read_manifest

WEATHER = ("rain over the hills", "sun on the river", "fog in the harbour", "late snow")


def text_of(number: int) -> str:
    said = f"On day {number} there was {WEATHER[number % 4]}, and we wrote it down."
    return said + " Nobody asked us to."


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An empty bucket, and the environment that leads Beam to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        boto3.client("s3").create_bucket(Bucket="documents")
        yield "s3://documents"
    server.stop()


@pytest.fixture(scope="module")
def inputs(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same files in the bucket and on the disk; returns the folder on the disk."""
    folder = tmp_path_factory.mktemp("inputs")
    client = boto3.client("s3")
    (folder / "h").mkdir()
    (folder / "s/deep").mkdir(parents=True)
    table = pa.table({"text": [text_of(i) for i in range(300)]})
    pq.write_table(table, folder / "h/a.parquet", row_group_size=50)
    lines = [f'{{"text": "{text_of(i)}"}}' for i in range(500, 700)]
    (folder / "s/deep/b.jsonl").write_text("\n".join(lines))
    for name in ("h/a.parquet", "s/deep/b.jsonl"):
        client.upload_file(str(folder / name), "documents", f"in/{name}")
    return folder


def build(root: str, output: str, workers: int = 1) -> dict:
    arguments = [
        "--human",
        f"{root}/h/*.parquet",
        "--synthetic",
        f"{root}/s/**/*.jsonl",
    ]
    arguments += ["--synthetic-fraction", "0.3", "--workers", str(workers), "--quiet"]
    assert main(["build", *arguments, "--output", output]) == 0
    return read_manifest(output)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bucket_gives_the_set_that_the_disk_gives(
    bucket: str, inputs: Path, tmp_path: Path, workers: int
) -> None:
    local = build(str(inputs), str(tmp_path / "set"))
    remote = build(f"{bucket}/in", f"{bucket}/out{workers}/set", workers)
    assert remote["content_digest"] == local["content_digest"]
    for kind in ("shards", "rejected"):
        assert [f["sha256"] for f in remote[kind]] == [f["sha256"] for f in local[kind]]
    below = storage.list_below(f"{bucket}/out{workers}/set")
    assert not any(name.endswith("_unfinished_build.json") for name in below)
    assert {"README.md", "croissant.json"} <= {name.split("/")[-1] for name in below}
    if workers == 1:
        assert main(["verify", f"{bucket}/out1/set", "--full"]) == 0


def test_a_file_in_a_bucket_is_placed_over_another(bucket: str) -> None:
    storage.use_credentials()
    new, old = f"{bucket}/placed/_next/data/x", f"{bucket}/placed/data/x"
    storage.write_bytes(old, b"old")
    storage.write_bytes(new, b"newer")
    storage.place(new, old)
    assert storage.sizes_below(f"{bucket}/placed") == {new: 5, old: 5}
    storage.delete_folder(f"{bucket}/placed/_next")
    assert storage.list_below(f"{bucket}/placed") == [old]
    assert storage.read_bytes(old) == b"newer"


def test_a_ledger_in_a_bucket_knows_what_was_used(
    bucket: str, inputs: Path, capsys: pytest.CaptureFixture
) -> None:
    ledger = f"{bucket}/used/ledger"
    first = ["build", "--human", f"{bucket}/in/h/", "--output", f"{bucket}/used/a"]
    assert main([*first, "--quiet", "--ledger", ledger]) == 0
    again = [*first[:-1], f"{bucket}/used/b", "--max-uses", "1", "--cap-human"]
    assert main([*again, "--quiet", "--ledger", ledger]) == 3
    assert "the set would be empty: 0 human" in capsys.readouterr().err
    assert main(["ledger", "show", "--ledger", ledger]) == 0
    assert "300" in capsys.readouterr().out


def test_a_shard_that_is_gone_from_a_bucket_is_named(
    bucket: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    made = build(str(inputs), str(tmp_path / "set"))
    client = boto3.client("s3")
    for kind in ("rejected/", "manifest.json"):
        for path in storage.list_below(str(tmp_path / "set")):
            if kind in path:
                name = f"damaged{path[len(str(tmp_path / 'set')) :]}"
                client.upload_file(path, "documents", name)
    client.put_object(Bucket="documents", Key="damaged/data/x", Body=b"x")
    assert main(["verify", f"{bucket}/damaged"]) == 4
    said = capsys.readouterr().out
    assert f"{made['shards'][0]['path']}: is missing" in said
    assert "data/x: no file of this build" in said


def test_a_mistake_about_a_bucket_is_one_line(
    bucket: str, inputs: Path, capsys: pytest.CaptureFixture
) -> None:
    wrong = {
        f"{bucket}/none/*.parquet": "no file matches",
        "s3://another-bucket/x.parquet": "there is no such bucket",
    }
    for path, message in wrong.items():
        assert main(["build", "--human", path, "--output", f"{bucket}/no"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    taken = ["build", "--human", f"{bucket}/in/h/", "--output", f"{bucket}/in"]
    assert main(taken) == 2
    assert "is not empty" in capsys.readouterr().err
