"""Writes what was found into the documentation, between markers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collapse.figures import (
    WITHOUT_ARCHIVE,
    Line,
    Mean,
    chains_of,
    count_held,
    fit_share,
    judge_goals,
    last,
    mean_of,
    ratios,
)
from benchmarks.collapse.jobs import NEURAL, TRIGRAMS, WATCH
from benchmarks.collapse.policies import POLICIES
from benchmarks.collapse.watch import CLEAN
from synthfilter.insight.charts import draw

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/pictures/collapse.svg"
PAGES = (ROOT / "docs/collapse.md", ROOT / "README.md")
# What is drawn: how it is called, and its colour on white.
DRAWN = {
    "replace": ("replace", "#c43d3d"),
    "tenth": ("10% human kept", "#d9601f"),
    "crawl": ("as it comes", "#a37b1e"),
    "accumulate": ("accumulate", "#8457c9"),
    "ledger80": ("synthfilter", "#2a78d6"),
    "share10": ("held to 10%", "#0b3f80"),
    "perfect": ("perfect labels", "#1a8a5a"),
}
# By how much perplexity rises until somebody sees it.
SEEN = 1.05
# A picture in a README has no page to take colours from.
_COLOURS = {"--ink": "#1f2328", "--soft": "#59636e", "--line": "#e1e5ea"}


def write_documentation(lines: Sequence[Line]) -> None:
    """Renews the picture, and all figures in docs/collapse.md and README.md."""
    PICTURE.write_text(draw_curves(lines))
    parts = all_parts(lines)
    for page in PAGES:
        page.write_text(fill(page.read_text(), parts))


def all_parts(lines: Sequence[Line]) -> dict[str, str]:
    """Returns all tables and sentences, by the names of their markers."""
    return {
        "results": results_table(lines),
        "goals": goals_table(lines),
        "shares": shares_table(lines),
        "detectors": detectors_table(lines),
        "fit": describe_fit(lines),
        "neural": neural_table(lines),
        "watch": watch_table(lines),
        "summary": summary_table(lines),
    }


def fill(page: str, parts: Mapping[str, str]) -> str:
    """Returns a page with the parts between the markers that are named like them."""
    for name, part in parts.items():
        ends = (f"<!-- {name} -->", f"<!-- end of {name} -->")
        between = re.compile(f"(?<={ends[0]}\n).*?(?={ends[1]})", re.S)
        page = between.sub(lambda _, part=part: part + "\n", page)
    return page


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def show(mean: Mean | None, form: str) -> str:
    """Returns a mean as text, without its interval; nothing for None."""
    return "" if mean is None else f"{mean.value:{form}}"


def results_table(lines: Sequence[Line]) -> str:
    """Returns what became of the last generation under each policy."""
    head = (
        "policy",
        "perplexity",
        "rare words",
        "tail coverage",
        "novelty",
        "true share",
        "human text lost",
        "seeds",
    )
    rows = [
        (
            POLICIES[name].label,
            mean_of(ratios(chain)[-1] for chain in chains).show(".2f"),
            show(mean_of(ratios(c, "rare_perplexity")[-1] for c in chains), ".1f"),
            show(last(chains, lambda made: made["tail_coverage"]), ".0%"),
            show(last(chains, lambda made: made["novelty"]), ".0%"),
            show(last(chains, lambda made: made["true"]), ".0%"),
            show(last(chains, lambda made: made["human_lost"]), ".1%"),
            str(len(chains)),
        )
        for name, chains in chains_of(lines, TRIGRAMS).items()
    ]
    return table(head, rows)


def summary_table(lines: Sequence[Line]) -> str:
    """Returns the few rows that the README has."""
    chains = chains_of(lines, TRIGRAMS)
    rows = [
        (
            said,
            mean_of(ratios(chain)[-1] for chain in chains[name]).show(".2f"),
            show(last(chains[name], lambda made: made["true"]), ".0%"),
        )
        for name, said in SUMMARY.items()
        if name in chains
    ]
    return table(("after five generations", "perplexity", "machine text"), rows)


SUMMARY = {
    "replace": "train on the last model's text alone",
    "crawl": "train on the crawl as it comes",
    "accumulate": "train on everything ever found",
    "ledger80": "synthfilter, with a ledger that knows 80% of what machines write",
    "share10": "the same, held to 10% by its estimate of the true share",
    "perfect": "perfect labels",
}


def goals_table(lines: Sequence[Line]) -> str:
    """Returns what was to be reached, and whether it was."""
    rows = [
        (goal.what, goal.figure, "yes" if goal.met else "**no**")
        for goal in judge_goals(lines)
    ]
    return table(("goal", "found", "met"), rows)


def shares_table(lines: Sequence[Line]) -> str:
    """Returns true, declared and estimated shares of the last sets."""
    head = (
        "policy",
        "true",
        "counted as synthetic",
        "estimated",
        "interval, 90%",
        "holds, all generations",
    )
    rows = []
    for name, chains in chains_of(lines, TRIGRAMS).items():
        held = count_held(chains)
        if held is None:
            continue
        ends = [show(last(chains, lambda made, e=e: made[e]), ".0%") for e in _ENDS]
        rows.append(
            (
                POLICIES[name].label,
                show(last(chains, lambda made: made["true"]), ".0%"),
                show(last(chains, lambda made: made["declared"]), ".0%"),
                show(last(chains, lambda made: made["estimated"]), ".0%"),
                " to ".join(ends),
                f"{held.held} of {held.of}",
            )
        )
    return table(head, rows)


_ENDS = ("low", "high")


def detectors_table(lines: Sequence[Line]) -> str:
    """Returns what the detectors find of each generation's machine text."""
    chains = chains_of(lines, TRIGRAMS)
    rows = []
    for name, said in (
        ("detector", "the shipped one, its own threshold"),
        ("review", "the shipped one, calibrated, 5% false positives"),
        ("own80", "the fitted one, calibrated, 5% false positives"),
    ):
        for rate, of in (("tpr", "machine"), ("fpr", "human")):
            if name in chains:
                by_generation = zip(*(chain[1:] for chain in chains[name]), strict=True)
                means = [
                    mean_of(made[rate] for made in sets).value for sets in by_generation
                ]
                rows.append((said, of, *(f"{mean:.0%}" for mean in means)))
    numbers = [str(number) for number in range(1, len(rows[0]) - 1)] if rows else []
    return table(("detector", "flagged of", *numbers), rows)


def describe_fit(lines: Sequence[Line]) -> str:
    """Returns the law that the sets follow, in a sentence."""
    every, most = fit_share(lines), fit_share(lines, WITHOUT_ARCHIVE)
    return (
        "Over the last sets of all runs that may use the archive "
        f"({most.sets}), ln(perplexity / that of\ngeneration 0) is {most.slope:.3f} "
        f"times the true synthetic share (r = {most.correlation:.3f}); over all\n"
        f"{every.sets}, {every.slope:.3f} times (r = {every.correlation:.3f})."
    )


def neural_table(lines: Sequence[Line]) -> str:
    """Returns both learners' last generations, each against its generation 0."""
    small, all_chains = chains_of(lines, NEURAL), chains_of(lines, TRIGRAMS)
    rows = []
    for name, chains in small.items():
        place = len(chains[0]) - 1
        same = mean_of(ratios(chain)[place] for chain in all_chains[name])
        mean = mean_of(ratios(chain)[-1] for chain in chains)
        rows.append((POLICIES[name].label, mean.show(".2f"), same.show(".2f")))
    place = len(next(iter(small.values()))[0]) - 1 if small else 0
    return table(("policy", f"GRU, generation {place}", "trigrams, the same one"), rows)


def watch_table(lines: Sequence[Line]) -> str:
    """Returns when perplexity shows what happens, and when the monitor does."""
    head = (
        "sets by",
        f"perplexity {SEEN - 1:.0%} up",
        "first alarms of the monitor",
        "estimated share above 10%",
        "false alarms",
    )
    rows = []
    for line in lines:
        if line["kind"] != WATCH:
            continue
        calm = float(np.mean(line["perplexity"][:CLEAN]))
        first: dict[str, int] = {}
        for alarm in line["alarms"]:
            if alarm["build"] > CLEAN:
                first.setdefault(alarm["series"], alarm["build"] - CLEAN)
        alarms = sorted(first.items(), key=lambda item: item[1])
        said = ", ".join(f"{series} {build}" for series, build in alarms)
        false = sum(alarm["build"] <= CLEAN for alarm in line["alarms"])
        rows.append(
            (
                POLICIES[line["policy"]].label,
                first_above(line["perplexity"], SEEN * calm),
                said or "none",
                first_above(line["estimated"], 0.1),
                str(false),
            )
        )
    return table(head, rows)


def first_above(values: Sequence[float], bound: float) -> str:
    """Returns the first generation with machine text that is above a bound."""
    found = [place for place, value in enumerate(values[CLEAN:], 1) if value > bound]
    return str(found[0]) if found else "never"


def curves_chart(lines: Sequence[Line]) -> dict[str, Any]:
    """Returns perplexity by generation as a Vega-Lite chart."""
    values = [
        {"generation": place, "perplexity": mean_of(made).value, "policy": said[0]}
        for name, chains in chains_of(lines, TRIGRAMS).items()
        if (said := DRAWN.get(name))
        for place, made in enumerate(zip(*map(ratios, chains), strict=True))
    ]
    return {
        "width": 560,
        "height": 300,
        "background": "#ffffff",
        # Fonts of those who look are wider than the one that is measured here.
        "padding": {"left": 5, "top": 5, "right": 30, "bottom": 5},
        "data": {"values": values},
        "mark": {"type": "line", "point": True, "strokeWidth": 2.5},
        "encoding": {
            "x": {
                "field": "generation",
                "type": "ordinal",
                "axis": {"title": "generation", "labelAngle": 0},
            },
            "y": {
                "field": "perplexity",
                "type": "quantitative",
                "scale": {"type": "log", "nice": False, "domainMin": 0.97},
                "axis": {
                    "title": "perplexity on human text, generation 0 = 1",
                    "values": [1, 1.25, 1.5, 2, 2.5, 3],
                },
            },
            "color": {
                "field": "policy",
                "type": "nominal",
                "scale": {
                    "domain": [name for name, _ in DRAWN.values()],
                    "range": [colour for _, colour in DRAWN.values()],
                },
                "legend": {"title": None, "symbolType": "stroke"},
            },
        },
    }


def draw_curves(lines: Sequence[Line]) -> str:
    """Returns the chart as a file that needs no page around it."""
    label = "Perplexity on human text by generation, for ways to make training sets"
    drawing = draw(curves_chart(lines), label)
    for name, colour in _COLOURS.items():
        drawing = drawing.replace(f"var({name})", colour)
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    head, _, body = drawing.partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return f"{head}>{ground}{body}\n"
