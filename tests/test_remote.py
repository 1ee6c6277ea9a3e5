"""Builds on a runner that is named: its options, its errors, both doors."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, StandardOptions

from synthfilter import remote
from synthfilter.cli import main
from synthfilter.core.errors import RunnerError, ShortageError, UserError, exit_code
from synthfilter.outputs.manifest import UNFINISHED, read_manifest
from synthfilter.remote import Build, make_runner_options, with_absolute_paths

OURS = ["--seed", "--dry-run", "--target-size", "--workers", "--protect"]
# As Beam's portable runners report what a worker on another machine raised.
TOLD = """Pipeline BeamApp-1 failed in state FAILED: java.lang.RuntimeException: Error
Traceback (most recent call last):
  File "chain.py", line 3, in process
synthfilter.core.errors.{error} [while running 'PlanMixture-ptransform-5']
\tat org.apache.beam.sdk.fn.control.FnApiControlClient.handle(FnApiControlClient.java)
"""


def test_the_runner_gets_its_flags() -> None:
    options = make_runner_options(
        "FlinkRunner", ["--flink_master=http://m:8081", "--dry_run=True"], OURS
    )
    assert options.view_as(StandardOptions).runner == "FlinkRunner"
    assert options.view_as(FlinkRunnerOptions).flink_master == "http://m:8081"


@pytest.mark.parametrize(
    "flag", ["--sed=3", "--seeds", "--taget-size=5", "--target_size=5"]
)
def test_a_flag_of_ours_that_is_misspelt_does_not_go_to_the_runner(flag: str) -> None:
    with pytest.raises(UserError, match=r"unrecognized arguments: --.*; did you mean"):
        make_runner_options("FlinkRunner", [flag], OURS)


@pytest.mark.parametrize(
    "flag",
    ["--num_workers=2", "--project=p", "--parallelism=2", "--fasterCopy", "a value"],
)
def test_other_flags_are_left_to_the_runner(flag: str) -> None:
    make_runner_options("FlinkRunner", [flag], OURS)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    texts = [f"Letter {i}, written by hand on a long winter evening." for i in range(9)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "h.parquet")
    human, output = str(tmp_path / "h.parquet"), str(tmp_path / "out")
    return ["build", "--human", human, "--output", output]


def test_the_command_runs_on_the_runner_that_is_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--runner=FnApiRunner", "--direct_num_workers=1"]) == 0
    assert read_manifest(str(tmp_path / "out"))["books"]["kept"] == 9
    assert "9 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--runner=DaskRunner"], "DaskRunner loses outputs"),
        (["--runner=FlinkRunner", "--seeds=3"], "did you mean --seed?"),
        (["--runner=FlinkRunner", "--workers=3"], "FlinkRunner has options of its own"),
    ],
)
def test_wrong_options_stop_before_anything_is_written(
    arguments: list[str],
    tmp_path: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_flags_of_a_runner_without_a_runner_are_a_mistake(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--flink_master=http://m:8081"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_paths_mean_the_same_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.bin").touch()
    given = Build(
        human=["h/*.parquet", "gs://bucket/h/", "/data/h"],
        output="out",
        ledger="../ledger",
        detector=f"mine.bin#sha256={'0' * 64}",
        expected_records={"h/a.jsonl": 3, "b.jsonl": 4},
    )
    build = with_absolute_paths(given)
    here = str(tmp_path)
    assert build.human == [f"{here}/h/*.parquet", "gs://bucket/h/", "/data/h"]
    assert build.output == f"{here}/out"
    assert build.cache_folder() == f"{here}/.synthfilter-cache"
    assert build.ledger == f"{tmp_path.parent}/ledger"
    assert build.detector == f"{here}/mine.bin#sha256={'0' * 64}"
    assert build.expected_records == {f"{here}/h/a.jsonl": 3, "b.jsonl": 4}
    assert build.previous is None
    named = Build(human=["h"], output="out", detector="my.detectors:Mine")
    assert with_absolute_paths(named).detector == "my.detectors:Mine"


class Failing:
    """A pipeline whose runner fails."""

    def __init__(self, message: str) -> None:
        self.message = message

    def run(self) -> None:
        raise RuntimeError(self.message)

    def __or__(self, _: object) -> None:
        return None


@pytest.mark.parametrize(
    ("told", "kind", "code", "message"),
    [
        (
            TOLD.format(error="ShortageError: too little"),
            ShortageError,
            3,
            "too little",
        ),
        (
            TOLD.format(error="UserError: no such column"),
            UserError,
            2,
            "no such column",
        ),
        (
            "job failed\njava.io.IOException: lost a worker\n\tat org.x.Y(Y.java)\n",
            RunnerError,
            1,
            "FlinkRunner failed: java.io.IOException: lost a worker",
        ),
        ("", RunnerError, 1, "FlinkRunner failed: RuntimeError"),
    ],
)
def test_what_a_runner_reports_becomes_one_line_of_ours(
    monkeypatch: pytest.MonkeyPatch,
    told: str,
    kind: type[Exception],
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr(remote.beam, "Pipeline", lambda options: Failing(told))
    options = make_runner_options("FlinkRunner", [], OURS)
    with pytest.raises(kind) as raised:
        remote.run_build_on(Build(human=["h"], output="out"), options)
    assert str(raised.value) == message
    assert exit_code(raised.value) == code


def test_a_runner_that_cannot_be_reached_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--runner=FlinkRunner", f"--flink_job_server_jar={tmp_path}/none.jar"]
    assert main([*arguments, "--quiet", *flags]) == 1
    said = capsys.readouterr().err
    assert said.startswith("synthfilter: error: FlinkRunner failed: ")
    assert said.count("\n") == 1
    assert (tmp_path / "out" / UNFINISHED).exists()
