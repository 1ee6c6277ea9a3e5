"""A set made of Hugging Face datasets, and the notebook that explores its scores."""

import gzip
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import datasets
import nbclient
import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harvest import harvest

import synthfilter as sf

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOK = EXAMPLES / "explore_scores.ipynb"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hf", EXAMPLES / "huggingface.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # datasets finds the functions of modules by name.
    sys.modules["hf"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with text of both kinds, where datasets keeps its cache, too."""
    folder = tmp_path_factory.mktemp("datasets")
    pq.write_table(pa.Table.from_pylist(list(harvest(200))), folder / "human.parquet")
    lines = (EXAMPLES / "demo/synthetic.jsonl").read_bytes().splitlines(True)
    (folder / "written.jsonl.gz").write_bytes(gzip.compress(b"".join(lines[:100])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        yield folder


@pytest.fixture(scope="module")
def made(example: ModuleType, folder: Path) -> Path:
    """The set that the example makes, and what it printed beside it."""
    output = folder / "made"
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *said: printed.append(" ".join(said)))
        patch.chdir(folder)
        example.main(["human.parquet", "written.jsonl.gz", "--output", "made"])
    (output / "printed.txt").write_text("\n".join(printed))
    return output


def test_datasets_go_through_a_build_and_come_back(made: Path) -> None:
    human, synthetic, stream, built, loaded, left = (
        (made / "printed.txt").read_text().splitlines()
    )
    assert re.match(r"human: \{'human': \d+.*\}, \d+ score <= 0.5$", human)
    assert synthetic.startswith("synthetic: {'human': ")
    assert stream.startswith("first 100 of the stream: ")
    assert built.startswith("built: 300 read, ")
    assert "'human': " in loaded and "'synthetic': " in loaded
    assert left.startswith("left out: {'mixture': ")
    in_set, out = (
        sum(int(n) for n in re.findall(r"': (\d+)", line)) for line in (loaded, left)
    )
    assert in_set + out == 300


def test_a_mapped_dataset_has_the_scores_of_a_pipeline(example: ModuleType) -> None:
    texts = ["The tide came in at noon, and we walked back, wet and laughing.", None]
    dataset = datasets.Dataset.from_dict({"text": texts, "stars": [5, 4]})
    scored = example.score(dataset)
    assert scored.column_names == [
        *("text", "stars", "ai_score", "origin", "content_hash")
    ]
    assert scored[:] == {"text": texts, "stars": [5, 4], **sf.score_texts(texts)}
    assert example.keep_likely_human(scored, 1.0)["stars"][:] == [5]
    stream = example.score_stream(dataset.to_iterable_dataset(), threshold=0.0)
    assert [row["origin"] for row in stream] == ["synthetic", None]


def test_the_notebook_is_committed_without_outputs() -> None:
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_the_notebook_draws_the_scores_and_picks_a_threshold(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHFILTER_BUILD", "made/set")
    paths = [str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    notebook = nbformat.read(NOTEBOOK, 4)
    where = {"metadata": {"path": str(made.parent)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=where).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    said = "".join(out.get("text", "") for out in outputs)
    shown = [out["data"] for out in outputs if "data" in out]
    assert "{'human': 200, 'synthetic': 99}" in said
    assert sum("<svg" in data.get("image/svg+xml", "") for data in shown) == 2
    assert re.search(r"AUROC 0\.[89]", said)
    (choice,) = [
        row.split(" | ")
        for data in shown
        for row in data.get("text/markdown", "").splitlines()
        if row.startswith("| chosen")
    ]
    lost, known = map(int, choice[2].split(" of "))
    assert known == 200 and lost <= 2
    chosen = float((made.parent / "threshold.yaml").read_text().split(": ")[1])
    assert chosen == pytest.approx(float(choice[1]), abs=1e-4)
