"""A scikit-learn pipeline as a detector, for `--detector` and for RunInference.

    export PYTHONPATH=examples/detectors
    synthfilter score texts.jsonl --output scored.parquet \
        --detector sklearn_detector:SklearnDetector

It learns from a dozen sentences, to show the shape and not to judge anything. In
earnest, `__init__` loads what you have trained: `joblib.load("detector.joblib")`.
"""

import sys

import numpy as np
import pyarrow as pa

try:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline, make_pipeline
except ImportError as error:
    NEEDED = f"this detector needs scikit-learn ({error}): pip install scikit-learn"
    if __name__ == "__main__":
        sys.exit(NEEDED)
    raise ImportError(NEEDED) from error

HUMAN = (
    "Missed the 7.40 again, so I walked, and of course it rained.",
    "My sister swears the kettle was already broken when she moved in.",
    "We lost 3-1 but honestly the second half wasn't that bad.",
    "Anyone know a dentist near the station who takes walk-ins?",
    "I tried the recipe twice and it stuck to the pan both times.",
    "He left his boots in the hall and the dog ate one of them.",
)
SYNTHETIC = (
    "In today's fast-paced world, communication plays a pivotal role in success.",
    "Furthermore, it is important to note that sustainability is multifaceted.",
    "This rich tapestry of traditions underscores the importance of community.",
    "Moreover, embracing innovation can help organisations navigate challenges.",
    "Certainly! Here is a comprehensive overview of the key considerations.",
    "In conclusion, fostering collaboration is essential in a dynamic landscape.",
)


def train() -> Pipeline:
    """Returns a pipeline from texts to the probabilities of human and synthetic."""
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    labels = ["human"] * len(HUMAN) + ["synthetic"] * len(SYNTHETIC)
    return pipeline.fit([*HUMAN, *SYNTHETIC], labels)


class SklearnDetector:
    """What synthfilter asks of a detector: `score`, and as much of the rest as known.

    Attributes:
      name: For people; in manifests.
      version: Change it with the model, or cached scores of the old one are used.
      threshold: Scores at or above it count as machine-written.
    """

    name = "scikit-learn example"
    version = "1"
    threshold = 0.5

    def __init__(self) -> None:
        """Trains, or loads, the model: once in each process."""
        self._pipeline = train()

    def score(self, texts: pa.Array) -> np.ndarray:
        """Returns a probability for each text, NaN where no word is known."""
        if not len(texts):
            return np.zeros(0)
        features = self._pipeline[0].transform(texts.to_pylist())
        column = list(self._pipeline.classes_).index("synthetic")
        scores = self._pipeline[1].predict_proba(features)[:, column]
        scores[features.getnnz(axis=1) == 0] = np.nan
        return scores


if __name__ == "__main__":
    examples = [HUMAN[0], SYNTHETIC[0], "Overall, the landscape of tea is dynamic."]
    for text, score in zip(
        examples, SklearnDetector().score(pa.array(examples)), strict=True
    ):
        print(f"{score:.3f}  {text}")
