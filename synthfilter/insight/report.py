"""report.json: a build in figures, for pages, monitors and programs.

All but the part `run` follows from the input and the options alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from synthfilter.core import schema
from synthfilter.core.reports import REPORT_VERSION
from synthfilter.core.samples import Sample, rows_of
from synthfilter.core.schema import ORIGIN_NAMES, UNITS, WRITTEN, Origin
from synthfilter.insight.examples import ORDER, tell_clusters
from synthfilter.insight.figures import (
    BINS_PER_OCTAVE,
    FIRST_YEAR,
    OUTCOMES,
    SCORE_BINS,
    SOURCE_COLUMNS,
    Figures,
)

# Parts of the manifest that a report repeats: it is read alone.
_FROM_MANIFEST = (
    "build_id",
    "synthfilter_version",
    "content_digest",
    "books",
    "shares",
    "prevalence",
    "conflicts",
    "near_copies",
    "same_ids",
    "core",
    "options",
    "inputs",
)
OTHERS = "(others)"
_SETS = (Origin.HUMAN, Origin.SYNTHETIC)
_MOST_SOURCES = 200
_MOST_LANGUAGES = 50
_MOST_CAUSES = 50
_MOST_GENERATORS = 200
_MOST_CLUSTERS = 30
_QUANTILES = (0.05, 0.5, 0.95, 0.99)
# A source is nearly wiped if it had so many documents and keeps less than this share.
_LEAST_READ, _LEAST_KEPT = 20, 0.1


def make_report(
    manifest: Mapping[str, Any],
    figures: Figures,
    groups: Sequence[str],
    sources: np.ndarray,
    thresholds: Sequence[float],
    canaries: Sequence[Mapping[str, Any]],
    diversity: Mapping[str, Any] | None,
    earlier: Mapping[int, str],
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the report of a build.

    Args:
      manifest: Of the build.
      figures: Of all its documents.
      groups: Names of the groups of the mixture, by their numbers.
      sources: Keys of the sources in `Figures.sources`, uint64.
      thresholds: Scores from which on documents count as machine text.
      canaries: Scores of texts that are always the same.
      diversity: Of what is in the set.
      earlier: Names of the builds in `Figures.earlier`.
      run: When and how fast it was built.
    """
    by_source, nearly_wiped = _tell_sources(figures, sources)
    return {
        "report_version": REPORT_VERSION,
        **{name: manifest[name] for name in _FROM_MANIFEST},
        "detector": {**manifest["detector"], "canaries": list(canaries)},
        "scores": _tell_scores(figures, thresholds),
        "lengths": _tell_lengths(figures),
        "ages": {"by_origin": {name: _ages(figures, who) for name, who in _named()}},
        "languages": _tell_languages(figures),
        "generators": _tell_generators(figures),
        "sources": by_source,
        "nearly_wiped": nearly_wiped,
        "clusters": tell_clusters(figures.clusters, _MOST_CLUSTERS),
        "mixture": _tell_mixture(manifest["shares"], figures, groups),
        "dead_letters": [
            {"cause": cause, "docs": docs}
            for cause, (docs,) in rows_of(figures.causes)[:_MOST_CAUSES]
        ],
        "ledger_hits": _tell_earlier(figures.earlier, earlier),
        "diversity": diversity,
        "samples": _tell_examples(figures),
        "run": dict(run),
    }


def _named() -> list[tuple[str, Origin]]:
    return [(ORIGIN_NAMES[who], who) for who in _SETS]


def _tell_scores(figures: Figures, thresholds: Sequence[float]) -> dict[str, Any]:
    """Returns the histograms of scores by declared origin."""
    by_declared = {}
    for declared in WRITTEN:
        counts = figures.scores[declared]
        if counts.any():
            by_declared[ORIGIN_NAMES[declared]] = {
                **{name: counts[i, :-1].tolist() for i, name in enumerate(OUTCOMES)},
                **{f"unscored_{n}": int(counts[i, -1]) for i, n in enumerate(OUTCOMES)},
            }
    ends = sorted({min(thresholds), max(thresholds)})
    return {"bins": SCORE_BINS, "thresholds": ends, "by_declared": by_declared}


def _tell_lengths(figures: Figures) -> dict[str, Any]:
    """Returns the histograms of lengths by origin, and quantiles of what is kept."""
    octaves = np.arange(figures.lengths.shape[2]) // BINS_PER_OCTAVE
    used = int(octaves[figures.lengths.any(axis=(0, 1))].max(initial=0)) + 1
    by_origin = {}
    for name, who in _named():
        counts = [np.bincount(octaves, part)[:used] for part in figures.lengths[who]]
        by_origin[name] = {
            **{
                outcome: part.astype(np.int64).tolist()
                for outcome, part in zip(OUTCOMES, counts, strict=True)
            },
            "quantiles": _quantiles(figures.lengths[who, 0]),
        }
    edges = [1 << octave for octave in range(used)]
    return {"unit": "words", "edges": edges, "by_origin": by_origin}


def _quantiles(counts: np.ndarray) -> dict[str, int]:
    """Returns the lengths below which some shares of the documents are."""
    below = np.cumsum(counts)
    if not below[-1]:
        return {}
    bins = np.searchsorted(below, np.array(_QUANTILES) * below[-1])
    middle = 2 ** ((bins + 0.5) / BINS_PER_OCTAVE)
    return {f"{q:g}": int(m) for q, m in zip(_QUANTILES, middle, strict=True)}


def _ages(figures: Figures, who: Origin) -> dict[str, Any]:
    """Returns when the documents of an origin that are in the set were created."""
    counts = figures.months[who]
    dated = np.flatnonzero(counts[:-1])
    months = {_month(number): int(counts[number]) for number in dated.tolist()}
    found: dict[str, Any] = {"months": months, "undated": int(counts[-1])}
    if len(dated):
        below = np.cumsum(counts[:-1])
        middle = int(np.searchsorted(below, below[-1] / 2))
        found |= {"median": _month(middle), "newest": _month(int(dated[-1]))}
    return found


def _month(number: int) -> str:
    return f"{FIRST_YEAR + number // 12}-{number % 12 + 1:02d}"


def _with_others(
    rows: list[dict[str, Any]], name: str, most: int
) -> list[dict[str, Any]]:
    """Returns the first rows, and the sums of all after them as one more."""
    rest = rows[most:]
    if not rest:
        return rows
    sums = {key: sum(row[key] for row in rest) for key in rest[0] if key != name}
    return [*rows[:most], {name: OTHERS, **sums}]


def _tell_languages(figures: Figures) -> list[dict[str, Any]]:
    rows = [
        {
            "language": language,
            "read": read,
            "kept": human + synthetic,
            "kept_human": human,
            "kept_synthetic": synthetic,
        }
        for language, (read, human, synthetic) in rows_of(figures.languages)
    ]
    return _with_others(rows, "language", _MOST_LANGUAGES)


def _tell_generators(figures: Figures) -> list[dict[str, Any]]:
    rows = [
        {"generator": name, "docs": docs, "words": words}
        for name, (docs, words) in rows_of(figures.generators)
    ]
    return _with_others(rows, "generator", _MOST_GENERATORS)


def _tell_sources(
    figures: Figures, sources: np.ndarray
) -> tuple[list[dict], list[dict]]:
    """Returns what became of each source, and which of them are nearly wiped."""
    keys = [*sources.tolist(), None]
    rows = []
    for key, counts in zip(keys, figures.sources.tolist(), strict=True):
        found = dict(zip(SOURCE_COLUMNS, counts, strict=True))
        kept = found["kept_human"] + found["kept_synthetic"]
        known = kept + found["exact_copy"] + found["near_copy"] + found["mixture"]
        rows.append(
            {
                "source": OTHERS if key is None else figures.source_names.get(key),
                "read": found["read"],
                "kept": kept,
                **{name: found[name] for name in SOURCE_COLUMNS[1:]},
                "other": found["read"] - known,
            }
        )
    *named, others = rows
    named.sort(key=lambda row: (-row["read"], row["source"] or ""))
    wiped = [
        {
            "source": row["source"],
            "read": row["read"],
            "kept": row["kept"],
            "most": max(("exact_copy", "near_copy", "other"), key=row.__getitem__),
        }
        for row in named
        if row["read"] - row["mixture"] >= _LEAST_READ
        and row["kept"] < _LEAST_KEPT * (row["read"] - row["mixture"])
    ]
    if others["read"]:
        named.append(others)
    return _with_others(named, "source", _MOST_SOURCES), wiped


def _tell_mixture(
    shares: Mapping[str, Any], figures: Figures, groups: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns the groups of the mixture before and after the choice."""
    got = {
        name: {unit: shares["got"][unit][name] for unit in UNITS}
        for name in ("human", "synthetic")
    }
    got |= {name: group["got"] for name, group in shares.get("groups", {}).items()}
    return [
        {
            "group": name,
            "before": dict(zip(UNITS, amounts, strict=True)),
            "after": got.get(name, dict.fromkeys(UNITS, 0)),
        }
        for name, amounts in zip(groups, figures.before.tolist(), strict=True)
    ]


def _tell_examples(figures: Figures) -> list[dict[str, Any]]:
    table = figures.examples.drop_columns(list(ORDER))
    return table.rename_columns({schema.AI_SCORE: "score"}).to_pylist()


def _tell_earlier(earlier: Sample, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Returns the earlier builds that had documents of this one."""
    pairs = zip(earlier.hashes.tolist(), earlier.counts[:, 0].tolist(), strict=True)
    rows = [
        {"build_id": names.get(number, f"{number:016x}"), "docs": docs}
        for number, docs in pairs
    ]
    return sorted(rows, key=lambda row: (-row["docs"], row["build_id"]))
