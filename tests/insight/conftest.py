"""A real browser, and reports as builds write them, made up, of any size."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from synthfilter.core.schema import REASON_NAMES
from synthfilter.core.schema import Reason as R

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
MakeReport = Callable[..., dict[str, Any]]

# Share of what is read that ends so, by declared origin; the rest is kept.
_LOST = {
    "human": {
        R.EXACT_COPY: 0.06,
        R.NEAR_COPY: 0.03,
        R.MIXTURE: 0.21,
        R.UNSCORABLE: 0.01,
    },
    "synthetic": {R.EXACT_COPY: 0.02, R.SCORE_TOO_HIGH: 0.03},
    "unknown": {R.DEAD_LETTER: 0.01, R.EXACT_COPY: 0.1, R.MIXTURE: 0.3},
    "core": {},
}
_READ = {"human": 0.7, "synthetic": 0.12, "unknown": 0.15, "core": 0.03}
_FLAGGED = {"human": 0.006, "synthetic": 1.0, "unknown": 0.08, "core": 0.0}
_NAMES = ("harbour-letters", "village-news", "seed-catalogues", "travel-notes", "crawl")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips the test, with the reason, where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    named = os.environ.get("SYNTHFILTER_CHROMIUM")
    path = named or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(
            f"no {' or '.join(names)} on this machine; install one, or name one in "
            "SYNTHFILTER_CHROMIUM"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def listen() -> str:
    """A script that keeps what the policy of a page refuses in `window.refused`."""
    return """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """Returns a function that makes a report of so many documents."""
    return report_of


def report_of(
    documents: int = 100, sources: int = 5, samples: int = 1, names: Any = None
) -> dict[str, Any]:
    """Returns a report that has everything.

    Args:
      documents: That were read.
      sources: How many of them.
      samples: Of each reason.
      names: Names to use wherever a report has one.
    """
    names = list(names or _NAMES)
    flows = {origin: _flow(origin, documents) for origin in _READ}
    kept = {
        who: {
            unit: sum(
                flow.get("kept", {}).get(who, {}).get(unit, 0)
                for flow in flows.values()
            )
            for unit in ("docs", "bytes", "words")
        }
        for who in ("human", "synthetic")
    }
    read = sum(
        amounts["docs"]
        for flow in flows.values()
        for decided in flow.values()
        for amounts in decided.values()
    )
    left_out = {
        name: sum(
            amounts["docs"]
            for flow in flows.values()
            for amounts in flow.get(name, {}).values()
        )
        for name in REASON_NAMES[2:]
    }
    dead = sum(
        amounts["docs"]
        for flow in flows.values()
        for amounts in flow.get("dead_letter", {}).values()
    )
    got = {
        unit: {
            **(both := {who: kept[who][unit] for who in kept}),
            "synthetic_fraction": both["synthetic"] / (sum(both.values()) or 1),
        }
        for unit in ("docs", "bytes", "words")
    }
    rows = _sources(names, sources, documents)
    counted = got["words"]["synthetic_fraction"]
    return {
        "report_version": 1,
        "build_id": "18a71962aadbc34f",
        "synthfilter_version": "0.1.0",
        "content_digest": "0cdc5bbe1c96dd65cfac8cce1621784c",
        "books": {
            "read": read,
            "kept": kept["human"]["docs"] + kept["synthetic"]["docs"],
            "left_out": left_out,
            "dead_letters": dead,
            "by_declared_origin": flows,
        },
        "shares": {
            "synthetic_fraction": 0.3,
            "max_synthetic_fraction": None,
            "target_size": None,
            "unit": "words",
            "got": got,
            "limited_by": "synthetic text: 186796 words asked for, 122773 left",
            "asked": 0.3,
            "counts": "estimated",
            "declared": counted,
            "estimated": counted + 0.06,
            "low": max(counted - 0.03, 0),
            "high": counted + 0.18,
            "confidence": 0.9,
        },
        "prevalence": {
            "confidence": 0.9,
            "docs": documents * 8 // 10,
            "known": {"human": 0, "synthetic": 4210},
            "estimate": 0.113,
            "low": 0.021,
            "high": 0.544,
            "groups": [
                {
                    "group": f"{'unknown' if i % 3 == 1 else 'human'}: {row['source']}",
                    "docs": row["read"],
                    "estimate": round(0.31 / (i + 1), 4),
                    "low": round(0.05 / (i + 2), 4),
                    "high": round(min(0.31 / (i + 1) + 0.2, 0.99), 4),
                }
                for i, row in enumerate(rows[:63])
            ],
        },
        "conflicts": [
            {
                "decided": "detector=synthetic",
                "against": "declared=human",
                "docs": documents // 40,
            },
            {"decided": "declared=human", "against": "url=synthetic", "docs": 2},
        ],
        "near_copies": {"bands": 18, "rows": 6, "not_compared_with_all": 0},
        "same_ids": {"ids": 4, "texts": 9},
        "core": {
            "digest": "a1b2",
            "documents": documents * 3 // 100,
            "bytes": documents * 60,
            "words": documents * 11,
            "files": [],
        },
        "detector": {
            "name": "synthfilter default detector",
            "sha256": "03876899ac21aaaa6f34e0a3bb4ae06f",
            "unscored": {
                "human": {"docs": 1, "of": documents * 7 // 10, "share": 0.001},
                "unknown": {"docs": 3, "of": documents * 3 // 20, "share": 0.2},
            },
            "canaries": [
                {"name": name, "score": score, "expected": score, "moved": False}
                for name, score in (("letter", 0.0312), ("news", 0.1177))
            ],
        },
        "drift": {
            "canaries": [],
            "against": "09c1aa21",
            "scores": [
                {"declared": "human", "index": 0.04, "limit": 0.25, "moved": False}
            ],
        },
        "options": {
            "threshold": 0.8923,
            "near_duplicates": 0.8,
            "keep": ["reviewed", "human", "longest", "oldest"],
            "mixture": {},
            "rejected_text": False,
            "seed": 0,
            "max_shard_bytes": 100_000_000,
        },
        "inputs": [
            {
                "path": f"in/{name}.parquet",
                "declared": "human",
                "fingerprint": f"{i:032x}",
                "rows": documents // 5,
                "broken": False,
            }
            for i, name in enumerate(names[:5])
        ],
        "scores": {
            "bins": 50,
            "thresholds": [0.8923],
            "by_declared": {o: _scores(o, documents) for o in _READ},
        },
        "lengths": _lengths(documents),
        "ages": {
            "by_origin": {
                "human": {
                    "months": _months(2015, 96, documents),
                    "undated": 7,
                    "median": "2019-03",
                    "newest": "2022-12",
                },
                "synthetic": {
                    "months": _months(2023, 18, documents // 5),
                    "undated": 3,
                    "median": "2023-11",
                    "newest": "2024-06",
                },
            }
        },
        "languages": [
            {
                "language": language,
                "read": int(documents * s),
                "kept": int(documents * s * 0.6),
                "kept_human": int(documents * s * 0.5),
                "kept_synthetic": int(documents * s * 0.1),
            }
            for language, s in (
                ("en", 0.71),
                ("de", 0.11),
                (None, 0.08),
                ("fr", 0.06),
                ("ja", 0.03),
                ("(others)", 0.01),
            )
        ],
        "generators": [
            {"generator": names[0], "docs": documents // 13, "words": documents * 21},
            {"generator": None, "docs": documents // 90, "words": documents * 3},
        ],
        "sources": rows,
        "nearly_wiped": [
            {"source": names[-1], "read": 100, "kept": 3, "most": "near_copy"},
            {
                "source": names[0] + " mirror",
                "read": 41,
                "kept": 0,
                "most": "exact_copy",
            },
        ],
        "clusters": {
            "largest": [
                {
                    "content_hash": f"{i:032x}",
                    "copies": 812 // (i + 1),
                    "near": 40 // (i + 1),
                    "source": names[i % len(names)],
                    "id": f"{names[i % len(names)]}-{i}",
                }
                for i in range(8)
            ],
            "at_most_missed": 0,
        },
        "mixture": [
            {
                "group": group,
                "before": {"docs": documents * n // 10, "bytes": documents * n * 160}
                | {"words": documents * n * 27},
                "after": {"docs": documents * m // 10, "bytes": documents * m * 160}
                | {"words": documents * m * 27},
            }
            for group, n, m in (("human", 7, 5), ("synthetic", 2, 2))
        ],
        "dead_letters": [
            {"cause": "not JSON", "docs": 3},
            {"cause": f"no column text in {names[1]}", "docs": 1},
        ],
        "ledger_hits": [
            {"build_id": "09c1aa21", "docs": documents // 9},
            {"build_id": "77ab0e15", "docs": 12},
        ],
        "diversity": _diversity(),
        "samples": _samples(names, samples),
        "run": {
            "started": "2026-11-25T07:00:00+00:00",
            "seconds": 12.3,
            "workers": 2,
            "machine": {"cpus": 2, "python": "3.11.7", "system": "Linux"},
            "stages": [
                {"stage": "read", "parts": 12, "bytes": 9100, "cpu_seconds": 1.4},
                {"stage": "score", "parts": 12, "bytes": 8900, "cpu_seconds": 5.25},
                {"stage": "write", "parts": 4, "bytes": 7000, "cpu_seconds": 2.1},
            ],
        },
    }


def _flow(origin: str, documents: int) -> dict[str, Any]:
    """Returns the books of one declared origin."""
    read = int(documents * _READ[origin])
    docs = {reason: int(read * part) for reason, part in _LOST[origin].items()}
    docs[R.KEPT] = read - sum(docs.values())
    found: dict[str, Any] = {}
    for reason, number in docs.items():
        flagged = int(number * _FLAGGED[origin])
        parts = {"human": number - flagged, "synthetic": flagged}
        found[REASON_NAMES[reason]] = {
            who: {"docs": n, "bytes": n * 1613, "words": n * 271}
            for who, n in parts.items()
            if n
        }
    return {reason: parts for reason, parts in found.items() if parts}


def _scores(origin: str, documents: int) -> dict[str, Any]:
    at = np.linspace(0.01, 0.99, 50)
    low, high = np.exp(-at * 9), np.exp((at - 1) * 5)
    weight = {"human": 0.01, "synthetic": 0.9, "unknown": 0.2, "core": 0.0}[origin]
    shape = (1 - weight) * low / low.sum() + weight * high / high.sum()
    counts = (documents * _READ[origin] * shape).astype(int)
    out = (counts * np.where(at > 0.89, 0.7, 0.25)).astype(int)
    return {
        "kept": (counts - out).tolist(),
        "left_out": out.tolist(),
        "unscored_kept": 3,
        "unscored_left_out": 1,
    }


def _lengths(documents: int) -> dict[str, Any]:
    edges = [1 << i for i in range(16)]

    def counts(middle: float, total: float) -> list[int]:
        shape = np.exp(-((np.arange(16) - middle) ** 2) / 4)
        return (total * shape / shape.sum()).astype(int).tolist()

    return {
        "unit": "words",
        "edges": edges,
        "by_origin": {
            who: {
                "kept": counts(middle, part * documents),
                "left_out": counts(middle - 1, part * documents / 3),
                "quantiles": {"0.05": 12, "0.5": int(2**middle), "0.95": 1900}
                | {"0.99": 4000},
            }
            for who, middle, part in (("human", 8.4, 0.5), ("synthetic", 7.6, 0.14))
        },
    }


def _months(year: int, months: int, documents: int) -> dict[str, int]:
    shape = 1 + np.sin(np.arange(months) / 7) * 0.4 + np.arange(months) / months
    counts = (documents * shape / shape.sum()).astype(int) + 1
    return {
        f"{year + i // 12}-{i % 12 + 1:02d}": int(docs) for i, docs in enumerate(counts)
    }


def _sources(names: list[str], number: int, documents: int) -> list[dict[str, Any]]:
    weights = 1 / (1 + np.arange(number))
    read = (documents * weights / weights.sum()).astype(int)
    rows = []
    for i, docs in enumerate(read.tolist()):
        exact, near, mixture = docs * (i % 4) // 20, docs // 30, docs // 5
        other = docs // 100
        kept = docs - exact - near - mixture - other
        synthetic = kept * (i % 5) // 12
        name = names[i % len(names)]
        rows.append(
            {
                "source": name if i < len(names) else f"{name} {i}",
                "read": docs,
                "kept": kept,
                "kept_human": kept - synthetic,
                "kept_synthetic": synthetic,
                "exact_copy": exact,
                "near_copy": near,
                "mixture": mixture,
                "other": other,
            }
        )
    return rows


def _diversity() -> dict[str, Any]:
    def grams(total: int, distinct: int) -> dict[str, Any]:
        return {
            "total": total,
            "distinct": distinct,
            "low": distinct - 600,
            "high": distinct + 600,
            "hapax_share": 0.44,
            "tail_mass": 0.0215,
        }

    measures = {
        "words": grams(650_542, 31_000)
        | {"type_token": {"per": 100_000, "distinct": 10_333}},
        "bigrams": grams(647_000, 210_000),
        "trigrams": grams(644_000, 480_000),
        "compression_ratio": 2.9,
    }
    fresh = {"words": 0.1, "bigrams": 0.4125, "trigrams": 0.7033}
    return {
        "near_copy_rate": 0.0213,
        "by_origin": {"all": measures, "human": measures, "synthetic": measures},
        "novelty": {"against": "c0ffee", "by_origin": {"all": fresh, "human": fresh}},
        "caveats": ["Distinct bigrams hardly move when a model collapses."],
        "sketches": {"all": {"words": "AAAA"}},
    }


def _samples(names: list[str], number: int) -> list[dict[str, Any]]:
    found = []
    for reason in REASON_NAMES:
        dead = reason == "dead_letter"
        for i in range(number):
            name = names[i % len(names)]
            found.append(
                {
                    "reason": reason,
                    "id": f"in/{name}" if dead else f"{name}-{reason}-{i}",
                    "source": name,
                    "origin": "human" if i % 3 else "synthetic",
                    "score": None if dead else 0.0625 * (i % 16),
                    "words": 312 + i,
                    "created": None if i % 2 else "2021-05-03",
                    "evidence": f"line 7: not JSON {name}" if dead else f"by {name}",
                    "excerpt": None
                    if dead
                    else f"The harbour was quiet, {name}, and "
                    "the letters of the morning had not come.",
                }
            )
    return found
