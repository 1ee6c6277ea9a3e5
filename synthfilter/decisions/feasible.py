"""Which sizes a mixture can have, and the nearest mixture where there is none.

Every group has a least and a greatest weight; shares tie the weights to the size of
the whole. So every constraint is a lower or an upper limit of that size. All numbers
are exact.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

Size = Fraction | float  # Only infinity is a float.

_NONE = Fraction(0)


FRESH_HUMAN = "fresh human"


class Limit(NamedTuple):
    """A lower or upper limit of the size of a set, and the constraint behind it.

    Attributes:
      size: The size; infinite as a lower limit: no set can be.
      said: The constraint with its numbers, for people.
      lacks: The group that has too little text, if that is the constraint.
    """

    size: Size
    said: str
    lacks: str | None = None


class Range(NamedTuple):
    """The weight that a group can have in a set.

    Attributes:
      least: The least weight, an integer as all weights are.
      most: The greatest.
      least_said: The constraint behind the least.
      most_said: The constraint behind the greatest.
      lacks: Whether there is no more text than `most`.
      reach: Whether `least` is asked for as such, so that it must be reached.
    """

    least: int
    most: int
    least_said: str
    most_said: str
    lacks: bool = True
    reach: bool = False


class Fresh(NamedTuple):
    """How much of the set is to be fresh documents of the human group.

    Attributes:
      share: Of the whole set, at least.
      most: The greatest weight of fresh documents.
      old: The least weight of the other human documents.
      most_said: The constraint behind `most`.
      old_said: The constraint behind `old`.
    """

    share: Fraction
    most: int
    old: int
    most_said: str
    old_said: str


class Sizes(NamedTuple):
    """The limits of the size of a set."""

    lower: list[Limit]
    upper: list[Limit]

    def least(self) -> Limit:
        """Returns the lower limit that binds."""
        return max(self.lower, key=lambda limit: limit.size)

    def most(self) -> Limit:
        """Returns the upper limit that binds."""
        return min(self.upper, key=lambda limit: limit.size)


def sizes_at_shares(
    shares: Mapping[str, Fraction],
    ranges: Mapping[str, Range],
    fresh: Fresh | None,
    human: str,
) -> Sizes:
    """Returns the sizes at which every group has exactly its share.

    Args:
      shares: By group; they add up to 1.
      ranges: By group.
      fresh: What is asked of fresh documents, None for nothing.
      human: The group that they are in.
    """
    lower, upper = [Limit(_NONE, "nothing")], []
    for name, share in shares.items():
        has = ranges[name]
        lower.append(Limit(_ratio(has.least, share), has.least_said))
        if share:
            lacks = name if has.lacks else None
            upper.append(Limit(has.most / share, has.most_said, lacks))
    if fresh is not None and fresh.share:
        upper.append(_most_fresh(fresh))
        spare = shares[human] - fresh.share
        said = f"min_fresh {float(fresh.share):g}"
        if fresh.old:
            said += f" besides {fresh.old_said}"
        size = math.inf if spare < 0 else _ratio(fresh.old, spare)
        lower.append(Limit(size, said))
    return Sizes(lower, upper)


def sizes_below_share(
    most_synthetic: Fraction,
    human: Range,
    synthetic: Range,
    fresh: Fresh | None,
    said: str,
) -> Sizes:
    """Returns the sizes at which the synthetic share can be within a maximum.

    What the two groups of a set must be, with the other one the rest of it, is a lower
    or an upper limit of the synthetic weight each; every pair of these is a limit of
    the size (Fourier-Motzkin elimination).

    Args:
      most_synthetic: The greatest share of synthetic weight.
      human: What the human weight can be.
      synthetic: What the synthetic weight can be.
      fresh: What is asked of fresh documents, None for nothing.
      said: The maximum, for people.
    """
    both = " and ".join(has.least_said for has in (human, synthetic) if has.least)
    lower = [
        Limit(Fraction(human.least + synthetic.least), both),
        Limit(_ratio(synthetic.least, most_synthetic), synthetic.least_said),
    ]
    upper = [Limit(Fraction(human.most + synthetic.most), "all text")]
    if most_synthetic < 1:
        lacks = "human" if human.lacks else None
        size = human.most / (1 - most_synthetic)
        upper.append(Limit(size, f"{human.most_said} and {said}", lacks))
    if fresh is not None and fresh.share:
        upper.append(_most_fresh(fresh))
        size = (human.most - fresh.old) / fresh.share
        upper.append(Limit(size, f"{human.most_said} and {fresh.old_said}"))
        needed = Fraction(synthetic.least + fresh.old)
        part = f"{synthetic.least_said} and {fresh.old_said}"
        lower.append(Limit(_ratio(needed, 1 - fresh.share), part))
    return Sizes(lower, upper)


def synthetic_weights(
    size: Fraction,
    most_synthetic: Fraction,
    human: Range,
    synthetic: Range,
    fresh: Fresh | None,
) -> tuple[Fraction, Fraction]:
    """Returns the least and greatest synthetic weight in a set of a feasible size."""
    least = max(Fraction(synthetic.least), size - human.most)
    most = [Fraction(synthetic.most), size - human.least, most_synthetic * size]
    if fresh is not None:
        most.append((1 - fresh.share) * size - fresh.old)
    return least, min(most)


def nearest_mixture(
    shares: Mapping[str, Fraction],
    ranges: Mapping[str, Range],
    fresh: Fresh | None,
    human: str,
    target_size: int | None,
) -> tuple[dict[str, Fraction], Fraction] | None:
    """Returns the feasible shares with the least total change, and their size.

    Of equally near mixtures that of the largest set; None where nothing but other
    shares would not do.

    Args:
      shares: The shares asked for.
      ranges: By group.
      fresh: What is asked of fresh documents, None for nothing.
      human: The group that they are in.
      target_size: The size not to exceed; None = any.
    """
    # In t = 1 / size the least share of a group is the greatest of a few a + b * t,
    # its greatest share c * t: what must change falls and rises with straight lines.
    least = {n: [(_NONE, has.least)] for n, has in ranges.items()}
    start = Fraction(1, target_size) if target_size else _NONE
    if fresh is not None and fresh.share:
        if not fresh.most:
            return None
        least[human].append((fresh.share, fresh.old))
        start = max(start, fresh.share / fresh.most)
    span = _feasible_span(start, least, ranges)
    if span is None:
        return None

    def floors(t: Fraction) -> dict[str, Fraction]:
        return {n: max(a + b * t for a, b in parts) for n, parts in least.items()}

    def raised(t: Fraction) -> Fraction:
        low = floors(t)
        return sum((max(low[n] - s, _NONE) for n, s in shares.items()), _NONE)

    def cut(t: Fraction) -> Fraction:
        return sum(
            (max(s - ranges[n].most * t, _NONE) for n, s in shares.items()), _NONE
        )

    kinks = [shares[n] / has.most for n, has in ranges.items() if has.most]
    for name, parts in least.items():
        kinks += [(shares[name] - a) / b for a, b in parts if b]
        kinks += [
            (a - c) / (d - b) for a, b in parts for c, d in parts if a > c and d > b
        ]
    t = _crossing(lambda t: raised(t) - cut(t), span, kinks)
    # What no text is left for must be cut at any size.
    t = min(k for k in [span[0], *kinks, t] if span[0] <= k <= t and cut(k) == cut(t))
    low = floors(t)
    found = {n: min(max(s, low[n]), ranges[n].most * t) for n, s in shares.items()}
    left = 1 - sum(found.values())
    # The rest of the change costs the same wherever it is made.
    room = {
        n: (ranges[n].most * t if left > 0 else low[n]) - share
        for n, share in found.items()
    }
    total = sum(room.values())
    if left:
        found = {n: share + left * room[n] / total for n, share in found.items()}
    return found, 1 / t


def _feasible_span(
    start: Fraction,
    least: Mapping[str, Sequence[tuple[Fraction, int]]],
    ranges: Mapping[str, Range],
) -> tuple[Fraction, Fraction | None] | None:
    """Returns the least and greatest t at which some shares are feasible, if any.

    The greatest is None where there is none: the set can be as small as one likes.
    """
    text = sum(has.most for has in ranges.values())
    if not text:
        return None
    start = max(start, Fraction(1, text))
    stops: list[Fraction] = []
    for name, parts in least.items():
        for a, b in parts:
            spare = ranges[name].most - b
            if spare < 0 or (a and not spare):
                return None
            if a:
                start = max(start, a / spare)
    others = sum(parts[0][1] for parts in least.values())
    for name, parts in least.items():
        for a, b in parts:
            needed = others - least[name][0][1] + b
            if a == 1 and needed:
                return None
            if needed:
                stops.append((1 - a) / needed)
    stop = min(stops, default=None)
    return None if stop is not None and start > stop else (start, stop)


def _crossing(
    excess: Callable[[Fraction], Fraction],
    span: tuple[Fraction, Fraction | None],
    kinks: Iterable[Fraction],
) -> Fraction:
    """Returns where a rising function of straight pieces is zero, or an end."""
    start, stop = span
    if excess(start) >= 0:
        return start
    if stop is not None and excess(stop) <= 0:
        return stop
    inner = {k for k in kinks if k > start and (stop is None or k < stop)}
    points = [start, *sorted(inner)]
    points.append(stop if stop is not None else points[-1] + 1)
    low, high = 0, len(points) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(points[middle]) < 0 else (low, middle)
    left, right = points[low], points[high]
    before, after = excess(left), excess(right)
    if before == after:
        return left
    return left - before * (right - left) / (after - before)


def _most_fresh(fresh: Fresh) -> Limit:
    return Limit(fresh.most / fresh.share, fresh.most_said, FRESH_HUMAN)


def _ratio(weight: int | Fraction, share: Fraction) -> Size:
    """Returns the size of a set of which a weight is the share."""
    if not weight:
        return _NONE
    return weight / share if share else math.inf
