"""Training on one's own text: the files, the gate and what is refused."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core.text import normalise
from synthfilter.detection.detector import load_detector
from synthfilter.detection.evaluation import linked_groups
from synthfilter.detection.fitting import (
    MAX_FOLDS,
    Documents,
    choose_folds,
    usual_shares,
)
from synthfilter.detection.linear import Evidence
from synthfilter.detection.training import train_lines

SHARED = "the of and to in a is that it for as with was on be by at this from are"
HUMAN = "heck gonna mate kinda nope don't rain bus 7 42 kitchen sister"
SYNTHETIC = "delve tapestry furthermore landscape multifaceted pivotal realm crucial"


def made_up(seed: int, machine: bool, own: float = 0.4, words: int = 40) -> str:
    """Returns a text that gives its writer away in a part of its words."""
    random = np.random.default_rng([seed, machine])
    shared, telling = SHARED.split(), (SYNTHETIC if machine else HUMAN).split()
    return " ".join(
        random.choice(telling if random.random() < own else shared)
        for _ in range(words)
    )


def write(path: str, count: int = 300, own: float = 0.4, **columns: list) -> None:
    rows = [
        {"text": made_up(i, i % 2 == 1, own), "label": ["human", "synthetic"][i % 2]}
        for i in range(count)
    ]
    table = pa.Table.from_pylist(rows)
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop([name])
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    try:
        return main(list(arguments))
    except SystemExit as stopped:
        return int(stopped.code or 0)


def test_a_trained_model_is_a_detector_like_the_shipped_one(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    write("data.parquet")
    assert run("train", "--data", "data.parquet", "--output", "out/m.bin") == 0
    printed = capsys.readouterr().out
    assert "150 human and 150 synthetic documents" in printed
    assert "measured on left-out documents (5 parts;" in printed
    facts = json.loads(Path("out/m.json").read_text())
    assert facts["measured"]["all"]["auroc"] > 0.99
    assert list(facts["thresholds"]) == ["0.05", "0.01"]
    model = Path("out/m.bin").read_bytes()
    assert facts["sha256"] == hashlib.sha256(model).hexdigest()
    detector = load_detector("out/m.bin")
    assert detector.name == "m"
    texts = [made_up(i, i % 2 == 1) for i in range(1000, 1040)]
    scores = detector.score(normalise(pa.array(texts)))
    assert (
        (scores >= detector.threshold.value) == (np.arange(40) % 2 == 1)
    ).mean() > 0.9
    asked = ["evaluate", "--data", "data.parquet", "--detector", "out/m.bin"]
    assert run(*asked, "--quiet") == 0


def test_the_same_text_gives_the_same_bytes_in_any_number_of_files(here: Path) -> None:
    write("data.parquet")
    table = pq.read_table("data.parquet").append_column("source", [["one"] * 300])
    pq.write_table(table, "data.parquet")
    Path("parts").mkdir()
    for part in range(3):
        rows = table.slice(part * 100, 100)
        pq.write_table(rows, f"parts/{part}.parquet", row_group_size=30)
    for data, output in (("data.parquet", "a"), ("parts", "b"), ("parts", "c")):
        Path(output).mkdir()
        asked = ["--data", data, "--output", f"{output}/m.bin", "--quiet"]
        assert run("train", *asked) == 0
    for name in ("m.bin", "m.json"):
        a, b, c = (Path(folder, name).read_bytes() for folder in "abc")
        assert a == b == c


def test_sources_with_both_classes_are_left_out_one_by_one(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    sources = [f"s{i // 2 % 3}" for i in range(300)]
    write("data.parquet", source=sources, domain=["d"] * 300, group=[None] * 300)
    assert run("train", "--data", "data.parquet", "--output", "m.bin") == 0
    assert "leaving out s2" in capsys.readouterr().out
    facts = json.loads(Path("m.json").read_text())
    assert facts["measured"]["how"].startswith("leave one source out")
    assert list(facts["measured"]["by_source"]) == ["s0", "s1", "s2"]
    profiles = load_detector("m.bin").profiles
    assert profiles.sources == ("s0 / d", "s1 / d", "s2 / d")
    assert profiles.counts.sum(axis=(1, 2, 3)).tolist() == [100, 100, 100]


def test_a_model_that_guesses_is_not_saved(
    here: Path, capsys: pytest.CaptureFixture
) -> None:
    write("data.parquet", own=0.0)
    assert run("train", "--data", "data.parquet", "--output", "m.bin") == 3
    error = capsys.readouterr().err
    assert "left-out documents" in error
    assert "nothing is saved" in error
    assert error.count("\n") == 1
    assert [path.name for path in here.iterdir()] == ["data.parquet"]


def test_the_gate_is_the_users_to_set(here: Path) -> None:
    write("data.parquet", own=0.1)
    asked = ["train", "--data", "data.parquet", "--quiet", "--output"]
    assert run(*asked, "strict.bin", "--min-auroc", "1") == 3
    assert run(*asked, "m.bin", "--min-auroc", "0.6") == 0
    assert not Path("strict.json").exists()


def test_divergence_is_one_line_and_not_a_model(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(lines: list[bytes], **options: float) -> None:
        raise ValueError("training diverged (Encountered NaN.); lower lr")

    assert callable(train_lines)
    monkeypatch.setattr("synthfilter.detection.training.train_lines", diverge)
    write("data.parquet")
    assert run("train", "--data", "data.parquet", "--output", "m.bin") == 3
    error = capsys.readouterr().err
    assert "no model can be made of this data: training diverged" in error
    assert not Path("m.json").exists()


@pytest.mark.parametrize(
    ("columns", "arguments", "code", "message"),
    [
        ({}, ["--label-column", "cls"], 2, "no column 'cls' with the labels; found"),
        ({"label": ["a"] * 300}, [], 2, "got 'a'"),
        ({"label": ["ai"] * 300}, [], 2, "got 300 synthetic ones and no others"),
        ({"text": [""] * 300}, [], 2, "expected documents to train on, found none"),
        (
            {"label": ["0"] * 281 + ["1"] * 19},
            [],
            3,
            "expected at least 20 of each class, got 19 of one",
        ),
        ({}, ["--output", "model"], 2, "output must end with .bin, got 'model'"),
        ({}, ["--output", "data.bin"], 2, "output 'data.json' exists"),
        ({}, ["--min-auroc", "70"], 2, "min_auroc must be between 0 and 1, got 70"),
        ({"group": ["all"] * 300}, [], 3, "no model can be made of this data"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(
    here: Path,
    capsys: pytest.CaptureFixture,
    columns: dict,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    write("data.parquet", **columns)
    Path("data.json").write_text("{}")
    given = ["--data", "data.parquet", "--output", "m.bin", *arguments]
    assert run("train", *given) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("m.bin").exists()


def documents(sources: list[str], texts: list[str], groups: list[str]) -> Documents:
    """Classes take turns."""
    synthetic = np.arange(len(texts)) % 2 == 1
    domains = np.full(len(texts), None, object)
    linked = linked_groups(groups, texts)
    named = np.array(sources, object)
    return Documents(pa.array(texts), synthetic, named, domains, linked, domains)


def test_folds_keep_groups_together_in_any_order() -> None:
    texts = [made_up(i, False) for i in range(200)]
    groups = [f"g{i // 4}" for i in range(200)]
    folds, _ = choose_folds(documents(["one"] * 200, texts, groups))
    assert len(set(folds)) == 5
    assert all(len(set(folds[i : i + 4])) == 1 for i in range(0, 200, 4))
    back, _ = choose_folds(documents(["one"] * 200, texts[::-1], groups[::-1]))
    assert (back[::-1] == folds).all()


def test_many_sources_are_left_out_several_at_a_time() -> None:
    texts = [made_up(i, False) for i in range(200)]
    sources = [f"s{i // 4}" for i in range(200)]
    folds, how = choose_folds(documents(sources, texts, [str(i) for i in range(200)]))
    assert 2 < len(set(folds)) <= MAX_FOLDS
    assert "some sources" in how
    assert all(len(set(folds[i : i + 4])) == 1 for i in range(0, 200, 4))


def test_a_small_vocabulary_lowers_what_must_be_known() -> None:
    tokens = np.full(100, 20)
    evidence = Evidence(np.zeros(100), tokens, np.full(100, 10))
    assert usual_shares(evidence) == (0.5, 0.45)
    assert usual_shares(Evidence(np.zeros(100), tokens, tokens)) == (0.75, 0.45)
    short = Evidence(np.zeros(1), tokens[:1] // 20, tokens[:1])
    assert usual_shares(short) == (0, 0)
