import numpy as np
import pytest

from synthfilter.core.ngrams import NAMES, NgramRows, concat_rows, sampling_bounds
from synthfilter.core.samples import ALL


def rows_of(*documents: list[int]) -> NgramRows:
    hashes = np.array([h for document in documents for h in document], np.uint64)
    sizes = np.array([len(document) for document in documents], np.int32)
    tokens = sizes + np.int32(2)
    return NgramRows(tokens, (hashes,) * 3, (sizes,) * 3, (ALL,) * 3)


@pytest.mark.parametrize(
    ("block_bytes", "bits"),
    [
        (0, (0, 0, 0)),
        (1 << 15, (0, 0, 0)),
        ((1 << 15) + 1, (0, 1, 1)),
        (1 << 18, (0, 3, 3)),
        (1 << 19, (1, 4, 4)),
        (16 << 20, (5, 8, 8)),
        (16 << 30, (5, 8, 8)),
    ],
)
def test_a_larger_block_keeps_a_smaller_share_of_its_ngrams(block_bytes, bits) -> None:
    assert sampling_bounds(block_bytes) == tuple(ALL >> bit for bit in bits)


def test_rows_follow_each_other() -> None:
    joined = concat_rows([rows_of([1, 2], []), rows_of([3])], (ALL,) * 3)
    assert joined.tokens.tolist() == [4, 2, 3]
    for hashes, sizes in zip(joined.hashes, joined.sizes, strict=True):
        assert hashes.tolist() == [1, 2, 3]
        assert sizes.tolist() == [2, 0, 1]


def test_no_rows_are_of_the_same_types() -> None:
    none = concat_rows([], (1 << 56,) * 3)
    assert len(none.hashes) == len(none.sizes) == len(none.below) == len(NAMES)
    assert [h.dtype for h in none.hashes] == [np.uint64] * 3
    assert none.tokens.dtype == none.sizes[0].dtype == np.int32
    assert none.below == (1 << 56,) * 3
