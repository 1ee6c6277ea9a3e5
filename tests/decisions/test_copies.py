import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.schema import RANK_CORE, RANK_OTHERS, Origin
from synthfilter.decisions.copies import (
    KEEP_RULES,
    find_exact_copies,
    parse_keep,
    rank_documents,
    rank_origins,
)

# hi, lo, words, rank, place: few values, so that all kinds of clashes come up.
FEW = st.integers(0, 2)
DOCUMENTS = st.lists(st.tuples(FEW, FEW, FEW, FEW), max_size=25).map(
    lambda rows: [(*row, place) for place, row in enumerate(rows)]
)
Document = tuple[int, int, int, int, int]


def find(documents: list[Document]) -> list[bool]:
    hi, lo, words, rank, place = np.array(documents, np.int64).reshape(-1, 5).T
    copies = find_exact_copies(
        hi.astype(np.uint64), lo.astype(np.uint64), words, [rank, place]
    )
    return copies.tolist()


def reference(documents: list[Document]) -> list[bool]:
    best: dict[tuple[int, ...], tuple[int, ...]] = {}
    for *text, rank, place in documents:
        best[tuple(text)] = min(best.get(tuple(text), (9, 0)), (rank, place))
    return [
        best[tuple(text)] != tuple(rank)
        for *text, r, p in documents
        for rank in [(r, p)]
    ]


@given(DOCUMENTS)
def test_of_each_text_the_best_ranked_document_stays(documents: list[Document]) -> None:
    assert find(documents) == reference(documents)


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_who_stays_does_not_depend_on_the_order(documents, random) -> None:
    marked = dict(zip(documents, find(documents), strict=True))
    shuffled = random.sample(documents, len(documents))
    assert dict(zip(shuffled, find(shuffled), strict=True)) == marked


def test_texts_with_the_same_hash_and_another_length_are_no_copies() -> None:
    assert find([(7, 7, 100, 0, 0), (7, 7, 101, 0, 1)]) == [False, False]
    assert find([(7, 7, 100, 0, 0), (7, 8, 100, 0, 1)]) == [False, False]


def test_no_documents_have_no_copies() -> None:
    assert find([]) == []
    assert find([(1, 1, 1, 0, 0)]) == [False]


# origin, reviewed, bytes, created: the same text, so one stays.
HUMAN, SYNTHETIC, _, REFERENCE, CORE = Origin
UNKNOWN_TIME = np.iinfo(np.int64).max
SAME = [
    (SYNTHETIC, 0, 10, 100_000),
    (HUMAN, 0, 9, UNKNOWN_TIME),
    (HUMAN, 0, 9, 500_000),
    (SYNTHETIC, 0, 11, 900_000),
    (HUMAN, 0, 8, 300_000),
    (SYNTHETIC, 1, 7, 700_000),
]
Copy = tuple[int, int, int, int]


def ranks(
    keep: list[str], copies: list[Copy], declared: int | None = None
) -> np.ndarray:
    origin, reviewed, size, created = np.array(copies, np.int64).reshape(-1, 4).T
    said = origin if declared is None else np.full(len(copies), declared)
    found = rank_documents(
        keep,
        said.astype(np.uint8),
        reviewed.astype(np.uint8),
        size.astype(np.int32),
        created,
    )
    return rank_origins(keep, found, origin.astype(np.uint8), 0)


@pytest.mark.parametrize(
    ("keep", "stays"),
    [
        (["reviewed", "human", "longest", "oldest"], 5),
        (["human", "reviewed", "longest", "oldest"], 2),
        (["human", "longest", "oldest"], 2),
        (["human", "oldest", "longest"], 4),
        (["longest"], 3),
        (["oldest"], 0),
        (["human"], 1),
        ([], 0),
    ],
)
def test_the_rules_decide_in_their_order_which_copy_stays(
    keep: list[str], stays: int
) -> None:
    same = np.ones(len(SAME), np.uint64)
    place = np.arange(len(SAME))
    copies = find_exact_copies(same, same, same, [ranks(keep, SAME), place])
    assert np.flatnonzero(~copies).tolist() == [stays]


# Years 1800 to 2140 in milliseconds, and numbers that clash often.
TIMES = st.one_of(
    st.integers(-5_364_662_400_000, 5_364_662_400_000),
    st.integers(0, 320_000),
    st.just(UNKNOWN_TIME),
)
SIZES = st.one_of(st.integers(0, 2**31 - 1), st.integers(0, 2))
COPIES = st.lists(
    st.tuples(st.sampled_from([HUMAN, SYNTHETIC]), st.integers(0, 1), SIZES, TIMES),
    min_size=2,
    max_size=12,
)
KEEPS = st.permutations(KEEP_RULES).flatmap(
    lambda rules: st.integers(0, len(rules)).map(lambda count: rules[:count])
)


@given(KEEPS, COPIES)
def test_ranks_are_in_the_order_of_the_rules_one_after_the_other(
    keep: list[str], copies: list[Copy]
) -> None:
    def keys(copy: Copy) -> list[int]:
        origin, reviewed, size, created = copy
        known = {
            "reviewed": not reviewed,
            "human": origin != HUMAN,
            "longest": -size,
            "oldest": created // 80_000,
        }
        return [known[rule] for rule in keep]

    found = ranks(keep, copies).tolist()
    for one, first in zip(copies, found, strict=True):
        for other, second in zip(copies, found, strict=True):
            assert (first < second) == (keys(one) < keys(other))


def test_what_is_known_best_ranks_first_and_human_text_within() -> None:
    origin = np.array([HUMAN, SYNTHETIC] * 3, np.uint8)
    ground = np.repeat(np.arange(3, dtype=np.uint8), 2)
    # By size alone the last would be first.
    size = np.arange(6, dtype=np.int32)
    nothing = np.zeros(6, np.uint8)
    times = np.full(6, UNKNOWN_TIME)
    for keep, order in (
        (["human", "longest"], [0, 1, 2, 3, 4, 5]),
        (["longest", "human"], [5, 4, 3, 2, 1, 0]),
        (["oldest", "human", "longest"], [0, 1, 2, 3, 4, 5]),
    ):
        plain = rank_documents(keep, nothing, nothing, size, times)
        found = rank_origins(keep, plain, origin, ground)
        assert np.argsort(found).tolist() == order
        assert (found >= RANK_OTHERS).all()


@given(KEEPS, COPIES)
def test_a_reference_set_ranks_before_the_archive_and_that_before_all_others(
    keep: list[str], copies: list[Copy]
) -> None:
    archive = ranks(keep, copies, CORE)
    assert (ranks(keep, copies) >= RANK_OTHERS).all()
    assert ((archive >= RANK_CORE) & (archive < RANK_OTHERS)).all()
    assert (ranks(keep, copies, REFERENCE) < RANK_CORE).all()


def test_times_outside_of_the_years_that_are_told_apart_are_the_first_or_last() -> None:
    times = [-(2**62), -5_364_662_400_001, 5_373_800_000_000, 2**62, UNKNOWN_TIME]
    copies = [(HUMAN, 0, 1, time) for time in times]
    first, second, *late = ranks(["oldest"], copies).tolist()
    assert first == second
    assert len(set(late)) == 1
    assert first < late[0]


@pytest.mark.parametrize("keep", [["newest"], ["human", "human"], ["human", ""]])
def test_rules_that_are_unknown_or_come_twice_are_an_error(keep: list[str]) -> None:
    rules = "reviewed, human, longest, oldest"
    with pytest.raises(UserError, match=f"keep takes each of {rules} at most once"):
        parse_keep(keep)


def test_rules_may_be_listed_or_joined_by_commas() -> None:
    assert parse_keep([]) == []
    assert parse_keep(["oldest", "human"]) == ["oldest", "human"]
    assert parse_keep(["oldest, human", "longest"]) == ["oldest", "human", "longest"]
