"""Content hashes, identities, the seeded order and the order-free digest."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from synthfilter.core.text import text_buffers


def hash_texts(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the xxh3_128 of each text's UTF-8 bytes as two uint64 arrays (hi, lo)."""
    data, offsets = text_buffers(column)
    view, digest = data.data, xxhash.xxh3_128_digest
    bounds = offsets.tolist()
    joined = b"".join([digest(view[start:stop]) for start, stop in pairwise(bounds)])
    pairs = np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def hash_names(names: pa.Array) -> np.ndarray:
    """Returns a uint64 for each name, 0 for null."""
    coded = names.dictionary_encode()
    hashed = np.append(hash_texts(coded.dictionary)[0], np.uint64(0))
    return hashed[coded.indices.fill_null(len(coded.dictionary)).to_numpy()]


def hex_hashes(hi: np.ndarray, lo: np.ndarray) -> pa.Array:
    """Returns the 128-bit hashes as strings of 32 hexadecimal digits."""
    digits = np.stack([hi, lo], axis=1).astype(">u8").tobytes().hex()
    offsets = np.arange(len(hi) + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(
        len(hi), pa.py_buffer(offsets), pa.py_buffer(digits.encode())
    )


def document_ids(
    ids: pa.Array, sources: pa.Array, hi: np.ndarray, lo: np.ndarray
) -> pa.Array:
    """Returns each document's id; without one, a hash of its source and content."""
    if not ids.null_count:
        return ids
    missing = ids.is_null()
    where = missing.to_numpy(False)
    hashed = hash_texts(
        pc.binary_join_element_wise(
            pc.fill_null(sources.filter(missing), ""),
            hex_hashes(hi[where], lo[where]),
            "\n",
        )
    )
    return pc.replace_with_mask(ids, missing, hex_hashes(*hashed))


def mix(values: np.ndarray) -> np.ndarray:
    """Scrambles uint64 values, one to one (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def distinct(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the distinct values of all parts of one type, sorted; uint64 of none.

    On millions of numbers np.unique of numpy 2.3 and 2.4 takes fifty times as long.
    """
    parts = list(parts)
    values = np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
    return values[np.append(True, values[1:] != values[:-1])[: len(values)]]


def find_sorted(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Returns where each wanted value is among sorted ones, -1 where it is not."""
    if not len(values):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[at] == wanted, at, -1)


def order_hash(hi: np.ndarray, lo: np.ndarray, seed: int) -> np.ndarray:
    """Returns the random order of documents: a uint64 from seed and content alone."""
    salt = mix(
        np.array([seed & (2**64 - 1)], np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    )
    return mix(mix(hi ^ salt) + lo)


def content_digest(hi: np.ndarray, lo: np.ndarray, tag: np.ndarray) -> str:
    """Returns a digest (32 hex digits) of documents that ignores their order.

    The sum modulo 2^128 of each document's scrambled hash, so digests of parts add up
    to the digest of the whole, and a document that comes twice counts twice.

    Args:
      hi: Upper halves of the content hashes.
      lo: Lower halves.
      tag: A small integer each (its origin), so that the same text under another
        origin is another document.
    """
    tag = mix(tag.astype(np.uint64) + np.uint64(1))
    high, low = mix(mix(hi ^ tag) + lo), mix(mix(lo ^ tag) + hi)
    return _as_digest((_wide_sum(high) << 64) + _wide_sum(low))


def add_digests(digests: Iterable[str]) -> str:
    """Returns the digest of all parts together."""
    return _as_digest(sum(int(digest, 16) for digest in digests))


def _as_digest(total: int) -> str:
    return f"{total & (1 << 128) - 1:032x}"


def _wide_sum(values: np.ndarray) -> int:
    """Sums uint64 values without wrapping."""
    low = int((values & np.uint64(0xFFFFFFFF)).sum(dtype=np.uint64))
    return (int((values >> np.uint64(32)).sum(dtype=np.uint64)) << 32) + low
