"""A path whose filesystem cannot be used says what to install, in one line."""

import sys

import pytest

from synthfilter.cli import main
from synthfilter.core.errors import UserError
from synthfilter.core.filesystems import check_filesystem


@pytest.mark.parametrize(
    ("path", "client", "package"),
    [
        ("gs://bucket/a.parquet", "google.cloud.storage", "synthfilter[gcp]"),
        ("s3://bucket/a.parquet", "boto3", "synthfilter[aws]"),
        ("azfs://account/container/a", "azure.storage.blob", "apache-beam[azure]"),
        ("hdfs://host/a.parquet", "hdfs", "apache-beam[hadoop]"),
    ],
)
def test_a_filesystem_without_its_client_says_what_to_install(
    path: str, client: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, client.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises(UserError) as caught:
        check_filesystem(path)
    assert str(caught.value) == (
        f"'{path}' needs a package that is not installed: pip install '{package}'"
    )


def test_local_paths_and_installed_clients_are_fine() -> None:
    for path in ("a.parquet", "/tmp/a b", "C:/x", "s3://bucket/a"):
        check_filesystem(path)


def test_an_unknown_scheme_is_told_from_those_that_are_known() -> None:
    with pytest.raises(UserError, match=r"starts with gs://, s3://.*, got 'foo://b/a'"):
        check_filesystem("foo://b/a")


@pytest.mark.parametrize(
    "command",
    [
        ["build", "--human", "s3://bucket/a.parquet", "--output", "out"],
        ["build", "--human", "{file}", "--output", "s3://bucket/out"],
        ["build", "--human", "{file}", "--output", "out", "--detector", "s3://b/a.bin"],
        ["build", "--human", "{file}", "--output", "out", "--cache", "s3://b/cache"],
        ["score", "s3://bucket/a.jsonl", "--output", "scored.parquet"],
        ["inspect", "s3://bucket/out"],
        ["verify", "s3://bucket/out"],
        ["diff", "s3://bucket/out", "s3://bucket/out2"],
        ["monitor", "s3://bucket/out"],
    ],
)
def test_every_command_says_it_in_one_line(
    command: list[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "a.jsonl").write_text('{"text": "Rain again, all day."}\n')
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "boto3", None)
    quiet = ["--quiet"] if command[0] == "build" else []
    code = main([part.format(file="a.jsonl") for part in [*command, *quiet]])
    said = capsys.readouterr().err
    assert code == 2
    assert said.count("\n") == 1
    assert "pip install 'synthfilter[aws]'" in said
