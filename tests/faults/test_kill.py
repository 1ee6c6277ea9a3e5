"""Builds that are killed and run again; `benchmarks/kill_matrix.py` kills many more."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synthfilter.cli import main

PATH = Path(__file__).parents[2] / "benchmarks" / "kill_matrix.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_matrix", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def matrix(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Builds that are run again in this process, where all is imported."""

    def finish(folder: Path, kill: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert main(bench.arguments_of(kill)) == 0

    return bench.Matrix(tmp_path_factory.mktemp("matrix"), finish)


@pytest.mark.parametrize(
    ("replaces", "step"),
    [
        (False, "rename .synthfilter-cache/facts/*/*.parquet 5"),
        (False, "rename out/manifest.json 1"),
        (True, "remove out/data/train-00001-of-00003.parquet 1"),
    ],
)
def test_row_31_a_build_killed_at_any_step_ends_in_the_same_set(
    bench: ModuleType, matrix: Any, replaces: bool, step: str
) -> None:
    kill = bench.Kill(1, replaces, step)
    found = matrix.try_kill("case", kill)
    assert found.killed
    assert found.digest == matrix.manifest["content_digest"]
    assert (found.lost, found.duplicated, found.faults) == (0, 0, [])


def test_row_30_a_build_killed_before_its_ledger_is_counted_once(
    bench: ModuleType, matrix: Any
) -> None:
    step = "rename ledger/build_id=*/part-00000-*.parquet 1"
    found = matrix.try_kill("case", bench.Kill(1, False, step))
    # The rows of the ledger are among those that are compared.
    assert sum("'signature'" in row for row in matrix.rows) > 100
    assert (found.killed, found.lost, found.duplicated) == (True, 0, 0)


def test_row_31_a_build_killed_from_outside_once_its_ledger_has_committed(
    bench: ModuleType, matrix: Any
) -> None:
    kill = bench.Kill(1, False, None, seen="the ledger has committed")
    found = matrix.try_kill("case", kill)
    assert found.killed
    assert found.digest == matrix.manifest["content_digest"]
    assert (found.lost, found.duplicated, found.faults) == (0, 0, [])


def test_row_31_workers_killed_in_the_middle_of_a_shard_change_nothing(
    bench: ModuleType, matrix: Any
) -> None:
    step = "rename out/rejected/part-00000-of-00004.parquet 1"
    found = matrix.try_kill("case", bench.Kill(2, False, step))
    assert found.killed
    assert found.digest == matrix.manifest["content_digest"]
    assert (found.lost, found.duplicated, found.faults) == (0, 0, [])


def test_a_set_that_lost_or_repeats_a_row_is_noticed(
    bench: ModuleType, matrix: Any
) -> None:
    out = matrix.place / "clean/out"
    rows = bench.rows_of(out.parent)
    [shard, *_] = sorted((out / "data").glob("*.parquet"))
    (out / "data/again.parquet").write_bytes(shard.read_bytes())
    assert (bench.rows_of(out.parent) - rows).total() > 10
    assert any(
        "again" in fault for fault in bench.faults_of(out.parent, matrix.manifest)
    )
    (out / "data/again.parquet").unlink()
    shard.unlink()
    assert (rows - bench.rows_of(out.parent)).total() > 10
    assert list(bench.unreadable_files(out)) == [
        f"data/{shard.name} is not as the manifest says"
    ]
