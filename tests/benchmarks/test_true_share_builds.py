"""The table of builds says what was asked, and detectors that know scores tell them."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.core.hashing import hash_texts

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("true_share_builds")


def test_the_table_counts_which_build_is_nearer_and_what_was_refused(
    builds: ModuleType,
) -> None:
    def made(planted: float, count: str, true: float, code: int = 0) -> object:
        told = {"low": 0.2, "high": 0.4} if code == 0 else {}
        return builds.Made("h", "m", planted, count, true, told, code)

    rows = []
    for share in builds.SHARES:
        rows += [made(share, "estimated", 0.35), made(share, "declared", 0.5)]
    rows += [made(0.8, "estimated", float("nan"), 3), made(0.8, "declared", 0.7)]
    lines = builds.show(rows)
    assert lines[2].split(" | ")[0] == "| 0%"
    assert lines[2].endswith("| 50.0% | 35.0% | 20.0% | 5.0% | 1 of 1 | 1 of 1 | 0 |")
    assert lines[-2].endswith("| 1 of 1 | 1 of 1 | 1 |")
    assert lines[-1].startswith("| all | 50.0% | 35.0%")


def test_a_text_has_the_score_that_is_known_of_it(
    builds: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = pa.array(["one text", "and another"], pa.large_string())
    key = hash_texts(texts)[0]
    order = np.argsort(key)
    score = np.array([0.25, 0.75])
    np.savez(tmp_path / "known.npz", key=key[order], score=score[order])
    monkeypatch.setenv(builds.TABLE, str(tmp_path / "known.npz"))
    asked = pa.array(["and another", "no such text", "one text"], pa.large_string())
    found = builds.KnownScores().score(asked)
    assert found[[0, 2]].tolist() == [0.75, 0.25]
    assert np.isnan(found[1])
