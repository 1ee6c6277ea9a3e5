"""What an object store refuses, and what it fails at for a while."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.utils import retry
from moto.server import ThreadedMotoServer

from synthfilter.cli import main
from synthfilter.core import storage
from synthfilter.outputs.manifest import read_manifest
from tests.flaky import RESET, Fault, FlakyWay, flaky_way

BUCKET = "s3://letters"


def said(code: str) -> bytes:
    """Returns the body of an error of S3."""
    return f"<Error><Code>{code}</Code><Message>Told.</Message></Error>".encode()


def asks(method: str, part: str) -> Callable[[str, str], bool]:
    return lambda given, path: given == method and part in path


def any_request(method: str, path: str) -> bool:
    return True


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    yield moto.get_host_and_port()
    moto.stop()


@pytest.fixture
def way(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyWay]:
    """The way to a bucket with one file, and the environment that takes it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with flaky_way(*server) as opened:
        monkeypatch.setenv("AWS_ENDPOINT_URL", opened.url)
        storage.use_credentials()
        boto3.client("s3").create_bucket(Bucket="letters")
        yield opened


@pytest.fixture
def letters(way: FlakyWay, tmp_path: Path) -> Path:
    """The file, which is on the disk, too."""
    texts = [
        f"Letter {i}, written by hand on a long winter evening." for i in range(60)
    ]
    path = tmp_path / "h.parquet"
    pq.write_table(pa.table({"text": texts}), path)
    boto3.client("s3").upload_file(str(path), "letters", "in/h.parquet")
    return path


@pytest.fixture
def output(tmp_path: Path) -> str:
    """A folder in the bucket that is this test's own."""
    return f"{BUCKET}/{tmp_path.name}/out"


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What Beam's retries would have waited, in seconds, instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr(retry.Clock, "sleep", lambda _, seconds: waited.append(seconds))
    return waited


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the client give up after two attempts."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")


def build(source: str, output: str, *more: str) -> int:
    return main(["build", "--human", source, "--output", output, "--quiet", *more])


def digest(output: str) -> str:
    return read_manifest(output)["content_digest"]


def test_what_fails_for_a_while_is_tried_again(
    way: FlakyWay, letters: Path, output: str, tmp_path: Path
) -> None:
    kinds = {
        "list": (asks("GET", "prefix=in"), 503, said("SlowDown")),
        "open": (asks("HEAD", "in/h.parquet"), 500, b""),
        "read": (asks("GET", "in/h.parquet"), RESET, b""),
        "begin": (asks("POST", "?uploads"), 429, said("TooManyRequests")),
        "write": (asks("PUT", "partNumber"), 503, said("ServiceUnavailable")),
        "end": (asks("POST", "?uploadId"), RESET, b""),
    }
    way.faults = [Fault(*kind, times=2) for kind in kinds.values()]
    assert build(f"{BUCKET}/in/*.parquet", output) == 0
    assert len(way.failed) == 2 * len(kinds)
    assert build(str(letters), str(tmp_path / "set")) == 0
    assert digest(output) == digest(str(tmp_path / "set"))


def test_what_the_client_gives_up_on_is_tried_again_later(
    way: FlakyWay, letters: Path, output: str, naps: list[float], short: None
) -> None:
    way.faults = [
        Fault(asks("GET", "prefix=in"), 503, said("SlowDown"), times=4),
        Fault(asks("PUT", "partNumber"), 503, said("SlowDown"), times=4),
    ]
    assert build(f"{BUCKET}/in/*.parquet", output) == 0
    assert len(way.failed) == 8
    assert len(naps) >= 3


def test_there_is_an_end_to_trying(
    way: FlakyWay, letters: Path, output: str, naps: list[float], short: None
) -> None:
    way.faults = [Fault(asks("GET", "prefix=in"), 503, said("SlowDown"))]
    assert build(f"{BUCKET}/in/*.parquet", output) == 1
    assert len(naps) == 7
    assert 300 < sum(naps) <= 635


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "AccessDenied", "access is denied"),
        (403, "InvalidAccessKeyId", "the credentials are not accepted"),
        (403, "SignatureDoesNotMatch", "the credentials are not accepted"),
        (400, "ExpiredToken", "the credentials are not accepted"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region"),
        (404, "NoSuchBucket", "there is no such bucket"),
        (400, "SomethingNew", "SomethingNew"),
    ],
)
def test_what_is_refused_is_one_line_at_once(
    way: FlakyWay,
    letters: Path,
    output: str,
    naps: list[float],
    status: int,
    code: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    way.faults = [Fault(any_request, status, said(code))]
    commands = [
        ["build", "--human", f"{BUCKET}/in/*.parquet", "--output", "set"],
        ["build", "--human", str(letters), "--output", output, "--quiet"],
        ["score", f"{BUCKET}/in/h.parquet", "--output", "scored.parquet"],
        ["inspect", output],
        ["ledger", "show", "--ledger", f"{BUCKET}/ledger"],
    ]
    for command in commands:
        way.failed.clear()
        assert main(command) == 2, command
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("synthfilter: error: cannot ")
        assert message in lines[0]
        assert "s3://letters" in lines[0]
        assert len(way.failed) <= 2
    assert not naps


def test_without_credentials_it_is_one_line_at_once(
    way: FlakyWay,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    start = time.monotonic()
    assert build(f"{BUCKET}/in/*.parquet", "set") == 2
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert build(f"{BUCKET}/in/*.parquet", "set") == 2
    assert time.monotonic() - start < 5
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "no credentials for S3 were found" in line
        assert "set AWS_ACCESS_KEY_ID" in line


def test_a_store_that_cannot_be_reached_is_one_line(
    way: FlakyWay,
    output: str,
    short: None,
    naps: list[float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert main(["inspect", output]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "the store cannot be reached" in line
    assert not naps


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_a_worker_is_refused_is_one_line(
    way: FlakyWay,
    letters: Path,
    output: str,
    workers: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    way.faults = [Fault(asks("POST", "/data/"), 403, said("AccessDenied"))]
    source = f"{BUCKET}/in/*.parquet"
    assert build(source, output, "--workers", workers) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"cannot write '{output}/data/" in line
    assert "access is denied" in line
    assert line.endswith("grant what docs/object-stores.md lists")


def test_what_cannot_be_read_for_a_while_is_no_dead_letter(
    way: FlakyWay,
    letters: Path,
    output: str,
    tmp_path: Path,
    naps: list[float],
    short: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The text is read a second time when shards are written; the store fails there."""
    source = f"{BUCKET}/in/*.parquet"
    scored = False

    def after_it_was_scored(method: str, path: str) -> bool:
        nonlocal scored
        scored |= method == "POST" and ".synthfilter-cache/facts" in path
        return scored and "in/h.parquet" in path

    way.faults = [Fault(after_it_was_scored, 503, said("SlowDown"))]
    assert build(source, output) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "the store is busy or out of order" in line
    assert line.endswith("run the same command again to go on")
    way.faults.clear()
    assert build(source, output) == 0
    assert read_manifest(output)["books"]["dead_letters"] == 0
    assert build(str(letters), str(tmp_path / "set")) == 0
    assert digest(output) == digest(str(tmp_path / "set"))
