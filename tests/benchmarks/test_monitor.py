"""The simulated series of the monitor's benchmark are what they are said to be."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "monitor.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_monitor", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_series_that_do_not_change_have_one_spread_and_their_own_memory(
    bench: ModuleType,
) -> None:
    rng = np.random.default_rng(9)
    for kind in bench.KINDS:
        series = bench.stationary(kind, 2000, rng)
        assert series.shape == (2000, bench.BUILDS)
        assert series.mean() == pytest.approx(0, abs=0.03)
        assert series.std() == pytest.approx(1, abs=0.15)
        memory = (series[:, 1:] * series[:, :-1]).mean()
        named = float(kind.partition(", ")[2]) if kind.startswith("AR") else 0
        assert memory == pytest.approx(named, abs=0.05)


def test_false_alarms_are_rare_and_drifts_are_found(bench: ModuleType) -> None:
    rng = np.random.default_rng(11)
    rows = {name: said for name, *said in bench.false_alarms(200, rng)}
    assert float(rows["Gaussian"][0].rstrip("%")) <= 1.5
    assert float(rows["AR(1), 0.5"][0].rstrip("%")) <= 8
    fast = bench.delays(bench.drifting(1.0, 100, rng), "up")
    slow = bench.delays(bench.drifting(0.5, 100, rng), "up")
    assert np.median(fast) <= 6
    assert np.median(slow) <= 9


def test_a_small_loop_is_found_and_no_loop_is_not(bench: ModuleType) -> None:
    rng = np.random.default_rng(13)
    assert np.median(bench.loop_delays(0.2, 10, rng)) <= 4
    assert np.median(bench.loop_delays(0.0, 10, rng)) == bench.NEVER
