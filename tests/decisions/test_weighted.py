import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.hashing import order_hash
from synthfilter.decisions.weighted import log2_fixed, weighted_keys

ORDERS = st.integers(0, 2**64 - 1)
WEIGHTS = st.floats(2.0**-30, 2.0**30, width=32)


def keys(orders: list[int], weights: list[float]) -> list[int]:
    found = weighted_keys(np.array(orders, np.uint64), np.array(weights, np.float32))
    assert found.dtype == np.uint64
    return found.tolist()


@given(st.integers(1, 2**64 - 1))
def test_the_logarithm_is_near_the_true_one(value: int) -> None:
    (found,) = log2_fixed(np.array([value], np.uint64)).tolist()
    getcontext().prec = 40
    true = Decimal(value).ln() / Decimal(2).ln()
    assert abs(Decimal(found) / 2**57 - true) < Decimal(2) ** -26


@pytest.mark.parametrize("power", [0, 1, 31, 32, 33, 62, 63])
def test_the_logarithm_of_a_power_of_two_is_exact(power: int) -> None:
    assert log2_fixed(np.array([1 << power], np.uint64)).tolist() == [power << 57]


@given(st.lists(st.integers(1, 2**64 - 1), min_size=2), st.integers(1, 2**64 - 2))
def test_the_logarithm_never_falls(values: list[int], other: int) -> None:
    ordered = sorted([*values, other, other + 1])
    found = log2_fixed(np.array(ordered, np.uint64))
    assert (found[1:] >= found[:-1]).all()


@given(st.integers(2**31, 2**64 - 1), WEIGHTS)
def test_a_key_is_the_logarithm_of_an_exponential_variate_over_the_weight(
    order: int, weight: float
) -> None:
    (found,) = keys([order], [weight])
    getcontext().prec = 40
    octave = Decimal(2).ln()
    variate = 64 - Decimal(max(2**64 - 1 - order, 1)).ln() / octave
    true = (variate / Decimal(weight)).ln() / octave
    # Where the scale begins does not matter.
    assert abs(Decimal(found) / 2**57 - (57 + 32) - true) < Decimal(2) ** -12


@given(ORDERS, st.lists(WEIGHTS, min_size=2))
def test_the_heavier_never_stands_behind_the_lighter(
    order: int, weights: list[float]
) -> None:
    found = keys([order] * len(weights), sorted(weights))
    assert found == sorted(found, reverse=True)


@given(st.lists(ORDERS, min_size=2), WEIGHTS)
def test_equal_weights_change_nothing(orders: list[int], weight: float) -> None:
    found = keys(sorted(orders), [weight] * len(orders))
    assert found == sorted(found)


def test_what_has_no_weight_comes_last() -> None:
    found = keys([0, 0, 0, 2**64 - 1], [0.0, -1.0, math.nan, 2.0**-31])
    assert found[:3] == [2**64 - 1] * 3
    assert found[3] < 2**64 - 1


def test_weights_beyond_the_range_count_as_its_ends() -> None:
    assert keys([7] * 3, [2.0**31, 1e30, math.inf])[1:] == keys([7] * 2, [2.0**31] * 2)
    assert keys([7], [1e-30]) == keys([7], [2.0**-31])


def test_documents_are_first_as_often_as_they_weigh() -> None:
    documents = np.arange(4, dtype=np.uint64)
    weight = np.array([1, 2, 3, 4], np.float32)
    first = np.zeros(4)
    for seed in range(4_000):
        order = order_hash(documents, documents, seed)
        first[weighted_keys(order, weight).argmin()] += 1
    # Four standard errors of a share of 0.4 are 0.031.
    assert np.abs(first / first.sum() - weight / weight.sum()).max() < 0.031


def test_the_keys_of_all_machines_are_these() -> None:
    orders = [0, 1, 2**40, 2**63, 2**64 - 1]
    assert keys(orders, [1.0, 2.0, 0.3, 0.7, 1e-3]) == [
        5841748834608316530,
        5697633646532460658,
        9694026302178994362,
        12900409552631736643,
        15127163735089087893,
    ]
