"""What a ledger is to be told of each shard, kept beside it until the ledger has it."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core import schema, storage
from synthfilter.core.uses import GENERATION, SIGNATURE, USE, store_signatures
from synthfilter.outputs.manifest import USES_FOLDER

_TOLD = (
    schema.CONTENT_HASH,
    schema.ID,
    schema.ORIGIN,
    schema.ORIGIN_EVIDENCE,
    schema.SYNTH_GENERATION,
    schema.GENERATOR,
    schema.SOURCE,
)


def write_uses(
    kept: Sequence[pa.RecordBatch],
    signatures: Sequence[np.ndarray],
    folder: str,
    shard: int,
) -> str | None:
    """Writes a row for each kept document and returns the file's name below the folder.

    Args:
      kept: Batches of `schema.SHARD`.
      signatures: Of their documents, batch by batch.
      folder: The output folder.
      shard: Its number.
    """
    if not kept:
        return None
    batches = []
    for batch, signed in zip(kept, signatures, strict=True):
        columns = [batch.column(name) for name in _TOLD]
        names = [GENERATION if n == schema.SYNTH_GENERATION else n for n in _TOLD]
        columns.append(store_signatures(signed))
        batches.append(pa.RecordBatch.from_arrays(columns, [*names, SIGNATURE]))
    sink = pa.BufferOutputStream()
    table = pa.Table.from_batches(batches)
    table = table.cast(pa.schema([USE.field(name) for name in table.schema.names]))
    pq.write_table(table, sink, compression="zstd")
    name = f"{USES_FOLDER}/part-{shard:05d}.parquet"
    storage.write_bytes(storage.join(folder, name), sink.getvalue())
    return name


def read_written(folder: str, names: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Yields the rows that `write_uses` wrote."""
    for name in names:
        with storage.open_parquet(storage.join(folder, name)) as file:
            yield from file.iter_batches(use_threads=False)
