"""The diversity benchmark measures what it says, on little text."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core.ngrams import concat_rows
from synthfilter.core.samples import ALL
from synthfilter.detection.ngrams import sample_text

WHOLE = (ALL,) * 3


def test_figures_of_little_text_are_exact_and_steps_are_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "diversity", raising=False)
    diversity = importlib.import_module("diversity")
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(list("abcdefgh"), 2_000)) for _ in range(60)]
    labels = ["human", "synthetic"] * 30
    path = str(tmp_path / "text.parquet")
    pq.write_table(pa.table({"text": texts, "label": labels}), path)
    files = diversity.read_labelled(path)
    whole = concat_rows([sample_text(text, WHOLE) for text, _, _ in files], WHOLE)
    rows = list(diversity.compare_figures(files, whole))
    assert [row[:2] for row in rows[:2]] == [["all", "words"], ["all", "bigrams"]]
    # Eight words, 64 bigrams, 512 trigrams: hardly any is left out by hash.
    assert [row[2] for row in rows] == ["8", "64", "512"] * 3
    steps = dict(diversity.time_sampling(texts, 1))
    assert steps["blocks"] == "1"
    assert steps["sidecars of n-grams"].endswith("% of the text")
    peers = list(diversity.compare_peers(whole))
    assert [row[1:4] for row in peers] == [["+0.0%"] * 3] * 3
