"""The detector behind Beam's RunInference, for pipelines that are built around it."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, Optional

import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from synthfilter.core.errors import UserError
from synthfilter.core.schema import ORIGIN_NAMES, Origin
from synthfilter.core.text import count_words, normalise, text_buffers
from synthfilter.decisions.rules import check_fraction
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import (
    AS_GIVEN,
    check_threshold_options,
    choose_threshold,
)
from synthfilter.scoring import as_text_column

_MIN_BATCH, _MAX_BATCH = 64, 1000
_ARGUMENTS = ("threshold",)


class TextScore(NamedTuple):
    """What the detector says of one text.

    Attributes:
      ai_score: In [0, 1], the higher the more like machine text; None where the
        detector cannot tell, as for empty text.
      label: human, or synthetic from the threshold on; None without a score.
    """

    ai_score: Optional[float]
    label: Optional[str]


class ServedDetector:
    """A detector reached by methods alone.

    A model that processes share is reached through a proxy, which has no attributes.
    """

    def __init__(self, detector: Detector, model_id: str, threshold: Threshold) -> None:
        """Keeps a loaded detector, what results call it, and its threshold."""
        self._detector, self._model_id = detector, model_id
        self._threshold = threshold

    def infer(
        self, texts: pa.Array, threshold: Optional[float]
    ) -> tuple[list[Optional[float]], list[Optional[str]], str]:
        """Returns scores and labels of a string column, and the model's id.

        Args:
          texts: The column.
          threshold: Instead of the own one; None for that.
        """
        normal = normalise(texts)
        scores = self._detector.score(normal)
        at = self._threshold
        if threshold is not None:
            at = Threshold.constant(threshold, AS_GIVEN)
        synthetic, human = (
            ORIGIN_NAMES[side] for side in (Origin.SYNTHETIC, Origin.HUMAN)
        )
        reached = scores >= at.of(count_words(normal))
        labels = np.where(reached, synthetic, human).astype(object)
        values = scores.astype(object)
        unscorable = np.isnan(scores)
        labels[unscorable] = values[unscorable] = None
        return values.tolist(), labels.tolist(), self._model_id


class FastTextModelHandler(ModelHandler[str, PredictionResult, ServedDetector]):
    """Scores texts in RunInference: `PredictionResult(text, TextScore, model_id)`.

        scored = texts | RunInference(FastTextModelHandler())
        labels = scored | beam.Map(lambda r: r.inference.label).with_output_types(str)

    RunInference's output is typed Any, so name the type of what comes next, as above.
    For texts with keys wrap the handler in Beam's `KeyedModelHandler`; for records, say
    where the text is: `handler.with_preprocess_fn(lambda record: record["text"])`.
    `inference_args={"threshold": 0.9}` overrules the threshold. The scores are those of
    `Score`, whatever the batches. Elements are str; None cannot be scored.

    Args:
      detector: Path of a fastText model on any filesystem, or package.module:Class;
        without it, the model that comes with synthfilter. Stands in every result as
        `model_id`.
      threshold: Score from which on a text counts as synthetic, 0 to 1; without it,
        the detector's own.
      target_fpr: Instead of a threshold: the share of human texts that may score as
        synthetic, such as 0.01.
      calibration: File of synthfilter calibrate, on any filesystem, that has the
        thresholds for target_fpr; without it, the detector's own table. Read where the
        model is loaded.
      min_batch_size: Texts in a batch, at least, where there are so many.
      max_batch_size: Texts in a batch, at most.
      max_batch_duration_secs: In streaming, how long to wait for a batch to fill.
      large_model: Whether processes share one model, for detectors of your own that
        are large.
      model_copies: How many models the processes of a machine share.
      env_vars: Environment variables to set before the model is loaded.

    Raises:
      UserError: An option is out of range; in `load_model`, the detector or the
        calibration is not there or not one.
    """

    def __init__(
        self,
        detector: Optional[str] = None,
        *,
        threshold: Optional[float] = None,
        target_fpr: Optional[float] = None,
        calibration: Optional[str] = None,
        min_batch_size: int = _MIN_BATCH,
        max_batch_size: int = _MAX_BATCH,
        max_batch_duration_secs: Optional[float] = None,
        large_model: bool = False,
        model_copies: Optional[int] = None,
        env_vars: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Checks the options; loads nothing."""
        super().__init__()
        check_threshold_options(threshold, target_fpr, calibration)
        _check_batches(min_batch_size, max_batch_size)
        if model_copies is not None and model_copies < 1:
            raise UserError(f"model_copies must be at least 1, got {model_copies}")
        self._detector = detector
        self._threshold_options = threshold, target_fpr, calibration
        self._batching: dict[str, Any] = {
            "min_batch_size": min_batch_size,
            "max_batch_size": max_batch_size,
        }
        if max_batch_duration_secs is not None:
            self._batching["max_batch_duration_secs"] = max_batch_duration_secs
        self._shared = large_model or model_copies is not None
        self._copies = model_copies or 1
        # Beam's name for it, read by `set_environment_vars`.
        self._env_vars = dict(env_vars or {})

    def load_model(self) -> ServedDetector:
        """Returns the detector, loaded, with its threshold.

        Raises:
          UserError: It is not there or not a detector, or has no such threshold.
        """
        detector = load_detector(self._detector)
        threshold = choose_threshold(detector, *self._threshold_options)
        return ServedDetector(detector, self._detector or detector.name, threshold)

    def run_inference(
        self,
        batch: Sequence[str],
        model: ServedDetector,
        inference_args: Optional[dict[str, Any]] = None,
    ) -> Iterator[PredictionResult]:
        """Returns a `PredictionResult` for each text, in order.

        Args:
          batch: The texts.
          model: As `load_model` returns it.
          inference_args: `{"threshold": ...}` overrules the handler's threshold.

        Raises:
          UserError: An element is no text.
        """
        threshold = (inference_args or {}).get("threshold")
        scores, labels, name = model.infer(_as_column(batch), threshold)
        inferences = map(TextScore, scores, labels)
        return map(PredictionResult, batch, inferences, itertools.repeat(name))

    def validate_inference_args(self, inference_args: Optional[dict[str, Any]]) -> None:
        """Raises UserError unless there is a threshold at most, between 0 and 1."""
        given = inference_args or {}
        unknown = [name for name in given if name not in _ARGUMENTS]
        if unknown:
            raise UserError(
                f"inference_args may hold {', '.join(_ARGUMENTS)}, got {unknown}"
            )
        threshold = given.get("threshold")
        is_number = isinstance(threshold, Real) and not isinstance(threshold, bool)
        if threshold is not None and not is_number:
            raise UserError(f"threshold must be a number, got {threshold!r}")
        check_fraction("threshold", threshold)

    def update_model_path(self, model_path: Optional[str] = None) -> None:
        """Takes another model from the next loading on; None or "" for the same."""
        self._detector = model_path or self._detector

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        """Returns the size of the texts in UTF-8."""
        return int(text_buffers(_as_column(batch))[1][-1])

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of RunInference's metrics."""
        return "synthfilter"

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """Returns the arguments of `beam.BatchElements`."""
        return self._batching

    def share_model_across_processes(self) -> bool:
        """Returns whether the processes of a machine share models."""
        return self._shared

    def model_copies(self) -> int:
        """Returns how many models the processes share."""
        return self._copies


def _as_column(batch: Sequence[str]) -> pa.Array:
    """Returns the texts as a column; null for those that are not valid Unicode.

    Raises:
      UserError: an element is no text.
    """
    try:
        return as_text_column(list(batch))
    except UserError as error:
        raise UserError(
            f"RunInference: {error}; use KeyedModelHandler for (key, text), "
            "with_preprocess_fn for records"
        ) from error


def _check_batches(least: int, most: int) -> None:
    """Raises UserError unless 1 <= least <= most."""
    if not 1 <= least <= most:
        raise UserError(
            "min_batch_size must be at least 1 and at most max_batch_size, got "
            f"{least} and {most}"
        )
