"""The series that a monitor watches: which way is bad, what matters, what to do."""

from typing import NamedTuple

from synthfilter.insight.change_point import DOWN, EITHER, UP
from synthfilter.insight.monitor_figures import (
    Figure,
    age,
    canary,
    counted_share,
    dead_letters,
    figure_at,
    median_score_of,
    novelty_of,
    reuse,
    score_drift_of,
    true_share,
    type_token,
    unscored,
    words_figure,
)

SHARE, NUMBER, MONTHS = "share", "number", "months"
_DECLARED = ("human", "synthetic", "unknown")


class Series(NamedTuple):
    """A figure that is followed from build to build.

    Attributes:
      name: In rules, tables and files.
      title: For people.
      about: What it is.
      bad: Which way is worse.
      least: The smallest standard deviation to believe in (`find_changes`).
      advice: What to do when it changed.
      figure: What finds it.
      unit: How it is shown: share, number or months.
      by_detector: Whether figures of two detectors cannot be compared.
      most: Above this it is an alarm at once, instead of by `find_changes`.
    """

    name: str
    title: str
    about: str
    bad: str
    least: float
    advice: str
    figure: Figure
    unit: str = SHARE
    by_detector: bool = False
    most: float | None = None


_LOOP = (
    "look for machine text that comes back: which sources grew (report.html), "
    "--max-uses and --max-generation with a ledger, a lower --synthetic-fraction"
)
_HIDDEN = "look for machine text that counts as human: synthfilter review export"
_FRESH = "add fresh text (--min-fresh), leave out what was used before (--max-uses)"
_DETECTOR = (
    "measure the detector on text of now (synthfilter evaluate); calibrate or train it "
    "anew"
)
_TAIL = "running words that are rare ones, which a loop loses first"
_HAPAX = "different words that occur once"
_NEW = "different runs of three words that the build before does not have"
_WORDS = "(diversity.by_origin.{}.words)"
_SKETCH = "(computed from diversity.sketches.{})"


def _drift(origin: str) -> Series:
    return Series(
        f"score_drift_{origin}",
        f"Score drift, {origin}",
        "population stability index of the scores of what was declared "
        f"{origin}, against the build before (scores); 0.1 is some, 0.25 is much",
        UP,
        0.01,
        _DETECTOR,
        score_drift_of(origin),
        NUMBER,
        by_detector=True,
    )


def _median(origin: str) -> Series:
    return Series(
        f"median_score_{origin}",
        f"Median score, {origin}",
        f"of what was declared {origin} (scores)",
        EITHER,
        0.005,
        _DETECTOR,
        median_score_of(origin),
        NUMBER,
        by_detector=True,
    )


_ALL = (
    Series(
        "true_share",
        "True synthetic share",
        "estimated or, where nothing was estimated, as counted (shares)",
        UP,
        0.005,
        _LOOP,
        true_share,
    ),
    Series(
        "counted_share",
        "Counted synthetic share",
        "of what counts as synthetic, without hidden text (shares.got)",
        UP,
        0.005,
        _LOOP,
        counted_share,
    ),
    Series(
        "tail_mass",
        "Tail mass",
        f"{_TAIL} {_WORDS.format('all')}",
        DOWN,
        0.0005,
        _LOOP,
        words_figure("all", "tail_mass"),
    ),
    Series(
        "tail_mass_human",
        "Tail mass, human",
        f"{_TAIL} {_WORDS.format('human')}",
        DOWN,
        0.0005,
        _HIDDEN,
        words_figure("human", "tail_mass"),
    ),
    Series(
        "hapax_share",
        "Hapax share",
        f"{_HAPAX} {_WORDS.format('all')}",
        DOWN,
        0.003,
        _LOOP,
        words_figure("all", "hapax_share"),
    ),
    Series(
        "hapax_share_human",
        "Hapax share, human",
        f"{_HAPAX} {_WORDS.format('human')}",
        DOWN,
        0.003,
        _HIDDEN,
        words_figure("human", "hapax_share"),
    ),
    Series(
        "type_token",
        "Different words at a fixed size",
        "different ones in as many running words (type_token)",
        DOWN,
        0.001,
        _LOOP,
        type_token,
    ),
    Series(
        "novelty",
        "Novelty",
        f"{_NEW} {_SKETCH.format('all')}",
        DOWN,
        0.005,
        _FRESH,
        novelty_of("all"),
    ),
    Series(
        "novelty_synthetic",
        "Novelty, synthetic",
        f"{_NEW} {_SKETCH.format('synthetic')}",
        DOWN,
        0.005,
        _FRESH,
        novelty_of("synthetic"),
    ),
    Series(
        "near_copy_rate",
        "Near copies",
        "left out, of the documents compared (diversity.near_copy_rate)",
        UP,
        0.003,
        "see which sources they come from (report.html); --max-source-loss",
        figure_at("diversity", "near_copy_rate"),
    ),
    Series(
        "reuse",
        "Used before",
        "left out as used before, of the synthetic documents read, with --max-uses "
        "(ledger_hits)",
        UP,
        0.005,
        "the same synthetic text keeps coming: find new text, or drop its source",
        reuse,
    ),
    *map(_drift, _DECLARED),
    *map(_median, _DECLARED),
    Series(
        "freshness",
        "Age of human text",
        "months from the median dated human document to the build (ages)",
        UP,
        0.5,
        "human text grows old: add newer text, or hold --min-fresh",
        age,
        MONTHS,
    ),
    Series(
        "unscored",
        "Without a score",
        "documents that the detector could not score (detector.unscored)",
        UP,
        0.002,
        "other languages, tables or code came in: see the languages (report.html)",
        unscored,
        by_detector=True,
    ),
    Series(
        "dead_letters",
        "Dead letters",
        "records that could not be read (books)",
        UP,
        0.0005,
        "an input changed its format: see the causes in dead_letter/",
        dead_letters,
    ),
    Series(
        "canary",
        "Detector canary",
        "largest change of the score of a fixed text since the first build with the "
        "same detector (detector.canaries)",
        UP,
        0.001,
        "the same detector gives other scores, which cannot be compared: find what "
        "changed in synthfilter, its packages or the machine",
        canary,
        NUMBER,
        by_detector=True,
        most=0.01,
    ),
)
SERIES: dict[str, Series] = {series.name: series for series in _ALL}
