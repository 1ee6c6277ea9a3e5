"""Rows of a ledger, made from numbers: document 7 has the same hash in every build."""

import datetime
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.core.hashing import hex_hashes, mix
from synthfilter.ledger.commit import commit_use

DAY = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)


def use_rows(numbers: Sequence[int]) -> pa.RecordBatch:
    """What a build used: documents by number; the even ones are human."""
    number = np.array(numbers, np.uint64)
    human = [n % 2 == 0 for n in numbers]
    return pa.RecordBatch.from_pydict(
        {
            "content_hash": hex_hashes(mix(number + np.uint64(1)), number),
            "id": [f"doc-{n}" for n in numbers],
            "origin": ["human" if each else "synthetic" for each in human],
            "generation": pa.array([0 if each else 1 for each in human], pa.int32()),
            "generator": [None if each else "m1" for each in human],
            "source": ["shelf"] * len(numbers),
            "origin_evidence": [
                "date=human" if each else "declared=synthetic" for each in human
            ],
            "signature": pa.array([bytes([n % 256]) * 224 for n in numbers]),
        }
    )


@pytest.fixture
def commit() -> Callable[..., bool]:
    """Commits a build of documents by number, on the day of March that is given."""

    def commit_build(path: str, build_id: str, numbers: Sequence[int], day: int = 1):
        time = DAY.replace(day=day)
        return commit_use(path, build_id, [use_rows(numbers)], time)

    return commit_build


@pytest.fixture
def rows_of() -> Callable[[Sequence[int]], pa.RecordBatch]:
    """Returns what makes rows from numbers."""
    return use_rows
