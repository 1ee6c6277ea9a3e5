"""Planted mixtures have the share that they are said to have."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def planted() -> ModuleType:
    spec = importlib.util.spec_from_file_location("planted", BENCHMARKS / "planted.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 0.5, 0.8, 1])
def test_a_share_of_the_words_is_planted(planted: ModuleType, share: float) -> None:
    human, machine = np.full(50, 800), np.full(70, 90)
    rng = np.random.default_rng(5)
    kept, added = planted.plant(human, machine, share, 4000, rng)
    words = human[kept].sum(), machine[added].sum()
    assert len(kept) + len(added) == 4000
    assert words[1] / sum(words) == pytest.approx(share, abs=0.002)


def test_a_planted_file_has_no_labels_and_a_known_share(
    planted: ModuleType, tmp_path: Path
) -> None:
    labels = ["human", "synthetic"] * 200
    texts = [f"{label} text number {i}" for i, label in enumerate(labels)]
    sources = [f"{'ab'[i % 4 // 2]}" for i in range(400)]
    table = pa.table({"text": texts, "label": labels, "source": sources})
    path = tmp_path / "mix.parquet"
    true = planted.write_planted(table, ["a"], ["b"], 0.3, 200, path)
    mix = pq.read_table(path)
    assert mix.column_names == ["id", "text", "source"]
    machine = [text.startswith("synthetic") for text in mix["text"].to_pylist()]
    assert true == pytest.approx(np.mean(machine))
    assert true == pytest.approx(0.3, abs=0.1)
    assert len(set(mix["id"].to_pylist())) == mix.num_rows
    assert set(mix["source"].to_pylist()) == {"planted"}


def test_the_tables_say_how_often_intervals_hold(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    synthetic = np.arange(2400) % 2 == 1
    source = np.array([f"source {i // 2 % 3}" for i in range(2400)])
    logit = rng.normal(np.where(synthetic, 2, -3), 1)
    columns = {
        "score": (1 / (1 + np.exp(-logit))).astype(np.float32),
        "words": rng.integers(60, 500, 2400),
        "synthetic": synthetic,
        "source": source,
        "family": source,
        "name": source,
        "threshold": np.array(0.9),
        "row": np.arange(2400),
    }
    np.savez(tmp_path / "scores.npz", **columns)
    command = [sys.executable, str(BENCHMARKS / "true_share.py"), "--draws", "1"]
    done = subprocess.run(
        [*command, "--scores", str(tmp_path / "scores.npz")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [row.split(" | ") for row in done.stdout.splitlines() if row[:2] == "| "]
    ours = next(row for row in rows if row[:2] == ["| all", "estimate"])
    assert float(ours[3].rstrip("%")) < 10
    assert float(ours[5].rstrip("% |")) > 90
    assert "calibrated on human and machine text of its own" in done.stdout
    assert "one domain, not known" in done.stdout
