"""The mixture: how much of each origin stays, and exactly which documents.

Documents of an origin stand in a random but fixed order (`core.hashing.order_hash`);
those before a bound are kept, as many as the target weight takes (bottom-k sampling).
The bound is found in two steps that need little memory at any size: a histogram of
weight over the order, then the documents of the one bin in which the target falls.
"""

import dataclasses
import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.schema import UNITS, Origin

BINS = 1 << 12
_BIN_SHIFT = np.uint64(64 - 12)

Weights = Mapping[Origin, int]


@dataclasses.dataclass(frozen=True)
class Bound:
    """A place in the order: documents whose (order hash, identity) is below are in.

    Not a tuple: Beam would encode the two unsigned 64-bit numbers as signed ones.
    """

    order: int
    identity: int


@dataclasses.dataclass(frozen=True)
class Shortage:
    """What to do when an origin has too little text: shrink, fail or repeat it.

    Attributes:
      policy: `shrink` the set, `fail`, or `repeat` documents.
      repeats: With `repeat`: how often a document may be in the set.
    """

    policy: str
    repeats: int = 1


@dataclasses.dataclass(frozen=True)
class Targets:
    """The weight that each origin is to have, and why it is not more.

    Attributes:
      weight: Target weight by origin; more than there is asks for repetition.
      limited_by: One line for people; None where everything asked for is there.
    """

    weight: Weights
    limited_by: str | None = None


@dataclasses.dataclass(frozen=True)
class Selection:
    """How the documents of one origin are chosen.

    Attributes:
      copies: How often every document is in the set.
      bound: Documents before it are in the set once more.
    """

    copies: int
    bound: Bound | None = None


def parse_shortage(value: str) -> Shortage:
    """Returns the policy that `shrink`, `fail` or `repeat:N` names."""
    policy, _, number = value.partition(":")
    if policy == "repeat" and number.isdecimal() and int(number) > 0:
        return Shortage(policy, int(number))
    if value in ("shrink", "fail"):
        return Shortage(value)
    raise UserError(f"on_shortage must be shrink, fail or repeat:N, got {value!r}")


def check_fraction(name: str, value: float | None) -> None:
    """Raises UserError unless the value is None or a share in [0, 1]."""
    if value is not None and not 0 <= value <= 1:
        raise UserError(f"{name} must be between 0 and 1, got {value}")


def check_mixture(
    synthetic_fraction: float | None,
    max_synthetic_fraction: float | None,
    unit: str,
    target_size: int | None,
    on_shortage: str,
) -> None:
    """Raises UserError unless the options of a mixture are each and together right."""
    check_fraction("synthetic_fraction", synthetic_fraction)
    check_fraction("max_synthetic_fraction", max_synthetic_fraction)
    if None not in (synthetic_fraction, max_synthetic_fraction):
        raise UserError(
            "give synthetic_fraction (a share to reach) or max_synthetic_fraction "
            "(a limit), not both"
        )
    if unit not in UNITS:
        raise UserError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}")
    if target_size is not None and target_size < 1:
        raise UserError(f"target_size must be at least 1, got {target_size}")
    parse_shortage(on_shortage)


def plan_targets(
    available: Weights,
    synthetic_fraction: float | None,
    max_synthetic_fraction: float | None,
    target_size: int | None,
    shortage: Shortage,
    unit: str,
) -> Targets:
    """Returns how much of each origin to keep.

    With a fraction the set is as large as the human text allows (or `target_size`),
    and the synthetic part is cut to the share. When an origin has too little for
    that, it is a shortage. A maximum only ever cuts the synthetic part. With neither,
    everything stays, or the same part of each origin when there is a `target_size`.
    Fractions are exact: 0.3 is three tenths.

    Args:
      available: Weight of the documents that are still in, human and synthetic.
      synthetic_fraction: The share of synthetic weight to reach; None = none asked.
      max_synthetic_fraction: The share not to exceed; None = no limit.
      target_size: The weight of the whole set; None = as large as it gets.
      shortage: What to do when an origin has too little.
      unit: The unit of all weights, for messages.

    Raises:
      ShortageError: the policy is `fail` and there is a shortage.
    """
    if synthetic_fraction is not None:
        share = Fraction(str(synthetic_fraction))
        return _targets_at(share, available, target_size, shortage, unit)
    human, synthetic = available[Origin.HUMAN], available[Origin.SYNTHETIC]
    limited = None
    if max_synthetic_fraction is not None and max_synthetic_fraction < 1:
        share = Fraction(str(max_synthetic_fraction))
        most = math.floor(human * share / (1 - share))
        if most < synthetic:
            limited = f"max_synthetic_fraction {max_synthetic_fraction}"
            synthetic = most
    size = human + synthetic
    if target_size is not None and size:
        if size < target_size and shortage.policy == "fail":
            raise ShortageError(
                f"target_size {target_size} {unit} cannot be met: {size} are left "
                "after filters and copies; lower it or use --on-shortage shrink"
            )
        wanted = target_size
        if shortage.policy == "shrink" or size >= target_size:
            wanted = min(size, target_size)
        wanted = min(wanted, size * shortage.repeats)
        if wanted < size:
            limited = "target_size"
        elif wanted < target_size:
            limited = (
                f"text: {target_size} {unit} asked for, "
                f"{size} left after filters and copies"
            )
        # Rounded down, so that the share stays below its maximum.
        synthetic = synthetic * wanted // size
        human = wanted - synthetic
    return Targets({Origin.HUMAN: human, Origin.SYNTHETIC: synthetic}, limited)


def _targets_at(
    share: Fraction,
    available: Weights,
    target_size: int | None,
    shortage: Shortage,
    unit: str,
) -> Targets:
    """Returns the targets for an exact share."""
    shares = {Origin.HUMAN: 1 - share, Origin.SYNTHETIC: share}
    if target_size is not None:
        wanted = Fraction(target_size)
    else:
        leading = Origin.HUMAN if share < 1 else Origin.SYNTHETIC
        wanted = available[leading] / shares[leading]
    reachable = {
        origin: available[origin] * shortage.repeats / part
        for origin, part in shares.items()
        if part
    }
    scarce = min(reachable, key=lambda origin: reachable[origin])
    limited = None
    if reachable[scarce] < wanted:
        limited = (
            f"{scarce.name.lower()} text: {math.ceil(shares[scarce] * wanted)} {unit} "
            f"asked for, {available[scarce]} left after filters and copies"
        )
        if shortage.repeats > 1:
            limited += f", each used up to {shortage.repeats} times"
        if shortage.policy == "fail":
            raise ShortageError(
                f"too little {limited}; lower the share or the size, add "
                f"{scarce.name.lower()} text, or use --on-shortage shrink or repeat:N"
            )
        wanted = reachable[scarce]
    weight = {origin: math.floor(part * wanted) for origin, part in shares.items()}
    return Targets(weight, limited)


def histogram(origin: np.ndarray, order: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the weight by origin and part of the order: int64 [2, BINS]."""
    cell = origin.astype(np.int64) * BINS + bins(order)
    counts = np.bincount(cell, weight, 2 * BINS)
    return counts.astype(np.int64).reshape(2, BINS)


def bins(order: np.ndarray) -> np.ndarray:
    """Returns the bin of the histogram that each order hash is in."""
    return (order >> _BIN_SHIFT).astype(np.int64)


def split_target(target: int, available: int) -> tuple[int, int]:
    """Returns the whole copies of every document and the weight to choose besides."""
    return divmod(target, available) if available else (0, 0)


def boundary(weights: np.ndarray, rest: int) -> tuple[int, int] | None:
    """Returns the bin in which `rest` is used up, and what is left of it there.

    Args:
      weights: Weight by bin of one origin.
      rest: The weight to choose; None is returned when it is nothing or takes all.
    """
    total = np.cumsum(weights)
    if not rest or rest >= total[-1]:
        return None
    cut = int(np.searchsorted(total, rest, side="right"))
    return cut, rest - int(total[cut] - weights[cut])


def bound_in_bin(
    order: np.ndarray, identity: np.ndarray, weight: np.ndarray, rest: int
) -> Bound:
    """Returns the first document, in order, that the rest no longer takes.

    Args:
      order: Order hashes of the documents of the boundary's bin.
      identity: Decides between documents of the same order hash.
      weight: Weight of each.
      rest: The weight to choose among them; less than they have together.
    """
    at = np.lexsort([identity, order])
    first = at[np.searchsorted(np.cumsum(weight[at]), rest, side="right")]
    return Bound(int(order[first]), int(identity[first]))


def copies_of(
    order: np.ndarray, identity: np.ndarray, selection: Selection
) -> np.ndarray:
    """Returns how often each document of an origin is in the set."""
    copies = np.full(len(order), selection.copies, np.int32)
    if selection.bound is not None:
        high, low = selection.bound.order, selection.bound.identity
        copies += (order < high) | ((order == high) & (identity < low))
    return copies
