import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin
from synthfilter.decisions.copies import check_keep, find_exact_copies, rank_keys

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


# origin, bytes, created, place: the same text, so one stays.
HUMAN, SYNTHETIC, _ = Origin
UNKNOWN_TIME = np.iinfo(np.int64).max
SAME = [
    (SYNTHETIC, 10, 100, 0),
    (HUMAN, 9, UNKNOWN_TIME, 1),
    (HUMAN, 9, 500, 2),
    (SYNTHETIC, 11, 900, 3),
    (HUMAN, 8, 300, 4),
]


@pytest.mark.parametrize(
    ("keep", "stays"),
    [
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
    origin, size, created, place = np.array(SAME, np.int64).T
    same = np.ones(len(SAME), np.uint64)
    rank = rank_keys(
        keep, origin.astype(np.uint8), size.astype(np.int32), created, [place]
    )
    copies = find_exact_copies(same, same, same, rank)
    assert np.flatnonzero(~copies).tolist() == [stays]


@pytest.mark.parametrize("keep", [["newest"], ["human", "human"], ["human", ""]])
def test_rules_that_are_unknown_or_come_twice_are_an_error(keep: list[str]) -> None:
    with pytest.raises(UserError, match="keep takes each of human, longest, oldest"):
        check_keep(keep)


def test_any_known_rules_are_accepted() -> None:
    check_keep([])
    check_keep(["oldest", "human"])
