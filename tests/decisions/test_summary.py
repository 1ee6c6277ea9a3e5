from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.schema import COPY_REASONS, Reason
from synthfilter.decisions.mixture import BINS
from synthfilter.decisions.summary import (
    Summary,
    add_summaries,
    heavy_losses,
    sum_slices,
    sum_sources,
)

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


# A source, by a key of 64 bits, and what became of a document of it.
SOURCES = st.lists(
    st.tuples(st.sampled_from([0, 5, 2**63, 2**64 - 1]), st.sampled_from(Reason)),
    max_size=30,
)


def sources(rows: list[tuple[int, Reason]]) -> Summary:
    key, reason = zip(*rows, strict=True) if rows else ((), ())
    return Summary(sources=sum_sources(np.array(key, np.uint64), np.array(reason, int)))


@given(SOURCES, st.lists(st.integers(0, 30), max_size=3))
def test_sources_of_parts_add_up_to_those_of_the_whole(rows, cuts) -> None:
    bounds = [0, *sorted(cuts), len(rows)]
    parts = [sources(rows[start:stop]) for start, stop in pairwise(bounds)]
    whole = sources(rows).sources
    assert (add_summaries(parts).sources == whole).all()
    found = {int(np.int64(key).view(np.uint64)): rest for key, *rest in whole.tolist()}
    assert found == {
        source: [
            sum(
                key == source and (reason == Reason.KEPT or reason in COPY_REASONS)
                for key, reason in rows
            ),
            sum(key == source and reason in COPY_REASONS for key, reason in rows),
        ]
        for source, _ in rows
    }


def test_sources_lose_more_than_a_share_when_they_have_twenty_documents() -> None:
    counts = np.array([[1, 20, 11], [2, 20, 10], [3, 19, 19], [4, 900, 0]])
    assert heavy_losses(counts, 0.5).tolist() == [[1, 20, 11]]
    assert heavy_losses(counts, 0.0)[:, 0].tolist() == [1, 2]
    assert heavy_losses(counts, 1.0).tolist() == []
    assert heavy_losses(Summary().sources, 0.5).tolist() == []


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
    assert nothing.sources.shape == (0, 3)
    assert nothing.weights.shape == (2, BINS)
    assert not nothing.books.any()
