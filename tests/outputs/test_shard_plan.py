import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from synthfilter.core.schema import slice_keys
from synthfilter.outputs.shard_plan import (
    ShardPlan,
    count_shards,
    plan_shards,
    shard_of,
)

# Declared origin and number of rows of each block.
BLOCKS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3000)), min_size=1, max_size=8
)


def addresses(blocks: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Block and row of every document."""
    rows = [rows for _, rows in blocks]
    block = np.repeat(np.arange(len(blocks), dtype=np.int64), rows)
    return block, np.concatenate([np.arange(n, dtype=np.int32) for n in rows])


def plan(
    blocks: list[tuple[int, int]],
    bytes_a_row: float = 100,
    max_shard_bytes: int = 50_000,
    seed: int = 0,
) -> ShardPlan:
    block, row = addresses(blocks)
    key, first, rows = np.unique(
        slice_keys(block, row), return_index=True, return_counts=True
    )
    declared = np.array([origin for origin, _ in blocks])[block[first]]
    expected = rows * bytes_a_row
    return plan_shards(key, declared, rows, expected, max_shard_bytes, seed)


@given(BLOCKS, st.integers(0, 3), st.sampled_from([0, 1, 100]))
def test_every_row_has_a_shard(blocks, seed: int, bytes_a_row: int) -> None:
    made = plan(blocks, bytes_a_row, seed=seed)
    shard = shard_of(made, *addresses(blocks))
    assert shard.min() >= 0
    assert shard.max() < made.shards


@given(BLOCKS, st.integers(0, 3))
def test_every_shard_has_its_part_of_each_declared_origin(blocks, seed: int) -> None:
    made = plan(blocks, seed=seed)
    block, row = addresses(blocks)
    shard = shard_of(made, block, row)
    declared = np.array([origin for origin, _ in blocks])[block]
    for origin in np.unique(declared):
        sizes = np.bincount(shard[declared == origin], minlength=made.shards)
        assert abs(sizes - sizes.sum() / made.shards).max() <= 1.5


@given(BLOCKS, st.integers(1, 300_000))
def test_no_shard_holds_more_than_it_may(blocks, max_shard_bytes: int) -> None:
    made = plan(blocks, 100, max_shard_bytes)
    assume(max_shard_bytes > 5_000)
    sizes = np.bincount(shard_of(made, *addresses(blocks))) * 100
    assert sizes.max() <= max_shard_bytes


@given(BLOCKS, st.randoms(use_true_random=False))
def test_the_shard_of_a_row_does_not_depend_on_who_asks(blocks, random) -> None:
    made = plan(blocks)
    block, row = addresses(blocks)
    some = np.array(random.sample(range(len(row)), min(20, len(row))))
    assert (
        shard_of(made, block[some], row[some]) == shard_of(made, block, row)[some]
    ).all()


def test_a_shard_reads_whole_blocks_but_for_the_ends() -> None:
    blocks = [(0, 500)] * 20
    block, row = addresses(blocks)
    shard = shard_of(plan(blocks, 100, 100_000), block, row)
    for number in np.unique(shard):
        mine = np.unique(block[shard == number])
        split = [b for b in mine if np.unique(shard[block == b]).size > 1]
        assert len(split) <= 2


def test_another_seed_puts_the_blocks_in_another_order() -> None:
    blocks = [(0, 500)] * 20
    first, second = (
        shard_of(plan(blocks, seed=seed), *addresses(blocks)) for seed in (0, 1)
    )
    assert (first != second).any()


@pytest.mark.parametrize("expected", [0, 5, 10**9])
def test_one_row_is_one_document_in_some_shard(expected: int) -> None:
    made = plan([(1, 1)], expected, 10)
    (shard,) = shard_of(made, np.zeros(1, np.int64), np.zeros(1, np.int32))
    assert 0 <= shard < made.shards


def test_a_block_that_is_left_out_as_a_whole_still_has_a_shard() -> None:
    key = slice_keys(np.arange(3), np.zeros(3, np.int64))
    rows = np.array([10, 10, 10])
    made = plan_shards(key, np.zeros(3), rows, np.array([0, 1000, 0]), 100, 0)
    block = np.repeat(np.arange(3), 10)
    shard = shard_of(made, block, np.tile(np.arange(10), 3))
    assert made.shards == 11
    assert shard.min() >= 0 and shard.max() < 11
    assert len(set(shard[block == 1])) == 10


@pytest.mark.parametrize(
    ("total", "shards"), [(0, 1), (1, 1), (100, 1), (101, 2), (1000, 11), (1e12, 11e9)]
)
def test_the_number_of_shards_leaves_room(total: float, shards: float) -> None:
    assert count_shards(total, 100) == pytest.approx(shards)
