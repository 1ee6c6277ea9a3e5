"""The main program for any runner."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PROGRAM = Path(__file__).parent.parent / "pipelines/build.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pipelines_build", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    texts = [f"Letter {i}, written by hand on a long winter evening." for i in range(9)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "h.parquet")
    human, output = str(tmp_path / "h.parquet"), str(tmp_path / "out")
    return ["--human", human, "--output", output]


def test_our_options_and_the_runners_go_together(
    program: ModuleType, arguments: list[str], tmp_path: Path
) -> None:
    assert program.main([*arguments, "--seed", "3", "--runner=FnApiRunner"]) == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["books"]["kept"] == 9
    assert manifest["options"]["seed"] == 3


def test_without_a_runner_the_local_one_is_taken(
    program: ModuleType, arguments: list[str], tmp_path: Path
) -> None:
    assert program.main(arguments) == 0
    assert (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("runner", ["DaskRunner", "dask"])
def test_a_runner_that_loses_outputs_is_refused(
    program: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    runner: str,
    capsys: pytest.CaptureFixture,
) -> None:
    assert program.main([*arguments, f"--runner={runner}"]) == 2
    assert "DaskRunner loses outputs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_dataflow_without_its_packages_says_what_to_install(
    program: ModuleType,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.dataflow_v1beta3", None)
    assert program.main([*arguments, "--runner=DataflowRunner"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("not installed: pip install 'synthfilter[gcp]'\n")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_mistakes_are_one_line(
    program: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert program.main(["--human", str(tmp_path / "none"), "--output", "x"]) == 2
    assert "no file matches" in capsys.readouterr().err


def test_dataflow_translates_the_build(
    program: ModuleType, arguments: list[str]
) -> None:
    pytest.importorskip(
        "google.cloud.dataflow_v1beta3", reason="needs pip install 'synthfilter[gcp]'"
    )
    dataflow = ["--runner=DataflowRunner", "--project=my-project", "--job_name=build"]
    dataflow += ["--region=us-central1", "--temp_location=gs://my-bucket/tmp"]
    dataflow += ["--staging_location=gs://my-bucket/stage", "--dry_run=True"]
    dataflow += ["--sdk_location=container", "--no_auth"]
    assert program.main([*arguments, *dataflow]) == 0
