"""The shares to hold of documents as they are counted, so that the true ones are right.

What counts as human may hide synthetic text that nothing has found, and the other way
round.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from synthfilter.decisions.rules import (
    HUMAN,
    SYNTHETIC,
    MixtureRules,
    as_fraction,
)

# How much of human and of synthetic text is synthetic where marks are counted.
COUNTED = (0.0, 1.0)
# Estimated shares are fractions with a denominator up to this.
_DENOMINATOR = 10**6


class Counted(NamedTuple):
    """The shares to hold, of documents as they are counted.

    Attributes:
      shares: By group; None where there are none to reach.
      most_synthetic: The greatest share of synthetic weight.
      note: Why the share asked for cannot be, None where it can.
    """

    shares: Mapping[str, Fraction] | None
    most_synthetic: Fraction
    note: str | None


def count_shares(
    rules: MixtureRules, human_share: float, synthetic_share: float
) -> Counted:
    """Returns the shares to hold, so that the truly synthetic share is as asked.

    Of human and synthetic text together a part x counts as synthetic; of it
    x * synthetic_share + (1 - x) * human_share is.
    """
    human = Fraction(human_share).limit_denominator(_DENOMINATOR)
    synthetic = Fraction(synthetic_share).limit_denominator(_DENOMINATOR)

    def count(true: Fraction) -> Fraction:
        if synthetic <= human:
            return Fraction(int(true > human))
        return min(max((true - human) / (synthetic - human), Fraction(0)), Fraction(1))

    def hidden(true: Fraction) -> str | None:
        if true >= human:
            return None
        return (
            f"hidden synthetic text: about {float(human):.2%} of what counts as human, "
            f"{float(true):.2%} asked for"
        )

    if rules.max_synthetic_fraction is not None:
        true = as_fraction(rules.max_synthetic_fraction)
        return Counted(None, count(true), hidden(true))
    if rules.synthetic_fraction is not None:
        true, rest, shares = as_fraction(rules.synthetic_fraction), Fraction(1), {}
    elif rules.mixture:
        total = sum(map(as_fraction, rules.mixture.values()))
        shares = {n: as_fraction(v) / total for n, v in rules.mixture.items()}
        rest = shares.get(HUMAN, Fraction(0)) + shares.get(SYNTHETIC, Fraction(0))
        if not (rest and HUMAN in shares and SYNTHETIC in shares):
            return Counted(shares, Fraction(1), None)
        true = shares[SYNTHETIC] / rest
    else:
        return Counted(None, Fraction(1), None)
    part = count(true)
    note = hidden(true)
    if true > synthetic:
        note = (
            f"synthetic text: about {float(synthetic):.2%} of what counts as synthetic "
            f"is, {float(true):.2%} asked for"
        )
    shares = {**shares, HUMAN: rest * (1 - part), SYNTHETIC: rest * part}
    return Counted({name: shares[name] for name in rules.listed}, Fraction(1), note)
