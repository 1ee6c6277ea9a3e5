"""A use: a document in a build, as a ledger keeps it. Its columns and its hash."""

import binascii

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema

SIGNATURE = "signature"
GENERATION = "generation"
TIME = "time"

# 112 minima of 16 bits each.
SIGNATURE_BYTES = 224

# The rows of a ledger. Only types that every engine has: Delta knows no unsigned
# integers and no binary of a fixed size.
USE = pa.schema(
    [
        pa.field(schema.CONTENT_HASH, pa.string(), nullable=False),
        pa.field(schema.ID, pa.string()),
        pa.field(schema.ORIGIN, pa.string(), nullable=False),
        pa.field(GENERATION, pa.int32()),
        pa.field(schema.GENERATOR, pa.string()),
        pa.field(schema.SOURCE, pa.string()),
        pa.field(SIGNATURE, pa.binary()),
        pa.field(schema.BUILD_ID, pa.string(), nullable=False),
        pa.field(TIME, pa.timestamp("us", "UTC"), nullable=False),
        pa.field(schema.ORIGIN_EVIDENCE, pa.string()),
    ]
)
# What ledgers of earlier versions lack.
ADDED = (schema.ORIGIN_EVIDENCE,)

# What of it tells how often a text was used, when and how deep, and who wrote it.
FACTS_OF_USE = (
    schema.CONTENT_HASH,
    GENERATION,
    schema.BUILD_ID,
    TIME,
    schema.ORIGIN,
    schema.ORIGIN_EVIDENCE,
)

# How the build ids of registrations start: of text that a generator made, no use of it.
REGISTERED = "generated-"

_SYNTHETIC = schema.ORIGIN_NAMES[schema.Origin.SYNTHETIC]
# What decided for one build alone: the next one finds it out anew.
_PASSING = "|".join(
    schema.EVIDENCE_NAMES[each]
    for each in (schema.Evidence.DETECTOR, schema.Evidence.NEAR_LEDGER)
)

HASH_DIGITS = 32
_SPACE_BITS = 32


def is_registration(build_id: str) -> bool:
    """Returns whether rows of a build are what a generator made, and no uses."""
    return build_id.startswith(REGISTERED)


def are_synthetic(rows: pa.RecordBatch) -> np.ndarray:
    """Returns which rows of a ledger say that the text is synthetic.

    Those that a detector decided do not: as in files, its guess is no declaration, and
    what it says of the text now counts. Nor do those that a near copy decided, which is
    in the ledger itself: else a near copy of a near copy would be one, and so on. Nor
    does any say that a text is human, which may have been the detector's silence.

    Args:
      rows: Have origin and origin_evidence.
    """
    synthetic = pc.equal(rows.column(schema.ORIGIN), _SYNTHETIC)
    told = rows.column(schema.ORIGIN_EVIDENCE)
    passing = pc.match_substring_regex(told, f"^({_PASSING})=").fill_null(False)
    return pc.and_not(synthetic, passing).to_numpy(zero_copy_only=False)


def hash_halves(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns content hashes of 32 hexadecimal digits as two uint64 arrays (hi, lo).

    Raises:
      ValueError: one is null or something else.
    """
    column = column.cast(pa.string())
    _, offset_buffer, data = column.buffers()
    if not len(column):
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    offsets = np.frombuffer(offset_buffer, np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    if column.null_count or (np.diff(offsets) != HASH_DIGITS).any():
        raise ValueError(f"content hashes must be strings of {HASH_DIGITS} hex digits")
    digits = memoryview(data)[int(offsets[0]) : int(offsets[-1])]
    pairs = np.frombuffer(binascii.unhexlify(digits), ">u8").reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)


def partition_of_hash(content_hi: np.ndarray, partitions: int) -> np.ndarray:
    """Returns the partition of each content hash: equal ranges of the hash, ascending.

    Args:
      content_hi: Upper halves of the hashes, uint64.
      partitions: Their number, below 2^32.
    """
    top = content_hi >> np.uint64(_SPACE_BITS)
    part = (top * np.uint64(partitions)) >> np.uint64(_SPACE_BITS)
    return part.astype(np.int64)


def hashes_of_partition(partition: int, partitions: int) -> tuple[str, str]:
    """Returns the first and the last content hash of a partition, as 32 digits each."""
    first, following = (
        -(-(number << _SPACE_BITS) // partitions) << (128 - _SPACE_BITS)
        for number in (partition, partition + 1)
    )
    return f"{first:032x}", f"{following - 1:032x}"


def stored_signatures(column: pa.Array) -> np.ndarray:
    """Returns signatures of `core.uses.SIGNATURE_BYTES` each as uint16 [rows, minima].

    Raises:
      ValueError: one is null or of another length.
    """
    column = column.cast(pa.large_binary())
    _, offset_buffer, data = column.buffers()
    if not len(column):
        return np.zeros((0, SIGNATURE_BYTES // 2), np.uint16)
    offsets = np.frombuffer(offset_buffer, np.int64)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    if column.null_count or (np.diff(offsets) != SIGNATURE_BYTES).any():
        raise ValueError(f"signatures must have {SIGNATURE_BYTES} bytes each")
    stored = np.frombuffer(data, np.uint8)[int(offsets[0]) : int(offsets[-1])]
    return stored.view("<u2").reshape(len(column), -1)


def store_signatures(signatures: np.ndarray) -> pa.Array:
    """Returns uint16 signatures [rows, minima] as a ledger keeps them.

    A row of zeros is of a document without words, which no other is like: null.
    """
    empty = ~signatures.any(axis=1)
    size = signatures.shape[1] * 2
    data = pa.py_buffer(np.ascontiguousarray(signatures, "<u2"))
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), len(signatures), [None, data]
    )
    return pc.if_else(pa.array(empty), pa.scalar(None, pa.binary()), fixed)
