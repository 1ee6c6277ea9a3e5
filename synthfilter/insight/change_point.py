"""When a short series of figures began to change: a self-starting CUSUM.

Each value is compared with all before it, as a t-statistic brought to the scale of
standard normal deviations (Wallace 1959). What lies on the bad side by more than half
a deviation adds up, and the sum is an alarm from a limit on (Page 1954; Hawkins 1987,
in which the series is its own reference, since nobody knows its mean and spread
beforehand). After an alarm all begins anew, with the values since the change as the new
level: an alarm is an event, not a state. What the constants give is measured by
benchmarks/monitor.py and told in docs/monitor.md.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

UP, DOWN, EITHER = "up", "down", "either"
# How many values the first level is made of.
NEEDED = 5
# What a deviation must exceed to add up, and the sum that is an alarm: a series that
# may go either way has two chances of a false one.
ALLOWANCE = 0.5
LIMITS = {UP: 8.5, DOWN: 8.5, EITHER: 10.0}
# The most that one value can say: no value alone is an alarm, however far it lies.
MOST = 3.0
# How far out a value may join the level. A step that joined as it is would soon look
# like the level.
JOINS = 2.0
_SIGNS = {UP: (1,), DOWN: (-1,), EITHER: (1, -1)}


class Change(NamedTuple):
    """A change of a series for the worse.

    Attributes:
      at: Place of the value with which it became an alarm.
      since: Place at which it seems to have begun.
      before: Mean of the level before.
      after: Mean from the beginning to the alarm.
      deviations: The difference, in standard deviations of the level before.
    """

    at: int
    since: int
    before: float
    after: float
    deviations: float


def find_changes(
    values: Sequence[float | None], bad: str, least: float, limit: float | None = None
) -> list[Change]:
    """Returns the changes for the worse, in order.

    What is said of a value depends on it and those before it alone: later values
    change nothing of that.

    Args:
      values: The series; None, where nothing is known, is passed over.
      bad: Which way is worse: up, down or either.
      least: The smallest standard deviation to believe in, above 0. A level that
        hardly moves would make an alarm of a change that matters to nobody.
      limit: The sum that is an alarm; None for that of `LIMITS`.
    """
    limit = LIMITS[bad] if limit is None else limit
    changes: list[Change] = []
    known: list[tuple[int, float]] = []
    level: list[float] = []
    sums = dict.fromkeys(_SIGNS[bad], 0.0)
    began = dict.fromkeys(sums, 0)
    for place, value in enumerate(values):
        if value is None:
            continue
        known.append((place, value))
        if len(level) < NEEDED:
            level.append(value)
            continue
        said, believed = _compare(value, level, least)
        level.append(believed)
        for sign, total in sums.items():
            if not total:
                began[sign] = len(known) - 1
            sums[sign] = max(0.0, total + sign * said - ALLOWANCE)
        worst = max(sums, key=lambda sign: sums[sign])
        if sums[worst] < limit:
            continue
        first = began[worst]
        before, spread = _mean_and_spread(level[:first], least)
        after = float(np.mean([value for _, value in known[first:]]))
        size = (after - before) / spread
        changes.append(Change(place, known[first][0], before, after, size))
        known = known[first:]
        level = [value for _, value in known]
        sums = dict.fromkeys(sums, 0.0)
    return changes


def _mean_and_spread(level: Sequence[float], least: float) -> tuple[float, float]:
    return float(np.mean(level)), max(float(np.std(level, ddof=1)), least)


def _compare(value: float, level: Sequence[float], least: float) -> tuple[float, float]:
    """Returns how far a value lies from a level, and the value as it joins the level.

    The distance is in standard normal deviations, at most `MOST` either way; a value
    further out than `JOINS` joins the level as if it lay just there.
    """
    mean, spread = _mean_and_spread(level, least)
    freedom = len(level) - 1
    unit = spread * math.sqrt(1 + 1 / len(level))
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    t = (value - mean) / unit
    said = scale * math.sqrt(freedom * math.log1p(t * t / freedom))
    if said > JOINS:
        joins = math.sqrt(freedom * math.expm1((JOINS / scale) ** 2 / freedom))
        value = mean + math.copysign(joins, t) * unit
    return math.copysign(min(said, MOST), t), value
