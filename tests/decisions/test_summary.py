from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.schema import COPY_REASONS, Reason
from synthfilter.decisions.summary import (
    Summary,
    add_chosen,
    add_summaries,
    heavy_losses,
    sum_chosen,
    sum_slices,
    sum_sources,
)

# slice and bytes in the set; the declared origin is that of the slice's block.
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=20)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    key, size = np.array(rows, np.int64).reshape(-1, 2).T
    return key, size


def summary(rows: list[tuple[int, int]]) -> Summary:
    key, _ = columns(rows)
    return Summary(slices=sum_slices(key, key % 3))


@given(ROWS)
def test_a_slice_counts_its_rows_and_the_bytes_that_are_in_the_set(rows) -> None:
    keys = sorted({row[0] for row in rows})
    assert summary(rows).slices.tolist() == [
        [key, key % 3, sum(row[0] == key for row in rows)] for key in keys
    ]
    assert sum_chosen(*columns(rows)).tolist() == [
        [key, sum(row[1] for row in rows if row[0] == key)] for key in keys
    ]


@given(ROWS, st.lists(st.integers(0, 20), max_size=3))
def test_summaries_of_parts_add_up_to_that_of_the_whole(rows, cuts) -> None:
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [summary(rows[start:stop]) for start, stop in pairwise(bounds)]
    added = add_summaries(part for part in parts)
    assert (added.slices == summary(rows).slices).all()
    chosen = [
        sum_chosen(*columns(rows[start:stop])) for start, stop in pairwise(bounds)
    ]
    assert (add_chosen(chosen) == sum_chosen(*columns(rows))).all()


# Stratum and bin of a histogram; keys of strata are any 64 bits.
WEIGHTS = st.lists(
    st.tuples(
        st.sampled_from([-(2**63), -1, 0, 2**63 - 1]),
        st.integers(0, 3),
        st.integers(0, 99),
    ),
    max_size=20,
)


@given(WEIGHTS, WEIGHTS)
def test_weights_are_added_by_stratum_and_bin(one, other) -> None:
    parts = [
        add_summaries([Summary(weights=np.array(rows, np.int64).reshape(-1, 3))])
        for rows in (one, other)
    ]
    rows = [*one, *other]
    assert add_summaries(parts).weights.tolist() == [
        [*place, sum(row[2] for row in rows if row[:2] == place)]
        for place in sorted({row[:2] for row in rows})
    ]


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
            sum(key == source for key, _ in rows),
            sum(key == source and reason in COPY_REASONS for key, reason in rows),
            sum(
                key == source and reason not in (Reason.KEPT, *COPY_REASONS)
                for key, reason in rows
            ),
        ]
        for source, _ in rows
    }


def test_sources_lose_more_than_a_share_when_they_have_twenty_documents() -> None:
    counts = np.array([[1, 20, 9, 2], [2, 20, 10, 0], [3, 19, 0, 19], [4, 900, 0, 0]])
    assert heavy_losses(counts, 0.5).tolist() == [[1, 20, 9, 2]]
    assert heavy_losses(counts, 0.0)[:, 0].tolist() == [1, 2]
    assert heavy_losses(counts, 1.0).tolist() == []
    assert heavy_losses(Summary().sources, 0.5).tolist() == []


def test_books_are_added() -> None:
    one = Summary()
    one.books[0, 0, 0, 0] = 3
    added = add_summaries([one, one, Summary()])
    assert added.books.sum() == added.books[0, 0, 0, 0] == 6
    assert one.books[0, 0, 0, 0] == 3


def test_the_summary_of_nothing_is_empty() -> None:
    nothing = add_summaries([])
    assert nothing.slices.shape == (0, 3)
    assert add_chosen([]).shape == (0, 2)
    assert nothing.sources.shape == (0, 4)
    assert nothing.weights.shape == (0, 3)
    assert not nothing.books.any()
