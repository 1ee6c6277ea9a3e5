"""What the finished runs say, in figures."""

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.collapse.jobs import TRIGRAMS
from benchmarks.collapse.policies import POLICIES

Line = Mapping[str, Any]
Generation = Mapping[str, Any]
# Student's t for two-sided intervals of 90%, by degrees of freedom.
_T90 = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132}


class Mean(NamedTuple):
    """A mean over seeds.

    Attributes:
      value: The mean.
      half: Half the width of its 90% interval; None for a single seed.
    """

    value: float
    half: float | None

    def show(self, form: str) -> str:
        """Returns both as text; `form` is a format such as .2f."""
        said = f"{self.value:{form}}"
        return said if self.half is None else f"{said} ± {self.half:{form}}"


def mean_of(values: Iterable[float]) -> Mean:
    """Returns the mean of at least one value, with Student's interval."""
    found = list(values)
    half = None
    if len(found) > 1:
        half = _T90[len(found) - 1] * np.std(found, ddof=1) / len(found) ** 0.5
    return Mean(float(np.mean(found)), half)


def chains_of(lines: Iterable[Line], kind: str) -> dict[str, list[list[Generation]]]:
    """Returns the generations of each run of a kind, by policy as in the table."""
    found: dict[str, list[list[Generation]]] = collections.defaultdict(list)
    for line in lines:
        if line["kind"] == kind:
            found[line["policy"]].append(line["generations"])
    return {name: found[name] for name in POLICIES if name in found}


def ratios(chain: Sequence[Generation], name: str = "perplexity") -> list[float]:
    """Returns a figure of each generation over that of generation 0."""
    return [generation[name] / chain[0][name] for generation in chain]


def last(
    chains: Sequence[Sequence[Generation]], figure: Callable[[Generation], float | None]
) -> Mean | None:
    """Returns a figure of the last generations; None where one does not have it."""
    values = [figure(chain[-1]) for chain in chains]
    known = [value for value in values if value is not None]
    return mean_of(known) if len(known) == len(values) else None


class Held(NamedTuple):
    """How often intervals of the share hold the true one.

    Attributes:
      held: Generations in which they do.
      of: Generations.
    """

    held: int
    of: int


def count_held(chains: Sequence[Sequence[Generation]]) -> Held | None:
    """Returns how often, of all generations but the first; None without estimates."""
    told = [
        generation["low"] <= generation["true"] <= generation["high"]
        for chain in chains
        for generation in chain[1:]
        if generation["low"] is not None
    ]
    return Held(sum(told), len(told)) if told else None


class Fit(NamedTuple):
    """ln(perplexity / that of generation 0) as a multiple of the true share.

    Attributes:
      slope: The multiple.
      correlation: Of the two.
      sets: How many there were.
    """

    slope: float
    correlation: float
    sets: int


# They have nothing of the archive, or the same tenth of it again.
WITHOUT_ARCHIVE = ("replace", "tenth", "crawl")


def fit_share(lines: Iterable[Line], without: Sequence[str] = ()) -> Fit:
    """Returns the fit over the last sets of all runs with trigrams but some."""
    chains = [
        chain
        for name, found in chains_of(lines, TRIGRAMS).items()
        for chain in found
        if name not in without
    ]
    share = np.array([chain[-1]["true"] for chain in chains])
    loss = np.log([ratios(chain)[-1] for chain in chains])
    slope = float((share * loss).sum() / (share**2).sum())
    return Fit(slope, float(np.corrcoef(share, loss)[0, 1]), len(chains))


class Goal(NamedTuple):
    """Something that was to be reached.

    Attributes:
      what: In words.
      figure: What was found.
      met: Whether that is enough.
    """

    what: str
    figure: str
    met: bool


def judge_goals(lines: Sequence[Line]) -> list[Goal]:
    """Returns the goals for which there are runs."""
    chains = chains_of(lines, TRIGRAMS)
    goals = []
    if "replace" in chains:
        mean = mean_of(ratios(chain)[-1] for chain in chains["replace"])
        goal = Goal("replace: perplexity above 2", mean.show(".2f"), mean.value > 2)
        goals.append(goal)
    for name, what in (
        ("share10", "ledger 80%, defaults, held to 10%"),
        ("ledger80", "ledger 80%, nothing held"),
        ("own80", "fitted detector, ledger 80%, nothing held"),
    ):
        held = count_held(chains.get(name, []))
        if held is not None:
            mean = mean_of(ratios(chain)[-1] for chain in chains[name])
            said = f"{what}: perplexity at most 1.10"
            goals.append(Goal(said, mean.show(".2f"), mean.value <= 1.1))
            said = f"{what}: intervals hold the true share in 90% of generations"
            often = f"{held.held} of {held.of}"
            goals.append(Goal(said, often, held.held >= 0.9 * held.of))
    return goals
