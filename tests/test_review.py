"""`synthfilter review` as people type it: samples, files there and back, labels."""

import base64
import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter import review as module
from synthfilter import review_sample
from synthfilter.cli import main
from synthfilter.core.errors import UserError
from synthfilter.decisions.verdicts import effective_verdicts, weigh_documents
from synthfilter.ledger.verdicts import read_verdicts
from synthfilter.options import describe_fields
from synthfilter.outputs.manifest import read_manifest
from synthfilter.review_files import check_row, pack, unpack
from synthfilter.review_sample import choose_sample, parse_evidence

NOBODY = (np.zeros(0, np.uint64), np.zeros(0, np.uint64))
HOSTILE = [
    '=HYPERLINK("http://x","y")',
    "+1 \u2028 and \u202e back",
    "@SUM(A1)\r\n-second, line; 'quoted' \"twice\"",
    "</script><script>alert(1)</script> \x00 <img onerror=x>",
    "long " * 200_000,
]


class CountsAi:
    """Scores the share of words that are `ai`; none for texts that begin with `no`."""

    name = "counts ai"
    threshold = 0.5
    version = 1

    def score(self, column: pa.Array) -> np.ndarray:
        words = [text.split() for text in column.to_pylist()]
        found = [np.mean([word == "ai" for word in ws] or [np.nan]) for ws in words]
        return np.array(
            [np.nan if ws[0] == "no" else v for ws, v in zip(words, found, strict=True)]
        )


DETECTOR = "test_review:CountsAi"


def scoring(percent: int, number: int) -> str:
    """A text with this score, unlike any other."""
    return " ".join(["ai"] * percent + ["we"] * (99 - percent) + [f"n{number}"])


def run(*arguments: str) -> int:
    try:
        return main(["review", *arguments])
    except SystemExit as stopped:
        return int(stopped.code or 0)


@pytest.fixture
def here(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A build `out` of 60 documents of each origin, scored from 0.20 to 0.79."""
    monkeypatch.chdir(workshop.path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for first, name in ((0, "human/h"), (100, "synthetic/s"), (200, "unknown/u")):
        texts = [scoring(20 + i, first + i) for i in range(60)]
        workshop.write(name, texts, domain=["law", "art"] * 30, source=[name] * 60)
    build(workshop)
    return workshop


def build(workshop: Any, output: str = "out", **options: Any) -> dict[str, Any]:
    unknown = str(workshop.path / "unknown")
    return workshop.build(output, detector=DETECTOR, unknown=unknown, **options)


def sample(
    focus: str, count: int = 20, output: str = "out", **options: Any
) -> pa.Table:
    known = {"seed": 0, "judged": NOBODY, **options}
    manifest = read_manifest(output)
    return choose_sample(output, manifest, focus, count, **known).documents


def ids(table: pa.Table) -> list[str]:
    return sorted(table.column("id").to_pylist())


def test_random_draws_from_the_set_and_tells_the_probability(here: Any) -> None:
    found = sample("random", 20)
    assert found.column("probability").to_pylist() == [20 / 180] * 20
    assert len(set(ids(found))) == 20
    assert set(found.column("origin").to_pylist()) == {"human", "synthetic"}
    assert ids(sample("random", 20)) == ids(found)
    assert ids(sample("random", 20, seed=1)) != ids(found)
    # A smaller sample is the beginning of a larger one.
    assert (
        sample("random", 5).column("id").to_pylist()
        == (found.column("id").to_pylist()[:5])
    )
    assert sample("random", 500).column("probability").to_pylist() == [1.0] * 180


def test_synthetic_draws_from_what_counts_as_synthetic(here: Any) -> None:
    found = sample("synthetic", 40)
    assert set(found.column("origin").to_pylist()) == {"synthetic"}
    # 60 declared so, 30 of unknown origin that score 0.5 or more.
    assert found.column("probability").to_pylist() == [40 / 90] * 40


def test_scored_draws_from_what_a_score_or_the_choice_left_out_too(here: Any) -> None:
    with pytest.raises(UserError, match="build it with --rejected-text"):
        sample("scored", 20)
    more = [scoring(20, 200), scoring(25, 100), "no score " * 40]
    here.write("unknown/v", more, domain=["art"] * 3, source=["v"] * 3)
    build(here, "all", rejected_text=True, max_synthetic_fraction=0.1)
    found = sample("scored", 500, "all")
    rows = here.rows("rejected", output="all")
    why = {row["id"]: row["reason"] for row in rows}
    assert set(why.values()) == {"exact_copy", "unscorable", "mixture"}
    rest = {name for name, reason in why.items() if reason == "mixture"}
    kept = {row["id"] for row in here.rows(output="all")}
    assert set(ids(found)) == kept | rest
    few = sample("scored", 30, "all")
    assert few.column("probability").to_pylist() == [30 / len(kept | rest)] * 30
    assert set(ids(few)) & rest and set(ids(few)) & kept


def test_threshold_takes_the_nearest_of_what_the_detector_decides(here: Any) -> None:
    found = sample("threshold", 3)
    assert ids(found) == ["u-29", "u-30", "u-31"]
    assert found.column("probability").to_pylist() == [1.0] * 3
    assert found.column("threshold").to_pylist() == [0.5] * 3
    # Whoever lets the detector overrule the flag asks it about declared text, too.
    build(here, "other", flagged_human="reclassify")
    found = sample("threshold", 2, "other")
    assert ids(found) == ["h-30", "u-30"]


def test_conflicts_takes_what_contradicts_the_flag_most(here: Any) -> None:
    assert ids(sample("conflicts", 3)) == ["h-59", "s-0", "s-1"]
    found = sample("conflicts", 500)
    assert found.num_rows == 30 + 30
    for row in found.to_pylist():
        assert (row["ai_score"] >= 0.5) == (row["origin"] == "human")


def test_rejected_documents_are_asked_about_if_they_have_text(here: Any) -> None:
    options = ["--human", "human", "--synthetic", "synthetic", "--detector", DETECTOR]
    options += ["--flagged-human", "drop", "--output", "text", "--quiet"]
    assert main(["build", *options, "--rejected-text"]) == 0
    assert "h-59" in ids(sample("conflicts", 500, "text"))
    assert not [name for name in ids(sample("random", 500, "text")) if name == "h-59"]
    without = ["without" if each == "text" else each for each in options]
    assert main(["build", *without]) == 0
    assert "h-59" not in ids(sample("conflicts", 500, "without"))


def test_thresholds_by_length_are_those_of_each_document(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest("out")
    manifest["options"]["threshold"] = {"0": 0.2, "100": 0.7}
    monkeypatch.setattr(review_sample, "_BATCH_ROWS", 7)
    found = choose_sample("out", manifest, "threshold", 2, 0, NOBODY).documents
    assert "u-50" in ids(found)
    assert found.column("threshold").to_pylist() == pytest.approx([0.7] * 2)


@pytest.mark.parametrize("focus", ["random", "synthetic", "threshold", "conflicts"])
def test_the_sample_is_the_same_for_any_batches_and_files(
    here: Any, monkeypatch: pytest.MonkeyPatch, focus: str
) -> None:
    expected = sample(focus, 17).drop_columns(["build_id"])
    build(here, "shards", max_shard_bytes=8000)
    assert len(read_manifest("shards")["shards"]) > 1
    for rows in (1, 3, 1000):
        monkeypatch.setattr(review_sample, "_BATCH_ROWS", rows)
        found = sample(focus, 17, "shards").drop_columns(["build_id"])
        assert found.equals(expected)


def test_documents_that_are_repeated_in_the_set_are_drawn_once(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"synthetic_fraction": 0.75, "on_shortage": "repeat:4", "unit": "docs"}
    made = build(here, "again", **options)
    rows = made["shards"][0]["rows"]
    distinct = len({row["content_hash"] for row in here.rows(output="again")})
    assert distinct < rows
    for batch in (1, 5, 1000):
        monkeypatch.setattr(review_sample, "_BATCH_ROWS", batch)
        found = sample("random", 10, "again")
        assert len(set(ids(found))) == 10
        assert found.column("probability").to_pylist() == [10 / distinct] * 10


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (None, {}),
        ("", {}),
        ("declared", {"declared": "human"}),
        ("detector", {"detector": "human"}),
        (
            "review=human declared=synthetic",
            {"review": "human", "declared": "synthetic"},
        ),
    ],
)
def test_evidence_of_earlier_sets_is_understood(
    said: str | None, expected: dict[str, str]
) -> None:
    assert parse_evidence(said, "human") == expected
    assert list(parse_evidence(said, "human")) == list(expected)


@pytest.mark.parametrize(
    ("said", "asked", "open_"),
    [
        ("detector=human", False, True),
        ("detector=synthetic declared=human", True, True),
        ("declared=human", True, True),
        ("declared=human", False, False),
        ("column=human date=human", True, False),
        ("declared=synthetic", True, False),
        ("review=human declared=human", True, False),
        ("mark=synthetic detector=synthetic", True, False),
    ],
)
def test_the_detector_is_asked_where_nothing_better_speaks(
    said: str, asked: bool, open_: bool
) -> None:
    assert review_sample._is_open(parse_evidence(said, "human"), asked) == open_


# There and back.


def verdicts_of(documents: Sequence[dict], verdict: str = "reject") -> list[dict]:
    return [row | {"verdict": verdict, "reviewer": "ann"} for row in documents]


def export(form: str, *options: str, focus: str = "random", n: int = 6) -> Path:
    given = ["out", "--format", form, "--focus", focus, "--n", str(n), *options]
    assert run("export", *given) == 0
    suffix = {"labelstudio": "json"}.get(form, form)
    return Path("out", "review", f"{focus}.{suffix}")


def judge_csv(path: Path) -> Path:
    """Fills a table in as a spreadsheet would, with semicolons."""
    csv.field_size_limit(1 << 30)
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))
    out = Path("judged.csv")
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(verdicts_of(rows[1:], "Reject ") + rows[:1])
    return out


def judge_lines(path: Path) -> Path:
    rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    out = Path("judged.jsonl")
    lines = [json.dumps(row) for row in verdicts_of(rows[1:]) + rows[:1]]
    out.write_text("\n".join(lines) + "\n")
    return out


def judge_in_label_studio(path: Path) -> Path:
    """Exports as Label Studio does, with ids and regions of its own."""
    tasks = json.loads(path.read_text())
    region = {"type": "choices", "to_name": "text", "from_name": "verdict", "id": "a"}
    region["value"] = {"choices": ["reject"]}
    annotation = {
        "id": 5,
        "completed_by": {"id": 3, "email": "ann"},
        "result": [region],
    }
    annotation |= {"was_cancelled": False, "created_at": "2026-03-01T10:00:00.5Z"}
    annotation |= {"updated_at": "2026-03-01T11:00:00.123456Z", "lead_time": 3.1}
    for number, task in enumerate(tasks):
        task |= {"id": number, "meta": {}, "predictions": []}
        task["annotations"] = [annotation] if number else []
    out = Path("judged.json")
    out.write_text(json.dumps(tasks))
    return out


def judge_page(path: Path) -> Path:
    data = path.read_text().split('id="data">')[1].split("</script>")[0]
    rows = [one["about"] for one in json.loads(data)["documents"]]
    time = "2026-03-01T11:00:00.123Z"
    made = {"format": "synthfilter verdicts", "version": 1, "reviewer": "ann"}
    made["verdicts"] = [row | {"time": time} for row in verdicts_of(rows[1:])]
    out = Path("judged.json")
    out.write_text(json.dumps(made))
    return out


JUDGES = {
    "csv": judge_csv,
    "jsonl": judge_lines,
    "labelstudio": judge_in_label_studio,
    "html": judge_page,
}


@pytest.mark.parametrize("form", JUDGES)
def test_what_a_file_says_of_a_document_comes_back(
    here: Any, capsys: pytest.CaptureFixture, form: str
) -> None:
    documents = {row["content_hash"]: row for row in sample("random", 6).to_pylist()}
    judged = JUDGES[form](export(form))
    given = ["import", str(judged), "--ledger", "ledger"]
    assert run(*given) == 0
    assert "5 verdicts added" in capsys.readouterr().out
    rows = read_verdicts("ledger").to_pylist()
    assert len(rows) == 5
    for row in rows:
        document = documents[row["content_hash"]]
        for name in ("id", "build_id", "origin", "focus", "probability"):
            assert row[name] == document[name]
        assert (row["verdict"], row["reviewer"], row["note"]) == ("reject", "ann", None)
        if form in ("html", "labelstudio"):
            assert row["time"].isoformat().startswith("2026-03-01T11:00:00.123")
    assert run(*given, "--build", "out") == 0
    assert "0 verdicts added, 5 were there already" in capsys.readouterr().out


@pytest.mark.parametrize("form", JUDGES)
def test_hostile_text_survives_every_format(
    workshop: Any, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(workshop.path)
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    names = [f"'\"<b>{i}\u202e" for i in range(len(HOSTILE))]
    rows = [
        {"id": n, "text": t, "source": t[:50]}
        for n, t in zip(names, HOSTILE, strict=True)
    ]
    Path("h.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--human", "h.jsonl", "--detector", DETECTOR, "--output", "out", "--quiet"]
    assert main(["build", *given]) == 0
    path = export(form, n=9)
    if form == "csv":
        csv.field_size_limit(1 << 30)
        text = io.StringIO(path.read_text("utf-8-sig"), newline="")
        for row in csv.DictReader(text):
            for cell in row.values():
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert run("import", str(JUDGES[form](path)), "--ledger", "ledger") == 0
    found = read_verdicts("ledger").column("id").to_pylist()
    assert len(found) == len(HOSTILE) - 1
    assert set(found) < set(names)


def test_what_would_bias_a_reviewer_is_not_to_be_read(here: Any) -> None:
    for form in ("csv", "jsonl", "labelstudio"):
        said = export(form, focus="synthetic").read_text("utf-8-sig")
        for word in ("synthetic", "ai_score", "h-1", "s-1", "declared", "shelf"):
            assert word not in said
    config = Path("out/review/synthetic.xml").read_text()
    for choice in ("human", "synthetic", "reject", "unsure"):
        assert f'<Choice value="{choice}"' in config


@given(
    st.fixed_dictionaries(
        {
            "content_hash": st.text("0123456789abcdef", min_size=32, max_size=32),
            "id": st.none() | st.text(),
            "build_id": st.none() | st.text("0123456789abcdef", min_size=16),
            "origin": st.sampled_from(["human", "synthetic"]),
            "focus": st.sampled_from(["random", "threshold"]),
            "probability": st.floats(1e-9, 1),
        }
    )
)
def test_the_carried_word_gives_back_what_went_in(document: dict) -> None:
    assert unpack(pack(document)) == document
    row = check_row({"sample": pack(document), "verdict": "human"}, "f:1", "ann")
    assert row is not None
    assert {name: row[name] for name in document} == document


HASH = "0123456789abcdef" * 2
CARRIED = ("content_hash", "id", "build_id", "origin", "focus", "probability")
OTHER = dict.fromkeys(CARRIED) | {"content_hash": "f" * 32}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"verdict": "humn"}, "verdict must be human, reject, synthetic, unsure, got"),
        ({"content_hash": "1.2E+31"}, "content_hash must be 32 hexadecimal digits"),
        ({"content_hash": None}, "content_hash must be 32 hexadecimal digits, got ''"),
        ({"reviewer": " "}, "nobody is named as reviewer; say --reviewer NAME"),
        ({"time": "yesterday"}, "time must be as 2026-03-01T12:30:00Z, got 'yester"),
        ({"probability": "2"}, "probability must be above 0 and at most 1, got '2'"),
        ({"probability": "x"}, "probability must be above 0 and at most 1, got 'x'"),
        ({"origin": "alien"}, "origin must be one of human, synthetic, got 'alien'"),
        ({"focus": "all"}, "focus must be one of threshold, conflicts, random, synth"),
        ({"sample": "abc"}, "the column sample was changed"),
        ({"sample": base64.b64encode(b"[1]").decode()}, "sample was changed"),
        ({"sample": pack(OTHER)}, "are of two documents; rows were mixed up"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_added(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    row: dict[str, Any],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    good = {"content_hash": HASH, "verdict": "human", "reviewer": "ann"}
    rows = [good, good | row]
    Path("v.jsonl").write_text("\n".join(map(json.dumps, rows)))
    names = sorted(set(good) | set(row))
    with open("v.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    Path("v.json").write_text(json.dumps(rows))
    places = {"v.jsonl": "v.jsonl:2", "v.csv": "v.csv:3", "v.json": "v.json: entry 2"}
    for name, place in places.items():
        assert run("import", name, "--ledger", "ledger") == 2
        error = capsys.readouterr().err
        assert f"{place}: " in error
        assert message in error
        assert error.count("\n") == 1
    assert not Path("ledger").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", "x", "v.txt: expected a .json, .jsonl or .csv file of verdicts"),
        ("v.json", "{", "v.json: not JSON"),
        ("v.json", "{}", "v.json: expected what the review page downloads"),
        ("v.json", '{"format": "synthfilter verdicts", "version": 2}', "of version 2"),
        ("v.json", '[{"annotations": 1}]', "entry 1: expected a task of Label Studio"),
        ("v.jsonl", "\n[1]\n", "v.jsonl:2: expected an object, got '[1]'"),
        ("v.csv", "a,b\n1,2\n", "v.csv: no column content_hash, verdict"),
        ("v.csv", b"content_hash,verdict\n\xff,human\n", "v.csv: not UTF-8"),
    ],
)
def test_what_is_no_file_of_verdicts_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    name: str,
    content: str | bytes,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run("import", name, "--ledger", "ledger") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_plain_table_is_enough_and_the_build_knows_the_rest(
    here: Any, capsys: pytest.CaptureFixture
) -> None:
    documents = sample("random", 3).to_pylist()
    lines = ["content_hash,verdict", *(f"{d['content_hash']},human" for d in documents)]
    Path("v.csv").write_text("\n".join(lines))
    given = ["import", "v.csv", "--ledger", "ledger"]
    assert run(*given) == 2
    assert "v.csv:2: nobody is named as reviewer" in capsys.readouterr().err
    assert run(*given, "--reviewer", "ann", "--build", "out") == 0
    for row in read_verdicts("ledger").to_pylist():
        (document,) = [d for d in documents if d["content_hash"] == row["content_hash"]]
        assert (row["id"], row["origin"]) == (document["id"], document["origin"])
        assert (row["reviewer"], row["probability"]) == ("ann", None)
    Path("w.csv").write_text(f"content_hash,verdict\n{HASH},human\n")
    assert (
        run("import", "w.csv", "--ledger", "l", "--reviewer", "a", "--build", "out")
        == 2
    )
    error = capsys.readouterr().err
    assert f"w.csv: no document {HASH} in out; name the build that was rev" in error


def test_what_a_reviewer_judged_is_not_asked_again(
    here: Any, capsys: pytest.CaptureFixture
) -> None:
    assert run("import", str(judge_page(export("html"))), "--ledger", "ledger") == 0
    judged = {row["content_hash"] for row in read_verdicts("ledger").to_pylist()}
    known = ["out", "--focus", "random", "--n", "500", "--format", "jsonl"]
    for name, expected in ((None, 175), ("ann", 175), ("bob", 180)):
        more = ["--reviewer", name] if name else []
        given = [*known, "--ledger", "ledger", "--output", f"{name}.jsonl", *more]
        assert run("export", *given) == 0
        lines = Path(f"{name}.jsonl").read_text().split("\n")[:-1]
        assert len(lines) == expected
        asked = {json.loads(line)["content_hash"] for line in lines}
        assert bool(asked & judged) == (name == "bob")


def test_show_tells_counts_agreement_and_errors(
    here: Any, capsys: pytest.CaptureFixture
) -> None:
    path = judge_page(export("html", focus="synthetic", n=20))
    made = json.loads(path.read_text())
    Path("bob.json").write_text(
        json.dumps(
            made
            | {
                "verdicts": [
                    row | {"reviewer": "bob", "verdict": ["human", "reject"][i % 2]}
                    for i, row in enumerate(made["verdicts"])
                ]
            }
        )
    )
    assert run("import", str(path), "bob.json", "--ledger", "ledger") == 0
    capsys.readouterr()
    given = ["show", "--ledger", "ledger", "--json", "figures.json"]
    assert run(*given) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for line in (
        "ledger: 38 verdicts on 19 documents",
        "reviewer human synthetic reject unsure all",
        "ann 0 0 19 0 19",
        "bob 10 0 9 0 19",
        "ann and bob 19 47.4% 0.000",
        "9 of 9 reviewed were rejected, 100.00% (70.09% to 100.00%), 10 undecided",
    ):
        assert line in printed
    figures = json.loads(Path("figures.json").read_text())
    (error,) = figures["error_rate_of_synthetic"].values()
    assert (error["reviewed"], error["undecided"]) == (9, 10)
    assert run(*given) == 2


def test_an_empty_ledger_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("show", "--ledger", "none") == 0
    assert "none: 0 verdicts on 0 documents" in capsys.readouterr().out
    assert not Path("none").exists()


# What verdicts are good for.


def judge(documents: pa.Table, name: str = "v", **said: Any) -> None:
    rows = [
        {
            **{k: v for k, v in row.items() if k not in ("text", "threshold")},
            "verdict": ["human", "synthetic"][row["ai_score"] >= 0.4],
            "reviewer": "ann",
            **said,
        }
        for row in documents.to_pylist()
    ]
    Path(f"{name}.json").write_text(json.dumps(rows))
    assert run("import", f"{name}.json", "--ledger", "ledger", "--quiet") == 0


def test_labels_have_the_text_and_the_weight_of_what_was_judged(
    here: Any, capsys: pytest.CaptureFixture
) -> None:
    judge(sample("random", 30))
    judge(sample("threshold", 5), "w")
    judge(sample("random", 30).slice(0, 1), "x", verdict="reject")
    given = ["labels", "out", "out", "--ledger", "ledger", "--output", "l.parquet"]
    capsys.readouterr()
    assert run(*given) == 0
    rows = pq.read_table("l.parquet").to_pylist()
    known = {row["content_hash"]: row for row in here.rows()}
    verdicts = read_verdicts("ledger")
    assert len(rows) == len(weigh_documents(verdicts)[0]) - 1
    assert f"l.parquet: {len(rows)} documents; 0 judged" in capsys.readouterr().out
    certain = set(sample("threshold", 5).column("content_hash").to_pylist())
    for row in rows:
        document = known[row["content_hash"]]
        assert row["text"] == document["text"]
        assert row["source"] == document["source"]
        assert row["domain"] in ("law", "art")
        assert row["label"] == ("synthetic" if document["ai_score"] >= 0.4 else "human")
    assert np.mean([row["weight"] for row in rows]) == pytest.approx(1)
    light = {row["weight"] for row in rows if row["content_hash"] in certain}
    heavy = {row["weight"] for row in rows if row["content_hash"] not in certain}
    assert len(light) == len(heavy) == 1
    assert heavy.pop() / light.pop() == pytest.approx(180 / 30)
    assert run(*given) == 2
    assert "output 'l.parquet' exists" in capsys.readouterr().err


def test_labels_without_a_text_are_an_error(
    here: Any, capsys: pytest.CaptureFixture
) -> None:
    given = ["labels", "out", "--ledger", "ledger", "--output", "l.parquet"]
    assert run(*given) == 3
    assert "out: no text of the 0 documents" in capsys.readouterr().err
    assert not Path("l.parquet").exists()


def test_a_threshold_from_a_review_is_that_of_the_whole_build(
    here: Any, tmp_path: Path
) -> None:
    """Doubtful documents are reviewed more often, and do not count more for it."""
    texts = [scoring(i % 80, 1000 + i) for i in range(4000)]
    here.write("many/m", texts)
    given = ["--human", "many", "--detector", DETECTOR, "--flagged-human", "keep"]
    assert main(["build", *given, "--output", "big", "--quiet"]) == 0
    near = sample("conflicts", 1200, "big")
    assert near.num_rows == 1200
    drawn = sample("random", 1000, "big")
    for name, part in (("near", near), ("drawn", drawn)):
        judge(part, name, verdict="human")
    given = ["labels", "big", "--ledger", "ledger", "--output", "l.parquet"]
    assert run(*given) == 0
    found = {}
    for name, source in (("all", "--human many"), ("review", "--labelled l.parquet")):
        options = [*source.split(), "--detector", DETECTOR, "--target-fpr", "0.05"]
        output = f"{name}.json"
        assert main(["calibrate", *options, "--output", output, "--quiet"]) == 0
        made = json.loads(Path(output).read_text())
        found[name] = made["thresholds"]["0.05"]["threshold"]
        assert made["documents"]["human_effective"] <= made["documents"]["human"]
    assert made["documents"]["human_effective"] < 1300
    labelled = pq.read_table("l.parquet").drop_columns(["weight"])
    pq.write_table(labelled, "flat.parquet")
    options = ["--labelled", "flat.parquet", "--detector", DETECTOR]
    assert main(["calibrate", *options, "--output", "flat.json", "--quiet"]) == 0
    flat = json.loads(Path("flat.json").read_text())["thresholds"]["0.05"]["threshold"]
    assert found["review"] == pytest.approx(found["all"], abs=0.011)
    assert flat > found["all"] + 0.011


def test_labels_can_be_trained_on(here: Any) -> None:
    words = {"human": "river stone harvest letter", "synthetic": "delve tapestry realm"}
    for origin, said in words.items():
        for path in Path(origin).glob("*"):
            path.unlink()
        random = np.random.default_rng(len(origin))
        texts = [" ".join(random.choice(said.split(), 40)) for _ in range(50)]
        here.write(f"{origin}/t", texts)
    here.build("plain", detector=DETECTOR)
    documents = sample("random", 100, "plain").to_pylist()
    rows = [row | {"verdict": row["origin"], "reviewer": "ann"} for row in documents]
    Path("v.json").write_text(json.dumps(rows))
    assert run("import", "v.json", "--ledger", "ledger") == 0
    assert run("labels", "plain", "--ledger", "ledger", "--output", "l.parquet") == 0
    assert main(["train", "--data", "l.parquet", "--output", "m.bin", "--quiet"]) == 0
    measured = json.loads(Path("m.json").read_text())["measured"]["all"]
    assert (measured["human"], measured["synthetic"]) == (50, 50)


@pytest.mark.parametrize(
    ("weight", "message"),
    [(0.0, "expected a number above 0, got '0.0'"), ("x", "got 'x'"), (True, "'True'")],
)
def test_a_weight_is_a_number_above_zero(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    weight: Any,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    row = {"text": "some words here", "label": "human", "weight": weight}
    Path("l.jsonl").write_text(json.dumps(row) + "\n")
    assert main(["calibrate", "--labelled", "l.jsonl"]) == 2
    assert message in capsys.readouterr().err
    assert main(["calibrate"]) == 2
    assert "missing --human or --labelled" in capsys.readouterr().err


# Mistakes.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export"], "the following arguments are required: FOLDER"),
        (["export", "none"], "'none' holds no manifest.json"),
        (["export", "out", "--focus", "all"], "focus must be one of threshold, confl"),
        (["export", "out", "--format", "pdf"], "format must be one of html, labelst"),
        (["export", "out", "--n", "0"], "n must be at least 1, got 0"),
        (["export", "out", "--ledgr", "x"], "did you mean --ledger?"),
        (["import", "none.csv", "--ledger", "x"], "no file matches 'none.csv'"),
        (["import", "--ledger", "x"], "the following arguments are required: FILE"),
        (["import", "none.csv"], "missing --ledger"),
        (["show"], "missing --ledger"),
        (["labels", "out"], "missing --ledger, --output"),
        (["frob"], "invalid choice: 'frob'"),
        ([], "required: COMMAND"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_export_overwrites_nothing(here: Any, capsys: pytest.CaptureFixture) -> None:
    Path("t.xml").write_text("mine")
    given = ["export", "out", "--format", "labelstudio", "--output", "t.json"]
    assert run(*given) == 2
    assert "output 't.xml' exists" in capsys.readouterr().err
    assert not Path("t.json").exists()


def test_nothing_to_review_is_a_shortage(
    here: Any, capsys: pytest.CaptureFixture
) -> None:
    hi, lo, *_ = effective_verdicts(read_verdicts("none"))
    assert not len(hi) + len(lo)
    given = ["--human", "human", "--detector", DETECTOR, "--flagged-human", "keep"]
    assert main(["build", *given, "--output", "plain", "--quiet"]) == 0
    capsys.readouterr()
    assert run("export", "plain", "--focus", "synthetic") == 3
    error = capsys.readouterr().err
    assert "plain: no document to review with focus synthetic" in error


def test_a_file_of_the_build_that_is_damaged_is_named(here: Any) -> None:
    (shard,) = Path("out/data").glob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train-00000.* cannot be read: .*build it ag"):
        sample("random")


def test_every_option_is_described_where_it_is_defined() -> None:
    for job, *_ in module._JOBS.values():
        names = [field.name for field in dataclasses.fields(job)]
        assert list(describe_fields(job)) == names
