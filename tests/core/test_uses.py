import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.hashing import hex_hashes
from synthfilter.core.uses import hash_halves, hashes_of_partition, partition_of_hash

HALF = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))


@given(st.lists(st.tuples(HALF, HALF), max_size=20), st.integers(0, 3))
def test_a_hash_comes_back_from_its_digits(hashes, skip: int) -> None:
    hi, lo = np.array(hashes, np.uint64).reshape(-1, 2).T
    column = hex_hashes(hi, lo).slice(skip)
    found = hash_halves(column)
    assert found[0].tolist() == hi[skip:].tolist()
    assert found[1].tolist() == lo[skip:].tolist()
    assert hash_halves(column.cast(pa.large_string()))[1].tolist() == lo[skip:].tolist()


@pytest.mark.parametrize("bad", ["", "0" * 31, "0" * 33, "g" * 32, None])
def test_what_is_no_hash_is_an_error(bad: str | None) -> None:
    with pytest.raises(ValueError):
        hash_halves(pa.array(["0" * 32, bad], pa.string()))


@given(st.lists(HALF, max_size=20), st.integers(1, 1000))
def test_a_hash_is_between_the_first_and_the_last_of_its_partition(
    halves: list[int], partitions: int
) -> None:
    hi = np.array(halves, np.uint64)
    for half, part in zip(
        halves, partition_of_hash(hi, partitions).tolist(), strict=True
    ):
        first, last = hashes_of_partition(part, partitions)
        assert 0 <= part < partitions
        assert len(first) == len(last) == 32
        assert first <= f"{half:016x}{0:016x}" <= f"{half:016x}{2**64 - 1:016x}" <= last


@pytest.mark.parametrize("partitions", [1, 2, 3, 7, 16, 1000])
def test_partitions_follow_each_other_without_a_gap(partitions: int) -> None:
    bounds = [hashes_of_partition(part, partitions) for part in range(partitions)]
    assert bounds[0][0] == "0" * 32
    assert bounds[-1][1] == "f" * 32
    for (_, last), (first, _) in itertools.pairwise(bounds):
        assert int(last, 16) + 1 == int(first, 16)
