"""The limits of a mixture's size, against trying out every size and share."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions.feasible import (
    Fresh,
    Range,
    nearest_mixture,
    sizes_at_shares,
    sizes_below_share,
    synthetic_weights,
)

NAMES = ("human", "synthetic", "code")
RANGES = st.tuples(st.integers(0, 8), st.integers(0, 12)).map(
    lambda pair: Range(pair[0], sum(pair), "least", "most")
)


def shares_of(parts: tuple[int, ...]) -> dict[str, Fraction]:
    whole = sum(parts)
    names = NAMES[: len(parts)]
    return {n: Fraction(p, whole) for n, p in zip(names, parts, strict=True)}


def parts_of(groups: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(0, 4)] * groups).filter(any)


FRESH = st.none() | st.builds(
    lambda tenths, most, old: Fresh(Fraction(tenths, 10), most, old, "fresh", "old"),
    st.integers(1, 10),
    st.integers(0, 10),
    st.integers(0, 3),
)


def fits(
    weights: dict[str, Fraction], ranges: dict[str, Range], fresh: Fresh | None
) -> bool:
    """Whether the weights are a set as the constraints say it, word for word."""
    if not all(has.least <= weights[name] <= has.most for name, has in ranges.items()):
        return False
    if fresh is None:
        return True
    needed = fresh.share * sum(weights.values())
    return needed <= fresh.most and needed + fresh.old <= weights["human"]


def ranged(ranges: tuple[Range, ...]) -> dict[str, Range]:
    return dict(zip(NAMES, ranges, strict=False))


SIZES = [Fraction(n, 6) for n in range(1, 400)]


@given(parts_of(3), st.tuples(RANGES, RANGES, RANGES), FRESH)
def test_a_size_is_within_the_limits_when_its_weights_fit(parts, ranges, fresh) -> None:
    shares, ranges = shares_of(parts), ranged(ranges)
    sizes = sizes_at_shares(shares, ranges, fresh, "human")
    for size in SIZES:
        weights = {name: share * size for name, share in shares.items()}
        inside = sizes.least().size <= size <= sizes.most().size
        assert inside == fits(weights, ranges, fresh)


@given(st.integers(0, 10), RANGES, RANGES, FRESH)
def test_a_size_is_within_the_limits_of_a_maximum_when_some_split_fits(
    tenths, human, synthetic, fresh
) -> None:
    most = Fraction(tenths, 10)
    ranges = {"human": human, "synthetic": synthetic}
    sizes = sizes_below_share(most, human, synthetic, fresh, "maximum")
    for size in SIZES[::11]:
        low, high = synthetic_weights(size, most, human, synthetic, fresh)
        found = [
            part
            for part in {Fraction(n, 60) for n in range(0, 60 * 21, 20)} | {low, high}
            if part <= most * size
            and fits({"human": size - part, "synthetic": part}, ranges, fresh)
        ]
        inside = sizes.least().size <= size <= sizes.most().size
        assert inside == bool(found)
        assert not inside or (min(found), max(found)) == (low, high)


def change(one: dict[str, Fraction], other: dict[str, Fraction]) -> Fraction:
    return sum((abs(one[name] - other[name]) for name in one), Fraction(0))


@given(
    parts_of(3),
    st.tuples(RANGES, RANGES, RANGES),
    FRESH,
    st.none() | st.integers(1, 30),
)
def test_no_set_of_whole_weights_is_nearer_than_the_nearest_mixture(
    parts, ranges, fresh, size
) -> None:
    shares, ranges = shares_of(parts), ranged(ranges)
    found = nearest_mixture(shares, ranges, fresh, "human", size)
    others = [
        dict(zip(NAMES, map(Fraction, weights), strict=True))
        for weights in itertools.product(
            *(range(has.least, has.most + 1) for has in ranges.values())
        )
    ]
    others = [
        weights
        for weights in others
        if 0 < sum(weights.values()) <= (size or math.inf)
        and fits(weights, ranges, fresh)
    ]
    if found is None:
        assert not others
        return
    near, whole = found
    assert sum(near.values()) == 1
    assert size is None or whole <= size
    assert fits({name: part * whole for name, part in near.items()}, ranges, fresh)
    least = change(shares, near)
    for weights in others:
        total = sum(weights.values())
        other = {name: weight / total for name, weight in weights.items()}
        assert change(shares, other) >= least


@given(parts_of(2), st.tuples(RANGES, RANGES), FRESH)
def test_the_nearest_mixture_is_the_one_asked_for_where_that_can_be(
    parts, ranges, fresh
) -> None:
    shares, ranges = shares_of(parts), ranged(ranges)
    sizes = sizes_at_shares(shares, ranges, fresh, "human")
    found = nearest_mixture(shares, ranges, fresh, "human", None)
    possible = 0 < sizes.most().size >= sizes.least().size
    if possible:
        assert found == (shares, sizes.most().size)
    elif found is not None:
        assert found[0] != shares


@pytest.mark.parametrize(
    ("asked", "limits", "near", "size"),
    [
        # Protected human text, and synthetic text that does not do for its share.
        ((1, 1), ((60, 60), (0, 40)), (60, 40), 100),
        # Half of the change is to be made elsewhere: where there is room.
        ((1, 1, 2), ((30, 30), (0, 10), (0, 90)), (30, 10, 40), 80),
        ((1, 3), ((0, 0), (0, 7)), (0, 7), 7),
    ],
)
def test_the_nearest_mixture_of_some_cases(asked, limits, near, size) -> None:
    ranges = ranged(tuple(Range(*limit, "least", "most") for limit in limits))
    found = nearest_mixture(shares_of(asked), ranges, None, "human", None)
    assert found == (shares_of(near), size)


def test_the_limits_name_what_they_are_of() -> None:
    ranges = ranged(
        (
            Range(5, 9, "protect human", "human text"),
            Range(0, 2, "", "caps synthetic=2"),
        )
    )
    sizes = sizes_at_shares(shares_of((1, 1)), ranges, None, "human")
    assert sizes.least().said == "protect human"
    assert sizes.most().said == "caps synthetic=2"
    nothing = sizes_at_shares(shares_of((0, 1)), ranges, None, "human")
    assert nothing.least() == (math.inf, "protect human", None)
