"""A set a month: what the script does when all is well, and when it is not."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from synthfilter import monitor_command
from synthfilter.cli import main
from synthfilter.core.errors import UserError
from synthfilter.outputs.manifest import read_manifest

FOLDER = Path(__file__).parents[2] / "examples" / "monthly"
WORDS = (
    "boat tide wall rain noon bus kitchen letter coat river stone bread lamp cellar "
    "garden fence market brother window ladder saddle orchard chimney harbour"
).split()


def texts(seed: int, count: int) -> list[str]:
    """Returns documents of 90 words that no other seed gives."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        chosen = rng.choice(WORDS, 90).tolist()
        lines = [" ".join(chosen[at : at + 9]).capitalize() for at in range(0, 90, 9)]
        found.append(f"{'. '.join(lines)}.")
    return found


def write(path: Path, found: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{path.parent.name}-{number}" for number in range(len(found))]
    pq.write_table(pa.table({"id": ids, "text": found}), path)


@pytest.fixture
def monthly(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Returns the script; it runs synthfilter in this process."""
    spec = importlib.util.spec_from_file_location("monthly", FOLDER / "monthly.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def synthfilter(data: Path, *arguments: str) -> int:
        with monkeypatch.context() as patch:
            patch.chdir(data)
            try:
                return main(list(arguments))
            except SystemExit as stopped:
                assert isinstance(stopped.code, int)
                return stopped.code

    def no_charts() -> None:
        raise UserError("charts take longer to draw than a small build")

    monkeypatch.setattr(module, "synthfilter", synthfilter)
    monkeypatch.setattr(monitor_command, "check_charts", no_charts)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with what two months brought, and more synthetic text than one uses."""
    (tmp_path / "build.yaml").write_bytes((FOLDER / "build.yaml").read_bytes())
    write(tmp_path / "synthetic/pool.parquet", texts(9, 100))
    for month in (1, 2):
        write(tmp_path / f"crawl/2026-0{month}/part.parquet", texts(month, 60))
    return tmp_path


def rule(data: Path, name: str) -> float:
    """Returns what the textfile says of a rule."""
    said = (data / "synthfilter.prom").read_text()
    for family in text_string_to_metric_families(said):
        for sample in family.samples:
            if sample.labels.get("rule", "").startswith(name):
                return sample.value
    raise AssertionError(said)


def test_three_months_of_which_the_monitor_refuses_two(
    monthly: ModuleType,
    data: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(*arguments: str) -> int:
        return monthly.main([*arguments, "--data", str(data)])

    # January breaks a rule that is too strict, and is taken all the same.
    with monkeypatch.context() as patch:
        patch.setattr(monthly, "RULES", ("true_share>0",))
        assert run("run", "2026-01") == 4
    assert monthly.published(data) is None
    assert run("run", "2026-02") == 4
    assert run("publish", "2026-01") == 0
    assert os.readlink(data / "current") == "builds/2026-01"
    assert run("discard", "2026-01") == 2
    assert run("build", "2025-12") == 2

    # February is as it should be; to run it again does no harm.
    assert run("run", "2026-02") == 0
    assert run("run", "2026-02") == 0
    assert monthly.published(data) == "2026-02"
    assert rule(data, "novelty") == 0

    # In March the crawler delivers the text of February again, and little else.
    write(data / "crawl/2026-03/part.parquet", [*texts(2, 60)[:55], *texts(3, 5)])
    capsys.readouterr()
    assert run("run", "2026-03") == 4
    said = capsys.readouterr().out
    assert "RULE: novelty" in said
    assert "monthly: 2026-03: check ended with 4; nothing was published" in said
    assert monthly.published(data) == "2026-02"
    assert rule(data, "novelty") == 1

    # Until somebody says what to do, no other month is built.
    write(data / "crawl/2026-04/part.parquet", texts(4, 60))
    assert run("run", "2026-04") == 4
    assert not (data / "builds/2026-04").exists()

    # It is taken back: the ledger forgets it, so its synthetic text can be used.
    held = read_manifest(str(data / "builds/2026-03"))
    assert run("discard", "2026-03") == 0
    assert (data / f"discarded/2026-03-{held['build_id']}/manifest.json").exists()
    write(data / "crawl/2026-03/part.parquet", texts(3, 60))
    assert run("run", "2026-03") == 0
    assert monthly.published(data) == "2026-03"
    one, two, three = (
        set(pq.read_table(data / f"builds/2026-0{i}/data")["content_hash"].to_pylist())
        for i in (1, 2, 3)
    )
    assert not one & two and not two & three and not one & three
    assert len(three) > len(texts(3, 60))

    # The same text again is the same build: held, and the ledger keeps March.
    shutil.copytree(data / "builds/2026-03", data / "builds/2026-04")
    capsys.readouterr()
    assert run("run", "2026-04") == 4
    assert "2026-04 is the same build as 2026-03" in capsys.readouterr().out
    assert run("discard", "2026-04") == 0
    assert monthly.synthfilter(data, "ledger", "show", "--ledger", "ledger") == 0
    assert monthly.build_id(data, "2026-03") in capsys.readouterr().out


def test_what_is_wrong_stops_the_month_with_the_code_of_synthfilter(
    monthly: ModuleType, data: Path, capsys: pytest.CaptureFixture
) -> None:
    assert monthly.run(data, "2026-07") == 2
    assert "no file matches 'crawl/2026-07/*'" in capsys.readouterr().err
    assert monthly.publish(data, "2026-07") == 2
    assert monthly.published(data) is None


def test_the_script_runs_as_cron_would_run_it(data: Path) -> None:
    line = next(
        line
        for line in (FOLDER / "crontab").read_text().splitlines()
        if line.startswith("0 3 2 * * ")
    )
    command = line.split(" data ", 1)[1]
    command = command.replace("/opt/synthfilter/bin/python", sys.executable)
    command = command.replace("/opt/synthfilter/monthly.py", str(FOLDER / "monthly.py"))
    command = command.replace("/data", str(data))
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=False
    )
    # Nothing came in last month, whenever this runs.
    assert done.returncode == 2
    assert "no file matches 'crawl/" in done.stderr
    assert "build ended with 2; nothing was published" in done.stdout


def test_the_dag_has_the_steps_of_the_script(monthly: ModuleType) -> None:
    tree = ast.parse((FOLDER / "airflow_dag.py").read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    steps = strings & {"run", "build", "check", "publish", "discard"}
    assert steps == {"build", "check", "publish"}
    assert all(callable(getattr(monthly, step)) for step in steps)
