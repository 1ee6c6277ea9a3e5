"""What a generator made, registered in a ledger: it is known when it comes back."""

import dataclasses
import datetime
import tempfile
from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.annotate import COLUMNS, annotate_all
from synthfilter.console import Reporter, count
from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import (
    add_digests,
    content_digest,
    document_ids,
    hex_hashes,
)
from synthfilter.core.schema import EVIDENCE_NAMES, Evidence, Origin, Reason
from synthfilter.core.uses import GENERATION, REGISTERED, SIGNATURE, store_signatures
from synthfilter.decisions.minhash import SHINGLE_WORDS
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.fields import parse_fields
from synthfilter.ledger.commit import commit_use
from synthfilter.ledger.table import open_ledger

_SYNTHETIC = schema.ORIGIN_NAMES[Origin.SYNTHETIC]
_EVIDENCE = f"{EVIDENCE_NAMES[Evidence.DECLARED]}={_SYNTHETIC}"
_DIGITS = 16


@dataclasses.dataclass(kw_only=True)
class AddToLedger:
    """Registers text that a generator made, so that it is known when it comes back.

    Builds with the ledger count it as synthetic wherever they meet it, and those with
    near_duplicates its near copies, too: signatures are kept of all. It is no use:
    max_uses does not count it. The same text again adds nothing.

    Args:
      ledger: Folder of the ledger; it is made if there is none.
      synthetic: Paths or globs of the text, in any format that a build reads.
      generator: What made it, where a document does not say.
      generation: How many rounds it is from human text, where a document does not say.
      fields: Columns that hold a field, as NAME=COLUMN, such as text=body.
      max_document_bytes: Longer documents are passed over, as a build leaves them out.
      shingle_words: Words in a shingle of near copies, as in the builds.
    """

    ledger: str
    synthetic: list[str]
    generator: Optional[str] = None
    generation: Optional[int] = None
    fields: list[str] = dataclasses.field(default_factory=list)
    max_document_bytes: int = 10_000_000
    shingle_words: int = SHINGLE_WORDS

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        parse_fields(self.fields)
        if not self.synthetic:
            raise UserError("name the text to register with --synthetic")
        if self.generation is not None and self.generation < 0:
            raise UserError(f"generation must be at least 0, got {self.generation}")
        if not 1 <= self.shingle_words <= 100:
            raise UserError(
                f"shingle_words must be from 1 to 100, got {self.shingle_words}"
            )

    def run(self, reporter: Reporter) -> None:
        """Registers the text and prints how many documents there are.

        Raises:
          UserError: there is no such file, none of its text can be read, or the
            ledger cannot be written.
        """
        files = list_inputs({Origin.SYNTHETIC: self.synthetic})
        open_ledger(self.ledger)
        fields, most = parse_fields(self.fields), 2 * self.max_document_bytes
        with tempfile.TemporaryDirectory(prefix="synthfilter-") as spool:
            blocks = [
                block
                for file in reporter.track(files, len(files), "opening")
                for block in open_file(file, fields, spool, most)
            ]
            name, documents, read = self._identify(blocks, reporter)
            if not documents:
                raise UserError(
                    f"none of {count(read, 'record')} in {', '.join(self.synthetic)} "
                    "can be read as text; see --fields"
                )
            now = datetime.datetime.now(datetime.timezone.utc)
            added = commit_use(self.ledger, name, self._rows(blocks, reporter), now)
        said = f"{count(documents, 'document')} of {name}"
        reporter.say(
            f"{self.ledger}: {said} registered as synthetic"
            if added
            else f"{self.ledger}: {said} are registered already; nothing was added"
        )
        if documents < read:
            reporter.say(f"{count(read - documents, 'record')} had no usable text")

    def _identify(
        self, blocks: Sequence[Block], reporter: Reporter
    ) -> tuple[str, int, int]:
        """Returns the id by which the text is registered, its documents, all records.

        By its content alone: read once more to be written, it is not held in memory.
        """
        digests, documents, read = list[str](), 0, 0
        for block in reporter.track(blocks, len(blocks), "identifying"):
            read += block.rows
            for batch in read_documents(block, COLUMNS):
                facts = annotate_all(batch, None, self.max_document_bytes).facts
                usable = column(facts, schema.REASON) == Reason.KEPT
                hi, lo = (
                    column(facts, name)[usable]
                    for name in (schema.CONTENT_HI, schema.CONTENT_LO)
                )
                who = np.full(len(hi), Origin.SYNTHETIC, np.uint8)
                digests.append(content_digest(hi, lo, who))
                documents += len(hi)
        return f"{REGISTERED}{add_digests(digests)[:_DIGITS]}", documents, read

    def _rows(
        self, blocks: Sequence[Block], reporter: Reporter
    ) -> Iterator[pa.RecordBatch]:
        """Yields rows of `ledger.commit.GIVEN` for all documents."""
        for block in reporter.track(blocks, len(blocks), "registering"):
            for batch in read_documents(block, (*COLUMNS, schema.GENERATOR)):
                yield self._rows_of(batch)

    def _rows_of(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        found = annotate_all(
            documents, None, self.max_document_bytes, self.shingle_words
        )
        facts = found.facts
        hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
        source = documents.column(schema.SOURCE)
        generator = documents.column(schema.GENERATOR)
        generation = documents.column(schema.SYNTH_GENERATION)
        if self.generator is not None:
            generator = pc.fill_null(generator, self.generator)
        if self.generation is not None:
            generation = pc.fill_null(generation, self.generation)
        rows = pa.RecordBatch.from_pydict(
            {
                schema.CONTENT_HASH: hex_hashes(hi, lo),
                schema.ID: document_ids(documents.column(schema.ID), source, hi, lo),
                schema.ORIGIN: pa.repeat(_SYNTHETIC, len(hi)),
                schema.ORIGIN_EVIDENCE: pa.repeat(_EVIDENCE, len(hi)),
                GENERATION: generation,
                schema.GENERATOR: generator,
                schema.SOURCE: source,
                SIGNATURE: store_signatures(found.signatures),
            }
        )
        return rows.filter(pa.array(column(facts, schema.REASON) == Reason.KEPT))
