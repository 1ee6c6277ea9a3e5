"""The ledger benchmark finds what it put there."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest


def test_every_step_finds_the_documents_that_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "ledger", raising=False)
    ledger = importlib.import_module("ledger")
    options = argparse.Namespace(
        rows=20_000, new=2_000, builds=3, scratch=tmp_path, signatures=True
    )
    said = {
        step: ledger.run_step(step, options)
        for step in (ledger.NOTHING, ledger.COMMIT, ledger.JOIN, ledger.NEAR)
    }
    assert "bytes a row on disk" in said[ledger.COMMIT]
    assert said[ledger.JOIN] == "200 known, 200 to drop"
    assert said[ledger.NEAR].endswith(" 400 near copies, 400 documents")
    assert ledger.run_step(ledger.IN_PARTITIONS, options) == said[ledger.JOIN]
    assert "known" in ledger.run_step(ledger.ONE_PARTITION, options)
