"""A few documents from the start of a file, and how many it holds; for estimates."""

import dataclasses
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from synthfilter.core import storage
from synthfilter.core.batches import concat_batches
from synthfilter.inputs.blocks import Block, InputFile, open_file, split_file
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.formats import PARQUET, format_of
from synthfilter.inputs.spool import spool_file


@dataclasses.dataclass(frozen=True)
class Sample:
    """The first documents of a file.

    Attributes:
      documents: A batch of the columns asked for, `error` and `position`.
      rows: How many rows the file has; for all but Parquet, an estimate from its size.
      seconds: How long reading the sample took.
    """

    documents: pa.RecordBatch
    rows: float
    seconds: float


def sample_file(
    file: InputFile,
    fields: Mapping[str, str],
    columns: Sequence[str],
    limit: int,
    max_bytes: int,
) -> Sample | None:
    """Returns the first documents of a file; None if it has none.

    Args:
      file: The file.
      fields: Field to column, from the user.
      columns: Names of `schema.DOCUMENT`.
      limit: Number of documents.
      max_bytes: A longer line of a text format is an error row.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as folder:
        part = 1.0
        blocks = _all_blocks(file, fields, folder, max_bytes)
        if format_of(file.path)[0] != PARQUET:
            blocks, part = _first_records(file, fields, folder, limit, max_bytes)
        found = list(blocks)
        if not found:
            return None
        first = np.arange(min(limit, found[0].rows))
        documents = concat_batches(read_documents(found[0], columns, first))
    seconds = time.perf_counter() - start
    rows = sum(block.rows for block in found) / part
    return Sample(documents, rows, seconds)


def _all_blocks(
    file: InputFile, fields: Mapping[str, str], folder: str, max_bytes: int
) -> Iterator[Block]:
    """Opens the file as a build does, when the blocks are asked for."""
    yield from open_file(file, fields, folder, max_bytes)


def _first_records(
    file: InputFile, fields: Mapping[str, str], folder: str, limit: int, max_bytes: int
) -> tuple[Iterator[Block], float]:
    """Returns blocks of the first records and what part of the file they are."""
    target = os.path.join(folder, "sample.parquet")
    part = spool_file(file.path, target, fields, max_bytes, limit)
    with storage.open_parquet(target) as parquet:
        blocks = list(split_file(file, "", parquet.metadata, None, target))
    return iter(blocks), part
