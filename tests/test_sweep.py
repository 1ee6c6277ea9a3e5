"""`synthfilter sweep`: the build's own setting word for word, and all others."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.console import Reporter
from synthfilter.core.errors import UserError
from synthfilter.core.profiles import count_profiles
from synthfilter.decisions import near as decisions_near
from synthfilter.detection.detector import load_detector
from synthfilter.detection.thresholds import FORMAT, FORMAT_VERSION, identify
from synthfilter.outputs.manifest import read_manifest
from synthfilter.replay import Outcome
from synthfilter.stored import Outside, open_build
from synthfilter.sweep import (
    Sweep,
    list_settings,
    load_replay,
    parse_values,
    try_all,
)
from tests.detectors import SaysScore


class Other(SaysScore):
    """Another detector."""

    name = "other"


DETECTOR = "tests.detectors:SaysScore"
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


def made(shop: Any, name: str) -> tuple[str, dict[str, Any]]:
    """The folder of one of the builds, and what a sweep must be told of it."""
    options = {"detector": DETECTOR, "unknown": f"{shop.path}/unknown/u.jsonl"}
    options |= BUILDS[name]
    for folder in {"core", "against"} & set(options):
        options[folder] = str(shop.path / folder)
    given: dict[str, Any] = {"detector": DETECTOR}
    if "target_fpr" in options:
        given["calibration"] = options["calibration"] = shop.calibration
    if not (shop.path / name).exists():
        shop.build(name, **options)
    return str(shop.path / name), given


def replayed(
    folder: str, given: dict[str, Any], *settings: tuple[float, float | None]
) -> dict[Any, Outcome | str]:
    """What comes of settings, by threshold and similarity; `own` is the build's."""
    stored = open_build(folder, Outside(**given))
    listed = [
        each
        for threshold, near in settings or [(0.5, None)]
        for each in list_settings(stored, [threshold], [near])
        if not settings or not each.own
    ]
    listed = sorted(listed, key=lambda each: each.key)
    return {
        "own" if each.own else (each.threshold.value, each.similarity): came
        for each, _, came in try_all(stored, load_replay(stored), listed)
    }


def is_build(came: Outcome | str, manifest: dict[str, Any]) -> None:
    """Asserts that what was told is what a build wrote."""
    assert isinstance(came, Outcome)
    assert came.books == manifest["books"]
    # What would be written has the same hashes, document for document.
    assert came.record.digest == manifest["content_digest"]
    shares = manifest["shares"]
    assert {key: shares[key] for key in came.shares} == came.shares
    assert came.limited_by == shares["limited_by"]


@pytest.mark.parametrize("name", BUILDS)
def test_the_own_setting_is_the_build_word_for_word(shop: Any, name: str) -> None:
    folder, given = made(shop, name)
    found = replayed(folder, given)
    assert len(found) == 2
    is_build(found["own"], read_manifest(folder))
    (other,) = (came for key, came in found.items() if key != "own")
    assert isinstance(other, str) or other.record.digest != found["own"].record.digest


@pytest.mark.parametrize(("threshold", "near"), [(0.3, 0.7), (0.7, None)])
def test_another_setting_is_what_a_build_with_it_makes(
    shop: Any, threshold: float, near: float | None
) -> None:
    folder, given = made(shop, "protected")
    (told,) = replayed(folder, given, (threshold, near)).values()
    options = {**BUILDS["protected"], "threshold": threshold, "detector": DETECTOR}
    options |= {name: str(shop.path / name) for name in ("core", "against")}
    del options["near_duplicates"]
    if near is not None:
        options["near_duplicates"] = near
    unknown = f"{shop.path}/unknown/u.jsonl"
    is_build(told, shop.build(f"again{threshold}", unknown=unknown, **options))


def test_documents_of_known_origin_take_part_in_build_and_sweep(workshop: Any) -> None:
    # What is brought along need not be like what hides in the crawl: it does not count.
    workshop.write("synthetic/s", [text(95, 600 + i) for i in range(20)])
    machine = [text(30 + i % 65, i) for i in range(150)]
    crawl = machine + machine[:20]
    crawl += [text(1 + i % 30, 200 + i) for i in range(120)]
    crawl += [text(1 + i % 60, 400 + i) for i in range(80)] + ["no score"]
    created = [None] * 170 + ["2015-05-01"] * 120 + [None] * 81
    generator = ["m"] * 170 + [None] * 201
    known = {}
    for row_group in (50, 7):
        columns = {"created": created, "generator": generator}
        workshop.write(f"crawl{row_group}/c", crawl, row_group, **columns)
        options = {
            "unknown": f"{workshop.path}/crawl{row_group}/c.parquet",
            "detector": DETECTOR,
            "calibration": calibrate(workshop.path / "calibration.json"),
            "synthetic_fraction": 0.4,
            "near_duplicates": 0.8,
            "max_ai_score": 0.9,
            **CALIBRATED,
        }
        made = workshop.build(f"out{row_group}", **options)
        assert made["books"]["left_out"]["score_too_high"] > 0
        known[row_group] = made["prevalence"]
    first, second = known.values()
    # What goes for its score counts; what is a copy does not.
    assert first["known"] == {"human": 120, "synthetic": 150}
    assert first["docs"] == 80
    # Blocks and the order in which they are added up do not matter.
    groups = [found.pop("groups") for found in (first, second)]
    assert first == second and len(groups[0]) == len(groups[1]) == 1
    given = {"detector": DETECTOR, "calibration": options["calibration"]}
    is_build(replayed(f"{workshop.path}/out7", given)["own"], made)


def test_crowds_of_texts_are_compared_in_rounds_as_in_a_build(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = prose(7, 90)
    alike = [
        " ".join([f"s{2 * i}", *words[:i], f"other{i}", *words[i + 1 :]])
        for i in range(40)
    ]
    # They share a band with each other, and none is a near copy of another.
    alike += [" ".join([*words[:60], *prose(100 + i, 30)]) for i in range(20)]
    inputs = {}
    for start, name in enumerate(("human", "synthetic", "unknown")):
        shop.write(f"crowd/{name}", alike[start::3])
        inputs[name] = f"{shop.path}/crowd/{name}.parquet"
    monkeypatch.setattr(decisions_near, "MAX_BUCKET", 3)
    options = {"near_duplicates": 0.6, "flagged_human": "reclassify"}
    manifest = shop.build("crowded", detector=DETECTOR, **inputs, **options)
    assert manifest["near_copies"]["not_compared_with_all"] > 0
    assert manifest["books"]["left_out"]["near_copy"] > 30
    found = replayed(str(shop.path / "crowded"), {"detector": DETECTOR})
    is_build(found["own"], manifest)


def test_what_a_ledger_holds_back_is_held_back_again(shop: Any) -> None:
    used = texts(5000, range(60, 90))
    shop.write("first/s", used)
    twins = texts(5000, range(61, 81), edits=1)
    shop.write(
        "second/s",
        [*used[:10], *twins, *texts(5100, range(50, 90))],
        parent_ids=[["s-69"] if i % 3 == 0 else None for i in range(70)],
        synth_generation=[None] * 69 + [1],
    )
    rest = {"detector": DETECTOR, "near_duplicates": 0.8}
    ledger = str(shop.path / "ledger")
    human = f"{shop.path}/human/h.parquet"
    for output in ("first", "second"):
        manifest = shop.build(
            f"{output}-set",
            human=human,
            synthetic=f"{shop.path}/{output}/s.parquet",
            ledger=ledger,
            max_uses=1,
            max_generation=1,
            **rest,
        )
    assert manifest["books"]["left_out"]["used_before"] > 15
    assert manifest["books"]["left_out"]["too_deep"] > 0
    given = {"detector": DETECTOR}
    for output in ("first", "second"):
        folder = str(shop.path / f"{output}-set")
        # As the ledger was when each was built.
        found = replayed(folder, {**given, "ledger": ledger})
        is_build(found["own"], read_manifest(folder))
    with pytest.raises(UserError, match="with --ledger"):
        replayed(folder, given)


def test_what_a_ledger_says_of_origins_is_heard_again(shop: Any) -> None:
    machine = texts(6000, range(60, 90))
    shop.write("made/s", machine)
    shop.write("crawl/c", [*machine[:20], *texts(6200, range(40))])
    rest = {"human": f"{shop.path}/human/h.parquet", "detector": DETECTOR}
    rest["ledger"] = str(shop.path / "knowing")
    shop.build("made-set", synthetic=f"{shop.path}/made/s.parquet", **rest)
    crawl = {"unknown": f"{shop.path}/crawl/c.parquet", "threshold": 1, **rest}
    manifest = shop.build("crawl-set", **crawl)
    deaf = {name: value for name, value in crawl.items() if name != "ledger"}
    assert shop.build("deaf-set", **deaf)["books"] != manifest["books"]
    given = {"detector": DETECTOR, "ledger": rest["ledger"]}
    found = replayed(str(shop.path / "crawl-set"), given)
    is_build(found["own"], manifest)


def sweep(folder: str, *arguments: str, code: int = 0) -> None:
    """Runs the command; by default with the detector of this file."""
    if "--detector" not in arguments:
        arguments = (*arguments, "--detector", DETECTOR)
    try:
        found = main(["sweep", folder, *arguments])
    except SystemExit as stopped:
        found = stopped.code
    assert found == code


def test_the_rows_say_what_a_higher_threshold_does(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, given = made(shop, "estimated")
    files = [str(tmp_path / name) for name in ("a.csv", "b.json", "c.html")]
    sweep(
        folder,
        *("--threshold", "0.05:0.95:10", "--near-duplicates", "none", "0.7:0.9:3"),
        *("--calibration", given["calibration"]),
        *("--csv", files[0], "--json", files[1], "--html", files[2]),
    )
    told = json.loads(Path(files[1]).read_text())
    manifest = read_manifest(folder)
    assert told["build_id"] == manifest["build_id"]
    rows = told["settings"]
    # Ten by four, and the build's own, which goes by length.
    assert len(rows) == 41
    (own,) = (row for row in rows if row["own"])
    assert own["threshold"] == {"0": 0.6, "50": 0.55}
    assert own["kept"] == manifest["books"]["kept"]
    assert own["estimated"] == manifest["shares"]["estimated"]
    for near in (None, 0.7, 0.8, 0.9):
        mine = [r for r in rows if r["near_duplicates"] == near and not r["own"]]
        flags = [(r["synthetic_caught"], r["unknown_flagged"]) for r in mine]
        assert len(mine) == 10
        for kind in zip(*flags, strict=True):
            assert list(kind) == sorted(kind, reverse=True) and kind[0] > kind[-1]
    for threshold in (0.05, 0.95):
        mine = [r["near_copies"] for r in rows if r["threshold"] == threshold]
        assert mine[0] == 0 <= mine[3] < mine[2] <= mine[1]
    with open(files[0], newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["kept"] for row in table] == [str(row["kept"]) for row in rows]
    assert [row["threshold"] for row in table if row["own"] == "True"] == ["by length"]
    said = capsys.readouterr().out
    assert f"* {own['threshold']['50']:g}" in said
    assert "goes by length" in said
    page = Path(files[2]).read_text()
    assert page.count("<tr") == 42 and page.count('<th scope="row">* ') == 1
    assert "Content-Security-Policy" in page


def test_a_higher_threshold_never_costs_more_human_documents(shop: Any) -> None:
    folder, given = made(shop, "exact")
    rows = Sweep(threshold=["0:1:30"], **given).run(folder, Reporter(quiet=True))
    lost = [row["human_lost"] for row in rows]
    assert lost == sorted(lost, reverse=True)
    # All with a score at 0; and at 1 none.
    assert lost[0] == rows[0]["known_human"] and lost[-1] == 0


def test_the_rows_do_not_depend_on_the_borders_of_batches(shop: Any) -> None:
    folder, given = made(shop, "shrunk")
    read = pq.read_table(shop.path / "human/h.parquet")
    (shop.path / "cut").mkdir()
    pq.write_table(read, shop.path / "cut/h.parquet", row_group_size=3)
    options = {**BUILDS["shrunk"], "unknown": f"{shop.path}/unknown/u.jsonl"}
    options |= {"human": f"{shop.path}/cut", **given}
    shop.build("cut-set", **options)
    one, other = (
        Sweep(threshold=["0.3:0.9:4"], **given).run(where, Reporter(quiet=True))
        for where in (folder, str(shop.path / "cut-set"))
    )
    assert one == other


def test_a_setting_that_a_build_would_refuse_says_why(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original = texts(7000, range(10, 40))
    twins = texts(7000, range(10, 40), edits=1)
    shop.write(
        "alone/h", original + twins, source=["<b>first</b>"] * 30 + ["second"] * 30
    )
    shop.write("alone/s", texts(7100, range(10, 20)))
    inputs = {n: f"{shop.path}/alone/{n[0]}.parquet" for n in ("human", "synthetic")}
    shop.build(
        "alone-set",
        **{**inputs, "detector": DETECTOR, "flagged_human": "drop"},
        max_synthetic_fraction=0.9,
        max_source_loss=0.5,
        near_duplicates=0.99,
    )
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    sweep(
        str(shop.path / "alone-set"),
        *("--threshold", "0", "0.5", "--near-duplicates", "none", "0.7"),
        *("--html", str(page), "--csv", str(table)),
    )
    said = capsys.readouterr().out
    assert (
        "refused: copies and filters cost these sources more than max_source_loss=0.5"
        in said
    )
    assert "'<b>first</b>'" in said
    assert "&lt;b&gt;first&lt;/b&gt;" in page.read_text()
    assert "<b>" not in page.read_text()
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    refused = {(r["threshold"], r["near_duplicates"]) for r in rows if r["refused"]}
    assert refused == {("0.0", ""), ("0.0", "0.7"), ("0.5", "0.7")}
    assert {r["estimated"] for r in rows if r["refused"]} == {""}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name what to try"),
        (["--threshold", "high"], "threshold expects numbers, LOW:HIGH"),
        (["--threshold", "0.1:0.2:3:4"], "threshold expects numbers, LOW:HIGH"),
        (["--threshold", "nan"], "threshold expects numbers, LOW:HIGH"),
        (["--threshold", "0.9:0.5"], "LOW below HIGH"),
        (["--threshold", "0.5:0.9:1"], "2 steps at least"),
        (["--threshold", "0.5:1.5"], "threshold must be from 0 to 1"),
        (["--threshold", "none"], "threshold expects numbers"),
        (["--near-duplicates", "0"], "near_duplicates must be above 0 to 1"),
        (["--threshold", "0:1:20000"], "at most 10,000 settings"),
        (["--threshold", "0.5", "--csv", "a", "--json", "a"], "different files"),
        (["--treshold", "0.5"], "did you mean --threshold?"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep("nowhere", *arguments, code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_values_are_what_people_would_write() -> None:
    assert parse_values("threshold", ["0.5:0.99"]) == [
        *(0.5, 0.57, 0.64, 0.71, 0.78, 0.85, 0.92, 0.99)
    ]
    found = parse_values("near_duplicates", ["0.7:0.9", "none", "0.85", "1"], "none")
    assert found == [None, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0]


def test_what_is_not_as_it_was_is_told_in_one_line(
    shop: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = made(shop, "exact")
    mine = tmp_path / "mine.parquet"
    shutil.copy(shop.path / "human/h.parquet", mine)
    own = tmp_path / "own-set"
    shop.build(str(own), human=str(mine), detector=DETECTOR, cache=tmp_path / "cache")
    cache = ["--cache", str(tmp_path / "cache")]

    def fails(said: str, folder: str, *arguments: str) -> None:
        sweep(folder, "--threshold", "0.5", *arguments, code=2)
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line

    fails("holds no manifest.json", str(tmp_path))
    fails("was scored by", folder, "--detector", f"{__name__}:Other")
    fails("other profiles of scores", made(shop, "estimated")[0])
    fails("name the build's --cache", folder, "--cache", str(tmp_path / "none"))
    fails("exists; name a new file", folder, "--csv", str(mine))
    fails("no facts of", str(own))
    sweep(str(own), "--threshold", "0.5", *cache)
    fails("no signatures of", str(own), "--near-duplicates", "0.8", *cache)
    for facts in (tmp_path / "cache/facts").glob("*/*.parquet"):
        facts.write_bytes(facts.read_bytes()[:-9])
    fails("no facts of", str(own), *cache)
    mine.write_bytes(mine.read_bytes() + b" ")
    fails("has changed since the build", str(own), *cache)
    mine.unlink()
    fails("is not there", str(own), *cache)
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["options"]["against_ngrams"] = 13
    (own / "manifest.json").write_text(json.dumps(manifest))
    fails("against_ngrams", str(own), *cache)
    manifest["synthfilter_version"] = "0.0.1"
    (own / "manifest.json").write_text(json.dumps(manifest))
    fails("was built by synthfilter 0.0.1", str(own), *cache)
