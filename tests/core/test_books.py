import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import books
from synthfilter.core.schema import UNITS, WRITTEN, Origin, Reason

DOCUMENTS = st.lists(
    st.tuples(
        st.sampled_from(WRITTEN),
        st.sampled_from([Origin.HUMAN, Origin.SYNTHETIC]),
        st.sampled_from(Reason),
        st.integers(0, 2**31 - 1),
        st.integers(0, 1000),
    ),
    max_size=20,
)


def enter(documents: list[tuple[int, ...]]) -> np.ndarray:
    return books.count(*np.array(documents, np.int64).reshape(-1, 5).T)


@given(DOCUMENTS, st.data())
def test_books_of_parts_add_up_and_every_document_is_in_them(documents, data) -> None:
    cut = data.draw(st.integers(0, len(documents)))
    whole = enter(documents)
    assert (enter(documents[:cut]) + enter(documents[cut:]) == whole).all()
    books.check(whole, len(documents))
    assert whole.sum(axis=(0, 1, 2)).tolist() == [
        len(documents),
        sum(document[3] for document in documents),
        sum(document[4] for document in documents),
    ]


@given(DOCUMENTS)
def test_read_is_kept_and_left_out_and_dead_letters(documents) -> None:
    said = books.as_dict(enter(documents))
    gone = sum(said["left_out"].values()) + said["dead_letters"]
    assert said["read"] == said["kept"] + gone == len(documents)
    flows = said["by_declared_origin"].values()
    assert said["read"] == sum(
        amounts["docs"]
        for flow in flows
        for origins in flow.values()
        for amounts in origins.values()
    )


@given(DOCUMENTS, st.sampled_from(UNITS))
def test_kept_is_the_weight_of_what_is_still_in(documents, unit: str) -> None:
    weight = {"docs": lambda d: 1, "bytes": lambda d: d[3], "words": lambda d: d[4]}
    wanted = [
        sum(weight[unit](d) for d in documents if d[1:3] == (origin, Reason.KEPT))
        for origin in (Origin.HUMAN, Origin.SYNTHETIC)
    ]
    assert list(books.kept(enter(documents), unit)) == wanted


@pytest.mark.parametrize("rows_read", [0, 2])
def test_books_that_do_not_balance_are_an_error(rows_read: int) -> None:
    one = enter([(Origin.HUMAN, Origin.HUMAN, Reason.KEPT, 5, 1)])
    with pytest.raises(RuntimeError, match=f"{rows_read} documents were read, 1"):
        books.check(one, rows_read)


def test_the_books_name_origins_reasons_and_units() -> None:
    said = books.as_dict(
        enter([(Origin.HUMAN, Origin.SYNTHETIC, Reason.MIXTURE, 5, 1)])
    )
    flow = {"mixture": {"synthetic": {"docs": 1, "bytes": 5, "words": 1}}}
    nothing: dict = {}
    assert said["by_declared_origin"] == {
        "human": flow,
        "synthetic": nothing,
        "unknown": nothing,
        "core": nothing,
    }
    assert said["left_out"]["mixture"] == 1
