"""Measures on a user's own text which threshold gives which false-positive rate."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import orjson

from synthfilter.console import Reporter
from synthfilter.core import schema, storage
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.profiles import count_profiles
from synthfilter.core.schema import Origin
from synthfilter.core.times import parse_day
from synthfilter.detection.calibration import TARGET_FPRS, fit_logistic
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.evaluation import threshold_at_fpr
from synthfilter.detection.figures import (
    count_effective,
    documents_needed,
    find_thresholds,
    group_rows,
    name_profiles,
    rate_at_least,
    rate_name,
    thresholds_by_length,
)
from synthfilter.detection.lengths import BANDS, Threshold, length_bands
from synthfilter.detection.settings import DEFAULT_FPR
from synthfilter.detection.thresholds import (
    FORMAT,
    FORMAT_VERSION,
    check_threshold_options,
    identify,
)
from synthfilter.inputs.blocks import list_inputs
from synthfilter.inputs.fields import parse_fields
from synthfilter.labelled import (
    DOMAIN,
    LABEL,
    NO_TIME,
    Scores,
    list_labelled,
    score_files,
)
from synthfilter.version import __version__

_FALSE_POSITIVES = 10
"""How many human documents a rate must let through to be measured at all."""
_BAND_DOCUMENTS = 50


@dataclasses.dataclass(kw_only=True)
class Calibrate:
    """Finds thresholds for false-positive rates on your own text, by length.

    A rate needs ten false positives to be measured: 200, 1,000 and 10,000 human
    documents for 5%, 1% and 0.1%. Each band of lengths with so many gets a threshold
    of its own; smaller ones share that of their neighbours.

    Args:
      output: JSON file to write, for build --calibration.
      human: Paths or globs of human text of the kind that will be filtered.
      synthetic: Paths or globs of machine-written text, to see how much is detected.
      labelled: Paths or globs of documents with a column `label`, human or synthetic,
        such as synthfilter review labels writes; a column `weight` says how many
        documents each stands for.
      target_fpr: False-positive rates to find thresholds for, such as 0.01; without
        it, 0.05, 0.01 and 0.001, as far as there are documents for them.
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      fields: Columns that hold a field, as NAME=COLUMN, such as created=date.
      human_before: Only documents created before this day count as human, such as
        2022-11-30; documents without a date do not.
    """

    output: str = "calibration.json"
    human: list[str] = dataclasses.field(default_factory=list)
    synthetic: list[str] = dataclasses.field(default_factory=list)
    labelled: list[str] = dataclasses.field(default_factory=list)
    target_fpr: list[float] = dataclasses.field(default_factory=list)
    detector: Optional[str] = None
    fields: list[str] = dataclasses.field(default_factory=list)
    human_before: Optional[str] = None

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        parse_fields(self.fields)
        if not (self.human or self.labelled):
            raise UserError("missing --human or --labelled, the human text to go by")
        for fpr in self.target_fpr:
            check_threshold_options(None, fpr, None)
        if self.human_before is not None:
            parse_day(self.human_before, "human_before")

    def run(self, reporter: Reporter) -> dict[str, Any]:
        """Measures, writes the file, prints and returns what is in it.

        Raises:
          UserError: an input is wrong, or the output exists.
          ShortageError: there are too few human documents for any rate, or for one
            that was asked for.
        """
        if storage.exists(self.output):
            raise UserError(f"output {self.output!r} exists; name a new file")
        files = list_inputs(
            {Origin.HUMAN: self.human, Origin.SYNTHETIC: self.synthetic}
        )
        labelled = list_labelled(self.labelled, LABEL)
        detector = load_detector(self.detector)
        fields = parse_fields(self.fields)
        scores = score_files(files, fields, None, detector)
        late = self._too_late(scores)
        # Of what somebody judged the day says nothing more.
        judged = score_files(labelled, fields, LABEL, detector, True)
        scores = scores.take(~late).add(judged)
        fprs = list(dict.fromkeys(self.target_fpr))
        unscored = np.isnan(scores.score)
        made = calibrate(scores.take(~unscored), detector, fprs)
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
        for line in describe(made, self.output, fprs):
            reporter.say(line)
        return made

    def _too_late(self, scores: Scores) -> np.ndarray:
        """Returns which human documents are not known to be old enough."""
        if self.human_before is None:
            return np.zeros(len(scores.score), bool)
        limit = parse_day(self.human_before, "human_before")
        old = (scores.created < limit) & (scores.created != NO_TIME)
        return ~scores.synthetic & ~old


def calibrate(
    scores: Scores, detector: Detector, fprs: Sequence[float] = ()
) -> dict[str, Any]:
    """Returns the content of a calibration file.

    Args:
      scores: Of human documents, and of machine-written ones where there are any;
        none NaN.
      detector: That gave the scores.
      fprs: False-positive rates that must be measured; none for the usual ones, as far
        as they can be.

    Raises:
      ShortageError: there are too few human documents.
    """
    human = int((~scores.synthetic).sum())
    effective = count_effective(*_of_humans(scores))
    short = _too_rare(effective, fprs)
    rates = [fpr for fpr in fprs or TARGET_FPRS if fpr not in short]
    bands = length_bands(scores.words)
    parts = [scores.take(bands == number) for number in range(len(BANDS))]
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "synthfilter": __version__,
        "detector": identify(detector),
        "documents": {
            "human": human,
            "human_effective": effective,
            "synthetic": len(bands) - human,
        },
        "thresholds": {
            rate_name(fpr): _measure_threshold(scores, fpr) for fpr in rates
        },
        "not_measured": {
            rate_name(fpr): f"needs {need:,} human documents, got {effective:,}"
            for fpr, need in short.items()
        },
        "by_length_in_words": {
            name: _measure_band(part, rates)
            for name, part in zip(BANDS, parts, strict=True)
        },
        "profiles": count_profiles(
            scores.score,
            scores.words,
            scores.synthetic,
            name_profiles(
                scores.names[schema.SOURCE],
                scores.names[DOMAIN],
                scores.names[schema.GENERATOR],
                scores.synthetic,
            ),
            scores.weight,
        ).as_json(),
    }


def _too_rare(human: int, fprs: Sequence[float]) -> dict[float, int]:
    """Returns the documents that each rate needs that cannot be measured.

    Args:
      human: How many there are; of weighted ones, as how many they say as much.
      fprs: The rates that were asked for.

    Raises:
      ShortageError: that is a rate that was asked for, or every rate.
    """
    rates = fprs or TARGET_FPRS
    needed = {fpr: documents_needed(fpr, _FALSE_POSITIVES) for fpr in rates}
    short = {fpr: need for fpr, need in needed.items() if human < need}
    if short and (fprs or len(short) == len(rates)):
        listed = ", ".join(f"{n:,} for {_percent(fpr)}" for fpr, n in short.items())
        raise ShortageError(
            f"too few human documents to calibrate on: {human:,} with a score; "
            f"expected at least {listed}"
        )
    return short


def _measure_threshold(scores: Scores, fpr: float) -> dict[str, Any]:
    """Returns the thresholds of a rate: one for all lengths, and those by length.

    And what the latter do over everything, by source and by length.
    """
    human = scores.take(~scores.synthetic)
    bands = thresholds_by_length(
        human.score, human.words, fpr, _FALSE_POSITIVES, human.weight
    )
    overall = threshold_at_fpr(human.score, fpr, human.weight)
    threshold = Threshold.by_length(overall, bands, "")
    sources = group_rows(scores.names[schema.SOURCE])
    band = length_bands(scores.words)
    return {
        "threshold": overall,
        "by_length": threshold.as_bands(),
        **_rates(scores, threshold),
        "by_source": {
            name: _rates(scores.take(rows), threshold) for name, rows in sources.items()
        },
        "by_length_in_words": {
            name: _rates(scores.take(band == number), threshold)
            for number, name in enumerate(BANDS)
        },
    }


def _rates(scores: Scores, threshold: Threshold) -> dict[str, Any]:
    human, machine = scores.take(~scores.synthetic), scores.take(scores.synthetic)
    return {
        name: rate_at_least(of.score, threshold.of(of.words), of.weight)
        for name, of in (("fpr", human), ("tpr", machine))
    }


def _of_humans(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Returns the scores of the human documents, and their weights."""
    human = ~scores.synthetic
    return scores.score[human], scores.weight[human]


def _measure_band(scores: Scores, fprs: Sequence[float]) -> dict[str, Any]:
    """Returns the thresholds of documents of a length alone, and their probability."""
    human, weight = _of_humans(scores)
    thresholds = find_thresholds(human, _FALSE_POSITIVES, fprs, weight)
    return {
        "human": len(human),
        "synthetic": int(scores.synthetic.sum()),
        "thresholds": {
            rate_name(fpr): {
                "threshold": value,
                **_rates(scores, Threshold.constant(value, "")),
            }
            for fpr, value in thresholds.items()
        },
        "probability": fit_probability(scores.score, scores.synthetic, scores.weight),
    }


def fit_probability(
    score: np.ndarray, synthetic: np.ndarray, weight: np.ndarray | None = None
) -> dict[str, float] | None:
    """Returns Platt's slope and intercept; None where there is too little text.

    The probability that a document is machine-written, among equally many of both, is
    `sigmoid(slope * log(score / (1 - score)) + intercept)`.
    """
    if min(synthetic.sum(), (~synthetic).sum()) < _BAND_DOCUMENTS:
        return None
    share = np.clip(score.astype(np.float64), 1e-6, 1 - 1e-6)
    try:
        slope, intercept = fit_logistic(np.log(share / (1 - share)), synthetic, weight)
    except ValueError:
        # Scores that do not rise with the share of machine text say nothing here.
        return None
    return {"slope": slope, "intercept": intercept}


def describe(
    made: Mapping[str, Any], output: str, fprs: Sequence[float] = ()
) -> list[str]:
    """Returns the content of a calibration in a few lines.

    Args:
      made: As `calibrate` returned it, with what was left out.
      output: Where it is.
      fprs: The rates that were asked for, the most important first.
    """
    documents = made["documents"]
    lines = [
        f"{documents['human']:,} human and {documents['synthetic']:,} synthetic "
        f"documents; left out: {documents['not_before']:,} human ones not known to be "
        f"old enough, {documents['without_score']:,} without a score, "
        f"{documents['unreadable']:,} unreadable"
    ]
    for fpr, row in made["thresholds"].items():
        threshold = Threshold.from_json(row["by_length"], "")
        line = f"FPR {_percent(fpr)}: threshold {threshold}, measured "
        line += _interval(row["fpr"])
        if row["tpr"]:
            line += f"; detects {_interval(row['tpr'])}"
        lines.append(line)
    for fpr, why in made["not_measured"].items():
        lines.append(f"FPR {_percent(fpr)}: {why}")
    *_, smallest = made["thresholds"]
    usual = rate_name(DEFAULT_FPR)
    best = usual if usual in made["thresholds"] else smallest
    if fprs:
        best = rate_name(fprs[0])
    lines.append(f"{output}: use it with --target-fpr {best} --calibration {output}")
    return lines


def _percent(fpr: float | str) -> str:
    """Returns a rate as `5%`, `0.1%`."""
    return f"{100 * float(fpr):.4g}%"


def _interval(rate: Mapping[str, Any]) -> str:
    return f"{rate['rate']:.2%} ({rate['low']:.2%} to {rate['high']:.2%})"
