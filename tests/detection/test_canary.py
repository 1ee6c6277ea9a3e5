"""Canaries: fixed texts whose scores show that a detector changed."""

import json
import time

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from synthfilter.detection.canary import CANARIES, canary_scores
from synthfilter.detection.detector import ClassDetector, load_detector
from synthfilter.detection.lengths import Threshold


class Counts:
    """Scores by length; says nothing of the list."""

    def score(self, column: pa.Array) -> np.ndarray:
        texts = column.to_pylist()
        return np.array([np.nan if "- four" in t else len(t) / 1000 for t in texts])


def class_detector(instance: object) -> ClassDetector:
    threshold = Threshold.constant(0.5, "the test's")
    return ClassDetector(
        name="counts", sha256="0", threshold=threshold, labels=(), instance=instance
    )


def test_the_texts_are_the_ones_that_earlier_builds_scored() -> None:
    digest = xxhash.xxh3_64_hexdigest("\0".join(CANARIES.values()).encode())
    assert ([*CANARIES], digest) == (
        [
            "letter",
            "news",
            "recipe",
            "encyclopaedia",
            "assistant",
            "list",
            "comment",
            "poem",
        ],
        "b75380fdcce2a3b1",
    )


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_is_long_enough_to_be_scored(name: str) -> None:
    assert len(CANARIES[name].split()) > 60


def test_the_shipped_detector_scores_them_all_the_same_each_time() -> None:
    detector = load_detector()
    found = canary_scores(detector)
    assert [row["name"] for row in found] == [*CANARIES]
    scores = {row["name"]: row["score"] for row in found}
    assert all(0 <= score <= 1 for score in scores.values())
    assert max(scores, key=scores.get) == "assistant"
    assert json.loads(json.dumps(found, allow_nan=False)) == canary_scores(detector)


def test_a_text_without_a_score_has_none() -> None:
    scores = {
        row["name"]: row["score"] for row in canary_scores(class_detector(Counts()))
    }
    assert scores.pop("list") is None
    assert all(score > 0.3 for score in scores.values())


def test_they_cost_next_to_nothing() -> None:
    detector = load_detector()
    canary_scores(detector)
    start = time.process_time()
    for _ in range(5):
        canary_scores(detector)
    assert (time.process_time() - start) / 5 < 0.02
