"""Sidecars: the facts of a block, kept from build to build beside no text.

Signatures and n-grams have sidecars of their own: not every build needs them, and they
say the same whatever detector scored the block.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from synthfilter.core import schema, storage
from synthfilter.core.batches import concat_batches
from synthfilter.core.ngrams import NAMES, NgramRows, sampling_bounds
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import UNREADABLE

# Changes whenever the same document would get other facts than before.
ANNOTATION_VERSION = 6
SIGNATURE_VERSION = 1
NGRAM_VERSION = 1
# A mark on signatures and n-grams of a block that could not be read whole.
_NOT_READABLE = b"unreadable"
_BELOW = b"below"
_TOKENS = "tokens"


def facts_path(block: Block, folder: str, scores_key: str, max_bytes: int) -> str:
    """Returns where the facts of a block are kept from build to build."""
    return _path(block, folder, (ANNOTATION_VERSION, scores_key, max_bytes))


def signatures_path(
    block: Block, folder: str, shingle_words: int, max_bytes: int
) -> str:
    """Returns where the signatures of a block are kept from build to build."""
    about = ("signatures", SIGNATURE_VERSION, shingle_words, max_bytes)
    return _path(block, folder, about)


def ngrams_path(block: Block, folder: str, max_bytes: int) -> str:
    """Returns where the n-grams of a block are kept from build to build."""
    about = ("ngrams", NGRAM_VERSION, sampling_bounds(block.bytes), max_bytes)
    return _path(block, folder, about)


def _path(block: Block, folder: str, about: tuple) -> str:
    said = repr(
        (
            *about,
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
    return facts if facts.num_rows == rows and was_readable(facts) else None


def was_readable(facts: pa.RecordBatch) -> bool:
    """Returns whether all of the block could be read when its facts were made."""
    failed = pc.starts_with(facts.column(schema.ERROR), UNREADABLE)
    return not pc.any(failed).as_py()


def save_facts(facts: pa.RecordBatch, path: str) -> None:
    """Writes a sidecar, whole or not at all."""
    _save(facts, path)


def find_signatures(path: str, rows: int) -> np.ndarray | None:
    """Returns the signatures of a sidecar if it is there, whole, of readable input."""
    if not storage.exists(path):
        return None
    try:
        found, readable = _read_signatures(path)
    except (OSError, LookupError, pa.ArrowException):
        return None
    return found if len(found) == rows and readable else None


def load_signatures(path: str) -> np.ndarray:
    """Returns the signatures of a sidecar, uint16 [rows, permutations]."""
    return _read_signatures(path)[0]


def _read_signatures(path: str) -> tuple[np.ndarray, bool]:
    """Returns what `save_signatures` was given."""
    with storage.open_parquet(path) as file:
        table = file.read(use_threads=False)
    held = pa.concat_arrays(table.column(schema.SIGNATURE).chunks)
    width = held.type.byte_width
    raw = np.frombuffer(held.buffers()[1], np.uint8)
    raw = raw[held.offset * width : (held.offset + len(held)) * width]
    readable = _NOT_READABLE not in (table.schema.metadata or {})
    return raw.view("<u2").reshape(len(held), width // 2), readable


def save_signatures(signatures: np.ndarray, path: str, readable: bool) -> None:
    """Writes the signatures of a block's rows.

    Args:
      signatures: uint16 [rows, permutations].
      path: Where to.
      readable: Whether all of the block could be read; if not, they are for this
        build alone.
    """
    rows, permutations = signatures.shape
    data = pa.py_buffer(np.ascontiguousarray(signatures, "<u2"))
    kind = pa.binary(2 * permutations)
    held = pa.FixedSizeBinaryArray.from_buffers(kind, rows, [None, data])
    batch = pa.RecordBatch.from_arrays([held], [schema.SIGNATURE])
    marks = None if readable else {_NOT_READABLE: b""}
    _save(batch.replace_schema_metadata(marks), path)


def find_ngrams(path: str, rows: int) -> NgramRows | None:
    """Returns the n-grams of a sidecar if it is there, whole, of readable input."""
    if not storage.exists(path):
        return None
    try:
        found, readable = _read_ngrams(path)
    except (OSError, LookupError, ValueError, pa.ArrowException):
        return None
    return found if len(found.tokens) == rows and readable else None


def load_ngrams(path: str) -> NgramRows:
    """Returns the n-grams of a sidecar."""
    return _read_ngrams(path)[0]


def _read_ngrams(path: str) -> tuple[NgramRows, bool]:
    """Returns what `save_ngrams` was given."""
    with storage.open_parquet(path) as file:
        table = file.read(use_threads=False)
    marks = table.schema.metadata or {}
    below = tuple(int(bound) for bound in marks[_BELOW].split())
    if any(bound.bit_count() != 1 for bound in below):
        raise ValueError(f"{path}: expected bounds that are powers of two, got {below}")
    lists = [pa.concat_arrays(table.column(name).chunks) for name in NAMES]
    found = NgramRows(
        pa.concat_arrays(table.column(_TOKENS).chunks).to_numpy(),
        tuple(held.flatten().to_numpy() for held in lists),
        tuple(pc.list_value_length(held).to_numpy() for held in lists),
        below,
    )
    return found, _NOT_READABLE not in marks


def save_ngrams(ngrams: NgramRows, path: str, readable: bool) -> None:
    """Writes the n-grams of a block's rows.

    Args:
      ngrams: What to write.
      path: Where to.
      readable: As for `save_signatures`.
    """
    lists = [
        pa.ListArray.from_arrays(_offsets(sizes), pa.array(hashes))
        for sizes, hashes in zip(ngrams.sizes, ngrams.hashes, strict=True)
    ]
    columns = [pa.array(ngrams.tokens), *lists]
    marks = {_BELOW: " ".join(map(str, ngrams.below)).encode()}
    if not readable:
        marks[_NOT_READABLE] = b""
    batch = pa.RecordBatch.from_arrays(columns, [_TOKENS, *NAMES])
    _save(batch.replace_schema_metadata(marks), path)


def _offsets(sizes: np.ndarray) -> pa.Array:
    """Returns where each of some lists begins, and the last ends."""
    return pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32))


def _save(batch: pa.RecordBatch, path: str) -> None:
    sink = pa.BufferOutputStream()
    # Signatures do not compress; without checksums a flipped bit would pass in them.
    pq.write_table(
        pa.Table.from_batches([batch]),
        sink,
        compression="zstd",
        write_page_checksum=True,
    )
    storage.write_bytes(path, sink.getvalue())


def no_facts() -> pa.RecordBatch:
    """Returns the facts of no documents."""
    return pa.RecordBatch.from_pylist([], schema=schema.FACTS)
