"""Judged documents as labelled text, for `calibrate` and `train`."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.console import Reporter, count
from synthfilter.core import schema, storage
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.uses import hash_halves
from synthfilter.core.verdicts import Verdict
from synthfilter.decisions.verdicts import (
    effective_verdicts,
    find_texts,
    find_verdicts,
    weigh_documents,
)
from synthfilter.labelled import DOMAIN, LABEL, WEIGHT
from synthfilter.ledger.verdicts import read_verdicts
from synthfilter.outputs.manifest import read_manifest
from synthfilter.review_sample import read_batches

_COLUMNS = [
    schema.CONTENT_HASH,
    schema.ID,
    schema.TEXT,
    schema.SOURCE,
    schema.GENERATOR,
    schema.METADATA,
]
_LABELLED = pa.schema(
    [
        (schema.TEXT, pa.large_string()),
        (LABEL, pa.string()),
        (schema.SOURCE, pa.string()),
        (DOMAIN, pa.string()),
        (schema.GENERATOR, pa.string()),
        (WEIGHT, pa.float64()),
        (schema.ID, pa.string()),
        (schema.CONTENT_HASH, pa.string()),
    ]
)


@dataclasses.dataclass(kw_only=True)
class MakeLabels:
    """Writes the documents of builds that reviewers call human or synthetic.

    With their text, label and weight: how many documents each stands for, so that
    figures are those of the whole build although doubtful documents are reviewed more
    often. What reviewers reject, or do not agree on, is not written.

    Args:
      ledger: Folder of the ledger with the verdicts.
      output: Parquet file to write.
    """

    ledger: str
    output: str

    def run(self, folders: list[str], reporter: Reporter) -> int:
        """Writes the file and returns how many documents are in it.

        Args:
          folders: Of the builds that have the text.
          reporter: Where to print.

        Raises:
          UserError: a build or the ledger cannot be read, or the output exists.
          ShortageError: none of the builds has the text of a judged document.
        """
        if storage.exists(self.output):
            raise UserError(f"output {self.output!r} exists; name a new file")
        rows = read_verdicts(self.ledger)
        effective = effective_verdicts(rows)
        labelled = np.isin(effective.verdict, (Verdict.HUMAN, Verdict.SYNTHETIC))
        hi, lo, weight = weigh_documents(rows)
        found = np.zeros(len(hi), bool)
        parts = []
        for batch in _rows_with_text(folders) if labelled.any() else ():
            halves = hash_halves(batch.column(schema.CONTENT_HASH))
            at = find_texts(hi, lo, *halves)
            new = np.zeros(len(at), bool)
            # A text may be in several builds, and in one several times.
            new[np.unique(at, return_index=True)[1]] = True
            new &= (at >= 0) & ~found[at] & labelled[at]
            found[at[new]] = True
            taken = batch.filter(pa.array(new))
            verdicts = find_verdicts(effective, *(half[new] for half in halves))
            parts.append(_label_rows(taken, verdicts, weight[at[new]]))
        if not found.any():
            raise ShortageError(
                f"{', '.join(folders)}: no text of the {int(labelled.sum()):,} "
                "documents that reviewers call human or synthetic; name the builds "
                "that were reviewed (rejected documents need --rejected-text)"
            )
        table = _normalise_weights(pa.Table.from_batches(parts))
        with storage.staged(self.output) as draft:
            pq.write_table(table, draft, compression="zstd")
        missing = int((labelled & ~found).sum())
        reporter.say(
            f"{self.output}: {count(table.num_rows, 'document')}; "
            f"{count(missing, 'judged document')} not in {', '.join(folders)}"
        )
        return table.num_rows


def _rows_with_text(folders: list[str]) -> Iterator[pa.RecordBatch]:
    """Yields the documents of builds that have text."""
    for folder in folders:
        manifest = read_manifest(folder)
        files = list(manifest["shards"])
        if manifest["options"].get("rejected_text"):
            files += manifest["rejected"]
        for file in files:
            yield from read_batches(storage.join(folder, file["path"]), _COLUMNS)


def _label_rows(
    batch: pa.RecordBatch, verdicts: np.ndarray, weight: np.ndarray
) -> pa.RecordBatch:
    """Returns documents as rows of the labelled file."""
    names = np.array([verdict.name.lower() for verdict in Verdict], object)
    known: dict[str, Any] = {
        name: batch.column(name) for name in _COLUMNS if name != schema.METADATA
    }
    known[LABEL] = pa.array(names[verdicts], pa.string())
    known[WEIGHT] = pa.array(weight)
    domains = [_domain_of(text) for text in batch.column(schema.METADATA).to_pylist()]
    known[DOMAIN] = pa.array(domains, pa.string())
    return pa.RecordBatch.from_arrays(
        [known[name] for name in _LABELLED.names], schema=_LABELLED
    )


def _domain_of(metadata: Optional[str]) -> Optional[str]:
    """Returns the column `domain` of the input, if it had one."""
    found = orjson.loads(metadata) if metadata else None
    said = found.get(DOMAIN) if isinstance(found, dict) else None
    return None if said is None else str(said)


def _normalise_weights(table: pa.Table) -> pa.Table:
    """Returns the table with weights that are 1 in the mean."""
    weight = table.column(WEIGHT).to_numpy()
    at = _LABELLED.get_field_index(WEIGHT)
    return table.set_column(at, WEIGHT, pa.array(weight / weight.mean()))
