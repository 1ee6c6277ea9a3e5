"""Which documents two builds have in common, and what became of the others."""

import dataclasses
from collections import Counter
from typing import NamedTuple

import numpy as np

from synthfilter.core.schema import ORIGIN_NAMES, REASON_NAMES, Reason

NOT_READ = "not_read"


class Documents(NamedTuple):
    """Documents of a build, in any order, a repeated one each time.

    Attributes:
      hi: Upper halves of their content hashes, uint64.
      lo: Lower halves.
      origin: `Origin` codes, uint8.
      reason: `Reason` codes, uint8.
    """

    hi: np.ndarray
    lo: np.ndarray
    origin: np.ndarray
    reason: np.ndarray


@dataclasses.dataclass
class Turnover:
    """What two builds have in common, in texts; those of parts add up with `+`.

    Attributes:
      both: In both sets.
      origins: Of those, the ones whose origin differs, by `first -> second`.
      only: In one set alone, by what became of them in the other: a reason, or
        `NOT_READ`. First those that only the first build has.
      repeated: Rows of each set beyond the first of their text.
      some: Some of `only`, by what became of them: content hashes as whole numbers.
    """

    both: int = 0
    origins: Counter[str] = dataclasses.field(default_factory=Counter)
    only: tuple[Counter[str], Counter[str]] = dataclasses.field(
        default_factory=lambda: (Counter(), Counter())
    )
    repeated: tuple[int, int] = (0, 0)
    some: tuple[dict[str, list[int]], dict[str, list[int]]] = dataclasses.field(
        default_factory=lambda: ({}, {})
    )

    def add(self, other: "Turnover", examples: int) -> None:
        """Adds those of another part of all texts."""
        self.both += other.both
        self.origins += other.origins
        first, second = (a + b for a, b in zip(self.only, other.only, strict=True))
        self.only = (first, second)
        one, two = (a + b for a, b in zip(self.repeated, other.repeated, strict=True))
        self.repeated = (one, two)
        for mine, more in zip(self.some, other.some, strict=True):
            for cause, hashes in more.items():
                mine[cause] = sorted([*mine.get(cause, ()), *hashes])[:examples]


def compare_documents(
    first: Documents, second: Documents, examples: int = 0
) -> Turnover:
    """Returns what two builds have in common.

    Args:
      first: All documents that the first build read, kept or left out.
      second: Those of the second.
      examples: How many of each cause to name: those of the lowest hashes, which is a
        random sample.
    """
    sets = [_distinct(build, kept=True) for build in (first, second)]
    rest = [_distinct(build, kept=False) for build in (first, second)]
    at = _find(sets[0], sets[1])
    common = at >= 0
    before, after = sets[0].origin[common], sets[1].origin[at[common]]
    moved = before != after
    pairs = Counter(zip(before[moved].tolist(), after[moved].tolist(), strict=True))
    found = Turnover(
        both=int(common.sum()),
        origins=Counter(
            {
                f"{ORIGIN_NAMES[a]} -> {ORIGIN_NAMES[b]}": n
                for (a, b), n in pairs.items()
            }
        ),
        repeated=(_repeats(first, sets[0]), _repeats(second, sets[1])),
    )
    alone = (~common, np.ones(len(sets[1].hi), bool))
    alone[1][at[common]] = False
    for side, other in ((0, 1), (1, 0)):
        mine = Documents(*(values[alone[side]] for values in sets[side]))
        where = _find(mine, rest[other])
        reason = np.full(len(where), len(Reason))
        reason[where >= 0] = rest[other].reason[where[where >= 0]]
        for code in np.flatnonzero(np.bincount(reason, minlength=1)).tolist():
            cause = REASON_NAMES[code] if code < len(Reason) else NOT_READ
            which = np.flatnonzero(reason == code)
            found.only[side][cause] = len(which)
            some = which[:examples]
            found.some[side][cause] = [
                int(hi) << 64 | int(lo)
                for hi, lo in zip(mine.hi[some], mine.lo[some], strict=True)
            ]
    return found


def _distinct(build: Documents, kept: bool) -> Documents:
    """Returns the texts that are in the set, or those that are not, sorted by hash.

    Of copies of one text that were left out for different reasons the reason that came
    last in the order of decisions counts, and that of exact copies only if there is no
    other: they went for a copy that fared as said.
    """
    mine = (build.reason == Reason.KEPT) == kept
    if not mine.all():
        build = Documents(*(values[mine] for values in build))
    keys = [build.lo, build.hi]
    if not kept:
        exact = build.reason == Reason.EXACT_COPY
        keys.insert(0, np.where(exact, np.uint8(Reason.KEPT), build.reason))
    order = np.lexsort(keys)
    hi, lo = build.hi[order], build.lo[order]
    last = np.ones(len(hi), bool)
    last[:-1] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    at = order[last]
    return Documents(hi[last], lo[last], build.origin[at], build.reason[at])


def _repeats(build: Documents, texts: Documents) -> int:
    """Returns how many rows of a set have the text of another."""
    return int((build.reason == Reason.KEPT).sum()) - len(texts.hi)


def _find(asked: Documents, known: Documents) -> np.ndarray:
    """Returns where each text stands among those known, -1 for nowhere: int64.

    Both are sorted and distinct.
    """
    at = np.searchsorted(known.hi, asked.hi)
    found = np.full(len(at), -1)
    open_ = np.arange(len(at))
    # Texts that share the upper half follow each other.
    while len(open_):
        open_ = open_[at[open_] < len(known.hi)]
        open_ = open_[known.hi[at[open_]] == asked.hi[open_]]
        same = known.lo[at[open_]] == asked.lo[open_]
        found[open_[same]] = at[open_[same]]
        open_ = open_[~same]
        at[open_] += 1
    return found
