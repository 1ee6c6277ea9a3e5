"""A Hugging Face text classifier as a detector, for `--detector` and RunInference.

The environment variable SYNTHFILTER_TRANSFORMER names a folder with a two-label model,
as `save_pretrained` of its model and its tokenizer leave it:

    export PYTHONPATH=examples/detectors SYNTHFILTER_TRANSFORMER=path/to/model
    synthfilter score texts.jsonl --output scored.parquet \
        --detector transformer_detector:TransformerDetector
    python examples/detectors/transformer_detector.py 'A text.' 'And another one.'

The second command is a pipeline: RunInference with one model for all the processes of
a machine. Any transformer takes far longer than the default detector.
"""

import hashlib
import os
import sys
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import PredictionResult, RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from synthfilter import FastTextModelHandler

try:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
except ImportError as error:
    NEEDED = f"this detector needs torch and transformers ({error}): pip install both"
    if __name__ == "__main__":
        sys.exit(NEEDED)
    raise ImportError(NEEDED) from error

VARIABLE = "SYNTHFILTER_TRANSFORMER"
SYNTHETIC_LABELS = ("synthetic", "machine", "generated", "ai", "fake", "chatgpt")
BATCH = 32
LONGEST = 512  # tokens


class TransformerDetector:
    """What synthfilter asks of a detector, around a model in a folder.

    Attributes:
      name: For people; in manifests.
      version: Changes with the files in the folder; cached scores go by it.
      threshold: Scores at or above it count as machine-written. Choose it on human
        text of your own.
    """

    threshold = 0.5

    def __init__(self) -> None:
        """Loads the model: once in each process, or once for all that share it."""
        folder = Path(os.environ.get(VARIABLE, ""))
        if not (folder / "config.json").is_file():
            raise ValueError(
                f"expected in {VARIABLE} a folder with a transformers model, got "
                f"{os.environ.get(VARIABLE)!r}"
            )
        self.name = folder.name
        self.version = hash_folder(folder)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True
        )
        self._model.eval().to(self._device)
        self._synthetic = synthetic_label(self._model.config.id2label)
        positions = getattr(self._model.config, "max_position_embeddings", LONGEST)
        self._longest = min(LONGEST, positions, self._tokenizer.model_max_length)

    def score(self, texts: pa.Array) -> np.ndarray:
        """Returns a probability for each text, by its first tokens; NaN for none."""
        written = np.array(texts.to_pylist(), object)
        scores = np.full(len(written), np.nan, np.float32)
        # Texts of like length together, so that little is padded.
        order = sorted(np.flatnonzero(written != ""), key=lambda i: len(written[i]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            scores[rows] = self._probabilities(list(written[rows]))
        return scores

    def _probabilities(self, texts: list[str]) -> np.ndarray:
        inputs = self._tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self._longest,
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode():
            logits = self._model(**inputs).logits.float()
        return logits.softmax(dim=-1)[:, self._synthetic].cpu().numpy()


def synthetic_label(names: dict[int, str]) -> int:
    """Returns the number of the label that means machine-written.

    Raises:
      ValueError: There are not two labels of which one means that.
    """
    found = [i for i, name in names.items() if name.lower() in SYNTHETIC_LABELS]
    if len(names) != 2 or len(found) != 1:
        raise ValueError(
            f"expected two labels, one of them {' or '.join(SYNTHETIC_LABELS)}, got "
            f"{list(names.values())}; correct id2label in the model's config.json"
        )
    return found[0]


def hash_folder(folder: Path) -> str:
    """Returns a hash of the names and bytes of all files in a folder."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def main(texts: list[str]) -> None:
    """Scores texts in a pipeline and prints what came out."""
    handler = FastTextModelHandler(
        "transformer_detector:TransformerDetector",
        large_model=True,
        env_vars={VARIABLE: os.environ.get(VARIABLE, "")},
    )
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | "Texts" >> beam.Create(texts)
            | "Score" >> RunInference(handler).with_output_types(PredictionResult)
            | "Print" >> beam.Map(print_result)
        )


def print_result(result: PredictionResult) -> None:
    """Prints one score, label and text."""
    print(f"{result.inference.ai_score}  {result.inference.label}  {result.example}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["Rain again, all day.", "Moreover, it is important."])
