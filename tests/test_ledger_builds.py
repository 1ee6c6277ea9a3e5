"""Builds that remember: generations of real text, crashes, lineage, evidence."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from synthfilter.cli import main
from synthfilter.outputs.manifest import UNFINISHED, read_manifest

WORDS = "river stone harvest letter engine winter garden copper window silver".split()


def prose(number: int, words: int = 60) -> str:
    """A text of its own for each number."""
    random = np.random.default_rng(number)
    return " ".join(f"{WORDS[i % 10]}{i}" for i in random.integers(0, 900, words))


def shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 5]) for i in range(max(len(words) - 4, 1))}


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(folder: Path, output: str, *options: str, code: int = 0) -> dict[str, Any]:
    """Builds from h.jsonl and s.jsonl with the ledger of the folder."""
    arguments = ["--human", f"{folder}/h.jsonl", "--synthetic", f"{folder}/s.jsonl"]
    arguments += ["--output", f"{folder}/{output}", "--ledger", f"{folder}/ledger"]
    arguments += ["--flagged-human", "keep", "--quiet"]
    assert main(["build", *arguments, *options]) == code
    return read_manifest(f"{folder}/{output}") if code == 0 else {}


def rows_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = sorted((folder / kind).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def ledger_rows(path: Path) -> list[tuple[Any, ...]]:
    """All rows without their times, sorted."""
    table = pa.table(DeltaTable(str(path)).to_pyarrow_table()).drop_columns(["time"])
    return sorted(map(repr, table.to_pylist()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "h.jsonl", [{"id": f"h{i}", "text": prose(i)} for i in range(20)])
    write(
        tmp_path / "s.jsonl",
        [{"id": f"s{i}", "text": prose(100 + i)} for i in range(20)],
    )
    return tmp_path


@pytest.mark.parametrize("max_uses", [1, 2])
def test_over_generations_no_text_nor_near_copy_is_used_more_often_than_allowed(
    labelled_data: Path, tmp_path: Path, max_uses: int
) -> None:
    def texts(source: str, label: str, count: int) -> list[str]:
        table = pq.read_table(labelled_data / f"{source}.parquet")
        long = pc.greater(pc.utf8_length(table["text"]), 700)
        table = table.filter(pc.and_(pc.equal(table["label"], label), long))
        return sorted(set(table["text"].to_pylist()))[:count]

    human = texts("human_nltk_speech", "human", 60)
    pool = texts("fastdetect", "synthetic", 150)
    write(
        tmp_path / "h.jsonl",
        [{"id": f"h{i}", "text": text} for i, text in enumerate(human)],
    )
    used: list[list[set[str]]] = []
    for generation in range(3):
        random = np.random.default_rng(generation)
        crawl = []
        for family in random.choice(len(pool), 90, replace=False).tolist():
            words = pool[family].split()
            for version in range(random.integers(1, 3)):
                # A word changed here and there still makes a near copy.
                words[int(random.integers(len(words)))] = "indeed"
                name = f"{family}-{generation}-{version}"
                crawl.append({"id": name, "text": " ".join(words)})
            crawl.append({"id": f"{family}-{generation}-same", "text": pool[family]})
        write(tmp_path / "s.jsonl", crawl)
        options = ["--near-duplicates", "0.8", "--max-uses", str(max_uses)]
        made = run(tmp_path, f"out{generation}", *options)
        books = made["books"]
        assert books["read"] == len(human) + len(crawl)
        assert books["read"] == books["kept"] + sum(books["left_out"].values())
        kept = rows_of(tmp_path / f"out{generation}", "data")
        mine = [shingles(r["text"]) for r in kept if r["origin"] == "synthetic"]
        for text in mine:
            builds = [any(jaccard(text, old) >= 0.8 for old in b) for b in used]
            assert sum(builds) < max_uses
        used.append(mine)
        assert sum(row["origin"] == "human" for row in kept) == len(human)
        if generation >= max_uses:
            assert books["left_out"]["used_before"] > 10
    left_out = rows_of(tmp_path / "out2", "rejected")
    first = read_manifest(str(tmp_path / "out0"))["build_id"]
    said = [r["evidence"] for r in left_out if r["reason"] == "used_before"]
    assert any(line.startswith(f"build={first} uses={max_uses} ") for line in said)


KILLED = """
import os, signal, sys
import synthfilter.publish as publish
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
publish.commit_use = die
from synthfilter.cli import main
main(sys.argv[1:])
"""


def test_a_build_killed_before_the_ledger_is_healed_by_running_again(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clean = tmp_path_factory.mktemp("clean")
    for name in ("h.jsonl", "s.jsonl"):
        os.link(folder / name, clean / name)
    run(clean, "out")
    arguments = ["build", "--human", "h.jsonl", "--synthetic", "s.jsonl", "--quiet"]
    arguments += ["--output", "out", "--ledger", "ledger", "--flagged-human", "keep"]
    died = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=folder)
    assert died.returncode == -signal.SIGKILL
    assert (folder / "out" / UNFINISHED).exists()
    assert not (folder / "out/manifest.json").exists()
    assert not list((folder / "ledger").glob("*/*.parquet"))
    run(folder, "out")
    assert ledger_rows(folder / "ledger") == ledger_rows(clean / "ledger")
    assert not (folder / "out" / UNFINISHED).exists()
    assert not list((folder / "out/_uses").glob("*"))
    files = [sorted((f / "out/data").iterdir()) for f in (folder, clean)]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_same_build_again_gives_the_same_set_and_counts_once(folder: Path) -> None:
    first = run(folder, "out1", "--max-uses", "1")
    run(folder, "other", "--max-uses", "1", "--seed", "3")
    before = ledger_rows(folder / "ledger")
    again = run(folder, "out2", "--max-uses", "1")
    assert again["build_id"] == first["build_id"]
    assert again["content_digest"] == first["content_digest"]
    assert ledger_rows(folder / "ledger") == before


def test_human_documents_are_counted_and_capped_only_when_told(folder: Path) -> None:
    run(folder, "out1", "--max-uses", "1")
    second = run(folder, "out2", "--max-uses", "1", "--seed", "1")
    assert second["books"]["kept"] == 20
    assert second["books"]["left_out"]["used_before"] == 20
    options = ["--max-uses", "1", "--cap-human", "--seed", "2"]
    run(folder, "out3", *options, code=3)


def test_the_evidence_names_the_first_build_and_how_often(folder: Path) -> None:
    first = run(folder, "out1")["build_id"]
    run(folder, "out2", "--seed", "1")
    run(folder, "out3", "--seed", "2", "--max-uses", "2")
    left_out = rows_of(folder / "out3", "rejected")
    assert len(left_out) == 20
    for row in left_out:
        assert row["reason"] == "used_before"
        told = dict(part.split("=") for part in row["evidence"].split())
        assert told["build"] == first
        assert told["uses"] == "2"
        assert told["hash"] == row["content_hash"]


def chain() -> list[dict[str, Any]]:
    """Documents made from human text, from those, and so on."""
    rows = [{"id": "s1", "text": prose(201), "parent_ids": ["h0"]}]
    rows += [{"id": "s2", "text": prose(202), "parent_ids": ["s1", "h1"]}]
    rows += [{"id": "s3", "text": prose(203), "parent_ids": ["s2"]}]
    rows += [{"id": "said", "text": prose(204), "synth_generation": 4}]
    rows += [{"id": "nobody", "text": prose(205)}]
    return rows


@pytest.mark.parametrize(
    ("most", "unknown", "left"),
    [
        ("1", "keep", {"s2", "s3", "said"}),
        ("2", "keep", {"s3", "said"}),
        ("2", "drop", {"s3", "said", "nobody"}),
        ("4", "keep", set()),
    ],
)
def test_what_is_too_many_rounds_from_human_text_is_left_out(
    folder: Path, most: str, unknown: str, left: set[str]
) -> None:
    write(folder / "s.jsonl", chain())
    options = ["--max-generation", most, "--unknown-generation", unknown]
    run(folder, "out", *options)
    out = rows_of(folder / "out", "rejected")
    assert {row["id"] for row in out} == left
    assert {row["reason"] for row in out} <= {"too_deep"}
    kept = {
        row["id"]: row["synth_generation"] for row in rows_of(folder / "out", "data")
    }
    deep = {"s1": 1, "s2": 2, "s3": 3, "said": 4, "nobody": None}
    assert kept == {f"h{i}": 0 for i in range(20)} | {
        name: depth for name, depth in deep.items() if name not in left
    }


def test_a_parent_of_an_earlier_build_gives_the_generation(folder: Path) -> None:
    write(folder / "s.jsonl", chain())
    run(folder, "out1")
    write(folder / "s.jsonl", [{"id": "s4", "text": prose(300), "parent_ids": ["s3"]}])
    run(folder, "out2", "--max-generation", "3")
    [row] = rows_of(folder / "out2", "rejected")
    assert (row["id"], row["reason"]) == ("s4", "too_deep")
    assert row["evidence"] == "generation=4"


def crawl_again(folder: Path, output: str, *options: str) -> dict[str, dict[str, Any]]:
    """Builds from human text and a crawl that has the synthetic text of before."""
    crawled = [{"id": f"c{i}", "text": prose(100 + i)} for i in range(3)]
    # The same text, however it is spaced; and a text that no ledger has.
    crawled += [{"id": "spaced", "text": prose(103).replace(" ", "\n")}]
    crawled += [{"id": "new", "text": prose(500)}]
    write(folder / "c.jsonl", crawled)
    arguments = ["--human", f"{folder}/h.jsonl", "--unknown", f"{folder}/c.jsonl"]
    arguments += ["--output", f"{folder}/{output}", "--ledger", f"{folder}/ledger"]
    arguments += ["--threshold", "1", "--flagged-human", "keep", "--quiet"]
    assert main(["build", *arguments, *options]) == 0
    rows = rows_of(folder / output, "data") + rows_of(folder / output, "rejected")
    return {row["id"]: row for row in rows}


AGAIN = ("c0", "c1", "c2", "spaced")


def test_text_that_an_earlier_build_knew_as_synthetic_is_synthetic(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(folder, "out1")
    rows = crawl_again(folder, "out2")
    for name in AGAIN:
        assert rows[name]["origin"] == "synthetic"
        assert rows[name]["origin_evidence"] == "ledger=synthetic"
    assert rows["new"]["origin_evidence"] == "detector=human"
    capsys.readouterr()
    assert main(["explain", f"{folder}/out2", "c0"]) == 0
    assert "the ledger, which has it from earlier" in capsys.readouterr().out
    capped = crawl_again(folder, "out3", "--max-uses", "1", "--seed", "1")
    assert {capped[name].get("reason") for name in AGAIN} == {"used_before"}
    assert "reason" not in capped["new"]


def test_marked_human_decides_about_declared_text_that_the_ledger_knows(
    folder: Path,
) -> None:
    run(folder, "out1")
    write(folder / "h.jsonl", [{"id": "mine", "text": prose(105)}])
    for policy, origin in (("reclassify", "synthetic"), ("keep", "human")):
        rows = crawl_again(folder, policy, "--marked-human", policy)
        assert rows["mine"]["origin"] == origin
        assert set(rows["mine"]["origin_evidence"].split()) == {
            "declared=human",
            "ledger=synthetic",
        }
    manifest = read_manifest(str(folder / "keep"))
    conflict = {"decided": "declared=human", "against": "ledger=synthetic", "docs": 1}
    assert conflict in manifest["conflicts"]


def test_what_the_detector_decided_once_says_nothing_later(folder: Path) -> None:
    # With this threshold all text of unknown origin counts as synthetic.
    before = crawl_again(folder, "out1", "--threshold", "0")
    assert {before[name]["origin_evidence"] for name in AGAIN} == {"detector=synthetic"}
    after = crawl_again(folder, "out2")
    assert {after[name]["origin_evidence"] for name in AGAIN} == {"detector=human"}


def test_two_partitions_or_many_see_the_same_uses(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--near-duplicates", "0.8", "--max-uses", "1"]
    run(folder, "out1", *options)
    write(
        folder / "s.jsonl",
        [{"id": f"s{i}", "text": prose(90 + i) + " end"} for i in range(20)],
    )
    few = run(folder, "few", *options)
    DeltaTable(str(folder / "ledger")).delete(f"build_id = '{few['build_id']}'")
    monkeypatch.setattr("synthfilter.build._PARTITION_BYTES", 500)
    monkeypatch.setattr("synthfilter.build._LEDGER_BYTES", 500)
    many = run(folder, "many", *options)
    assert few["books"] == many["books"]
    assert few["books"]["left_out"]["used_before"] == 10
    assert few["content_digest"] == many["content_digest"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-uses", "0"], "max_uses must be at least 1, got 0"),
        (["--max-generation", "-1"], "max_generation must be at least 0, got -1"),
        (["--unknown-generation", "guess"], "must be one of keep, drop"),
    ],
)
def test_bad_options_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    run(folder, "out", *options, code=2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "ledger").exists()


def test_uses_cannot_be_capped_without_a_ledger(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--human", f"{folder}/h.jsonl", "--output", f"{folder}/out"]
    assert main(["build", *arguments, "--max-uses", "1"]) == 2
    assert "max_uses needs ledger" in capsys.readouterr().err


def test_a_folder_that_is_no_ledger_stops_the_build_with_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "ledger").mkdir()
    (folder / "ledger/notes.txt").write_text("hello")
    run(folder, "out", code=2)
    error = capsys.readouterr().err
    assert "is not a ledger" in error
    assert error.count("\n") == 1


def add(folder: Path, *options: str, code: int = 0) -> None:
    """Registers the text of g.jsonl with the ledger of the folder."""
    arguments = ["--ledger", f"{folder}/ledger", "--synthetic", f"{folder}/g.jsonl"]
    try:
        assert main(["ledger", "add", *arguments, *options]) == code
    except SystemExit as stopped:
        assert stopped.code == code


def generated(folder: Path) -> None:
    """Writes what a generator made: texts 100 to 103, and a line without text."""
    rows = [{"id": f"g{i}", "text": prose(100 + i)} for i in range(4)]
    rows[0] |= {"generator": "named", "synth_generation": 3}
    write(folder / "g.jsonl", [*rows, {"id": "none", "text": " "}])


def test_registered_text_is_known_when_it_comes_back_and_is_no_use(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generated(folder)
    add(folder, "--generator", "gpt", "--generation", "1")
    said = capsys.readouterr().out
    assert "4 documents of generated-" in said
    assert "1 record had no usable text" in said
    rows = crawl_again(folder, "out1", "--max-uses", "1", "--max-generation", "2")
    assert rows["c0"]["reason"] == "too_deep"
    assert "generation=3" in rows["c0"]["evidence"]
    for name in AGAIN:
        assert rows[name]["origin_evidence"] == "ledger=synthetic"
    for name in AGAIN[1:]:
        # Registered once, and used by no build yet.
        assert rows[name].get("reason") is None
        assert rows[name]["synth_generation"] == 1
    capped = crawl_again(folder, "out2", "--max-uses", "1", "--seed", "1")
    assert {capped[name].get("reason") for name in AGAIN[1:]} == {"used_before"}
    assert "uses=1 " in capped["c1"]["evidence"]


def test_the_same_text_registered_again_adds_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generated(folder)
    add(folder)
    before = ledger_rows(folder / "ledger")
    assert len(before) == 4
    # In other files and another order it is the same text.
    lines = (folder / "g.jsonl").read_text().splitlines(keepends=True)
    (folder / "g.jsonl").write_text("".join(reversed(lines)))
    capsys.readouterr()
    add(folder)
    assert "registered already; nothing was added" in capsys.readouterr().out
    assert ledger_rows(folder / "ledger") == before


def test_a_ledger_tells_registrations_from_builds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generated(folder)
    add(folder)
    run(folder, "out")
    capsys.readouterr()
    ledger = ["--ledger", f"{folder}/ledger"]
    assert main(["ledger", "show", *ledger]) == 0
    said = capsys.readouterr().out
    assert "40 uses of 40 documents in 1 build," in said
    assert "besides 4 documents that generators made, in 1 registration" in said
    assert main(["ledger", "history", *ledger]) == 0
    (name,) = re.findall(r"generated-[0-9a-f]{16}", capsys.readouterr().out)
    assert main(["explain", f"{folder}/out", "s0", *ledger]) == 0
    assert name not in capsys.readouterr().out
    assert main(["ledger", "forget", "--build", name, *ledger]) == 0
    assert f"4 documents of registration {name} removed" in capsys.readouterr().out
    assert "generated-" not in repr(ledger_rows(folder / "ledger"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--generation", "-1"], "generation must be at least 0, got -1"),
        (["--shingle-words", "0"], "shingle_words must be from 1 to 100, got 0"),
        (["--fields", "text=body"], "none of 1 record in"),
        (["--synthetic", "none/*.jsonl"], "none/*.jsonl"),
    ],
)
def test_what_cannot_be_registered_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    write(folder / "g.jsonl", [{"id": f"g{i}", "text": prose(i)} for i in range(4)])
    add(folder, *options, code=2)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "ledger").exists()


def changed(text: str) -> str:
    """The text with its last word replaced."""
    return f"{text.rpartition(' ')[0]} otherwise"


def crawl_near(
    folder: Path, output: str, *options: str, told: str | None = None
) -> dict[str, dict[str, Any]]:
    """Builds from a crawl with near copies of texts 100 to 103, some of them known."""
    near = [changed(prose(100 + i)) for i in range(4)]
    write(
        folder / "n.jsonl",
        [
            {"id": "near", "text": near[0]},
            {"id": "again", "text": near[0]},
            {"id": "dated", "text": near[1], "created": "2019-05-01"},
            {"id": "new", "text": prose(500)},
        ],
    )
    write(folder / "told.jsonl", [{"id": "told", "text": told or near[2]}])
    arguments = ["--human", f"{folder}/told.jsonl", "--unknown", f"{folder}/n.jsonl"]
    arguments += ["--output", f"{folder}/{output}", "--ledger", f"{folder}/ledger"]
    arguments += ["--threshold", "1", "--quiet", *options]
    assert main(["build", *arguments]) == 0
    rows = rows_of(folder / output, "data") + rows_of(folder / output, "rejected")
    return {row["id"]: row for row in rows}


def test_near_copies_of_registered_text_are_synthetic(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generated(folder)
    add(folder)
    rows = crawl_near(folder, "out1", "--near-duplicates", "0.8")
    said = {name: (row["origin"], row["origin_evidence"]) for name, row in rows.items()}
    assert said == {
        "near": ("synthetic", "near_ledger=synthetic"),
        "again": ("synthetic", "near_ledger=synthetic"),
        "told": ("synthetic", "near_ledger=synthetic declared=human"),
        # What is older than its near copy is not made of it.
        "dated": ("human", "date=human"),
        "new": ("human", "detector=human"),
    }
    reasons = {name: row.get("reason") for name, row in rows.items()}
    assert sorted(reasons[name] or "" for name in ("near", "again")) == [
        "",
        "exact_copy",
    ]
    books = read_manifest(f"{folder}/out1")["books"]["by_declared_origin"]
    assert books["human"]["kept"]["synthetic"]["docs"] == 1
    capsys.readouterr()
    assert main(["explain", f"{folder}/out1", "told"]) == 0
    assert "the ledger, which has a near copy from earlier" in capsys.readouterr().out
    kept = crawl_near(
        folder, "out2", "--near-duplicates", "0.8", "--marked-human", "keep"
    )
    assert kept["told"]["origin"] == "human"
    dropped = crawl_near(
        folder, "out3", "--near-duplicates", "0.8", "--marked-human", "drop"
    )
    assert dropped["told"]["reason"] == "conflict"


def test_without_a_near_copy_option_only_the_same_text_is_known(folder: Path) -> None:
    generated(folder)
    add(folder)
    rows = crawl_near(folder, "out")
    assert {row["origin"] for row in rows.values()} == {"human"}


def test_near_copies_of_known_text_are_those_of_any_blocks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated(folder)
    add(folder)
    crawl_near(folder, "out1", "--near-duplicates", "0.8")
    monkeypatch.setattr("synthfilter.build._LEDGER_BYTES", 200)
    monkeypatch.setattr("synthfilter.build._PARTITION_BYTES", 500)
    crawl_near(folder, "out2", "--near-duplicates", "0.8", "--workers", "2")
    digests = {
        read_manifest(f"{folder}/{name}")["content_digest"] for name in ("out1", "out2")
    }
    assert len(digests) == 1


def test_what_is_near_to_a_near_copy_is_not_known_by_it(folder: Path) -> None:
    generated(folder)
    add(folder)
    near = ("--near-duplicates", "0.8")
    assert crawl_near(folder, "out1", *near)["told"]["origin"] == "synthetic"
    # The set that had the near copy is in the ledger; the registration is not any more.
    rows = "\n".join(ledger_rows(folder / "ledger"))
    (name,) = set(re.findall(r"generated-[0-9a-f]{16}", rows))
    known = ["--ledger", f"{folder}/ledger"]
    assert main(["ledger", "forget", "--build", name, *known]) == 0
    further = f"{changed(prose(102))} words"
    rows = crawl_near(folder, "out2", *near, "--seed", "2", told=further)
    assert rows["told"]["origin"] == "human"
    # Nor is the near copy itself, now that what it was near to is forgotten.
    assert rows["near"]["origin"] == "human"


def test_near_copies_of_known_text_follow_the_rules_of_synthetic_text(
    folder: Path,
) -> None:
    run(folder, "out1")
    options = ("--near-duplicates", "0.8", "--max-uses", "1", "--seed", "3")
    rows = crawl_near(folder, "out2", *options)
    assert rows["told"]["reason"] == "used_before"
    assert rows["dated"].get("reason") is None
