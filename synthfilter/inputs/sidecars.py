"""Sidecars: the facts of a block, kept from build to build beside no text."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from synthfilter.core import schema, storage
from synthfilter.core.batches import concat_batches
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import UNREADABLE

# Changes whenever the same document would get other facts than before.
ANNOTATION_VERSION = 1


def facts_path(block: Block, folder: str, scores_key: str, max_bytes: int) -> str:
    """Returns where the facts of a block are kept from build to build."""
    said = repr(
        (
            ANNOTATION_VERSION,
            scores_key,
            max_bytes,
            sorted(block.mapping.items()),
            # A spool's name tells which fields it was made with.
            block.path.rsplit("/", 1)[-1],
            block.first_group,
            block.stop_group,
        )
    )
    key = xxhash.xxh3_128_hexdigest(said.encode())
    return storage.join(folder, block.fingerprint, f"{key}.parquet")


def load_facts(path: str) -> pa.RecordBatch:
    """Returns the facts of a sidecar as one batch."""
    with storage.open_parquet(path) as file:
        table = file.read(use_threads=False)
    return concat_batches(table.to_batches() or [no_facts()])


def find_facts(path: str, rows: int) -> pa.RecordBatch | None:
    """Returns the facts of a sidecar if it is there, whole, and of readable input."""
    if not storage.exists(path):
        return None
    try:
        facts = load_facts(path)
    except (OSError, pa.ArrowException):
        return None
    failed = pc.any(pc.starts_with(facts.column(schema.ERROR), UNREADABLE)).as_py()
    return facts if facts.num_rows == rows and not failed else None


def save_facts(facts: pa.RecordBatch, path: str) -> None:
    """Writes a sidecar, whole or not at all."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([facts]), sink, compression="zstd")
    storage.write_bytes(path, sink.getvalue())


def no_facts() -> pa.RecordBatch:
    """Returns the facts of no documents."""
    return pa.RecordBatch.from_pylist([], schema=schema.FACTS)
