"""WriteShards: documents of any pipeline to Parquet shards, with books and manifest."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import xxhash
from apache_beam.pvalue import AsIter, AsSingleton

from synthfilter.annotate import annotate
from synthfilter.core import books, hashing, schema
from synthfilter.core.batches import (
    Keyed,
    column,
    concat_batches,
    set_column,
    split_by_key,
)
from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason
from synthfilter.elements import (
    TEXT_LIMIT,
    Packing,
    as_batches,
    carry,
    hash_rows,
    packing_of,
    split_carried,
)
from synthfilter.inputs.fields import parse_fields
from synthfilter.options import check_types
from synthfilter.outputs import manifest
from synthfilter.outputs.commit import commit, find_target, release
from synthfilter.outputs.manifest import ShardRecord, claim_output
from synthfilter.outputs.parquet import write_parquet
from synthfilter.outputs.shard_plan import count_shards
from synthfilter.version import __version__


@dataclasses.dataclass
class WriteShards(beam.PTransform):
    """Writes documents as Parquet shards with a manifest, and returns the manifest.

    The shards' bytes depend on the documents alone, not on the runner. Fields without
    a column of their own go to `metadata` as JSON.

    Args:
      output: Folder to write to; new or empty.
      max_shard_bytes: Bytes of text in one shard.
      seed: Of the random order of the documents.
      fields: Fields of the documents, as NAME=FIELD, such as text=body.
    """

    output: str
    _: dataclasses.KW_ONLY
    max_shard_bytes: int = 100_000_000
    seed: int = 0
    fields: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        """Checks the options."""
        check_types(self)
        if self.max_shard_bytes < 1:
            raise UserError(
                f"max_shard_bytes must be at least 1, got {self.max_shard_bytes}"
            )
        parse_fields(self.fields)

    def expand(self, documents: beam.PCollection) -> beam.PCollection:
        """Returns a collection with one element, the manifest."""
        claim_output(self.output)
        packing = packing_of(documents.element_type, parse_fields(self.fields))
        rows = as_batches(documents, packing) | "ShardRows" >> beam.Map(
            shard_rows, packing, self.seed
        ).with_output_types(pa.RecordBatch)
        totals = (
            rows
            | "Measure" >> beam.Map(measure_rows)
            | "AddUp" >> beam.CombineGlobally(add_totals)
        )
        written = (
            rows
            | "ByShard"
            >> beam.FlatMap(
                split_by_shard, AsSingleton(totals), self.max_shard_bytes
            ).with_output_types(Keyed)
            | "SameShard" >> beam.GroupByKey()
            | "WriteFiles"
            >> beam.Map(
                write_rows, AsSingleton(totals), self.output, self.max_shard_bytes
            )
        )
        return (
            documents.pipeline
            | "Manifest" >> beam.Create([None])
            | "Commit"
            >> beam.Map(commit_rows, AsIter(written), AsSingleton(totals), self.output)
        )


@dataclasses.dataclass(frozen=True)
class Totals:
    """What must be known of all documents before the first is written."""

    documents: int = 0
    text_bytes: int = 0
    digest: str = ""

    def build_id(self) -> str:
        """Returns the id of the build: it depends on the documents alone."""
        said = f"{__version__} {self.digest}"
        return xxhash.xxh3_64_hexdigest(said.encode())


def shard_rows(elements: Any, packing: Packing, seed: int) -> pa.RecordBatch:
    """Returns rows of `schema.SHARD` with facts for their order beside them."""
    documents = packing.documents(elements, schema.DOCUMENT.names)
    facts = annotate(documents, None, TEXT_LIMIT)
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    origin = packing.origins(elements)
    known = {name: documents.column(name) for name in schema.DOCUMENT.names}
    known[schema.ID] = hashing.document_ids(
        known[schema.ID], known[schema.SOURCE], hi, lo
    )
    for name in (schema.ORIGIN, schema.ORIGIN_EVIDENCE, schema.AI_SCORE):
        kind = schema.SHARD.field(name).type
        known[name] = pa.array(packing.values(elements, name), kind)
    known[schema.CONTENT_HASH] = hashing.hex_hashes(hi, lo)
    known[schema.BUILD_ID] = pa.nulls(len(origin), pa.string())
    rows = pa.RecordBatch.from_arrays(
        [known[name] for name in schema.SHARD.names], schema=schema.SHARD
    )
    # An empty text is written if that is what came; no text at all is a dead letter.
    dead = documents.column(schema.ERROR).is_valid().to_numpy(False)
    beside = {
        schema.ORDER: hashing.order_hash(hi, lo, seed),
        schema.IDENTITY: hashing.mix(column(facts, schema.IDENTITY) ^ hash_rows(rows)),
        schema.CONTENT_HI: hi,
        schema.CONTENT_LO: lo,
        schema.DECLARED: origin,
        schema.REASON: np.where(dead, Reason.DEAD_LETTER, Reason.KEPT).astype(np.uint8),
        schema.BYTES: facts.column(schema.BYTES),
        schema.WORDS: facts.column(schema.WORDS),
        schema.ERROR: documents.column(schema.ERROR),
    }
    return carry(rows, beside)


def measure_rows(carried: pa.RecordBatch) -> Totals:
    """Returns the totals of one batch."""
    _, facts = split_carried(carried)
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    digest = hashing.content_digest(hi, lo, column(facts, schema.DECLARED))
    return Totals(len(hi), int(column(facts, schema.BYTES).sum(dtype=np.int64)), digest)


def add_totals(parts: Iterable[Totals]) -> Totals:
    """Returns the totals of all parts together."""
    parts = list(parts)
    return Totals(
        sum(part.documents for part in parts),
        sum(part.text_bytes for part in parts),
        hashing.add_digests(part.digest or "0" for part in parts),
    )


def split_by_shard(
    carried: pa.RecordBatch, totals: Totals, max_shard_bytes: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(shard, rows)`; a document's place in the order says which."""
    _, facts = split_carried(carried)
    shards = count_shards(totals.text_bytes, max_shard_bytes)
    high = column(facts, schema.ORDER) >> np.uint64(32)
    shard = (high * np.uint64(shards)) >> np.uint64(32)
    return split_by_key(carried, shard.astype(np.int64))


def write_rows(
    element: tuple[int, Iterable[pa.RecordBatch]],
    totals: Totals,
    output: str,
    max_shard_bytes: int,
) -> ShardRecord:
    """Writes one shard and returns what became of its documents."""
    shard, batches = element
    rows, facts = split_carried(concat_batches(batches))
    number = f"{shard:05d}-of-{count_shards(totals.text_bytes, max_shard_bytes):05d}"
    order = [column(facts, name) for name in (schema.ORDER, schema.IDENTITY)]
    reason = column(facts, schema.REASON)
    rows = set_column(
        rows,
        schema.BUILD_ID,
        pa.repeat(pa.scalar(totals.build_id()), rows.num_rows),
    )
    kept, dead = np.flatnonzero(reason == Reason.KEPT), reason == Reason.DEAD_LETTER
    files = []
    if len(kept):
        name = f"data/train-{number}.parquet"
        files.append(write_parquet(output, name, [rows], order, kept))
    if dead.any():
        name = f"dead_letter/part-{number}.parquet"
        letters = _dead_letters(rows, facts)
        files.append(
            write_parquet(output, name, [letters], order, np.flatnonzero(dead))
        )
    origin, size, words = (
        column(facts, n) for n in (schema.DECLARED, schema.BYTES, schema.WORDS)
    )
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    weights = (np.ones(len(kept)), size[kept], words[kept])
    written = [np.bincount(origin[kept], weight, len(Origin)) for weight in weights]
    return ShardRecord(
        tuple(files),
        books.count(origin, origin, reason, size, words),
        np.stack(written, axis=1)[:2].astype(np.int64),
        hashing.content_digest(hi[kept], lo[kept], origin[kept]),
    )


def _dead_letters(rows: pa.RecordBatch, facts: pa.RecordBatch) -> pa.RecordBatch:
    """Returns `schema.DEAD_LETTER` rows; without a file, the id is the place."""
    return pa.RecordBatch.from_arrays(
        [
            pa.nulls(rows.num_rows, pa.string()),
            rows.column(schema.ID),
            pa.repeat(pa.scalar("read"), rows.num_rows),
            facts.column(schema.ERROR),
        ],
        schema=schema.DEAD_LETTER,
    )


def commit_rows(
    _: None, written: Iterable[ShardRecord], totals: Totals, output: str
) -> dict[str, Any]:
    """Checks the books, publishes the manifest and returns it."""
    made = manifest.make_manifest(
        build_id=totals.build_id(),
        version=__version__,
        options={"unit": "words"},
        detector={},
        inputs=[],
        total=manifest.add_records(written),
        rows_read=totals.documents,
        limited_by=None,
    )
    target = find_target(output)
    with manifest.writing(output):
        commit(target, made)
        release(target)
    return made
