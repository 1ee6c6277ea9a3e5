"""Calibrating a detector on one's own text, and using what comes out."""

import json
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to

import synthfilter as sf
from synthfilter.calibrate import fit_probability
from synthfilter.cli import main
from synthfilter.core.errors import UserError
from synthfilter.core.profiles import count_profiles
from synthfilter.detection.detector import ClassDetector, load_detector
from synthfilter.detection.thresholds import choose_profiles
from synthfilter.outputs.manifest import read_manifest

DAYS = ["2021-03-01", "2022-11-30", None, "2024-01-01T00:00:00"]


class CountsAi:
    """Scores the share of words that are `ai`."""

    name = "counts ai"
    threshold = 0.9
    version = 1

    def score(self, column: pa.Array) -> np.ndarray:
        words = [text.split() for text in column.to_pylist()]
        return np.array([np.mean([w == "ai" for w in ws] or [np.nan]) for ws in words])

    def threshold_at(self, fpr: float) -> float:
        if fpr != 0.02:
            raise ValueError(f"counts ai knows 0.02, not {fpr:g}")
        return 0.25


class OtherCounts(CountsAi):
    version = 2


DETECTOR = ["--detector", "test_calibrate:CountsAi"]

KNOWN = count_profiles(
    np.array([0.2, 0.9], np.float32),
    np.array([9, 9]),
    np.array([False, True]),
    ["x", "y"],
)


class Profiled(ClassDetector):
    """One that knows a human and a machine-written document."""

    profiles = KNOWN


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """1,200 human documents and 300 others, 60 or 200 words long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for name, count, machine in (("h", 1200, False), ("s", 300, True)):
        rows = [document(i, machine) for i in range(count)]
        pq.write_table(pa.Table.from_pylist(rows), f"{name}.parquet")
    return tmp_path


def document(i: int, machine: bool) -> dict:
    """Scores of human documents are 0 to 0.5, those of others 0.3 to 0.8."""
    words = [60, 200][i % 2]
    count = round(words * ((i * 37 % 100) / 200 + 0.3 * machine))
    return {
        "text": " ".join(["ai"] * count + ["we"] * (words - count)) + f" {i}",
        "source": ["a", "b"][i % 3 == 0],
        "created": DAYS[i % 4],
    }


def run(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as stopped:
        return int(stopped.code or 0)


def calibrate(*arguments: str, output: str = "c.json") -> dict:
    given = ["--human", "h.parquet", *DETECTOR, "--output", output, *arguments]
    assert run("calibrate", *given) == 0
    return json.loads(Path(output).read_text())


def overall_of(made: dict, fpr: str) -> float:
    return made["thresholds"][fpr]["threshold"]


def test_thresholds_keep_their_rate_and_come_with_intervals(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    made = calibrate("--synthetic", "s.parquet")
    assert list(made["thresholds"]) == ["0.05", "0.01"]
    assert made["not_measured"] == {
        "0.001": "needs 10,000 human documents, got 1,200",
    }
    for fpr, row in made["thresholds"].items():
        assert row["fpr"]["rate"] <= float(fpr) < row["fpr"]["high"]
        assert row["fpr"]["of"] == 1200
        assert row["tpr"]["rate"] > 0.4
        assert set(row["by_source"]) == {"a", "b"}
        of = [band["fpr"] for band in row["by_length_in_words"].values()]
        assert [rate and rate["of"] for rate in of] == [None, 600, None, 600, None]
    bands = made["by_length_in_words"]
    # The rates are those of the thresholds by length, as a build uses them.
    assert made["thresholds"]["0.01"]["by_length"] == {"0": overall_of(made, "0.01")}
    by_length = made["thresholds"]["0.05"]["by_length"]
    assert by_length == {
        "0": bands["50 to 99"]["thresholds"]["0.05"]["threshold"],
        "100": bands["200 to 399"]["thresholds"]["0.05"]["threshold"],
    }
    assert overall_of(made, "0.05") not in by_length.values()
    assert list(bands["50 to 99"]["thresholds"]) == ["0.05"]
    assert bands["50 to 99"]["probability"]["slope"] > 0
    assert bands["under 50"]["probability"] is None
    printed = capsys.readouterr().out
    assert "FPR 0.1%: needs 10,000 human documents" in printed
    assert "FPR 5%: threshold 0.459 under 100 words, 0.4726 from 100, " in printed
    assert "use it with --target-fpr 0.01 --calibration c.json" in printed


def test_profiles_of_human_text_join_the_machine_text_of_the_detector(
    here: Path,
) -> None:
    calibrate(output="human.json")
    calibrate("--synthetic", "s.parquet", output="both.json")
    detector = load_detector(DETECTOR[1])
    other = Profiled(**vars(detector))
    both = choose_profiles(other, "both.json")
    assert both.sources == ("a", "b")
    assert both.own == (True, True)
    assert both.counts.sum(axis=(0, 2, 3)).tolist() == [1200, 300]
    joined = choose_profiles(other, "human.json")
    assert joined.sources == ("a", "b", "y")
    assert joined.own == (True, False)
    assert joined.counts.sum(axis=(0, 2, 3)).tolist() == [1200, 1]
    assert choose_profiles(other, None) is KNOWN
    assert choose_profiles(detector, None) is None
    assert choose_profiles(detector, "human.json") is None


def test_a_calibration_without_profiles_leaves_those_of_the_detector(
    here: Path,
) -> None:
    made = calibrate("--synthetic", "s.parquet", output="old.json")
    del made["profiles"]
    Path("old.json").write_text(json.dumps(made))
    assert choose_profiles(load_detector(DETECTOR[1]), "old.json") is None
    Path("bad.json").write_text(json.dumps({**made, "profiles": {"a": 1}}))
    with pytest.raises(UserError, match=r"^bad\.json: profiles: expected an object of"):
        choose_profiles(load_detector(DETECTOR[1]), "bad.json")


def test_the_same_input_gives_the_same_file(here: Path) -> None:
    calibrate(output="a.json")
    calibrate(output="b.json")
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()


def test_only_documents_from_before_a_day_count_as_human(here: Path) -> None:
    made = calibrate("--synthetic", "s.parquet", "--human-before", "2022-11-30")
    assert made["documents"]["human"] == 300
    assert made["documents"]["not_before"] == 900
    assert made["documents"]["synthetic"] == 300
    assert made["documents"]["human_before"] == "2022-11-30"


def test_too_few_documents_are_refused_with_the_number_needed(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    pq.write_table(pq.read_table("h.parquet").slice(0, 199), "few.parquet")
    assert run("calibrate", "--human", "few.parquet", "--output", "c.json") == 3
    error = capsys.readouterr().err
    assert "too few human documents to calibrate on: 199" in error
    assert "200 for 5%, 1,000 for 1%, 10,000 for 0.1%" in error
    assert not Path("c.json").exists()


def test_other_rates_can_be_asked_for(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    made = calibrate("--target-fpr", "0.02", "0.1", "--target-fpr", "0.1")
    assert list(made["thresholds"]) == ["0.02", "0.1"]
    assert made["not_measured"] == {}
    for fpr, row in made["thresholds"].items():
        assert row["fpr"]["rate"] <= float(fpr)
    assert "with --target-fpr 0.02 --calibration c.json" in capsys.readouterr().out
    given = ["score", "h.parquet", *DETECTOR, "--output", "o.parquet", "--quiet"]
    assert run(*given, "--target-fpr", "0.02", "--calibration", "c.json") == 0
    origins = pq.read_table("o.parquet")["origin"].to_pylist()
    found = made["thresholds"]["0.02"]["fpr"]
    assert origins.count("synthetic") == round(found["rate"] * found["of"])


def test_a_rate_that_was_asked_for_must_be_measured(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    given = ["calibrate", "--human", "h.parquet", *DETECTOR, "--target-fpr", "0.05"]
    assert run(*given, "0.001") == 3
    error = capsys.readouterr().err
    assert "1,200 with a score; expected at least 10,000 for 0.1%" in error
    assert error.count("\n") == 1
    assert run(*given, "0") == 2
    assert "above 0 and below 1, got 0.0" in capsys.readouterr().err
    assert not Path("calibration.json").exists()
    assert run(*given) == 0
    assert list(json.loads(Path("calibration.json").read_text())["thresholds"]) == [
        "0.05"
    ]


def test_no_human_document_is_too_few(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    pq.write_table(pq.read_table("h.parquet").slice(0, 0), "none.parquet")
    assert run("calibrate", "--human", "none.parquet", *DETECTOR) == 3
    assert "too few human documents to calibrate on: 0" in capsys.readouterr().err


def test_a_build_takes_the_threshold_of_a_calibration(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    made = calibrate()
    given = ["--unknown", "h.parquet", *DETECTOR, "--target-fpr", "0.01"]
    given += ["--calibration", "c.json"]
    assert run("build", *given, "--output", "out", "--dry-run") == 0
    assert run("build", *given, "--output", "out") == 0
    expected = made["thresholds"]["0.01"]["threshold"]
    printed = capsys.readouterr().out
    assert f"machine text from score {expected:.4g}, c.json (sha256 " in printed
    options = read_manifest("out")["options"]
    assert options["threshold"] == expected
    assert options["target_fpr"] == 0.01
    assert options["threshold_from"].endswith("at FPR 0.01")
    origins = pq.read_table("out/data")["origin"].to_pylist()
    assert origins.count("synthetic") == 12
    # The same threshold given as a number is the same build.
    again = ["--unknown", "h.parquet", *DETECTOR, "--threshold", repr(expected)]
    assert run("build", *again, "--output", "again", "--quiet") == 0
    assert read_manifest("again")["build_id"] == read_manifest("out")["build_id"]


def test_a_build_compares_each_document_with_the_threshold_of_its_length(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    made = calibrate()
    # Some are dated before machine text was common, which would make them human.
    given = ["--human", "h.parquet", *DETECTOR, "--flagged-human", "drop"]
    given += ["--human-before", "never"]
    given += ["--target-fpr", "0.05", "--calibration", "c.json"]
    assert run("build", *given, "--output", "out", "--quiet") == 0
    at = made["thresholds"]["0.05"]
    assert read_manifest("out")["options"]["threshold"] == at["by_length"]
    rejected = pq.read_table("out/rejected").to_pylist()
    assert len(rejected) == round(at["fpr"]["rate"] * 1200) == 48
    found = {(row["evidence"], row["reason"]) for row in rejected}
    assert found == {
        (f"threshold={at['by_length'][start]}", "human_scored_synthetic")
        for start in ("0", "100")
    }
    # As many as the same build finds before it is made.
    capsys.readouterr()
    assert run("build", *given, "--output", "other", "--dry-run") == 0
    assert "filtered 48" in capsys.readouterr().out
    # One number for all lengths is another build.
    value = repr(at["threshold"])
    again = ["--human", "h.parquet", *DETECTOR, "--flagged-human", "drop"]
    assert run("build", *again, "--threshold", value, "--output", "b", "--quiet") == 0
    assert read_manifest("b")["build_id"] != read_manifest("out")["build_id"]


def test_score_and_the_transform_take_it_as_well(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    calibrate()
    given = [*DETECTOR, "--target-fpr", "0.05", "--calibration", "c.json"]
    assert run("score", "h.parquet", *given, "--output", "o.parquet") == 0
    origins = pq.read_table("o.parquet")["origin"].to_pylist()
    assert origins.count("synthetic") == 48
    assert "c.json (sha256 " in capsys.readouterr().out
    score = sf.Score(
        detector=DETECTOR[1], target_fpr=0.05, calibration="c.json", fields=[]
    )
    with beam.Pipeline("FnApiRunner") as pipeline:
        rows = [{"text": document(i, False)["text"]} for i in range(1200)]
        found = pipeline | beam.Create(rows) | score
        machine = found | beam.Filter(lambda row: row["origin"] == "synthetic")
        assert_that(machine | beam.combiners.Count.Globally(), equal_to([48]))


def test_without_a_calibration_the_detector_is_asked(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    given = ["score", "h.parquet", *DETECTOR, "--output", "o.parquet"]
    assert run(*given, "--target-fpr", "0.02") == 0
    assert "from score 0.25, the detector's at FPR 0.02" in capsys.readouterr().out
    assert run(*given[:-1], "p.parquet", "--target-fpr", "0.01") == 2
    assert "counts ai knows 0.02, not 0.01" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "0.5"], "threshold and target_fpr both set the threshold"),
        (["--target-fpr", "1"], "target_fpr must be above 0 and below 1, got 1.0"),
        (["--target-fpr", "0.2"], "measured at false-positive rates 0.01, 0.05, not"),
        (["--detector", "test_calibrate:OtherCounts"], "calibrates other scores"),
        (["--calibration", "no.json"], "cannot read 'no.json'"),
        (["--calibration", "h.parquet"], "h.parquet: expected a calibration, got"),
        (["--calibration", "list.json"], "wrote, got list"),
        (["--calibration", "old.json"], "wrote, got ('synthfilter calibration', 0)"),
        (["--calibration", "torn.json"], "thresholds cannot be read"),
        (["--calibration", "high.json"], "expected thresholds between 0 and 1, got"),
        (["--calibration", "short.json"], "a number of words, got 'short'"),
    ],
)
def test_what_does_not_fit_is_one_line_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    made = calibrate()
    Path("list.json").write_text("[]")
    Path("old.json").write_text(json.dumps(made | {"version": 0}))
    Path("torn.json").write_text(json.dumps(made | {"thresholds": {"0.01": 3}}))
    for name, bands in (("high", {"0": 7}), ("short", {"short": 0.5})):
        row = {"0.01": {"threshold": 0.5, "by_length": bands}}
        Path(f"{name}.json").write_text(json.dumps(made | {"thresholds": row}))
    given = ["--unknown", "h.parquet", *DETECTOR, "--target-fpr", "0.01"]
    given += ["--calibration", "c.json", "--output", "out", *arguments]
    capsys.readouterr()
    assert run("build", *given) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out").exists()


def test_a_calibration_needs_a_rate() -> None:
    with pytest.raises(UserError, match="calibration needs target_fpr"):
        sf.Score(calibration="c.json")
    with pytest.raises(UserError, match="calibration needs target_fpr"):
        sf.Build(output="out", human=["h"], calibration="c.json")


def test_probabilities_need_both_classes_and_rising_scores() -> None:
    score = np.linspace(0, 1, 200)
    assert fit_probability(score, score > 0.9) is None
    assert fit_probability(score, score < 0.5) is None
    fitted = fit_probability(score, (np.arange(200) % 3 == 0) | (score > 0.7))
    assert fitted is not None
    assert fitted["slope"] > 0
