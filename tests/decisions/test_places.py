"""Places in the random order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.places import Place, PlaceCounter

ORDERS = st.sets(st.integers(0, 2**64 - 1), min_size=1, max_size=30)


@given(ORDERS, st.data())
def test_places_are_those_of_the_sorted_order_whatever_the_parts(orders, data) -> None:
    inside = sorted(orders)
    taken = data.draw(st.integers(0, len(inside)))
    shuffled = data.draw(st.permutations(inside))
    counter = PlaceCounter(inside, ["human"] * len(inside))
    cut = data.draw(st.integers(0, len(inside)))
    for part in (shuffled[:cut], shuffled[cut:]):
        for which in (True, False):
            mine = [o for o in part if (o in inside[:taken]) == which]
            counter.add("human", np.array(mine, np.uint64), which)
            counter.add("synthetic", np.array(mine, np.uint64), not which)
    assert counter.places() == [
        Place(number + 1, len(inside), taken) for number in range(len(inside))
    ]


def test_there_is_no_place_where_others_than_the_first_were_taken() -> None:
    counter = PlaceCounter([1, 1], ["human", "synthetic"])
    counter.add("human", np.array([1, 3], np.uint64), True)
    counter.add("human", np.array([2], np.uint64), False)
    counter.add("synthetic", np.array([1], np.uint64), False)
    assert counter.places() == [None, Place(1, 1, 0)]


def test_of_no_documents_there_are_no_places() -> None:
    assert PlaceCounter([], []).places() == []
