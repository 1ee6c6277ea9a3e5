from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.repeated import RepeatedKeys

KEYS = st.lists(st.lists(st.integers(0, 40).map(lambda k: k * 7919**4), max_size=20))


def sketch(parts: list[list[int]], expected: int = 100) -> RepeatedKeys:
    found = RepeatedKeys(expected)
    for part in parts:
        found.add(np.array(part, np.uint64))
    return found


@given(KEYS, st.integers(0, 10))
def test_all_keys_that_come_again_are_found_however_they_are_split(
    parts: list[list[int]], border: int
) -> None:
    counts = Counter(key for part in parts for key in part)
    keys = np.array(sorted(counts), np.uint64)
    whole = sketch(parts)
    merged = sketch(parts[:border])
    merged.merge(sketch(parts[border:]))
    again = np.array([counts[key] > 1 for key in keys.tolist()], bool)
    assert (whole.may_repeat(keys) == merged.may_repeat(keys)).all()
    assert whole.may_repeat(keys)[again].all()


def test_few_keys_that_come_once_pass() -> None:
    keys = np.random.default_rng(0).integers(0, 2**63, 200_000).astype(np.uint64)
    found = RepeatedKeys(len(keys))
    found.add(keys.reshape(-1, 20))
    assert found.may_repeat(keys).mean() < 0.25
    assert not RepeatedKeys(5).may_repeat(keys).any()
