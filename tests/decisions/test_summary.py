from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.mixture import BINS
from synthfilter.decisions.summary import Summary, add_summaries, sum_slices

# slice, origin, bytes still in; the declared origin is that of the slice's block.
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 9)), max_size=20
)


def summary(rows: list[tuple[int, int, int]]) -> Summary:
    key, origin, alive = np.array(rows, np.int64).reshape(-1, 3).T
    return Summary(slices=sum_slices(key, key % 3, origin.astype(np.uint8), alive))


@given(ROWS)
def test_a_slice_counts_its_rows_and_what_is_still_in_of_each_origin(rows) -> None:
    assert summary(rows).slices.tolist() == [
        [
            key,
            key % 3,
            sum(row[0] == key for row in rows),
            sum(row[2] for row in rows if row[:2] == (key, 0)),
            sum(row[2] for row in rows if row[:2] == (key, 1)),
        ]
        for key in sorted({row[0] for row in rows})
    ]


@given(ROWS, st.lists(st.integers(0, 20), max_size=3))
def test_summaries_of_parts_add_up_to_that_of_the_whole(rows, cuts) -> None:
    bounds = [0, *sorted(cuts), len(rows)]
    parts = [summary(rows[start:stop]) for start, stop in pairwise(bounds)]
    added = add_summaries(part for part in parts)
    assert (added.slices == summary(rows).slices).all()


def test_books_and_weights_are_added() -> None:
    one = Summary()
    one.books[0, 0, 0, 0] = 3
    one.weights[1, 5] = 7
    added = add_summaries([one, one, Summary()])
    assert added.books.sum() == added.books[0, 0, 0, 0] == 6
    assert added.weights.sum() == added.weights[1, 5] == 14
    assert one.weights[1, 5] == 7


def test_the_summary_of_nothing_is_empty() -> None:
    nothing = add_summaries([])
    assert nothing.slices.shape == (0, 5)
    assert nothing.weights.shape == (2, BINS)
    assert not nothing.books.any()
