"""What is asked of a mixture: the shares, and what holds for each of its groups."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from synthfilter.core.errors import UserError
from synthfilter.core.schema import UNITS
from synthfilter.core.times import DAY_MS
from synthfilter.core.times import parse_day as parse_start

HUMAN, SYNTHETIC = "human", "synthetic"
STRATA = ("category", "language", "source")
# The number of a group is one byte, and one number is for those in none.
MAX_GROUPS = 255
# Shares such as 1/3, written out, need not add up to more digits than these.
_TOLERANCE = Fraction(1, 10**6)


@dataclasses.dataclass(frozen=True)
class Shortage:
    """What to do when a group has too little text: shrink, fail or repeat it.

    Attributes:
      policy: `shrink` the set, `fail`, or `repeat` documents.
      repeats: With `repeat`: how often a document may be in the set.
    """

    policy: str
    repeats: int = 1


@dataclasses.dataclass(frozen=True)
class MixtureRules:
    """What is asked of a mixture; see `MixtureOptions` for what each means."""

    unit: str = "words"
    synthetic_fraction: float | None = None
    max_synthetic_fraction: float | None = None
    mixture: Mapping[str, float] = dataclasses.field(default_factory=dict)
    target_size: int | None = None
    shortage: Shortage = dataclasses.field(default_factory=lambda: Shortage("shrink"))
    protect: Sequence[str] = ()
    repeat: Mapping[str, int] = dataclasses.field(default_factory=dict)
    floors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    caps: Mapping[str, float] = dataclasses.field(default_factory=dict)
    min_fresh: float | None = None

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The groups in the order of their numbers."""
        return group_names(self.mixture)

    @functools.cached_property
    def listed(self) -> tuple[str, ...]:
        """The groups of the set."""
        return group_names(self.mixture, only_listed=True)

    def held_fraction(self) -> float | None:
        """Returns the synthetic share of human and synthetic text to hold; None: none.

        Whether to reach or not to exceed.
        """
        if self.synthetic_fraction is not None:
            return self.synthetic_fraction
        if self.max_synthetic_fraction is not None:
            return self.max_synthetic_fraction
        if not {HUMAN, SYNTHETIC} <= set(self.mixture):
            return None
        synthetic = self.mixture[SYNTHETIC]
        return synthetic / (synthetic + self.mixture[HUMAN] or 1)

    def times(self, group: str) -> int:
        """Returns how often a document of a group may be in the set."""
        return self.repeat.get(group, self.shortage.repeats)


def group_names(
    mixture: Mapping[str, float], only_listed: bool = False
) -> tuple[str, ...]:
    """Returns the name of each group, in the order of their numbers.

    Human and synthetic have the numbers 0 and 1 whether they are asked for or not.
    """
    by_origin: tuple[str, ...] = (HUMAN, SYNTHETIC)
    categories = sorted(set(mixture) - set(by_origin))
    if only_listed and mixture:
        by_origin = tuple(name for name in by_origin if name in mixture)
    return (*by_origin, *categories)


def as_fraction(value: float) -> Fraction:
    """Returns what was written as a number: 0.3 is three tenths."""
    return Fraction(str(value))


def parse_shortage(value: str) -> Shortage:
    """Returns the policy that `shrink`, `fail` or `repeat:N` names."""
    policy, _, number = value.partition(":")
    if policy == "repeat" and number.isdecimal() and int(number) > 0:
        return Shortage(policy, int(number))
    if value in ("shrink", "fail"):
        return Shortage(value)
    raise UserError(f"on_shortage must be shrink, fail or repeat:N, got {value!r}")


def parse_day(value: str) -> int:
    """Returns the milliseconds since 1970 at which the day after a day begins, UTC."""
    return parse_start(value, "fresh_after") + DAY_MS


def check_fraction(name: str, value: float | None) -> None:
    """Raises UserError unless the value is None or a share in [0, 1]."""
    if value is not None and not 0 <= value <= 1:
        raise UserError(f"{name} must be between 0 and 1, got {value}")


def check_fresh(fresh_after: str | None, min_fresh: float | None) -> None:
    """Raises UserError unless the two are both there, and right, or neither."""
    if (fresh_after is None) != (min_fresh is None):
        raise UserError("fresh_after (a day) and min_fresh (a share) need each other")
    if fresh_after is not None:
        parse_day(fresh_after)


def check_strata(strata: str | None) -> None:
    """Raises UserError unless strata is None or a field that it can be."""
    if strata is not None and strata not in STRATA:
        raise UserError(f"strata must be one of {', '.join(STRATA)}, got {strata!r}")


def check_rules(rules: MixtureRules) -> None:
    """Raises UserError unless the rules are each and together right."""
    check_fraction("synthetic_fraction", rules.synthetic_fraction)
    check_fraction("max_synthetic_fraction", rules.max_synthetic_fraction)
    check_fraction("min_fresh", rules.min_fresh)
    if None not in (rules.synthetic_fraction, rules.max_synthetic_fraction):
        raise UserError(
            "give synthetic_fraction (a share to reach) or max_synthetic_fraction "
            "(a limit), not both"
        )
    if rules.unit not in UNITS:
        raise UserError(f"unit must be one of {', '.join(UNITS)}, got {rules.unit!r}")
    if rules.target_size is not None and rules.target_size < 1:
        raise UserError(f"target_size must be at least 1, got {rules.target_size}")
    if rules.mixture:
        _check_shares(rules)
    _check_groups(rules)


def _check_shares(rules: MixtureRules) -> None:
    for name in ("synthetic_fraction", "max_synthetic_fraction"):
        if getattr(rules, name) is not None:
            raise UserError(f"give mixture or {name}, not both")
    for name, share in rules.mixture.items():
        check_fraction(f"the share of {name} in mixture", share)
    total = sum(map(as_fraction, rules.mixture.values()), Fraction(0))
    if abs(total - 1) > _TOLERANCE:
        said = " + ".join(f"{share:g}" for share in rules.mixture.values())
        raise UserError(f"the shares of mixture must add up to 1, got {said}")
    if len(rules.names) > MAX_GROUPS:
        raise UserError(f"mixture takes up to {MAX_GROUPS - 2} categories")
    human = rules.mixture.get(HUMAN, 0.0)
    if rules.min_fresh is not None and rules.min_fresh > human:
        raise UserError(
            f"min_fresh {rules.min_fresh:g} must not be above the share of human in "
            f"mixture, {human:g}"
        )


def _check_groups(rules: MixtureRules) -> None:
    known = rules.listed
    for option in ("protect", "repeat", "floors", "caps"):
        for name in getattr(rules, option):
            if name not in known:
                raise UserError(
                    f"{option} must name groups of the mixture ({', '.join(known)}), "
                    f"got {name!r}"
                )
    for name, times in rules.repeat.items():
        if times < 1:
            raise UserError(f"repeat must be at least 1, got {name}={times}")
    for option in ("floors", "caps"):
        for name, amount in getattr(rules, option).items():
            if not (math.isfinite(amount) and amount >= 0):
                raise UserError(f"{option} must be at least 0, got {name}={amount}")
    for name in set(rules.floors) & set(rules.caps):
        if rules.floors[name] > rules.caps[name]:
            raise UserError(
                f"the floor of {name}, {rules.floors[name]:g}, is above its cap, "
                f"{rules.caps[name]:g}"
            )
