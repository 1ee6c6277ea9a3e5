"""Trains a detector on a user's own labelled text."""

import dataclasses
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.console import Reporter
from synthfilter.core import schema, storage
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.text import normalise
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.evaluation import linked_groups
from synthfilter.detection.fitting import (
    Documents,
    Fitted,
    WeakModelError,
    choose_folds,
    fit_detector,
)
from synthfilter.inputs.fields import parse_fields
from synthfilter.labelled import (
    DOMAIN,
    GROUP,
    check_both_classes,
    list_labelled,
    read_rows,
)

_SUFFIX = ".bin"
_MIN_DOCUMENTS = 20


@dataclasses.dataclass(kw_only=True)
class Train:
    """Trains a detector on labelled text, by the recipe of the shipped one.

    Scores are calibrated and measured on left-out documents: by source where at least
    three have both classes, else in five parts. Columns source, domain and group are
    used where they are: classes are balanced within source and domain, and documents
    of a group are never parted. A column weight is not looked at: fastText has no
    weights, and documents that reviewers were asked about, being hard to tell, are the
    most worth training on. The same data gives the same bytes.

    Args:
      output: Model file to write, .bin; what is said of it comes beside it as .json.
      data: Paths or globs of labelled documents, in any format that a build reads.
      label_column: Column that says human or synthetic (or 0 and 1).
      fields: Columns that hold a field, as NAME=COLUMN, such as text=body, a path such
        as text=pages[].body, or a chat, text=messages with chat_roles= and
        chat_template=.
      min_auroc: A model that tells left-out documents apart less well is not saved.
    """

    output: str
    data: list[str]
    label_column: str = "label"
    fields: list[str] = dataclasses.field(default_factory=list)
    min_auroc: float = 0.7

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        if not self.output.endswith(_SUFFIX):
            raise UserError(f"output must end with {_SUFFIX}, got {self.output!r}")
        if not 0 <= self.min_auroc <= 1:
            raise UserError(f"min_auroc must be between 0 and 1, got {self.min_auroc}")
        parse_fields(self.fields)

    def run(self, reporter: Reporter) -> dict[str, Any]:
        """Trains, writes both files and returns what the JSON says.

        Raises:
          UserError: the data is not labelled documents of both classes, or a file to
            write exists.
          ShortageError: there is too little text, or the model is too weak.
        """
        beside = self.output.removesuffix(_SUFFIX) + ".json"
        for path in (self.output, beside):
            if storage.exists(path):
                raise UserError(f"output {path!r} exists; name a new file")
        documents, unreadable = self._read()
        machine = int(documents.synthetic.sum())
        reporter.say(
            f"{len(documents.synthetic) - machine:,} human and {machine:,} synthetic "
            f"documents; {unreadable:,} could not be read"
        )
        fitted = self._fit(documents, reporter)
        # The model without its JSON would be read in another way.
        said = json.dumps(fitted.facts, indent=2, allow_nan=False) + "\n"
        storage.write_bytes(beside, said.encode())
        storage.write_bytes(self.output, fitted.model)
        for line in describe(fitted.facts, self.output, len(fitted.model)):
            reporter.say(line)
        return fitted.facts

    def _fit(self, documents: Documents, reporter: Reporter) -> Fitted:
        folds, how = choose_folds(documents)
        try:
            return fit_detector(
                documents,
                folds,
                name=self.output.rsplit("/", 1)[-1].removesuffix(_SUFFIX),
                how={"how": how},
                min_auroc=self.min_auroc,
                report=reporter.say,
            )
        except WeakModelError as error:
            raise ShortageError(
                f"{error}; nothing is saved: give more or cleaner text, or accept less "
                "with --min-auroc"
            ) from error
        except ValueError as error:
            raise ShortageError(
                f"no model can be made of this data: {error}"
            ) from error

    def _read(self) -> tuple[Documents, int]:
        """Returns the documents that have text, and how many rows are unreadable."""
        files = list_labelled(self.data, self.label_column)
        texts, labels, names = [], [], []
        unreadable = 0
        for rows in read_rows(files, parse_fields(self.fields), self.label_column):
            unreadable += rows.unreadable
            text = canonicalise(normalise(rows.documents.column(schema.TEXT)))
            filled = pc.greater(pc.binary_length(text), 0)
            keep = filled.to_numpy(zero_copy_only=False)
            texts.append(text.filter(filled))
            labels.append(rows.synthetic[keep])
            names.append({name: said[keep] for name, said in rows.names.items()})
        synthetic = np.concatenate(labels) if labels else np.zeros(0, bool)
        check_both_classes(synthetic, "train on")
        fewest = int(min(synthetic.sum(), (~synthetic).sum()))
        if fewest < _MIN_DOCUMENTS:
            raise ShortageError(
                f"too few documents to train on: expected at least {_MIN_DOCUMENTS} of "
                f"each class, got {fewest} of one; thousands are better"
            )
        column = {name: np.concatenate([n[name] for n in names]) for name in names[0]}
        text = pa.concat_arrays(texts)
        groups = [
            f"row {row}" if group is None else f"group {group}"
            for row, group in enumerate(column[GROUP])
        ]
        sources = np.array([name or "" for name in column[schema.SOURCE]], object)
        linked = linked_groups(groups, text.to_pylist())
        documents = Documents(
            text, synthetic, sources, column[DOMAIN], linked, column[schema.GENERATOR]
        )
        return documents, unreadable


def describe(facts: dict[str, Any], output: str, size: int) -> list[str]:
    """Returns what was trained and measured, in a few lines."""
    measured = facts["measured"]
    everything = measured["all"]
    lines = [
        f"measured on left-out documents ({measured['how']}): AUROC "
        f"{everything['auroc']:.3f}, detects {everything['tpr_at_threshold']:.1%} with "
        f"{everything['fpr_at_threshold']:.1%} false positives at score "
        f"{measured['threshold']:.4g}",
        f"{output}: {size / 1e6:.1f} MB, sha256 {facts['sha256'][:16]}",
    ]
    if "0.01" not in facts["thresholds"]:
        lines.append(
            "fewer than 100 human documents: no threshold at 1% false positives; "
            "the default is 0.5"
        )
    return lines
