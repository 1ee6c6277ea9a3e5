"""What keeps a set from what was asked for, in words."""

import collections
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from synthfilter.core.errors import ShortageError
from synthfilter.decisions.counted import Counted
from synthfilter.decisions.feasible import FRESH_HUMAN
from synthfilter.decisions.rules import HUMAN, SYNTHETIC, MixtureRules, as_fraction
from synthfilter.decisions.strata import Stratum, human_parts


def tell_limits(
    strata: Sequence[Stratum], rules: MixtureRules, counted: Counted
) -> list[str]:
    """Returns what keeps the set from what was asked, for people.

    Raises:
      ShortageError: the policy is `fail` and text is what is lacking.
    """
    natural = sum(each.natural for each in strata)
    wanted = [each.natural for each in strata]
    if rules.target_size is not None and len(strata) == 1:
        wanted = [Fraction(rules.target_size)]
    elif rules.target_size is not None and natural:
        wanted = [size * rules.target_size / natural for size in wanted]
    said = [counted.note] if counted.note else []
    if counted.shares is not None:
        size = sum(each.size for each in strata)
        if rules.target_size is None or size < rules.target_size:
            said += _shortage(strata, wanted, rules, counted.shares)
        return said
    # Where anything else is lacking, the open limits say it.
    least = [
        size if each.sizes.most().lacks == FRESH_HUMAN else each.size
        for each, size in zip(strata, wanted, strict=True)
    ]
    fresh = _shortage(strata, least, rules, {})
    return said + fresh + _tell_open_limits(strata, rules, bool(fresh))


def _tell_open_limits(
    strata: Sequence[Stratum], rules: MixtureRules, fresh: bool
) -> list[str]:
    """Returns the limits of a set without shares to reach."""
    size = math.floor(sum(each.size for each in strata))
    natural = math.floor(sum(each.natural for each in strata))
    target = rules.target_size
    if target is not None and natural:
        if target > size >= natural:
            text = f"{natural} are left after filters and copies"
            if rules.shortage.policy == "fail":
                raise ShortageError(
                    f"target_size {target} {rules.unit} cannot be met: {text}; lower "
                    "it or use --on-shortage shrink"
                )
            asked = f"text: {target} {rules.unit} asked for, {natural} left"
            return [f"{asked} after filters and copies"]
        if size < natural and not fresh:
            return ["target_size"]
    said = [
        f"caps {name}={cap:g}"
        for name, cap in rules.caps.items()
        if any(each.once[name] > each.ranges[name].most for each in strata)
    ]
    if any(
        s.base[1] < min(s.once[SYNTHETIC], s.ranges[SYNTHETIC].most) for s in strata
    ):
        said.append(f"max_synthetic_fraction {rules.max_synthetic_fraction}")
    return said


def _shortage(
    strata: Sequence[Stratum],
    wanted: Sequence[Fraction],
    rules: MixtureRules,
    shares: Mapping[str, Fraction],
) -> list[str]:
    """Returns what is lacking for the sizes wanted, in a line or none."""
    short = [
        (each, size)
        for each, size in zip(strata, wanted, strict=True)
        if each.size < size
    ]
    if not short:
        return []
    lacks = collections.Counter(each.sizes.most().lacks for each, _ in short)
    lacking = lacks.most_common(1)[0][0]
    if lacking is None:
        return [short[0][0].sizes.most().said]
    if len(strata) == 1:
        ((stratum, size),) = short
        said = _tell_lack(stratum, size, lacking, rules, shares)
    else:
        said = f"{lacking} text in {lacks[lacking]} of {len(strata)} strata"
    if rules.shortage.policy == "fail":
        raise ShortageError(
            f"too little {said}; lower the share or the size, add {lacking} text, or "
            "use --on-shortage shrink or repeat:N"
        )
    return [said]


def _tell_lack(
    stratum: Stratum,
    size: Fraction,
    lacking: str,
    rules: MixtureRules,
    shares: Mapping[str, Fraction],
) -> str:
    """Returns how much text a set of the size would need, and how much there is."""
    if lacking == FRESH_HUMAN:
        share, times = as_fraction(rules.min_fresh or 0), rules.times(HUMAN)
        have = sum(human_parts(stratum.cells)[:2])
    else:
        share, times = shares[lacking], rules.times(lacking)
        have = stratum.once[lacking]
    said = (
        f"{lacking} text: {math.ceil(share * size)} {rules.unit} asked for, {have} "
        "left after filters and copies"
    )
    return f"{said}, each used up to {times} times" if times > 1 else said
