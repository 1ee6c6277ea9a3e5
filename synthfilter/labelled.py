"""Documents whose origin is known, for measuring, calibrating and training."""

import dataclasses
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from synthfilter.annotate import COLUMNS, annotate
from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.errors import UserError
from synthfilter.core.schema import HUMAN_NAMES, SYNTHETIC_NAMES, Origin
from synthfilter.detection.detector import Detector
from synthfilter.inputs.blocks import InputFile, list_inputs, open_file, read_columns
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.fields import map_fields

MAX_DOCUMENT_BYTES = 10_000_000
DOMAIN = "domain"
GROUP = "group"
LABEL = "label"
WEIGHT = "weight"
NO_TIME = np.iinfo(np.int64).min

_COLUMNS = (*COLUMNS, schema.ORIGIN, schema.GENERATOR, schema.METADATA)


class Rows(NamedTuple):
    """Documents that could be read, and who wrote them.

    Attributes:
      documents: A batch of the schema's columns.
      synthetic: bool, whether a machine wrote each.
      names: Source, generator, domain and group of each; None where it has none.
      unreadable: How many further rows could not be read.
      weight: float64, how many documents each stands for.
    """

    documents: pa.RecordBatch
    synthetic: np.ndarray
    names: dict[str, np.ndarray]
    unreadable: int
    weight: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scores:
    """What is left of documents when they are scored.

    Attributes:
      score: float32; NaN where there is none.
      words: int32.
      created: int64 milliseconds since 1970; `NO_TIME` where unknown.
      synthetic: bool.
      names: As in `Rows`.
      unreadable: How many further rows could not be read.
      weight: As in `Rows`.
    """

    score: np.ndarray
    words: np.ndarray
    created: np.ndarray
    synthetic: np.ndarray
    names: dict[str, np.ndarray]
    unreadable: int
    weight: np.ndarray

    def take(self, chosen: np.ndarray) -> "Scores":
        """Returns the documents of a mask or of row numbers."""
        return Scores(
            self.score[chosen],
            self.words[chosen],
            self.created[chosen],
            self.synthetic[chosen],
            {name: values[chosen] for name, values in self.names.items()},
            self.unreadable,
            self.weight[chosen],
        )

    def add(self, other: "Scores") -> "Scores":
        """Returns the documents of both."""
        return _join_scores([self, other])


def list_labelled(patterns: Sequence[str], label_column: str) -> list[InputFile]:
    """Returns the files of labelled documents.

    Raises:
      UserError: nothing matches a pattern, or a file lacks the label column.
    """
    files = list_inputs({Origin.UNKNOWN: patterns})
    for file in files:
        columns = read_columns(file)
        if columns.names and label_column not in columns.names:
            raise UserError(
                f"{file.path}: no column {label_column!r} with the labels; found "
                f"{', '.join(columns.names)}; name it with --label-column COLUMN"
            )
    return files


def read_rows(
    files: Sequence[InputFile],
    fields: Mapping[str, str],
    label_column: str | None,
    weighted: bool = False,
) -> Iterator[Rows]:
    """Yields the documents of files, batch by batch.

    Args:
      files: What is read, in this order.
      fields: Field to column, from the user.
      label_column: The column that says who wrote each document; None where the
        file's declared origin does.
      weighted: Whether a column `weight` says how many documents each stands for.

    Raises:
      UserError: a label is missing or has no known meaning, or a weight is no number.
    """
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as spool:
        for file in files:
            field = _field_of(file, fields, label_column)
            for block in open_file(file, fields, spool, 2 * MAX_DOCUMENT_BYTES):
                for batch in read_documents(block, _COLUMNS):
                    yield _label_rows(batch, file, label_column, field, weighted)


def _label_rows(
    batch: pa.RecordBatch,
    file: InputFile,
    label_column: str | None,
    field: str,
    weighted: bool,
) -> Rows:
    """Returns the rows of a batch that can be read, with who wrote them."""
    usable = batch.filter(batch.column(schema.ERROR).is_null())
    extra = _extra_columns(usable)
    if label_column is None:
        synthetic = np.full(len(extra), file.declared == Origin.SYNTHETIC)
    else:
        labels = _values(usable, extra, field)
        synthetic = read_labels(labels, file.path, label_column)
    unreadable = batch.num_rows - usable.num_rows
    weights = [row.get(WEIGHT) if weighted else None for row in extra]
    weight = read_weights(weights, file.path)
    return Rows(usable, synthetic, _names_of(usable, extra), unreadable, weight)


def read_weights(values: Sequence[Any], path: str) -> np.ndarray:
    """Returns how many documents each stands for, float64; 1 where nothing is said.

    Raises:
      UserError: One is no number above 0.
    """
    said = [1.0 if value is None else value for value in values]
    for value in said:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value < math.inf:
            raise UserError(
                f"{path}: column {WEIGHT!r}: expected a number above 0, got "
                f"{str(value)[:40]!r}"
            )
    return np.array(said, np.float64)


def read_labels(labels: Sequence[Any], path: str, label_column: str) -> np.ndarray:
    """Returns whether each label means machine-written.

    Raises:
      UserError: One is missing or has no known meaning.
    """
    said = ["" if label is None else str(label).lower() for label in labels]
    meanings = dict.fromkeys(HUMAN_NAMES, False) | dict.fromkeys(SYNTHETIC_NAMES, True)
    unknown = sorted({name for name in said if name not in meanings})
    if unknown:
        shown = ", ".join(repr(name[:40]) for name in unknown[:5])
        raise UserError(
            f"{path}: column {label_column!r}: expected {', '.join(sorted(meanings))}, "
            f"got {shown}{' and more' if len(unknown) > 5 else ''}"
        )
    return np.array([meanings[name] for name in said], bool)


def score_files(
    files: Sequence[InputFile],
    fields: Mapping[str, str],
    label_column: str | None,
    detector: Detector,
    weighted: bool = False,
) -> Scores:
    """Returns the scores of all documents that can be read; see `read_rows`."""
    parts = [
        _score_rows(rows, detector)
        for rows in read_rows(files, fields, label_column, weighted)
    ]
    return _join_scores(parts)


def _join_scores(parts: Sequence[Scores]) -> Scores:
    """Returns the documents of all parts."""
    if not parts:
        empty = np.zeros(0)
        return Scores(
            empty.astype(np.float32),
            empty.astype(np.int32),
            empty.astype(np.int64),
            empty.astype(bool),
            _names_of(None, []),
            0,
            empty,
        )
    return Scores(
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.words for part in parts]),
        np.concatenate([part.created for part in parts]),
        np.concatenate([part.synthetic for part in parts]),
        {
            name: np.concatenate([part.names[name] for part in parts])
            for name in parts[0].names
        },
        sum(part.unreadable for part in parts),
        np.concatenate([part.weight for part in parts]),
    )


def _score_rows(rows: Rows, detector: Detector) -> Scores:
    facts = annotate(rows.documents, detector, MAX_DOCUMENT_BYTES)
    return Scores(
        column(facts, schema.AI_SCORE),
        column(facts, schema.WORDS),
        facts.column(schema.CREATED).fill_null(NO_TIME).to_numpy(),
        rows.synthetic,
        rows.names,
        rows.unreadable,
        rows.weight,
    )


def check_both_classes(synthetic: np.ndarray, what: str) -> None:
    """Raises UserError unless there are human and machine-written documents."""
    if not len(synthetic):
        raise UserError(f"expected documents to {what}, found none with text")
    if synthetic.all() or not synthetic.any():
        only = "synthetic" if synthetic.all() else "human"
        raise UserError(
            f"expected human and synthetic documents to {what}, got {len(synthetic):,} "
            f"{only} ones and no others"
        )


def _field_of(
    file: InputFile, fields: Mapping[str, str], label_column: str | None
) -> str:
    """Returns under which name `read_documents` gives the label column."""
    columns = read_columns(file)
    mapping = map_fields(columns, fields, file.path) if columns.names else {}
    names = {mapping[name]: name for name in schema.DOCUMENT.names if name in mapping}
    return names.get(label_column or "", label_column or "")


def _extra_columns(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Returns what each row has besides the fields of the schema."""
    found = (
        None if text is None else orjson.loads(text)
        for text in batch.column(schema.METADATA).to_pylist()
    )
    return [row if isinstance(row, dict) else {} for row in found]


def _values(
    batch: pa.RecordBatch, extra: Sequence[Mapping[str, Any]], name: str
) -> list[Any]:
    """Returns a column, a field of the schema or another one."""
    own = batch.column(name).to_pylist() if name in _COLUMNS else [None] * len(extra)
    return [
        row.get(name) if value is None else value
        for row, value in zip(extra, own, strict=True)
    ]


def _names_of(
    batch: pa.RecordBatch | None, extra: Sequence[Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Returns source, generator, domain and group as text."""
    names = {}
    for name in (schema.SOURCE, schema.GENERATOR, DOMAIN, GROUP):
        values = _values(batch, extra, name) if batch is not None and extra else []
        said = np.empty(len(values), object)
        said[:] = [None if value is None else str(value) for value in values]
        names[name] = said
    return names
