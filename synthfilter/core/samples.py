"""Samples of keys by their hashes, with exact counts, that merge in any order.

Of all keys, such as the n-grams of a set, the ones with the smallest hashes are kept,
and of those every occurrence is counted. How many keys there are follows from how
small the hashes are (bottom-k, a theta sketch: Bar-Yossef et al. 2002), and what share
of them is rare from the counts, which a sketch of hashes alone cannot tell. A key that
is among the smallest of the whole is among the smallest of every part that has it, so
counts stay exact and the order of merging changes nothing.
"""

import base64
import dataclasses
import math
import struct
from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import zstandard

from synthfilter.core.hashing import hash_names

ALL = 1 << 64
# Upper end, keys, columns.
_HEAD = struct.Struct("<9sII")
_MOST_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True)
class Sample:
    """Keys that were kept, and what was counted of each.

    Attributes:
      hashes: uint64, ascending, every one below `below`; no key twice.
      counts: int64 [keys, columns].
      below: Every key whose hash is below this is here; `ALL` if none was left out.
    """

    hashes: np.ndarray
    counts: np.ndarray
    below: int = ALL

    @property
    def share(self) -> float:
        """Which share of all keys is here, as a probability."""
        return self.below / ALL


def make_sample(
    hashes: np.ndarray, counts: np.ndarray, most: int, below: int = ALL
) -> Sample:
    """Returns the sample of some keys.

    Args:
      hashes: uint64 hash of each key; uniform (`core.hashing.mix`); keys may repeat.
      counts: int64 [keys, columns], added up for a key that repeats.
      most: How many keys to keep.
      below: Keys whose hash is not below this were left out before.
    """
    if below < ALL:
        mine = hashes < np.uint64(below)
        hashes, counts = hashes[mine], counts[mine]
    order = np.argsort(hashes, kind="stable")
    hashes, counts = hashes[order], counts[order]
    first = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))[: len(hashes)]
    if len(first) > most:
        below = int(hashes[first[most]])
        counts = counts[: first[most]]
        first = first[:most]
    totals = np.add.reduceat(counts, first) if len(first) else counts[:0]
    return Sample(hashes[first], totals, below)


def merge_samples(parts: Iterable[Sample], most: int) -> Sample:
    """Returns the sample of all keys of all parts; at least one part.

    Args:
      parts: Samples with the same columns.
      most: How many keys to keep.
    """
    parts = list(parts)
    return make_sample(
        np.concatenate([part.hashes for part in parts]),
        np.concatenate([part.counts for part in parts]),
        most,
        min(part.below for part in parts),
    )


def estimate_keys(sample: Sample, normal: float = 1.645) -> tuple[float, float, float]:
    """Returns how many keys there are: the estimate, and the ends of its interval.

    Unbiased; the relative standard error is about 1 / sqrt(keys kept).

    Args:
      sample: Of the keys.
      normal: Standard errors from the estimate to each end; 1.645 is for 90%.
    """
    kept, share = len(sample.hashes), sample.share
    found = kept / share
    error = math.sqrt(kept * (1 - share)) / share
    return found, max(found - normal * error, float(kept)), found + normal * error


def share_unseen(sample: Sample, seen: Sample) -> float | None:
    """Returns which share of the keys of a sample another set does not have.

    Judged by the keys that both would have kept; None where the sample has none.
    """
    below = min(sample.below, seen.below)
    mine = sample.hashes
    if below < ALL:
        mine = mine[: np.searchsorted(mine, np.uint64(below))]
    if not len(mine):
        return None
    return 1 - float(np.isin(mine, seen.hashes).mean())


def to_text(sample: Sample) -> str:
    """Returns a sample as ASCII text, about six bytes a key and more for its counts."""
    columns = sample.counts.shape[1]
    head = _HEAD.pack(sample.below.to_bytes(9, "little"), len(sample.hashes), columns)
    steps = np.diff(sample.hashes, prepend=np.uint64(0)).astype("<u8")
    body = head + steps.tobytes() + sample.counts.astype("<i8").tobytes()
    return base64.b64encode(zstandard.ZstdCompressor(level=9).compress(body)).decode()


def from_text(text: str) -> Sample:
    """Returns the sample that `to_text` was given.

    Raises:
      ValueError: the text is not from there.
    """
    try:
        body = zstandard.ZstdDecompressor().decompress(
            base64.b64decode(text, validate=True), max_output_size=_MOST_BYTES
        )
        below, keys, columns = _HEAD.unpack_from(body)
        steps = np.frombuffer(body, "<u8", keys, _HEAD.size)
        counts = np.frombuffer(body, "<i8", keys * columns, _HEAD.size + steps.nbytes)
    except (ValueError, struct.error, zstandard.ZstdError) as error:
        raise ValueError(f"expected a sample of hashes, got {error}") from error
    return Sample(
        np.cumsum(steps, dtype=np.uint64),
        counts.astype(np.int64).reshape(keys, columns),
        int.from_bytes(below, "little"),
    )


@dataclasses.dataclass(frozen=True)
class Tally:
    """What was counted of each name, such as a language; of very many, of a sample.

    Attributes:
      sample: Of the names, by `core.hashing.hash_names`.
      names: Of each hash in the sample; what has no name has the hash 0 and None.
    """

    sample: Sample
    names: Mapping[int, str | None]


def make_tally(names: pa.Array, counts: np.ndarray, most: int) -> Tally:
    """Returns what was counted of each name.

    Args:
      names: Strings; they may repeat.
      counts: int64 [names, columns].
      most: How many names to keep.
    """
    sample = make_sample(hash_names(names), counts, most)
    return Tally(sample, names_among(names, sample.hashes))


def names_among(names: pa.Array, keys: np.ndarray) -> dict[int, str | None]:
    """Returns which names have the wanted keys, by key.

    Args:
      names: Strings; they may repeat.
      keys: Of `core.hashing.hash_names`.
    """
    found = names.unique()
    hashed = hash_names(found)
    rows = np.flatnonzero(np.isin(hashed, keys))
    return dict(
        zip(hashed[rows].tolist(), found.take(pa.array(rows)).to_pylist(), strict=True)
    )


def add_tallies(parts: Iterable[Tally], most: int) -> Tally:
    """Returns what was counted in all parts; at least one."""
    parts = list(parts)
    sample = merge_samples([part.sample for part in parts], most)
    known = {key: name for part in parts for key, name in part.names.items()}
    return Tally(sample, {key: known[key] for key in sample.hashes.tolist()})


def no_tally(columns: int) -> Tally:
    """Returns what was counted of no names."""
    return Tally(Sample(np.zeros(0, np.uint64), np.zeros((0, columns), np.int64)), {})


def rows_of(tally: Tally) -> list[tuple[str | None, list[int]]]:
    """Returns `(name, counts)`, those with the highest first count first."""
    pairs = zip(tally.sample.hashes.tolist(), tally.sample.counts.tolist(), strict=True)
    rows = [(tally.names[key], counts) for key, counts in pairs]
    return sorted(rows, key=lambda row: (-row[1][0], row[0] or ""))
