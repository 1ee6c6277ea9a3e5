"""The table of builds says what was asked, and detectors that know scores tell them."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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
    def made(planted: float, way: str, true: float, code: int = 0) -> object:
        told = {"low": 0.2, "high": 0.4} if code == 0 else {}
        lost = 0.25 if way == "held" else 0.0
        return builds.Made(
            "h", "m", planted, builds.NOTHING, way, true, lost, told, code
        )

    rows = []
    for share in builds.SHARES:
        rows += [made(share, "declared", 0.5), made(share, "estimated", 0.35)]
        rows += [made(share, "held", 0.4)]
    rows += [made(0.8, "declared", 0.7), made(0.8, "estimated", 0.7)]
    rows += [made(0.8, "held", float("nan"), 3)]
    lines = builds.show(rows)
    assert lines[1].count("|") == lines[0].count("|") == lines[2].count("|")
    assert lines[2] == (
        "| 0% | 50.0% | 35.0% | 40.0% | 20.0% | 5.0% | 10.0% | 20.0% | 5.0% | 10.0% "
        "| 1 of 1 | 25.0% | 1 of 1 | 0 |"
    )
    assert lines[-2].endswith("| 1 of 1 | 25.0% | 1 of 1 | 1 |")
    assert lines[-1].startswith("| all | 50.0% | 35.0% | 40.0%")


def test_a_build_tells_what_human_text_it_lost(
    builds: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "rejected").mkdir()
    why = {
        "human-1": "suspect",
        "human-2": "exact_copy",
        "machine-3": "suspect",
    }
    table = pa.table({"id": list(why), "reason": list(why.values())})
    pq.write_table(table, tmp_path / "rejected" / "rejected.parquet")
    crawl = {"human-1": 10, "human-2": 20, "human-0": 10, "machine-3": 50}
    assert builds.lost_share(tmp_path, crawl) == 0.25


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
