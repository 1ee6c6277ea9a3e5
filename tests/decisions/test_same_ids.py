import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.same_ids import (
    SameIds,
    add_same_ids,
    describe_same_ids,
    find_same_ids,
)


def count(pairs: list[tuple[int, int]]) -> SameIds:
    values = np.array(pairs, np.uint64).reshape(-1, 2)
    return find_same_ids(values[:, 0], values[:, 1])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=20))
def test_ids_of_several_texts_are_counted_with_these_texts(
    pairs: list[tuple[int, int]],
) -> None:
    texts = {name: {text for n, text in pairs if n == name} for name, _ in pairs}
    several = [found for found in texts.values() if len(found) > 1]
    whole = count(pairs)
    assert whole == SameIds(len(several), sum(map(len, several)))
    parts = [count([p for p in pairs if p[0] % 3 == part]) for part in range(3)]
    assert add_same_ids(parts) == whole


def test_only_what_is_there_is_told() -> None:
    assert describe_same_ids(None) == []
    assert describe_same_ids({"ids": 0, "texts": 0}) == []
    [line] = describe_same_ids({"ids": 2, "texts": 5})
    assert line == "2 ids stand for 5 different texts; all count"
