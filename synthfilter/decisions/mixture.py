"""The mixture: how much of each group is to be in the set, exactly.

The weights that are left after filters and copies go in, by cell; what each cell is to
weigh comes out. Which documents these are is a matter of `cells`.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from synthfilter.core.errors import ShortageError
from synthfilter.decisions.cells import CORE_BIT, FRESH_BIT, Cells, cell_code
from synthfilter.decisions.counted import COUNTED, Counted, count_shares
from synthfilter.decisions.feasible import synthetic_weights
from synthfilter.decisions.rules import HUMAN, SYNTHETIC, MixtureRules
from synthfilter.decisions.shortages import tell_limits
from synthfilter.decisions.strata import Stratum, allocate_sizes, measure_strata


class GroupTarget(NamedTuple):
    """What is asked of a group, and what there is.

    Attributes:
      asked: Its share, None where none is asked for.
      available: Weight of its documents that are still in, each counted once.
      target: The weight that it is to have.
    """

    asked: float | None
    available: int
    target: int


@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """The weight that each cell is to have, and why it is not more.

    Attributes:
      weight: Target by cell, int64; more than there is asks for repetition.
      up: Whether the target is to be reached rather than not exceeded, by cell.
      groups: The same by group.
      limited_by: One line for people; None where everything asked for is there.
    """

    weight: np.ndarray
    up: np.ndarray
    groups: Mapping[str, GroupTarget]
    limited_by: str | None = None


def plan_targets(
    available: Cells,
    rules: MixtureRules,
    human_share: float = COUNTED[0],
    synthetic_share: float = COUNTED[1],
) -> Targets:
    """Returns how much of each cell to keep.

    With shares the set is as large as the human text allows (or `target_size`), and
    every group has its share. When a group has too little for that, it is a shortage.
    A maximum only ever cuts the synthetic part. With neither, everything stays, or the
    same part of each origin when there is a `target_size`. Every stratum by itself.
    Fractions are exact: 0.3 is three tenths.

    Args:
      available: Weight of the documents that are still in.
      rules: What is asked.
      human_share: How much of the weight that counts as human is truly synthetic.
      synthetic_share: How much of that which counts as synthetic is.

    Raises:
      ShortageError: what is asked of the groups cannot be together; or the policy is
        `fail` and there is a shortage.
    """
    counted = count_shares(rules, human_share, synthetic_share)
    if counted.note and rules.shortage.policy == "fail":
        raise ShortageError(f"{counted.note}; ask for another share, or use shrink")
    strata = measure_strata(available, rules, counted)
    allocate_sizes(strata, rules)
    limited = tell_limits(strata, rules, counted)
    weight = np.zeros(len(available.code), np.int64)
    up = np.zeros(len(available.code), bool)
    totals = collections.Counter[str]()
    start = 0
    for stratum in strata:
        weights = _group_weights(stratum, counted)
        totals.update(weights)
        targets = _cell_targets(stratum, weights, rules)
        stop = start + len(stratum.cells)
        for at, code in enumerate(stratum.cells, start):
            weight[at], up[at] = targets[code]
        start = stop
    groups = {
        name: GroupTarget(
            rules.mixture.get(name),
            sum(stratum.once[name] for stratum in strata),
            totals[name],
        )
        for name in rules.listed
    }
    return Targets(weight, up, groups, "; ".join(limited) or None)


def _group_weights(stratum: Stratum, counted: Counted) -> dict[str, int]:
    """Returns what each group is to weigh, rounded down."""
    if counted.shares is not None:
        return {
            name: math.floor(share * stratum.size)
            for name, share in counted.shares.items()
        }
    human, synthetic = stratum.ranges[HUMAN], stratum.ranges[SYNTHETIC]
    size = math.floor(stratum.size)
    low, high = synthetic_weights(
        Fraction(size), counted.most_synthetic, human, synthetic, stratum.fresh
    )
    wanted = stratum.base[1] * size / stratum.natural if stratum.natural else 0
    part = max(math.floor(min(max(wanted, low), high)), synthetic.least)
    # The rest is human, so that the synthetic share stays below a maximum.
    return {HUMAN: min(size - part, human.most), SYNTHETIC: part}


def _cell_targets(
    stratum: Stratum, weights: Mapping[str, int], rules: MixtureRules
) -> dict[int, tuple[int, bool]]:
    """Returns what each cell is to weigh, and whether that is to be reached."""
    names = rules.names
    targets = {code: (have, False) for code, have in stratum.cells.items()}
    for name, weight in weights.items():
        group = names.index(name)
        codes = [cell_code(group, fresh, False) for fresh in (True, False)]
        fresh, old = (stratum.cells.get(code, 0) for code in codes)
        core = stratum.once[name] - fresh - old
        left = weight - core
        has = stratum.ranges[name]
        up = has.reach and weight == has.least
        part = left * fresh // (fresh + old) if fresh else 0
        if fresh and stratum.fresh is not None:
            whole = math.ceil(stratum.fresh.share * sum(weights.values()))
            needed = whole - stratum.cells.get(FRESH_BIT | CORE_BIT, 0)
            times, protected = rules.times(name), name in rules.protect
            low = max(fresh * protected, left - old * times)
            high = min(fresh * times, left - old * protected)
            part = min(max(part, needed, low), high)
            up_fresh = up or (part == needed and part > 0)
        else:
            up_fresh = up
        for code, target, rise in zip(
            codes, (part, left - part), (up_fresh, up), strict=True
        ):
            if code in targets:
                targets[code] = (target, rise)
    return targets
