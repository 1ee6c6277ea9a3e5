from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.schema import REASON_NAMES, Origin, Reason
from synthfilter.insight.turnover import (
    NOT_READ,
    Documents,
    Turnover,
    compare_documents,
)

HUMAN, SYNTHETIC, *_ = Origin
KEPT, MIXTURE, NEAR, EXACT = (
    Reason.KEPT,
    Reason.MIXTURE,
    Reason.NEAR_COPY,
    Reason.EXACT_COPY,
)


def documents(*rows: tuple[int, int, int]) -> Documents:
    """Documents of (hash, origin, reason); a hash is hi * 16 + lo."""
    hashes, origin, reason = np.array(rows, np.uint64).reshape(-1, 3).T
    return Documents(
        hashes // np.uint64(16),
        hashes % np.uint64(16),
        origin.astype(np.uint8),
        reason.astype(np.uint8),
    )


def test_a_text_of_one_set_alone_has_the_reason_that_the_other_gives_it() -> None:
    first = documents(
        (1, HUMAN, KEPT), (2, HUMAN, KEPT), (3, HUMAN, KEPT), (4, HUMAN, KEPT)
    )
    second = documents((1, HUMAN, KEPT), (2, HUMAN, MIXTURE), (3, HUMAN, NEAR))
    found = compare_documents(first, second, examples=5)
    assert found.both == 1
    assert found.only == (Counter(mixture=1, near_copy=1, not_read=1), Counter())
    assert found.some == (
        {"near_copy": [3], "mixture": [2], NOT_READ: [4]},
        {},
    )


def test_both_ways_are_told() -> None:
    first = documents((1, HUMAN, KEPT), (2, HUMAN, MIXTURE))
    second = documents((1, HUMAN, MIXTURE), (2, HUMAN, KEPT), (3, HUMAN, KEPT))
    found = compare_documents(first, second)
    assert found.only == (Counter(mixture=1), Counter(mixture=1, not_read=1))
    assert found.some == ({"mixture": []}, {"mixture": [], NOT_READ: []})


def test_copies_of_a_text_fared_as_the_best_of_them() -> None:
    first = documents((1, HUMAN, KEPT), (2, HUMAN, KEPT))
    second = documents(
        (1, HUMAN, EXACT), (1, HUMAN, MIXTURE), (1, HUMAN, EXACT), (2, HUMAN, EXACT)
    )
    assert compare_documents(first, second).only[0] == Counter(mixture=1, exact_copy=1)


def test_texts_that_share_half_a_hash_are_told_apart() -> None:
    first = documents(*[(16 + lo, HUMAN, KEPT) for lo in range(10)])
    second = documents(*[(16 + lo, HUMAN, KEPT) for lo in range(5, 15)])
    found = compare_documents(first, second)
    assert found.both == 5
    assert found.only == (Counter(not_read=5), Counter(not_read=5))


def test_repeated_rows_and_other_origins_are_counted() -> None:
    first = documents((1, HUMAN, KEPT), (1, HUMAN, KEPT), (2, HUMAN, KEPT))
    second = documents((1, SYNTHETIC, KEPT), (2, HUMAN, KEPT))
    found = compare_documents(first, second)
    assert found.repeated == (1, 0)
    assert found.origins == Counter({"human -> synthetic": 1})


def test_builds_of_nothing_have_nothing_in_common() -> None:
    assert compare_documents(documents(), documents()) == Turnover()


some_documents = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.sampled_from([HUMAN, SYNTHETIC]),
        st.sampled_from([KEPT, MIXTURE, NEAR, EXACT]),
    ),
    max_size=80,
)


def by_hand(first: list, second: list) -> tuple[int, list[Counter]]:
    """Returns what is in both, and what is not, without arrays."""
    sets = [{h for h, _, r in rows if r == KEPT} for rows in (first, second)]
    only = []
    for side, rows in ((0, second), (1, first)):
        causes: Counter[str] = Counter()
        for one in sets[side] - sets[1 - side]:
            reasons = {r for h, _, r in rows if h == one}
            last = max(reasons - {EXACT}, default=EXACT if reasons else None)
            causes[NOT_READ if last is None else REASON_NAMES[last]] += 1
        only.append(causes)
    return len(sets[0] & sets[1]), only


@given(some_documents, some_documents)
def test_it_is_what_counting_one_by_one_gives(first: list, second: list) -> None:
    found = compare_documents(documents(*first), documents(*second))
    both, only = by_hand(first, second)
    assert found.both == both
    assert [*found.only] == only


@given(some_documents, some_documents, st.integers(0, 3))
def test_parts_of_all_hashes_add_up(first: list, second: list, examples: int) -> None:
    # Of one text origins agree, or the parts of a build would not.
    first, second = ([(h, h % 2, r) for h, _, r in rows] for rows in (first, second))
    total = Turnover()
    for part in range(3):
        mine = [
            documents(*[row for row in rows if row[0] * 3 // 61 == part])
            for rows in (first, second)
        ]
        total.add(compare_documents(*mine, examples), examples)
    assert total == compare_documents(documents(*first), documents(*second), examples)
