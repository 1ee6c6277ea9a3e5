"""The mixture: how much of each group is to be in the set, exactly.

The weights that are left after filters and copies go in, by cell; what each cell is to
weigh comes out. Which documents these are is a matter of `cells`.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from synthfilter.core.errors import ShortageError
from synthfilter.decisions.cells import CORE_BIT, FRESH_BIT, Cells, cell_code
from synthfilter.decisions.feasible import (
    FRESH_HUMAN,
    Fresh,
    Limit,
    Range,
    Sizes,
    nearest_mixture,
    sizes_at_shares,
    sizes_below_share,
    synthetic_weights,
)
from synthfilter.decisions.rules import (
    HUMAN,
    SYNTHETIC,
    MixtureRules,
    as_fraction,
    group_names,
)

# How much of human and of synthetic text is synthetic where marks are counted.
COUNTED = (0.0, 1.0)
# Estimated shares are fractions with a denominator up to this.
_DENOMINATOR = 10**6


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


@dataclasses.dataclass
class _Stratum:
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
    strata = _strata(available, rules, counted)
    _allocate(strata, rules)
    limited = _limits(strata, rules, counted)
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
        for name in rules.listed()
    }
    return Targets(weight, up, groups, "; ".join(limited) or None)


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
    return Counted({name: shares[name] for name in rules.listed()}, Fraction(1), note)


def _strata(available: Cells, rules: MixtureRules, counted: Counted) -> list[_Stratum]:
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
    names = group_names(rules.mixture)
    once = dict.fromkeys(rules.listed(), 0)
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
    names = group_names(rules.mixture)
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
    fresh, core, old_core, old = _human_parts(cells)
    times = rules.times(HUMAN)
    least_old = old_core + (old if HUMAN in rules.protect else 0)
    return Fresh(
        as_fraction(rules.min_fresh),
        core + fresh * times,
        least_old,
        f"the fresh human text left ({core + fresh} {rules.unit})",
        f"older human text that must be in ({least_old} {rules.unit})",
    )


def _human_parts(cells: Mapping[int, int]) -> tuple[int, int, int, int]:
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
) -> _Stratum:
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
    return _Stratum(cells, once, ranges, fresh, sizes, natural, base)


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


def _allocate(strata: Sequence[_Stratum], rules: MixtureRules) -> None:
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
    total, slope, factor = sum(least, Fraction(0)), Fraction(0), Fraction(0)
    turns = []
    for size, low, high in zip(natural, least, most, strict=True):
        if size:
            turns += [(low / size, size), (high / size, -size)]
    for turn, change in sorted(turns):
        if total + slope * (turn - factor) >= target:
            break
        total += slope * (turn - factor)
        factor, slope = turn, slope + change
    if slope:
        factor += (target - total) / slope
    return [
        min(max(size * factor, low), high)
        for size, low, high in zip(natural, least, most, strict=True)
    ]


def _group_weights(stratum: _Stratum, counted: Counted) -> dict[str, int]:
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
    stratum: _Stratum, weights: Mapping[str, int], rules: MixtureRules
) -> dict[int, tuple[int, bool]]:
    """Returns what each cell is to weigh, and whether that is to be reached."""
    names = group_names(rules.mixture)
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


def _limits(
    strata: Sequence[_Stratum], rules: MixtureRules, counted: Counted
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
    return said + fresh + _open_limits(strata, rules, bool(fresh))


def _open_limits(
    strata: Sequence[_Stratum], rules: MixtureRules, fresh: bool
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
    strata: Sequence[_Stratum],
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
    stratum: _Stratum,
    size: Fraction,
    lacking: str,
    rules: MixtureRules,
    shares: Mapping[str, Fraction],
) -> str:
    """Returns how much text a set of the size would need, and how much there is."""
    if lacking == FRESH_HUMAN:
        share, times = as_fraction(rules.min_fresh or 0), rules.times(HUMAN)
        have = sum(_human_parts(stratum.cells)[:2])
    else:
        share, times = shares[lacking], rules.times(lacking)
        have = stratum.once[lacking]
    said = (
        f"{lacking} text: {math.ceil(share * size)} {rules.unit} asked for, {have} "
        "left after filters and copies"
    )
    return f"{said}, each used up to {times} times" if times > 1 else said
