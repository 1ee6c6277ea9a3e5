"""Models that are cut, corrupt or hostile, and detectors that drift."""

import hashlib
import json
import os
import struct
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.cli import main
from synthfilter.core.errors import UserError
from synthfilter.detection import library_trial, training
from synthfilter.detection.detector import default_model_path, load_detector
from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.library import LibraryModel
from synthfilter.detection.library_trial import Trial, try_model
from synthfilter.detection.training import train_lines, training_lines

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LABEL = ("__label__synthetic",)
LINES = ("the rain and the bus", "delve in a tapestry", "heck the kitchen", "of and")
HUMAN = "heck the bus to the kitchen gonna be late in rain and it is cold".split()
MACHINE = "delve in the tapestry of a pivotal realm furthermore it is crucial".split()


class Deadly(bytes):
    """Bytes that end the process that they are sent to."""

    def __reduce__(self) -> tuple:
        return os._exit, (9,)


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    """The benchmark, importable by the processes that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import fuzz_models

        yield fuzz_models
        sys.modules.pop("fuzz_models")


@pytest.fixture(scope="module")
def bases(fuzz: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Tiny models: linear, with subwords, quantised."""
    return fuzz.train_bases(tmp_path_factory.mktemp("bases"))


def patched(data: bytes, at: int, layout: str, value: float) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def write(folder: Path, data: bytes, beside: dict | None = None) -> str:
    path = folder / "m.bin"
    path.write_bytes(data)
    if beside is not None:
        path.with_suffix(".json").write_text(json.dumps(beside))
    return str(path)


def refusal(path: str) -> str:
    with pytest.raises(UserError) as caught:
        load_detector(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("base", ["linear", "subwords", "quantised"])
def test_row_38_a_model_cut_anywhere_is_refused_before_it_is_loaded(
    bases: dict, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_trial.subprocess, "run", None)  # It is never asked.
    data = bases[base]
    for size in range(0, len(data), 131):
        assert "expected" in refusal(write(tmp_path, data[:size]))


def test_row_38_a_header_that_claims_2_to_the_40_rows_allocates_nothing(
    bases: dict, fuzz: ModuleType
) -> None:
    for base in ("linear", "quantised"):
        data = bases[base]
        shape = fuzz.end_of_dictionary(data) + (2 if base == "quantised" else 1)
        sizes = [(8, "<i", 2**31 - 1), (40, "<i", 2**31 - 1), (84, "<q", 2**40)]
        sizes += [(shape, "<q", 2**40), (shape + 8, "<q", 2**40), (64, "<i", 2**31 - 1)]
        for at, layout, value in sizes:
            tracemalloc.start()
            with pytest.raises(ValueError, match="expected"):
                parse(patched(data, at, layout, value))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 1_000_000


def test_row_38_parts_of_a_quantised_row_must_fit_its_dimension(
    bases: dict, fuzz: ModuleType
) -> None:
    data = bases["quantised"]
    codes_at = fuzz.end_of_dictionary(data) + 2 + 16
    (codes,) = struct.unpack_from("<i", data, codes_at)
    quantiser = codes_at + 4 + codes
    dim, parts, width, last = struct.unpack_from("<4i", data, quantiser)
    assert (parts - 1) * width + last == dim
    # The sum is right, and the last part would be read before its row.
    wrong = patched(data, quantiser + 8, "<i", dim + 1)
    wrong = patched(patched(wrong, quantiser + 4, "<i", 2), quantiser + 12, "<i", -1)
    with pytest.raises(ValueError, match="quantiser of dim"):
        parse(wrong)


def test_row_38_what_the_library_reads_otherwise_is_refused(
    bases: dict, fuzz: ModuleType
) -> None:
    flag = fuzz.end_of_dictionary(bases["linear"])
    with pytest.raises(ValueError, match="flag of 0 or 1, got 7"):
        parse(patched(bases["linear"], flag, "<B", 7))
    with pytest.raises(ValueError, match="quantised model, as it is pruned"):
        parse(patched(bases["linear"], 84, "<q", 0))
    spaced = bases["linear"].replace(b"tapestry", b"tape try")
    with pytest.raises(ValueError, match="without white space"):
        parse(spaced)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("base", ["linear", "subwords"])
def test_row_38_weights_that_are_none_are_refused(
    bases: dict, fuzz: ModuleType, base: str, weight: float, tmp_path: Path
) -> None:
    at = fuzz.end_of_dictionary(bases[base]) + 17
    data = bases[base]
    for place in range(at, at + 3 * 4 * 26, 4):  # The words' rows.
        data = patched(data, place, "<f", weight)
    assert "expected" in refusal(write(tmp_path, data))


def test_row_38_a_model_that_tells_nothing_apart_is_refused(
    bases: dict, fuzz: ModuleType, tmp_path: Path
) -> None:
    for base in ("linear", "subwords"):
        data = bases[base]
        at = fuzz.end_of_dictionary(data) + 17
        rows = (len(data) - at - 17 - 2 * 3 * 4) // 4
        data = data[:at] + bytes(4 * rows) + data[at + 4 * rows :]
        assert "apart, got" in refusal(write(tmp_path, data))


def test_row_38_a_file_that_crashes_the_library_crashes_a_child_alone(
    bases: dict, tmp_path: Path
) -> None:
    # What the parser refuses, given to the library all the same.
    wrong_bucket = patched(bases["subwords"], 40, "<i", 2**28)
    with pytest.raises(UserError, match=r"m: .* crashed \(signal 11\); fetch"):
        try_model(wrong_bucket, "m", LABEL, LINES)
    rows = bases["subwords"].index(struct.pack("<2q", 326, 3))
    with pytest.raises(UserError, match=r"failed \(MemoryError"):
        try_model(patched(bases["subwords"], rows, "<q", 2**40), "m", LABEL, LINES)
    # A few bytes too few: the library would read what was in memory before, which may
    # tell lines apart or not, so that it must not come to that.
    assert "bytes" in refusal(write(tmp_path, bases["subwords"][:-24]))


def test_row_38_a_child_that_never_ends_is_stopped(
    bases: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text("while True: pass")
    monkeypatch.setattr(library_trial, "_CHILD", child)
    monkeypatch.setattr(library_trial, "_BASE_SECONDS", 1)
    with pytest.raises(UserError, match="took more than 1 seconds"):
        try_model(bases["subwords"] + b"x", "m", LABEL, LINES)


def test_row_38_scores_in_this_process_must_be_those_of_the_trial(
    bases: dict,
) -> None:
    data = bases["subwords"]
    trial = try_model(data, "m", LABEL, LINES)
    column = pa.array([*LINES])
    logit = LibraryModel(data, LABEL, "spaces", trial).evidence(column).logit
    assert (1 / (1 + np.exp(-logit))).tolist() == pytest.approx(trial.scores)
    other = Trial(trial.lines, trial.scores[::-1])
    with pytest.raises(UserError, match="from one process to the next"):
        LibraryModel(data, LABEL, "spaces", other).evidence(column)


def test_row_38_a_model_can_be_pinned_by_its_checksum(
    bases: dict, tmp_path: Path, workshop: Any
) -> None:
    data = bases["linear"]
    path = write(tmp_path, data)
    digest = hashlib.sha256(data).hexdigest()
    assert load_detector(f"{path}#sha256={digest.upper()}").name == "m.bin"
    assert f"expected sha256 '{'0' * 64}'" in refusal(f"{path}#sha256={'0' * 64}")
    assert "expected sha256 ''" in refusal(f"{path}#sha256=")
    workshop.write("human/a", [" ".join(HUMAN)])
    workshop.build(code=2, detector=f"{path}#sha256={'1' * 64}")
    write(tmp_path, data, {"sha256": "2" * 64})
    assert "expected sha256 2222" in refusal(path)


def test_row_38_fuzzed_models_crash_nothing(fuzz: ModuleType, bases: dict) -> None:
    mix = ["linear"] * 9 + ["subwords", "quantised"]
    outcomes = fuzz.run(bases, 200, 1, mix)
    assert sorted(outcome.number for outcome in outcomes) == [*range(200)]
    wrong = [o for o in outcomes if o.result in (fuzz.BAD, fuzz.CRASHED)]
    assert not wrong
    results = [outcome.result for outcome in outcomes]
    assert results.count(fuzz.REFUSED) > 80 and results.count(fuzz.SANE) > 30
    assert max(outcome.seconds for outcome in outcomes) < 10


def test_row_38_the_fuzzer_counts_a_process_that_dies(
    fuzz: ModuleType, bases: dict
) -> None:
    outcomes = fuzz.run({"linear": Deadly(bases["linear"])}, 1, 1, ["linear"])
    assert [(o.result, o.said) for o in outcomes] == [(fuzz.CRASHED, "exit code 9")]


def test_row_39_other_labels_are_named(bases: dict, tmp_path: Path) -> None:
    data = bases["linear"].replace(b"__label__human", b"__label__happy")
    message = refusal(write(tmp_path, data))
    assert "__label__happy" in message and "__label__synthetic" in message
    assert '{"labels": {"synthetic": [...], "human": [...]}}' in message
    path = write(tmp_path, data, {"labels": {"human": ["happy"]}})
    assert load_detector(path).score(pa.array(["delve tapestry realm"]))[0] > 0.5


def rows_for_training(folder: Path, flip: bool) -> str:
    """Writes labelled documents; with `flip`, labels that no word tells."""
    random = np.random.default_rng(3)
    rows = []
    for i in range(200):
        words = random.choice(MACHINE if i % 2 and not flip else HUMAN, 40)
        rows.append({"text": " ".join(words), "label": ["human", "synthetic"][i % 2]})
    path = folder / "labelled.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe with a table that is quick to fill."""
    monkeypatch.setitem(training.FASTTEXT_OPTIONS, "bucket", 2**10)


@pytest.mark.usefixtures("small_recipe")
def test_row_40_training_twice_gives_the_same_file(tmp_path: Path) -> None:
    data = rows_for_training(tmp_path, flip=False)
    for name in ("a", "b"):
        output = str(tmp_path / f"{name}.bin")
        assert main(["train", "--data", data, "--output", output, "--quiet"]) == 0
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    said = json.loads((tmp_path / "a.json").read_text())
    # What the new model says of the fixed texts is pinned beside it.
    assert said["canaries"].keys() >= {"letter", "assistant"}


@pytest.mark.usefixtures("small_recipe")
def test_row_40_a_model_that_learnt_nothing_is_not_saved(tmp_path: Path) -> None:
    data = rows_for_training(tmp_path, flip=True)
    output = tmp_path / "weak.bin"
    assert main(["train", "--data", data, "--output", str(output), "--quiet"]) == 3
    assert not output.exists() and not output.with_suffix(".json").exists()


def test_row_40_training_that_diverges_is_an_error() -> None:
    lines = [f"__label__human {' '.join(HUMAN)}".encode()] * 20
    lines += [f"__label__synthetic {' '.join(MACHINE)}".encode()] * 20
    with pytest.raises(ValueError, match=r"diverged|finite"):
        train_lines(lines, lr=1e30, seed=1)


@pytest.mark.parametrize("tokens", ["words", "spaces"])
def test_row_18_a_label_inside_a_text_trains_and_scores_nothing(
    bases: dict, tokens: str, tmp_path: Path
) -> None:
    text = "the bus __label__synthetic __label__human was late"
    lines = training_lines(pa.array([text]), np.array([False]), ["a"], tokens)
    assert [line.count(b"__label__") for line in lines] == [1]
    assert all(line.startswith(b"__label__human ") for line in lines)
    path = write(tmp_path, bases["linear"], {"tokens": "spaces"})
    plain, marked = load_detector(path).score(pa.array(["the bus was late", text]))
    assert plain == marked
    library = write(tmp_path, bases["subwords"], {"tokens": "spaces"})
    plain, marked = load_detector(library).score(pa.array(["the bus was late", text]))
    assert plain == marked


SHIPPED = Path(default_model_path())


@pytest.fixture(scope="module")
def drifting(shared_workshop: Any) -> Any:
    """Builds: `out`; `same` after it; `moved` with other human text; `damaged`."""

    def prose(words: str, number: int) -> str:
        random = np.random.default_rng(number)
        return " ".join(random.choice(words.split(), 60))

    plain = "we took the old bus home and it rained so my sister lost her hat again"
    polished = (
        "furthermore it is crucial to embrace innovation and foster meaningful growth "
        "in a rapidly evolving landscape that offers numerous benefits for individuals"
    )
    shop = shared_workshop
    model = shop.path / "model"
    model.mkdir()
    (model / "m.bin").write_bytes(SHIPPED.read_bytes())
    said = json.loads(SHIPPED.with_suffix(".json").read_text())
    said["canaries"]["news"] += 0.01
    (model / "m.json").write_text(json.dumps(said))
    shop.write("human/a", [prose(plain, i) for i in range(300)])
    shop.build("out")
    shop.write("human/a", [prose(plain, 1000 + i) for i in range(300)])
    shop.build("same", previous=str(shop.path / "out"), fail_on_drift=True)
    shop.write("human/a", [prose(polished, i) for i in range(300)])
    shop.build("moved", previous=str(shop.path / "out"))
    options = {"detector": str(model / "m.bin"), "fail_on_drift": True}
    shop.build("damaged", code=4, **options)
    return shop


def drift_of(shop: Any, name: str) -> dict:
    return json.loads((shop.path / name / "report.json").read_text())["drift"]


def test_row_47_the_shipped_detector_has_the_scores_that_are_pinned() -> None:
    from synthfilter.detection.canary import canary_scores

    rows = canary_scores(load_detector())
    assert len(rows) == 8
    assert [row["expected"] is not None for row in rows] == [True] * 8
    assert [row["score"] for row in rows] == [row["expected"] for row in rows]
    assert not any(row["moved"] for row in rows)


def test_row_47_canaries_that_moved_are_told_and_exit_with_4(drifting: Any) -> None:
    report = json.loads((drifting.path / "damaged/report.json").read_text())
    assert report["drift"]["canaries"] == ["news"]
    moved = {row["name"] for row in report["detector"]["canaries"] if row["moved"]}
    assert moved == {"news"}
    page = (drifting.path / "damaged/report.html").read_text()
    assert "The detector changed: news no longer have the scores" in page
    # The set is there all the same.
    assert drifting.rows("data", "damaged")


def test_row_47_scores_that_move_from_one_build_to_the_next_are_told(
    drifting: Any, capsys: pytest.CaptureFixture
) -> None:
    assert drift_of(drifting, "out") == {"canaries": [], "against": None, "scores": []}
    same, moved = drift_of(drifting, "same"), drift_of(drifting, "moved")
    assert [row["moved"] for row in same["scores"]] == [False]
    (row,) = moved["scores"]
    assert row["declared"] == "human" and row["moved"]
    assert row["index"] >= row["limit"] >= 0.25
    page = (drifting.path / "moved/report.html").read_text()
    assert "The scores of what was declared human moved: stability index" in page
    drifting.build("again", previous=str(drifting.path / "out"))
    assert "warning: the scores of what was declared human" in capsys.readouterr().err


def test_row_47_a_build_before_with_other_canaries_is_told_too(drifting: Any) -> None:
    path = drifting.path / "edited.json"
    report = json.loads((drifting.path / "out/report.json").read_text())
    report["detector"]["canaries"][0]["score"] = 0.5
    path.write_text(json.dumps(report))
    drifting.build("since", code=4, previous=str(path), fail_on_drift=True)
    assert drift_of(drifting, "since")["canaries"] == ["letter"]
    report["detector"]["sha256"] = "another"
    path.write_text(json.dumps(report))
    drifting.build("other", previous=str(path), fail_on_drift=True)
    assert drift_of(drifting, "other")["against"] is None


def test_row_16_a_token_of_10_mb_costs_little_and_has_no_score(
    bases: dict, tmp_path: Path
) -> None:
    column = pa.array(["x" * 10_000_000])
    start = time.process_time()
    assert np.isnan(load_detector().score(column)[0])
    assert time.process_time() - start < 5
    start = time.process_time()
    path = write(tmp_path, bases["subwords"], {"min_tokens": 2})
    assert np.isnan(load_detector(path).score(column)[0])
    assert time.process_time() - start < 5
