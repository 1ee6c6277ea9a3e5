"""The examples run as programs, as a reader would run them."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
DETECTORS = ROOT / "examples" / "detectors"


def need(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"{' and '.join(missing)} not installed"
    )


def run(*command: str | Path, status: int = 0, **environment: str) -> tuple[str, str]:
    """Runs Python with the examples importable; returns stdout and stderr."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, "PYTHONPATH": f"{DETECTORS}:{ROOT}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def score_file(folder: Path, detector: str, status: int = 0, **environment: str) -> str:
    """Scores three texts by the command line; returns what it said on stderr."""
    texts = ["The dog ate one of his boots.", "", "It is important to note this."]
    lines = [json.dumps({"text": text}) for text in texts]
    (folder / "in.jsonl").write_text("\n".join(lines) + "\n")
    command = ["score", folder / "in.jsonl", "--output", folder / "out.parquet"]
    command += ["--detector", detector]
    return run("-m", "synthfilter", *command, status=status, **environment)[1]


def test_the_pipeline_scores_its_own_texts() -> None:
    lines = run(ROOT / "examples" / "run_inference.py")[0].splitlines()
    assert [line.split()[2] for line in lines] == ["rain", "tea", "empty"]
    assert lines[2].split()[:2] == ["--", "unscorable"]


def test_the_pipeline_scores_files_with_any_detector_and_threshold(
    tmp_path: Path,
) -> None:
    path = tmp_path / "texts.jsonl"
    text = "It rained all day, so we had tea and read the old papers again."
    lines = [json.dumps({"id": i, "text": text}) for i in (7, 8)]
    path.write_text("\n".join(lines) + "\n")
    program = ROOT / "examples" / "run_inference.py"
    output, measured = run(program, path, "--threshold", "0", "--batch-size", "1")
    found = {tuple(line.split()[1:3]) for line in output.splitlines()}
    assert found == {("synthetic", "7"), ("synthetic", "8")}
    assert "synthfilter: num_inferences: 2\n" in measured
    assert "synthfilter: inference_request_batch_size: 1 on average\n" in measured
    assert "run_inference: synthetic: 2\n" in measured


@need("sklearn")
def test_scikit_learn_is_a_detector(tmp_path: Path) -> None:
    score_file(tmp_path, "sklearn_detector:SklearnDetector")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["origin"] for row in rows] == ["human", None, "synthetic"]
    assert rows[1]["ai_score"] is None


@need("sklearn")
def test_the_scikit_learn_example_runs_by_itself() -> None:
    output, _ = run(DETECTORS / "sklearn_detector.py")
    human, synthetic, _ = (float(line.split()[0]) for line in output.splitlines())
    assert human < 0.5 < synthetic


@pytest.mark.parametrize(
    ("detector", "needed"),
    [
        ("sklearn_detector:SklearnDetector", "sklearn"),
        ("transformer_detector:TransformerDetector", "transformers"),
    ],
)
def test_what_is_not_installed_is_said_in_one_line(
    tmp_path: Path, detector: str, needed: str
) -> None:
    (tmp_path / "hidden").mkdir()
    for name in ("sklearn", "torch", "transformers"):
        absent = f"raise ImportError('no module {name}')"
        (tmp_path / "hidden" / f"{name}.py").write_text(absent)
    path = f"{tmp_path / 'hidden'}:{DETECTORS}:{ROOT}"
    said = score_file(tmp_path, detector, status=2, PYTHONPATH=path)
    assert len(said.strip().splitlines()) == 1, said
    assert f"expected a detector class at {detector}, got this detector needs" in said
    assert "pip install" in said


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random transformer of one small layer."""
    folder = tmp_path_factory.mktemp("transformer")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] the dog ate one of his boots it is . ,"
    (folder / "vocab.txt").write_text("\n".join(words.split()))
    make = f"""
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
torch.manual_seed(0)
config = BertConfig(
    vocab_size={len(words.split())}, hidden_size=8, num_hidden_layers=1,
    num_attention_heads=2, intermediate_size=16, max_position_embeddings=32,
    id2label={{0: "human", 1: "synthetic"}}, label2id={{"human": 0, "synthetic": 1}},
)
BertForSequenceClassification(config).save_pretrained({str(folder)!r})
BertTokenizerFast({str(folder / "vocab.txt")!r}).save_pretrained({str(folder)!r})
"""
    run("-c", make)
    return folder


@need("torch", "transformers")
def test_a_transformer_is_a_detector(tmp_path: Path, transformer: Path) -> None:
    detector = "transformer_detector:TransformerDetector"
    score_file(tmp_path, detector, SYNTHFILTER_TRANSFORMER=str(transformer))
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    first, empty, last = (row["ai_score"] for row in rows)
    assert empty is None
    assert 0 < first != last < 1


@need("torch", "transformers")
def test_a_transformer_runs_behind_run_inference(transformer: Path) -> None:
    texts = ["The dog ate one.", "it is " * 100]
    output, _ = run(
        DETECTORS / "transformer_detector.py",
        *texts,
        SYNTHFILTER_TRANSFORMER=str(transformer),
    )
    lines = [line.split("  ", 2) for line in output.splitlines()]
    assert [text for _, _, text in lines] == texts
    assert all(0 < float(score) < 1 for score, _, _ in lines)


@need("torch", "transformers")
def test_a_folder_without_a_transformer_is_refused(tmp_path: Path) -> None:
    detector = "transformer_detector:TransformerDetector"
    variable = {"SYNTHFILTER_TRANSFORMER": str(tmp_path)}
    said = score_file(tmp_path, detector, status=2, **variable)
    assert "expected in SYNTHFILTER_TRANSFORMER a folder with a transformers" in said
