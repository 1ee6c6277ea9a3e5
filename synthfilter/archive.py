"""The human archive (inputs declared core): in every build, whole and unchanged.

What a build reads of it is compared with what the ledger knows, file by file, and
nothing of it may be left out. Fresh files may join.
"""

from collections.abc import Iterable, Iterator
from typing import Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsIter

from synthfilter.core import hashing, schema
from synthfilter.core.archive import ArchiveFile, add_parts
from synthfilter.core.batches import column
from synthfilter.core.errors import ShortageError
from synthfilter.core.schema import REASON_NAMES, UNITS, Origin, Reason
from synthfilter.core.secrets import redact
from synthfilter.decisions.summary import Summary
from synthfilter.inputs.blocks import Block
from synthfilter.ledger.archive import read_archive

_NAMED = 5
"""Files that an error message names at most."""


def digest_archive(annotated: beam.PCollection) -> beam.PCollection:
    """Returns the `ArchiveFile` of each file of the archive.

    Args:
      annotated: `(Block, facts)`.
    """
    return (
        annotated
        | "DigestArchive" >> beam.FlatMap(digest_block)
        | "SameArchiveFile" >> beam.GroupByKey()
        | "AddArchiveParts" >> beam.Map(add_file_parts)
    )


def digest_block(
    element: tuple[Block, pa.RecordBatch],
) -> Iterator[tuple[str, ArchiveFile]]:
    """Yields `(file, what a block holds of it)` if it is of the archive."""
    block, facts = element
    if block.declared != Origin.CORE:
        return
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    yield (
        block.file,
        ArchiveFile(
            redact(block.file),
            hashing.content_digest(hi, lo, np.zeros(len(hi), np.uint8)),
            len(hi),
            int(column(facts, schema.BYTES).sum(dtype=np.int64)),
            int(column(facts, schema.WORDS).sum(dtype=np.int64)),
        ),
    )


def add_file_parts(element: tuple[str, Iterable[ArchiveFile]]) -> ArchiveFile:
    """Returns what all blocks of one file hold."""
    return add_parts(element[1])


def check_archive(
    summary: beam.PCollection,
    archive: beam.PCollection,
    ledger: Optional[str],
    replace: bool,
) -> beam.PCollection:
    """Returns the one `Summary` again, if the archive is whole and unchanged.

    Args:
      summary: The one `Summary`.
      archive: What `digest_archive` returned.
      ledger: Path of the ledger that knows the archive; None for none.
      replace: Whether the archive may differ from what the ledger knows.
    """
    return summary | "CheckArchive" >> beam.Map(
        check_whole, AsIter(archive), None if replace else ledger
    )


def check_whole(
    summary: Summary, archive: Iterable[ArchiveFile], ledger: Optional[str]
) -> Summary:
    """Returns the summary.

    Raises:
      ShortageError: something of the archive would be left out, or the ledger knows a
        file of it that is not here.
    """
    docs = summary.books[Origin.CORE, ..., UNITS.index("docs")].sum(axis=0)
    lost = [
        f"{docs[reason]:,} {REASON_NAMES[reason]}"
        for reason in Reason
        if reason != Reason.KEPT and docs[reason]
    ]
    if lost:
        raise ShortageError(
            f"the archive would not be whole: of its {docs.sum():,} documents "
            f"{', '.join(lost)}; mend its files, or take these documents out of core"
        )
    if ledger is None:
        return summary
    here = {file.digest for file in archive}
    missing = [file for file in read_archive(ledger) if file.digest not in here]
    if missing:
        named = ", ".join(
            f"{file.name} ({file.documents:,} documents)" for file in missing[:_NAMED]
        )
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ShortageError(
            f"the archive lacks, or has changed, what ledger {ledger!r} knows of it: "
            f"{named}{more}; name these files under core as they were, or say "
            "--replace-core if they were changed on purpose"
        )
    return summary
