"""How often the monitor alarms at nothing, and how soon at something.

    python benchmarks/monitor.py --runs 4000
    python benchmarks/monitor.py --calibrate --runs 4000

Series of 24 builds are simulated: some that do not change (Gaussian, heavy-tailed,
skewed, autocorrelated), some that begin to drift after twelve builds, and sets into
which a share of the set before is fed back, by a model that forgets rare words. The
rule is the package's own. Its limit was chosen with `--calibrate`, on other random
numbers than those of the tables.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from synthfilter.insight.change_point import DOWN, EITHER, UP, find_changes

BUILDS = 24
CHANGED = 12
# How many series have a rule of their own, and how many of them alarm both ways.
SERIES, BOTH_WAYS = 20, 3
KINDS = (
    "Gaussian",
    "t, 3 degrees",
    "lognormal",
    "AR(1), 0.3",
    "AR(1), 0.5",
    "AR(1), 0.7",
)
DRIFTS = (0.25, 0.5, 1.0, 2.0)
STEPS = (2.0, 4.0)
LOOPS = (0.05, 0.1, 0.2, 0.3)
# In the small world of a loop.
VOCABULARY, WORDS = 20_000, 60_000
NEVER = 99
_REPORTED, _CALIBRATED = 2, 1


def stationary(kind: str, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Returns series that do not change, of variance 1: [runs, builds]."""
    noise = rng.standard_normal((runs, BUILDS))
    if kind.startswith("t,"):
        return rng.standard_t(3, (runs, BUILDS)) / np.sqrt(3)
    if kind == "lognormal":
        skewed = np.exp(0.6 * noise)
        return (skewed - skewed.mean()) / skewed.std()
    if kind.startswith("AR"):
        before = float(kind.partition(", ")[2])
        for place in range(1, BUILDS):
            noise[:, place] *= np.sqrt(1 - before**2)
            noise[:, place] += before * noise[:, place - 1]
    return noise


def alarm_rate(series: np.ndarray, bad: str, limit: float | None = None) -> float:
    """Returns which share of series has an alarm."""
    return float(np.mean([bool(find_changes(row, bad, 1e-9, limit)) for row in series]))


def delays(series: np.ndarray, bad: str, start: int = CHANGED) -> np.ndarray:
    """Returns after how many changed builds each series first alarms, or `NEVER`.

    Alarms before the change are passed over.
    """
    found = []
    for row in series:
        after = [c.at - start + 1 for c in find_changes(row, bad, 1e-9)]
        found.append(min((delay for delay in after if delay > 0), default=NEVER))
    return np.array(found)


def drifting(
    drift: float, runs: int, rng: np.random.Generator, start: int = CHANGED
) -> np.ndarray:
    """Returns Gaussian series that rise by so many deviations a build, from one on."""
    rise = np.maximum(0, np.arange(BUILDS) - start + 1)
    return stationary(KINDS[0], runs, rng) + drift * rise


def stepping(step: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Returns Gaussian series that stand higher from one build on."""
    return stationary(KINDS[0], runs, rng) + step * (np.arange(BUILDS) >= CHANGED)


def shrinking(shrink: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Returns tail masses that lose a share each round, with noise of 2%."""
    rounds = np.maximum(0, np.arange(BUILDS) - CHANGED + 1)
    noise = 1 + 0.02 * rng.standard_normal((runs, BUILDS))
    return 0.02 * (1 - shrink) ** rounds * noise


def small_loop(share: float, rng: np.random.Generator) -> dict[str, list[float]]:
    """Returns figures of sets of words, a share of which the set before wrote.

    People write words at Zipf's frequencies, of which each varies by a tenth from
    build to build. From build `CHANGED` on, a share of the words is by a model of the
    set before, which knows the words that were in it at least twice.
    """
    zipf = 1 / np.arange(1, VOCABULARY + 1)
    before = np.zeros(VOCABULARY, np.int64)
    figures: dict[str, list[float]] = {"hapax_share": [], "tail_mass": []}
    for place in range(BUILDS):
        human = zipf * np.exp(0.1 * rng.standard_normal(VOCABULARY))
        odds = human / human.sum()
        if place >= CHANGED:
            known = np.where(before > 1, before, 0)
            odds = (1 - share) * odds + share * known / known.sum()
        before = rng.multinomial(WORDS, odds)
        figures["hapax_share"].append(float((before == 1).sum() / (before > 0).sum()))
        figures["tail_mass"].append(float(before[before <= 2].sum() / WORDS))
    return figures


def loop_delays(share: float, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Returns after how many rounds any figure of a loop alarms."""
    worlds = [small_loop(share, rng) for _ in range(runs)]
    by_figure = [
        delays(np.array([world[name] for world in worlds]), DOWN) for name in worlds[0]
    ]
    return np.min(by_figure, axis=0)


def whole_rate(one: float, both: float) -> float:
    """Returns how often any series alarms if each does by itself."""
    return 1 - (1 - one) ** (SERIES - BOTH_WAYS) * (1 - both) ** BOTH_WAYS


def false_alarms(runs: int, rng: np.random.Generator) -> list[list[str]]:
    """Returns the rows of the table of false alarms."""
    rows = []
    for kind in KINDS:
        series = stationary(kind, runs, rng)
        one, both = alarm_rate(series, UP), alarm_rate(series, EITHER)
        rows.append([kind, *(f"{x:.1%}" for x in (one, both, whole_rate(one, both)))])
    return rows


def found_changes(runs: int, rng: np.random.Generator) -> list[list[str]]:
    """Returns the rows of the table of delays."""
    found: dict[str, np.ndarray] = {}
    for drift in DRIFTS:
        found[f"drift of {drift:g} deviations a build"] = delays(
            drifting(drift, runs, rng), UP
        )
    found["drift of 1 deviation from the first build on"] = delays(
        drifting(1.0, runs, rng, start=0), UP, start=0
    )
    for step in STEPS:
        found[f"step of {step:g} deviations"] = delays(stepping(step, runs, rng), UP)
    for shrink in (0.01, 0.02, 0.05):
        found[f"tail mass shrinks by {shrink:.0%} a round, noise 2%"] = delays(
            shrinking(shrink, runs, rng), DOWN
        )
    for share in LOOPS:
        found[f"small loop, {share:.0%} of each set by the one before"] = loop_delays(
            share, max(runs // 40, 10), rng
        )
    rows = []
    for name, values in found.items():
        half, most = (_quantile(values, part) for part in (0.5, 0.9))
        rows.append([name, half, most, f"{np.mean(values < NEVER):.0%}"])
    return rows


def _quantile(values: np.ndarray, part: float) -> str:
    value = np.sort(values)[int(np.ceil(part * len(values))) - 1]
    return "not found" if value == NEVER else f"{value:.0f}"


def calibrate(runs: int, rng: np.random.Generator) -> list[list[str]]:
    """Returns rates of false alarms by limit: of each kind, one way."""
    series = {kind: stationary(kind, runs, rng) for kind in KINDS}
    return [
        [
            f"{limit:g}",
            *(f"{alarm_rate(rows, UP, limit):.1%}" for rows in series.values()),
        ]
        for limit in (6.0, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5, 10.0)
    ]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="series of each kind")
    parser.add_argument("--calibrate", action="store_true", help="rates by limit")
    options = parser.parse_args()
    if options.calibrate:
        rng = np.random.default_rng(_CALIBRATED)
        print(table(["limit", *KINDS], calibrate(options.runs, rng)))
        return
    rng = np.random.default_rng(_REPORTED)
    columns = ["no change", "one way", "both ways", f"any of {SERIES} series"]
    print(table(columns, false_alarms(options.runs, rng)), end="\n\n")
    columns = ["change", "builds, median", "builds, 90%", "found"]
    print(table(columns, found_changes(options.runs, rng)))


if __name__ == "__main__":
    main()
