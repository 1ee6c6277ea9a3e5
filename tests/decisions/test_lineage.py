"""Generations from parents, declarations and what was known before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.lineage import generations

# A document: its id, the ids of its parents, whether human, what it says itself.
SMALL_ID = st.integers(0, 7)
DOCUMENT = st.tuples(
    SMALL_ID,
    st.lists(st.integers(0, 9), max_size=3),
    st.sampled_from([False, False, False, True]),
    st.one_of(st.none(), st.integers(-1, 4)),
)
DOCUMENTS = st.lists(DOCUMENT, max_size=8)
KNOWN = st.lists(
    st.tuples(st.integers(6, 9), st.one_of(st.none(), st.integers(0, 5))), max_size=4
)
Document = tuple[int, list[int], bool, int | None]
Known = list[tuple[int, int | None]]


def masked(values: list[int | None]) -> np.ma.MaskedArray:
    filled = [0 if value is None else value for value in values]
    unknown = [value is None for value in values]
    return np.ma.MaskedArray(np.array(filled, np.int32), np.array(unknown, bool))


def find(documents: list[Document], known: Known) -> list[int | None]:
    parents = [document[1] for document in documents]
    return generations(
        np.array([document[0] for document in documents], np.uint64),
        np.array([parent for some in parents for parent in some], np.uint64),
        np.cumsum([0, *map(len, parents)]),
        np.array([document[2] for document in documents], bool),
        masked([document[3] for document in documents]),
        np.array([name for name, _ in known], np.uint64),
        masked([generation for _, generation in known]),
    ).tolist()


def reference(documents: list[Document], known: Known) -> list[int | None]:
    """The definition, document by document."""
    everybody = range(len(documents))
    parents = {
        n: [m for m in everybody if not human and documents[m][0] in names]
        for n, (_, names, human, _) in enumerate(documents)
    }
    above: dict[int, set[int]] = {n: set(parents[n]) for n in everybody}
    for _ in everybody:
        above = {n: above[n].union(*(above[m] for m in above[n])) for n in everybody}
    circles = {n for n in everybody if n in above[n]}
    inside = {
        n
        for n in everybody
        if n in circles or (circles & above[n] and any(n in above[c] for c in circles))
    }

    def generation(n: int) -> int | None:
        _, names, human, declared = documents[n]
        if human:
            return 0
        told = [depth for name, depth in known if name in names]
        mine = (m for m in parents[n] if not (n in inside and m in inside))
        told += [generation(m) for m in mine]
        depths = [depth for depth in told if depth is not None]
        if depths:
            return max(depths) + 1
        return declared if declared is not None and declared >= 0 else None

    return [generation(n) for n in everybody]


@given(DOCUMENTS, KNOWN)
def test_generations_are_those_of_the_definition(
    documents: list[Document], known: Known
) -> None:
    assert find(documents, known) == reference(documents, known)


@pytest.mark.parametrize(
    ("documents", "known", "expected"),
    [
        # A human text, one made of it, one made of both.
        (
            [(1, [], True, None), (2, [1], False, None), (3, [1, 2], False, 9)],
            [],
            [0, 1, 2],
        ),
        # Parents that only the ledger knows, or nobody.
        ([(1, [7], False, None), (2, [8], False, None)], [(7, 2)], [3, None]),
        # No parents: what it says itself, or nothing.
        ([(1, [], False, 4), (2, [], False, None)], [], [4, None]),
        # A circle, with a parent outside and without.
        ([(1, [2, 7], False, None), (2, [1], False, None)], [(7, 1)], [2, None]),
        ([(1, [1], False, None), (2, [1], False, 3)], [], [None, 3]),
        # Two documents of one id: the deeper counts.
        ([(1, [], False, 1), (1, [], False, 5), (2, [1], False, None)], [], [1, 5, 6]),
    ],
)
def test_what_a_generation_is(
    documents: list[Document], known: Known, expected: list[int | None]
) -> None:
    assert find(documents, known) == expected


def test_no_documents_have_no_generations() -> None:
    assert find([], [(1, 1)]) == []


def test_the_deepest_generation_is_the_largest_number() -> None:
    largest = 2**31 - 1
    found = find([(1, [], False, largest), (2, [1], False, None)], [])
    assert found == [largest, largest]


def test_a_long_line_of_descent_ends() -> None:
    line: list[Document] = [(n, [n - 1], False, None) for n in range(1, 3000)]
    assert find(line, [(0, 0)])[-1] == 2999
    circle: list[Document] = [(n, [(n + 1) % 3000], False, n) for n in range(3000)]
    assert find(circle, []) == list(range(3000))
