"""Strata: what can be in each, and how large each is to be.

A mixture without strata is one stratum.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from synthfilter.core.errors import ShortageError
from synthfilter.decisions.cells import CORE_BIT, FRESH_BIT, Cells
from synthfilter.decisions.counted import Counted
from synthfilter.decisions.feasible import (
    Fresh,
    Limit,
    Range,
    Sizes,
    nearest_mixture,
    sizes_at_shares,
    sizes_below_share,
)
from synthfilter.decisions.rules import HUMAN, SYNTHETIC, MixtureRules, as_fraction


@dataclasses.dataclass
class Stratum:
    """What is planned by itself.

    Attributes:
      cells: Weight of the documents of each cell, by its code.
      once: The same by group.
      ranges: What each group can weigh.
      fresh: What is asked of fresh documents.
      sizes: What the whole can weigh.
      natural: What it would weigh with no size asked for.
      base: The human and synthetic weight at that size, if no shares are asked for.
      size: What it is to weigh.
    """

    cells: Mapping[int, int]
    once: Mapping[str, int]
    ranges: Mapping[str, Range]
    fresh: Fresh | None
    sizes: Sizes
    natural: Fraction
    base: tuple[int, int]
    size: Fraction = Fraction(0)


def measure_strata(
    available: Cells, rules: MixtureRules, counted: Counted
) -> list[Stratum]:
    """Returns the strata with the limits of their sizes; one where there are none."""
    found: dict[int, dict[int, int]] = {}
    columns = (available.stratum, available.code, available.weight)
    for key, code, weight in zip(*(c.tolist() for c in columns), strict=True):
        found.setdefault(key, {})[code] = weight
    cells = list(found.values()) or [{}]
    once = [_by_group(each, rules) for each in cells]
    floors = _split(rules.floors, once, math.ceil)
    caps = _split(rules.caps, once, math.floor)
    strata = []
    for i, each in enumerate(cells):
        ranges = _ranges(each, once[i], rules, floors[i], caps[i])
        fresh = _fresh(each, rules)
        where = "" if len(cells) == 1 else f"in a stratum with {_say(once[i], rules)}: "
        strata.append(
            _measure(each, once[i], ranges, fresh, rules, counted, where, len(cells))
        )
    return strata


def _by_group(cells: Mapping[int, int], rules: MixtureRules) -> dict[str, int]:
    names = rules.names
    once = dict.fromkeys(rules.listed, 0)
    for code, weight in cells.items():
        name = names[code >> 2]
        if name not in once:
            raise ShortageError(
                f"the mixture has no group for {weight} {rules.unit} of core; add "
                f"{name} to mixture"
            )
        once[name] += weight
    return once


def _say(once: Mapping[str, int], rules: MixtureRules) -> str:
    said = [f"{weight} {name}" for name, weight in once.items()]
    return f"{', '.join(said)} {rules.unit}"


def _split(
    amounts: Mapping[str, float],
    once: Sequence[Mapping[str, int]],
    whole: Callable[[float], int],
) -> list[dict[str, int]]:
    """Splits the amount of each group over strata, in proportion to its text there."""
    parts: list[dict[str, int]] = [{} for _ in once]
    for name, amount in amounts.items():
        total = sum(each[name] for each in once)
        if not total:
            parts[0][name] = whole(amount)
            continue
        seen = given = 0
        for part, each in zip(parts, once, strict=True):
            seen += each[name]
            upto = whole(amount) * seen // total
            part[name] = upto - given
            given = upto
    return parts


def _ranges(
    cells: Mapping[int, int],
    once: Mapping[str, int],
    rules: MixtureRules,
    floors: Mapping[str, int],
    caps: Mapping[str, int],
) -> dict[str, Range]:
    names = rules.names
    core = collections.Counter[str]()
    for code, weight in cells.items():
        if code & CORE_BIT:
            core[names[code >> 2]] += weight
    ranges = {}
    for name, have in once.items():
        times = rules.times(name)
        often = f", each up to {times} times" if times > 1 else ""
        text = f"the {name} text left ({have} {rules.unit}{often})"
        most = core[name] + (have - core[name]) * times
        found = Range(0, most, f"no {name} text", text)
        if core[name]:
            said = f"core ({core[name]} {rules.unit})"
            found = found._replace(least=core[name], least_said=said)
        if name in rules.protect and have > found.least:
            said = f"protect {name} ({have} {rules.unit})"
            found = found._replace(least=have, least_said=said)
        if floors.get(name, 0) > found.least:
            said = f"floors {name}={rules.floors[name]:g}"
            found = found._replace(least=floors[name], least_said=said, reach=True)
        if name in caps and caps[name] < found.most:
            said = f"caps {name}={rules.caps[name]:g}"
            found = found._replace(most=caps[name], most_said=said, lacks=False)
        ranges[name] = found
    return ranges


def _fresh(cells: Mapping[int, int], rules: MixtureRules) -> Fresh | None:
    if rules.min_fresh is None:
        return None
    fresh, core, old_core, old = human_parts(cells)
    times = rules.times(HUMAN)
    least_old = old_core + (old if HUMAN in rules.protect else 0)
    return Fresh(
        as_fraction(rules.min_fresh),
        core + fresh * times,
        least_old,
        f"the fresh human text left ({core + fresh} {rules.unit})",
        f"older human text that must be in ({least_old} {rules.unit})",
    )


def human_parts(cells: Mapping[int, int]) -> tuple[int, int, int, int]:
    """Returns the human weight: fresh, fresh of the archive, older of it, older."""
    return (
        cells.get(FRESH_BIT, 0),
        cells.get(FRESH_BIT | CORE_BIT, 0),
        cells.get(CORE_BIT, 0),
        cells.get(0, 0),
    )


def _measure(
    cells: Mapping[int, int],
    once: Mapping[str, int],
    ranges: Mapping[str, Range],
    fresh: Fresh | None,
    rules: MixtureRules,
    counted: Counted,
    where: str,
    strata: int,
) -> Stratum:
    """Returns a stratum, once it is clear that there is a mixture for it."""
    for name, has in ranges.items():
        if has.least > has.most:
            raise ShortageError(
                f"{where}no mixture holds {has.least_said} against {has.most_said}; "
                f"the nearest that can be has {has.most} {rules.unit} of {name}"
            )
    shares, base = counted.shares, (0, 0)
    if shares is not None:
        sizes = sizes_at_shares(shares, ranges, fresh, HUMAN)
        natural = _natural_size(shares, once, sizes)
    else:
        most = counted.most_synthetic
        said = f"max_synthetic_fraction {rules.max_synthetic_fraction}"
        sizes = sizes_below_share(most, ranges[HUMAN], ranges[SYNTHETIC], fresh, said)
        base = _base(once, ranges, most)
        natural = Fraction(sum(base))
    if rules.target_size is not None and strata == 1:
        size, said = Fraction(rules.target_size), f"target_size {rules.target_size}"
        sizes.upper.append(Limit(size, said))
    if sizes.least().size > sizes.most().size:
        part = counted.most_synthetic
        near = shares or {HUMAN: 1 - part, SYNTHETIC: part}
        found = None
        if shares is not None or part < 1:
            found = nearest_mixture(near, ranges, fresh, HUMAN, rules.target_size)
        raise ShortageError(where + _say_infeasible(sizes, found, rules))
    return Stratum(cells, once, ranges, fresh, sizes, natural, base)


def _say_infeasible(
    sizes: Sizes,
    found: tuple[Mapping[str, Fraction], Fraction] | None,
    rules: MixtureRules,
) -> str:
    least, most = sizes.least(), sizes.most()
    said = f"no such mixture: {least.said} cannot be at the shares asked for"
    if least.size != math.inf:
        said = (
            f"no such mixture: {least.said} needs a set of at least "
            f"{math.ceil(least.size)} {rules.unit}, {most.said} allows at most "
            f"{math.floor(most.size)}"
        )
    if found is None:
        return f"{said}; no other shares would do: loosen one of the two"
    shares, size = found
    near = ", ".join(f"{name} {float(share):.2%}" for name, share in shares.items())
    return f"{said}; the nearest that can be: {near} of {math.floor(size)} {rules.unit}"


def _natural_size(
    shares: Mapping[str, Fraction], once: Mapping[str, int], sizes: Sizes
) -> Fraction:
    """Returns how large a set with shares is with no size asked for.

    All human text is used once. Without any share of it, the size is the largest at
    which not everything is repeated.
    """
    if shares.get(HUMAN):
        return once[HUMAN] / shares[HUMAN]
    most = max(once[name] / share for name, share in shares.items() if share)
    return min(most, Fraction(sizes.most().size))


def _base(
    once: Mapping[str, int], ranges: Mapping[str, Range], most_synthetic: Fraction
) -> tuple[int, int]:
    """Returns the human and synthetic weight with neither shares nor a size."""
    human, synthetic = (
        min(max(once[name], ranges[name].least), ranges[name].most)
        for name in (HUMAN, SYNTHETIC)
    )
    if most_synthetic < 1:
        limit = math.floor(human * most_synthetic / (1 - most_synthetic))
        synthetic = min(synthetic, limit)
    return human, synthetic


def allocate_sizes(strata: Sequence[Stratum], rules: MixtureRules) -> None:
    """Sets the size of each stratum."""
    least = [Fraction(each.sizes.least().size) for each in strata]
    most = [Fraction(each.sizes.most().size) for each in strata]
    if rules.target_size is None:
        sizes = [
            min(max(each.natural, low), high)
            for each, low, high in zip(strata, least, most, strict=True)
        ]
    else:
        needed = sum(least)
        if needed > rules.target_size:
            raise ShortageError(
                f"no such mixture: target_size {rules.target_size} {rules.unit} in "
                f"{len(strata)} strata, in which what must be there makes "
                f"{math.ceil(needed)}; the nearest that can be has that size"
            )
        sizes = fill([s.natural for s in strata], least, most, rules.target_size)
    for each, size in zip(strata, sizes, strict=True):
        each.size = size


def fill(
    natural: Sequence[Fraction],
    least: Sequence[Fraction],
    most: Sequence[Fraction],
    target: int,
) -> list[Fraction]:
    """Returns sizes within limits that add up to the target, or as near as they can.

    All are the same multiple of their natural size, but for those at a limit.
    """
    # Of those at a limit, and by the factor of all others.
    fixed, slope, factor = sum(least, Fraction(0)), Fraction(0), Fraction(0)
    turns = []
    for size, low, high in zip(natural, least, most, strict=True):
        if size:
            turns += [(low / size, size, -low), (high / size, -size, high)]
    for turn, change, limit in sorted(turns):
        if fixed + slope * turn >= target:
            break
        factor, slope, fixed = turn, slope + change, fixed + limit
    if slope:
        factor = (target - fixed) / slope
    return [
        min(max(size * factor, low), high)
        for size, low, high in zip(natural, least, most, strict=True)
    ]
