"""Measures a detector on labelled documents, by source, length and the rest."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import orjson
from rich import box
from rich.table import Table
from rich.text import Text

from synthfilter.console import Reporter
from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.text import printable as printable
from synthfilter.detection.detector import DEFAULT_SOURCE, Detector, load_detector
from synthfilter.detection.figures import (
    find_thresholds,
    group_rows,
    measure_group,
    rate_at_least,
    rate_name,
    roc_points,
)
from synthfilter.detection.lengths import BANDS, Threshold, length_bands
from synthfilter.detection.thresholds import identify
from synthfilter.inputs.fields import parse_fields
from synthfilter.insight.charts import check_charts
from synthfilter.insight.evaluation_page import evaluation_page
from synthfilter.labelled import (
    DOMAIN,
    Scores,
    check_both_classes,
    list_labelled,
    score_files,
)
from synthfilter.options import check_types
from synthfilter.version import __version__

LENGTH = "length in words"
_MOST_CURVES = 5
_MOST_SHOWN = 40


@dataclasses.dataclass(kw_only=True)
class Evaluate:
    """Measures how well a detector tells machine text from human text.

    AUROC and the share detected at false-positive rates of 5%, 1% and 0.1%, with 95%
    intervals, over everything and by source, domain, generator and length. One set of
    thresholds, set on all human documents of the data, holds for every group. Figures
    on text that the detector was trained on say nothing about other text.

    Args:
      data: Paths or globs of labelled documents, in any format that a build reads.
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      fields: Columns that hold a field, as NAME=COLUMN, such as text=body, a path such
        as text=pages[].body, or a chat, text=messages with chat_roles= and
        chat_template=.
      label_column: Column that says human or synthetic (or 0 and 1).
      json: File to write all figures to, for programs.
      html: File to write a page with charts to; needs synthfilter[report].
    """

    data: list[str]
    detector: Optional[str] = None
    fields: list[str] = dataclasses.field(default_factory=list)
    label_column: str = "label"
    json: Optional[str] = None
    html: Optional[str] = None

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        check_types(self)
        parse_fields(self.fields)
        if self.json is not None and self.json == self.html:
            raise UserError(f"json and html both name {self.json!r}; give two files")

    def run(self, reporter: Optional[Reporter] = None) -> dict[str, Any]:
        """Measures, prints, writes what was asked for and returns the figures.

        Args:
          reporter: Where to print; nowhere unless it is given.

        Raises:
          UserError: the data is not labelled documents of both classes, or a file to
            write exists.
        """
        for path in filter(None, (self.json, self.html)):
            if storage.exists(path):
                raise UserError(f"output {path!r} exists; name a new file")
        if self.html is not None:
            check_charts()
        files = list_labelled(self.data, self.label_column)
        detector = load_detector(self.detector)
        scores = score_files(
            files, parse_fields(self.fields), self.label_column, detector
        )
        usable = scores.take(~np.isnan(scores.score))
        check_both_classes(usable.synthetic, "measure a detector on")
        figures = evaluate(scores, detector)
        if self.json is not None:
            how = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            storage.write_bytes(self.json, orjson.dumps(figures, option=how))
        if self.html is not None:
            page = make_page(figures, usable)
            storage.write_bytes(self.html, page.encode())
        if reporter is not None:
            self._print(figures, reporter)
        return figures

    def _print(self, figures: Mapping[str, Any], reporter: Reporter) -> None:
        for line in describe(figures):
            reporter.say(line)
        for name, (columns, rows) in tables_of(figures).items():
            table = Table(box=box.SIMPLE, title=name, title_justify="left")
            for place, column in enumerate(columns):
                if place:
                    table.add_column(column, justify="right")
                else:
                    table.add_column(column, min_width=20, overflow="fold")
            for row in rows[:_MOST_SHOWN]:
                table.add_row(*(Text(cell) for cell in row))
            reporter.console.print(table)
            if len(rows) > _MOST_SHOWN:
                reporter.say(f"and {len(rows) - _MOST_SHOWN:,} more")


def evaluate(scores: Scores, detector: Detector) -> dict[str, Any]:
    """Returns all figures as JSON; null where there is too little to tell.

    Args:
      scores: Of documents of both classes.
      detector: That gave the scores.
    """
    usable = scores.take(~np.isnan(scores.score))
    human = usable.score[~usable.synthetic]
    thresholds = find_thresholds(human)
    default = detector.threshold.of(usable.words)
    machine = usable.score[usable.synthetic]
    return {
        "synthfilter": __version__,
        "detector": identify(detector),
        "documents": {
            "scored": len(usable.score),
            "without_score": len(scores.score) - len(usable.score),
            "unreadable": scores.unreadable,
        },
        "thresholds": {rate_name(fpr): value for fpr, value in thresholds.items()},
        "at_default_threshold": {
            "threshold": detector.threshold.as_json(),
            "fpr": rate_at_least(human, default[~usable.synthetic]),
            "tpr": rate_at_least(machine, default[usable.synthetic]),
        },
        "all": measure_group(human, machine, thresholds),
        "by": {
            name: {
                group: _measure_rows(usable, rows, name, thresholds)
                for group, rows in groups.items()
            }
            for name, groups in groups_of(usable).items()
        },
    }


def _measure_rows(
    scores: Scores, rows: np.ndarray, name: str, thresholds: Mapping[float, float]
) -> dict[str, Any]:
    """Returns the figures of a group; a generator is set against all human text."""
    chosen, synthetic = scores.score[rows], scores.synthetic[rows]
    human = chosen[~synthetic]
    if name == schema.GENERATOR:
        human = scores.score[~scores.synthetic]
    return measure_group(human, chosen[synthetic], thresholds)


def groups_of(scores: Scores) -> dict[str, dict[str, np.ndarray]]:
    """Returns the rows of documents by what groups them and by group.

    What is the same for all documents is left out.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name in (schema.SOURCE, DOMAIN, schema.GENERATOR):
        values = scores.names[name]
        if name == schema.GENERATOR:
            values = values.copy()
            values[~scores.synthetic] = None
        groups = group_rows(values)
        if len(groups) > (name != schema.GENERATOR):
            found[name] = groups
    band = length_bands(scores.words)
    found[LENGTH] = {
        name: np.flatnonzero(band == number)
        for number, name in enumerate(BANDS)
        if number in band
    }
    return found


def describe(figures: Mapping[str, Any]) -> list[str]:
    """Returns what was measured, in words."""
    detector, documents = figures["detector"], figures["documents"]
    default = figures["at_default_threshold"]
    threshold = Threshold.from_json(default["threshold"], DEFAULT_SOURCE)
    return [
        f"detector {detector['name']}, sha256 {detector['sha256'][:16]}",
        f"{documents['scored']:,} documents scored, {documents['without_score']:,} "
        f"without a score, {documents['unreadable']:,} could not be read",
        f"at the detector's own threshold of {threshold}: TPR "
        f"{_rate(default['tpr'])}, FPR {_rate(default['fpr'])}; all in percent, with "
        "95% intervals",
        "thresholds by false-positive rate, set on the human documents of this data: "
        + (
            ", ".join(
                f"{value:.4g} at {float(fpr):.1%}"
                for fpr, value in figures["thresholds"].items()
            )
            or "none, too few of them"
        ),
    ]


def tables_of(
    figures: Mapping[str, Any],
) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Returns the figures as tables of text: by heading, column names and rows."""
    rates = list(figures["thresholds"])
    columns = ["", "human", "synthetic", "AUROC"]
    columns += [f"TPR at FPR {float(fpr):.1%}" for fpr in rates]
    columns += [f"FPR for {float(fpr):.1%}" for fpr in rates[1:2]]
    tables = {"everything": (columns, [_row("all", figures["all"], rates)])}
    for name, groups in figures["by"].items():
        heading = f"by {name}"
        if name == schema.GENERATOR:
            heading += ", each against all human documents"
        rows = [_row(group, found, rates) for group, found in groups.items()]
        tables[heading] = (columns, rows)
    return tables


def _row(name: str, group: Mapping[str, Any], rates: Sequence[str]) -> list[str]:
    area = group["auroc"]
    cells = [printable(name), f"{group['human']:,}", f"{group['synthetic']:,}"]
    cells.append("" if area is None else f"{area:.3f}")
    cells += [_rate(group["at"][fpr]["tpr"]) for fpr in rates]
    return cells + [_rate(group["at"][fpr]["fpr"]) for fpr in rates[1:2]]


def _rate(rate: Mapping[str, Any] | None) -> str:
    """Returns a rate with its interval in percent, as `12.3 (10.1-14.9)`."""
    if rate is None:
        return ""
    share, low, high = (100 * rate[name] for name in ("rate", "low", "high"))
    return f"{share:.1f} ({low:.1f}-{high:.1f})"


def make_page(figures: Mapping[str, Any], scores: Scores) -> str:
    """Returns the HTML page of the figures.

    Args:
      figures: What `evaluate` returned.
      scores: Of the documents that have one.
    """
    human, machine = scores.score[~scores.synthetic], scores.score[scores.synthetic]
    curves = {"everything": roc_points(human, machine)}
    by = figures["by"].get(schema.SOURCE, {})
    groups = group_rows(scores.names[schema.SOURCE])
    both = [name for name, group in by.items() if group["auroc"] is not None]
    for name in sorted(both, key=lambda name: -by[name]["human"])[:_MOST_CURVES]:
        score, synthetic = scores.score[groups[name]], scores.synthetic[groups[name]]
        curves[printable(name)] = roc_points(score[~synthetic], score[synthetic])
    return evaluation_page(
        f"Evaluation of {figures['detector']['name']}",
        describe(figures),
        tables_of(figures),
        curves,
        {"human": human, "synthetic": machine},
    )
