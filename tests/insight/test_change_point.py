"""Changes of short series: found, not invented, and the same as more values come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.insight.change_point import (
    ALLOWANCE,
    DOWN,
    EITHER,
    LIMITS,
    MOST,
    NEEDED,
    UP,
    find_changes,
)

FLAT = [0.30, 0.31, 0.29, 0.30, 0.32, 0.29, 0.31, 0.30]
SERIES = st.lists(st.one_of(st.none(), st.floats(-1, 1, width=32)), max_size=40)
BADS = st.sampled_from([UP, DOWN, EITHER])


def noise(seed: int, runs: int, builds: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((runs, builds))


def test_a_steady_rise_is_told_with_its_beginning_and_size() -> None:
    rise = [0.34, 0.37, 0.41, 0.44, 0.48, 0.50]
    (change,) = find_changes(FLAT + rise, UP, 0.001)
    assert change.since == 8
    assert 9 < change.at < 13
    assert change.before == pytest.approx(np.mean(FLAT), abs=1e-6)
    assert change.after == pytest.approx(np.mean((FLAT + rise)[8 : change.at + 1]))
    assert change.deviations > 4


def test_only_the_bad_way_is_told() -> None:
    rise = [*FLAT, 0.34, 0.37, 0.41, 0.44, 0.48, 0.50]
    fall = [-value for value in rise]
    assert not find_changes(rise, DOWN, 0.001)
    assert not find_changes(fall, UP, 0.001)
    (down,) = find_changes(fall, DOWN, 0.001)
    assert find_changes(fall, EITHER, 0.001, LIMITS[DOWN]) == [down]
    assert find_changes(fall, EITHER, 0.001)[0].since == down.since
    assert down.deviations < 0


def test_one_outlier_is_no_alarm_and_hides_none() -> None:
    outlier = [*FLAT, 0.9]
    assert not find_changes([*outlier, *FLAT], UP, 0.001)
    assert find_changes([*outlier, *FLAT[:3], *[0.5] * 6], UP, 0.001)


def test_a_step_after_few_builds_is_not_taken_for_the_level() -> None:
    few = FLAT[: NEEDED + 1]
    (change,) = find_changes([*few, *(value + 0.08 for value in FLAT)], UP, 0.001)
    assert change.since == len(few)
    assert change.at < len(few) + 6


def test_a_change_is_told_once_and_a_second_one_again() -> None:
    ones, twos, threes = ([base + value for value in FLAT] for base in (0, 0.2, 0.4))
    found = find_changes(ones + twos + threes, UP, 0.001)
    assert [change.since for change in found] == [8, 16]


def test_what_hardly_moves_is_no_change() -> None:
    held = [0.3] * 12 + [0.3001] * 12
    assert not find_changes(held, UP, 0.005)
    assert find_changes(held, UP, 0.00001)
    assert not find_changes([0.1] * 50, EITHER, 1e-9)


def test_a_level_must_be_known_first() -> None:
    sudden = [0.1] * NEEDED + [0.9] * 4
    assert 3 * (MOST - ALLOWANCE) < LIMITS[UP] <= 4 * (MOST - ALLOWANCE)
    (change,) = find_changes(sudden, UP, 0.001)
    assert (change.since, change.at) == (NEEDED, NEEDED + 3)
    assert not find_changes(sudden[1:], UP, 0.001)
    assert find_changes([], UP, 0.001) == []


@given(SERIES, BADS)
def test_gaps_are_passed_over(values: list[float | None], bad: str) -> None:
    places = [place for place, value in enumerate(values) if value is not None]
    dense = find_changes([values[place] for place in places], bad, 0.01)
    assert find_changes(values, bad, 0.01) == [
        change._replace(at=places[change.at], since=places[change.since])
        for change in dense
    ]


@given(SERIES, BADS, st.integers(0, 40))
def test_more_builds_change_nothing_of_what_was_said(
    values: list[float | None], bad: str, first: int
) -> None:
    early = [c for c in find_changes(values, bad, 0.01) if c.at < first]
    assert find_changes(values[:first], bad, 0.01) == early


@given(SERIES, BADS)
def test_a_change_begins_before_its_alarm_and_goes_the_bad_way(
    values: list[float | None], bad: str
) -> None:
    for change in find_changes(values, bad, 0.01):
        assert NEEDED <= change.since < change.at
        assert bad == EITHER or (change.after > change.before) == (bad == UP)


@pytest.mark.parametrize("seed", [1, 2])
def test_stationary_series_seldom_alarm_and_drifts_do_soon(seed: int) -> None:
    flat = noise(seed, 400)
    assert sum(bool(find_changes(row, UP, 1e-9)) for row in flat) <= 0.015 * 400
    for drift, builds in ((0.5, 9), (1, 7), (2, 6)):
        rows = noise(seed + 10, 100) + drift * np.maximum(0, np.arange(24) - 11)
        delays = [find_changes(row, UP, 1e-9)[0].at - 11 for row in rows]
        assert np.median(delays) <= builds
