"""`synthfilter sweep`: the build's own setting word for word, and all others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.console import Reporter
from synthfilter.core.profiles import count_profiles
from synthfilter.detection.detector import load_detector
from synthfilter.detection.thresholds import FORMAT, FORMAT_VERSION, identify
from synthfilter.stored import Outside, open_build
from synthfilter.sweep import (
    Sweep,
    list_settings,
    load_replay,
    try_all,
)


class SaysScore:
    """Scores what a text says of itself: `s73 ...` is 0.73; other texts have none."""

    name = "says score"
    threshold = 0.5
    version = 1

    def score(self, column: pa.Array) -> np.ndarray:
        first = [text.split(" ")[0] for text in column.to_pylist()]
        known = [w[0] == "s" and w[1:].isdecimal() if w else False for w in first]
        return np.array(
            [
                int(word[1:]) / 100 if mine else np.nan
                for word, mine in zip(first, known, strict=True)
            ],
            np.float32,
        )


DETECTOR = f"{__name__}:SaysScore"
PROFILES = count_profiles(
    np.concatenate([np.linspace(0.01, 0.6, 500), np.linspace(0.3, 0.99, 500)]),
    np.full(1000, 60),
    np.repeat([False, True], 500),
    np.tile([f"source {i}" for i in range(10)], 100),
)


def prose(number: int, count: int = 60) -> list[str]:
    random = np.random.default_rng(number)
    return [f"w{word}" for word in random.integers(0, 50_000, count)]


def text(score: int, number: int, edits: int = 0, count: int = 60) -> str:
    """A text of its own for each number, with this score in percent."""
    words = prose(number, count)
    for edit in range(edits):
        words[6 + 9 * edit] = f"edit{number}n{edit}"
    return " ".join([f"s{score}", *words])


def texts(first: int, scores: range, **more: int) -> list[str]:
    return [text(score, first + i, **more) for i, score in enumerate(scores)]


def calibrate(path: Path) -> str:
    """Writes a calibration: texts of 50 words and more have a lower threshold."""
    found = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "detector": identify(load_detector(DETECTOR)),
        "thresholds": {"0.01": {"threshold": 0.6, "by_length": {"50": 0.55}}},
        "profiles": PROFILES.as_json(),
    }
    path.write_text(json.dumps(found))
    return str(path)


@pytest.fixture(scope="module")
def shop(shared_workshop: Any) -> Any:
    """Documents of all origins with all scores, and copies between them."""
    shop = shared_workshop
    human = texts(0, range(2, 82)) + texts(100, range(1, 30), count=20)
    # Copies of human text that is flagged, or is at other thresholds.
    human += texts(40, range(42, 62), edits=1) + texts(60, range(62, 72), edits=3)
    shop.write(
        "human/h",
        human,
        row_group=40,
        source=[f"site{i % 3}" for i in range(len(human))],
        kind=["code" if i % 5 == 0 else "prose" for i in range(len(human))],
        value=[1.0 + i % 4 for i in range(len(human))],
        created=[f"202{3 + i % 3}-05-01" for i in range(len(human))],
    )
    machine = texts(1000, range(10, 98)) + texts(20, range(22, 40), edits=2)
    shop.write(
        "synthetic/s",
        machine + texts(1000, range(10, 20)),
        kind=["code" if i % 4 == 0 else "prose" for i in range(len(machine) + 10)],
        value=[2.0] * (len(machine) + 10),
    )
    unknown = texts(2000, range(99)) + texts(30, range(32, 52)) + ["no score"]
    rows = [
        {"id": f"u{i}", "text": said, "source": f"crawl{i % 2}"}
        for i, said in enumerate([*unknown, ""])
    ]
    lines = [*map(json.dumps, rows), "no JSON"]
    (shop.path / "unknown").mkdir()
    (shop.path / "unknown/u.jsonl").write_text("\n".join(lines))
    shop.write("core/c", [*texts(3000, range(80, 90)), text(80, 3000)])
    shop.write("against/a", [text(5, 3, edits=1), text(1, 2003)])
    shop.calibration = calibrate(shop.path / "calibration.json")
    return shop


def run(
    shop: Any, output: str, threshold: list[str], near: list[str] = (), **given: Any
) -> list[dict[str, Any]]:
    job = Sweep(
        threshold=threshold,
        near_duplicates=list(near),
        **{"detector": DETECTOR, **given},
    )
    return job.run(str(shop.path / output), Reporter(quiet=True))


CALIBRATED = {"target_fpr": 0.01}
BUILDS: dict[str, dict[str, Any]] = {
    "estimated": {"synthetic_fraction": 0.4, "near_duplicates": 0.8, **CALIBRATED},
    "exact": {
        "flagged_human": "drop",
        "max_synthetic_fraction": 0.2,
        "unit": "docs",
        "language_policy": "drop",
        "max_ai_score": 0.95,
        "threshold": 0.45,
    },
    "groups": {
        "fields": ["category=kind", "weight=value"],
        "mixture": ["human=0.6", "synthetic=0.3", "code=0.1"],
        "repeat": "code=2",
        "strata": "source",
        "fresh_after": "2024-01-01",
        "min_fresh": 0.05,
        "count": "declared",
        "near_duplicates": 0.7,
        "flagged_human": "reclassify",
        "keep": "oldest,human",
    },
    "protected": {
        "core": "core",
        "against": "against",
        "near_duplicates": 0.75,
        "flagged_human": "reclassify",
        "target_size": 5000,
    },
    "shrunk": {
        "max_synthetic_fraction": 0.05,
        "on_hidden": "shrink",
        "flagged_human": "reclassify",
        **CALIBRATED,
    },
}


@pytest.fixture(scope="module", params=BUILDS)
def built(request: pytest.FixtureRequest, shop: Any) -> tuple[Any, str, dict[str, Any]]:
    """Each of the builds, its name, and what a sweep must be told of it."""
    name = request.param
    options = {"detector": DETECTOR, "unknown": f"{shop.path}/unknown/u.jsonl"}
    options |= BUILDS[name]
    for folder in {"core", "against"} & set(options):
        options[folder] = str(shop.path / folder)
    given = {}
    if "target_fpr" in options:
        given["calibration"] = options["calibration"] = shop.calibration
    shop.build(name, **options)
    return shop, name, given


def test_the_own_setting_is_the_build_word_for_word(built: Any) -> None:
    shop, name, given = built
    stored = open_build(str(shop.path / name), Outside(detector=DETECTOR, **given))
    manifest = stored.manifest
    replay = load_replay(stored)
    settings = list_settings(stored, [0.2, 0.9], [])
    found = {s.own: came for s, _, came in try_all(stored, replay, settings)}
    assert len(settings) == 3
    own = found[True]
    assert own.books == manifest["books"]
    # What would be written has the same hashes, document for document.
    assert own.record.digest == manifest["content_digest"]
    shares = manifest["shares"]
    assert {key: shares[key] for key in own.shares} == own.shares
    assert own.limited_by == shares["limited_by"]
    other = found[False]
    assert isinstance(other, str) or other.record.digest != own.record.digest
