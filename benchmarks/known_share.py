"""What documents of known origin tell about those whose origin is the question.

    python benchmarks/known_share.py --data 'DIR/*.parquet' --scores scores.npz

Mixtures as in true_share.py, drawn from half of a human and half of a machine-written
source whose families the estimate does not know. Of the same build the origin of other
documents is known: the other halves, or text of another family. The last table has
machine text that scores like human text, four fifths of which are known. Constants
were chosen on pairs of the sources in `CHOSEN_ON`; the first table is of pairs of the
others.
"""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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


def check_pair(
    scored: Scored, human: str, machine: str, draws: int, rng: np.random.Generator
) -> list[Outcome]:
    """Returns what the estimate makes of a pair, with each kind of known documents.

    Args:
      scored: The documents.
      human: The human source.
      machine: The machine-written one.
      draws: Mixtures of each share.
      rng: What to draw with.
    """
    sides = ((False, human), (True, machine))
    family = [scored.sources(kind)[name] for kind, name in sides]
    halves, others = [], []
    for kind, name in sides:
        rows = rng.permutation(scored.rows(kind, (name,)))
        halves.append(rows[: len(rows) // 2])
        known = scored.sources(kind)
        source = rng.choice([n for n in known if known[n] not in family])
        others.append(rng.permutation(scored.rows(kind, (str(source),))))
    left = scored._replace(source=scored.source.copy())
    left.source[np.concatenate(halves)] = ""
    cases = [
        plant_case(left, (human,), (machine,), share, SIZE, rng)
        for share in SHARES
        for _ in range(draws)
    ]
    profiles = scored.profiles(scored.without(family))
    outcomes = []
    for name, kinds in KNOWN.items():
        rows = [
            {NOTHING: half[:0], SAME: half, OTHER: other}[kind][:MOST_KNOWN]
            for kind, half, other in zip(kinds, halves, others, strict=True)
        ]
        outcomes += check(scored, cases, with_known(profiles, scored, rows), name)
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
        outcomes += check(scored, cases, profiles, "nothing")
        profiles = with_known(profiles, scored, [known])
        outcomes += check(scored, cases, profiles, "machine text of the source")
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
    pairs = list(itertools.product(scored.sources(False), scored.sources(True)))
    found = {pair: check_pair(scored, *pair, options.draws, rng) for pair in pairs}
    for said, mine in (
        ("pairs of other sources", [p for p in pairs if not CHOSEN_ON & {*p}]),
        (
            "pairs of sources that constants were chosen on",
            [p for p in pairs if CHOSEN_ON >= {*p}],
        ),
        ("all pairs", pairs),
    ):
        outcomes = [outcome for pair in mine for outcome in found[pair]]
        print(f"{said}: {len(mine)}\n\n{table_of(outcomes, tuple(KNOWN))}\n")
    like = check_like_human(scored, options.draws, rng)
    said = tuple(KNOWN)[:2]
    print(f"machine text that scores like human text\n\n{table_of(like, said)}")


if __name__ == "__main__":
    main()
