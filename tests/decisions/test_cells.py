"""The choice within cells, against sorting all documents and taking the first."""

import dataclasses
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.cells import (
    BINS,
    Bounds,
    bins,
    cell_code,
    cell_codes,
    count_copies,
    find_bounds,
    histogram,
    join_bounds,
    settle_choice,
    sum_cells,
)
from synthfilter.decisions.summary import Summary, add_summaries

# Few bins and few orders, so that many documents meet in one bin and some in one place.
ORDERS = st.builds(
    lambda part, rest: (part << 52) + rest,
    st.sampled_from([0, 1, 7, BINS - 1]),
    st.sampled_from([0, 1, 2**52 - 1]) | st.integers(0, 2**52 - 1),
)
STRATA = st.sampled_from([-(2**63), -5, 0, 1, 2**63 - 1])
CODES = st.sampled_from([0, 1, 2, 3, 4, 8, 1016])


@dataclasses.dataclass(frozen=True)
class Documents:
    """Stratum, code, key, order hash, identity and weight of documents."""

    rows: list[tuple[int, int, int, int, int, int]]

    def columns(self) -> list[np.ndarray]:
        kinds = (np.int64, np.int64, np.uint64, np.uint64, np.uint64, np.int32)
        columns = zip(*self.rows, strict=True) if self.rows else [()] * 6
        return [np.array(c, kind) for c, kind in zip(columns, kinds, strict=True)]

    def by_cell(self) -> dict[tuple[int, int], list[int]]:
        """Numbers of the documents of each cell, the cells sorted."""
        found: dict[tuple[int, int], list[int]] = {}
        for i in sorted(range(len(self.rows)), key=lambda i: self.rows[i][:2]):
            found.setdefault(self.rows[i][:2], []).append(i)
        return found


DOCUMENTS = st.lists(
    st.tuples(
        STRATA,
        CODES,
        ORDERS,
        st.integers(0, 1),
        st.integers(0, 2**64 - 1),
        st.integers(1, 2**31 - 1),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[2:5],
).map(Documents)


def choose(
    documents: Documents, targets: list[int], up: list[bool], cuts: list[int]
) -> list[int]:
    """Histogram, then bins, then bounds, then copies, as a build does it in batches."""
    columns = documents.columns()
    edges = [0, *sorted(cuts), len(documents.rows)]
    batches = [[c[start:stop] for c in columns] for start, stop in pairwise(edges)]
    weights = add_summaries(
        Summary(weights=histogram(stratum, code, key, weight))
        for stratum, code, key, _, _, weight in batches
    ).weights
    cells = sum_cells(weights)
    choice = settle_choice(weights, cells, np.array(targets), np.array(up))
    found: dict[int, list[list[np.ndarray]]] = {0: [], 1: []}
    for stratum, code, *rest in batches:
        cell = choice.find(stratum, code)
        inside = bins(rest[0]) == choice.bin[cell]
        for part in found:
            mine = inside & (cell % 2 == part)
            found[part].append([c[mine] for c in (cell, *rest)])
    bounds = join_bounds(
        find_bounds(choice, *map(np.concatenate, zip(*parts, strict=True)))
        for parts in found.values()
        if any(len(part[0]) for part in parts)
    )
    copies = [
        count_copies(choice, bounds, choice.find(stratum, code), *rest[:3])
        for stratum, code, *rest in batches
    ]
    return np.concatenate(copies).tolist()


@given(DOCUMENTS, st.data())
def test_the_choice_is_the_longest_prefix_or_the_shortest_that_reaches(
    documents: Documents, data: st.DataObject
) -> None:
    members = documents.by_cell()
    cuts = data.draw(st.lists(st.integers(0, len(documents.rows)), max_size=3))
    targets, up = [], []
    for numbers in members.values():
        available = sum(documents.rows[i][5] for i in numbers)
        targets.append(data.draw(st.integers(0, 3 * available)))
        up.append(data.draw(st.booleans()))
    copies = choose(documents, targets, up, cuts)
    for numbers, target, reach in zip(members.values(), targets, up, strict=True):
        rows = {i: documents.rows[i] for i in numbers}
        available = sum(row[5] for row in rows.values())
        times, left = divmod(target, available)
        for i in sorted(rows, key=lambda i: rows[i][2:5]):
            weight = rows[i][5]
            taken = left > 0 if reach else left >= weight
            assert copies[i] == times + taken
            left = left - weight if taken else 0
        got = sum(row[5] * copies[i] for i, row in rows.items())
        largest = max(row[5] for row in rows.values())
        if reach:
            assert target <= got < target + largest
        else:
            assert target - largest < got <= target


@given(DOCUMENTS, st.lists(st.integers(0, 40), max_size=3))
def test_the_histogram_has_the_weight_of_every_cell_and_bin(documents, cuts) -> None:
    stratum, code, key, _, _, weight = documents.columns()
    rows = histogram(stratum, code, key, weight)
    wanted: dict[tuple[int, int], int] = {}
    for s, c, k, _, _, w in documents.rows:
        place = (s, c * BINS + (k >> 52))
        wanted[place] = wanted.get(place, 0) + w
    assert rows.tolist() == [[*place, wanted[place]] for place in sorted(wanted)]
    cells = sum_cells(rows)
    members = documents.by_cell()
    assert list(zip(cells.stratum, cells.code, strict=True)) == list(members)
    assert cells.weight.tolist() == [
        sum(documents.rows[i][5] for i in numbers) for numbers in members.values()
    ]


def test_many_strata_have_rows_for_what_they_hold_only() -> None:
    number = np.arange(50_000)
    key = number.astype(np.uint64) << np.uint64(48)
    rows = histogram(number // 2, number % 2, key, np.ones(len(number), np.int32))
    assert len(rows) == len(number)
    assert len(sum_cells(rows).weight) == len(number)


def test_a_cell_is_known_by_its_group_and_two_bits() -> None:
    group = np.array([0, 1, 2, 254], np.uint8)
    fresh = np.array([1, 0, 0, 1], np.uint8)
    core = np.array([False, True, False, True])
    codes = cell_codes(group, fresh, core)
    assert codes.tolist() == [
        cell_code(g, bool(f), c)
        for g, f, c in zip(group.tolist(), fresh, core.tolist(), strict=True)
    ]
    assert len(set(codes.tolist())) == 4
    assert codes.max() < 1 << 10


def test_nothing_has_no_cells_and_no_bounds() -> None:
    nothing = histogram(*(np.zeros(0, np.int64),) * 2, *(np.zeros(0, np.uint64),) * 2)
    assert nothing.shape == (0, 3)
    assert len(sum_cells(nothing).weight) == 0
    bounds = join_bounds([])
    assert isinstance(bounds, Bounds)
    assert len(bounds.cell) == len(bounds.key) == 0
