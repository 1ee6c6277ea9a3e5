"""What documents of known origin tell about those whose origin is the question.

    python benchmarks/known_share.py --data 'DIR/*.parquet' --scores scores.npz

Mixtures as in true_share.py, drawn from half of a human and half of a machine-written
source whose families the estimate does not know. Of the same build the origin of other
documents is known: the other halves, or text of another family. Then the same with a
calibration on text of the sources, and with machine text that scores like human text,
four fifths of which are known. Constants were chosen on pairs of the sources in
`CHOSEN_ON`; what they are worth is told of pairs of the others.
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from planted import SHARES, Case, Scored, plant_case, read_scores
from true_share import Outcome, look, table_of

from synthfilter.core.profiles import Profiles
from synthfilter.decisions.prevalence import CONFIDENCE, estimate_prevalence

CHOSEN_ON = {
    *("l2r", "arena_hard", "human_18f", "human_eip", "human_nltk_movie", "human_pep"),
    "rexshijaku",
}
SIZE = 1000
MOST_KNOWN = 2000
"""Documents of a class whose origin is known."""
LIKE_HUMAN = "continued by a base model"
"""What the names of such machine text have: a base model continued human text."""

# Of which source documents are known: human and machine-written ones.
NOTHING, SAME, OTHER = "nothing", "same", "other"
KNOWN = {
    "nothing": (NOTHING, NOTHING),
    "machine text of the source": (NOTHING, SAME),
    "machine text of another family": (NOTHING, OTHER),
    "human text of the source": (SAME, NOTHING),
    "both of the sources": (SAME, SAME),
    "both of other families": (OTHER, OTHER),
}
_CALIBRATED = tuple(KNOWN)[:3]
_LIKE_HUMAN = tuple(KNOWN)[:2]


class Pair(NamedTuple):
    """A human and a machine-written source: what is mixed, and what is known.

    Attributes:
      human: The human source.
      machine: The machine-written one.
      cases: The mixtures.
      own: Rows of both sources that are in no mixture.
      other: Rows of a source of another family, of each class.
      families: Of both sources.
    """

    human: str
    machine: str
    cases: list[Case]
    own: list[np.ndarray]
    other: list[np.ndarray]
    families: list[str]


def draw_pair(
    scored: Scored, human: str, machine: str, draws: int, rng: np.random.Generator
) -> Pair:
    """Returns mixtures of half of each of two sources.

    Args:
      scored: The documents.
      human: The human source.
      machine: The machine-written one.
      draws: Mixtures of each share.
      rng: What to draw with.
    """
    sides = ((False, human), (True, machine))
    family = [scored.sources(kind)[name] for kind, name in sides]
    own, others = [], []
    for kind, name in sides:
        rows = rng.permutation(scored.rows(kind, (name,)))
        own.append(rows[: len(rows) // 2])
        known = scored.sources(kind)
        source = rng.choice([n for n in known if known[n] not in family])
        others.append(rng.permutation(scored.rows(kind, (str(source),))))
    left = scored._replace(source=scored.source.copy())
    left.source[np.concatenate(own)] = ""
    cases = [
        plant_case(left, (human,), (machine,), share, SIZE, rng)
        for share in SHARES
        for _ in range(draws)
    ]
    return Pair(human, machine, cases, own, others, family)


def is_other(pair: Pair) -> bool:
    """Returns whether constants were chosen on neither source."""
    return not CHOSEN_ON & {pair.human, pair.machine}


def check_pair(scored: Scored, pair: Pair) -> list[Outcome]:
    """Returns what the estimate makes of a pair, with each kind of known documents."""
    profiles = scored.profiles(scored.without(pair.families))
    outcomes = []
    for name, kinds in KNOWN.items():
        rows = [
            {NOTHING: own[:0], SAME: own, OTHER: other}[kind][:MOST_KNOWN]
            for kind, own, other in zip(kinds, pair.own, pair.other, strict=True)
        ]
        known = with_known(profiles, scored, rows)
        outcomes += check(scored, pair.cases, known, name)
    return outcomes


def check_calibrated(scored: Scored, pair: Pair) -> list[Outcome]:
    """Returns the same with a calibration on half of what is in no mixture."""
    calibrated, known = ([rows[start::2] for rows in pair.own] for start in (0, 1))
    profiles = replace(scored.profiles(np.concatenate(calibrated)), own=(True, True))
    outcomes = []
    for name, rows in zip(
        _CALIBRATED, (known[1][:0], known[1], pair.other[1]), strict=True
    ):
        mine = with_known(profiles, scored, [rows[:MOST_KNOWN]])
        outcomes += check(scored, pair.cases, mine, name)
    return outcomes


def with_known(
    profiles: Profiles, scored: Scored, rows: Sequence[np.ndarray]
) -> Profiles:
    """Returns profiles with documents of known origin beside them.

    Args:
      profiles: Of the detector.
      scored: The documents.
      rows: Those of known origin, of all classes.
    """
    known = scored.profiles(np.concatenate(rows)).counts.sum(axis=0)
    return replace(profiles, known=known)


def check(
    scored: Scored, cases: Sequence[Case], profiles: Profiles, name: str
) -> list[Outcome]:
    """Returns what the estimate makes of mixtures, under the name of what is known."""
    found = estimate_prevalence(look(scored, cases), profiles, CONFIDENCE)
    return [
        Outcome(case, name, *interval)
        for case, interval in zip(cases, found.groups, strict=True)
    ]


def check_like_human(
    scored: Scored, draws: int, rng: np.random.Generator
) -> list[Outcome]:
    """Returns outcomes where machine text scores like human text."""
    by_name = scored._replace(source=scored.name)
    machine = [name for name in by_name.sources(True) if LIKE_HUMAN in name]
    left_out = {by_name.sources(True)[name] for name in machine}
    rows = rng.permutation(by_name.rows(True, machine))
    known, hidden = rows[: 4 * len(rows) // 5], rows[4 * len(rows) // 5 :]
    left = scored._replace(source=scored.source.astype(object))
    left.source[known] = ""
    left.source[hidden] = LIKE_HUMAN
    outcomes = []
    for human, family in scored.sources(False).items():
        if family in left_out:
            continue
        cases = [
            plant_case(left, (human,), (LIKE_HUMAN,), share, SIZE, rng)
            for share in SHARES
            for _ in range(draws)
        ]
        profiles = scored.profiles(scored.without({family, *left_out}))
        outcomes += check(scored, cases, profiles, _LIKE_HUMAN[0])
        profiles = with_known(profiles, scored, [known])
        outcomes += check(scored, cases, profiles, _LIKE_HUMAN[1])
    return outcomes


def main() -> None:
    """Prints the tables of docs/true-share.md about known documents."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="", help="glob of labelled Parquet files")
    parser.add_argument("--scores", type=Path, help="file that keeps the scores")
    parser.add_argument("--draws", type=int, default=1, help="mixtures of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the draws")
    options = parser.parse_args()
    scored = read_scores(options.scores, options.data)
    rng = np.random.default_rng(options.seed)
    names = list(itertools.product(scored.sources(False), scored.sources(True)))
    pairs = [draw_pair(scored, *name, options.draws, rng) for name in names]
    found = [(pair, check_pair(scored, pair)) for pair in pairs]
    others = [pair for pair in pairs if is_other(pair)]
    told = [o for pair, of in found if is_other(pair) for o in of]
    print(f"{len(others)} pairs of other sources\n\n{table_of(told, tuple(KNOWN))}\n")
    told = [outcome for _, outcomes in found for outcome in outcomes]
    print(f"all {len(pairs)} pairs\n\n{table_of(told, tuple(KNOWN))}\n")
    told = [o for pair in others for o in check_calibrated(scored, pair)]
    print(f"calibrated on the sources\n\n{table_of(told, _CALIBRATED)}\n")
    told = check_like_human(scored, options.draws, rng)
    mine = [outcome for outcome in told if not CHOSEN_ON & {*outcome.case.human}]
    print(f"text that scores like human text\n\n{table_of(mine, _LIKE_HUMAN)}\n")
    print(f"the same, all human sources\n\n{table_of(told, _LIKE_HUMAN)}")


if __name__ == "__main__":
    main()
