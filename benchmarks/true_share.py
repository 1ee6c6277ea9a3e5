"""Plants machine-written text among human text and checks the estimate of its share.

    python benchmarks/true_share.py --data 'DIR/*.parquet' --scores scores.npz

Human text of one source and machine-written text of one source (or of two each) are
mixed so that 0, 5, 20, 50 and 80% of the words are the machine's. Neither source nor
its family is in the profiles that the estimate has, and every score is from a model
that saw neither. The tables say how near the estimates are and how often the intervals
hold. `--scores` keeps the scores, which take ten minutes, for the next time.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from planted import (
    SHARES,
    Case,
    Scored,
    mixed_cases,
    narrow_cases,
    plant_case,
    read_scores,
    unseen_cases,
)

from synthfilter.core.profiles import Profiles
from synthfilter.decisions.prevalence import (
    CONFIDENCE,
    Observed,
    estimate_prevalence,
    observe,
)

SIZES = (300, 3000)
OURS, EM, ROGAN_GLADEN, FLAGGED = METHODS = (
    "estimate",
    "EM, mean source",
    "Rogan-Gladen, sampling error only",
    "flagged",
)
# What the number of documents that evidence counts as is chosen from.
EVIDENCE_CHOICES = (80.0, 40.0, 20.0)
_Z = 1.6448536269514722
"""Of a two-sided 90% interval."""


class Outcome(NamedTuple):
    """What one method made of one case."""

    case: Case
    method: str
    estimate: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the truth is in the interval, to a thousandth."""
        return self.low - 1e-3 <= self.case.true <= self.high + 1e-3


def look(scored: Scored, cases: Sequence[Case]) -> Observed:
    """Returns what is observed of mixtures, each a group, by words."""
    rows = np.concatenate([case.rows for case in cases])
    return observe(
        np.repeat(np.arange(len(cases)), [len(case.rows) for case in cases]),
        scored.score[rows],
        scored.words[rows],
        scored.score[rows] >= scored.threshold,
        scored.words[rows],
        len(cases),
    )


def check(
    scored: Scored,
    cases: Sequence[Case],
    profiles: Profiles,
    known: np.ndarray,
    evidence: float | None = None,
) -> list[Outcome]:
    """Returns what each method makes of each case.

    Args:
      scored: The documents.
      cases: The mixtures.
      profiles: For the estimate.
      known: The rows that the other methods have their rates of.
      evidence: For the estimate; None for the usual one.
    """
    observed = look(scored, cases)
    found = estimate_prevalence(observed, profiles, CONFIDENCE, evidence)
    rates = [_rate(scored, known[scored.synthetic[known] == kind]) for kind in (0, 1)]
    outcomes = []
    for number, (case, ours) in enumerate(zip(cases, found.groups, strict=True)):
        alone = np.zeros_like(observed.weight)
        alone[number] = observed.weight[number]
        em = found.cross_check(alone) or 0.0
        flagged = float(alone[..., 1].sum() / alone.sum())
        error = _Z * np.sqrt(flagged * (1 - flagged) / len(case.rows))
        low, middle, high = (
            float(np.clip((q - rates[0]) / (rates[1] - rates[0]), 0, 1))
            for q in (flagged - error, flagged, flagged + error)
        )
        outcomes += [
            Outcome(case, OURS, *ours),
            Outcome(case, EM, em, em, em),
            Outcome(case, ROGAN_GLADEN, middle, low, high),
            Outcome(case, FLAGGED, flagged, flagged, flagged),
        ]
    return outcomes


def _rate(scored: Scored, rows: np.ndarray) -> float:
    """Returns the share that is flagged, sources counting the same."""
    flagged, name = scored.score[rows] >= scored.threshold, scored.name[rows]
    return float(np.mean([flagged[name == one].mean() for one in np.unique(name)]))


def check_unseen(
    scored: Scored, cases: dict[frozenset[str], list[Case]]
) -> list[Outcome]:
    """Returns what each method makes of cases whose families it does not know."""
    outcomes = []
    for families, mine in cases.items():
        known = scored.without(families)
        outcomes += check(scored, mine, scored.profiles(known), known)
    return outcomes


def check_own(
    scored: Scored, own_machine: bool, size: int, draws: int, seed: int
) -> list[Outcome]:
    """Returns what calibrating on half of the source at hand is worth.

    Args:
      scored: The documents.
      own_machine: Whether on machine-written text of the source, too.
      size: Documents of a mixture.
      draws: Mixtures of each kind.
      seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    human, machine = scored.sources(False), scored.sources(True)
    outcomes = []
    for one, other in itertools.product(human, machine):
        rows = [rng.permutation(scored.rows(False, (one,)))]
        rows.append(rng.permutation(scored.rows(True, (other,))))
        halves = [of[: len(of) // 2] for of in rows]
        rest = scored.without((human[one], machine[other]))
        rest = rest[scored.synthetic[rest]]
        known = np.concatenate([halves[0], halves[1] if own_machine else rest])
        profiles = scored.profiles(known)
        profiles = Profiles(profiles.sources, profiles.counts, (True, own_machine))
        left = scored._replace(source=scored.source.copy())
        left.source[np.concatenate(halves)] = ""
        cases = [
            plant_case(left, (one,), (other,), share, size, rng)
            for share in SHARES
            for _ in range(draws)
        ]
        outcomes += check(scored, cases, profiles, known)
    return outcomes


def check_nested(
    scored: Scored, cases: dict[frozenset[str], list[Case]]
) -> tuple[list[Outcome], dict[float, int]]:
    """Returns outcomes with the evidence chosen without the families at hand.

    For each set of families: the cases of others, estimated without these either,
    choose the largest evidence under which nine in ten of the intervals hold.

    Returns:
      And for how many cases each was chosen.
    """
    outcomes, chosen = [], dict.fromkeys(EVIDENCE_CHOICES, 0)
    for families, mine in cases.items():
        evidence = _choose_evidence(scored, families, cases)
        chosen[evidence] += len(mine)
        known = scored.without(families)
        profiles = scored.profiles(known)
        outcomes += check(scored, mine, profiles, known, evidence)
    return outcomes, chosen


def _choose_evidence(
    scored: Scored, families: frozenset[str], inner: dict[frozenset[str], list[Case]]
) -> float:
    """Returns the choice of `check_nested` for some families."""
    for evidence in EVIDENCE_CHOICES:
        held: list[bool] = []
        for others, cases in inner.items():
            known = scored.without(families | others)
            if others & families or not scored.synthetic[known].any():
                continue
            found = estimate_prevalence(
                look(scored, cases), scored.profiles(known), CONFIDENCE, evidence
            )
            for case, (low, middle, high) in zip(cases, found.groups, strict=True):
                outcome = Outcome(case, OURS, middle, low, high)
                held.append(outcome.holds)
        if held and np.mean(held) >= CONFIDENCE:
            return evidence
    return EVIDENCE_CHOICES[-1]


def table_of(outcomes: Sequence[Outcome], methods: Sequence[str] = METHODS) -> str:
    """Returns the Markdown table of some outcomes, by share and method."""
    lines = [
        "| planted | method | mean estimate | mean error | interval's width | holds |",
        "|---|---|---|---|---|---|",
    ]
    for share in (*SHARES, None):
        for method in methods:
            mine = [
                outcome
                for outcome in outcomes
                if outcome.method == method and share in (None, outcome.case.share)
            ]
            lines.append(_row("all" if share is None else f"{share:.0%}", method, mine))
    return "\n".join(lines)


def _row(name: str, method: str, outcomes: Sequence[Outcome]) -> str:
    found = np.array([(o.estimate, o.low, o.high, o.case.true) for o in outcomes])
    estimate, low, high, true = found.T
    held = np.mean([outcome.holds for outcome in outcomes])
    interval = f"{np.mean(high - low):.1%} | {held:.1%}"
    if method in (EM, FLAGGED):
        interval = " | "
    return (
        f"| {name} | {method} | {estimate.mean():.1%} | "
        f"{np.abs(estimate - true).mean():.1%} | {interval} |"
    )


def table_of_sources(outcomes: Sequence[Outcome]) -> str:
    """Returns how often the intervals hold, by the source that was not known."""
    lines = ["| source | as human text | as machine text |", "|---|---|---|"]
    ours = [outcome for outcome in outcomes if outcome.method == OURS]
    names = sorted({name for o in ours for name in (*o.case.human, *o.case.machine)})
    for name in names:
        sides = [
            [o.holds for o in ours if name in o.case.human],
            [o.holds for o in ours if name in o.case.machine],
        ]
        shown = " | ".join(f"{np.mean(side):.1%}" if side else "" for side in sides)
        lines.append(f"| {name} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the tables of docs/true-share.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="", help="glob of labelled Parquet files")
    parser.add_argument("--scores", type=Path, help="file that keeps the scores")
    parser.add_argument("--draws", type=int, default=2, help="mixtures of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the draws")
    parser.add_argument(
        "--nested", action="store_true", help="choose the evidence, too (longer)"
    )
    options = parser.parse_args()
    scored = read_scores(options.scores, options.data)
    cases = unseen_cases(scored, SIZES, options.draws, options.seed)
    unseen = check_unseen(scored, cases)
    count = sum(len(mine) for mine in cases.values())
    print(f"{count:,} mixtures of sources that were not known\n\n{table_of(unseen)}\n")
    for size in SIZES:
        mine = [outcome for outcome in unseen if len(outcome.case.rows) == size]
        print(f"{size:,} documents\n\n{table_of(mine, (OURS, ROGAN_GLADEN))}\n")
    print(f"{table_of_sources(unseen)}\n")
    mixed = check_unseen(
        scored, mixed_cases(scored, SIZES, 20 * options.draws, options.seed + 1)
    )
    print(f"two sources of each class, not known\n\n{table_of(mixed, (OURS, EM))}\n")
    for own_machine in (False, True):
        own = check_own(scored, own_machine, SIZES[1], options.draws, options.seed + 2)
        said = "human and machine text" if own_machine else "human text"
        print(f"calibrated on {said} of its own\n\n{table_of(own, (OURS, EM))}\n")
    by_name = scored._replace(source=scored.name)
    narrow = narrow_cases(by_name, 50 * options.draws, options.seed + 3)
    outcomes = check_unseen(by_name, narrow)
    print(f"one domain, not known\n\n{table_of(outcomes, (OURS, EM))}\n")
    if not options.nested:
        return
    nested, chosen = check_nested(by_name, narrow)
    said = ", ".join(f"{value:g} {times} times" for value, times in chosen.items())
    print(f"the same; evidence chosen by others: {said}\n\n{table_of(nested, (OURS,))}")


if __name__ == "__main__":
    main()
