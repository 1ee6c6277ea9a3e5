"""Measures on a user's own text which threshold gives which false-positive rate."""

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
import orjson

from synthfilter.console import Reporter
from synthfilter.core import schema, storage
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.schema import Origin
from synthfilter.detection.calibration import TARGET_FPRS, fit_logistic
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.figures import (
    BANDS,
    documents_needed,
    find_thresholds,
    group_rows,
    length_bands,
    rate_at_least,
    rate_name,
)
from synthfilter.detection.thresholds import FORMAT, FORMAT_VERSION, identify
from synthfilter.inputs.blocks import list_inputs
from synthfilter.inputs.fields import parse_fields
from synthfilter.labelled import NO_TIME, Scores, score_files
from synthfilter.version import __version__

_FALSE_POSITIVES = 10
"""How many human documents a rate must let through to be measured at all."""
_BAND_DOCUMENTS = 50
_DAY_MS = 24 * 60 * 60 * 1000


@dataclasses.dataclass(kw_only=True)
class Calibrate:
    """Finds thresholds for false-positive rates of 5%, 1% and 0.1% on your own text.

    A rate needs ten false positives to be measured: 200, 1,000 and 10,000 human
    documents. Those that cannot be measured are left out.

    Args:
      output: JSON file to write, for build --calibration.
      human: Paths or globs of human text of the kind that will be filtered.
      synthetic: Paths or globs of machine-written text, to see how much is detected.
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      fields: Columns that hold a field, as NAME=COLUMN, such as created=date.
      human_before: Only documents created before this day count as human, such as
        2022-11-30; documents without a date do not.
    """

    output: str
    human: list[str]
    synthetic: list[str] = dataclasses.field(default_factory=list)
    detector: Optional[str] = None
    fields: list[str] = dataclasses.field(default_factory=list)
    human_before: Optional[str] = None

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        parse_fields(self.fields)
        if self.human_before is not None:
            parse_day(self.human_before)

    def run(self, reporter: Reporter) -> dict[str, Any]:
        """Measures, writes the file, prints and returns what is in it.

        Raises:
          UserError: an input is wrong, or the output exists.
          ShortageError: there are too few human documents for any rate.
        """
        if storage.exists(self.output):
            raise UserError(f"output {self.output!r} exists; name a new file")
        files = list_inputs(
            {Origin.HUMAN: self.human, Origin.SYNTHETIC: self.synthetic}
        )
        detector = load_detector(self.detector)
        scores = score_files(files, parse_fields(self.fields), None, detector)
        late = self._too_late(scores)
        unscored = np.isnan(scores.score) & ~late
        made = calibrate(scores.take(~late & ~unscored), detector)
        made["documents"] |= {
            "human_before": self.human_before,
            "not_before": int(late.sum()),
            "without_score": int(unscored.sum()),
            "unreadable": scores.unreadable,
        }
        data = orjson.dumps(
            made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        )
        storage.write_bytes(self.output, data)
        for line in describe(made, self.output):
            reporter.say(line)
        return made

    def _too_late(self, scores: Scores) -> np.ndarray:
        """Returns which human documents are not known to be old enough."""
        if self.human_before is None:
            return np.zeros(len(scores.score), bool)
        limit = parse_day(self.human_before)
        old = (scores.created < limit) & (scores.created != NO_TIME)
        return ~scores.synthetic & ~old


def parse_day(said: str) -> int:
    """Returns the start of a day in milliseconds since 1970 (UTC).

    Raises:
      UserError: it is not written as 2022-11-30.
    """
    try:
        day = datetime.date.fromisoformat(said)
    except ValueError as error:
        raise UserError(
            f"human_before expects a day such as 2022-11-30, got {said!r}"
        ) from error
    return (day - datetime.date(1970, 1, 1)).days * _DAY_MS


def calibrate(scores: Scores, detector: Detector) -> dict[str, Any]:
    """Returns the content of a calibration file.

    Args:
      scores: Of human documents, and of machine-written ones where there are any;
        none NaN.
      detector: That gave the scores.

    Raises:
      ShortageError: there are too few human documents for any rate.
    """
    human = scores.score[~scores.synthetic]
    needed = {fpr: documents_needed(fpr, _FALSE_POSITIVES) for fpr in TARGET_FPRS}
    if len(human) < min(needed.values()):
        listed = ", ".join(f"{need:,} for {fpr:.1%}" for fpr, need in needed.items())
        raise ShortageError(
            f"too few human documents to calibrate on: {len(human):,} with a score; "
            f"expected at least {listed}"
        )
    thresholds = find_thresholds(human, _FALSE_POSITIVES)
    bands = length_bands(scores.words)
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "synthfilter": __version__,
        "detector": identify(detector),
        "documents": {"human": len(human), "synthetic": int(scores.synthetic.sum())},
        "thresholds": {
            rate_name(fpr): _measure_threshold(scores, threshold, bands)
            for fpr, threshold in thresholds.items()
        },
        "not_measured": {
            rate_name(fpr): f"needs {need:,} human documents, got {len(human):,}"
            for fpr, need in needed.items()
            if fpr not in thresholds
        },
        "by_length_in_words": {
            name: _measure_band(scores.take(bands == number))
            for number, name in enumerate(BANDS)
        },
    }


def _measure_threshold(
    scores: Scores, threshold: float, bands: np.ndarray
) -> dict[str, Any]:
    """Returns what a threshold does over everything, by source and by length."""
    sources = group_rows(scores.names[schema.SOURCE])
    return {
        "threshold": threshold,
        **_rates(scores, threshold),
        "by_source": {
            name: _rates(scores.take(rows), threshold) for name, rows in sources.items()
        },
        "by_length_in_words": {
            name: _rates(scores.take(bands == number), threshold)
            for number, name in enumerate(BANDS)
        },
    }


def _rates(scores: Scores, threshold: float) -> dict[str, Any]:
    return {
        "fpr": rate_at_least(scores.score[~scores.synthetic], threshold),
        "tpr": rate_at_least(scores.score[scores.synthetic], threshold),
    }


def _measure_band(scores: Scores) -> dict[str, Any]:
    """Returns thresholds of documents of a length alone, and their probabilities."""
    human = scores.score[~scores.synthetic]
    return {
        "human": len(human),
        "synthetic": int(scores.synthetic.sum()),
        "thresholds": {
            rate_name(fpr): {"threshold": threshold, **_rates(scores, threshold)}
            for fpr, threshold in find_thresholds(human, _FALSE_POSITIVES).items()
        },
        "probability": fit_probability(scores.score, scores.synthetic),
    }


def fit_probability(
    score: np.ndarray, synthetic: np.ndarray
) -> dict[str, float] | None:
    """Returns Platt's slope and intercept; None where there is too little text.

    The probability that a document is machine-written, among equally many of both, is
    `sigmoid(slope * log(score / (1 - score)) + intercept)`.
    """
    if min(synthetic.sum(), (~synthetic).sum()) < _BAND_DOCUMENTS:
        return None
    share = np.clip(score.astype(np.float64), 1e-6, 1 - 1e-6)
    try:
        slope, intercept = fit_logistic(np.log(share / (1 - share)), synthetic)
    except ValueError:
        # Scores that do not rise with the share of machine text say nothing here.
        return None
    return {"slope": slope, "intercept": intercept}


def describe(made: Mapping[str, Any], output: str) -> list[str]:
    """Returns the content of a calibration in a few lines."""
    documents = made["documents"]
    lines = [
        f"{documents['human']:,} human and {documents['synthetic']:,} synthetic "
        f"documents; left out: {documents['not_before']:,} human ones not known to be "
        f"old enough, {documents['without_score']:,} without a score, "
        f"{documents['unreadable']:,} unreadable"
    ]
    for fpr, row in made["thresholds"].items():
        line = f"FPR {float(fpr):.1%}: threshold {row['threshold']:.4g}, measured "
        line += _interval(row["fpr"])
        if row["tpr"]:
            line += f"; detects {_interval(row['tpr'])}"
        lines.append(line)
    for fpr, why in made["not_measured"].items():
        lines.append(f"FPR {float(fpr):.1%}: {why}")
    best = next(reversed(made["thresholds"]))
    best = "0.01" if "0.01" in made["thresholds"] else best
    lines.append(f"{output}: use it with --target-fpr {best} --calibration {output}")
    return lines


def _interval(rate: Mapping[str, Any]) -> str:
    return f"{rate['rate']:.2%} ({rate['low']:.2%} to {rate['high']:.2%})"
